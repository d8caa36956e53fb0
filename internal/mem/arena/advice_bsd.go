//go:build (darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package arena

import "golang.org/x/sys/unix"

// discardAdvice lets the system take the pages when it wants them: MADV_DONTNEED does not free here.
const discardAdvice = unix.MADV_FREE
