package dump

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/jsondoc"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/zset"
)

// Writer writes values of records. It is for one goroutine.
type Writer struct {
	*rdb.Writer
	// Version is that of the format: values are written in types that it has, unless they need a later one.
	Version int

	lp   rdb.Listpack
	text [2][]byte
	ints []int64
}

// NewWriter returns a Writer on top of an rdb.Writer.
func NewWriter(w *rdb.Writer, version int) *Writer { return &Writer{Writer: w, Version: version} }

// Payload returns what DUMP answers for a record. Strings are packed where compress says so. O(size of the value).
func Payload(e *table.Entry, compress bool) []byte {
	w := NewWriter(&rdb.Writer{Compress: compress}, rdb.Version7)
	t := w.TypeOf(e)
	w.Type(t)
	w.Body(t, e)
	return w.Seal(max(w.Version, t.Version()))
}

// Size is the length of a record's value in a payload, in bytes: without the type and the footer. O(size of the value).
func Size(e *table.Entry, compress bool) int {
	return len(Payload(e, compress)) - 1 - rdb.FooterLen
}

// keptText is how large a buffer for the next value may be, in bytes.
const keptText = 1 << 20

// TypeOf is the type that a record's value is written in.
func (w *Writer) TypeOf(e *table.Entry) rdb.Type {
	switch engine.Kind(e.Kind()) {
	case engine.List:
		return rdb.TypeListQuicklist2
	case engine.Set:
		return w.setType(e)
	case engine.ZSet:
		if zset.Encoding(e) == "listpack" {
			return rdb.TypeZSetListpack
		}
		return rdb.TypeZSet2
	case engine.Hash:
		switch {
		case hash.NextExpiry(e) != 0:
			return rdb.TypeHashTTL
		case hash.Encoding(e) == "listpack":
			return rdb.TypeHashListpack
		}
		return rdb.TypeHash
	case engine.JSON:
		return rdb.TypeModule2
	case engine.Stream:
		if w.Version >= rdb.TypeStream3.Version() {
			return rdb.TypeStream3
		}
		return rdb.TypeStream2
	}
	return rdb.TypeString
}

func (w *Writer) setType(e *table.Entry) rdb.Type {
	switch enc := set.Encoding(e); {
	case enc == "intset":
		return rdb.TypeSetIntset
	case enc == "listpack" && w.Version >= rdb.TypeSetListpack.Version():
		return rdb.TypeSetListpack
	}
	return rdb.TypeSet
}

// Body writes a record's value in the type that TypeOf told. O(size of the value).
func (w *Writer) Body(t rdb.Type, e *table.Entry) {
	switch t {
	case rdb.TypeListQuicklist2:
		w.list(e)
	case rdb.TypeSetIntset:
		w.intset(e)
	case rdb.TypeSetListpack:
		w.lp.Reset()
		set.Each(e, func(v packed.Value) bool { w.add(v); return true })
		w.String(w.lp.Bytes())
	case rdb.TypeSet:
		w.Length(uint64(set.Len(e)))
		set.Each(e, func(v packed.Value) bool { w.String(w.bytes(0, v)); return true })
	case rdb.TypeZSetListpack:
		w.smallZSet(e)
	case rdb.TypeZSet2:
		w.zset(e)
	case rdb.TypeHashListpack:
		w.lp.Reset()
		hash.Each(e, func(field, value packed.Value) bool { w.add(field); w.add(value); return true })
		w.String(w.lp.Bytes())
	case rdb.TypeHash:
		w.Length(uint64(hash.Len(e)))
		hash.Each(e, func(field, value packed.Value) bool {
			w.String(w.bytes(0, field))
			w.String(w.bytes(1, value))
			return true
		})
	case rdb.TypeHashTTL:
		w.expiringHash(e)
	case rdb.TypeModule2:
		w.text[0] = jsondoc.Root(e.Value()).AppendText(w.text[0][:0])
		w.Document(w.text[0])
		if cap(w.text[0]) > keptText {
			w.text[0] = nil
		}
	case rdb.TypeStream2, rdb.TypeStream3:
		w.stream(t, e)
	default:
		w.String(e.Value())
	}
}

// bytes returns a value as bytes, those of a number in one of two buffers.
func (w *Writer) bytes(i int, v packed.Value) []byte {
	if v.Kind() == packed.String {
		return v.Bytes()
	}
	w.text[i] = v.AppendString(w.text[i][:0])
	return w.text[i]
}

// add appends a value to the listpack.
func (w *Writer) add(v packed.Value) {
	if n, ok := v.Int(); ok {
		w.lp.AddInt(n)
		return
	}
	w.lp.Add(w.bytes(0, v))
}

func (w *Writer) list(e *table.Entry) {
	nodes := rdb.ListNodes{Whole: list.Encoding(e) == "listpack"} // parts say that it was large: see loader.finish
	each := func() {
		list.Each(e, func(v packed.Value) bool { nodes.Add(w.bytes(0, v)); return true })
		nodes.End()
	}
	each()
	w.Length(uint64(nodes.Count))
	nodes.Node = w.PackedNode
	each()
}

func (w *Writer) intset(e *table.Entry) {
	w.ints = w.ints[:0]
	set.Each(e, func(v packed.Value) bool {
		n, _ := v.Int()
		w.ints = append(w.ints, n)
		return true
	})
	slices.Sort(w.ints) // they are sorted; what is written depends on it
	w.text[0] = rdb.AppendIntset(w.text[0][:0], w.ints)
	w.String(w.text[0])
}

func (w *Writer) smallZSet(e *table.Entry) {
	w.lp.Reset()
	zset.Each(e, func(member packed.Value, score float64) bool {
		w.add(member)
		w.text[0] = number.AppendFloat(w.text[0][:0], score)
		w.lp.Add(w.text[0])
		return true
	})
	w.String(w.lp.Bytes())
}

// zset writes members from the last to the first, as Redis does, so that loading them is inserting at the front.
func (w *Writer) zset(e *table.Entry) {
	n := zset.Len(e)
	w.Length(uint64(n))
	zset.Walk(e, n-1, n, true, func(member packed.Value, score float64) bool {
		w.String(w.bytes(0, member))
		w.Double(score)
		return true
	})
}

// expiringHash writes each expiry as milliseconds after the first one's, plus one; 0 is none.
func (w *Writer) expiringHash(e *table.Entry) {
	first := hash.NextExpiry(e)
	w.Millis(first)
	w.Length(uint64(hash.Len(e)))
	hash.EachExpiry(e, func(field, value packed.Value, expiry int64) bool {
		after := int64(0)
		if expiry != 0 {
			after = expiry - first + 1
		}
		w.Length(uint64(after))
		w.String(w.bytes(0, field))
		w.String(w.bytes(1, value))
		return true
	})
}
