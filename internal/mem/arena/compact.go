package arena

// Compaction empties slabs of a class with many holes: when a quarter of the cells that were handed out lie free, and
// until a tenth does, slabs at or below the class's mean occupancy are evacuated, as long as the free cells of the
// others have room for what they hold. The arena moves nothing itself, since it does not know who refers to a cell: the
// owner walks its references, asks Sparse of each, and moves those cells. Allocation avoids the slabs meanwhile, but
// takes them back before it asks for new pages, so an evacuation that nobody finishes costs nothing.

const (
	compactStart = 4  // begin when free >= (live+free)/4
	compactStop  = 10 // end when free <= (live+free)/10
	compactSlabs = 3  // a class of fewer slabs is left alone
)

// Sparse reports whether the cell r lies in a slab that compaction wants empty. The owner should then move the cell:
// Alloc, copy, correct its references, Free. Asking may mark the slab. O(1).
func (a *Arena) Sparse(r Ref) bool {
	c := a.chunks[r>>16]
	if c.huge {
		return false
	}
	page := c.start[r>>10&63]
	s := &c.slabs[page]
	switch s.state {
	case slabEvacuating:
		return true
	case slabPartial:
		return a.evacuate(s, uint32(r>>16)<<6|uint32(page))
	default:
		return false
	}
}

// evacuate marks a slab to be emptied if its class is worth it.
func (a *Arena) evacuate(s *slab, id uint32) bool {
	cl := &a.classes[s.class]
	if !cl.fragmented() {
		return false
	}
	live, free := uint64(s.live()), uint64(s.free)
	if live*uint64(cl.live+cl.free) > uint64(cl.live)*(live+free) {
		return false // fuller than the mean
	}
	if uint64(cl.evacLive)+live > uint64(cl.free-cl.evacFree)-free {
		return false // the others could not hold it
	}
	a.unlink(&cl.partial, id)
	s.state = slabEvacuating
	a.link(&cl.evacuating, id)
	cl.evacLive += uint32(live)
	cl.evacFree += uint32(free)
	return true
}

// fragmented tells whether the class is to be compacted, with hysteresis.
func (cl *classState) fragmented() bool {
	all := uint64(cl.live) + uint64(cl.free)
	if cl.compacting {
		cl.compacting = uint64(cl.free)*compactStop > all
	} else {
		cl.compacting = uint64(cl.free)*compactStart >= all && cl.slabs >= compactSlabs
	}
	return cl.compacting
}

// recall takes a slab back into service.
func (a *Arena) recall(cl *classState, id uint32) {
	s := a.slab(id)
	a.unlink(&cl.evacuating, id)
	s.state = slabPartial
	a.link(&cl.partial, id)
	cl.evacLive -= uint32(s.live())
	cl.evacFree -= uint32(s.free)
}
