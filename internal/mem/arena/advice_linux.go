//go:build !race

package arena

import "golang.org/x/sys/unix"

// discardAdvice frees at once; the pages read as zeros afterwards.
const discardAdvice = unix.MADV_DONTNEED
