// Package table maps byte keys to records in an arena. It is the keyspace of a shard and the large form of hashes and
// sets.
//
// # Structure
//
// A directory, indexed by the top bits of the hash, names segments; a segment is a header line and up to 59 buckets of
// one cache line, each with twelve one-byte tags and twelve references to records. A search reads the directory, one
// bucket, and the records whose tag fits: two dependent cache misses for a hit, one for most misses.
//
// A record that finds its home bucket full goes to the next one with a free slot; the overflow counts of the full ones
// tell searches to go on, and are taken back by a deletion. At 88 % fill a hit reads 1.17 buckets.
//
// A segment that is 88 % full is rebuilt alone: it gets about 1.4 times the buckets until it has the most it may have,
// then it splits in two by the next bit of the hash, each half as long as it needs. So a rebuild touches at most about
// 620 records, and buckets are about three quarters full on the average: 7 to 8 bytes a record. Segments that run empty
// become shorter and merge with their sibling, and the directory halves when nothing needs its last bit. The longest
// segment differs by Stagger, so that shards do not grow at one moment. A small table is one short segment and no
// directory.
//
// # Scanning
//
// Hashes are ordered: first by the segment bits, then by the home bits. "The lowest hash not yet visited" is a cursor
// that splits, merges and rebuilds leave valid: see Scan.
//
// A Table is not safe for concurrent use: its owner, a shard, holds a lock. Slices that it returns alias the arena.
package table

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/invariant"
	"github.com/larderdb/larder/internal/mem/arena"
)

// Options say what a table is for. They must be the same whenever a nested table is loaded.
type Options struct {
	Keyspace bool   // records carry a clock of 24 bits for LRU and LFU
	Seed     uint64 // of Hash
	Stagger  int    // any number that differs between shards, so that they grow at different moments
}

// Table is a hash table in an arena. Copies share their cells: only one of them may be used on.
type Table struct {
	// BeforeChange, if set, is called before the records of a bucket change: before an insertion, a deletion, a change
	// of a value, kind, flag or expiry (not of a clock), and for all buckets of a segment that is rebuilt. It may read
	// the bucket through EachIn, and must not change the table but through SetEpoch.
	BeforeChange func(bucket arena.Ref)

	// Books, if set, are told of every change of the sizes of the table's cells.
	Books Books

	a     *arena.Arena
	o     Options
	sizes *sizes
	base  int // bytes of a record before its lengths

	dir      []byte    // the directory's cell: 1<<depth segment words; nil while depth is 0
	dirRef   arena.Ref // 0 while depth is 0
	root     word      // the only segment while depth is 0; 0 = none yet
	depth    uint8
	epoch    uint16 // what new buckets begin with
	busy     bool   // a callback is running: segments stay as they are
	pairs    uint32 // pairs of neighbours in the directory that differ; when none does, its last bit is not needed
	freed    uint32 // how far FreeStep has come in the directory
	count    int
	expiring int
}

// Books are kept by an owner who counts what the records of a table, and the table itself, take. Its methods must not
// call the table.
type Books interface {
	// Record tells that the table has so many more records of the key's owner (1, 0, -1), which take so many more bytes
	// and of which so many more have no expiry. The key is valid during the call.
	Record(key []byte, records, bytes, lasting int)

	// Overhead tells that segments and the directory take so many more bytes.
	Overhead(bytes int)

	// Editing tells, before that happens, that the value of a record of another kind than 0 is about to change, and with
	// it perhaps cells that it refers to. Values of kind 0 refer to nothing. The key is valid during the call; at is the
	// record's cell.
	Editing(key []byte, at arena.Ref)
}

// RootSize is the size in bytes of what Save writes.
const RootSize = 20

// New returns an empty table. It allocates nothing before the first Insert.
func New(a *arena.Arena, o Options) Table {
	t := Table{a: a, o: o, sizes: &sizeTable[uint(o.Stagger)%staggers], base: 1}
	if o.Keyspace {
		t.base = 4
	}
	return t
}

