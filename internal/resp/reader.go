package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/larderdb/larder/internal/types/number"
)

// Kind is the first byte of an encoded value.
type Kind byte

// The kinds of values. A missing value is of kind Null or, in RESP2, a Bulk or Array with Value.Null set.
const (
	Simple    Kind = '+'
	Error     Kind = '-'
	Int       Kind = ':'
	Bulk      Kind = '$'
	Array     Kind = '*'
	Null      Kind = '_'
	Double    Kind = ','
	Bool      Kind = '#'
	BigNumber Kind = '('
	BulkError Kind = '!'
	Verbatim  Kind = '='
	Map       Kind = '%'
	Set       Kind = '~'
	Push      Kind = '>'
)

// Value is a decoded reply.
type Value struct {
	Kind  Kind
	Null  bool    // there is no value: kind Null, or RESP2's $-1 and *-1
	Int   int64   // Int; Bool as 0 or 1
	Float float64 // Double
	// Str is what the value says: of strings and errors the bytes (of Verbatim without its format), of BigNumber
	// and Double the digits as sent.
	Str    []byte
	Format string  // Verbatim: three letters
	Elems  []Value // aggregates; a Map has keys and values in turn
	Attrs  []Value // the attribute that came before, keys and values in turn
}

// Text is Str as a string.
func (v Value) Text() string { return string(v.Str) }

// IsError reports whether v is an error of either kind.
func (v Value) IsError() bool { return v.Kind == Error || v.Kind == BulkError }

// maxDepth is how deep aggregates of a reply may nest; the server's own nest four deep.
const maxDepth = 128

// Reader decodes replies from a stream. What it allocates follows the bytes that arrive, not what is announced.
type Reader struct {
	br *bufio.Reader
}

// NewReader makes a Reader of r. It reads ahead.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReader(r)} }

// Buffered is the number of bytes read ahead.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// Rest is the stream behind the values that were read, for what is no RESP.
func (r *Reader) Rest() io.Reader { return r.br }

// Read decodes the next value, whose bytes are its own. It returns io.EOF between values, io.ErrUnexpectedEOF inside one,
// and a ProtocolError for what is not RESP; nothing can be read after that.
func (r *Reader) Read() (Value, error) {
	if _, err := r.br.Peek(1); err != nil {
		return Value{}, err
	}
	v, err := r.value(maxDepth)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// Decode decodes the value at the beginning of b and returns the number of its bytes. A value that is there only in part
// gives io.ErrUnexpectedEOF.
func Decode(b []byte) (Value, int, error) {
	src := bytes.NewReader(b)
	r := NewReader(src)
	v, err := r.Read()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return v, len(b) - src.Len() - r.br.Buffered(), err
}

func (r *Reader) value(depth int) (Value, error) {
	line, err := r.line()
	if err != nil {
		return Value{}, err
	}
	if len(line) == 0 {
		return Value{}, ProtocolError("empty line in reply")
	}
	v := Value{Kind: Kind(line[0])}
	body := line[1:]
	switch v.Kind {
	case Simple, Error, BigNumber:
		v.Str = body
	case Int:
		v.Int, err = integer(body)
	case Double:
		v.Str = body
		v.Float, err = double(body)
	case Bool:
		v.Int, err = boolean(body)
	case Null:
		v.Null = true
		if len(body) > 0 {
			err = malformed("null", body)
		}
	case Bulk, BulkError, Verbatim:
		err = r.bulk(&v, body)
	case Array, Set, Push, Map:
		v.Elems, v.Null, err = r.elems(v.Kind, body, depth)
	case '|':
		return r.attributed(body, depth)
	default:
		err = malformed("type", line[:1])
	}
	return v, err
}

func malformed(what string, b []byte) error {
	return ProtocolError(fmt.Sprintf("invalid %s in reply: %.40q", what, b))
}

// line reads to the next CR LF and leaves them out.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.br.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull && len(line) <= maxLine:
			continue
		case err == bufio.ErrBufferFull:
			return nil, ProtocolError("too big line in reply")
		case err != nil:
			return nil, err
		case len(line) < 2 || line[len(line)-2] != '\r':
			return nil, ProtocolError("line in reply does not end in CR LF")
		}
		line = line[:len(line)-2]
		if bytes.IndexByte(line, '\r') >= 0 {
			return nil, ProtocolError("stray CR in reply")
		}
		return line, nil
	}
}

func integer(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, malformed("integer", b)
	}
	return n, nil
}

