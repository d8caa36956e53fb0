package arena

import "unsafe"

// Prefetch asks the processor to load the line at r into its caches, and waits for nothing. r may lie inside a cell; a
// hint about no cell at all is ignored.
func (a *Arena) Prefetch(r Ref) {
	n := uint(r >> 16)
	if n >= uint(len(a.chunks)) {
		return
	}
	c := a.chunks[n]
	off := uint(r&0xffff) * granule
	if c == nil || off >= uint(len(c.mem)) {
		return
	}
	prefetch(unsafe.Pointer(&c.mem[off]))
}
