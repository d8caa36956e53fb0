package command

import (
	"maps"
	"slices"
	"testing"
)

// least is the number of words that an argument takes at least.
func least(a argument) int {
	n := 0
	switch {
	case a.optional:
		return 0
	case a.kind == "pure-token":
		return 1
	case a.kind == "oneof":
		n = 1 << 20
		for _, p := range a.parts {
			n = min(n, least(p))
		}
	case a.kind == "block":
		for _, p := range a.parts {
			n += least(p)
		}
	default:
		n = 1
	}
	if a.tokened {
		n++
	}
	return n
}

// What COMMAND DOCS says of a command's arguments agrees with its row: the words it takes at least, and its keys.
func TestSyntaxAgreesWithTheTable(t *testing.T) {
	table := NewTable()
	table.syntax.arguments("")
	left := maps.Clone(table.syntax.of)
	for _, r := range table.all {
		list, ok := table.syntax.of[r.full]
		delete(left, r.full)
		want := r.Arity
		if want < 0 {
			want = -want
		}
		words := 1
		if r.full != r.Name {
			words = 2
		}
		specs := map[int]bool{}
		var count func(list []argument)
		count = func(list []argument) {
			for _, a := range list {
				if a.keySpec >= 0 {
					specs[a.keySpec] = true
				}
				if a.name == "" || a.kind == "" {
					t.Errorf("%s: %+v", r.full, a)
				}
				count(a.parts)
			}
		}
		count(list)
		for i := range specs {
			if i >= len(r.Keys) {
				t.Errorf("%s: an argument is of key specification %d, and there are %d", r.full, i, len(r.Keys))
			}
		}
		if r.Subs != nil || !ok && (want == words || r.Arity < 0) {
			continue
		}
		for _, a := range list {
			words += least(a)
		}
		if r.full == "client|kill" { // its filters are optional each, but one there must be
			words++
		}
		if words != want {
			t.Errorf("%s: at least %d words by its arguments, arity %d", r.full, words, r.Arity)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("syntax.txt: no command %s", name)
	}
}

func TestSyntaxReader(t *testing.T) {
	r := syntaxReader{rest: `key:key0 [GET pat:pattern#1~p...*@1.2] x(A | b=B | C n:int@-3.0.0) t{no=NO one=""} [D@2.0]`}
	got := r.list(0)
	want := []argument{
		{name: "key", kind: "key"},
		{name: "pat", kind: "pattern", token: "GET", tokened: true, display: "p", keySpec: 1, since: "1.2", optional: true, several: true, tokens: true},
		{name: "x", kind: "oneof", keySpec: -1, parts: []argument{
			{name: "a", kind: "pure-token", token: "A", tokened: true, keySpec: -1},
			{name: "b", kind: "pure-token", token: "B", tokened: true, keySpec: -1},
			{name: "n", kind: "integer", token: "C", tokened: true, keySpec: -1, deprecated: "3.0.0"},
		}},
		{name: "t", kind: "block", keySpec: -1, parts: []argument{
			{name: "no", kind: "pure-token", token: "NO", tokened: true, keySpec: -1},
			{name: "one", kind: "pure-token", tokened: true, keySpec: -1},
		}},
		{name: "d", kind: "pure-token", token: "D", tokened: true, keySpec: -1, since: "2.0", optional: true},
	}
	if len(got) < len(want) {
		t.Fatalf("%d arguments: %+v", len(got), got)
	}
	for i := range want {
		if !sameArgument(got[i], want[i]) {
			t.Errorf("argument %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func sameArgument(a, b argument) bool {
	if !slices.EqualFunc(a.parts, b.parts, sameArgument) {
		return false
	}
	a.parts, b.parts = nil, nil
	return a.name == b.name && a.kind == b.kind && a.token == b.token && a.display == b.display && a.keySpec == b.keySpec &&
		a.since == b.since && a.deprecated == b.deprecated && a.tokened == b.tokened && a.optional == b.optional &&
		a.several == b.several && a.tokens == b.tokens
}
