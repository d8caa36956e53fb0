package doctor

import (
	"slices"
	"strings"
	"time"
)

// Keyspace is what the scan found, in memory that does not grow with the keyspace: at most spacesMost namespaces of a few
// KiB each (keys of further ones are counted together), topMost keys per ranking, bucketsMost moments of expiry.
//
// Without --full it is a sample. SCAN visits keys in the order of their hashes, so the first keys that it gives are as good
// as drawn by lot, whatever they are called. (Servers that keep a table for each slot of a cluster begin with the
// lowest slots: there the keys of one hash tag are seen together or not at all.)
type Keyspace struct {
	ScanLine
	Missing   map[source]error // why a command has no figures
	separator string

	spaces map[string]*Namespace
	others Namespace // keys of namespaces that found no room

	Big  ranking // by bytes
	Long ranking // by elements
	Hot  ranking // by access counter

	nameBytes int64
	longest   ranking // by bytes of the name
	plain     int64   // keys without a separator
	noTTL     int64
	idleBytes int64 // of keys not used for coldAfter

	expiries map[int64]int64 // keys by the moment at which they expire, in steps of herdStep
	expiring int64

	examined int64 // slots of tables that SCAN went through, about
}

const (
	spacesMost  = 2000
	topMost     = 20
	bucketsMost = 20_000
	suffixMost  = 32 // last segments that a namespace remembers
	nameMost    = 128
	keyMost     = 1024 // bytes of a key that rankings remember; a longer one is not asked for again
	herdStep    = 10 * time.Second
	coldAfter   = 7 * 24 * time.Hour
	tinyBytes   = 128 // of a key with its value and what the server adds
)

// kind is a type of value.
type kind uint8

const (
	aString kind = iota
	aList
	aSet
	aZSet
	aHash
	aStream
	aModule // anything else
	kinds
)

// types are the words of TYPE, and the command that tells a value's length.
var types = [kinds]struct{ word, length, elements string }{
	{"string", "STRLEN", "bytes"}, {"list", "LLEN", "elements"}, {"set", "SCARD", "members"}, {"zset", "ZCARD", "members"},
	{"hash", "HLEN", "fields"}, {"stream", "XLEN", "entries"}, {"value of a module", "", ""},
}

func kindOf(word string) kind {
	for k, t := range types[:aModule] {
		if t.word == word {
			return kind(k)
		}
	}
	return aModule
}

// key is one key as the scan saw it.
type key struct {
	name     string
	space    *Namespace
	server   string
	node     *Node
	kind     kind
	bytes    int64         // 0 if unknown
	ttl      time.Duration // -1 for none
	idle     time.Duration
	freq     int64 // -1 if unknown
	elements int64 // -1 if unknown
	encoding string
	fields   []string // a few fields of a huge hash
}

// tally counts keys.
type tally struct{ keys, bytes, noTTL, tiny int64 }

func (t *tally) add(k *key) {
	t.keys++
	t.bytes += k.bytes
	if k.ttl < 0 {
		t.noTTL++
	}
	if k.bytes > 0 && k.bytes <= tinyBytes {
		t.tiny++
	}
}

// Namespace is what keys with the same beginning have in common.
type Namespace struct {
	Name string
	tally
	by [kinds]tally

	ttlSeconds int64 // of keys with a TTL, together

	read   [kinds]int64 // values or lengths read
	single [kinds]int64 // of those read, collections of one element
	forms  [forms]int64 // of strings read

	suffixes    map[string]int64 // last segments of small strings that have a segment before
	suffixKeys  int64
	suffixesOut bool // more different ones than suffixMost: they are no names of fields
}

func newKeyspace(separator string) *Keyspace {
	return &Keyspace{
		Missing: map[source]error{}, separator: separator, spaces: map[string]*Namespace{}, others: Namespace{Name: "(further namespaces)"},
		expiries: map[int64]int64{},
	}
}

// space finds a key's namespace, or makes it.
func (ks *Keyspace) space(name string) *Namespace {
	if len(name) > nameMost {
		name = name[:nameMost]
	}
	if ns := ks.spaces[name]; ns != nil {
		return ns
	}
	if len(ks.spaces) >= spacesMost {
		return &ks.others
	}
	ns := &Namespace{Name: strings.Clone(name)}
	ks.spaces[ns.Name] = ns
	return ns
}

