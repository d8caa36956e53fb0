package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/mem/table"
)

// SetNaming changes how keys fall into namespaces and counts anew. The keys that are there are counted shard by shard,
// each under its lock in one go: by Tick, and at once by whoever asks for Namespaces. Until then a shard counts as
// before. Hits, misses and causes begin at zero. It locks nothing.
func (e *Engine) SetNaming(n Naming) {
	if n.off() {
		e.naming.Store(nil)
		return
	}
	n.Patterns = slices.Clone(n.Patterns)
	e.naming.Store(newNames(n, e.seed))
}

// Naming is how keys fall into namespaces; the zero value: there are none.
func (e *Engine) Naming() Naming {
	if n := e.naming.Load(); n != nil {
		return n.Naming
	}
	return Naming{}
}

// rename makes a shard count as the engine does now. The shard is locked. O(keys) where that is another way, with the
// insides of large values.
func (e *Engine) rename(s *shard) {
	n := e.naming.Load()
	b := &s.books
	if b.naming == n {
		return
	}
	for len(s.graves) > 0 { // they would be nobody's
		e.dig(s)
	}
	b.open(0)
	b.count(n)
	if n == nil {
		return
	}
	for db := range s.dbs {
		s.dbs[db].Each(func(r *table.Entry) bool {
			sp := &b.spaces[b.find(r.Key(), true)]
			sp.keys++
			sp.bytes += Bytes(r) - tableShare
			if !r.Flag(table.FlagExpiry) {
				sp.lasting++
			}
			return true
		})
	}
	b.told = s.arena.Live()
}

// Recount has every shard count by the naming of SetNaming now, but those that a script keeps. No shard is locked by the
// caller. O(keys) where that changed.
func (e *Engine) Recount() { e.renameCycle(e.clock.Now().Add(time.Hour)) }

// renameCycle is rename for all shards, until the deadline.
func (e *Engine) renameCycle(deadline time.Time) {
	n := e.naming.Load()
	if e.renamed.Load() == n {
		return
	}
	all := true
	for i := range e.shards {
		s := &e.shards[i]
		if !e.clock.Now().Before(deadline) || s.mu.enter() != nil {
			all = false
			continue
		}
		e.rename(s)
		s.mu.Unlock()
	}
	if all {
		e.renamed.Store(n)
	}
}

// Namespace is what is known of the keys of a namespace, in all databases. Keys, Bytes, Lasting and TTL tell what is
// there; the others count since the start, CONFIG RESETSTAT, or the last change of the directive.
type Namespace struct {
	Name         string
	Keys, Bytes  int64 // as MEMORY USAGE counts them
	Lasting      int64 // keys without a TTL
	Hits, Misses int64
	Expired      int64 // keys removed because their time had come
	Evicted      int64 // to make room
	Deleted      int64 // by commands
	Regret       int64 // misses of keys that had been evicted not long before

	// TTL is how many keys have up to a minute, an hour, a day, seven days, or more to live: counted where a shard has up
	// to ttlSample keys with a TTL, else estimated from so many of them.
	TTL [5]int64
}

var ttlBounds = [...]int64{60e3, 3600e3, 86400e3, 7 * 86400e3}

// ttlSample is how many keys with a TTL of a shard are looked at, some 50 microseconds.
const ttlSample = 512

