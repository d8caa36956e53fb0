//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package arena

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mmap takes n bytes from the system. Like the runtime when memory is out, it does not return.
func mmap(n int) []byte {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("arena: mapping %d bytes: %v", n, err))
	}
	return mem
}

// unmap returns a mapping to the system.
func unmap(mem []byte) {
	if err := unix.Munmap(mem); err != nil {
		panic(fmt.Sprintf("arena: unmapping %d bytes: %v", len(mem), err))
	}
}

// discard returns the memory of whole pages to the system and keeps their addresses. Where the system's pages are
// longer than the arena's, only those that lie wholly inside can go. It is a hint: an error leaves the memory here.
func discard(mem []byte) {
	if os.Getpagesize() <= pageSize {
		_ = unix.Madvise(mem, discardAdvice)
	}
}
