// Package codec turns values into bytes and back, for the patterns that send them: streams, topics.
//
// A pattern takes a Codec in its options. Without one it stores strings and []byte as they are and everything else in a
// format of its choice; see [For].
package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/larderdb/larder/store"
)

// Codec is a format. Its methods are called from many goroutines at once.
type Codec interface {
	// Name identifies the format: "json".
	Name() string

	// Append adds the encoding of *v to dst and returns the extended slice. v is a *T.
	Append(dst []byte, v any) ([]byte, error)

	// Decode sets *v from data. v is a *T to a zero value. Both may be used for something else afterwards: neither data nor a part
	// of it nor v may be kept.
	Decode(data []byte, v any) error
}

// Decode is c.Decode, and an error if that panics: data comes from outside, and a type may have a decoder of its own. A
// pattern that decodes on its own goroutine would end the whole process, and again wherever the data is handed to next.
func Decode(c Codec, data []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder of %T panicked: %v", v, p)
		}
	}()
	return c.Decode(data, v)
}

// JSON is readable for people and for every language.
type JSON struct{}

// Name is "json".
func (JSON) Name() string { return "json" }

// Append encodes *v without a trailing newline and without escaping HTML.
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

// MsgPack is compact and two to four times as fast as JSON. It keeps every exported field, also those that JSON leaves
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

// Decode decodes into *v. Bytes after the value are an error: they show that the data is of another format.
func (MsgPack) Decode(data []byte, v any) error {
	d, _ := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.bytes.Reset(data)
	d.Reset(&d.bytes)
	err := d.Decoder.Decode(v)
	rest := d.bytes.Len()
	d.bytes.Reset(nil)
	if err == nil && rest > 0 {
		return fmt.Errorf("codec: %w: %d bytes after the MessagePack value", store.ErrInvalid, rest)
	}
	return err
}

// decoder is a MessagePack decoder with what it reads from. The library's own pool makes a new reader each time.
type decoder struct {
	*msgpack.Decoder
	bytes bytes.Reader
}

var decoders = sync.Pool{New: func() any { return &decoder{Decoder: msgpack.NewDecoder(nil)} }}

// Raw keeps strings and []byte as they are. It serves no other type.
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
	return fmt.Errorf("codec: %w: Raw serves string and []byte only, not %T", store.ErrInvalid, v)
}

// For picks the codec of T: want if there is one, else Raw for string and []byte, else other. A T that no format can hold
// (a channel, a function) is store.ErrInvalid.
func For[T any](want, other Codec) (Codec, error) {
	var zero *T
	_, isString := any(zero).(*string)
	_, isBytes := any(zero).(*[]byte)
	if _, isRaw := want.(Raw); isRaw && !isString && !isBytes {
		return nil, errRaw(zero)
	}
	switch kind := reflect.TypeFor[T]().Kind(); {
	case want != nil:
		return want, nil
	case isString, isBytes:
		return Raw{}, nil
	case kind == reflect.Chan, kind == reflect.Func, kind == reflect.UnsafePointer:
		return nil, fmt.Errorf("codec: %w: a %s cannot be encoded", store.ErrInvalid, reflect.TypeFor[T]())
	}
	return other, nil
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
