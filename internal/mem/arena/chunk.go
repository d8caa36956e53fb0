package arena

import (
	"math/bits"
	"os"

	"github.com/larderdb/larder/internal/invariant"
)

const maxChunks = 1 << 16

// chunk is 256 KiB of pages, or one huge cell.
type chunk struct {
	mem      []byte
	size     [pages]uint32 // bytes of a cell on this page; 0 where the page is free
	start    [pages]uint8  // first page of the slab that this page belongs to
	free     uint64        // pages that belong to no slab
	resident uint64        // pages written since the system gave them
	prev     *chunk        // neighbours in a bin
	next     *chunk
	number   uint16
	run      uint8 // longest run of free pages: the bin it is in
	huge     bool
	slabs    [pages]slab // by first page
}

// mask has n bits set from bit page on.
func mask(page, n int) uint64 {
	return (1<<uint(n) - 1) << uint(page)
}

// longestRun is the length of the longest run of ones in x, found by widening the zeros one step a round.
func longestRun(x uint64) (n int) {
	for ; x != 0; n++ {
		x &= x << 1
	}
	return n
}

// findRun is the first page of the lowest run of n ones in x, which has one.
func findRun(x uint64, n int) int {
	for have := 1; have < n; {
		step := min(have, n-have)
		x &= x >> uint(step)
		have += step
	}
	return bits.TrailingZeros64(x)
}

// bins lists chunks by the longest run of free pages they have.
type bins struct {
	head  [pages + 1]*chunk
	avail uint64 // bit n-1 is set when head[n] is not nil
}

func (b *bins) insert(c *chunk) {
	n := longestRun(c.free)
	c.run = uint8(n)
	if n == 0 {
		return
	}
	c.prev, c.next = nil, b.head[n]
	if c.next != nil {
		c.next.prev = c
	}
	b.head[n] = c
	b.avail |= 1 << uint(n-1)
}

func (b *bins) remove(c *chunk) {
	n := c.run
	if n == 0 {
		return
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else if b.head[n] = c.next; c.next == nil {
		b.avail &^= 1 << uint(n-1)
	}
	c.prev, c.next, c.run = nil, nil, 0
}

// fit is a chunk with the shortest sufficient run for n pages, or nil.
func (b *bins) fit(n int) *chunk {
	fits := b.avail >> uint(n-1)
	if fits == 0 {
		return nil
	}
	return b.head[n+bits.TrailingZeros64(fits)]
}

// number takes a chunk number that is not in use.
func (a *Arena) number() int {
	if n := len(a.vacant); n > 0 {
		number := a.vacant[n-1]
		a.vacant = a.vacant[:n-1]
		return int(number)
	}
	if len(a.chunks) == maxChunks {
		panic("arena: address space of a shard (16 GiB) is exhausted")
	}
	a.chunks = append(a.chunks, nil)
	return len(a.chunks) - 1
}

func (a *Arena) newChunk() *chunk {
	n := a.number()
	c := &chunk{mem: mmap(chunkSize), free: ^uint64(0), number: uint16(n)}
	a.chunks[n] = c
	a.mapped += chunkSize
	a.spare++
	a.bins.insert(c)
	return c
}

func (a *Arena) dropChunk(c *chunk) {
	gone := bits.OnesCount64(c.resident)
	a.resident -= gone
	a.idle -= gone
	a.mapped -= chunkSize
	a.spare--
	a.bins.remove(c)
	unmap(c.mem)
	a.chunks[c.number] = nil
	a.vacant = append(a.vacant, c.number)
}

// takePages finds a run of n free pages and takes it.
func (a *Arena) takePages(n int) (c *chunk, page int) {
	c = a.bins.fit(n)
	if c == nil {
		c = a.newChunk()
	}
	if c.free == ^uint64(0) {
		a.spare--
	}
	page = findRun(c.free, n)
	m := mask(page, n)
	a.bins.remove(c)
	c.free &^= m
	a.bins.insert(c)
	a.used += n
	a.idle -= bits.OnesCount64(m & c.resident)
	return c, page
}

// givePages returns a run of pages. The chunk goes back to the system when it is empty and not the only such one; its
// free pages do when the arena has many.
func (a *Arena) givePages(c *chunk, page, n int) {
	m := mask(page, n)
	a.bins.remove(c)
	c.free |= m
	a.bins.insert(c)
	a.used -= n
	a.idle += bits.OnesCount64(m & c.resident)
	if c.free == ^uint64(0) {
		a.spare++
		if a.spare > 1 {
			a.dropChunk(c)
			return
		}
	}
	// A call for a single page costs as much as for many, so chunks that have only a few wait for more, for a while.
	if most := 4 + a.used/64; a.idle > most && (bits.OnesCount64(c.free&c.resident) >= purgeAt || a.idle > 4*most) {
		a.purge(c)
	}
}

// purgeAt is how many free pages a chunk has at least when they are returned.
const purgeAt = 16

// purge returns c's free pages to the system, and keeps their addresses. Where the system's pages are longer than the
// arena's, only those that are free as a whole go.
func (a *Arena) purge(c *chunk) {
	for m := whole(c.free, systemPages); m != 0; {
		page := bits.TrailingZeros64(m)
		n := bits.TrailingZeros64(^(m >> uint(page)))
		run := mask(page, n)
		m &^= run
		gone := bits.OnesCount64(run & c.resident)
		if gone == 0 {
			continue
		}
		discard(c.mem[page*pageSize : (page+n)*pageSize])
		c.resident &^= run
		a.resident -= gone
		a.idle -= gone
	}
}

// systemPages is how many pages the system's page is long.
var systemPages = max(1, os.Getpagesize()/pageSize)

// whole is the part of x that consists of complete, aligned groups of n bits; n is a power of two.
func whole(x uint64, n int) (groups uint64) {
	group := mask(0, n)
	for ; group != 0; group <<= uint(n) {
		if x&group == group {
			groups |= group
		}
	}
	return groups
}

func (a *Arena) allocHuge(n int) Ref {
	if n > maxHuge {
		panic("arena: cell too large")
	}
	size := hugeSize(n)
	number := a.number()
	c := &chunk{mem: mmap(size), number: uint16(number), huge: true}
	c.size[0] = uint32(size)
	a.chunks[number] = c
	a.mapped += int64(size)
	a.huge += int64(size)
	a.live += int64(size)
	a.count++
	r := Ref(number << 16)
	if invariant.Enabled {
		a.debugAlloc(r)
	}
	return r
}

func (a *Arena) freeHuge(r Ref) {
	c := a.chunks[r>>16]
	size := int64(len(c.mem))
	unmap(c.mem)
	a.chunks[c.number] = nil
	a.vacant = append(a.vacant, c.number)
	a.mapped -= size
	a.huge -= size
	a.live -= size
	a.count--
}
