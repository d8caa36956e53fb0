package engine

import (
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/jsondoc"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/nested"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/stream"
	"github.com/larderdb/larder/internal/types/zset"
)

// Kind is the type of a value, numbered as in Redis's own files.
type Kind byte

// The types.
const (
	String Kind = 0
	List   Kind = 1
	Set    Kind = 2
	ZSet   Kind = 3
	Hash   Kind = 4
	JSON   Kind = 5 // a module's value, in Redis
	Stream Kind = 6
)

// kind is what the engine does with values of any type. Everything else that a
// type can do is its own package's business.
type kind struct {
	name     string
	encoding func(e *table.Entry) string
	len      func(e *table.Entry) int
	clone    func(src, dst *table.Entry)
	bytes    func(e *table.Entry) int // outside the record
	check    func(e *table.Entry) error
	stays    bool // also when it is empty

	// freeing takes what a large value refers to off its record, which is to be deleted
	// next, and returns what gives that back in steps.
	freeing func(e *table.Entry) func(budget int) (done bool)
	compact func(e *table.Entry, cursor uint64, budget int) uint64
}

var kinds = [...]kind{
	String: {name: "string", encoding: stringEncoding, clone: cloneString,
		len:   func(e *table.Entry) int { return len(e.Value()) },
		bytes: func(*table.Entry) int { return 0 },
		check: func(*table.Entry) error { return nil }},
	List: {name: "list", encoding: list.Encoding, len: list.Len, clone: list.Clone, bytes: list.Bytes, check: list.Check,
		freeing: list.Freeing, compact: list.Compact},
	Set: {name: "set", encoding: set.Encoding, len: set.Len, clone: set.Clone, bytes: set.Bytes, check: set.Check,
		freeing: nested.Freeing, compact: set.Compact},
	ZSet: {name: "zset", encoding: zset.Encoding, len: zset.Len, clone: zset.Clone, bytes: zset.Bytes, check: zset.Check,
		freeing: zset.Freeing, compact: zset.Compact},
	Hash: {name: "hash", encoding: hash.Encoding, len: hash.Len, clone: hash.Clone, bytes: hash.Bytes, check: hash.Check,
		freeing: hash.Freeing, compact: hash.Compact},
	JSON: {name: "ReJSON-RL", encoding: jsondoc.Encoding, len: jsondoc.Len, clone: jsondoc.Clone, bytes: jsondoc.Bytes, check: jsondoc.Check},
	Stream: {name: "stream", encoding: stream.Encoding, len: stream.Len, clone: stream.Clone, bytes: stream.Bytes, check: stream.Check,
		freeing: stream.Freeing, compact: stream.Compact, stays: true},
}

// String is the type's name as TYPE answers it.
func (k Kind) String() string { return kinds[k].name }

// Encoding is the name of a value's encoding, as OBJECT ENCODING answers it.
func Encoding(e *table.Entry) string { return kinds[e.Kind()].encoding(e) }

// Len is the number of elements of a value, of a string that of its bytes. Cost: O(1).
func Len(e *table.Entry) int { return kinds[e.Kind()].len(e) }

// tableShare is a record's share of its table: twelve slots of 64 bytes, 0.6 full.
const tableShare = 9

// indexShare is what an entry of the index of expiring fields takes beside its key: kind, length, expiry, and a share of
// the table.
const indexShare = 2 + 8 + tableShare

// Bytes is the memory that a key takes: its record, what the value refers to, and its
// share of the table.
func Bytes(e *table.Entry) int64 {
	n := e.Arena().Size(e.Ref()) + kinds[e.Kind()].bytes(e) + tableShare
	if isIndexed(e) {
		n += indexShare + len(e.Key())
	}
	return int64(n)
}
