package rdb

import (
	"math"

	"github.com/larderdb/larder/internal/types/number"
)

// Payload reads a value with its type, which must be all there is, of a Reader of bytes.
func (r *Reader) Payload(v Visitor) error {
	t, err := r.byte()
	if err != nil {
		return err
	}
	if err := r.Value(Type(t), v); err != nil {
		return err
	}
	if r.Rest() != 0 {
		return ErrTrailing
	}
	return nil
}

// Value reads the body of a value of the type and tells it to the visitor. An error leaves the Reader somewhere in it.
func (r *Reader) Value(t Type, v Visitor) error {
	r.spent = 0
	k, ok := t.Kind()
	switch {
	case t == TypeModule:
		return ErrModule
	case !ok:
		return ErrType
	}
	x := valueReader{Reader: r, Visitor: v, t: t, kind: k}
	return x.read()
}

// valueReader is the reading of one value.
type valueReader struct {
	*Reader
	Visitor
	t     Type
	kind  Kind
	count int // elements told
}

func (x *valueReader) read() error {
	switch x.t {
	case TypeString:
		s, err := x.str(0)
		if err != nil {
			return err
		}
		if err := x.Kind(x.kind, x.t, 1); err != nil {
			return err
		}
		return x.Visitor.String(s)
	case TypeList, TypeSet, TypeZSet, TypeZSet2, TypeHash:
		return x.plain()
	case TypeListQuicklist, TypeListQuicklist2:
		return x.quicklist()
	case TypeHashTTLEarly, TypeHashLPTTLEarly, TypeHashTTL, TypeHashLPTTL:
		return x.expiringHash()
	case TypeModule2:
		return x.document()
	case TypeStream, TypeStream2, TypeStream3:
		return x.stream()
	}
	return x.compact()
}

// begin tells the visitor what comes; n elements, if that is known.
func (x *valueReader) begin(n uint64) error { return x.Kind(x.kind, x.t, int(min(n, math.MaxInt32))) }

// counted reads the number of elements, of which there is one at least, and begins.
func (x *valueReader) counted() (n uint64, err error) {
	if n, err = x.Length(); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, ErrEmpty
	}
	return n, x.begin(n)
}

// plain reads the types that are sequences of strings.
func (x *valueReader) plain() error {
	n, err := x.counted()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := x.plainElement(); err != nil {
			return err
		}
	}
	return nil
}

func (x *valueReader) plainElement() error {
	if err := x.element(); err != nil {
		return err
	}
	a, err := x.str(0)
	if err != nil {
		return err
	}
	switch x.kind {
	case Hash:
		b, err := x.str(1)
		if err != nil {
			return err
		}
		return x.Field(a, b, 0)
	case ZSet:
		score, err := x.score()
		if err != nil {
			return err
		}
		return x.Member(a, score)
	}
	return x.Element(a)
}

// score reads a score of a plain sorted set. (A string of slot 0 stays, since it is copied where reading moves bytes.)
func (x *valueReader) score() (f float64, err error) {
	if x.t == TypeZSet2 {
		f, err = x.Double()
	} else {
		f, err = x.textScore()
	}
	if err == nil && math.IsNaN(f) {
		err = ErrScore
	}
	return f, err
}

// textScore reads a score as it was written before 4.0: a length byte and text, or 253 to 255 for what is no number.
func (x *valueReader) textScore() (float64, error) {
	n, err := x.byte()
	if err != nil {
		return 0, err
	}
	switch n {
	case 253:
		return math.NaN(), nil
	case 254:
		return math.Inf(1), nil
	case 255:
		return math.Inf(-1), nil
	}
	b, err := x.take(uint64(n))
	if err != nil {
		return 0, err
	}
	return parseScore(b)
}

func parseScore(b []byte) (float64, error) {
	f, ok := number.ParseFloat(b)
	if !ok || math.IsNaN(f) {
		return 0, ErrScore
	}
	return f, nil
}

// compact reads the types that are one string with a structure in it.
func (x *valueReader) compact() error {
	b, err := x.str(0)
	if err != nil {
		return err
	}
	if err := x.begin(0); err != nil {
		return err
	}
	switch x.t {
	case TypeSetIntset:
		err = eachIntset(b, func(n int64) error { return x.one(item{num: n, isInt: true}) })
	case TypeHashZipmap:
		err = eachZipmap(b, func(field, value []byte) error {
			if err := x.element(); err != nil {
				return err
			}
			x.count++
			return x.Field(field, value, 0)
		})
	case TypeHashListpack, TypeZSetListpack, TypeSetListpack:
		err = x.listpack(b)
	default:
		err = x.ziplist(b)
	}
	if err == nil && x.count == 0 {
		err = ErrEmpty
	}
	return err
}

// listpack tells the elements of a listpack: pairs, but for sets and lists.
func (x *valueReader) listpack(b []byte) error {
	w, err := newWalker(b)
	if err != nil {
		return err
	}
	for {
		if done, err := w.done(); done {
			return err
		}
		a, err := w.next()
		if err != nil {
			return err
		}
		if x.kind != Hash && x.kind != ZSet {
			if err := x.one(a); err != nil {
				return err
			}
			continue
		}
		if done, _ := w.done(); done {
			return ErrPairs
		}
		b, err := w.next()
		if err != nil {
			return err
		}
		if err := x.pair(a, b); err != nil {
			return err
		}
	}
}

// ziplist is listpack for ziplists.
func (x *valueReader) ziplist(b []byte) error {
	var first item
	odd := false
	err := eachZiplist(b, func(v item) error {
		if x.kind != Hash && x.kind != ZSet {
			return x.one(v)
		}
		if odd = !odd; odd {
			first = v
			return nil
		}
		return x.pair(first, v)
	})
	if err == nil && odd {
		err = ErrPairs
	}
	return err
}

// one tells an element of a list or a set.
func (x *valueReader) one(v item) error {
	if err := x.element(); err != nil {
		return err
	}
	x.count++
	return x.Element(v.text(x.short[0][:]))
}

// pair tells a field of a hash or a member of a sorted set.
func (x *valueReader) pair(a, b item) error {
	if err := x.element(); err != nil {
		return err
	}
	x.count++
	first := a.text(x.short[0][:])
	if x.kind == Hash {
		return x.Field(first, b.text(x.short[1][:]), 0)
	}
	if b.isInt {
		return x.Member(first, float64(b.num))
	}
	score, err := parseScore(b.str)
	if err != nil {
		return err
	}
	return x.Member(first, score)
}

// Containers of a list's nodes.
const (
	nodePlain  = 1 // one element
	nodePacked = 2 // a listpack
)

// quicklist reads a list that is a sequence of compact structures.
func (x *valueReader) quicklist() error {
	n, err := x.Length()
	if err != nil {
		return err
	}
	if err := x.begin(n); err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := x.node(); err != nil {
			return err
		}
	}
	if x.count == 0 {
		return ErrEmpty
	}
	return nil
}

func (x *valueReader) node() error {
	container := uint64(nodePacked)
	if x.t == TypeListQuicklist2 {
		var err error
		if container, err = x.Length(); err != nil {
			return err
		}
	}
	b, err := x.str(0)
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return ErrListpack
	case container == nodePlain:
		return x.one(item{str: b})
	case container != nodePacked:
		return ErrQuicklist
	case x.t == TypeListQuicklist:
		return x.ziplist(b)
	}
	return x.listpack(b)
}
