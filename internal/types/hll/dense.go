package hll

// Dense registers: four of them in three bytes, the lowest bits first.

// getDense returns a register.
func getDense(r []byte, index int) uint8 {
	at, shift := index*rankBits/8, index*rankBits%8
	v := r[at] >> shift
	if shift > 8-rankBits { // the rest is in the next byte
		v |= r[at+1] << (8 - shift)
	}
	return v & (1<<rankBits - 1)
}

// setDense raises a register to a rank; false if it is as high already.
func setDense(r []byte, index int, rank uint8) bool {
	if getDense(r, index) >= rank {
		return false
	}
	putDense(r, index, rank)
	return true
}

func putDense(r []byte, index int, rank uint8) {
	const mask = 1<<rankBits - 1
	at, shift := index*rankBits/8, index*rankBits%8
	r[at] = r[at]&^(mask<<shift) | rank<<shift
	if shift > 8-rankBits {
		r[at+1] = r[at+1]&^(mask>>(8-shift)) | rank>>(8-shift)
	}
}

// eachFour gives the registers to fn, four at a time.
func eachFour(r []byte, fn func(i int, a, b, c, d uint8)) {
	const mask = 1<<rankBits - 1
	for i := 0; len(r) >= 3; i, r = i+4, r[3:] {
		w := uint32(r[0]) | uint32(r[1])<<8 | uint32(r[2])<<16
		fn(i, uint8(w&mask), uint8(w>>6&mask), uint8(w>>12&mask), uint8(w>>18&mask))
	}
}
