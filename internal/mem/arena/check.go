package arena

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Check walks the whole arena and returns an error when its bookkeeping contradicts itself. O(pages + free cells).
func (a *Arena) Check() error {
	var sum account
	var state [numClasses]classState
	for number, c := range a.chunks {
		if c == nil {
			continue
		}
		if int(c.number) != number {
			return fmt.Errorf("chunk %d calls itself %d", number, c.number)
		}
		sum.mapped += int64(len(c.mem))
		if c.huge {
			sum.huge += int64(len(c.mem))
			sum.live += int64(len(c.mem))
			sum.count++
			continue
		}
		if err := c.check(&sum, &state); err != nil {
			return fmt.Errorf("chunk %d: %w", number, err)
		}
	}
	if sum != a.account {
		return fmt.Errorf("account is %+v, found %+v", a.account, sum)
	}
	if a.cells != nil && int64(len(a.cells)) != a.count {
		return fmt.Errorf("%d cells are known, %d counted", len(a.cells), a.count)
	}
	for k := range state {
		if err := a.checkClass(k, &state[k]); err != nil {
			return fmt.Errorf("class of %d bytes: %w", classes[k].size, err)
		}
	}
	return a.bins.check()
}

// check adds up a chunk and verifies that its slabs and free pages tile it.
func (c *chunk) check(sum *account, state *[numClasses]classState) error {
	free := uint64(0)
	for p := 0; p < pages; {
		if c.size[p] == 0 {
			free |= 1 << uint(p)
			p++
			continue
		}
		s := &c.slabs[p]
		if err := c.checkSlab(p); err != nil {
			return fmt.Errorf("slab at page %d: %w", p, err)
		}
		cl := &state[s.class]
		cl.slabs++
		cl.pages += uint32(s.pages)
		cl.live += uint32(s.live())
		cl.free += uint32(s.free)
		if s.state == slabEvacuating {
			cl.evacLive += uint32(s.live())
			cl.evacFree += uint32(s.free)
		}
		sum.used += int(s.pages)
		sum.count += int64(s.live())
		sum.live += int64(s.live()) * int64(classes[s.class].size)
		p += int(s.pages)
	}
	if free != c.free {
		return fmt.Errorf("free pages are %#x, found %#x", c.free, free)
	}
	if int(c.run) != longestRun(free) {
		return fmt.Errorf("in bin %d, longest run is %d", c.run, longestRun(free))
	}
	if free == ^uint64(0) {
		sum.spare++
	}
	sum.resident += bits.OnesCount64(c.resident)
	sum.idle += bits.OnesCount64(c.resident & free)
	return nil
}

// checkSlab verifies one slab: its pages, its counts, and every cell of its free list.
func (c *chunk) checkSlab(page int) error {
	s := &c.slabs[page]
	size := int(classes[s.class].size)
	if s.pages == 0 || page+int(s.pages) > pages || int(s.cells)*size > int(s.pages)*pageSize {
		return fmt.Errorf("%d cells of %d bytes on %d pages", s.cells, size, s.pages)
	}
	for p := page; p < page+int(s.pages); p++ {
		if int(c.start[p]) != page || int(c.size[p]) != size {
			return fmt.Errorf("page %d belongs to slab %d of size %d", p, c.start[p], c.size[p])
		}
	}
	if s.free >= s.bump || s.bump > s.cells {
		return fmt.Errorf("%d free of %d handed out of %d", s.free, s.bump, s.cells)
	}
	if full := s.free == 0 && s.bump == s.cells; s.state == slabNone || full != (s.state == slabFull) {
		return fmt.Errorf("state %d with %d free of %d handed out of %d", s.state, s.free, s.bump, s.cells)
	}
	seen := make(map[uint16]bool, s.free)
	for g, n := s.head, s.free; n > 0; n-- {
		off := int(g)*granule - page*pageSize
		if off < 0 || off%size != 0 || off/size >= int(s.bump) || seen[g] {
			return fmt.Errorf("free list has granule %d, which is no free cell of it", g)
		}
		seen[g] = true
		g = binary.LittleEndian.Uint16(c.mem[int(g)*granule:])
	}
	return nil
}

// checkClass compares the state of class k with what was found, and walks its lists.
func (a *Arena) checkClass(k int, found *classState) error {
	cl := a.classes[k]
	lists := [2]uint32{cl.partial, cl.evacuating}
	found.partial, found.evacuating, found.compacting = cl.partial, cl.evacuating, cl.compacting
	if *found != cl {
		return fmt.Errorf("state is %+v, found %+v", cl, *found)
	}
	for i, want := range [2]uint8{slabPartial, slabEvacuating} {
		prev, n := uint32(0), 0
		for id := lists[i]; id != 0; id = a.slab(id).next {
			s := a.slab(id)
			if s.prev != prev || s.state != want || int(s.class) != k {
				return fmt.Errorf("slab %#x on list %d: prev %#x, state %d, class %d", id, want, s.prev, s.state, s.class)
			}
			if prev, n = id, n+1; n > int(cl.slabs) {
				return fmt.Errorf("list %d is a ring", want)
			}
		}
	}
	return nil
}

func (b *bins) check() error {
	for n, head := range b.head {
		if n > 0 && (head != nil) != (b.avail>>uint(n-1)&1 == 1) {
			return fmt.Errorf("bin %d: bitmap is wrong", n)
		}
		var prev *chunk
		for c := head; c != nil; c = c.next {
			if int(c.run) != n || c.prev != prev {
				return fmt.Errorf("bin %d: chunk %d is of run %d", n, c.number, c.run)
			}
			prev = c
		}
	}
	return nil
}

// debugAlloc notes a live cell and fills it, so that nobody relies on its content.
func (a *Arena) debugAlloc(r Ref) {
	if _, ok := a.cells[r]; ok {
		panic("invariant broken: arena: allocated a live cell")
	}
	a.cells[r] = struct{}{}
	fill(a.Bytes(r), 0xa5)
}

// debugFree refuses a cell that is not live, and spoils the bytes for whoever still reads them.
func (a *Arena) debugFree(r Ref) {
	if _, ok := a.cells[r]; !ok {
		panic("invariant broken: arena: freed a cell that is not live")
	}
	delete(a.cells, r)
	fill(a.Bytes(r), 0xdf)
}

// fill writes v over a cell, of a huge one only the beginning.
func fill(b []byte, v byte) {
	for i := range b[:min(len(b), 4096)] {
		b[i] = v
	}
}
