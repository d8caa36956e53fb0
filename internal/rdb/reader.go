package rdb

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/larderdb/larder/internal/types/number"
)

// Reader reads what a Writer, or Redis, has written. It is for one goroutine.
type Reader struct {
	// Limit bounds what one value may come to: the bytes of its elements and ElementCost for each. 0: no bound.
	Limit int64

	from  io.Reader // nil: buf is all there is
	buf   []byte
	at    int
	spent int64 // of Limit
	sum   uint64
	sums  bool // of all that was read

	slots [2][]byte // of strings that are not in buf as they are
	short [2][number.MaxIntLen]byte
	row   [][]byte // fields of an entry
}

// ElementCost is what each element counts beside its bytes: about what keeping it takes.
const ElementCost = 32

// NewReader returns a Reader of bytes, which it does not change.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// NewStreamReader returns a Reader of an io.Reader. It reads ahead.
func NewStreamReader(from io.Reader) *Reader {
	return &Reader{from: from, buf: make([]byte, 0, spillAt)}
}

// Rest is the number of bytes that are left, of a Reader of bytes.
func (r *Reader) Rest() int { return len(r.buf) - r.at }

// take returns the next n bytes; they are void after the next call. It never asks for much more memory than has come.
func (r *Reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.buf)-r.at) {
		if err := r.fill(n); err != nil {
			return nil, err
		}
	}
	b := r.buf[r.at : r.at+int(n)]
	r.at += int(n)
	return b, nil
}

// fillStep is how much is asked for at once of what somebody claims is there.
const fillStep = 1 << 20

// fill reads until n bytes are there.
func (r *Reader) fill(n uint64) error {
	if r.from == nil || n > math.MaxInt64/2 {
		return ErrTruncated
	}
	if r.sums {
		r.sum = Checksum(r.sum, r.buf[:r.at])
	}
	r.buf = r.buf[:copy(r.buf, r.buf[r.at:])]
	r.at = 0
	for uint64(len(r.buf)) < n {
		if len(r.buf) == cap(r.buf) {
			more := make([]byte, len(r.buf), max(2*cap(r.buf), spillAt))
			copy(more, r.buf)
			r.buf = more
		}
		got, err := r.from.Read(r.buf[len(r.buf):min(cap(r.buf), len(r.buf)+fillStep)])
		r.buf = r.buf[:len(r.buf)+got]
		switch {
		case uint64(len(r.buf)) >= n:
		case errors.Is(err, io.EOF):
			return ErrTruncated
		case err != nil:
			return err
		}
	}
	return nil
}

func (r *Reader) byte() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// length reads a length, or with encoded the way in which a string is encoded.
func (r *Reader) length() (n uint64, encoded bool, err error) {
	b, err := r.byte()
	if err != nil {
		return 0, false, err
	}
	switch {
	case b < len14:
		return uint64(b), false, nil
	case b < len32:
		low, err := r.byte()
		return uint64(b&0x3f)<<8 | uint64(low), false, err
	case b == len32:
		p, err := r.take(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(p)), false, nil
	case b == len64:
		p, err := r.take(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(p), false, nil
	case b >= lenEnc:
		return uint64(b & 0x3f), true, nil
	}
	return 0, false, ErrLength
}

// Length reads a length or any other unsigned number.
func (r *Reader) Length() (uint64, error) {
	n, encoded, err := r.length()
	if err == nil && encoded {
		err = ErrLength
	}
	return n, err
}

// String reads a string. It is void after the next read.
func (r *Reader) String() ([]byte, error) { return r.str(0) }

// str reads a string that stays until the next one of the same slot, if the Reader is one of bytes; from an io.Reader
// the string of slot 0 stays, too, since it is copied.
func (r *Reader) str(slot int) ([]byte, error) {
	n, encoded, err := r.length()
	switch {
	case err != nil:
		return nil, err
	case encoded:
		return r.encoded(slot, n)
	}
	if err := r.spend(n); err != nil {
		return nil, err
	}
	b, err := r.take(n)
	if err == nil && r.from != nil && slot == 0 {
		r.slots[0] = append(r.slots[0][:0], b...)
		b = r.slots[0]
	}
	return b, err
}

// encoded reads a string that is encoded in some way.
func (r *Reader) encoded(slot int, way uint64) ([]byte, error) {
	if way == encLZF {
		return r.unpack(slot)
	}
	if way > encLZF {
		return nil, ErrString
	}
	b, err := r.take(1 << way)
	if err != nil {
		return nil, err
	}
	var n int64
	switch way {
	case encInt8:
		n = int64(int8(b[0]))
	case encInt16:
		n = int64(int16(binary.LittleEndian.Uint16(b)))
	case encInt32:
		n = int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return number.AppendInt(r.short[slot][:0], n), nil
}

// keepSlot is how much memory a slot keeps for the next string.
const keepSlot = 1 << 20

func (r *Reader) unpack(slot int) ([]byte, error) {
	packed, err := r.Length()
	if err != nil {
		return nil, err
	}
	n, err := r.Length()
	if err != nil {
		return nil, err
	}
	if packed > math.MaxInt32 || !lzfFits(packed, n) {
		return nil, ErrLZF
	}
	if err := r.spend(n); err != nil {
		return nil, err
	}
	b, err := r.take(packed)
	if err != nil {
		return nil, err
	}
	dst := r.slots[slot]
	if cap(dst) > keepSlot {
		dst = nil
	}
	dst, err = decompress(dst[:0], b, int(n))
	r.slots[slot] = dst
	return dst, err
}

// spend counts bytes of the value against the limit.
func (r *Reader) spend(n uint64) error {
	if r.Limit == 0 {
		return nil
	}
	if n > uint64(r.Limit) {
		return ErrLimit
	}
	if r.spent += int64(n); r.spent > r.Limit {
		return ErrLimit
	}
	return nil
}

// element counts an element against the limit.
func (r *Reader) element() error { return r.spend(ElementCost) }

// Double reads eight bytes.
func (r *Reader) Double() (float64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// Millis reads a time, Unix milliseconds.
func (r *Reader) Millis() (int64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// id reads an entry's id of sixteen bytes.
func (r *Reader) id() (StreamID, error) {
	b, err := r.take(16)
	if err != nil {
		return StreamID{}, err
	}
	return parseID(b), nil
}

func parseID(b []byte) StreamID {
	return StreamID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// lengthID reads an id that is written as two numbers.
func (r *Reader) lengthID() (id StreamID, err error) {
	if id.Ms, err = r.Length(); err == nil {
		id.Seq, err = r.Length()
	}
	return id, err
}