func double(b []byte) (float64, error) {
	if string(b) == "nan" {
		return math.NaN(), nil
	}
	f, ok := number.ParseFloat(b)
	if !ok {
		return 0, malformed("double", b)
	}
	return f, nil
}

func boolean(b []byte) (int64, error) {
	switch string(b) {
	case "t":
		return 1, nil
	case "f":
		return 0, nil
	}
	return 0, malformed("boolean", b)
}

// size reads the announced length of a bulk string or an aggregate; null says that it is RESP2's -1.
func size(kind Kind, b []byte) (n int, null bool, err error) {
	v, ok := number.ParseInt(b)
	switch {
	case ok && v == -1 && (kind == Bulk || kind == Array):
		return 0, true, nil
	case !ok || v < 0 || v > math.MaxInt32:
		return 0, false, malformed("length", b)
	}
	return int(v), false, nil
}

func (r *Reader) bulk(v *Value, head []byte) error {
	n, null, err := size(v.Kind, head)
	if err != nil || null {
		v.Null = null
		return err
	}
	if v.Str, err = r.bytes(n); err != nil {
		return err
	}
	end, err := r.bytes(2)
	if err != nil {
		return err
	}
	if string(end) != "\r\n" {
		return malformed("end of string", end)
	}
	if v.Kind == Verbatim {
		if len(v.Str) < 4 || v.Str[3] != ':' {
			return malformed("verbatim string", v.Str)
		}
		v.Format, v.Str = string(v.Str[:3]), v.Str[4:]
	}
	return nil
}

// bytes reads n bytes into memory that doubles as they arrive.
func (r *Reader) bytes(n int) ([]byte, error) {
	const step = 64 << 10
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		part := b[len(b):min(n, cap(b))]
		if _, err := io.ReadFull(r.br, part); err != nil {
			return nil, err
		}
		b = b[:len(b)+len(part)]
	}
	return b, nil
}

func (r *Reader) elems(kind Kind, head []byte, depth int) ([]Value, bool, error) {
	n, null, err := size(kind, head)
	if err != nil || null {
		return nil, null, err
	}
	if depth == 0 {
		return nil, false, ProtocolError("reply nests too deep")
	}
	if kind == Map || kind == '|' {
		n *= 2
	}
	elems := make([]Value, 0, min(n, 64))
	for range n {
		v, err := r.value(depth - 1)
		if err != nil {
			return nil, false, err
		}
		elems = append(elems, v)
	}
	return elems, false, nil
}

// attributed reads an attribute and the value that it is about.
func (r *Reader) attributed(head []byte, depth int) (Value, error) {
	attrs, _, err := r.elems('|', head, depth)
	if err != nil {
		return Value{}, err
	}
	v, err := r.value(depth - 1)
	v.Attrs = attrs
	return v, err
}

// Value writes a decoded value in the Writer's version of the protocol.
func (w *Writer) Value(v Value) {
	if len(v.Attrs) > 0 && w.resp3 {
		w.Attribute(len(v.Attrs) / 2)
		w.values(v.Attrs)
	}
	switch v.Kind {
	case Simple:
		w.Simple(string(v.Str))
	case Error, BulkError:
		w.Error(string(v.Str))
	case Int:
		w.Int(v.Int)
	case Double:
		w.Double(v.Float)
	case Bool:
		w.Bool(v.Int != 0)
	case BigNumber:
		w.BigNumber(string(v.Str))
	case Verbatim:
		w.Verbatim(v.Format, string(v.Str))
	case Null:
		w.Null()
	case Bulk:
		if v.Null {
			w.Null()
			return
		}
		w.Bulk(v.Str)
	default:
		w.container(v)
	}
}

func (w *Writer) container(v Value) {
	switch {
	case v.Null:
		w.NullArray()
	case v.Kind == Map:
		w.Map(len(v.Elems) / 2)
	case v.Kind == Set:
		w.Set(len(v.Elems))
	case v.Kind == Push:
		w.Push(len(v.Elems))
	default:
		w.Array(len(v.Elems))
	}
	w.values(v.Elems)
}

func (w *Writer) values(vs []Value) {
	for _, v := range vs {
		w.Value(v)
	}
}

// AppendCommand appends a request: a command's name and arguments as an array of bulk strings.
func AppendCommand(dst []byte, args ...string) []byte {
	w := Writer{buf: dst}
	w.Array(len(args))
	for _, a := range args {
		w.BulkString(a)
	}
	return w.buf
}
