//go:build race || !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package arena

// Without mmap, and under the race detector, which does not see mapped memory, chunks are plain slices.

func mmap(n int) []byte { return make([]byte, n) }

func unmap([]byte) {}

func discard([]byte) {}
