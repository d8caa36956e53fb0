package rdb

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/larderdb/larder/internal/types/number"
)

// Ways in which a string is encoded, and the bits in front of lengths.
const (
	encInt8  = 0
	encInt16 = 1
	encInt32 = 2
	encLZF   = 3

	len6   = 0x00
	len14  = 0x40
	len32  = 0x80
	len64  = 0x81
	lenEnc = 0xc0
)

// spillAt is how many bytes a Writer gathers before it passes them on.
const spillAt = 64 << 10

// Writer writes values. It is for one goroutine, and is reused: Reset. An error of the io.Writer below stays until then
// and makes all later writing void; Err and Flush tell it.
type Writer struct {
	// Compress packs strings with LZF where that makes them smaller.
	Compress bool

	to      io.Writer // nil: everything stays in buf
	buf     []byte
	sum     uint64 // of what was passed on
	written int64  // bytes passed on
	err     error
	lzf     *lzfTable
}

// NewWriter returns a Writer to an io.Writer, or with nil one that keeps what is written: see Bytes.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Reset begins anew, with nothing written.
func (w *Writer) Reset(to io.Writer) {
	w.to, w.buf, w.sum, w.written, w.err = to, w.buf[:0], 0, 0, nil
}

// Bytes is what was written and not passed on. It is void after the next write.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of bytes written since Reset.
func (w *Writer) Len() int64 { return w.written + int64(len(w.buf)) }

// Err is the first error of the io.Writer below.
func (w *Writer) Err() error { return w.err }

// Flush passes on what was gathered.
func (w *Writer) Flush() error {
	if w.to != nil && w.err == nil && len(w.buf) > 0 {
		w.sum = Checksum(w.sum, w.buf)
		n, err := w.to.Write(w.buf)
		w.written += int64(n)
		w.err = err
	}
	if w.to != nil {
		w.buf = w.buf[:0]
	}
	return w.err
}

// spill passes on what was gathered if that is much.
func (w *Writer) spill() {
	if w.to != nil && len(w.buf) >= spillAt {
		_ = w.Flush() // the error stays
	}
}

// Type begins a value.
func (w *Writer) Type(t Type) { w.buf = append(w.buf, byte(t)) }

// Raw writes bytes as they are.
func (w *Writer) Raw(b []byte) { w.buf = append(w.buf, b...) }

// Length writes a length or any other unsigned number.
func (w *Writer) Length(n uint64) {
	switch {
	case n < 1<<6:
		w.buf = append(w.buf, len6|byte(n))
	case n < 1<<14:
		w.buf = append(w.buf, len14|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, len32), uint32(n))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, len64), n)
	}
}

// String writes a string: as an integer where it is a short one's decimal form, packed where that pays, else as it is.
func (w *Writer) String(s []byte) {
	if len(s) <= 11 {
		if n, ok := number.ParseInt(s); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			w.integer(int32(n))
			return
		}
	}
	if w.Compress && len(s) > lzfMinLen && len(s) <= math.MaxInt32 && w.packed(s) {
		return
	}
	w.Length(uint64(len(s)))
	if w.to != nil && len(s) >= spillAt { // not through the buffer
		if w.Flush() == nil {
			w.sum = Checksum(w.sum, s)
			n, err := w.to.Write(s)
			w.written += int64(n)
			w.err = err
		}
		return
	}
	w.buf = append(w.buf, s...)
	w.spill()
}

func (w *Writer) integer(n int32) {
	switch {
	case n >= math.MinInt8 && n <= math.MaxInt8:
		w.buf = append(w.buf, lenEnc|encInt8, byte(n))
	case n >= math.MinInt16 && n <= math.MaxInt16:
		w.buf = binary.LittleEndian.AppendUint16(append(w.buf, lenEnc|encInt16), uint16(n))
	default:
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, lenEnc|encInt32), uint32(n))
	}
}

// packed writes a string in LZF, unless that would not be smaller.
func (w *Writer) packed(s []byte) bool {
	if w.lzf == nil {
		w.lzf = new(lzfTable)
	}
	// The two lengths in front are not known yet: the packed bytes are moved behind them.
	const head = 1 + 9 + 9
	start := len(w.buf)
	w.buf = append(w.buf, make([]byte, head)...)
	out, ok := w.lzf.compress(w.buf, s)
	body := out[start+head:]
	w.buf = out[:start]
	if !ok {
		return false
	}
	w.buf = append(w.buf, lenEnc|encLZF)
	w.Length(uint64(len(body)))
	w.Length(uint64(len(s)))
	w.buf = append(w.buf, body...) // moves to the front: what is copied is not overwritten before
	w.spill()
	return true
}

// Double writes eight bytes.
func (w *Writer) Double(f float64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(f))
}

// Millis writes a time, Unix milliseconds.
func (w *Writer) Millis(t int64) { w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(t)) }

// ID writes an entry's id in sixteen bytes.
func (w *Writer) ID(id StreamID) {
	w.buf = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(w.buf, id.Ms), id.Seq)
}

// FooterLen is the length of the footer of a payload in bytes: nothing shorter is one.
const FooterLen = 10

// Seal ends a payload of DUMP: a value that was written to a Writer which keeps it.
func (w *Writer) Seal(version int) []byte {
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(version))
	w.buf = binary.LittleEndian.AppendUint64(w.buf, Checksum(0, w.buf))
	return w.buf
}

// Unseal checks the footer of a payload and returns the value in front of it.
func Unseal(payload []byte) ([]byte, error) {
	n := len(payload) - FooterLen
	if n < 0 {
		return nil, ErrTruncated
	}
	footer := payload[n:]
	if binary.LittleEndian.Uint16(footer) > MaxVersion {
		return nil, ErrVersion
	}
	if Checksum(0, payload[:n+2]) != binary.LittleEndian.Uint64(footer[2:]) {
		return nil, ErrChecksum
	}
	return payload[:n], nil
}
