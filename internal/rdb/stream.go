package rdb

import (
	"math"

	"github.com/larderdb/larder/internal/types/number"
)

// A stream is written as the listpacks of its radix tree, each under the id that its entries' ids count from:
//
//	entries, deleted entries, names in 3.., 0                    the master entry
//	entry = flags, ms, seq, [fields, (name, value)* | value*], n  n is the number of items before it
//
// A flag says that the entry has the names of the master entry, which are then not repeated; another that it is deleted.
const (
	entryDeleted  = 1
	entrySameName = 2
)

func (x *valueReader) stream() error {
	n, err := x.Length()
	if err != nil {
		return err
	}
	if err := x.begin(0); err != nil {
		return err
	}
	s := streamReader{valueReader: x}
	for ; n > 0; n-- {
		if err := s.node(); err != nil {
			return err
		}
	}
	if err := s.state(); err != nil {
		return err
	}
	groups, err := x.Length()
	if err != nil {
		return err
	}
	for ; groups > 0; groups-- {
		if err := s.group(); err != nil {
			return err
		}
	}
	return nil
}

type streamReader struct {
	*valueReader
	first, last StreamID // of the entries so far
	live        uint64   // entries so far
	legacy      bool

	w      walker
	names  [][]byte // of the master entry
	digits []byte   // texts of integers
}

// node reads one listpack.
func (s *streamReader) node() error {
	key, err := s.str(0)
	if err != nil {
		return err
	}
	if len(key) != 16 {
		return ErrStream
	}
	master := parseID(key)
	b, err := s.str(1)
	if err != nil {
		return err
	}
	if s.w, err = newWalker(b); err != nil {
		return err
	}
	s.digits = s.digits[:0]
	count, err := s.master()
	if err != nil {
		return err
	}
	for ; count > 0; count-- {
		if err := s.entry(master); err != nil {
			return err
		}
	}
	if done, err := s.w.done(); !done || err != nil {
		return ErrStream
	}
	return nil
}

// master reads the master entry and returns how many entries follow, deleted ones included.
func (s *streamReader) master() (entries int64, err error) {
	var head [3]int64
	for i := range head {
		if head[i], err = s.w.integer(); err != nil {
			return 0, err
		}
	}
	live, deleted, names := head[0], head[1], head[2]
	bound := int64(len(s.w.b)) // no listpack has more items than bytes
	if live < 0 || deleted < 0 || names < 0 || live > bound || deleted > bound || names > bound || live+deleted == 0 {
		return 0, ErrStream
	}
	s.names = s.names[:0]
	for ; names > 0; names-- {
		name, err := s.text()
		if err != nil {
			return 0, err
		}
		s.names = append(s.names, name)
	}
	if zero, err := s.w.integer(); err != nil || zero != 0 {
		return 0, ErrStream
	}
	return live + deleted, nil
}

// text reads an item as text that stays until the next listpack.
func (s *streamReader) text() ([]byte, error) {
	v, err := s.w.next()
	if err != nil || !v.isInt {
		return v.str, err
	}
	start := len(s.digits)
	s.digits = number.AppendInt(s.digits, v.num)
	return s.digits[start:len(s.digits):len(s.digits)], nil
}

func (s *streamReader) entry(master StreamID) error {
	var head [3]int64
	for i := range head {
		var err error
		if head[i], err = s.w.integer(); err != nil {
			return err
		}
	}
	flags, id := head[0], StreamID{master.Ms + uint64(head[1]), master.Seq + uint64(head[2])}
	items, err := s.fields(flags)
	if err != nil {
		return err
	}
	if n, err := s.w.integer(); err != nil || n != items {
		return ErrStream
	}
	if flags&entryDeleted != 0 {
		return nil
	}
	if s.live > 0 && !s.last.Less(id) || id == (StreamID{}) {
		return ErrStream
	}
	if s.live == 0 {
		s.first = id
	}
	s.last = id
	s.live++
	if err := s.element(); err != nil {
		return err
	}
	for _, f := range s.row {
		if err := s.spend(uint64(len(f))); err != nil {
			return err
		}
	}
	return s.Visitor.Entry(id, s.row)
}

