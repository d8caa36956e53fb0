package session

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync/atomic"
)

// listings remembers until when sessions stand in their lists, of those that this process found or committed last: long
// enough from the Find of a request to its Commit. What it has forgotten costs a script in place of a SET.
//
// A slot holds 32 bits of a session's hash and a time in whole seconds, rounded down. Who comes later takes it over. Two
// sessions with the same 46 bits would be taken for each other: then All may miss one of them for a while.
type listings [1 << 14]atomic.Uint64

func (l *listings) slot(sum *[sha256.Size]byte) (*atomic.Uint64, uint32) {
	at := binary.LittleEndian.Uint16(sum[4:]) % uint16(len(l))
	return &l[at], binary.LittleEndian.Uint32(sum[:])
}

// remember notes that a session is listed until a time in Unix ms.
func (l *listings) remember(sum *[sha256.Size]byte, until int64) {
	slot, tag := l.slot(sum)
	slot.Store(uint64(tag)<<32 | uint64(min(until/1000, math.MaxUint32))) //nolint:gosec // until is not negative
}

// until is what was remembered, to the second below; 0 if nothing was.
func (l *listings) until(sum *[sha256.Size]byte) int64 {
	slot, tag := l.slot(sum)
	v := slot.Load()
	if uint32(v>>32) != tag { //nolint:gosec // the upper half
		return 0
	}
	return int64(v&math.MaxUint32) * 1000 //nolint:gosec // 32 bits
}
