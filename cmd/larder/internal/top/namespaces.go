package top

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/info"
)

// Namespace is what is kept, and done, under one prefix of the keys.
type Namespace struct {
	Name     string `json:"name"`
	Estimate bool   `json:"estimate"` // scaled up from a sample of the keys
	Keys     Num    `json:"keys"`
	Bytes    Num    `json:"bytes"`
	NoTTL    Num    `json:"no_ttl_share"` // of the keys
	HitRatio Num    `json:"hit_ratio"`    // since start or CONFIG RESETSTAT
	Reads    Num    `json:"lookups_per_second"`
	Evicted  Num    `json:"evictions_per_second"`
	Regret   Num    `json:"regrets_per_second"` // lookups of keys that had been evicted
	TTL      []Num  `json:"ttl_shares"`         // of the keys, by ttlBounds
	Evicted0 Num    `json:"evicted"`            // since start
	Regret0  Num    `json:"regrets"`
	Expired0 Num    `json:"expired"`
}

// ttlNames are the classes of remaining time to live that INFO namespaces has.
func ttlNames() []string { return []string{"<1m", "<1h", "<1d", "<7d", "more"} }

func ttlClass(left time.Duration) int {
	const day = 24 * time.Hour
	at, _ := slices.BinarySearch([]time.Duration{time.Minute, time.Hour, day, 7 * day}, left)
	return at
}

// namespacesOf reads INFO namespaces; ok is false if the server has none.
func namespacesOf(prev, cur Sample) (list []Namespace, ok bool) {
	if !cur.Info.Has("namespaces") {
		return nil, false
	}
	elapsed := cur.At - prev.At
	fresh := info.Between(prev.Info, cur.Info, elapsed).Reset || !prev.Info.Has("namespaces") || elapsed <= 0
	before := map[string]info.Parts{}
	for _, f := range prev.Info.Section("namespaces").Fields {
		parts := f.Parts()
		if name, ok := parts.Text("name"); ok {
			before[name] = parts
		}
	}
	for _, f := range cur.Info.Section("namespaces").Fields {
		parts := f.Parts()
		name, ok := parts.Text("name")
		if !ok {
			continue
		}
		was := before[name]
		get := func(part string) Num { return maybe(parts.Float(part)) }
		rate := func(names ...string) Num {
			var grown Num
			for _, n := range names {
				now, then := get(n), maybe(was.Float(n))
				if !now.OK || now.V < then.V {
					continue
				}
				grown = plus(grown, num(now.V-then.V))
			}
			return maybe(grown.V/elapsed.Seconds(), grown.OK && !fresh && was != nil)
		}
		keys := get("keys")
		ns := Namespace{
			Name: name, Keys: keys, Bytes: get("bytes"), NoTTL: ratio(get("no_ttl"), keys),
			HitRatio: ratio(get("hits"), plus(get("hits"), get("misses"))),
			Reads:    rate("hits", "misses"), Evicted: rate("evicted_maxmemory"), Regret: rate("regret"),
			Evicted0: get("evicted_maxmemory"), Regret0: get("regret"), Expired0: get("evicted_expired"),
		}
		for _, part := range []string{"ttl_1m", "ttl_1h", "ttl_1d", "ttl_7d", "ttl_more"} {
			ns.TTL = append(ns.TTL, ratio(get(part), keys))
		}
		list = append(list, ns)
	}
	return list, true
}

// KeyFacts is what a scan learned of one key.
type KeyFacts struct {
	Node   string
	Name   string // as it is: not safe to show
	Bytes  Num
	TTL    time.Duration // left; negative is none
	HasTTL bool          // TTL is known, and there is one
	Known  bool          // whether TTL was told at all
	Freq   Num           // OBJECT FREQ
	Type   string        // "" unless the key is among the largest
}

// What a sweep remembers is bounded, however many keys there are.
const (
	sweepNamespaces = 2000
	sweepTop        = 200
	otherNamespaces = "(others)"
)

// Sweep is one pass of SCAN over the keys, while it goes and when it is done. SCAN goes by hash, so what has been seen
// of a keyspace at any time is a fair sample of it.
type Sweep struct {
	Separator string
	Depth     int // how many parts of a key make its namespace
	Total     Num // keys in the database
	Seen      float64
	Done      bool
	Started   time.Duration
	Ended     time.Duration
	Why       string // why it stopped before the end

	spaces map[string]*sampled
	big    *leaders
	hot    *leaders
}

