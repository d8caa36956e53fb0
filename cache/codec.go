package cache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/larderdb/larder/store"
)

// Codec turns values into bytes and back. Its methods are called from many goroutines at once.
type Codec interface {
	// Name identifies the format; entries of another name are misses.
	Name() string

	// Append adds the encoding of *v to dst and returns the extended slice. v is a *T.
	Append(dst []byte, v any) ([]byte, error)

	// Decode sets *v from data. v is a *T to a zero value. data may change afterwards: it must not be kept, nor parts.
	Decode(data []byte, v any) error
}

// MsgPack is the default: compact, fast, and true to Go: it keeps every exported field, also those that JSON leaves
// out by a tag. Tags are `msgpack:"name,omitempty"`.
type MsgPack struct{}

// Name is "msgpack".
func (MsgPack) Name() string { return "msgpack" }

// Append encodes *v.
func (MsgPack) Append(dst []byte, v any) ([]byte, error) {
	w := appender{dst}
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&w)
	enc.UseCompactInts(true)
	err := enc.Encode(v)
	return w.b, err
}

// Decode decodes into *v.
func (MsgPack) Decode(data []byte, v any) error {
	d, _ := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.bytes.Reset(data)
	d.Reset(&d.bytes)
	err := d.Decoder.Decode(v)
	d.bytes.Reset(nil)
	return err
}

// decoder is a MessagePack decoder with what it reads from. The library's own pool makes a new reader each time.
type decoder struct {
	*msgpack.Decoder
	bytes bytes.Reader
}

var decoders = sync.Pool{New: func() any { return &decoder{Decoder: msgpack.NewDecoder(nil)} }}

// JSON makes entries that people and other languages can read, after 7 bytes of header. It costs two to four times the
// time of MsgPack.
type JSON struct{}

// Name is "json".
func (JSON) Name() string { return "json" }

// Append encodes *v.
func (JSON) Append(dst []byte, v any) ([]byte, error) {
	w := appender{dst}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return w.b, err
	}
	return bytes.TrimSuffix(w.b, []byte("\n")), nil
}

// Decode decodes into *v.
func (JSON) Decode(data []byte, v any) error { return json.Unmarshal(data, v) }

// Raw stores strings and []byte as they are. It is the default for these two types and serves no other.
type Raw struct{}

// Name is "raw".
func (Raw) Name() string { return "raw" }

// Append adds the bytes of a *string or *[]byte.
func (Raw) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case *string:
		return append(dst, *v...), nil
	case *[]byte:
		return append(dst, *v...), nil
	}
	return dst, errRaw(v)
}

// Decode copies data into a *string or *[]byte.
func (Raw) Decode(data []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = string(data)
		return nil
	case *[]byte:
		*v = append([]byte{}, data...)
		return nil
	}
	return errRaw(v)
}

func errRaw(v any) error {
	return fmt.Errorf("cache: %w: Raw serves string and []byte only, not %T", store.ErrInvalid, v)
}

// codecFor picks the codec of a type.
func codecFor[T any](want Codec) (Codec, error) {
	var zero *T
	_, isString := any(zero).(*string)
	_, isBytes := any(zero).(*[]byte)
	raw := isString || isBytes
	if _, isRaw := want.(Raw); isRaw && !raw {
		return nil, errRaw(zero)
	}
	switch kind := reflect.TypeFor[T]().Kind(); {
	case want != nil:
		return want, nil
	case raw:
		return Raw{}, nil
	case kind == reflect.Chan, kind == reflect.Func, kind == reflect.UnsafePointer:
		return nil, fmt.Errorf("cache: %w: a %s cannot be stored", store.ErrInvalid, reflect.TypeFor[T]())
	}
	return MsgPack{}, nil
}

// appender is an io.Writer onto a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// WriteByte spares the MessagePack encoder an adapter.
func (a *appender) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}
