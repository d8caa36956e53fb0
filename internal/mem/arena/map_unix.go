//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package arena

import (
	"fmt"

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

// discard returns the memory of whole pages to the system and keeps their addresses. It is a hint: after an error the
// memory stays here, and nothing else is different.
func discard(mem []byte) { _ = unix.Madvise(mem, discardAdvice) }
