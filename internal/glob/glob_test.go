package glob

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		fold, want bool
	}{
		{"", "", false, true},
		{"", "a", false, false},
		{"*", "", false, false}, // as Redis: nothing but the empty pattern matches the empty string
		{"*", "a", false, true},
		{"**", "abc", false, true},
		{"a", "", false, false},
		{"h?llo", "hello", false, true},
		{"h?llo", "hllo", false, false},
		{"h*llo", "heeeello", false, true},
		{"h*llo*", "hllo", false, true},
		{"*a*b*c", "xxaxxbxxc", false, true},
		{"*a*b*c", "xxaxxcxxb", false, false},
		{"*abab", "abaababab", false, true},
		{"h[ae]llo", "hallo", false, true},
		{"h[ae]llo", "hillo", false, false},
		{"h[^e]llo", "hello", false, false},
		{"h[^e]llo", "hbllo", false, true},
		{"h[a-b]llo", "hbllo", false, true},
		{"h[b-a]llo", "hallo", false, true},
		{"h[a-b]llo", "hcllo", false, false},
		{"[]", "a", false, false},
		{"[^]", "a", false, true},
		{"[abc", "b", false, true},  // never closed
		{"[", "[", false, false},    // an unclosed class of nothing
		{"[^", "x", false, true},    // and its negation
		{"[a-]", "]", false, true},  // the range takes the bracket, the class never closes
		{"[a-]x", "x", false, true}, // so x is in the class
		{`[\]]`, "]", false, true},  // escaped in a class
		{`[\-a]`, "-", false, true}, //
		{`[\A]`, "a", true, false},  // an escaped byte in a class is not folded
		{`[A]`, "a", true, true},    //
		{`[A-C]`, "b", true, true},  //
		{`\*`, "*", false, true},    //
		{`\*`, "a", false, false},   //
		{`a\`, `a\`, false, true},   // a backslash at the end is itself
		{"MaxMemory*", "maxmemory-policy", true, true},
		{"MaxMemory*", "maxmemory-policy", false, false},
		{"a\x00*", "a\x00b", false, true},
		{"[\x00-\x7f]", "\xff", false, false},
		{"[\x80-\xff]", "\xc3", false, true},
		{"[a-\xff]", "\x00", false, true}, // signed: 0xff is -1, so the range is -1..'a'
	} {
		if got := Match([]byte(c.pattern), []byte(c.s), c.fold); got != c.want {
			t.Errorf("Match(%q, %q, %v) = %v, want %v", c.pattern, c.s, c.fold, got, c.want)
		}
	}
}

func TestIsLiteral(t *testing.T) {
	for pattern, want := range map[string]bool{"": true, "port": true, `a\b]`: true, "a*": false, "?": false, "x[": false} {
		if got := IsLiteral(pattern); got != want {
			t.Errorf("IsLiteral(%q) = %v", pattern, got)
		}
	}
}

// A backtracking matcher would need more steps here than there are atoms.
func TestMatchHostilePatternIsCheap(t *testing.T) {
	pattern := []byte(strings.Repeat("*a", 999) + "*b")
	s := bytes.Repeat([]byte("a"), 5000)
	if Match(pattern, s, false) {
		t.Fatal("matched without a b")
	}
	if !Match(pattern, append(s, 'b'), false) {
		t.Fatal("did not match")
	}
}

// Redis gives up at the 1001st star, and clients can see that.
func TestMatchHeedsThousandStars(t *testing.T) {
	s := bytes.Repeat([]byte("a"), 1001)
	for n, want := range map[int]bool{1000: true, 1001: false} {
		if got := Match([]byte(strings.Repeat("*a", n)), s, false); got != want {
			t.Errorf("%d stars: %v", n, got)
		}
		if !Match([]byte(strings.Repeat("*a", min(n, 1000))+"*"), s, false) { // the last star takes what is left
			t.Errorf("%d stars and one at the end do not match", n)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	pattern, s := []byte("user:[0-9]*:na?e"), []byte("user:12345:name")
	if n := testing.AllocsPerRun(100, func() { Match(pattern, s, true) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// oracle is the definition itself: a star matches nothing or one byte and itself again.
func oracle(pattern, s []byte, fold bool) bool {
	switch {
	case len(pattern) == 0:
		return len(s) == 0
	case pattern[0] == '*':
		return oracle(pattern[1:], s, fold) || len(s) > 0 && oracle(pattern, s[1:], fold)
	case len(s) == 0:
		return false
	}
	next, ok := matchOne(pattern, 0, s[0], fold)
	return ok && oracle(pattern[next:], s[1:], fold)
}

func TestMatchAgainstDefinition(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const patternBytes, textBytes = `ab*?[]^-\AB`, "abAB]-"
	matched := 0
	for range 200_000 {
		pattern, s := pick(r, patternBytes, 8), pick(r, textBytes, 7)
		if len(s) == 0 {
			continue // the one place where Redis departs from the definition
		}
		fold := r.IntN(2) == 0
		want := oracle(pattern, s, fold)
		if Match(pattern, s, fold) != want {
			t.Fatalf("Match(%q, %q, %v), want %v", pattern, s, fold, want)
		}
		if want {
			matched++
		}
	}
	if matched < 1000 {
		t.Fatalf("only %d matches: the inputs test nothing", matched)
	}
}

func pick(r *rand.Rand, alphabet string, most int) []byte {
	b := make([]byte, r.IntN(most+1))
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return b
}

func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"*", "h[^a-c]?\\*", "[", "[a-", `\`, "[^]]*"} {
		f.Add([]byte(seed), []byte("hello"), true)
	}
	f.Fuzz(func(t *testing.T, pattern, s []byte, fold bool) {
		got := Match(pattern, s, fold)
		if len(pattern)+len(s) <= 24 && len(s) > 0 && got != oracle(pattern, s, fold) {
			t.Fatalf("Match(%q, %q, %v) = %v", pattern, s, fold, got)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	pattern, s := []byte("user:*:profile"), []byte("user:1234567890:profile")
	for b.Loop() {
		Match(pattern, s, false)
	}
}
