package arena

// What a slab is to its class.
const (
	slabNone       = iota
	slabPartial    // has free cells: on the class's list
	slabFull       // has none: on no list
	slabEvacuating // has free cells, but allocation avoids it: on the class's other list
)

// slab is a run of pages with cells of one class. It is named by its chunk's number and first page: number<<6 | page.
type slab struct {
	prev, next uint32 // neighbours on a list of the class; 0 = none
	head       uint16 // first free cell, as a granule of the chunk; it holds the next one. Only if free > 0
	free       uint16 // cells on the free list
	bump       uint16 // cells ever handed out: the next one lies behind them
	cells      uint16 // cells in all
	class      uint8
	pages      uint8
	state      uint8
}

// live is the number of cells in use.
func (s *slab) live() int { return int(s.bump - s.free) }

// classState is what an arena has of one class.
type classState struct {
	partial    uint32 // list of slabs to allocate from
	evacuating uint32 // list of slabs to be emptied
	slabs      uint32
	pages      uint32
	live       uint32 // cells in use
	free       uint32 // cells on free lists
	evacLive   uint32 // the same two, of the slabs to be emptied
	evacFree   uint32
	compacting bool
}

func (a *Arena) slab(id uint32) *slab { return &a.chunks[id>>6].slabs[id&63] }

// link puts a slab at the head of a list: a full slab that has just lost a cell is the next to be allocated from,
// which keeps full slabs full and lets sparse ones drain.
func (a *Arena) link(list *uint32, id uint32) {
	s := a.slab(id)
	s.prev, s.next = 0, *list
	if s.next != 0 {
		a.slab(s.next).prev = id
	}
	*list = id
}

func (a *Arena) unlink(list *uint32, id uint32) {
	s := a.slab(id)
	if s.next != 0 {
		a.slab(s.next).prev = s.prev
	}
	if s.prev != 0 {
		a.slab(s.prev).next = s.next
	} else {
		*list = s.next
	}
	s.prev, s.next = 0, 0
}

// newSlab makes a slab of class k on n pages, which is on no list yet.
func (a *Arena) newSlab(k, n int) uint32 {
	c, page := a.takePages(n)
	size := classes[k].size
	c.slabs[page] = slab{cells: uint16(n * pageSize / int(size)), class: uint8(k), pages: uint8(n), state: slabPartial}
	for p := page; p < page+n; p++ {
		c.size[p], c.start[p] = size, uint8(page)
	}
	cl := &a.classes[k]
	cl.slabs++
	cl.pages += uint32(n)
	return uint32(c.number)<<6 | uint32(page)
}

// dropSlab returns the pages of a slab whose last live cell has just gone.
func (a *Arena) dropSlab(c *chunk, id uint32) {
	page := int(id & 63)
	s := &c.slabs[page]
	cl := &a.classes[s.class]
	switch s.state {
	case slabPartial:
		a.unlink(&cl.partial, id)
	case slabEvacuating:
		a.unlink(&cl.evacuating, id)
		cl.evacLive--
		cl.evacFree -= uint32(s.free)
	}
	n := int(s.pages)
	cl.slabs--
	cl.pages -= uint32(n)
	cl.free -= uint32(s.free)
	for p := page; p < page+n; p++ {
		c.size[p] = 0
	}
	*s = slab{}
	a.givePages(c, page, n)
}