// add counts a key. at is how long after the begin of the scan it was seen.
func (ks *Keyspace) add(k *key, separator string, at time.Duration) {
	ks.Seen++
	ks.Bytes += k.bytes
	ks.nameBytes += int64(len(k.name))
	ks.longest.add(int64(len(k.name)), k)
	ks.Big.add(k.bytes, k)
	if k.freq > 0 {
		ks.Hot.add(k.freq, k)
	}
	if k.idle >= coldAfter {
		ks.idleBytes += k.bytes
	}
	ns := k.space
	ns.add(k)
	ns.by[k.kind].add(k)
	if k.ttl < 0 {
		ks.noTTL++
	} else {
		ns.ttlSeconds += int64(k.ttl / time.Second)
		ks.expiring++
		moment := int64((at + k.ttl) / herdStep)
		_, known := ks.expiries[moment]
		if k.ttl < ttlMost*time.Millisecond && (known || len(ks.expiries) < bucketsMost) { // else cut, not together
			ks.expiries[moment]++
		}
	}
	if !strings.Contains(k.name, separator) {
		ks.plain++
	} else if k.kind == aString && k.bytes <= tinyBytes {
		ns.suffix(k.name, separator)
	}
}

// suffix remembers the last segment of a:b:c: few different ones are names of fields.
func (ns *Namespace) suffix(name, separator string) {
	last := strings.LastIndex(name, separator)
	if ns.suffixesOut || strings.Index(name, separator) == last || len(name)-last > nameMost {
		return
	}
	ns.suffixKeys++
	word := name[last+len(separator):]
	if _, known := ns.suffixes[word]; !known {
		if len(ns.suffixes) >= suffixMost || isID(word) {
			ns.suffixes, ns.suffixesOut = nil, true
			return
		}
		if ns.suffixes == nil {
			ns.suffixes = map[string]int64{}
		}
		word = strings.Clone(word)
	}
	ns.suffixes[word]++
}

// spaceOf is the namespace of a key: its leading segments without the last, numbers and the like as *.
func spaceOf(name, separator string, depth int) string {
	first, rest, more := strings.Cut(name, separator)
	if !more {
		return ""
	}
	if isID(first) {
		first = "*"
	}
	if depth == 1 {
		return first
	}
	parts := []string{first}
	for len(parts) < depth {
		var part string
		if part, rest, more = strings.Cut(rest, separator); !more {
			break
		}
		if isID(part) {
			part = "*"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, separator)
}

// isID reports whether a segment looks like a number, a UUID or a hash rather than a word.
func isID(s string) bool {
	digits, hex := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == '-':
			hex++
		default:
			return false
		}
	}
	return digits > 0 && (hex == 0 || len(s) >= 12)
}

// scale is what a count of keys seen is to be multiplied by.
func (ks *Keyspace) scale() float64 {
	if !ks.Estimated || ks.Seen == 0 {
		return 1
	}
	return max(1, float64(ks.Keys)/float64(max(ks.examined, 1)))
}

// about is an estimate for all keys.
func (ks *Keyspace) about(n int64) int64 { return int64(float64(n)*ks.scale() + 0.5) }

// sorted lists the namespaces, those with most bytes first.
func (ks *Keyspace) sorted() []*Namespace {
	all := make([]*Namespace, 0, len(ks.spaces)+1)
	for _, ns := range ks.spaces {
		all = append(all, ns)
	}
	if ks.others.keys > 0 {
		all = append(all, &ks.others)
	}
	slices.SortFunc(all, func(a, b *Namespace) int {
		switch {
		case a.bytes != b.bytes:
			return int(max(-1, min(1, b.bytes-a.bytes)))
		case a.keys != b.keys:
			return int(max(-1, min(1, b.keys-a.keys)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// label is the namespace in a report: quoted, as names may hold anything.
func (ns *Namespace) label(separator string) string {
	if ns.Name == "" {
		return "(no namespace)"
	}
	if strings.HasPrefix(ns.Name, "(") {
		return ns.Name
	}
	return quote(ns.Name + separator + "*")
}

// title is the namespace without what comes after it, quoted likewise.
func (ns *Namespace) title() string {
	if ns.Name == "" || strings.HasPrefix(ns.Name, "(") {
		return ns.Name
	}
	return quote(ns.Name)
}

// ranking is the topMost keys of the highest score, the highest first.
type ranking []ranked

type ranked struct {
	score int64
	key   key
}

func (r *ranking) add(score int64, k *key) {
	if len(*r) == topMost && score <= (*r)[topMost-1].score {
		return
	}
	at, _ := slices.BinarySearchFunc(*r, score, func(e ranked, score int64) int {
		if e.score >= score {
			return -1
		}
		return 1
	})
	for _, e := range *r {
		if e.key.name == k.name && e.key.server == k.server { // SCAN may give a key twice
			return
		}
	}
	kept := *k
	kept.name = strings.Clone(k.name[:min(len(k.name), keyMost)])
	*r = slices.Insert(*r, at, ranked{score, kept})
	if len(*r) > topMost {
		*r = (*r)[:topMost]
	}
}
