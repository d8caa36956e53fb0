package cache

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/larderdb/larder/store"
)

// An entry in the store:
//
//	0xCA, layout 1, flags 1, schema 4, payload
//
// 0xCA followed by a control character begins no text and no JSON, so what others keep is recognised. layout is 1; a
// reader takes a higher one, or a flag it does not know, for a miss, and may overwrite it: that is how entries will
// grow fields (generations, soft expiry, compression). schema is a hash of codec and type.
const (
	magic       = 0xCA
	layout      = 1
	flagsAt     = 2
	schemaAt    = 3
	headerBytes = 7

	flagAbsent = 1 << 0 // no payload: the source has no such thing
	knownFlags = flagAbsent
)

// errForeign is a key that this package did not write.
var errForeign = errors.New("the key holds something that is no cache entry: choose another Prefix, or delete the key")

// foreignKey tells whether a read met what others keep. Loads then do not write over it.
func foreignKey(err error) bool {
	return errors.Is(err, errForeign) || errors.Is(err, store.ErrWrongType)
}

// entryKind is what parse found.
type entryKind uint8

const (
	ours     entryKind = iota
	absent             // ours, and says that there is no such thing
	outdated           // of another layout, codec or type: a miss
	foreign            // not a cache's
)

func (c *Cache[T]) parse(entry []byte) (payload []byte, kind entryKind) {
	if len(entry) < 2 || entry[0] != magic || entry[1] >= ' ' {
		return nil, foreign
	}
	if entry[1] != layout || len(entry) < headerBytes || entry[flagsAt]&^knownFlags != 0 {
		return nil, outdated
	}
	if entry[flagsAt]&flagAbsent != 0 {
		return nil, absent // true of any type
	}
	if [4]byte(entry[schemaAt:headerBytes]) != [4]byte(c.header[schemaAt:]) {
		return nil, outdated
	}
	return entry[headerBytes:], ours
}

func newHeader[T any](codec Codec, schema string) (h [headerBytes]byte) {
	h[0], h[1] = magic, layout
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, codec.Name()+"\x00") // a hash never fails
	if schema != "" {
		_, _ = io.WriteString(sum, schema)
	} else {
		fingerprint(sum, reflect.TypeFor[T](), map[reflect.Type]int{})
	}
	binary.BigEndian.PutUint32(h[schemaAt:], sum.Sum32())
	return h
}

// fingerprint writes what decides whether an encoded value of a type reads back: kinds, and the names and tags of
// exported fields. Names of types do not count, so a type may be renamed or moved.
func fingerprint(w io.Writer, t reflect.Type, seen map[reflect.Type]int) {
	if n, ok := seen[t]; ok {
		fmt.Fprintf(w, "^%d", n)
		return
	}
	if opaque(t) {
		fmt.Fprintf(w, "=%s.%s", t.PkgPath(), t.Name())
		return
	}
	fmt.Fprintf(w, "%s", t.Kind())
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		seen[t] = len(seen)
		fingerprint(w, t.Elem(), seen)
	case reflect.Array:
		fmt.Fprintf(w, "%d", t.Len())
		fingerprint(w, t.Elem(), seen)
	case reflect.Map:
		seen[t] = len(seen)
		fingerprint(w, t.Key(), seen)
		fingerprint(w, t.Elem(), seen)
	case reflect.Struct:
		seen[t] = len(seen)
		fmt.Fprint(w, "{")
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				fmt.Fprintf(w, "%s %q ", f.Name, f.Tag)
				fingerprint(w, f.Type, seen)
				fmt.Fprint(w, ";")
			}
		}
		fmt.Fprint(w, "}")
	default:
	}
}

// opaque tells whether a type encodes itself, so that its fields say nothing.
func opaque(t reflect.Type) bool {
	if t.Name() == "" {
		return false
	}
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.BinaryMarshaler](),
		reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.CustomEncoder](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return false
}
