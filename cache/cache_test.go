package cache_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

type product struct {
	ID      int64
	Name    string
	Price   float64
	Tags    []string
	Secret  string `json:"-"`
	Created time.Time
}

var widget = product{7, "widget", 12.5, []string{"a", "b"}, "s", time.Unix(1700000000, 123456789).UTC()}

func options() cache.Options { return cache.Options{Prefix: "product:", TTL: time.Minute, Jitter: -1} }

func newCache[T any](t testing.TB, st store.Store, o cache.Options) *cache.Cache[T] {
	t.Helper()
	c, err := cache.New[T](st, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// source counts loads and returns what it is told.
type source struct {
	calls atomic.Int64
	value product
	err   error
}

func (s *source) load(context.Context) (product, error) {
	s.calls.Add(1)
	return s.value, s.err
}

// settled waits until every load has been stored: GetOrLoad returns before.
func settled(c *cache.Cache[product]) {
	for c.Loads() > 0 {
		runtime.Gosched()
	}
}

func TestGetOrLoad(t *testing.T) {
	leaktest.Check(t)
	mem := storetest.NewMemory()
	c := newCache[product](t, mem, options())
	ctx := t.Context()
	if _, ok, err := c.Get(ctx, "7"); ok || err != nil {
		t.Errorf("Get of nothing: %v, %v", ok, err)
	}
	src := &source{value: widget}
	if got, err := c.GetOrLoad(ctx, "7", src.load); err != nil || !reflect.DeepEqual(got, widget) {
		t.Errorf("first: %+v, %v", got, err)
	}
	settled(c)
	if got, err := c.GetOrLoad(ctx, "7", src.load); err != nil || !reflect.DeepEqual(utc(got), widget) || src.calls.Load() != 1 {
		t.Errorf("second: %+v, %v after %d loads", got, err, src.calls.Load())
	}
	if got, ok, err := c.Get(ctx, "7"); err != nil || !ok || got.Secret != "s" {
		t.Errorf("Get: %+v, %v, %v", got, ok, err)
	}
	if ttl, _ := mem.Do(ctx, "PTTL", "product:7").Int64(); ttl != 60_000 {
		t.Errorf("TTL: %d ms", ttl)
	}
	mem.Advance(time.Minute)
	if _, ok, err := c.Get(ctx, "7"); ok || err != nil {
		t.Errorf("Get after the TTL: %v, %v", ok, err)
	}
	other := widget
	other.Name = "gadget"
	if err := c.Set(ctx, "7", other); err != nil {
		t.Error(err)
	}
	if got, err := c.GetOrLoad(ctx, "7", src.load); err != nil || got.Name != "gadget" {
		t.Errorf("after Set: %+v, %v", got, err)
	}
	if err := c.Delete(ctx, "7", "never there"); err != nil {
		t.Error(err)
	}
	if _, ok, _ := c.Get(ctx, "7"); ok {
		t.Error("Delete left the entry")
	}
	want := cache.Stats{Hits: 3, Misses: 4, Loads: 1}
	if got := c.Stats(); got != want {
		t.Errorf("Stats: %+v, want %+v", got, want)
	}
	if r := c.Stats().HitRatio(); r != 3.0/7 {
		t.Errorf("HitRatio: %v", r)
	}
}

func utc(p product) product {
	p.Created = p.Created.UTC()
	return p
}

func TestNewRefuses(t *testing.T) {
	mem := storetest.NewMemory()
	for _, o := range []cache.Options{
		{}, {Prefix: "p:"}, {TTL: time.Second}, {Prefix: "p:", TTL: -1}, {Prefix: "p:", TTL: 1, NegativeTTL: -1},
		{Prefix: "p:", TTL: 1, Jitter: 0.95}, {Prefix: "p:", TTL: 1, Codec: cache.Raw{}},
	} {
		if _, err := cache.New[product](mem, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := cache.New[chan int](mem, options()); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a channel: %v", err)
	}
}

func TestJitter(t *testing.T) {
	mem := storetest.NewMemory()
	c := newCache[int](t, mem, cache.Options{Prefix: "n:", TTL: 1000 * time.Second, Jitter: 0.2})
	low, high := int64(1<<60), int64(0)
	for range 500 {
		if err := c.Set(t.Context(), "k", 1); err != nil {
			t.Fatal(err)
		}
		ttl, _ := mem.Do(t.Context(), "PTTL", "n:k").Int64()
		low, high = min(low, ttl), max(high, ttl)
	}
	if low < 800_000 || high > 1_000_000 || low > 820_000 || high < 980_000 {
		t.Errorf("TTLs from %d to %d ms, want 800 to 1000 s", low, high)
	}
}

func TestNegative(t *testing.T) {
	leaktest.Check(t)
	mem := storetest.NewMemory()
	o := options()
	o.NegativeTTL = 5 * time.Second
	c := newCache[product](t, mem, o)
	ctx := t.Context()
	src := &source{err: fmt.Errorf("product 9: %w", cache.ErrNotFound)}
	if _, err := c.GetOrLoad(ctx, "9", src.load); err != src.err {
		t.Errorf("the loader's own error: %v", err)
	}
	settled(c)
	if _, err := c.GetOrLoad(ctx, "9", src.load); !errors.Is(err, cache.ErrNotFound) || src.calls.Load() != 1 || !strings.Contains(err.Error(), "product:9") {
		t.Errorf("remembered: %v after %d loads", err, src.calls.Load())
	}
	if _, ok, err := c.Get(ctx, "9"); ok || !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("Get: %v, %v", ok, err)
	}
	mem.Advance(5 * time.Second)
	if _, _ = c.GetOrLoad(ctx, "9", src.load); src.calls.Load() != 2 {
		t.Errorf("%d loads after NegativeTTL, want 2", src.calls.Load())
	}
	settled(c)
	if err := c.Set(ctx, "9", widget); err != nil {
		t.Error(err)
	}
	if got, ok, err := c.Get(ctx, "9"); !ok || err != nil || got.ID != 7 {
		t.Errorf("Set over an absence: %v, %v", ok, err)
	}
	if s := c.Stats(); s.NegativeHits != 2 || s.LoadErrors != 0 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestLoaderErrorsAreNotStored(t *testing.T) {
	leaktest.Check(t)
	mem := storetest.NewMemory()
	c := newCache[product](t, mem, options()) // no NegativeTTL
	for _, err := range []error{errors.New("database down"), cache.ErrNotFound} {
		src := &source{err: err}
		for i := int64(1); i <= 2; i++ {
			if _, got := c.GetOrLoad(t.Context(), "7", src.load); got != err || src.calls.Load() != i {
				t.Errorf("%v after %d loads, want %v after %d", got, src.calls.Load(), err, i)
			}
		}
	}
	if s := c.Stats(); s.LoadErrors != 2 || s.Loads != 4 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestCodecs(t *testing.T) {
	mem := storetest.NewMemory()
	ctx := t.Context()
	for _, codec := range []cache.Codec{nil, cache.MsgPack{}, cache.JSON{}} {
		o := options()
		o.Codec = codec
		c := newCache[product](t, mem, o)
		if err := c.Set(ctx, "k", widget); err != nil {
			t.Fatal(err)
		}
		want := widget
		if _, isJSON := codec.(cache.JSON); isJSON {
			want.Secret = ""
			if text, _ := mem.Do(ctx, "GET", "product:k").Text(); !strings.HasSuffix(text, `"Created":"2023-11-14T22:13:20.123456789Z"}`) {
				t.Errorf("JSON entry: %q", text)
			}
		}
		if got, ok, err := c.Get(ctx, "k"); !ok || err != nil || !reflect.DeepEqual(utc(got), want) {
			t.Errorf("%T: %+v, %v, %v", codec, got, ok, err)
		}
	}
	s := newCache[string](t, mem, cache.Options{Prefix: "s:", TTL: time.Minute})
	b := newCache[[]byte](t, mem, cache.Options{Prefix: "b:", TTL: time.Minute})
	for _, text := range []string{"", "plain\x00text"} {
		if err := s.Set(ctx, "k", text); err != nil {
			t.Error(err)
		}
		if got, ok, err := s.Get(ctx, "k"); !ok || err != nil || got != text {
			t.Errorf("string: %q, %v, %v", got, ok, err)
		}
		if err := b.Set(ctx, "k", []byte(text)); err != nil {
			t.Error(err)
		}
		first, ok, err := b.Get(ctx, "k")
		if !ok || err != nil || string(first) != text || first == nil {
			t.Errorf("[]byte: %q, %v, %v", first, ok, err)
		}
		if _, _, _ = b.Get(ctx, "k"); string(first) != text {
			t.Errorf("a later Get changed an earlier value to %q", first)
		}
	}
	if entry, _ := mem.Do(ctx, "GET", "s:k").Text(); !strings.HasSuffix(entry, "plain\x00text") || len(entry) != 15+10 {
		t.Errorf("raw entry: %q", entry)
	}
}

// TestValuesOutliveBuffers reads many entries through the same pooled buffer.
func TestValuesOutliveBuffers(t *testing.T) {
	mem := storetest.NewMemory()
	type blob struct {
		S string
		B []byte
		M map[string][]byte
		A any
	}
	for _, codec := range []cache.Codec{cache.MsgPack{}, cache.JSON{}} {
		c := newCache[blob](t, mem, cache.Options{Prefix: "b:", TTL: time.Minute, Codec: codec})
		var got []blob
		for i := range 50 {
			text := fmt.Sprintf("number %d", i)
			if err := c.Set(t.Context(), "k", blob{text, []byte(text), map[string][]byte{text: []byte(text)}, text}); err != nil {
				t.Fatal(err)
			}
			b, _, err := c.Get(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b)
		}
		for i, b := range got {
			text := fmt.Sprintf("number %d", i)
			if b.S != text || string(b.B) != text || string(b.M[text]) != text || b.A != text {
				t.Fatalf("%T: value %d became %+v", codec, i, b)
			}
		}
	}
}

// TestValuesBeginEmpty reads values with fields left out after others with these fields: what is decoded into is used again.
func TestValuesBeginEmpty(t *testing.T) {
	mem := storetest.NewMemory()
	ctx := t.Context()
	type part struct {
		S string            `json:",omitempty" msgpack:",omitempty"`
		B []int             `json:",omitempty" msgpack:",omitempty"`
		M map[string]string `json:",omitempty" msgpack:",omitempty"`
		P *int              `json:",omitempty" msgpack:",omitempty"`
	}
	n := 7
	full := part{"s", []int{1, 2}, map[string]string{"a": "b"}, &n}
	for _, codec := range []cache.Codec{cache.MsgPack{}, cache.JSON{}} {
		c := newCache[part](t, mem, cache.Options{Prefix: "p:", TTL: time.Minute, Codec: codec})
		if err := errors.Join(c.Set(ctx, "full", full), c.Set(ctx, "empty", part{})); err != nil {
			t.Fatal(err)
		}
		for _, read := range []func(string) (part, error){
			func(key string) (part, error) { v, _, err := c.Get(ctx, key); return v, err },
			func(key string) (part, error) {
				return c.GetOrLoad(ctx, key, func(context.Context) (part, error) { return part{}, errors.New("not there") })
			},
		} {
			for range 20 {
				first, err := read("full")
				if err != nil || !reflect.DeepEqual(first, full) {
					t.Fatalf("%T: %+v, %v", codec, first, err)
				}
				if empty, err := read("empty"); err != nil || !reflect.DeepEqual(empty, part{}) {
					t.Fatalf("%T: an empty value became %+v, %v", codec, empty, err)
				}
				first.B[0], first.M["a"], *first.P = 9, "changed", 9 // what a caller got is the caller's
			}
		}
	}
}

func TestDeployWithAnotherType(t *testing.T) {
	mem := storetest.NewMemory()
	ctx := t.Context()
	type v1 struct{ Name string }
	type v1again struct{ Name string }
	type v2 struct{ Title string }
	if err := newCache[v1](t, mem, options()).Set(ctx, "k", v1{"x"}); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := newCache[v1again](t, mem, options()).Get(ctx, "k"); !ok || err != nil || got.Name != "x" {
		t.Errorf("a renamed type: %+v, %v, %v", got, ok, err)
	}
	if got, ok, err := newCache[v2](t, mem, options()).Get(ctx, "k"); ok || err != nil || got.Title != "" {
		t.Errorf("a renamed field: %+v, %v, %v", got, ok, err)
	}
	o := options()
	o.Codec = cache.JSON{}
	if _, ok, err := newCache[v1](t, mem, o).Get(ctx, "k"); ok || err != nil {
		t.Errorf("another codec: %v, %v", ok, err)
	}
	o = options()
	o.Schema = "mine"
	if err := newCache[v1](t, mem, o).Set(ctx, "k", v1{"y"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := newCache[struct{ Name, More string }](t, mem, o).Get(ctx, "k"); !ok || err != nil {
		t.Errorf("a shared Schema: %v, %v", ok, err)
	}
}

func TestForeignKeysAreLeftAlone(t *testing.T) {
	leaktest.Check(t)
	mem := storetest.NewMemory()
	ctx := t.Context()
	var heard atomic.Int64
	o := options()
	o.OnError = func(_ context.Context, key string, err error) {
		if key == "k" && strings.Contains(err.Error(), "refix") {
			heard.Add(1)
		}
	}
	c := newCache[product](t, mem, o)
	src := &source{value: widget}
	for _, cmd := range [][]string{{"SET", "product:k", `{"by":"hand"}`}, {"HSET", "product:k", "f", "v"}, {"SET", "product:k", ""}} {
		mem.Do(ctx, "DEL", "product:k")
		mem.Do(ctx, cmd...)
		before := mem.Do(ctx, "TYPE", "product:k").String()
		if got, err := c.GetOrLoad(ctx, "k", src.load); err != nil || got.ID != 7 {
			t.Errorf("%q: %+v, %v", cmd, got, err)
		}
		if found, err := c.GetOrLoadMany(ctx, []string{"k"}, batch(widget)); err != nil || found["k"].ID != 7 {
			t.Errorf("%q: many: %+v, %v", cmd, found, err)
		}
		if _, ok, err := c.Get(ctx, "k"); ok || err == nil {
			t.Errorf("%q: Get: %v, %v", cmd, ok, err)
		}
		if after := mem.Do(ctx, "TYPE", "product:k").String(); after != before {
			t.Errorf("%q was overwritten: %s is %s", cmd, before, after)
		}
	}
	if heard.Load() != 6 {
		t.Errorf("OnError heard %d times, want 6", heard.Load())
	}
}

func batch(p product) func(context.Context, []string) (map[string]product, error) {
	return func(_ context.Context, missing []string) (map[string]product, error) {
		m := map[string]product{}
		for _, k := range missing {
			m[k] = p
		}
		return m, nil
	}
}

func TestBrokenEntriesAreMisses(t *testing.T) {
	leaktest.Check(t)
	mem := storetest.NewMemory()
	ctx := t.Context()
	c := newCache[product](t, mem, options())
	if err := c.Set(ctx, "k", widget); err != nil {
		t.Fatal(err)
	}
	whole, _ := mem.Do(ctx, "GET", "product:k").Text()
	for cut := 2; cut < len(whole); cut++ {
		mem.Do(ctx, "SET", "product:k", whole[:cut])
		if got, ok, err := c.Get(ctx, "k"); err != nil || ok && !reflect.DeepEqual(utc(got), widget) || !ok && !reflect.DeepEqual(got, product{}) {
			t.Fatalf("%d of %d bytes: %+v, %v, %v", cut, len(whole), got, ok, err)
		}
	}
	for i, entry := range []string{"\xca\x02" + whole[2:], whole[:2] + "\x80" + whole[3:], "\xca\x01"} {
		key := fmt.Sprint(i)
		mem.Do(ctx, "SET", "product:"+key, entry)
		src := &source{value: widget}
		if _, err := c.GetOrLoad(ctx, key, src.load); err != nil || src.calls.Load() != 1 {
			t.Errorf("%q: %v after %d loads", entry, err, src.calls.Load())
		}
	}
	if s := c.Stats(); s.DecodeErrors == 0 || s.StoreErrors != 0 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestStoreDown(t *testing.T) {
	leaktest.Check(t)
	f := storetest.NewFaulty(storetest.NewMemory())
	var heard atomic.Int64
	o := options()
	o.Timeout = 5 * time.Millisecond
	o.OnError = func(_ context.Context, _ string, err error) {
		if errors.Is(err, store.ErrUnavailable) {
			heard.Add(1)
		}
	}
	c := newCache[product](t, f, o)
	ctx := t.Context()
	src := &source{value: widget}
	for what, fault := range map[string]func(){"down": func() { f.Fail(-1) }, "hanging": func() { f.Hang(-1) }} {
		fault()
		start := time.Now()
		if got, err := c.GetOrLoad(ctx, "k", src.load); err != nil || got.ID != 7 {
			t.Errorf("%s: GetOrLoad: %+v, %v", what, got, err)
		}
		if found, err := c.GetOrLoadMany(ctx, []string{"a", "b"}, batch(widget)); err != nil || len(found) != 2 {
			t.Errorf("%s: GetOrLoadMany: %+v, %v", what, found, err)
		}
		for op, err := range map[string]error{
			"get": second(c.Get(ctx, "k")), "set": c.Set(ctx, "k", widget), "delete": c.Delete(ctx, "k"),
		} {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), `cache: `+op+` "product:k"`) {
				t.Errorf("%s: %s: %v", what, op, err)
			}
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: all that took %v", what, took)
		}
	}
	f.Heal()
	if s := c.Stats(); s.StoreErrors < 10 || heard.Load() < 6 {
		t.Errorf("Stats: %+v, OnError heard %d", s, heard.Load())
	}
	if err := c.Set(ctx, "k", widget); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func second[T any](_ T, _ bool, err error) error { return err }

func TestHooks(t *testing.T) {
	leaktest.Check(t)
	var mu sync.Mutex
	var loads []string
	o := options()
	o.OnLoad = func(_ context.Context, key string, took time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		loads = append(loads, fmt.Sprintf("%s %v %v", key, took >= 0, err))
	}
	c := newCache[product](t, storetest.NewMemory(), o)
	src := &source{err: errors.New("no")}
	_, _ = c.GetOrLoad(t.Context(), "a", src.load)
	mu.Lock()
	defer mu.Unlock()
	if len(loads) != 1 || loads[0] != "a true no" {
		t.Errorf("OnLoad: %q", loads)
	}
}

func TestOnRedis(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := fleet.Dial(t, server.URL())
	o := options()
	o.NegativeTTL, o.Timeout = time.Minute, 10*time.Second
	c := newCache[product](t, st, o)
	ctx := t.Context()
	keys := []string{"a", "b", "a", "none"}
	load := func(_ context.Context, missing []string) (map[string]product, error) {
		m := map[string]product{}
		for _, k := range missing {
			if k != "none" {
				m[k] = product{Name: k}
			}
		}
		return m, nil
	}
	for round := range 2 {
		found, err := c.GetOrLoadMany(ctx, keys, load)
		if err != nil || len(found) != 2 || found["a"].Name != "a" || found["b"].Name != "b" {
			t.Fatalf("round %d: %+v, %v", round, found, err)
		}
		settled(c)
	}
	if s := c.Stats(); s.Loads != 1 || s.Hits != 2 || s.NegativeHits != 1 || s.Misses != 3 || s.StoreErrors != 0 {
		t.Errorf("Stats: %+v", s)
	}
	if err := c.Delete(ctx, "a", "none"); err != nil {
		t.Error(err)
	}
	if got := server.Do("KEYS", "product:[a-z]*"); got != "product:b" {
		t.Errorf("keys left: %s", got)
	}
	src := &source{value: widget}
	if got, err := c.GetOrLoad(ctx, "a", src.load); err != nil || got.ID != 7 {
		t.Errorf("GetOrLoad: %+v, %v", got, err)
	}
	settled(c)
	server.Stop()
	if got, err := c.GetOrLoad(ctx, "a", src.load); err != nil || got.ID != 7 {
		t.Errorf("without the server: %+v, %v", got, err)
	}
}
