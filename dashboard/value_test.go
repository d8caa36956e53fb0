package dashboard_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// blob is bytes of the API: text, or {s, b64, len}.
type blob struct {
	text string
	size int64
}

func (b *blob) UnmarshalJSON(j []byte) error {
	if j[0] == '"' {
		return json.Unmarshal(j, &b.text)
	}
	var v struct {
		S   string
		B64 []byte
		Len int64
	}
	if err := json.Unmarshal(j, &v); err != nil {
		return err
	}
	b.text, b.size = v.S+string(v.B64), v.Len
	return nil
}

type keyPage struct {
	Keys []struct {
		Key  blob
		Type string
		TTL  int64
	}
	Cursor  string
	Scanned int64
}

type keyAnswer struct {
	Type, Encoding, Problem string
	TTL, Length             int64
	Value                   struct {
		Offset int64
		Data   []byte
		Rows   [][]blob
		Next   string
		Cut    bool
		JSON   string
	}
}

// strange are keys, fields and values that nobody expects.
var strange = []string{
	hostile, "", "\x00", "nul\x00inside", "\xff\xfe\xfd", "half a rune \xe2\x82", "\u202eright to left", "line\r\nbreak", `quotes " and \ `, "*?[a-z]^", strings.Repeat("k", 5000),
	"\u2028\u2029", "💩", "{brace}", "a/b?c=d&e#f", "\ufeffbom", "__proto__",
}

// Whatever keys are called and hold, the page gets them as they are, and finds them by what it was given.
func TestStrangeKeys(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		d := board(t, st, dashboard.Options{})
		for _, k := range strange {
			do(t, st, "SET", "s"+k, k)
			do(t, st, "HSET", "h"+k, k, k)
			do(t, st, "SADD", "S"+k, k)
			do(t, st, "ZADD", "z"+k, "1.5", k)
			do(t, st, "RPUSH", "l"+k, k)
			do(t, st, "XADD", "x"+k, "1-1", "f"+k, k)
		}
		for _, k := range strange {
			a := get[keyAnswer](t, d, "api/key?key="+b64("s"+k))
			if a.Type != "string" || string(a.Value.Data) != k || a.Length != int64(len(k)) || a.TTL != -1 {
				t.Errorf("%.40q: %+v", k, a)
			}
			for prefix, want := range map[string][]string{"h": {k, k}, "S": {k}, "z": {k, "1.5"}, "l": {k}, "x": {"1-1", "f" + k, k}} {
				a := get[keyAnswer](t, d, "api/key?key="+b64(prefix+k))
				if len(a.Value.Rows) != 1 || len(a.Value.Rows[0]) != len(want) || a.Value.Next != "" {
					t.Errorf("%s%.40q: %+v", prefix, k, a)
					continue
				}
				for i, b := range a.Value.Rows[0] {
					whole := want[i]
					if len(whole) > 4096 {
						whole = whole[:4096]
						if b.size != int64(len(want[i])) {
							t.Errorf("%s%.40q: %d bytes in all", prefix, k, b.size)
						}
					}
					if b.text != whole {
						t.Errorf("%s%.40q: %.60q, want %.60q", prefix, k, b.text, whole)
					}
				}
			}
		}
		if s.Kind != fleet.Cluster { // whose SCAN is one of its servers
			listsAll(t, d)
		}
	})
}

// listsAll walks through all keys by pages.
func listsAll(t *testing.T, d *dashboard.Dashboard) {
	t.Helper()
	seen, cursor := map[string]string{}, "0"
	for {
		p := get[keyPage](t, d, "api/keys?count=7&cursor="+cursor)
		for _, k := range p.Keys {
			seen[k.Key.text] = k.Type
		}
		if cursor = p.Cursor; cursor == "0" {
			break
		}
	}
	for _, k := range strange {
		if seen["s"+k] != "string" || seen["x"+k] != "stream" {
			t.Errorf("%.40q is missing", k)
		}
	}
	if p := get[keyPage](t, d, "api/keys?type=zset"); len(p.Keys) != len(strange) {
		t.Error(len(p.Keys), " sorted sets")
	}
}

