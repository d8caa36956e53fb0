package main

import (
	"container/heap"
	"math"
)

// exactLRU is the hit ratio of true LRU with room for so many keys.
func exactLRU(t trace, room int) float64 {
	// A ring through the keys that are held; the place behind the last key is its head.
	head := int32(t.keys)
	prev, next := make([]int32, t.keys+1), make([]int32, t.keys+1)
	held := make([]bool, t.keys)
	prev[head], next[head] = head, head
	unlink := func(k int32) { next[prev[k]], prev[next[k]] = next[k], prev[k] }
	n, hits := 0, 0
	for _, k := range t.accesses {
		switch {
		case held[k]:
			hits++
			unlink(k)
		case n == room:
			last := prev[head]
			unlink(last)
			held[last] = false
		default:
			n++
		}
		held[k] = true
		prev[k], next[k] = head, next[head]
		prev[next[head]], next[head] = k, k
	}
	return float64(hits) / float64(len(t.accesses))
}

// optimum is the hit ratio of Belady's rule: the key goes that is needed again last. Every key that misses is taken in, as by a
// cache that must hold what it has just fetched.
func optimum(t trace, room int) float64 {
	again := make([]int32, len(t.accesses)) // when the key of an access is accessed next
	soon := make([]int32, t.keys)
	for k := range soon {
		soon[k] = math.MaxInt32
	}
	for i := len(t.accesses) - 1; i >= 0; i-- {
		k := t.accesses[i]
		again[i], soon[k] = soon[k], int32(i)
	}
	const out = -1
	held := make([]int32, t.keys) // when a key that is held is accessed next
	for k := range held {
		held[k] = out
	}
	var far farthest
	n, hits := 0, 0
	for i, k := range t.accesses {
		switch {
		case held[k] != out:
			hits++
		case n == room:
			for {
				x, _ := heap.Pop(&far).(need)
				if held[x.key] == x.at { // else it has been accessed since
					held[x.key] = out
					break
				}
			}
		default:
			n++
		}
		held[k] = again[i]
		heap.Push(&far, need{again[i], k})
	}
	return float64(hits) / float64(len(t.accesses))
}

// need is when a key is accessed next; farthest is a heap of them with the last on top.
type need struct{ at, key int32 }

type farthest []need

func (f farthest) Len() int           { return len(f) }
func (f farthest) Less(i, j int) bool { return f[i].at > f[j].at }
func (f farthest) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *farthest) Push(x any)        { n, _ := x.(need); *f = append(*f, n) }
func (f *farthest) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
