package history

// Sketch estimates how often keys were used: a count-min sketch of counters of four bits (Cormode and Muthukrishnan, 2005)
// that are all halved from time to time, so that what was long ago counts less. Four counters stand for a key, all in one
// line of 64 bytes, so that reading or writing them waits for memory once; the least of them is the estimate, which is
// never below the truth but for the halving and the limit of 15.
//
// The zero Sketch knows nothing and remembers nothing.
type Sketch struct{ words []uint64 }

const (
	lineWords    = 8  // of 64 bits, in a line
	perWord      = 16 // counters
	countersEach = 4  // counters that one key of those there is room for amounts to: two bytes
)

// Bytes is what the counters take.
func (s *Sketch) Bytes() int64 { return int64(cap(s.words)) * 8 }

// Resize makes room for about n keys, 0 for none at all, and forgets all there are. O(n).
func (s *Sketch) Resize(n int) {
	if n <= 0 {
		s.words = nil
		return
	}
	const perLine = lineWords * perWord / countersEach
	s.words = make([]uint64, (n+perLine-1)/perLine*lineWords)
}

// line is the line of a hash, whose lowest bits choose a shard and are left out. The sketch must not be empty.
func (s *Sketch) line(hash uint64) *[lineWords]uint64 {
	i := int((hash >> 32) * uint64(len(s.words)/lineWords) >> 32)
	return (*[lineWords]uint64)(s.words[i*lineWords:])
}

// Each of the four rows of a line is two words: 32 counters, so five bits of the hash choose one.
func place(hash uint64, row int) (word int, shift uint) {
	bits := uint(hash>>(6+5*row)) & 31
	return 2*row + int(bits>>4), bits & 15 * 4
}

// Estimate is about how often a key was used, at most 15. O(1).
func (s *Sketch) Estimate(hash uint64) uint8 {
	if len(s.words) == 0 {
		return 0
	}
	line, least := s.line(hash), uint64(15)
	for row := range 4 {
		w, shift := place(hash, row)
		least = min(least, line[w]>>shift&15)
	}
	return uint8(least)
}

// Raise makes the estimate of a key n or more, 15 at most. O(1).
func (s *Sketch) Raise(hash uint64, n uint8) {
	if len(s.words) == 0 {
		return
	}
	line := s.line(hash)
	for row := range 4 {
		w, shift := place(hash, row)
		if line[w]>>shift&15 < uint64(min(n, 15)) {
			line[w] = line[w]&^(15<<shift) | uint64(min(n, 15))<<shift
		}
	}
}

// Halve halves every counter. O(room), at 16 counters a step.
func (s *Sketch) Halve() {
	for i, w := range s.words {
		s.words[i] = w >> 1 & 0x7777777777777777
	}
}