// Load returns the nested table that Save wrote to the cell root.
//
// Entries keep a pointer to their table, so a Table in a local variable costs an allocation by the Go compiler's
// rules; whoever is in a hurry loads into a Table that lives on.
func Load(a *arena.Arena, root arena.Ref, o Options) Table {
	return LoadFrom(a, a.Bytes(root), o)
}

// LoadFrom is Load for a root that lies anywhere, such as in the value of a record. It keeps nothing of b.
func LoadFrom(a *arena.Arena, b []byte, o Options) Table {
	t := New(a, o)
	_ = b[RootSize-1]
	t.count = int(binary.LittleEndian.Uint32(b))
	t.expiring = int(binary.LittleEndian.Uint32(b[4:]))
	t.pairs = binary.LittleEndian.Uint32(b[12:])
	t.depth = b[16]
	if b[17] != 0 {
		t.freed, t.pairs = t.pairs, 0
	}
	if at := binary.LittleEndian.Uint32(b[8:]); t.depth == 0 {
		t.root = word(at)
	} else {
		t.dirRef = arena.Ref(at)
		t.dir = a.Bytes(t.dirRef)[:4<<t.depth]
	}
	return t
}

// Save writes the root of a nested table to a cell of at least RootSize bytes. It is due after every change of the
// table's keys, not after changes of records alone.
func (t *Table) Save(root arena.Ref) { t.SaveTo(t.a.Bytes(root)) }

// SaveTo is Save for a root that lies anywhere.
func (t *Table) SaveTo(b []byte) {
	_ = b[RootSize-1]
	binary.LittleEndian.PutUint32(b, uint32(t.count))
	binary.LittleEndian.PutUint32(b[4:], uint32(t.expiring))
	if t.depth == 0 {
		binary.LittleEndian.PutUint32(b[8:], uint32(t.root))
	} else {
		binary.LittleEndian.PutUint32(b[8:], uint32(t.dirRef))
	}
	binary.LittleEndian.PutUint32(b[12:], t.pairs)
	binary.LittleEndian.PutUint32(b[16:], uint32(t.depth))
	if t.freed != 0 { // between two FreeSteps, when pairs no longer matter
		binary.LittleEndian.PutUint32(b[12:], t.freed)
		b[17] = 1
	}
}

// Len returns the number of records, expired ones included. O(1).
func (t *Table) Len() int { return t.count }

// Expiring returns the number of records with an expiry. O(1).
func (t *Table) Expiring() int { return t.expiring }

// Arena returns the arena that holds the table.
func (t *Table) Arena() *arena.Arena { return t.a }

// Options returns what the table was made with.
func (t *Table) Options() Options { return t.o }

// Find positions e on the record of key, whose hash is h, and reports whether there is one; if not, e is undefined.
// The record's expiry plays no part. O(1).
func (t *Table) Find(h uint64, key []byte, e *Entry) bool {
	w := t.segment(h)
	if w == 0 {
		return false
	}
	n := uint32(t.sizes[w.code()])
	tag := tagOf(h)
	i := homeOf(h, n)
	for range n {
		ref := w.bucket(i)
		b := t.a.Line(ref)
		for set := match(b, tag); set != 0; set = rest(set) {
			slot := first(set)
			at := refAt(b, slot)
			t.a.Prefetch(at + nextLine) // most records go on there: do not wait for the head to say so
			rec := t.a.Bytes(at)
			p := parse(rec, t.base)
			if string(rec[p.key:p.value]) == string(key) {
				*e = Entry{t: t, rec: rec, layout: p, ref: at, bucket: ref, slot: slot}
				return true
			}
		}
		if b[metaAt] == 0 {
			return false
		}
		if i++; i == n {
			i = 0
		}
	}
	return false
}

