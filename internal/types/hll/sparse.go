package hll

import "slices"

// Sparse registers are runs, one after the other, of 16384 registers in all:
//
//	00nnnnnn           1 to 64 registers of rank 0 ("ZERO")
//	01nnnnnn nnnnnnnn  1 to 16384 registers of rank 0 ("XZERO")
//	1rrrrrnn           1 to 4 registers of one rank from 1 to 32 ("VAL")
//
// all numbers less one. The same registers can be written as different runs. Which ones
// come out depends on the order of the additions, and so does the moment at which a sketch
// turns dense; editor.set does what Redis does, so that the bytes are the same.

const (
	xzeroBit = 0x40
	valueBit = 0x80

	maxZeros  = 64
	maxValues = 4
	maxSparse = 32 // rank
)

// readRun decodes the run at an offset: how many bytes it takes, how many registers it
// covers and their rank. A size of 0 means that it is cut off.
func readRun(p []byte, at int) (size, run, rank int) {
	switch b := p[at]; {
	case b&valueBit != 0:
		return 1, int(b&3) + 1, int(b>>2&31) + 1
	case b&xzeroBit == 0:
		return 1, int(b) + 1, 0
	case at+1 < len(p):
		return 2, (int(b&^xzeroBit)<<8 | int(p[at+1])) + 1, 0
	}
	return 0, 0, 0
}

// eachRun gives the runs of a sparse sketch to fn; false if they are not of 16384 registers,
// and then fn has seen no more than that many.
func eachRun(p []byte, fn func(run, rank int)) bool {
	left := Registers
	for at := headerLen; at < len(p); {
		size, run, rank := readRun(p, at)
		if size == 0 || run > left {
			return false
		}
		fn(run, rank)
		left -= run
		at += size
	}
	return left == 0
}

// Sound tells whether the registers of a sketch, by Is, are as they should be. O(length).
func Sound(p []byte) bool {
	if !IsSparse(p) {
		return true
	}
	left := Registers
	for at := headerLen; at < len(p) && left >= 0; at++ {
		b := p[at]
		run := shortRun(b)
		if b>>6 == 1 {
			if at++; at == len(p) {
				return false
			}
			run = longRun(run, p[at])
		}
		left -= run
	}
	return left == 0
}

// The two loops that see most runs, Sound and find, tell a run's length without a branch on
// whether it has a rank, which nobody can predict: the mask is 63, or 3 for those that have.

func shortRun(b byte) int { return int(b&(63>>(b>>7<<2))) + 1 }

func longRun(short int, low byte) int { return (short-1)<<8 + int(low) + 1 }

// Runs gives the runs of a sparse sketch to fn: how many bytes each takes, how many registers
// it covers and their rank. It stops where the sketch does, or where a run is cut off.
// O(length).
func Runs(p []byte, fn func(size, run, rank int)) {
	for at := headerLen; at < len(p); {
		size, run, rank := readRun(p, at)
		if size == 0 {
			return
		}
		fn(size, run, rank)
		at += size
	}
}

func appendZeros(dst []byte, n int) []byte {
	if n > maxZeros {
		return append(dst, xzeroBit|byte((n-1)>>8), byte(n-1))
	}
	return append(dst, byte(n-1))
}

func valueRun(rank uint8, n int) byte { return valueBit | (rank-1)<<2 | byte(n-1) }

// editor changes registers of a sparse sketch. It remembers where it was, so that registers
// set in ascending order cost one walk together.
type editor struct {
	p     []byte
	limit int // bytes that p may have

	at, first int // a run and its first register: where walks begin
}

// found is a run with the one before it.
type found struct {
	at, first       int
	size, run, rank int
	before          int // offset of the run before, 0 where there is none
}

// find walks to the run with a register; false if there is none, because the runs are corrupt.
func (s *editor) find(index int) (f found, ok bool) {
	if index < s.first {
		s.at, s.first = headerLen, 0
	}
	p, at, first, before := s.p, s.at, s.first, 0
	for at < len(p) {
		b := p[at]
		end, next := first+shortRun(b), at+1
		if b>>6 == 1 {
			if next == len(p) {
				return f, false
			}
			end, next = first+longRun(end-first, p[next]), at+2
		}
		if index < end {
			break
		}
		before, at, first = at, next, end
	}
	switch {
	case at >= len(p):
		return f, false
	case before == 0 && at != headerLen: // the walk began here: what is before is not known
		s.at, s.first = headerLen, 0
		return s.find(index)
	}
	f = found{at: at, first: first, before: before}
	f.size, f.run, f.rank = readRun(p, at)
	if s.at, s.first = headerLen, 0; before != 0 {
		_, run, _ := readRun(p, before)
		s.at, s.first = before, first-run
	}
	return f, true
}

// outcome is what set has done.
type outcome uint8

const (
	raised    outcome = iota
	unchanged         // the register is as high already
	tooLarge          // the result cannot be sparse; nothing has changed
	corrupt           // there is no such register; nothing has changed
)

// set raises a register to a rank. O(length).
func (s *editor) set(index int, rank uint8) outcome {
	if rank > maxSparse {
		return tooLarge
	}
	f, ok := s.find(index)
	switch {
	case !ok:
		return corrupt
	case f.rank >= int(rank):
		return unchanged
	case f.size == 1 && f.run == 1:
		s.p[f.at] = valueRun(rank, 1)
	default:
		var buf [5]byte
		runs := f.split(buf[:0], index, rank)
		if grow := len(runs) - f.size; grow > 0 && len(s.p)+grow > s.limit {
			return tooLarge
		}
		s.p = slices.Replace(s.p, f.at, f.at+f.size, runs...)
	}
	s.join(max(f.before, headerLen))
	Invalidate(s.p)
	return raised
}

// split writes the run as up to three, of which one is the register alone with its new rank.
func (f *found) split(dst []byte, index int, rank uint8) []byte {
	rest := func(n int) {
		switch {
		case n == 0:
		case f.rank == 0:
			dst = appendZeros(dst, n)
		default:
			dst = append(dst, valueRun(uint8(f.rank), n))
		}
	}
	rest(index - f.first)
	dst = append(dst, valueRun(rank, 1))
	rest(f.first + f.run - 1 - index)
	return dst
}

// join unites neighbours of one rank, as far as a run reaches, in five steps from an offset on.
func (s *editor) join(at int) {
	for step := 0; step < 5 && at < len(s.p); step++ {
		size, run, rank := readRun(s.p, at)
		if rank > 0 && at+1 < len(s.p) {
			if _, run2, rank2 := readRun(s.p, at+1); rank2 == rank && run+run2 <= maxValues {
				s.p[at+1] = valueRun(uint8(rank), run+run2)
				s.p = slices.Delete(s.p, at, at+1)
				continue
			}
		}
		at += size
	}
}
