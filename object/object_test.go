package object_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/object"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func hashes[T any](t testing.TB, st store.Store, o object.Options) *object.Hashes[T] {
	t.Helper()
	h, err := object.New[T](st, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func field[V, T any](t testing.TB, h *object.Hashes[T], name string) *object.Field[T, V] {
	t.Helper()
	f, err := object.NewField[T, V](h, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stores are those that every test of behaviour runs on.
func stores(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, storetest.NewMemory()) })
	t.Run("embedded", func(t *testing.T) { test(t, fleet.NewClocked(t)) })
	t.Run("redis", func(t *testing.T) { test(t, redis(t)) })
}

func redis(t testing.TB) store.Store {
	t.Helper()
	return fleet.Start(t, fleet.Redis).Open(t)
}

func options() object.Options {
	return object.Options{Prefix: "user:", TTL: time.Hour, Timeout: 10 * time.Second}
}

type address struct{ Street, City string }

type Audit struct {
	Version int       `larder:"v"`
	Changed time.Time `larder:"changed"`
}

type level int

type everything struct {
	Audit          // its fields count as the outer's
	Name    string `larder:"name"`
	Bin     []byte `larder:"bin"`
	Yes     bool   `larder:"yes"`
	I8      int8
	I       int64
	U       uint64
	F32     float32
	F       float64
	Level   level
	At      time.Time     `larder:"at,omitempty"`
	Every   time.Duration `larder:"every"`
	Addr    netip.Addr    `larder:"addr"`
	Big     big.Int
	Maybe   *int
	Text    *string `larder:"text,omitempty"`
	When    *time.Time
	Home    address
	Work    *address
	Tags    []string          `larder:",omitempty"`
	Labels  map[string]string `larder:"labels,omitempty"`
	Any     any
	Secret  string `larder:"-"`
	private int
}

func full() everything {
	n, text, when := 0, "", time.Unix(1e9, 1).UTC()
	e := everything{
		Audit: Audit{3, time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600)).UTC()},
		Name:  "Ada \x00\r\n", Bin: []byte{0, 255}, Yes: true, I8: -128, I: math.MinInt64, U: math.MaxUint64,
		F32: 0.1, F: math.Inf(-1), Level: 7, At: time.Unix(0, 0).UTC(), Every: 90 * time.Minute, Addr: netip.MustParseAddr("2001:db8::1"),
		Maybe: &n, Text: &text, When: &when, Home: address{"Main <St>", "X"}, Work: &address{"Side", "Y"},
		Tags: []string{"a", "b"}, Labels: map[string]string{"k": "v"}, Any: []any{1.5, "x"},
	}
	e.Big.SetString("123456789012345678901234567890", 10)
	return e
}

func TestEveryKind(t *testing.T) {
	leaktest.Check(t)
	stores(t, func(t *testing.T, st store.Store) {
		h := hashes[everything](t, st, options())
		for name, want := range map[string]everything{"full": full(), "zero": {}} {
			in := want
			in.Secret, in.private = "hidden", 1
			if err := h.Save(t.Context(), "1", &in); err != nil {
				t.Fatal(err)
			}
			got, ok, err := h.Load(t.Context(), "1")
			if !ok || err != nil || fmt.Sprintf("%+v", flat(got)) != fmt.Sprintf("%+v", flat(want)) {
				t.Errorf("%s: %v, %v\n got %+v\nwant %+v", name, ok, err, flat(got), flat(want))
			}
		}
		in := full()
		_ = h.Save(t.Context(), "1", &in)
		stored, err := st.Do(t.Context(), "HGETALL", "user:1").Map()
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"v": "3", "name": "Ada \x00\r\n", "yes": "1", "I8": "-128", "F32": "0.1", "every": "1h30m0s", "at": "1970-01-01T00:00:00Z",
			"addr": "2001:db8::1", "Home.Street": "Main <St>", "Work": "1", "Work.City": "Y", "Tags": `["a","b"]`, "Maybe": "0", "text": "",
		} {
			if stored[name] != want {
				t.Errorf("field %q is stored as %q, want %q", name, stored[name], want)
			}
		}
		if _, have := stored["Secret"]; have || len(stored) != 26 {
			t.Errorf("%d fields stored: %v", len(stored), stored)
		}
	})
}