type sampled struct {
	keys, bytes, weighed, noTTL, timed float64
	ttl                                [5]float64
}

func newSweep(separator string, depth int) *Sweep {
	return &Sweep{Separator: separator, Depth: depth, spaces: map[string]*sampled{}, big: newLeaders(sweepTop), hot: newLeaders(sweepTop)}
}

// namespaceOf is the part of a key before the depth-th separator, "" for a key with fewer.
func (s *Sweep) namespaceOf(key string) string {
	at := 0
	for range s.Depth {
		i := strings.Index(key[at:], s.Separator)
		if i < 0 || s.Separator == "" {
			break
		}
		at += i + len(s.Separator)
	}
	if at == 0 {
		return ""
	}
	return key[:at-len(s.Separator)]
}

// add takes in what was learned of a key.
func (s *Sweep) add(k KeyFacts) {
	s.Seen++
	name := clipped(s.namespaceOf(k.Name))
	ns := s.spaces[name]
	if ns == nil {
		if len(s.spaces) >= sweepNamespaces {
			name = otherNamespaces
			ns = s.spaces[name]
		}
		if ns == nil {
			ns = &sampled{}
			s.spaces[name] = ns
		}
	}
	ns.keys++
	if k.Bytes.OK {
		ns.bytes += k.Bytes.V
		ns.weighed++
		s.big.offer(leader{node: k.Node, name: k.Name, score: k.Bytes.V, facts: k})
	}
	if k.Known {
		ns.timed++
		if k.HasTTL {
			ns.ttl[ttlClass(k.TTL)]++
		} else {
			ns.noTTL++
		}
	}
	if k.Freq.OK && k.Freq.V > 0 {
		s.hot.offer(leader{node: k.Node, name: k.Name, score: k.Freq.V, facts: k})
	}
}

// share is how much of the keyspace has been seen.
func (s *Sweep) share() Num {
	if s.Done {
		return num(1)
	}
	n := ratio(num(s.Seen), s.Total)
	n.V = min(n.V, 1)
	return n
}

// namespaces scales what was seen up to all keys.
func (s *Sweep) namespaces() []Namespace {
	scale := 1.0
	if sh := s.share(); sh.OK && sh.V > 0 {
		scale = 1 / sh.V
	}
	list := make([]Namespace, 0, len(s.spaces))
	for _, name := range slices.Sorted(maps.Keys(s.spaces)) {
		ns := s.spaces[name]
		n := Namespace{
			Name: name, Estimate: true, Keys: num(math.Round(ns.keys * scale)),
			Bytes: maybe(ns.bytes/ns.weighed*ns.keys*scale, ns.weighed > 0),
			NoTTL: maybe(ns.noTTL/ns.timed, ns.timed > 0),
		}
		for _, class := range ns.ttl {
			n.TTL = append(n.TTL, maybe(class/ns.timed, ns.timed > 0))
		}
		list = append(list, n)
	}
	return list
}

// leader is a key with a high score.
type leader struct {
	node, name string
	score      float64
	facts      KeyFacts
}

// leaders keeps the keys with the highest scores.
type leaders struct {
	room int
	list []leader // the highest first
}

func newLeaders(room int) *leaders { return &leaders{room: room} }

// offer takes a key in if it is among the highest. SCAN may name a key twice.
func (l *leaders) offer(k leader) {
	if len(l.list) == l.room && k.score <= l.list[len(l.list)-1].score {
		return
	}
	k.name = clipped(k.name)
	k.facts.Name = k.name
	l.list = slices.DeleteFunc(l.list, func(o leader) bool { return o.name == k.name && o.node == k.node })
	at, _ := slices.BinarySearchFunc(l.list, k.score, func(o leader, score float64) int { return cmp.Compare(score, o.score) })
	l.list = slices.Insert(l.list, at, k)
	if len(l.list) > l.room {
		l.list = l.list[:l.room]
	}
}

// clippedAt is how much of a key is remembered. A key may be of 512 MiB.
const clippedAt = 512

func clipped(key string) string {
	if len(key) > clippedAt {
		key = key[:clippedAt]
	}
	return strings.Clone(key)
}
