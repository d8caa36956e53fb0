package doctor

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"github.com/larderdb/larder/store"
)

func TestFormOf(t *testing.T) {
	for _, tc := range []struct {
		value string
		whole bool
		want  form
	}{
		{`{"a":1,"b":"x"}`, true, formFlat},
		{` {"a":1,"b":"x"}`, true, formFlat},
		{`{"a":1,"b":"x`, false, formFlat},
		{`{"a":1,"b":"x`, true, formPlain},
		{`{"a":1,"b":{"c":2}}`, true, formNested},
		{`{"a":[1],"b":2}`, true, formNested},
		{`{"a":1} and text`, true, formPlain},
		{`{}`, true, formPlain},
		{`[]`, true, formPlain},
		{`[1,2,3]`, true, formList},
		{`[{"a":1},{"a":2}]`, true, formList},
		{`{{template}}`, true, formPlain},
		{"1,2,3,4,5,6,7,8", true, formList},
		{"1,2,3,4,5,6,7", true, formPlain},
		{"a;b;c;d;e;f;g;h;", true, formList},
		{"one two, three four, five six, s e, e t, n t, t n, n n", true, formPlain},
		{"\xac\xed\x00\x05sr\x00\x04User", true, formObject},
		{"\x80\x04\x95\x10\x00\x00}q\x00.", true, formObject},
		{"\x80\x04\x95\x10\x00\x00}q\x00", true, formPlain},
		{`a:2:{i:0;s:1:"a";i:1;s:1:"b";}`, true, formObject},
		{`O:4:"User":1:{s:2:"id";i:7;}`, true, formObject},
		{"a:b:c", true, formPlain},
		{"", true, formPlain},
		{"   ", true, formPlain},
		{"42", true, formPlain},
		{strings.Repeat("{\"a\":", 400), false, formNested},
	} {
		if got := formOf(tc.value, tc.whole); got != tc.want {
			t.Errorf("%.40q (whole %v): %d, want %d", tc.value, tc.whole, got, tc.want)
		}
	}
}

func FuzzFormOf(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "\x80\x04.", "a:1:{", "[1,", "1,2,3,4,5,6,7,8"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, whole bool) {
		if got := formOf(s, whole); got >= forms {
			t.Fatal(got)
		}
	})
}

// Whatever a server answers where a list, a user or a client is expected, reading it does not fail.
func FuzzAnswers(f *testing.F) {
	f.Add("user default on nopass ~* &* +@all")
	f.Add("id=1 addr=a idle=99999999999999999999 omem=-1 flags=")
	f.Fuzz(func(_ *testing.T, s string) {
		parseUser(s)
		parseClients(s)
		atLeast(s, 7, 2)
		spaceOf(s, ":", 3)
		ks := newKeyspace(":")
		k := key{name: s, space: ks.space(spaceOf(s, ":", 1)), bytes: 1}
		ks.add(&k, ":", 0)
	})
}

func TestParseUser(t *testing.T) {
	for line, want := range map[string]User{
		"user default on nopass ~* &* +@all":                            {Name: "default", On: true, NoPass: true, AllCommands: true, AllKeys: true},
		"user a off #abc ~x:* resetchannels -@all +get":                 {Name: "a"},
		"user a on #abc allkeys +@all -@dangerous":                      {Name: "a", On: true, AllKeys: true},
		"user a on #abc ~* -@all +@admin +get":                          {Name: "a", On: true, AllKeys: true, Dangerous: true},
		"user b on sanitize-payload #abc ~* &* -@all +@read (~y +@all)": {Name: "b", On: true, AllKeys: true},
	} {
		if got, ok := parseUser(line); !ok || got != want {
			t.Errorf("%q: %+v", line, got)
		}
	}
	for _, line := range []string{"", "user", "guest default on", "on"} {
		if u, ok := parseUser(line); ok {
			t.Errorf("%q: %+v", line, u)
		}
	}
}

func TestParseClients(t *testing.T) {
	c := parseClients("id=1 addr=10.0.0.1:5 name=web idle=3600 flags=N omem=10\n" +
		"id=2 addr=10.0.0.2:5 name= idle=3599 flags=N omem=0\r\n" +
		"id=3 addr=10.0.0.3:5 name=w idle=9999 flags=b omem=0\n" +
		"id=4 addr=10.0.0.4:5 name=m idle=0 flags=O omem=500\n" +
		"id=5 addr=10.0.0.5:5 name=r idle=9999 flags=S omem=0\n\nnonsense\n")
	if want := (Clients{Count: 5, Idle: 1, Monitors: 1, Output: 500, OutputOf: "10.0.0.4:5 m", Buffers: 510}); *c != want {
		t.Errorf("%+v", *c)
	}
}

func TestHost(t *testing.T) {
	h := readHost(fstest.MapFS{"proc/sys/vm/overcommit_memory": {Data: []byte("0\n")}, "sys/kernel/mm/transparent_hugepage/enabled": {Data: []byte("[always] madvise never\n")}})
	if *h != (Host{Overcommit: "0", HugePages: "always"}) {
		t.Errorf("%+v", *h)
	}
	if h := readHost(fstest.MapFS{}); h != nil {
		t.Errorf("%+v", *h)
	}
}

func TestSpaceOf(t *testing.T) {
	for _, tc := range []struct {
		key   string
		depth int
		want  string
	}{
		{"user:1", 1, "user"}, {"user:1:name", 1, "user"}, {"user:1:name", 2, "user:*"}, {"user:1:name", 9, "user:*"},
		{"plain", 1, ""}, {"plain", 3, ""}, {"", 1, ""}, {":", 1, ""}, {"42:x", 1, "*"},
		{"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d:x", 1, "*"}, {"added:x", 1, "added"}, {"a1:x", 1, "a1"}, {"shop:eu:cart:7", 2, "shop:eu"},
	} {
		if got := spaceOf(tc.key, ":", tc.depth); got != tc.want {
			t.Errorf("%q at depth %d: %q, want %q", tc.key, tc.depth, got, tc.want)
		}
	}
	if got := spaceOf("a::b::c", "::", 2); got != "a::b" {
		t.Error(got)
	}
}

