package engine

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"sync"

	"github.com/larderdb/larder/internal/glob"
	"github.com/larderdb/larder/internal/mem/table"
)

// Naming says how keys fall into namespaces: by the prefix that ends at the Depth-th separator, or by the first of
// some glob patterns that fits. The zero value is no namespaces.
type Naming struct {
	Depth     int      // how many parts of a key name its namespace; with fewer separators, as many as there are
	Separator byte     // between parts
	Patterns  []string // instead of Depth: a namespace each
	Max       int      // namespaces at the most; keys of others count as OtherNamespace together
}

// OtherNamespace is the name of what has no namespace of its own: keys that no pattern fits, and those of prefixes that
// came when there were Max already. Keys without a separator are of the namespace "".
const OtherNamespace = "(other)"

// longestName is how many bytes of a key are searched for separators.
const longestName = 128

func (n *Naming) off() bool { return n.Depth == 0 && len(n.Patterns) == 0 }

// names are the namespaces of a Naming. A namespace has an identity of 64 bits, by which shards find it without a
// look at its name: the prefix itself where that is short, else a hash of it.
type names struct {
	Naming
	seed       uint64
	separators uint64    // eight of them
	patterns   []pattern // the parsed form of Patterns

	mu    sync.RWMutex
	known map[uint64]string
}

const (
	otherSpace = ^uint64(0)
	longSpace  = 1 << 63 // a hash
	numbered   = 1 << 62 // the number of a pattern
	shortLen   = 7       // bytes of a prefix that fit beside its length
)

func newNames(n Naming, seed uint64) *names {
	s := &names{Naming: n, seed: seed, separators: uint64(n.Separator) * low, known: make(map[uint64]string)}
	for i, p := range n.Patterns {
		s.known[numbered|uint64(i)] = p
		head := strings.IndexAny(p, `*?[\`)
		if head < 0 {
			head = len(p)
		}
		s.patterns = append(s.patterns, pattern{[]byte(p), p[:head], head == len(p)-1 && p[head] == '*'})
	}
	return s
}

// pattern is a glob pattern and the literal bytes that it begins with.
type pattern struct {
	text     []byte
	head     string
	anything bool // may follow
}

const low, high = 0x0101010101010101, 0x8080808080808080

// idOf is the identity of a key's namespace, and the length of the prefix that names it. It allocates nothing. Prefixes
// of one part are found and hashed a word at a time: subtracting one from each byte of what differs from the separator
// borrows first where nothing differs.
func (n *names) idOf(key []byte) (id uint64, end int) {
	if n.Depth != 1 || len(key) < 8 {
		return n.search(key)
	}
	h := n.seed
	for at := 0; at <= longestName; at += 8 {
		left := len(key) - at
		if left <= 0 {
			break
		}
		var w uint64
		if left >= 8 {
			w = binary.LittleEndian.Uint64(key[at:])
		} else {
			w = binary.LittleEndian.Uint64(key[len(key)-8:]) >> (64 - left<<3)
		}
		x := w ^ n.separators
		z := (x - low) &^ x & high
		if z == 0 {
			h = stir(h ^ w)
			continue
		}
		p := bits.TrailingZeros64(z) >> 3
		if p >= left || at+p > longestName {
			break // a zero behind the key's end
		}
		part := w & (1<<(p<<3) - 1)
		if at == 0 {
			return part | uint64(p+1)<<56, p
		}
		return stir(h^part^uint64(p)<<56) | longSpace, at + p
	}
	return noPrefix, 0
}

// noPrefix is the identity of the empty prefix.
const noPrefix = 1 << 56

func stir(x uint64) uint64 {
	over, under := bits.Mul64(x, 0x9e3779b97f4a7c15)
	return over ^ under
}

func (n *names) search(key []byte) (id uint64, end int) {
	if n.Depth == 0 {
		return n.match(key), 0
	}
	return n.prefix(key[:min(len(key), longestName+1)])
}

// prefix is idOf for a key of any form.
func (n *names) prefix(key []byte) (id uint64, end int) {
	for part, at := 0, 0; part < n.Depth; part++ {
		i := bytes.IndexByte(key[at:], n.Separator)
		if i < 0 {
			break
		}
		end = at + i
		at = end + 1
	}
	if end > shortLen {
		return table.Hash(n.seed, key[:end]) | longSpace, end
	}
	for i := range end {
		id |= uint64(key[i]) << (i << 3)
	}
	return id | uint64(end+1)<<56, end
}

func (n *names) match(key []byte) uint64 {
	for i := range n.patterns {
		p := &n.patterns[i]
		if len(key) >= len(p.head) && string(key[:len(p.head)]) == p.head && (p.anything || glob.Match(p.text, key, false)) {
			return numbered | uint64(i)
		}
	}
	return otherSpace
}

// admit tells whether a namespace is one of those that are counted, and, if it is to be one, makes it so while there
// is room. Once there is none, that stays: what counts as other once does so for good, so shards agree.
func (n *names) admit(id uint64, name []byte, create bool) bool {
	n.mu.RLock()
	_, ok := n.known[id]
	full := len(n.known) >= n.Max
	n.mu.RUnlock()
	if ok || !create || full {
		return ok
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok = n.known[id]; !ok && len(n.known) < n.Max {
		n.known[id] = string(name)
		ok = true
	}
	return ok
}

// nameOf is the name of a namespace that was admitted.
func (n *names) nameOf(id uint64) string {
	if id == otherSpace {
		return OtherNamespace
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.known[id]
}