// Namespaces gives the figures of all namespaces, by name, the others last; nil where there are none. Cost: 64 locks,
// O(namespaces) and up to 32,768 keys.
func (tx *Tx) Namespaces() []Namespace {
	n := tx.e.naming.Load()
	if n == nil {
		return nil
	}
	sums := make(map[uint64]*Namespace)
	tx.eachShard(func(_ int, s *shard) bool {
		tx.e.rename(s)
		if s.books.naming == n {
			s.books.open(s.books.window) // what has moved so far
			s.books.sum(sums, tx.sampleTTL(s))
		}
		return true
	})
	list := make([]Namespace, 0, len(sums))
	for id, ns := range sums {
		ns.Name = n.nameOf(id)
		if id != otherSpace {
			list = append(list, *ns)
		}
	}
	slices.SortFunc(list, func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
	if other := sums[otherSpace]; other != nil && *other != (Namespace{Name: OtherNamespace}) {
		list = append(list, *other)
	}
	return list
}

// sum adds the shard's figures; ttl are the keys of the sample.
func (b *books) sum(sums map[uint64]*Namespace, ttl map[uint64]*[5]int64) {
	for i, id := range b.ids {
		if id == 0 {
			continue
		}
		s, ns := &b.spaces[i], sums[id]
		if ns == nil {
			ns = new(Namespace)
			sums[id] = ns
		}
		ns.Keys += s.keys
		ns.Bytes += s.bytes + s.keys*tableShare
		ns.Lasting += s.lasting
		ns.Hits += b.hits[i]
		ns.Misses += s.misses
		ns.Expired += s.expired
		ns.Evicted += s.evicted
		ns.Deleted += s.removed - s.expired - s.evicted
		ns.Regret += s.regret
		if seen := ttl[id]; seen != nil {
			ns.addTTL(seen, s.keys-s.lasting)
		}
	}
}

// addTTL adds so many keys in the proportions of those that were seen.
func (ns *Namespace) addTTL(seen *[5]int64, keys int64) {
	var total, sum, given int64
	for _, n := range seen {
		total += n
	}
	for i, n := range seen {
		sum += n
		upTo := int64(float64(keys) * float64(sum) / float64(total)) // so that the parts add up to the whole
		ns.TTL[i] += upTo - given
		given = upTo
	}
}

// sampleTTL looks at keys of a shard that have a TTL: by namespace, how many have how long.
func (tx *Tx) sampleTTL(s *shard) map[uint64]*[5]int64 {
	seen := make(map[uint64]*[5]int64)
	for db := range s.dbs {
		t := &s.dbs[db]
		if t.Expiring() == 0 {
			continue
		}
		at := uint64(0)
		if t.Expiring() > ttlSample {
			at = tx.e.Random() % table.CursorEnd
		}
		for left := ttlSample; left > 0; {
			at = t.ScanExpiring(at, left, func(r *table.Entry) bool {
				left--
				id := s.books.ids[s.books.find(r.Key(), false)]
				if seen[id] == nil {
					seen[id] = new([5]int64)
				}
				class := 0
				for class < len(ttlBounds) && r.Expiry()-tx.Now() > ttlBounds[class] {
					class++
				}
				seen[id][class]++
				return false
			})
			if at == 0 {
				break
			}
		}
	}
	return seen
}

// checkBooks holds what a shard has counted against a recount: for tests. Cost: O(everything).
func (e *Engine) checkBooks(s *shard) error {
	b := &s.books
	if b.naming == nil || len(s.graves) > 0 {
		return nil
	}
	b.open(0)
	again := books{arena: s.arena}
	again.count(b.naming)
	var tables, keys int64
	for db := range s.dbs {
		tables += int64(s.dbs[db].Bytes())
		s.dbs[db].Each(func(r *table.Entry) bool {
			sp := &again.spaces[again.find(r.Key(), false)]
			sp.keys++
			sp.bytes += Bytes(r) - tableShare
			if !r.Flag(table.FlagExpiry) {
				sp.lasting++
			}
			tables -= int64(s.arena.Size(r.Ref()))
			keys += int64(len(r.Key()))
			return true
		})
	}
	for i := range s.fields.dbs {
		tables += int64(s.fields.dbs[i].Bytes())
	}
	if b.told != s.arena.Live() || b.tables != tables || b.names != keys {
		return fmt.Errorf("books: %d of %d live bytes, %d of %d bytes of tables, %d of %d of keys",
			b.told, s.arena.Live(), b.tables, tables, b.names, keys)
	}
	for _, x := range [][2]*books{{b, &again}, {&again, b}} {
		for i, id := range x[0].ids {
			if id != 0 {
				at := x[1].findID(id)
				s, o := &x[0].spaces[i], &x[1].spaces[at]
				if o.keys != s.keys || o.bytes != s.bytes || o.lasting != s.lasting {
					return fmt.Errorf("namespace %q: %d keys, %d bytes, %d without expiry; and %d, %d, %d",
						b.naming.nameOf(id), s.keys, s.bytes, s.lasting, o.keys, o.bytes, o.lasting)
				}
			}
		}
	}
	return nil
}
