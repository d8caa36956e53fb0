package stream

import (
	"testing"

	"github.com/larderdb/larder/store"
)

func TestIDs(t *testing.T) {
	for _, test := range []struct{ id, previous string }{
		{"5-3", "5-2"}, {"5-0", "4-18446744073709551615"}, {"0-1", "0-0"}, {"0-0", "0-0"}, {"18446744073709551615-0", "18446744073709551614-18446744073709551615"},
	} {
		if got := previousID(test.id); got != test.previous {
			t.Errorf("before %s is %s, want %s", test.id, got, test.previous)
		}
		if test.id != "0-0" && (!lessID(test.previous, test.id) || lessID(test.id, test.previous)) {
			t.Errorf("%s and %s are in the wrong order", test.previous, test.id)
		}
	}
	if lessID("5-1", "5-1") || !lessID("9-0", "10-0") || !lessID("0", "0-1") || lessID("0-0", "0") {
		t.Error("order of ids")
	}
	for id, want := range map[string]bool{"1": true, "1-2": true, "0-0": true, "": false, "-": false, "1-": false, "-1": false, "1-2-3": false, "+": false, "a": false, "1 ": false} {
		if validID(id) != want {
			t.Errorf("validID(%q) = %v", id, !want)
		}
	}
}

// FuzzEntries: replies of any shape are refused or read, and nothing panics.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{4, 2, 4, 2, 1, 4, 2, 1, 1})
	f.Add([]byte{4, 1, 4, 2, 1, 0})
	f.Add([]byte{5, 1, 1, 4, 1, 4, 2, 1, 4, 0})
	f.Fuzz(func(_ *testing.T, shape []byte) {
		r := build(&shape, 0)
		for _, list := range [][]entry{first(entries(r)), first(sole(r))} {
			for i := range list {
				list[i].field(fieldData)
			}
		}
		pending(r)
		entryWords(r)
	})
}

func first(list []entry, _ error) []entry { return list }

// build makes a reply by a recipe.
func build(shape *[]byte, depth int) store.Reply {
	next := func() byte {
		if len(*shape) == 0 || depth > 6 {
			return 0
		}
		b := (*shape)[0]
		*shape = (*shape)[1:]
		return b
	}
	switch next() % 6 {
	case 1:
		return store.Bulk("1-0")
	case 2:
		return store.Int(7)
	case 3:
		return store.Fail(store.ServerError("ERR x"))
	case 4, 5:
		list := make([]store.Reply, next()%5)
		for i := range list {
			list[i] = build(shape, depth+1)
		}
		if len(list)%2 == 0 && next()%2 == 0 {
			return store.MapOf(list...)
		}
		return store.ArrayOf(list...)
	}
	return store.Nil()
}
