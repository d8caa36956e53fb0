package rdb

import (
	"encoding/binary"
	"slices"
)

// Lists and streams are written as a number of listpacks, and the number comes first. So who writes one walks it twice
// with the same builder: first to count the listpacks, then to write them.

// nodeBytes is how long a listpack of a list or a stream gets before another begins: as Redis has it by default.
const (
	listNodeBytes     = 8 << 10
	streamNodeBytes   = 4 << 10
	streamNodeEntries = 100
)

// ListNodes cuts a list in listpacks.
type ListNodes struct {
	// Node takes the next listpack; it is void afterwards. nil: they are only counted.
	Node  func(listpack []byte)
	Count int  // listpacks so far
	Whole bool // one listpack, however long

	lp   Listpack
	n    int // entries of the current one
	size int // its bytes, where they are only counted
}

// Add appends an element.
func (l *ListNodes) Add(v []byte) {
	size := EntrySize(v)
	if l.n > 0 && l.size+size > listNodeBytes && !l.Whole {
		l.End()
	}
	l.n++
	l.size += size
	if l.Node != nil {
		l.lp.Add(v)
	}
}

// End ends the last listpack.
func (l *ListNodes) End() {
	if l.n == 0 {
		return
	}
	l.Count++
	if l.Node != nil {
		l.Node(l.lp.Bytes())
		l.lp.Reset()
	}
	l.n, l.size = 0, 0
}

// StreamNodes cuts the entries of a stream in listpacks.
type StreamNodes struct {
	// Node takes the next listpack and the id that it counts from; it is void afterwards.
	Node  func(master StreamID, listpack []byte)
	Count int // listpacks so far

	body    Listpack // entries of the current one, behind its master entry
	head    Listpack
	entries int
	master  StreamID
	names   [][]byte
}

// Add appends an entry; fields are names and values in turn.
func (s *StreamNodes) Add(id StreamID, fields [][]byte) {
	if s.entries > 0 && (s.entries >= streamNodeEntries || s.body.Size() >= streamNodeBytes) {
		s.End()
	}
	if s.entries == 0 {
		s.master, s.names = id, s.names[:0]
		for i := 0; i < len(fields); i += 2 {
			s.names = append(s.names, slices.Clone(fields[i]))
		}
	}
	s.entries++
	same := s.sameNames(fields)
	flags := int64(0)
	if same {
		flags = entrySameName
	}
	s.body.AddInt(flags)
	s.body.AddInt(int64(id.Ms - s.master.Ms))
	s.body.AddInt(int64(id.Seq - s.master.Seq))
	items := int64(3)
	if !same {
		s.body.AddInt(int64(len(fields) / 2))
		items++
	}
	for i, f := range fields {
		if same && i%2 == 0 {
			continue
		}
		s.body.Add(f)
		items++
	}
	s.body.AddInt(items)
}

func (s *StreamNodes) sameNames(fields [][]byte) bool {
	if len(fields) != 2*len(s.names) {
		return false
	}
	for i, name := range s.names {
		if string(fields[2*i]) != string(name) {
			return false
		}
	}
	return true
}

// End ends the last listpack.
func (s *StreamNodes) End() {
	if s.entries == 0 {
		return
	}
	s.Count++
	if s.Node != nil {
		s.head.Reset()
		s.head.AddInt(int64(s.entries))
		s.head.AddInt(0)
		s.head.AddInt(int64(len(s.names)))
		for _, name := range s.names {
			s.head.Add(name)
		}
		s.head.AddInt(0)
		s.head.join(&s.body)
		s.Node(s.master, s.head.Bytes())
	}
	s.body.Reset()
	s.entries = 0
}

// join appends the entries of another listpack.
func (l *Listpack) join(other *Listpack) {
	if other.n > 0 {
		l.begin()
		l.b = append(l.b, other.b[lpHeader:]...)
		l.n += other.n
	}
}

// StreamNode writes a listpack of a stream.
func (w *Writer) StreamNode(master StreamID, listpack []byte) {
	key := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, master.Ms), master.Seq)
	w.String(key)
	w.String(listpack)
}

// PackedNode writes a listpack of a list.
func (w *Writer) PackedNode(listpack []byte) {
	w.Length(nodePacked)
	w.String(listpack)
}

// LengthID writes an id as two numbers.
func (w *Writer) LengthID(id StreamID) {
	w.Length(id.Ms)
	w.Length(id.Seq)
}
