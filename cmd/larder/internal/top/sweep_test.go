package top

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	w := newSweep(":", 1)
	w.Total = num(4000)
	for i := range 1000 {
		k := KeyFacts{Name: fmt.Sprintf("user:%d", i), Bytes: num(100), Known: true, Freq: num(float64(i % 10))}
		switch {
		case i%4 == 0:
			k.Name = fmt.Sprintf("page:%d:views", i)
			k.HasTTL, k.TTL = true, 30*time.Minute
		case i == 999:
			k.Name, k.Bytes = "plain", num(5000)
		}
		w.add(k)
	}
	if s := w.share(); !same(s, num(0.25)) {
		t.Errorf("share %v", s)
	}
	found := map[string]Namespace{}
	for _, n := range w.namespaces() {
		found[n.Name] = n
	}
	page, user, none := found["page"], found["user"], found[""]
	if len(found) != 3 || !same(page.Keys, num(1000)) || !same(page.Bytes, num(100_000)) || !same(page.NoTTL, num(0)) || !same(page.TTL[1], num(1)) || !page.Estimate {
		t.Errorf("page %+v", page)
	}
	if !same(user.NoTTL, num(1)) || !same(user.Keys, num(749*4)) || user.HitRatio.OK || !same(none.Keys, num(4)) {
		t.Errorf("user %+v, without prefix %+v", user, none)
	}
	if b := w.big.list; len(b) != sweepTop || b[0].name != "plain" || b[0].score != 5000 {
		t.Errorf("big: %d, first %+v", len(b), b[0])
	}
	for i, l := range w.hot.list {
		if i > 0 && l.score > w.hot.list[i-1].score {
			t.Fatal("hot keys are out of order")
		}
	}
	w.Done = true
	if n := w.namespaces(); !same(n[1].Keys, num(250)) {
		t.Errorf("a finished sweep is scaled: %v", n[1].Keys)
	}
}

// However many namespaces and however long keys are, what a sweep holds is bounded.
func TestSweepIsBounded(t *testing.T) {
	w := newSweep(":", 1)
	for i := range 3 * sweepNamespaces {
		w.add(KeyFacts{Name: fmt.Sprintf("%d%s:x", i, strings.Repeat("k", 10_000)), Bytes: num(float64(i))})
	}
	if len(w.spaces) > sweepNamespaces+1 || len(w.big.list) != sweepTop {
		t.Errorf("%d namespaces, %d big keys", len(w.spaces), len(w.big.list))
	}
	total := 0.0
	for name, ns := range w.spaces {
		total += ns.keys
		if len(name) > clippedAt {
			t.Fatalf("a name of %d bytes", len(name))
		}
	}
	if total != 3*sweepNamespaces || w.spaces[otherNamespaces].keys != 2*sweepNamespaces {
		t.Errorf("%v keys in namespaces, %v of them others", total, w.spaces[otherNamespaces].keys)
	}
	for _, l := range w.big.list {
		if len(l.name) > clippedAt {
			t.Fatalf("a key of %d bytes", len(l.name))
		}
	}
}

func TestNamespaceOf(t *testing.T) {
	for _, c := range []struct {
		sep   string
		depth int
		key   string
		want  string
	}{
		{":", 1, "user:1:name", "user"}, {":", 2, "user:1:name", "user:1"}, {":", 9, "user:1:name", "user:1"}, {":", 1, "plain", ""}, {":", 1, "", ""},
		{":", 1, ":x", ""}, {"::", 1, "a::b", "a"}, {"/", 1, "a:b", ""}, {":", 1, "\xff\x00:b", "\xff\x00"}, {"", 1, "abc", ""},
	} {
		if got := newSweep(c.sep, c.depth).namespaceOf(c.key); got != c.want {
			t.Errorf("namespace of %q by %q at %d: %q, want %q", c.key, c.sep, c.depth, got, c.want)
		}
	}
}

// SCAN may name a key twice: it is one leader.
func TestLeadersOnce(t *testing.T) {
	l := newLeaders(3)
	for _, score := range []float64{5, 1, 9, 5, 7} {
		l.offer(leader{name: fmt.Sprint("k", score), score: score})
	}
	l.offer(leader{name: "k9", score: 10})
	var got []string
	for _, k := range l.list {
		got = append(got, fmt.Sprint(k.name, "=", k.score))
	}
	if fmt.Sprint(got) != "[k9=10 k7=7 k5=5]" {
		t.Errorf("%v", got)
	}
}

func TestTTLClass(t *testing.T) {
	for ttl, want := range map[time.Duration]int{0: 0, 59 * time.Second: 0, 61 * time.Second: 1, 2 * time.Hour: 2, 6 * 24 * time.Hour: 3, 8 * 24 * time.Hour: 4, math.MaxInt64: 4} {
		if got := ttlClass(ttl); got != want {
			t.Errorf("%v is of class %d, want %d", ttl, got, want)
		}
	}
}

func TestMonitorLines(t *testing.T) {
	a := newAccessCount(64)
	for range 50 {
		a.add(`1700000000.123456 [0 127.0.0.1:5000] "get" "hot\n\x1b[2J\"\\k"`)
	}
	for i := range 1000 {
		a.add(fmt.Sprintf(`1700000000.123456 [0 127.0.0.1:5000] "SET" "cold%d" "v"`, i))
	}
	a.add(`1.0 [0 unix:/x] "mset" "m1" "v" "m2" "v"`)
	a.add(`1.0 [0 lua] "INFO"`)
	a.add(`1.0 [0 127.0.0.1:1] "ping"`)
	a.add(`1.0 [0 127.0.0.1:1] "set" "cut off`)
	for _, junk := range []string{"", "+OK", "+] ", `1 [0 x] "`, `1 [0 x] "\`, `1 [0 x] "\x`, `1 [0 x] "get" `, `1 [0 x] "eval" "s" "9" "k"`, `1 [0 x] "xread" "streams"`} {
		a.add(junk)
	}
	list := a.ranked(10 * time.Second)
	if list[0].Key != "hot\n\x1b[2J\"\\k" || !same(list[0].Reads, num(5)) || !same(list[0].Writes, num(0)) || !same(list[0].AtMost, num(0)) || list[0].Command != "get" {
		t.Errorf("hottest %+v", list[0])
	}
	names := map[string]bool{}
	for _, k := range list {
		names[k.Key] = true
	}
	if !names["m1"] || !names["m2"] || !names["cut off"] || names["v"] {
		t.Errorf("keys %v", names)
	}
	if len(a.keys) > 128 {
		t.Errorf("%d keys are kept", len(a.keys))
	}
}

func FuzzMonitorLine(f *testing.F) {
	f.Add(`1700000000.123456 [0 127.0.0.1:5000] "get" "hot\n\x1b[2J\"\\k"`)
	f.Add(`1 [0 x] "xread" "count" "1" "streams" "a" "0" "\x`)
	f.Fuzz(func(t *testing.T, line string) {
		a := newAccessCount(2)
		for range 3 {
			a.add(line)
		}
		for _, k := range a.ranked(time.Second) {
			if k.Total.V <= 0 || len(k.Key) > clippedAt {
				t.Fatalf("%+v", k)
			}
		}
	})
}