// A ranking holds the keys that sorting all would put first.
func TestRanking(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []int64
		var r ranking
		for i := range rnd.IntN(100) {
			n := rnd.Int64N(50)
			all = append(all, n)
			r.add(n, &key{name: fmt.Sprint(i)})
		}
		slices.Sort(all)
		slices.Reverse(all)
		var got []int64
		for _, e := range r {
			got = append(got, e.score)
		}
		if !slices.Equal(got, all[:min(len(all), topMost)]) {
			t.Fatal(got, all)
		}
	}
	var r ranking
	k := key{name: "a"}
	r.add(3, &k)
	r.add(3, &k) // as SCAN may repeat keys
	if len(r) != 1 {
		t.Error(r)
	}
}

// Memory does not grow with the keyspace: not with namespaces, names of fields, moments of expiry or long names.
func TestKeyspaceIsBounded(t *testing.T) {
	ks := newKeyspace(":")
	put := func(i int) {
		k := key{name: fmt.Sprintf("space-%d:%d:field-%d", i, i, i), bytes: 64, ttl: time.Duration(i) * time.Minute}
		k.space = ks.space(spaceOf(k.name, ":", 1))
		ks.add(&k, ":", 0)
	}
	for i := range 50_000 {
		put(i)
	}
	before := heap()
	for i := range 500_000 {
		put(50_000 + i)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more for 500,000 more keys", grown)
	}
	if len(ks.spaces) != spacesMost || len(ks.expiries) != bucketsMost || ks.others.keys == 0 || ks.Seen != 550_000 {
		t.Error(len(ks.spaces), len(ks.expiries), ks.others.keys, ks.Seen)
	}
	long := key{name: strings.Repeat("n", 1<<20)}
	long.space = ks.space(long.name)
	ks.add(&long, ":", 0)
	if got := len(ks.longest[0].key.name); got != keyMost {
		t.Error(got)
	}
	runtime.KeepAlive(ks)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSlotOwners(t *testing.T) {
	node := func(host string, port int64) store.Reply {
		return store.ArrayOf(store.Bulk(host), store.Int(port), store.Bulk("id"))
	}
	slots := []store.Reply{
		store.ArrayOf(store.Int(0), store.Int(99), node("10.0.0.1", 1), node("10.0.0.9", 1)),
		store.ArrayOf(store.Int(100), store.Int(199), node("", 2)),
		store.ArrayOf(store.Int(200), store.Int(299), node("10.0.0.1", 1)),
		store.ArrayOf(store.Int(300), store.Int(399), node("?", 3)),
		store.ArrayOf(store.Int(1)), store.Int(7), store.ArrayOf(store.Int(0), store.Int(1), store.Nil()),
	}
	if got := slotOwners(slots, "seed:6379"); !slices.Equal(got, []string{"10.0.0.1:1", "seed:2", "seed:3"}) {
		t.Error(got)
	}
}

func TestIsLocal(t *testing.T) {
	for url, want := range map[string]bool{
		"redis://localhost": true, "redis://127.0.0.1:7": true, "redis://[::1]:7": true, "redis+unix:///run/r.sock": true,
		"redis://10.0.0.1": false, "redis://example.com": false, "redis+sentinel://127.0.0.1/m": false, "http://tok@127.0.0.1:8079": true, "https://tok@kv.example.com": false, "redis+cluster://127.0.0.1:1,10.0.0.1:2": false,
	} {
		cfg, err := store.ParseURL(url)
		if err != nil || isLocal(cfg) != want {
			t.Error(url, isLocal(cfg), err)
		}
	}
}

func TestWords(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "-1,234,567"},
		{size(0), "0 bytes"}, {size(1023), "1,023 bytes"}, {size(1024), "1.0 KiB"}, {size(5 << 30), "5.0 GiB"},
		{percent(0), "0 %"}, {percent(1), "100 %"}, {percent(0.5), "50 %"}, {percent(0.001), "0.1 %"}, {percent(0.999), "99.9 %"},
		{span(26 * time.Hour), "1 d 2 h"}, {span(24 * time.Hour), "1 d"}, {span(90 * time.Second), "1 min 30 s"}, {span(1500 * time.Microsecond), "1.5 ms"},
		{quote("a\x1b[31m\xff\u202e"), `"a\x1b[31m\xff\u202e"`}, {quote(strings.Repeat("k", 97)), `"` + strings.Repeat("k", 96) + `"...`},
		{clean("NOPERM \"x\" \x1b[2J\n"), `NOPERM "x" \x1b[2J\n`},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
	if strings.ContainsFunc(clean("\x00\x7f\u0085\u202e"), func(r rune) bool { return unicode.IsControl(r) || r > 126 }) {
		t.Error(clean("\x00\x7f\u0085\u202e"))
	}
}

// The reads of values are few where they count as use.
func TestReadsAreBounded(t *testing.T) {
	s := newScan(&Target{}, Options{Separator: ":"}, nil)
	n := 0
	for i := range 100_000 {
		k := key{name: fmt.Sprintf("space-%d:1", i%1500), kind: kind(i % int(aModule))}
		k.space = s.keys.space(spaceOf(k.name, ":", 1))
		if s.wanted(&k, false) {
			k.space.read[k.kind]++
			s.keys.Touched++
			n++
		}
	}
	if n != readsMost {
		t.Error(n)
	}
}
