//go:build linux || darwin

package main

import "golang.org/x/sys/unix"

// descriptorLimit is how many files and sockets this process may have open. Go has raised the soft limit to the hard one.
func descriptorLimit() (limit uint64, known bool) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return l.Cur, err == nil
}