// fields reads the names and values of an entry to row, and returns how many items the entry has but for the last.
func (s *streamReader) fields(flags int64) (items int64, err error) {
	s.row = s.row[:0]
	if flags&entrySameName != 0 {
		for _, name := range s.names {
			value, err := s.text()
			if err != nil {
				return 0, err
			}
			s.row = append(s.row, name, value)
		}
		return int64(len(s.names)) + 3, nil
	}
	n, err := s.w.integer()
	if err != nil || n < 0 || n > int64(len(s.w.b)) {
		return 0, ErrStream
	}
	for range 2 * n {
		v, err := s.text()
		if err != nil {
			return 0, err
		}
		s.row = append(s.row, v)
	}
	return 2*n + 4, nil
}

// state reads what is known of the stream as a whole.
func (s *streamReader) state() (err error) {
	var st StreamState
	if st.Length, err = s.Length(); err != nil {
		return err
	}
	if st.Last, err = s.lengthID(); err != nil {
		return err
	}
	if s.t == TypeStream {
		st.Legacy, st.Added, st.First = true, st.Length, s.first
	} else {
		if st.First, err = s.lengthID(); err != nil {
			return err
		}
		if st.MaxDeleted, err = s.lengthID(); err != nil {
			return err
		}
		if st.Added, err = s.Length(); err != nil {
			return err
		}
	}
	if st.Length != s.live || s.live > 0 && st.Last.Less(s.last) || st.Added > math.MaxInt64 {
		return ErrStream
	}
	st.First = s.first
	s.legacy = st.Legacy
	return s.State(st)
}

func (s *streamReader) group() error {
	if err := s.element(); err != nil {
		return err
	}
	name, err := s.str(0)
	if err != nil {
		return err
	}
	last, err := s.lengthID()
	if err != nil {
		return err
	}
	read := int64(UnknownRead)
	if !s.legacy {
		n, err := s.Length()
		if err != nil {
			return err
		}
		if n <= math.MaxInt64 {
			read = int64(n)
		}
	}
	if err := s.Group(name, last, read); err != nil {
		return err
	}
	if err := s.pending(); err != nil {
		return err
	}
	consumers, err := s.Length()
	if err != nil {
		return err
	}
	for ; consumers > 0; consumers-- {
		if err := s.consumer(); err != nil {
			return err
		}
	}
	return s.EndGroup()
}

// pending reads the group's entries that were delivered and not acknowledged.
func (s *streamReader) pending() error {
	n, err := s.Length()
	if err != nil {
		return err
	}
	var last StreamID
	for first := true; n > 0; n-- {
		if err := s.element(); err != nil {
			return err
		}
		id, err := s.id()
		if err != nil {
			return err
		}
		if !first && !last.Less(id) {
			return ErrStream
		}
		first, last = false, id
		delivered, err := s.Millis()
		if err != nil {
			return err
		}
		count, err := s.Length()
		if err != nil {
			return err
		}
		if err := s.Pending(id, delivered, count); err != nil {
			return err
		}
	}
	return nil
}

func (s *streamReader) consumer() error {
	if err := s.element(); err != nil {
		return err
	}
	name, err := s.str(0)
	if err != nil {
		return err
	}
	seen, err := s.Millis()
	if err != nil {
		return err
	}
	active := seen
	if s.t == TypeStream3 {
		if active, err = s.Millis(); err != nil {
			return err
		}
	}
	if err := s.Consumer(name, seen, active); err != nil {
		return err
	}
	n, err := s.Length()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		id, err := s.id()
		if err != nil {
			return err
		}
		if err := s.Owns(id); err != nil {
			return err
		}
	}
	return nil
}
