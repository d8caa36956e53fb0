package hll

// Union is the registers of several sketches together, a byte each. The zero Union has seen
// nothing.
type Union [Registers]uint8

// Merge adds a sketch, by Is; false if its registers are corrupt, and then the union is of
// no more use. O(Registers).
func (u *Union) Merge(p []byte) bool {
	if !IsSparse(p) {
		eachFour(p[headerLen:], func(i int, a, b, c, d uint8) {
			four := u[i : i+4 : i+4]
			four[0], four[1], four[2], four[3] = max(four[0], a), max(four[1], b), max(four[2], c), max(four[3], d)
		})
		return true
	}
	at := 0
	return eachRun(p, func(run, rank int) {
		if rank > 0 {
			for i := range run {
				u[at+i] = max(u[at+i], uint8(rank))
			}
		}
		at += run
	})
}

// Estimate returns how many different elements the sketches have probably seen together.
// O(Registers).
func (u *Union) Estimate() uint64 {
	var h histogram
	for _, rank := range u {
		h[rank&63]++
	}
	return h.estimate()
}

// Store raises the registers of a sketch, which is Sound, to those of the union and returns
// it, as Add does; the estimate is out of date then. O(Registers).
func (u *Union) Store(p []byte, limit int) []byte {
	s := editor{p: p, limit: limit, at: headerLen}
	for index, rank := range u {
		if rank == 0 {
			continue
		}
		switch {
		case !IsSparse(s.p):
			setDense(s.p[headerLen:], index, rank)
		case s.set(index, rank) == tooLarge:
			s.p = s.promote(index, rank)
		}
	}
	Invalidate(s.p)
	return s.p
}

// Ranks returns the registers of a sketch that is Sound. O(Registers).
func Ranks(p []byte) *Union {
	u := new(Union)
	u.Merge(p)
	return u
}
