// Package arena hands out memory cells that the garbage collector never scans, addressed by 32-bit references.
//
// # Layout
//
// Memory comes in chunks of 256 KiB, 64 pages of 4 KiB each. A run of pages is a slab: cells of one size class, handed
// out in order of address until the slab's end and from a free list, kept inside the free cells, after that. Classes
// are 4 bytes apart up to 128 bytes and at most 6 % apart up to 32 KiB; larger cells have a run of pages to themselves
// (a slab of one cell), and above 128 KiB a mapping. A class begins with slabs of one page and takes longer ones as it
// grows, so that a small arena stays small. All bookkeeping lies outside the chunks.
//
// A Ref counts granules of 4 bytes: the upper 16 bits name the chunk, the lower 16 the place in it, which is 16 GiB of
// addresses. A huge cell has a chunk number of its own, whatever its length. Chunk 0 does not exist, so Ref 0 is no cell.
//
// # Giving memory back
//
// A slab without live cells returns its pages. Free pages are kept for reuse up to 1/64 of those in use, the
// rest goes back to the operating system; so does a chunk without slabs, but for one. What remains is the holes inside
// slabs: when a class has 25 % of its cells free, Sparse names slabs which the owner should empty by moving their cells.
//
// Every operation is O(1), but for the search of a page run inside a chunk (at most 64 steps, once per slab).
//
// An Arena is not safe for concurrent use: its owner, a shard, holds a lock.
package arena

import (
	"encoding/binary"
	"math/bits"

	"github.com/larderdb/larder/internal/invariant"
)

// Ref names a cell. The zero Ref names none.
type Ref uint32

// Granule is the distance in bytes between the places of Ref n and Ref n+1.
const Granule = granule

// Arena is a heap of cells. Its zero value is not usable: see New.
type Arena struct {
	chunks  []*chunk // by number; nil where there is none
	vacant  []uint16 // numbers in chunks that are free
	bins    bins     // chunks with free pages, by their longest run of them
	classes [numClasses]classState
	account
	cells map[Ref]struct{} // live cells, in builds with assertions only
}

// account is the arithmetic of an arena, always up to date.
type account struct {
	live     int64 // bytes in live cells
	count    int64 // live cells
	mapped   int64 // bytes of address space
	huge     int64 // bytes in huge cells
	used     int   // pages in slabs
	resident int   // pages of shared chunks that were written since the system gave them
	idle     int   // those of them that belong to no slab
	spare    int   // chunks without a slab
}

// New returns an empty arena. It maps nothing before the first Alloc.
func New() *Arena {
	a := &Arena{chunks: make([]*chunk, 1)}
	if invariant.Enabled {
		a.cells = make(map[Ref]struct{})
	}
	return a
}

// Alloc returns a cell of at least n bytes (Capacity(n) of them) with undefined content. It panics when the address
// space or the system's memory is exhausted: Room tells beforehand. O(1).
func (a *Arena) Alloc(n int) Ref {
	if n > maxCell {
		return a.allocHuge(n)
	}
	k := classOf(max(n, 1))
	cl := &a.classes[k]
	id := cl.partial
	if id == 0 {
		id = a.refill(k)
	}
	c := a.chunks[id>>6]
	s := &c.slabs[id&63]
	size := classes[k].size
	var g uint32
	if s.free > 0 {
		g = uint32(s.head)
		s.head = binary.LittleEndian.Uint16(c.mem[g*granule:])
		s.free--
		cl.free--
	} else {
		g = (id&63)*(pageSize/granule) + uint32(s.bump)*(size/granule)
		s.bump++
		a.touch(c, g*granule, size)
	}
	if s.free == 0 && s.bump == s.cells {
		a.unlink(&cl.partial, id)
		s.state = slabFull
	}
	cl.live++
	a.live += int64(size)
	a.count++
	r := Ref(id>>6<<16 | g)
	if invariant.Enabled {
		a.debugAlloc(r)
	}
	return r
}

// Free gives the cell r back. Its bytes must not be used again. O(1).
func (a *Arena) Free(r Ref) {
	if invariant.Enabled {
		a.debugFree(r)
	}
	c := a.chunks[r>>16]
	if c.huge {
		a.freeHuge(r)
		return
	}
	page := c.start[r>>10&63]
	id := uint32(r>>16)<<6 | uint32(page)
	s := &c.slabs[page]
	cl := &a.classes[s.class]
	cl.live--
	a.live -= int64(classes[s.class].size)
	a.count--
	if s.bump-s.free == 1 {
		a.dropSlab(c, id)
		return
	}
	g := uint16(r)
	binary.LittleEndian.PutUint16(c.mem[uint32(g)*granule:], s.head)
	s.head = g
	s.free++
	cl.free++
	switch s.state {
	case slabFull:
		s.state = slabPartial
		a.link(&cl.partial, id)
	case slabEvacuating:
		cl.evacLive--
		cl.evacFree++
	}
}

// Bytes returns the cell r, as long as its class is. The slice is valid until the cell is freed or the arena is
// reset, and must not be kept past the owner's lock. O(1).
func (a *Arena) Bytes(r Ref) []byte {
	c := a.chunks[r>>16]
	off := uint(r&0xffff) * granule
	end := off + uint(c.size[r>>10&63])
	return c.mem[off:end:end]
}

// Line returns 64 bytes at r as an array, which spares bounds checks later. r may also lie inside a cell; the line must
// not reach past the cell's end. A cell whose class is a multiple of 64 bytes begins at a multiple of 64.
func (a *Arena) Line(r Ref) *[64]byte {
	off := uint(r&0xffff) * granule
	return (*[64]byte)(a.chunks[r>>16].mem[off:])
}

// Size returns the size in bytes of the cell r: len(Bytes(r)). O(1).
func (a *Arena) Size(r Ref) int {
	return int(a.chunks[r>>16].size[r>>10&63])
}

// Room returns the bytes of address space left: those that new chunks could still provide. A huge cell takes as much
// as one chunk. O(1).
func (a *Arena) Room() int64 {
	return int64(maxChunks-len(a.chunks)+len(a.vacant)) * chunkSize
}

// Reset frees every cell and returns all memory to the system. O(chunks).
func (a *Arena) Reset() {
	for _, c := range a.chunks {
		if c != nil {
			unmap(c.mem)
		}
	}
	*a = *New()
}

// refill makes class k have a slab to allocate from, and returns it: one being evacuated rather than a new one.
func (a *Arena) refill(k int) uint32 {
	cl := &a.classes[k]
	if id := cl.evacuating; id != 0 {
		a.recall(cl, id)
		return id
	}
	tier := 0
	if cl.pages >= 64 {
		tier = 2
	} else if cl.pages >= 8 {
		tier = 1
	}
	id := a.newSlab(k, int(classes[k].run[tier]))
	a.link(&cl.partial, id)
	return id
}

// touch notes that size bytes at off are about to be written, which makes their pages resident.
func (a *Arena) touch(c *chunk, off, size uint32) {
	first, last := off/pageSize, (off+size-1)/pageSize
	fresh := mask(int(first), int(last-first+1)) &^ c.resident
	if fresh != 0 {
		c.resident |= fresh
		a.resident += bits.OnesCount64(fresh)
	}
}