// flat makes what pointers lead to comparable as text.
func flat(e everything) []any {
	v := reflect.ValueOf(e)
	var out []any
	for i := range v.NumField() - 2 { // but Secret and private
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			out = append(out, "to")
			f = f.Elem()
		}
		out = append(out, f.Interface())
	}
	return out
}

func TestSaveReplaces(t *testing.T) {
	leaktest.Check(t)
	stores(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		h := hashes[everything](t, st, options())
		in := full()
		_ = h.Save(ctx, "1", &in)
		st.Do(ctx, "HSET", "user:1", "stranger", "x")
		if _, ok, err := h.Load(ctx, "1"); !ok || err != nil {
			t.Errorf("an unknown field: %v, %v", ok, err)
		}
		st.Do(ctx, "PEXPIRE", "user:1", "5000")
		if err := h.Save(ctx, "1", &everything{Name: "new"}); err != nil {
			t.Fatal(err)
		}
		got, _, _ := h.Load(ctx, "1")
		if got.Name != "new" || got.Maybe != nil || got.Text != nil || got.Tags != nil || !got.At.IsZero() {
			t.Errorf("something of the old object is left: %+v", got)
		}
		if r := st.Do(ctx, "HGET", "user:1", "stranger"); !r.IsNil() {
			t.Errorf("an unknown field survived Save: %v", r)
		}
		if ttl, _ := st.Do(ctx, "PTTL", "user:1").Int64(); ttl < 3_500_000 {
			t.Errorf("TTL after Save: %d ms", ttl)
		}
	})
}

func TestMissingAndEmpty(t *testing.T) {
	leaktest.Check(t)
	type optional struct {
		A string `larder:"a,omitempty"`
		B *int   `larder:"b"`
	}
	stores(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		h := hashes[optional](t, st, options())
		a, b := field[string](t, h, "a"), field[*int](t, h, "b")
		check := func(what string, want bool) {
			t.Helper()
			_, ok, err := h.Load(ctx, "1")
			_, ok2, err2 := h.LoadFields(ctx, "1", "b")
			_, ok3, err3 := a.Get(ctx, "1")
			if ok != want || ok2 != want || ok3 != want || err != nil || err2 != nil || err3 != nil {
				t.Errorf("%s: Load %v %v, LoadFields %v %v, Get %v %v; want %v", what, ok, err, ok2, err2, ok3, err3, want)
			}
		}
		check("nothing saved", false)
		for what, err := range map[string]error{
			"Set":        must(a.Set(ctx, "1", "x"))(t, false),
			"Set nil":    must(b.Set(ctx, "1", nil))(t, false),
			"SaveFields": must(h.SaveFields(ctx, "1", &optional{A: "x"}, "a", "b"))(t, false),
			"Touch":      must(h.Touch(ctx, "1"))(t, false),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("single fields make no object", false)
		if err := h.Save(ctx, "1", &optional{}); err != nil {
			t.Fatal(err)
		}
		check("an object without fields", true)
		must(a.Set(ctx, "1", "x"))(t, true)
		must(a.Set(ctx, "1", ""))(t, true) // takes the last field away
		check("still there", true)
		st.Do(ctx, "DEL", "user:1")
		st.Do(ctx, "HSET", "user:1", "other", "x") // no marker, no field of ours
		check("somebody else's fields", true)
		must(h.SaveFields(ctx, "1", &optional{}, "a", "b"))(t, true)
		st.Do(ctx, "HDEL", "user:1", "other")
		check("all removed but the object", true)
		if err := h.Delete(ctx, "1", "2"); err != nil {
			t.Error(err)
		}
		check("deleted", false)
	})
}

// must checks ok and passes err on.
func must(ok bool, err error) func(t *testing.T, want bool) error {
	return func(t *testing.T, want bool) error {
		t.Helper()
		if ok != want || err != nil {
			t.Errorf("%v, %v; want %v", ok, err, want)
		}
		return err
	}
}

