package command

import (
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/store"
)

// Value is a Sink that builds an in-memory reply: what the embedded store and
// scripts get, without encoding. It is reused: Reset, run, Reply.
type Value struct {
	proto int
	reply store.Reply // once the top-level reply is complete
	stack []frame     // aggregates whose elements are still to come
}

type frame struct {
	elems []store.Reply
	want  int
	kind  store.Kind
}

// Reset forgets the last reply. proto 2 gives the shapes that redis.call gives a script.
func (v *Value) Reset(proto int) {
	v.proto, v.reply, v.stack = proto, store.Reply{}, v.stack[:0]
}

// Reply is the reply told since Reset. It shares nothing with the Value.
func (v *Value) Reply() store.Reply { return v.reply }

// put places a complete element and closes the aggregates that it completes.
func (v *Value) put(r store.Reply) {
	for len(v.stack) > 0 {
		f := &v.stack[len(v.stack)-1]
		f.elems = append(f.elems, r)
		if len(f.elems) < f.want {
			return
		}
		r = f.reply()
		v.stack = v.stack[:len(v.stack)-1]
	}
	v.reply = r
}

func (f *frame) reply() store.Reply {
	switch f.kind {
	case store.KindMap:
		return store.MapOf(f.elems...)
	case store.KindSet:
		return store.SetOf(f.elems...)
	}
	return store.ArrayOf(f.elems...)
}

func (v *Value) open(kind store.Kind, n int) {
	if v.proto == 2 {
		kind = store.KindArray
	}
	f := frame{want: n, kind: kind, elems: make([]store.Reply, 0, n)}
	if n == 0 {
		v.put(f.reply())
		return
	}
	v.stack = append(v.stack, f)
}

// Simple implements Sink.
func (v *Value) Simple(s string) { v.put(store.Status(s)) }

// Error implements Sink.
func (v *Value) Error(text string) { v.put(store.Fail(store.ServerError(text))) }

// Int implements Sink.
func (v *Value) Int(n int64) { v.put(store.Int(n)) }

// Bulk implements Sink.
func (v *Value) Bulk(b []byte) { v.put(store.Bulk(string(b))) }

// BulkString implements Sink.
func (v *Value) BulkString(s string) { v.put(store.Bulk(s)) }

// Null implements Sink.
func (v *Value) Null() { v.put(store.Nil()) }

// NullArray implements Sink.
func (v *Value) NullArray() { v.put(store.Nil()) }

// Array implements Sink.
func (v *Value) Array(n int) { v.open(store.KindArray, n) }

// Map implements Sink.
func (v *Value) Map(n int) { v.open(store.KindMap, 2*n) }

// Set implements Sink.
func (v *Value) Set(n int) { v.open(store.KindSet, n) }

// Push implements Sink.
func (v *Value) Push(n int) { v.open(store.KindArray, n) }

// Double implements Sink.
func (v *Value) Double(f float64) {
	if v.proto == 2 {
		v.put(store.Bulk(string(number.AppendFloat(nil, f))))
		return
	}
	v.put(store.Double(f))
}

// Bool implements Sink.
func (v *Value) Bool(b bool) {
	switch {
	case v.proto != 2:
		v.put(store.Boolean(b))
	case b:
		v.put(store.Int(1))
	default:
		v.put(store.Int(0))
	}
}

// BigNumber implements Sink.
func (v *Value) BigNumber(s string) { v.put(store.Bulk(s)) }

// Verbatim implements Sink.
func (v *Value) Verbatim(_, s string) { v.put(store.Bulk(s)) }

// Proto implements Sink.
func (v *Value) Proto() int { return v.proto }