// A value of any size costs what a page of it costs.
func TestBigValues(t *testing.T) {
	db := open(t, map[string]string{"proto-max-bulk-len": "512mb"})
	d := board(t, db, dashboard.Options{})
	do(t, db, "SETRANGE", "huge", "104857599", "x") // 100 MB
	for from := range 1000 {                        // a million fields
		words := []string{"HSET", "wide"}
		for i := range 1000 {
			words = append(words, fmt.Sprint(from*1000+i), "v")
		}
		do(t, db, words...)
	}
	do(t, db, "SET", strings.Repeat("key", 1<<20), "v")
	do(t, db, "HSET", "deep", "field", strings.Repeat("y", 10<<20))
	do(t, db, "RPUSH", "list", strings.Repeat("z", 10<<20), "short")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for path, most := range map[string]int{
		"api/key?key=" + b64("huge"): 100_000, "api/key?key=" + b64("huge") + "&from=104857590": 300, "api/key?key=" + b64("wide"): 30_000, "api/key?key=" + b64("wide") + "&count=500": 60_000,
		"api/key?key=" + b64("deep"): 10_000, "api/key?key=" + b64("list"): 10_000, "api/keys": 20_000,
	} {
		w := answer(d, request("GET", path, ""))
		if w.Code != 200 || w.Body.Len() > most {
			t.Errorf("%s: %d, %d bytes, want at most %d", path, w.Code, w.Body.Len(), most)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 { // two copies of 10 MB are inevitable
		t.Errorf("%d MB were allocated", grown>>20)
	}
	a := get[keyAnswer](t, d, "api/key?key="+b64("huge")+"&from=104857590")
	if a.Length != 100<<20 || string(a.Value.Data) != "\x00\x00\x00\x00\x00\x00\x00\x00\x00x" {
		t.Errorf("%d %q", a.Length, a.Value.Data)
	}
	if b := get[keyAnswer](t, d, "api/key?key="+b64("deep")).Value.Rows[0][1]; b.size != 10<<20 || len(b.text) != 4096 {
		t.Error(b.size, len(b.text))
	}
}

// Pages of every type, one after another, are the whole value, each element once.
func TestPages(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		d := board(t, st, dashboard.Options{})
		const n = 1300
		for i := range n {
			e := fmt.Sprintf("element %04d", i)
			st.Pipe(t.Context(), store.Cmd{"HSET", "h", e, "v"}, store.Cmd{"SADD", "S", e}, store.Cmd{"ZADD", "z", fmt.Sprint(i), e}, store.Cmd{"RPUSH", "l", e},
				store.Cmd{"XADD", "x", fmt.Sprint(i+1, "-0"), "e", e})
		}
		for _, key := range []string{"h", "S", "z", "l", "x"} {
			seen, from, pages := map[string]int{}, "", 0
			for {
				a := get[keyAnswer](t, d, "api/key?key="+b64(key)+"&from="+from)
				for _, r := range a.Value.Rows {
					seen[r[0].text]++
				}
				pages++
				if from = a.Value.Next; from == "" || pages > n {
					break
				}
			}
			if len(seen) != n || pages < 3 {
				t.Errorf("%s: %d elements in %d pages", key, len(seen), pages)
			}
			for e, times := range seen {
				if times != 1 && key != "h" && key != "S" { // SCAN may tell an element twice
					t.Errorf("%s: %s %d times", key, e, times)
				}
			}
		}
	})
}

// What a server keeps in one piece it sends in one piece: it is cut, and the page says so.
func TestCut(t *testing.T) {
	db := open(t, map[string]string{"hash-max-listpack-entries": "100000"})
	d := board(t, db, dashboard.Options{})
	for i := range 5000 {
		do(t, db, "HSET", "h", fmt.Sprint(i), "v")
	}
	if a := get[keyAnswer](t, d, "api/key?key="+b64("h")); a.Encoding == "listpack" && (!a.Value.Cut || len(a.Value.Rows) != 1000) {
		t.Errorf("%s: %d rows, cut %v", a.Encoding, len(a.Value.Rows), a.Value.Cut)
	}
}

// clocked is an embedded store whose clock moves by hand.
type clocked struct {
	*larder.DB
	fake *clock.Fake
}

func (c clocked) Advance(d time.Duration) { c.fake.Advance(d) }

