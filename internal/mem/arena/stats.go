package arena

// Stats is the arithmetic of an arena.
type Stats struct {
	Live     int64 // bytes in live cells, their classes' rounding included
	Cells    int64 // live cells
	Mapped   int64 // bytes of address space taken from the system
	Resident int64 // bytes written since the system gave them, which is an upper bound of what they occupy
	Idle     int64 // those of them in no slab and no huge cell
	Slabs    int64 // bytes in slabs and huge cells, live or not
}

// Stats returns the arena's figures. O(1).
func (a *Arena) Stats() Stats {
	return Stats{
		Live:     a.live,
		Cells:    a.count,
		Mapped:   a.mapped,
		Resident: int64(a.resident)*pageSize + a.huge,
		Idle:     int64(a.idle) * pageSize,
		Slabs:    int64(a.used)*pageSize + a.huge,
	}
}

// ClassStats is what an arena has of one size class.
type ClassStats struct {
	Size  int // bytes of a cell
	Slabs int
	Pages int
	Live  int // cells in use
	Free  int // cells handed out before and free now
}

// Classes calls fn with every class that has a slab, in ascending order of size. O(classes).
func (a *Arena) Classes(fn func(ClassStats)) {
	for k := range a.classes {
		if cl := &a.classes[k]; cl.slabs > 0 {
			fn(ClassStats{
				Size:  int(classes[k].size),
				Slabs: int(cl.slabs),
				Pages: int(cl.pages),
				Live:  int(cl.live),
				Free:  int(cl.free),
			})
		}
	}
}

// Live returns Stats().Live: what maxmemory is held against, asked after every command. O(1).
func (a *Arena) Live() int64 { return a.live }