func TestSingleFieldsKeepTheTTL(t *testing.T) {
	mem := storetest.NewMemory()
	ctx := t.Context()
	h := hashes[everything](t, mem, options())
	in := full()
	if err := h.Save(ctx, "1", &in); err != nil {
		t.Fatal(err)
	}
	mem.Advance(20 * time.Minute)
	plan := field[string](t, h, "name")
	must(plan.Set(ctx, "1", "Grace"))(t, true)
	must(h.SaveFields(ctx, "1", &everything{I8: 5}, "I8", "at"))(t, true)
	if ttl, _ := mem.Do(ctx, "PTTL", "user:1").Int64(); ttl != 40*60*1000 {
		t.Errorf("TTL: %d ms, want 40 minutes", ttl)
	}
	got, ok, err := h.LoadFields(ctx, "1", "name", "I8", "at", "v")
	if !ok || err != nil || got.Name != "Grace" || got.I8 != 5 || !got.At.IsZero() || got.Version != 3 || got.Yes {
		t.Errorf("LoadFields: %+v, %v, %v", got, ok, err)
	}
	must(h.Touch(ctx, "1"))(t, true)
	if ttl, _ := mem.Do(ctx, "PTTL", "user:1").Int64(); ttl != 60*60*1000 {
		t.Errorf("TTL after Touch: %d ms", ttl)
	}
	mem.Advance(time.Hour)
	if _, ok, err := plan.Get(ctx, "1"); ok || err != nil {
		t.Errorf("after the TTL: %v, %v", ok, err)
	}
}

