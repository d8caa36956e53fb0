// Package history holds what an eviction policy remembers beside the records themselves: the order in which young keys
// came (Queue), and which keys went not long ago (Ghosts). Both are slices without pointers, one of each per shard, so
// that the collector has nothing to scan and no lock is shared.
//
// Keys are known by their hash alone. A record may move or go without a word to the queue: whoever takes a hash out of
// it looks the record up, and finds it or does not.
package history

// Queue is a first-in, first-out queue of numbers, in a ring. The zero Queue is empty.
type Queue struct {
	ring []uint64
	head int
	n    int
}

const minQueue = 8 // places in the shortest ring

// Len is the number of entries. O(1).
func (q *Queue) Len() int { return q.n }

// Bytes is what the ring takes.
func (q *Queue) Bytes() int64 { return int64(cap(q.ring)) * 8 }

// Push adds an entry behind all others. O(1) amortized.
func (q *Queue) Push(v uint64) {
	if q.n == len(q.ring) {
		q.resize(q.n + max(minQueue, q.n/8))
	}
	at := q.head + q.n
	if at >= len(q.ring) {
		at -= len(q.ring)
	}
	q.ring[at] = v
	q.n++
}

// Peek is the first entry; false where there is none.
func (q *Queue) Peek() (uint64, bool) {
	if q.n == 0 {
		return 0, false
	}
	return q.ring[q.head], true
}

// Pop takes the first entry out; false where there is none. A ring that is nearly empty becomes shorter. O(1) amortized.
func (q *Queue) Pop() (uint64, bool) {
	if q.n == 0 {
		return 0, false
	}
	v := q.ring[q.head]
	if q.head++; q.head == len(q.ring) {
		q.head = 0
	}
	if q.n--; q.n == 0 {
		*q = Queue{}
	} else if len(q.ring) > 4*minQueue && q.n <= len(q.ring)/2 {
		q.resize(q.n + max(minQueue, q.n/8))
	}
	return v, true
}

func (q *Queue) resize(places int) {
	ring := make([]uint64, places)
	k := copy(ring, q.ring[q.head:min(q.head+q.n, len(q.ring))])
	copy(ring[k:], q.ring[:q.n-k])
	q.ring, q.head = ring, 0
}
