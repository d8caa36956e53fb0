package stream

import (
	"encoding/binary"
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// Limits say how long a leaf of entries may get.
type Limits struct {
	NodeBytes   int // stream-node-max-bytes; 0: up to maxLeaf
	NodeEntries int // stream-node-max-entries, those deleted since included; 0: any number
}

// DefaultLimits returns Redis's.
func DefaultLimits() Limits { return Limits{NodeBytes: 4096, NodeEntries: 100} }

// maxLeaf bounds a leaf where the configuration does not: an edit moves up to a leaf of bytes. A longer entry has a leaf
// of its own.
const maxLeaf = 1 << 20

// InitLen is the length in bytes of the value of a new record that is to be given to Init.
const InitLen = rootLen

// The value of the record: the roots of the entries and of the groups, and the counters.
const (
	rootGroups     = rootSize
	rootLast       = rootGroups + tree.RootSize
	rootTop        = rootLast + idSize
	rootMaxDeleted = rootTop + idSize
	rootAdded      = rootMaxDeleted + idSize
	rootLen        = rootAdded + 8
)

// Stream is a stream that is open for work.
type Stream struct {
	e      *table.Entry
	value  []byte // as it was when the stream was opened
	log    series
	groups directory // see names
	top    ID        // of the last entry that is there

	// LastID is the ID added last: no entry with an ID up to it can be added.
	LastID ID
	// MaxDeletedID is the greatest ID that was deleted by name, not by trimming.
	MaxDeletedID ID
	// Added counts the entries ever added.
	Added int64
}

// Init makes e's value an empty stream, whatever it was. Cells that the old value referred to must have been freed.
func Init(e *table.Entry) {
	clear(e.SetLen(rootLen))
	e.SetFlag(table.FlagLarge, true)
}

// Open opens the stream of a record to read it. Every Stream is opened anew for each operation on the keyspace.
func Open(e *table.Entry) Stream { return open(e.Arena(), e, e.Value()) }

// Edit is Open for changes: whoever watches the record is told before anything below it changes.
func Edit(e *table.Entry) Stream {
	e.Change()
	return Open(e)
}

func open(a *arena.Arena, e *table.Entry, value []byte) Stream {
	return Stream{
		e:            e,
		value:        value,
		log:          load(a, value, entries),
		top:          idAt(value[rootTop:]),
		LastID:       idAt(value[rootLast:]),
		MaxDeletedID: idAt(value[rootMaxDeleted:]),
		Added:        int64(binary.LittleEndian.Uint64(value[rootAdded:])),
	}
}

// Save stores the root; due at the end of every operation that edits.
func (s *Stream) Save() { s.saveTo(s.e.Value()) }

func (s *Stream) saveTo(value []byte) {
	s.log.save(value)
	if s.groups.a != nil {
		s.groups.save(value[rootGroups:])
	}
	s.LastID.put(value[rootLast:])
	s.top.put(value[rootTop:])
	s.MaxDeletedID.put(value[rootMaxDeleted:])
	binary.LittleEndian.PutUint64(value[rootAdded:], uint64(s.Added))
}

// names returns the groups, which most operations need not load.
func (s *Stream) names() *directory {
	if s.groups.a == nil && s.value != nil {
		s.groups = loadDirectory(s.log.a, s.value[rootGroups:])
	}
	return &s.groups
}

// Encoding names the form as OBJECT ENCODING does: "stream".
func Encoding(*table.Entry) string { return "stream" }

// Len returns the number of entries. O(1).
func Len(e *table.Entry) int {
	t := tree.Load(e.Arena(), e.Value(), leaves)
	return t.Len()
}

// Len returns the number of entries. O(1).
func (s *Stream) Len() int { return s.log.len() }

// FirstID is the ID of the first entry; 0-0 in an empty stream. O(log n).
func (s *Stream) FirstID() ID {
	var p place
	s.log.first(&p)
	return p.id
}

// TopID is the ID of the last entry that is there; 0-0 in an empty stream. O(1).
func (s *Stream) TopID() ID { return s.top }

// findTop is due when the last entry went.
func (s *Stream) findTop() {
	var p place
	s.log.last(&p)
	s.top = p.id
}

// NextID is the ID for an entry that is added now, at a time in Unix milliseconds: never one that was used. false if no
// ID is left.
func (s *Stream) NextID(now int64) (ID, bool) {
	if ms := uint64(max(now, 0)); ms > s.LastID.Ms {
		return ID{ms, 0}, true
	}
	return s.LastID.Next()
}

// NextSeq is the ID for an entry of the given millisecond; false if it is past or has no number left.
func (s *Stream) NextSeq(ms uint64) (ID, bool) {
	switch {
	case ms > s.LastID.Ms:
		return ID{ms, 0}, true
	case ms < s.LastID.Ms || s.LastID.Seq == math.MaxUint64:
		return ID{}, false
	}
	return ID{ms, s.LastID.Seq + 1}, true
}

// Exists tells whether an entry is there. O(log n) and a leaf.
func (s *Stream) Exists(id ID) bool {
	var p place
	return s.log.find(&p, id)
}

// Delete deletes an entry; false if it is not there. O(log n) and a leaf.
func (s *Stream) Delete(id ID) bool {
	var p place
	if !s.log.find(&p, id) {
		return false
	}
	s.log.remove(&p)
	if id == s.top {
		s.findTop()
	}
	if s.MaxDeletedID.Less(id) {
		s.MaxDeletedID = id
	}
	return true
}

// Leaves returns how many leaves of entries and how many nodes, leaves included, the stream has: what XINFO calls keys
// and nodes of a radix tree. O(leaves / fanout).
func (s *Stream) Leaves() (leaves, nodes int) {
	leaves, inner := s.log.t.Nodes()
	return leaves, leaves + inner
}
