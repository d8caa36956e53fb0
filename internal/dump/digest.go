package dump

import (
	"crypto/sha1" //nolint:gosec // the algorithm is Redis's, and nothing depends on collisions being hard to find
	"encoding/binary"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/jsondoc"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/zset"
)

// Digest is a fingerprint of values, by the algorithm of Redis's DEBUG DIGEST: the same data gives the same digest on
// both, whatever the encoding and, in what has no order, whatever the order.
type Digest [sha1.Size]byte

// xor adds something whose order among others does not matter.
func (d *Digest) xor(b []byte) {
	sum := sha1.Sum(b)
	for i := range d {
		d[i] ^= sum[i]
	}
}

// mix adds something whose order among others matters.
func (d *Digest) mix(b []byte) {
	d.xor(b)
	*d = sha1.Sum(d[:])
}

func (d *Digest) mixNumber(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.mix(b[:])
}

// MixDatabase adds the number of a database, which all its keys follow.
func (d *Digest) MixDatabase(db int) { d.mixNumber(uint32(db)) }

// AddKey adds a key and its value, in any order. O(size of the value).
func (d *Digest) AddKey(key []byte, e *table.Entry) {
	var one Digest
	one.mix(key)
	one.addValue(e)
	d.xor(one[:])
}

// ValueDigest is the digest of a record's value and of whether it expires. O(size of the value).
func ValueDigest(e *table.Entry) (d Digest) {
	d.addValue(e)
	return d
}

func (d *Digest) addValue(e *table.Entry) {
	d.mixNumber(uint32(e.Kind()))
	var a, b scratch
	switch engine.Kind(e.Kind()) {
	case engine.String:
		d.mix(e.Value())
	case engine.List:
		list.Each(e, func(v packed.Value) bool { d.mix(a.bytes(v)); return true })
	case engine.Set:
		set.Each(e, func(v packed.Value) bool { d.xor(a.bytes(v)); return true })
	case engine.ZSet:
		zset.Each(e, func(member packed.Value, score float64) bool {
			b.buf = number.AppendFloat(b.buf[:0], score)
			d.pair(a.bytes(member), b.buf)
			return true
		})
	case engine.Hash:
		hash.Each(e, func(field, value packed.Value) bool { d.pair(a.bytes(field), b.bytes(value)); return true })
	case engine.JSON: // Redis sees nothing of it
		d.mix(jsondoc.Root(e.Value()).AppendText(nil))
	default:
		d.addStream(e)
	}
	if e.Flag(table.FlagExpiry) {
		d.xor([]byte("!!expire!!"))
	}
}

// pair adds two things that belong together.
func (d *Digest) pair(a, b []byte) {
	var one Digest
	one.mix(a)
	one.mix(b)
	d.xor(one[:])
}

// scratch is where numbers become text.
type scratch struct{ buf []byte }

func (s *scratch) bytes(v packed.Value) []byte {
	if v.Kind() == packed.String {
		return v.Bytes()
	}
	s.buf = v.AppendString(s.buf[:0])
	return s.buf
}
