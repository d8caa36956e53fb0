package history

// Ghost is what is remembered of a key that went.
type Ghost struct {
	Stamp  uint32 // StampBits bits of the policy's clock
	Count  uint8  // 4 bits: how often it was used
	Origin uint8  // 1 bit
}

// Bits of a ghost's parts. An entry is one word: fingerprint, origin, count and stamp from the top.
const (
	StampBits = 13
	countBits = 4
	printBits = 32 - StampBits - countBits - 1

	perBucket = 8 // entries of half a cache line
)

// Ghosts remembers the keys that went last, four bytes each: buckets of eight words, chosen by a key's hash, in which a
// newcomer takes the place of the oldest. So a key is forgotten when about as many went after it as there are places; it
// may be some sooner or later, and one in two thousand that never were here is taken for one that was (eight entries
// times 2^-14 for each of them). The zero Ghosts has no place and remembers nothing.
type Ghosts struct{ words []uint32 }

// Places is for how many keys there is room.
func (g *Ghosts) Places() int { return len(g.words) }

// Bytes is what they take.
func (g *Ghosts) Bytes() int64 { return int64(cap(g.words)) * 4 }

// Resize makes room for about n keys, 0 for none at all, and forgets all there are. O(n).
func (g *Ghosts) Resize(n int) {
	if n <= 0 {
		g.words = nil
		return
	}
	g.words = make([]uint32, (n+perBucket-1)/perBucket*perBucket)
}

// bucket is the bucket of a hash, which must not be empty. The lowest bits choose a shard, and serve for neither bucket nor fingerprint.
func (g *Ghosts) bucket(hash uint64) []uint32 {
	i := int((hash >> 32) * uint64(len(g.words)/perBucket) >> 32)
	return g.words[i*perBucket:][:perBucket:perBucket]
}

// printOf is the fingerprint of a hash, never 0: a word of 0 is an empty place.
func printOf(hash uint64) uint32 {
	p := uint32(hash>>8) & (1<<printBits - 1)
	if p == 0 {
		return 1
	}
	return p
}

const stampMask = 1<<StampBits - 1

func (h Ghost) word(print uint32) uint32 {
	return print<<(32-printBits) | uint32(h.Origin&1)<<(StampBits+countBits) | uint32(h.Count&(1<<countBits-1))<<StampBits | h.Stamp&stampMask
}

// Put remembers a key, at the time now of the policy's clock. O(1).
func (g *Ghosts) Put(hash uint64, now uint32, h Ghost) {
	if len(g.words) == 0 {
		return
	}
	b, print := g.bucket(hash), printOf(hash)
	at, oldest := 0, int64(-1)
	for i, w := range b {
		age := int64((now - w) & stampMask)
		if w == 0 || w>>(32-printBits) == print {
			at = i
			break
		}
		if age > oldest {
			at, oldest = i, age
		}
	}
	b[at] = h.word(print)
}

// Take forgets a key and returns what was known of it; false where that is nothing. O(1).
func (g *Ghosts) Take(hash uint64) (Ghost, bool) {
	if len(g.words) == 0 {
		return Ghost{}, false
	}
	print := printOf(hash)
	for i, w := range g.bucket(hash) {
		if w>>(32-printBits) == print {
			g.bucket(hash)[i] = 0
			return Ghost{
				Stamp:  w & stampMask,
				Count:  uint8(w >> StampBits & (1<<countBits - 1)),
				Origin: uint8(w >> (StampBits + countBits) & 1),
			}, true
		}
	}
	return Ghost{}, false
}
