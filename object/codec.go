package object

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// codec turns a value that is no pointer into text and back.
type codec struct {
	encode func(v reflect.Value) (string, error)
	decode func(text string, v reflect.Value) error
}

// presence is the codec of a pointer to a struct that is kept field by field: it tells nil from a struct of zeros.
var presence = codec{
	encode: func(reflect.Value) (string, error) { return "1", nil },
	decode: func(string, reflect.Value) error { return nil },
}

// Codec spells values of one type. Make it with NewCodec and pass it in Options.Codecs.
type Codec struct {
	name  string
	typ   reflect.Type
	codec codec
}

// NewCodec makes a Codec for fields of type V, or *V. With an empty name it is for all of them; else for those whose tag
// names it: `larder:"picture,codec=png"`. encode and decode are called by many goroutines at once.
func NewCodec[V any](name string, encode func(V) (string, error), decode func(string) (V, error)) Codec {
	return Codec{name, reflect.TypeFor[V](), codec{
		encode: func(v reflect.Value) (string, error) {
			x, _ := v.Interface().(V)
			return encode(x)
		},
		decode: func(text string, v reflect.Value) error {
			x, err := decode(text)
			if err == nil {
				v.Set(reflect.ValueOf(&x).Elem())
			}
			return err
		},
	}}
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[[]byte]()
)

// isText tells whether a type has a text form of its own, both ways.
func isText(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// codecOf picks the codec of a field's type.
func codecOf(t reflect.Type) (codec, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		return codec{encodeTime, decodeTime}, nil
	case t == durationType:
		return codec{encodeDuration, decodeDuration}, nil
	case isText(t):
		return codec{encodeText, decodeText}, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && t.ConvertibleTo(bytesType):
		return codec{encodeBytes, decodeBytes}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return codec{encodeString, decodeString}, nil
	case reflect.Bool:
		return codec{encodeBool, decodeBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return codec{encodeInt, decodeInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return codec{encodeUint, decodeUint}, nil
	case reflect.Float32, reflect.Float64:
		return codec{encodeFloat, decodeFloat}, nil
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Interface:
		return codec{encodeJSON, decodeJSON}, nil
	default:
		return codec{}, fmt.Errorf("a %s cannot be stored; leave it out with `larder:\"-\"`", t)
	}
}

func encodeString(v reflect.Value) (string, error) { return v.String(), nil }

func decodeString(text string, v reflect.Value) error {
	v.SetString(text)
	return nil
}

func encodeBytes(v reflect.Value) (string, error) { return string(v.Bytes()), nil }

func decodeBytes(text string, v reflect.Value) error {
	v.SetBytes([]byte(text))
	return nil
}

func encodeBool(v reflect.Value) (string, error) {
	if v.Bool() {
		return "1", nil
	}
	return "0", nil
}

func decodeBool(text string, v reflect.Value) error {
	b, err := strconv.ParseBool(text)
	v.SetBool(b)
	return err
}

func encodeInt(v reflect.Value) (string, error) { return strconv.FormatInt(v.Int(), 10), nil }

func decodeInt(text string, v reflect.Value) error {
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	v.SetInt(n)
	return err
}

func encodeUint(v reflect.Value) (string, error) { return strconv.FormatUint(v.Uint(), 10), nil }

func decodeUint(text string, v reflect.Value) error {
	n, err := strconv.ParseUint(text, 10, v.Type().Bits())
	v.SetUint(n)
	return err
}

func encodeFloat(v reflect.Value) (string, error) {
	return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), nil
}

func decodeFloat(text string, v reflect.Value) error {
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	v.SetFloat(f)
	return err
}

func encodeTime(v reflect.Value) (string, error) {
	t, _ := v.Interface().(time.Time)
	text, err := t.MarshalText() // refuses years that RFC 3339 cannot spell
	return string(text), err
}

func decodeTime(text string, v reflect.Value) error {
	t, err := time.Parse(time.RFC3339Nano, text)
	v.Set(reflect.ValueOf(t))
	return err
}

func encodeDuration(v reflect.Value) (string, error) { return time.Duration(v.Int()).String(), nil }

func decodeDuration(text string, v reflect.Value) error {
	d, err := time.ParseDuration(text)
	v.SetInt(int64(d))
	return err
}

// addressable gives a pointer to v, or to a copy where v has no address, for methods on pointers.
func addressable(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

func encodeText(v reflect.Value) (string, error) {
	m, _ := addressable(v).(encoding.TextMarshaler)
	text, err := m.MarshalText()
	return string(text), err
}

func decodeText(text string, v reflect.Value) error {
	m, _ := v.Addr().Interface().(encoding.TextUnmarshaler)
	return m.UnmarshalText([]byte(text))
}

func encodeJSON(v reflect.Value) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func decodeJSON(text string, v reflect.Value) error {
	return json.Unmarshal([]byte(text), v.Addr().Interface())
}