// The Go body and the Lua body of the script that cuts do the same.
func TestBodiesAgree(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	fake := clock.NewFake(time.Now())
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.Scripts(t, clocked{db, fake}, lua, dashboard.Scripts()[0], func(r *rand.Rand, prefix string) storetest.Call {
		key := prefix + string(rune('a'+r.IntN(3)))
		some := func() string { return strings.Repeat(string(rune('a'+r.IntN(4))), r.IntN(30)) }
		c := storetest.Call{Keys: []string{key}, Before: [][]store.Cmd{
			{{"DEL", key}}, {{"RPUSH", key, some(), some(), some()}}, {{"DEL", key}, {"ZADD", key, "1", some(), "2.5", "m" + some()}}, {{"DEL", key}, {"XADD", key, "1-1", "f", some(), "g", some()}}, {{"DEL", key}, {"SET", key, some()}},
		}[r.IntN(5)]}
		c.Args = append([]string{fmt.Sprint(r.IntN(12)), fmt.Sprint(r.IntN(4))}, [][]string{
			{"LRANGE", key, "0", "-1"}, {"ZRANGE", key, "0", "-1", "WITHSCORES"}, {"XRANGE", key, "-", "+"}, {"GET", key}, {"TYPE", key}, {"STRLEN", key},
		}[r.IntN(6)]...)
		switch r.IntN(20) {
		case 0:
			c.Args = c.Args[:r.IntN(3)]
		case 1:
			c.Args[r.IntN(2)] = "x"
		case 2:
			c.Keys = append(c.Keys, prefix+"b")
		}
		return c
	})
}

// A value that is JSON comes with its numbers as they were written.
func TestJSON(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{})
	if err := db.Do(t.Context(), "JSON.SET", "j", "$", `{"a":[1,2.50,"`+strings.ReplaceAll(hostile, `"`, `\"`)+`"]}`).Err(); err != nil {
		t.Skip("this store has no JSON: ", err)
	}
	a := get[keyAnswer](t, d, "api/key?key="+b64("j"))
	if a.Type != "ReJSON-RL" || !strings.Contains(a.Value.JSON, `"a":[1,`) || a.Problem != "" {
		t.Errorf("%+v", a)
	}
	do(t, db, "JSON.SET", "big", "$", `"`+strings.Repeat("x", 3<<20)+`"`)
	if a := get[keyAnswer](t, d, "api/key?key="+b64("big")); a.Problem == "" || a.Value.JSON != "" {
		t.Errorf("%+v", a.Problem)
	}
}

func TestSlowlogAndCounters(t *testing.T) {
	db := open(t, map[string]string{"slowlog-log-slower-than": "0"})
	d := board(t, db, dashboard.Options{Counters: []dashboard.Counters{
		{Pattern: "cache", Name: "product:", Read: func() any { return struct{ Hits, Misses uint64 }{7, 3} }},
		{Pattern: "queue", Name: hostile, Read: func() any { return struct{ Done int }{1} }},
		{Pattern: "cache", Name: "odd", Read: func() any { return "no struct" }},
	}})
	do(t, db, "SET", "\xff"+hostile, strings.Repeat("x", 10_000))
	type entry struct{ Words []blob }
	log := get[struct {
		Entries   []entry
		Threshold string
	}](t, d, "api/slowlog")
	if log.Threshold != "0" {
		t.Error(log.Threshold)
	}
	found := false
	for _, e := range log.Entries {
		for _, w := range e.Words {
			found = found || w.text == "\xff"+hostile
			if len(w.text) > 256 {
				t.Error(len(w.text))
			}
		}
	}
	if !found && len(log.Entries) > 0 {
		t.Error("the command is not among the slow ones")
	}
	type row struct {
		Pattern string
		Name    blob
		Values  map[string]float64
	}
	rows := get[[]row](t, d, "api/counters?pattern=cache")
	if len(rows) != 1 || rows[0].Values["Hits"] != 7 || rows[0].Values["Misses"] != 3 {
		t.Errorf("%+v", rows)
	}
	if rows := get[[]row](t, d, "api/counters"); len(rows) != 2 || rows[1].Name.text != hostile {
		t.Errorf("%+v", rows)
	}
}

// What a store may hold never keeps a view from being answered: names that are numbers, scores without an end.
func TestNumbersThatAreNone(t *testing.T) {
	db := open(t, map[string]string{"namespaces": "depth 1"})
	for _, key := range []string{"123:a", "1e5:a", "nan:a", "inf:a", "0x10:a"} {
		do(t, db, "SET", key, "v")
	}
	d := board(t, db, dashboard.Options{})
	names := map[string]bool{}
	for _, row := range get[struct{ Namespaces []struct{ Name blob } }](t, d, "api/overview").Namespaces {
		names[row.Name.text] = true
	}
	for _, want := range []string{"123", "1e5", "nan", "inf", "0x10"} {
		if !names[want] {
			t.Errorf("no namespace %q in %v", want, names)
		}
	}
	do(t, db, "ZADD", "b:{x}s:ends", "-inf", "first", "2", "second", "inf", "last")
	got := answer(d, request("GET", "api/board?key="+b64("b:{x}s:ends"), "")).Body.String()
	for _, want := range []string{`"member":"first","score":"-inf"`, `"score":2`, `"member":"last","score":"inf"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}
