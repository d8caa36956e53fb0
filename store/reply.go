package store

import (
	"math"
	"strconv"
)

// Kind is the type of a Reply, in the terms of RESP3.
type Kind uint8

const (
	KindNil    Kind = iota // no value: a missing key, an unmet NX, a timeout of a blocking command
	KindStatus             // a simple string such as OK
	KindBulk               // a binary-safe string
	KindInt
	KindDouble
	KindBool
	KindArray
	KindMap // keys and values alternate in the elements
	KindSet
	KindError
)

var kindNames = [...]string{"nil", "a status", "a string", "an integer", "a double", "a boolean", "an array", "a map", "a set", "an error"}

// String names the kind in a sentence: "an integer".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Reply is the outcome of one command. It is a small immutable value: copy it freely. The zero Reply is nil.
//
// Err says whether the command failed; nil is not a failure. An accessor (Int64, Text, ...) converts the value and
// returns [ErrNil] when there is none, the command's error when it failed, and an [ErrReply] when the reply has
// another shape. All accept RESP2's and RESP3's shape of the same answer.
type Reply struct {
	kind Kind
	num  int64  // integer; boolean as 0 or 1; bits of a double
	str  string // status or bulk
	box  any    // []Reply of an array, map or set; error of an error
}

// Nil is the reply for "no value".
func Nil() Reply { return Reply{} }

// Status is a simple string, such as OK.
func Status(s string) Reply { return Reply{kind: KindStatus, str: s} }

// Bulk is a binary-safe string.
func Bulk(s string) Reply { return Reply{kind: KindBulk, str: s} }

// Int is an integer.
func Int(n int64) Reply { return Reply{kind: KindInt, num: n} }

// Double is RESP3's floating point number. Script bodies use Bulk, as Lua has no other way to return a fraction.
func Double(f float64) Reply { return Reply{kind: KindDouble, num: int64(math.Float64bits(f))} }

// Boolean is RESP3's true or false. Script bodies use Int.
func Boolean(b bool) Reply {
	if b {
		return Reply{kind: KindBool, num: 1}
	}
	return Reply{kind: KindBool}
}

// ArrayOf is an array. The Reply keeps the slice: the caller must not change it any more.
func ArrayOf(elems ...Reply) Reply { return Reply{kind: KindArray, box: elems} }

// MapOf is RESP3's map: keys and values alternate. The Reply keeps the slice.
func MapOf(flat ...Reply) Reply { return Reply{kind: KindMap, box: flat} }

// SetOf is RESP3's set. The Reply keeps the slice.
func SetOf(elems ...Reply) Reply { return Reply{kind: KindSet, box: elems} }

// Fail is the reply of a command that failed. A nil err gives Nil.
func Fail(err error) Reply {
	if err == nil {
		return Reply{}
	}
	return Reply{kind: KindError, box: err}
}

// Kind tells the reply's type.
func (r Reply) Kind() Kind { return r.kind }

// IsNil reports that the command succeeded and there is no value.
func (r Reply) IsNil() bool { return r.kind == KindNil }

// Err is the command's error: what the server answered ([ServerError]) or why there is no answer
// ([ErrUnavailable], [ErrClosed], ctx's error). It is nil for every other reply, nil replies included.
func (r Reply) Err() error {
	if r.kind != KindError {
		return nil
	}
	err, _ := r.box.(error)
	return err
}

// String shows the reply for debugging, much as redis-cli would. It is not a conversion: see Text.
func (r Reply) String() string { return string(r.appendText(nil)) }

func (r Reply) appendText(b []byte) []byte {
	switch r.kind {
	case KindNil:
		return append(b, "(nil)"...)
	case KindStatus:
		return append(b, r.str...)
	case KindBulk:
		return strconv.AppendQuote(b, r.str)
	case KindInt:
		return strconv.AppendInt(append(b, "(integer) "...), r.num, 10)
	case KindDouble:
		return strconv.AppendFloat(append(b, "(double) "...), r.double(), 'g', -1, 64)
	case KindBool:
		return strconv.AppendBool(b, r.num != 0)
	case KindError:
		return append(append(b, "(error) "...), r.Err().Error()...)
	}
	open, shut := byte('['), byte(']')
	if r.kind != KindArray {
		open, shut = '{', '}'
	}
	b = append(b, open)
	for i, e := range r.elems() {
		if i > 0 && r.kind == KindMap && i%2 == 1 {
			b = append(b, ": "...)
		} else if i > 0 {
			b = append(b, ' ')
		}
		b = e.appendText(b)
	}
	return append(b, shut)
}

func (r Reply) double() float64 { return math.Float64frombits(uint64(r.num)) }

func (r Reply) elems() []Reply {
	list, _ := r.box.([]Reply)
	return list
}
