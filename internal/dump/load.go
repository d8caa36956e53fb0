package dump

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/jsondoc"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/zset"
)

// Restore builds the value of a DUMP payload, footer included, for a key whose shard is locked. On an error nothing is
// left of it; else the caller keeps or drops the draft. Memory is bounded by limit, see rdb.Reader. O(size of the value).
func Restore(tx *engine.Tx, key, payload []byte, limit int64) (*engine.Draft, error) {
	body, err := rdb.Unseal(payload)
	if err != nil {
		return nil, err
	}
	return RestoreBody(tx, key, body, limit)
}

// RestoreBody is Restore of a payload without its footer.
func RestoreBody(tx *engine.Tx, key, body []byte, limit int64) (*engine.Draft, error) {
	r := rdb.NewReader(body)
	r.Limit = limit
	return load(tx, key, func(v rdb.Visitor) error { return r.Payload(v) })
}

// Load builds the value of the given type that a Reader is about to read, for a key whose shard is locked. On an error
// nothing is left of it; else the caller keeps or drops the draft. O(size of the value).
func Load(tx *engine.Tx, key []byte, r *rdb.Reader, t rdb.Type) (*engine.Draft, error) {
	return load(tx, key, func(v rdb.Visitor) error { return r.Value(t, v) })
}

func load(tx *engine.Tx, key []byte, read func(v rdb.Visitor) error) (*engine.Draft, error) {
	l := &loader{tx: tx, key: key, limits: tx.Engine().Limits()}
	err := read(l)
	if l.kind == rdb.Stream && l.draft != nil {
		l.stream.s.Save() // also to be dropped: what it refers to is known by then
	}
	if err != nil {
		if l.draft != nil {
			l.draft.Drop()
		}
		return nil, err
	}
	l.finish()
	return l.draft, nil
}

// loader takes in a value: it is the rdb.Visitor that builds a draft.
type loader struct {
	tx     *engine.Tx
	key    []byte
	limits *engine.Limits
	draft  *engine.Draft
	e      *table.Entry
	kind   rdb.Kind
	t      rdb.Type
	hint   int

	timed []timedField // of a hash: set when all fields are there
	batch batch        // of a list
	minus [][]byte     // members of a sorted set that have the score minus zero

	stream streamLoader
}

// timedField is a field that expires.
type timedField struct {
	field  []byte
	expiry int64
}

// Kind implements rdb.Visitor. The draft of a set begins with its first member, which has a say in the encoding.
func (l *loader) Kind(k rdb.Kind, t rdb.Type, n int) error {
	l.kind, l.t, l.hint = k, t, n
	switch k {
	case rdb.List:
		l.begin(engine.List, list.InitLen)
		list.Init(l.e)
		l.batch.size = emptyListpack
	case rdb.Hash:
		l.begin(engine.Hash, hash.InitLen)
		hash.Init(l.e)
	case rdb.ZSet:
		l.begin(engine.ZSet, zset.InitLen)
		zset.Init(l.e)
	case rdb.Stream:
		l.beginStream()
	}
	return nil
}

func (l *loader) begin(k engine.Kind, n int) {
	l.draft = l.tx.Draft(l.key, k, n)
	l.e = l.draft.Entry()
}

// String implements rdb.Visitor.
func (l *loader) String(s []byte) error {
	l.begin(engine.String, len(s))
	copy(l.e.Value(), s)
	return nil
}

// Document implements rdb.Visitor.
func (l *loader) Document(text []byte) error {
	v, err := jsondoc.ParseStored(nil, text)
	if err != nil {
		return rdb.ErrDocument
	}
	l.begin(engine.JSON, len(v))
	copy(l.e.Value(), v)
	return nil
}

// Element implements rdb.Visitor.
func (l *loader) Element(v []byte) error {
	if l.kind == rdb.List {
		l.append(v)
		return nil
	}
	if l.draft == nil {
		l.beginSet(v)
	}
	if !set.Add(l.e, l.limits.Set, v) {
		return rdb.ErrDuplicate
	}
	return nil
}

