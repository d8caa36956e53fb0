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

// An entry in the store, integers big-endian:
//
//	0xCA, layout 1, flags 1, schema 4, clear 8                          every entry
//	token 8, state 1                                                    flagLease: the whole of a lease
//	token 8, state 1, lease until 8, fresh until 8, cost 4              flagTimes
//	number of tags 1, names 4, an epoch of 8 for each                   flagTags
//	payload
//
// 0xCA followed by a control character begins no text and no JSON, so what others keep is recognised. A reader takes
// another layout, or a flag it does not know, for a miss, and may overwrite it. schema is a hash of codec and type;
// clear is the namespace's epoch (epoch.go), names a hash of the key's tags; all epochs are as of a moment before
// the load of the value began.
//
// Times are Unix milliseconds by the store's clock; cost is the load's duration in milliseconds. token is the lease of
// who is loading (lease.go), 0 for nobody; it stands at the same place in both forms.
const (
	magic       = 0xCA
	layout      = 1
	flagsAt     = 2
	schemaAt    = 3
	clearAt     = 7
	headerBytes = 15

	tokenAt    = headerBytes
	tokenBytes = 8
	stateAt    = tokenAt + tokenBytes
	leaseBytes = stateAt + 1 // of a lease

	untilAt   = stateAt + 1
	freshAt   = untilAt + 8
	costAt    = freshAt + 8
	timesEnd  = costAt + 4
	headBytes = timesEnd // what tells one version of an entry from another

	flagAbsent     = 1 << 0 // no payload: the source has no such thing
	flagLease      = 1 << 1 // no payload: somebody is loading
	flagTimes      = 1 << 2
	flagTags       = 1 << 3
	flagCompressed = 1 << 4
	knownFlags     = flagAbsent | flagLease | flagTimes | flagTags | flagCompressed
)

// States of a lease.
const (
	stateAlone  = 0 // nobody waits for it
	stateWaited = 1 // somebody does: its end is published
	stateHeld   = 2 // the load failed: the source is not to be asked again before the lease ends
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
	leased             // somebody is loading it
	outdated           // of another layout, codec or type: a miss
	foreign            // not a cache's
)

// entry is an entry's parts. The slices are parts of the bytes parsed.
type entry struct {
	kind       entryKind
	state      byte
	compressed bool
	clear      uint64
	token      uint64 // 0: no lease
	until      int64  // end of the lease; 0 for a lease without a value, which ends with its key
	fresh      int64  // 0: until the key ends
	cost       int64  // milliseconds
	tags       []byte // hash and epochs; nil: none
	payload    []byte
}

// parse takes an entry apart.
func (c *Cache[T]) parse(b []byte) (e entry) {
	if len(b) < 2 || b[0] != magic || b[1] >= ' ' {
		return entry{kind: foreign}
	}
	e.kind = outdated
	if b[1] != layout || len(b) < headerBytes || b[flagsAt]&^knownFlags != 0 {
		return e
	}
	flags := b[flagsAt]
	same := [4]byte(b[schemaAt:clearAt]) == [4]byte(c.header[schemaAt:])
	rest := b[headerBytes:]
	e.clear = binary.BigEndian.Uint64(b[clearAt:])
	switch {
	case flags&flagLease != 0:
		if len(b) != leaseBytes || !same {
			return e
		}
		e.kind, e.token, e.state = leased, binary.BigEndian.Uint64(b[tokenAt:]), b[stateAt]
		return e
	case flags&flagTimes != 0:
		if len(b) < timesEnd {
			return e
		}
		e.token, e.state = binary.BigEndian.Uint64(b[tokenAt:]), b[stateAt]
		e.until = int64(binary.BigEndian.Uint64(b[untilAt:])) //nolint:gosec // nonsense is harmless
		e.fresh = int64(binary.BigEndian.Uint64(b[freshAt:])) //nolint:gosec // likewise
		e.cost = int64(binary.BigEndian.Uint32(b[costAt:]))
		rest = b[timesEnd:]
	}
	if flags&flagTags != 0 {
		if len(rest) == 0 || len(rest) < tagBytes(int(rest[0])) {
			return e
		}
		n := tagBytes(int(rest[0]))
		e.tags, rest = rest[1:n], rest[n:]
	}
	switch {
	case flags&flagAbsent != 0:
		e.kind = absent // true of any type
	case same:
		e.kind, e.payload, e.compressed = ours, rest, flags&flagCompressed != 0
	}
	return e
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