func TestNoTTL(t *testing.T) {
	leaktest.Check(t)
	st := redis(t)
	ctx := t.Context()
	o := options()
	o.TTL = object.NoTTL
	h := hashes[address](t, st, o)
	if err := h.Save(ctx, "1", &address{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	if ttl, _ := st.Do(ctx, "PTTL", "user:1").Int64(); ttl != -1 {
		t.Errorf("TTL: %d", ttl)
	}
	st.Do(ctx, "PEXPIRE", "user:1", "100000")
	must(h.Touch(ctx, "1"))(t, true)
	must(h.Touch(ctx, "2"))(t, false)
	if ttl, _ := st.Do(ctx, "PTTL", "user:1").Int64(); ttl != -1 {
		t.Errorf("TTL after Touch: %d", ttl)
	}
}

func TestNewRefuses(t *testing.T) {
	mem := storetest.NewMemory()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrInvalid) || !strings.HasPrefix(err.Error(), "object: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := object.New[address](mem, object.Options{TTL: 1})
	refused("no prefix", err)
	_, err = object.New[address](mem, object.Options{Prefix: "p:"})
	refused("no TTL", err)
	_, err = object.New[address](mem, object.Options{Prefix: "p:", TTL: -5})
	refused("negative TTL", err)
	_, err = object.New[int](mem, options())
	refused("no struct", err)
	_, err = object.New[struct{ a int }](mem, options())
	refused("nothing to store", err)
	_, err = object.New[struct {
		A int `larder:"x"`
		B int `larder:"x"`
	}](mem, options())
	refused("a name twice", err)
	_, err = object.New[struct{ C chan int }](mem, options())
	refused("a channel", err)
	_, err = object.New[struct {
		A int `larder:"a,omitemty"`
	}](mem, options())
	refused("a misspelt option", err)
	_, err = object.New[struct {
		a int `larder:"a"`
	}](mem, options())
	refused("a tag on an unexported field", err)
	h := hashes[address](t, mem, options())
	_, err = object.NewField[address, string](h, "street")
	refused("an unknown field", err)
	_, err = object.NewField[address, int](h, "Street")
	refused("another type", err)
	_, err = h.SaveFields(t.Context(), "1", &address{}, "nope")
	refused("SaveFields of an unknown field", err)
	_, _, err = h.LoadFields(t.Context(), "1")
	refused("LoadFields of nothing", err)
	refused("nil", h.Save(t.Context(), "1", nil))
	_, err = h.SaveFields(t.Context(), "1", nil, "Street")
	refused("SaveFields of nil", err)
}

func TestBadFieldsAndKeys(t *testing.T) {
	leaktest.Check(t)
	stores(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		h := hashes[everything](t, st, options())
		for name, text := range map[string]string{
			"v": "x", "changed": "yesterday", "yes": "maybe", "I8": "128", "U": "-1", "F": "1,5", "every": "1 hour", "addr": "::x", "labels": "{", "Maybe": "1.5",
		} {
			in := full()
			_ = h.Save(ctx, "1", &in)
			st.Do(ctx, "HSET", "user:1", name, text)
			got, ok, err := h.Load(ctx, "1")
			if ok || !errors.Is(err, object.ErrDecode) || !strings.Contains(err.Error(), `object: load "user:1": field "`+name+`"`) || !reflect.ValueOf(got).IsZero() {
				t.Errorf("%s %q: %v, %v", name, text, ok, err)
			}
		}
		st.Do(ctx, "DEL", "user:1")
		st.Do(ctx, "SET", "user:1", "a string")
		in := full()
		_, _, loadErr := h.Load(ctx, "1")
		_, setErr := field[string](t, h, "name").Set(ctx, "1", "x")
		_, _, getErr := field[string](t, h, "name").Get(ctx, "1")
		for what, err := range map[string]error{"Save": h.Save(ctx, "1", &in), "Load": loadErr, "Set": setErr, "Get": getErr} {
			if !errors.Is(err, store.ErrWrongType) {
				t.Errorf("%s on a string: %v", what, err)
			}
		}
		if got, _ := st.Do(ctx, "GET", "user:1").Text(); got != "a string" {
			t.Errorf("the string became %q", got)
		}
	})
}

func TestUnencodable(t *testing.T) {
	mem := storetest.NewMemory()
	h := hashes[everything](t, mem, options())
	in := full()
	if err := h.Save(t.Context(), "1", &in); err != nil {
		t.Fatal(err)
	}
	in.Name, in.Any = "half", func() {}
	if err := h.Save(t.Context(), "1", &in); err == nil || !strings.Contains(err.Error(), `field "Any"`) {
		t.Errorf("a func in an interface: %v", err)
	}
	if got, _, _ := h.Load(t.Context(), "1"); got.Name == "half" {
		t.Error("a failed Save was half applied")
	}
}

func TestStoreDown(t *testing.T) {
	leaktest.Check(t)
	f := storetest.NewFaulty(storetest.NewMemory())
	h := hashes[address](t, f, object.Options{Prefix: "user:", TTL: time.Hour, Timeout: time.Millisecond})
	city := field[string](t, h, "City")
	ctx := t.Context()
	for what, fault := range map[string]func(){"down": func() { f.Fail(-1) }, "hanging": func() { f.Hang(-1) }} {
		fault()
		_, _, load := h.Load(ctx, "1")
		_, _, get := city.Get(ctx, "1")
		_, set := city.Set(ctx, "1", "x")
		_, touch := h.Touch(ctx, "1")
		for op, err := range map[string]error{
			"save": h.Save(ctx, "1", &address{}), "load": load, "delete": h.Delete(ctx, "1"), "touch": touch,
		} {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "object: "+op+` "user:1"`) {
				t.Errorf("%s: %s: %v", what, op, err)
			}
		}
		if !errors.Is(get, store.ErrUnavailable) || !errors.Is(set, store.ErrUnavailable) {
			t.Errorf("%s: field: %v, %v", what, get, set)
		}
	}
	f.Heal()
}

// TestSavesDoNotMix has two writers of whole objects and a reader who must never see parts of both.
func TestSavesDoNotMix(t *testing.T) {
	leaktest.Check(t)
	st := redis(t)
	h := hashes[address](t, st, options())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		wg.Go(func() {
			for range 300 {
				if err := h.Save(t.Context(), "1", &address{name, name}); err != nil {
					t.Error(err)
				}
			}
			cancel()
		})
	}
	for ctx.Err() == nil {
		if got, ok, err := h.Load(t.Context(), "1"); err != nil || ok && got.Street != got.City {
			t.Fatalf("a mixture: %+v, %v", got, err)
		}
	}
	wg.Wait()
}