// beginSet makes an empty set that is fit for the members: one that was a listpack stays one, even if its members so far are
// integers, as Redis has it.
func (l *loader) beginSet(first []byte) {
	if l.t == rdb.TypeSetListpack {
		first = nil
	}
	l.begin(engine.Set, set.InitLen)
	set.Init(l.e, l.limits.Set, first, l.hint)
}

// Field implements rdb.Visitor.
func (l *loader) Field(field, value []byte, expiry int64) error {
	if !hash.Set(l.e, l.limits.Hash, field, value) {
		return rdb.ErrDuplicate
	}
	if expiry > hash.MaxExpiry {
		return rdb.ErrLength
	}
	if expiry != 0 {
		l.timed = append(l.timed, timedField{append([]byte(nil), field...), expiry})
	}
	return nil
}

// Member implements rdb.Visitor.
func (l *loader) Member(member []byte, score float64) error {
	_, did, err := zset.Add(l.e, l.limits.ZSet, zset.Options{NX: true}, score, member)
	switch {
	case err != nil:
		return rdb.ErrScore
	case did != zset.Added:
		return rdb.ErrDuplicate
	case score == 0 && math.Signbit(score):
		l.minus = append(l.minus, append([]byte(nil), member...))
	}
	return nil
}

// addMinus puts right the scores of minus zero, which the set has lost if it was small on its way to being large.
func (l *loader) addMinus() {
	if zset.Encoding(l.e) == "listpack" {
		return // it has none
	}
	for _, m := range l.minus {
		zset.Remove(l.e, m)
		_, _, _ = zset.Add(l.e, l.limits.ZSet, zset.Options{}, math.Copysign(0, -1), m) // fails for no number only
	}
}

// finish is due when all has been read.
func (l *loader) finish() {
	if l.kind == rdb.List {
		l.endList()
	}
	if l.minus != nil {
		l.addMinus()
	}
	for _, f := range l.timed {
		hash.SetExpiry(l.e, f.field, f.expiry)
	}
}

// append adds an element to a list. Elements wait until they are more than a small list holds, and then for company.
func (l *loader) append(v []byte) {
	b := &l.batch
	if !b.large {
		b.size += rdb.EntrySize(v)
		if !l.limits.List.Fit(b.size, len(b.ends)+1) {
			b.large = true
			list.Enlarge(l.e)
		}
	}
	if b.large && b.full(v) {
		l.push()
	}
	b.add(v)
}

// endList adds what waits. Redis makes a list small when it is loaded if it fits, counted as it is kept and not as the
// words of a command, and came in one part.
func (l *loader) endList() {
	if l.batch.large {
		l.push()
		return
	}
	list.Fill(l.e, l.batch.values())
	if l.t == rdb.TypeListZiplist || l.t != rdb.TypeList && l.hint > 1 {
		list.Enlarge(l.e)
	}
}

func (l *loader) push() {
	list.Push(l.e, l.limits.List, false, l.batch.values()...)
	l.batch.reset()
}

// batch gathers elements, so that a list's leaf is written once for many of them.
type batch struct {
	size  int  // of the listpack that Redis would have, while the list may stay small
	large bool // it does not
	bytes []byte
	ends  []int
	views [][]byte
}

// Limits of a batch.
const (
	emptyListpack = 7 // bytes

	batchBytes = 4 << 10
	batchLen   = 256
)

func (b *batch) full(next []byte) bool {
	return len(b.ends) == batchLen || len(b.ends) > 0 && len(b.bytes)+len(next) > batchBytes
}

func (b *batch) add(v []byte) {
	b.bytes = append(b.bytes, v...)
	b.ends = append(b.ends, len(b.bytes))
}

func (b *batch) values() [][]byte {
	b.views = b.views[:0]
	start := 0
	for _, end := range b.ends {
		b.views = append(b.views, b.bytes[start:end])
		start = end
	}
	return b.views
}

func (b *batch) reset() { b.bytes, b.ends = b.bytes[:0], b.ends[:0] }