// Insert adds a record for key, which must be absent, and positions e on it. Its value has valueLen bytes of undefined
// content, which the caller fills through e.Value. expiry is in Unix milliseconds, 0 for none; kind has four bits; if it
// is Bare, valueLen must be 0. Flags and clock are 0. key may alias other cells of the arena: it is copied before
// anything moves. O(1) amortised; the longest insertion rebuilds one segment or copies the directory.
func (t *Table) Insert(h uint64, key []byte, valueLen int, expiry int64, kind byte, e *Entry) {
	if invariant.Enabled {
		invariant.Assert(!t.busy, "table: insertion inside a callback")
		invariant.Assert(h == Hash(t.o.Seed, key), "table: hash is not the key's")
		invariant.Assert(!t.Find(h, key, e), "table: insertion of a key that is present")
		invariant.Assert(kind&kindMask != Bare || valueLen == 0, "table: a value for a bare record")
	}
	ref := t.a.Alloc(headLen(t.base, kind, len(key), valueLen, expiry != 0) + len(key) + valueLen)
	rec := t.a.Bytes(ref)
	if t.Books != nil {
		t.Books.Record(key, 1, len(rec), lasting(expiry))
	}
	rec[0] = kind & kindMask
	clear(rec[1:t.base])
	p := putHead(rec, t.base, len(key), valueLen, expiry)
	copy(rec[p:], key)

	w := t.roomFor(h)
	at, slot := t.place(w, h, ref, expiry != 0, true)
	head := t.a.Line(w.ref())
	addCount(head, 1)
	t.count++
	if expiry != 0 {
		addExpiring(head, 1)
		t.expiring++
	}
	*e = Entry{t: t, rec: rec, layout: layout{p, p + len(key), p + len(key) + valueLen}, ref: ref, bucket: at, slot: slot}
}

// lasting is the number of records without an expiry in one with this expiry.
func lasting(expiry int64) int {
	if expiry == 0 {
		return 1
	}
	return 0
}

// place puts a reference into the first bucket from the hash's home on that has a free slot. There must be one.
func (t *Table) place(w word, h uint64, ref arena.Ref, expires, hook bool) (at arena.Ref, slot int) {
	n := uint32(t.sizes[w.code()])
	i := homeOf(h, n)
	for {
		at = w.bucket(i)
		b := t.a.Line(at)
		if free := match(b, 0); free != 0 {
			if hook {
				t.change(at)
			}
			slot = first(free)
			b[slot] = tagOf(h)
			setRef(b, slot, ref)
			if expires {
				setExpiring(b, slot, true)
			}
			return at, slot
		}
		turnAway(b)
		if i++; i == n {
			i = 0
		}
	}
}

func (t *Table) change(bucket arena.Ref) {
	if t.BeforeChange != nil {
		t.BeforeChange(bucket)
	}
}

// Touch1 asks the processor for the bucket of a hash. A batch of look-ups runs about 2.5 times as fast when it calls
// Touch1 for all hashes, then Touch2 for all, and only then Find. Both are hints: they wait for nothing the caches hold.
func (t *Table) Touch1(h uint64) {
	if w := t.segment(h); w != 0 {
		t.a.Prefetch(w.bucket(homeOf(h, uint32(t.sizes[w.code()]))))
	}
}

// Touch2 asks the processor for the records of the home bucket that have the hash's tag.
func (t *Table) Touch2(h uint64) {
	w := t.segment(h)
	if w == 0 {
		return
	}
	b := t.a.Line(w.bucket(homeOf(h, uint32(t.sizes[w.code()]))))
	for set := match(b, tagOf(h)); set != 0; set = rest(set) {
		at := refAt(b, first(set))
		t.a.Prefetch(at)
		t.a.Prefetch(at + nextLine)
	}
}

// nextLine leads from a record's line to the one behind it.
const nextLine = 64 / arena.Granule

// Epoch returns the epoch of a bucket, 12 bits: what SetEpoch last gave it, or what StartEpoch said before its segment
// was made.
func (t *Table) Epoch(bucket arena.Ref) uint16 {
	return uint16(meta(t.a.Line(bucket)) >> epochShift)
}

// SetEpoch sets the epoch of a bucket.
func (t *Table) SetEpoch(bucket arena.Ref, epoch uint16) {
	b := t.a.Line(bucket)
	setMeta(b, meta(b)&(1<<epochShift-1)|uint32(epoch)<<epochShift)
}

// StartEpoch says with which epoch buckets begin that are made from now on.
func (t *Table) StartEpoch(epoch uint16) { t.epoch = epoch & (1<<12 - 1) }