// randomWrite makes calls of object.write.
func randomWrite(r *rand.Rand, prefix string, ttls bool) storetest.Call {
	c := storetest.Call{Keys: []string{prefix + strconv.Itoa(r.IntN(2))}}
	word := func() string { return []string{"a", "b", "c", "\x00", "", "1"}[r.IntN(6)] }
	n, e := r.IntN(4), 0
	if ttls {
		e = r.IntN(3)
	}
	c.Args = []string{string("sp"[r.IntN(2)]), strconv.Itoa(100_000 * r.IntN(3)), []string{"", "v"}[r.IntN(2)], "", strconv.Itoa(n), strconv.Itoa(e)}
	if c.Args[2] != "" {
		c.Args[3] = []string{"", "0", "7", "8"}[r.IntN(4)]
	}
	for range n + e {
		c.Args = append(c.Args, word(), word())
	}
	for i := range e {
		c.Args[len(c.Args)-1-2*i] = strconv.Itoa(50_000 * r.IntN(3))
	}
	if c.Args[0] == "p" {
		for range r.IntN(3) {
			c.Args = append(c.Args, word())
		}
	}
	before(r, &c)
	return c
}

// randomAdd makes calls of object.add.
func randomAdd(r *rand.Rand, prefix string) storetest.Call {
	c := storetest.Call{Keys: []string{prefix + strconv.Itoa(r.IntN(2))}}
	c.Args = []string{
		[]string{"n", "m", "b"}[r.IntN(3)], string("if"[r.IntN(2)]),
		[]string{"1", "-3", "120", "9223372036854775807", "-9223372036854775808", "0.5", "1e3", "", "+1"}[r.IntN(9)],
		[]string{"", "0", "-128"}[r.IntN(3)], []string{"", "127", "4294967295"}[r.IntN(3)], []string{"", "v"}[r.IntN(2)],
	}
	before(r, &c)
	if r.IntN(3) == 0 {
		c.Before = append(c.Before, store.Cmd{"HSET", c.Keys[0], "n", []string{"5", "127", "x", "1.5", "9223372036854775800"}[r.IntN(5)]})
	}
	return c
}

func before(r *rand.Rand, c *storetest.Call) {
	switch r.IntN(18) {
	case 0:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 1:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"SET", c.Keys[0], "x"}}
	case 2:
		c.Args = c.Args[:r.IntN(len(c.Args))]
	case 3:
		c.Args[r.IntN(len(c.Args))] = []string{"-1", "1.5", "x", "", "99999", "0", "1e3"}[r.IntN(7)]
	case 4:
		c.Keys = append(c.Keys, c.Keys[0])
	case 5:
		c.Advance = 10 * time.Second
	case 6, 7, 8:
		c.Before = []store.Cmd{{"HSET", c.Keys[0], "v", []string{"7", "8", "x", ""}[r.IntN(4)]}}
	}
}

func TestBodiesAgree(t *testing.T) {
	lua := redis(t)
	served := fleet.Start(t, fleet.Larder).Open(t) // it does not know the scripts, and so runs their Lua
	t.Run("write", func(t *testing.T) {
		plain := func(r *rand.Rand, prefix string) storetest.Call { return randomWrite(r, prefix, false) }
		storetest.Scripts(t, storetest.NewMemory(), lua, object.Scripts()[0], plain)
		storetest.Scripts(t, fleet.NewClocked(t), lua, object.Scripts()[0], plain)
	})
	t.Run("write with TTLs of fields", func(t *testing.T) {
		ttls := func(r *rand.Rand, prefix string) storetest.Call { return randomWrite(r, prefix, true) }
		storetest.Scripts(t, fleet.NewClocked(t), served, object.Scripts()[0], ttls)
	})
	t.Run("add", func(t *testing.T) {
		storetest.Scripts(t, fleet.NewClocked(t), lua, object.Scripts()[1], randomAdd)
		storetest.Scripts(t, fleet.NewClocked(t), served, object.Scripts()[1], randomAdd)
	})
}
