//go:build unix

package command

import "golang.org/x/sys/unix"

// cpuSeconds is the processor time that the process has used.
func cpuSeconds() (sys, user float64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	seconds := func(t unix.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(u.Stime), seconds(u.Utime)
}
