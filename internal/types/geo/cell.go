package geo

// cell is a part of the world: column x and row y of 2^step columns and rows, counted from the
// west and from the south.
type cell struct {
	x, y uint32
	step uint
}

// cellOf returns the cell of a step that a place is in. Places on the eastern and the northern
// limit are in a column or row behind the last.
func cellOf(p Place, step uint) cell {
	scale := float64(uint64(1) << step)
	return cell{uint32(fraction(p.Longitude, MaxLongitude) * scale), uint32(fraction(p.Latitude, MaxLatitude) * scale), step}
}

// fraction tells how far on the way from -limit to limit x is.
func fraction(x, limit float64) float64 { return (x + limit) / (2 * limit) }

// bits is the cell's geohash.
func (c cell) bits() uint64 { return interleave(c.x, c.y) }

// corners are the cell's south-western and north-eastern ones.
func (c cell) corners() (low, high Place) {
	at := func(i uint32, limit float64) float64 {
		return -limit + float64(float64(i)/float64(uint64(1)<<c.step)*(2*limit))
	}
	return Place{at(c.x, MaxLongitude), at(c.y, MaxLatitude)}, Place{at(c.x+1, MaxLongitude), at(c.y+1, MaxLatitude)}
}

// moved is a neighbour, so many columns to the east and rows to the north, round the world.
func (c cell) moved(east, north int) cell {
	mask := uint32(1)<<c.step - 1
	if east != 0 {
		c.x = (c.x + uint32(east)) & mask
	}
	if north != 0 {
		c.y = (c.y + uint32(north)) & mask
	}
	return c
}

// scores is the range of scores of the places in the cell.
func (c cell) scores() Range {
	shift, bits := 2*(maxStep-c.step), c.bits()
	return Range{bits << shift, (bits + 1) << shift}
}

// interleave puts the bits of y to the even and those of x to the odd positions.
func interleave(x, y uint32) uint64 { return spread(y) | spread(x)<<1 }

func deinterleave(bits uint64) (x, y uint32) { return gather(bits >> 1), gather(bits) }

// spread moves bit i to bit 2i, halving the distances that are left in each step.
func spread(v uint32) uint64 {
	w := uint64(v)
	w = (w | w<<16) & 0x0000ffff0000ffff
	w = (w | w<<8) & 0x00ff00ff00ff00ff
	w = (w | w<<4) & 0x0f0f0f0f0f0f0f0f
	w = (w | w<<2) & 0x3333333333333333
	return (w | w<<1) & 0x5555555555555555
}

// gather undoes spread; odd bits are left out.
func gather(w uint64) uint32 {
	w &= 0x5555555555555555
	w = (w | w>>1) & 0x3333333333333333
	w = (w | w>>2) & 0x0f0f0f0f0f0f0f0f
	w = (w | w>>4) & 0x00ff00ff00ff00ff
	w = (w | w>>8) & 0x0000ffff0000ffff
	return uint32(w | w>>16)
}
