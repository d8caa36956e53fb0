package dump

import (
	"math"
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/types/stream"
)

func (w *Writer) stream(t rdb.Type, e *table.Entry) {
	s := stream.Open(e)
	var nodes rdb.StreamNodes
	w.eachEntry(&s, &nodes)
	w.Length(uint64(nodes.Count))
	nodes.Node = w.StreamNode
	nodes.Count = 0
	w.eachEntry(&s, &nodes)

	w.Length(uint64(s.Len()))
	w.LengthID(rdb.StreamID(s.LastID))
	w.LengthID(rdb.StreamID(s.FirstID()))
	w.LengthID(rdb.StreamID(s.MaxDeletedID))
	w.Length(uint64(s.Added))

	w.Length(uint64(s.Groups()))
	s.EachGroup(func(name []byte, g *stream.Group) {
		w.String(name)
		w.LengthID(rdb.StreamID(g.LastID))
		w.Length(uint64(g.Read))
		w.group(t, g)
	})
}

func (w *Writer) eachEntry(s *stream.Stream, nodes *rdb.StreamNodes) {
	var fields [][]byte
	var text []byte // of all fields
	s.Range(stream.ID{}, stream.MaxID(), false, func(e *stream.Entry) bool {
		fields, text = fields[:0], text[:0]
		e.Pairs(func(field, value packed.Value) {
			for _, v := range [...]packed.Value{field, value} {
				start := len(text)
				text = v.AppendString(text) // a longer one leaves the earlier fields where they are
				fields = append(fields, text[start:])
			}
		})
		nodes.Add(rdb.StreamID(e.ID), fields)
		return true
	})
	nodes.End()
}

func (w *Writer) group(t rdb.Type, g *stream.Group) {
	w.Length(uint64(g.Pending()))
	g.PendingRange(stream.ID{}, stream.MaxID(), func(n *stream.Pending) bool {
		w.ID(rdb.StreamID(n.ID))
		w.Millis(n.Delivered)
		w.Length(uint64(n.Count))
		return true
	})
	w.Length(uint64(g.Consumers()))
	g.EachConsumer(func(name []byte, c *stream.Consumer) {
		w.String(name)
		w.Millis(c.Seen)
		if t == rdb.TypeStream3 {
			w.Millis(c.Active)
		}
		w.Length(uint64(c.Pending()))
		g.PendingOf(c, stream.ID{}, stream.MaxID(), func(n *stream.Pending) bool {
			w.ID(rdb.StreamID(n.ID))
			return true
		})
	})
}

// streamLoader takes in a stream: entries, then a group at a time.
type streamLoader struct {
	s      stream.Stream
	legacy bool
	group  []byte // name of the group that comes in

	pending  []pending // of the group; ids ascend
	owned    int       // of them that have a consumer
	consumer []byte
}

type pending struct {
	stream.Pending
	owned bool
}

// Entry implements rdb.StreamVisitor.
func (l *loader) Entry(id rdb.StreamID, fields [][]byte) error {
	l.stream.s.Append(l.limits.Stream, stream.ID(id), fields)
	return nil
}

// State implements rdb.StreamVisitor.
func (l *loader) State(st rdb.StreamState) error {
	s := &l.stream.s
	s.LastID, s.MaxDeletedID, s.Added = stream.ID(st.Last), stream.ID(st.MaxDeleted), int64(st.Added)
	l.stream.legacy = st.Legacy
	s.Save()
	return nil
}

// Group implements rdb.StreamVisitor. What a group had read was not written in early versions: it is estimated.
func (l *loader) Group(name []byte, last rdb.StreamID, read int64) error {
	g := &l.stream
	if g.legacy {
		read = g.s.Distance(stream.ID(last))
	}
	if !g.s.CreateGroup(name, stream.ID(last), read) {
		return rdb.ErrDuplicate
	}
	g.s.Save()
	g.group = append(g.group[:0], name...)
	g.pending, g.owned = g.pending[:0], 0
	return nil
}

// Pending implements rdb.StreamVisitor.
func (l *loader) Pending(id rdb.StreamID, delivered int64, count uint64) error {
	if count > math.MaxInt64 {
		return rdb.ErrStream
	}
	l.stream.pending = append(l.stream.pending, pending{
		Pending: stream.Pending{ID: stream.ID(id), Delivered: delivered, Count: int64(count)}})
	return nil
}

// Consumer implements rdb.StreamVisitor.
func (l *loader) Consumer(name []byte, seen, active int64) error {
	g, _ := l.stream.s.Group(l.stream.group)
	c, created := g.CreateConsumer(name, seen)
	if !created {
		return rdb.ErrDuplicate
	}
	c.Active = active
	c.Save()
	g.Save()
	l.stream.consumer = append(l.stream.consumer[:0], name...)
	return nil
}

// Owns implements rdb.StreamVisitor.
func (l *loader) Owns(id rdb.StreamID) error {
	p := l.stream.pending
	i, found := slices.BinarySearchFunc(p, stream.ID(id), func(a pending, b stream.ID) int { return a.ID.Compare(b) })
	if !found || p[i].owned {
		return rdb.ErrStream
	}
	p[i].owned = true
	l.stream.owned++
	g, _ := l.stream.s.Group(l.stream.group)
	c, _ := g.Consumer(l.stream.consumer)
	g.Assign(&c, p[i].Pending)
	c.Save()
	g.Save()
	return nil
}

// EndGroup implements rdb.StreamVisitor.
func (l *loader) EndGroup() error {
	if l.stream.owned != len(l.stream.pending) {
		return rdb.ErrStream
	}
	return nil
}

func (l *loader) beginStream() {
	l.begin(engine.Stream, stream.InitLen)
	stream.Init(l.e)
	l.stream.s = stream.Edit(l.e)
}

// addStream adds the entries. Redis's digest knows nothing of groups, either.
func (d *Digest) addStream(e *table.Entry) {
	s := stream.Open(e)
	var a, b scratch
	s.Range(stream.ID{}, stream.MaxID(), false, func(e *stream.Entry) bool {
		id := e.ID.Append(nil)
		id[slices.Index(id, '-')] = '.'
		d.mix(id)
		e.Pairs(func(field, value packed.Value) {
			d.mix(a.bytes(field))
			d.mix(b.bytes(value))
		})
		return true
	})
}
