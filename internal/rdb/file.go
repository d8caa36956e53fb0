package rdb

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Opcodes of a file, between values.
const (
	opFunction = 245 // a library of functions
	opIdle     = 248 // of the next key: seconds since it was used
	opFreq     = 249 // of the next key: how often it was used
	opAux      = 250 // a name and a value about the file
	opResize   = 251 // how many keys follow, and how many of them expire
	opExpiryMs = 252 // of the next key, milliseconds
	opExpiry   = 253 // of the next key, seconds
	opSelect   = 254 // the database of the next keys
	opEnd      = 255

	opSlotInfo   = 244 // of a cluster's slot: three numbers
	opModuleAux  = 247
	opFunctionRC = 246 // of release candidates
)

const magic = "REDIS"

// NoAccess says that a key's access is not told.
const NoAccess = -1

// Attributes are what a file says of a key beside its value.
type Attributes struct {
	Expiry int64 // Unix milliseconds; 0: none
	Idle   int64 // seconds since it was used, or NoAccess
	Freq   int   // logarithmic counter of uses, or NoAccess
}

// Header begins a file.
func (w *Writer) Header(version int) { w.Raw(fmt.Appendf(nil, "%s%04d", magic, version)) }

// Aux writes a fact about the file.
func (w *Writer) Aux(name, value string) {
	w.Type(opAux)
	w.String([]byte(name))
	w.String([]byte(value))
}

// Function writes a library of functions.
func (w *Writer) Function(code []byte) {
	w.Type(opFunction)
	w.String(code)
}

// Select begins a database that has so many keys, of which so many expire.
func (w *Writer) Select(db, keys, expiring int) {
	w.Type(opSelect)
	w.Length(uint64(db))
	w.Type(opResize)
	w.Length(uint64(keys))
	w.Length(uint64(expiring))
}

// Key begins a key, whose value in that type comes next.
func (w *Writer) Key(key []byte, t Type, a Attributes) {
	if a.Expiry != 0 {
		w.Type(opExpiryMs)
		w.Millis(a.Expiry)
	}
	if a.Idle != NoAccess {
		w.Type(opIdle)
		w.Length(uint64(a.Idle))
	}
	if a.Freq != NoAccess {
		w.Raw([]byte{opFreq, byte(a.Freq)})
	}
	w.Type(t)
	w.String(key)
}

// End ends a file and flushes it.
func (w *Writer) End() error {
	w.Type(opEnd)
	sum := Checksum(w.sum, w.buf)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, sum)
	return w.Flush()
}

// Record is what a file has next.
type Record struct {
	Function []byte // the code of a library of functions; else it is a key
	DB       int
	Key      []byte // a copy
	Type     Type   // of the value, which is to be read next
	Attributes
}

// File reads a file.
type File struct {
	*Reader
	Version int
	db      int
}

// OpenFile reads the header of a file. The Reader must be one of an io.Reader that nothing was read from.
func OpenFile(r *Reader) (*File, error) {
	r.sums = true
	b, err := r.take(uint64(len(magic)) + 4)
	if err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(string(b[len(magic):]))
	if string(b[:len(magic)]) != magic || err != nil || version < 1 {
		return nil, ErrMagic
	}
	if version > MaxVersion {
		return nil, ErrVersion
	}
	return &File{Reader: r, Version: version}, nil
}

// Next tells what comes next: a library of functions, or a key, whose value the caller must read; false at the end, when
// the checksum was right.
func (f *File) Next() (rec Record, ok bool, err error) {
	rec.Attributes = Attributes{Idle: NoAccess, Freq: NoAccess}
	for {
		op, err := f.byte()
		if err != nil {
			return rec, false, err
		}
		switch op {
		case opEnd:
			return rec, false, f.end()
		case opFunction:
			code, err := f.String()
			rec.Function = append([]byte{}, code...)
			return rec, err == nil, err
		case opSelect, opResize, opSlotInfo, opAux:
			err = f.note(op)
		case opExpiry, opExpiryMs, opIdle, opFreq:
			err = f.attribute(op, &rec.Attributes)
		case opModuleAux, opFunctionRC:
			err = ErrModule
		default:
			return f.key(Type(op), rec)
		}
		if err != nil {
			return rec, false, err
		}
	}
}

func (f *File) key(t Type, rec Record) (Record, bool, error) {
	if _, ok := t.Kind(); !ok {
		return rec, false, ErrOpcode
	}
	key, err := f.String()
	rec.Key, rec.Type, rec.DB = append([]byte{}, key...), t, f.db
	return rec, err == nil, err
}

// note reads what is said of more than a key.
func (f *File) note(op byte) error {
	numbers := map[byte]int{opSelect: 1, opResize: 2, opSlotInfo: 3}[op]
	for i := range numbers {
		n, err := f.Length()
		switch {
		case err != nil:
			return err
		case op == opSelect && i == 0 && n > 1<<31-1:
			return ErrLength
		case op == opSelect:
			f.db = int(n)
		}
	}
	if op != opAux {
		return nil
	}
	for range 2 {
		if _, err := f.String(); err != nil {
			return err
		}
	}
	return nil
}

// attribute reads what is said of the next key.
func (f *File) attribute(op byte, a *Attributes) error {
	switch op {
	case opExpiryMs:
		at, err := f.Millis()
		a.Expiry = at
		return err
	case opExpiry:
		b, err := f.take(4)
		if err == nil {
			a.Expiry = int64(int32(binary.LittleEndian.Uint32(b))) * 1000
		}
		return err
	case opIdle:
		n, err := f.Length()
		a.Idle = int64(min(n, 1<<31))
		return err
	}
	n, err := f.byte()
	a.Freq = int(n)
	return err
}

// end checks the checksum, which files of before version 5 do not have and 0 says nobody made.
func (f *File) end() error {
	if f.Version < 5 {
		return nil
	}
	sum := Checksum(f.sum, f.buf[:f.at])
	b, err := f.take(8)
	if err != nil {
		return err
	}
	if want := binary.LittleEndian.Uint64(b); want != 0 && want != sum {
		return ErrChecksum
	}
	return nil
}
