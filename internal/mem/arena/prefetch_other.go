//go:build !amd64 && !arm64

package arena

import "unsafe"

// prefetch has no instruction to use here: the access that follows will wait.
func prefetch(unsafe.Pointer) {}
