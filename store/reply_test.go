package store

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestReplyTakesBothProtocols(t *testing.T) {
	flat := ArrayOf(Bulk("a"), Bulk("1.5"), Bulk("b"), Bulk("-inf"))
	nested := ArrayOf(ArrayOf(Bulk("a"), Double(1.5)), ArrayOf(Bulk("b"), Double(math.Inf(-1))))
	want := []Scored{{"a", 1.5}, {"b", math.Inf(-1)}}
	for _, r := range []Reply{flat, nested} {
		if got, err := r.Scores(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Scores of %v: %v, %v", r, got, err)
		}
	}
	pairs := map[string]string{"f": "1", "g": "2"}
	for _, r := range []Reply{ArrayOf(Bulk("f"), Int(1), Bulk("g"), Bulk("2")), MapOf(Bulk("f"), Bulk("1"), Status("g"), Double(2))} {
		if got, err := r.Map(); err != nil || !reflect.DeepEqual(got, pairs) {
			t.Errorf("Map of %v: %v, %v", r, got, err)
		}
	}
	for _, r := range []Reply{Int(1), Boolean(true)} {
		if got, err := r.Bool(); err != nil || !got {
			t.Errorf("Bool of %v: %v, %v", r, got, err)
		}
	}
	for _, r := range []Reply{Double(2.5), Bulk("2.5")} {
		if got, err := r.Float64(); err != nil || got != 2.5 {
			t.Errorf("Float64 of %v: %v, %v", r, got, err)
		}
		if got, err := r.Text(); err != nil || got != "2.5" {
			t.Errorf("Text of %v: %v, %v", r, got, err)
		}
	}
}

// accessors runs every accessor and returns what each says went wrong.
func accessors(r Reply) map[string]error {
	out := map[string]error{}
	_, out["Int64"] = r.Int64()
	_, out["Float64"] = r.Float64()
	_, out["Text"] = r.Text()
	_, out["Bytes"] = r.Bytes()
	_, out["Bool"] = r.Bool()
	_, out["Array"] = r.Array()
	_, out["Pairs"] = r.Pairs()
	_, out["Map"] = r.Map()
	_, out["Scores"] = r.Scores()
	_, out["Strings"] = r.Strings()
	_, out["Ints"] = r.Ints()
	return out
}

func TestEveryAccessorReportsNilAndErrors(t *testing.T) {
	for name, err := range accessors(Nil()) {
		if !errors.Is(err, ErrNil) {
			t.Errorf("%s of nil: %v", name, err)
		}
	}
	for name, err := range accessors(Fail(ServerError("WRONGTYPE no"))) {
		if !errors.Is(err, ErrWrongType) {
			t.Errorf("%s of an error: %v", name, err)
		}
	}
	if _, ok, err := Nil().Lookup(); ok || err != nil {
		t.Errorf("Lookup of nil: %v, %v", ok, err)
	}
	if ok, err := Nil().OK(); ok || err != nil {
		t.Errorf("OK of nil: %v, %v", ok, err)
	}
	if ok, err := Status("OK").OK(); !ok || err != nil {
		t.Errorf("OK of OK: %v, %v", ok, err)
	}
	if Nil().Err() != nil || Fail(nil).Kind() != KindNil {
		t.Error("nil is not an error")
	}
}

func TestMismatchesAreErrReply(t *testing.T) {
	for _, test := range []struct {
		of   Reply
		fine string
	}{
		{Bulk("x"), "Text Bytes"},
		{Int(1), "Int64 Float64 Text Bytes Bool"},
		{ArrayOf(Bulk("x")), "Array Strings"},
		{ArrayOf(ArrayOf(Bulk("x"))), "Array"},
		{ArrayOf(Nil(), Int(1)), "Array Pairs Strings"},
	} {
		for name, err := range accessors(test.of) {
			if fine := slices.Contains(strings.Fields(test.fine), name); fine != (err == nil) || err != nil && !errors.Is(err, ErrReply) && !errors.Is(err, ErrNil) {
				t.Errorf("%s of %v: %v", name, test.of, err)
			}
		}
	}
}

func TestReplyString(t *testing.T) {
	r := ArrayOf(Nil(), Status("OK"), Bulk("a\n"), Int(-1), Double(1.5), Boolean(true), MapOf(Bulk("k"), Int(1)), SetOf(), Fail(ErrClosed))
	const want = `[(nil) OK "a\n" (integer) -1 (double) 1.5 true {"k": (integer) 1} {} (error) store closed]`
	if got := r.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReplyStaysSmall(t *testing.T) {
	if size := unsafe.Sizeof(Reply{}); size > 48 {
		t.Errorf("a Reply takes %d bytes", size)
	}
}
