package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

func newBooks(n Naming) *books {
	b := &books{arena: arena.New()}
	b.count(newNames(n, 1))
	return b
}

func TestNamesOfKeys(t *testing.T) {
	long := strings.Repeat("x", longestName)
	for _, tc := range []struct {
		naming Naming
		key    string
		want   string
	}{
		{Naming{Depth: 1, Separator: ':'}, "user:1", "user"},
		{Naming{Depth: 1, Separator: ':'}, "user:1:2345678", "user"},
		{Naming{Depth: 1, Separator: ':'}, "1234567:", "1234567"},
		{Naming{Depth: 1, Separator: ':'}, "12345678:9", "12345678"},
		{Naming{Depth: 1, Separator: ':'}, ":user:1", ""},
		{Naming{Depth: 1, Separator: ':'}, "plain", ""},
		{Naming{Depth: 1, Separator: ':'}, "plain and much longer", ""},
		{Naming{Depth: 1, Separator: ':'}, "", ""},
		{Naming{Depth: 1, Separator: ':'}, long + ":", long},
		{Naming{Depth: 1, Separator: ':'}, long + "x:", ""},
		{Naming{Depth: 1, Separator: ':'}, "a\x01:b;long enough", "a\x01"}, // a borrow must not be taken for a separator
		{Naming{Depth: 1, Separator: ':'}, "a;:bcdefgh", "a;"},
		{Naming{Depth: 1, Separator: ':'}, "a;bcdefgh", ""},
		{Naming{Depth: 1, Separator: 0}, "ab\x00cdefghi", "ab"},
		{Naming{Depth: 1, Separator: 0xff}, "ab\xffcdefghi", "ab"},
		{Naming{Depth: 2, Separator: '/'}, "a/b/c", "a/b"},
		{Naming{Depth: 2, Separator: '/'}, "a/b", "a"},
		{Naming{Depth: 2, Separator: '/'}, "//", "/"},
		{Naming{Depth: 3, Separator: '/'}, "tenant/service/user/7", "tenant/service/user"},
		{Naming{Patterns: []string{"user:*", "*:1", "a?c"}}, "user:1", "user:*"},
		{Naming{Patterns: []string{"user:*", "*:1", "a?c"}}, "cart:1", "*:1"},
		{Naming{Patterns: []string{"user:*", "*:1", "a?c"}}, "abc", "a?c"},
		{Naming{Patterns: []string{"user:*", "*:1", "a?c"}}, "abcd", OtherNamespace},
	} {
		tc.naming.Max = 100
		b := newBooks(tc.naming)
		id := b.ids[b.find([]byte(tc.key), true)]
		if got := b.naming.nameOf(id); got != tc.want {
			t.Errorf("%+v: %q is of %q, want %q", tc.naming, tc.key, got, tc.want)
		}
	}
}

func TestNamesDoNotMeet(t *testing.T) {
	b := newBooks(Naming{Depth: 1, Separator: ':', Max: 10_000})
	seen := map[uint64]string{}
	for n := range 2000 {
		for _, name := range []string{fmt.Sprint(n), fmt.Sprint("n", n), fmt.Sprint("a longer name ", n), strings.Repeat("\x00", n%9) + fmt.Sprint(n%10)} {
			id := b.ids[b.find([]byte(name+":"), true)]
			if other, ok := seen[id]; ok && other != name {
				t.Fatalf("%q and %q", name, other)
			}
			seen[id] = name
		}
	}
}

func TestGhosts(t *testing.T) {
	var g ghosts
	hash := func(n uint64) uint64 { return spread(n) ^ spread(n)>>29 }
	const n = 100_000
	missed, wrong := 0, 0
	for i := uint64(1); i <= n; i++ {
		g.add(hash(i))
		if i > 256 && !g.take(hash(i-256)) {
			missed++
		}
		if g.take(hash(i + n*10)) {
			wrong++
		}
	}
	if missed > n/100 || wrong != 0 {
		t.Errorf("%d of %d forgotten within 256 evictions, %d taken for others", missed, n, wrong)
	}
	if new(ghosts).take(1) {
		t.Error("nothing was evicted")
	}
}

func BenchmarkFindNamespace(b *testing.B) {
	for _, way := range []Naming{{Depth: 1, Separator: ':', Max: 100}, {Depth: 2, Separator: ':', Max: 100}, {Patterns: []string{"user:*", "session:*", "cart:*"}, Max: 9}} {
		for _, key := range []string{"user:0000001", "product-list:0001"} {
			bk := newBooks(way)
			k := []byte(key)
			bk.find(k, true)
			b.Run(fmt.Sprintf("depth%d/%s", way.Depth, key), func(b *testing.B) {
				for b.Loop() {
					bk.hit(k)
				}
			})
		}
	}
}
