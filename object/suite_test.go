package object_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/object"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// geo is kept as text of its own by a Codec.
type geo struct{ Lat, Lon float64 }

func geoCodec(name string) object.Codec {
	return object.NewCodec(name, func(g geo) (string, error) { return fmt.Sprintf("%g/%g", g.Lat, g.Lon), nil }, func(s string) (g geo, err error) {
		_, err = fmt.Sscanf(s, "%g/%g", &g.Lat, &g.Lon)
		return g, err
	})
}

type place struct {
	Name string `larder:"name"`
	Geo  geo    `larder:"geo"`
	In   *place2
}

type place2 struct {
	Land string `larder:"land"`
	Zip  *int   `larder:"zip"`
}

type Base struct {
	Tenant string `larder:"tenant"`
}

type account struct {
	*Base
	Name    string            `larder:"name"`
	Visits  int64             `larder:"visits"`
	Level   uint8             `larder:"level"`
	Balance float64           `larder:"balance"`
	Bonus   *int32            `larder:"bonus"`
	Home    place             `larder:"home"`
	Away    *place            `larder:"away"`
	Shape   place             `larder:"shape,json"`
	Labels  map[string]string `larder:"labels,omitempty"`
	Version int64             `larder:"v,version"`
}

func accounts(t testing.TB, st store.Store, prefix string) *object.Hashes[account] {
	t.Helper()
	o := options()
	o.Prefix, o.Codecs = prefix, []object.Codec{geoCodec("")}
	return hashes[account](t, st, o)
}

func someone() account {
	zip := 1020
	return account{
		Base: &Base{"t1"}, Name: "Ada", Visits: 3, Level: 7, Balance: 1.5,
		Home: place{Name: "home", Geo: geo{1.5, -2}, In: &place2{"AT", &zip}}, Away: &place{}, Shape: place{Name: "s"},
	}
}

// suite is what must hold on every store.
func suite(t *testing.T, open func(testing.TB) store.Store) {
	st := open(t)
	for name, test := range map[string]func(*testing.T, store.Store){
		"nested": testNested, "versions": testVersions, "update": testUpdate, "updates race": testUpdatesRace,
		"counter": testCounter, "counters race": testCountersRace, "many": testMany, "ttl of a field": testFieldTTL,
	} {
		t.Run(name, func(t *testing.T) {
			st.Do(t.Context(), "DEL", "acc:"+name+":1")
			test(t, st)
		})
	}
}

func TestFleet(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(object.Scripts()...)
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
	})
}

// TestLuaOnLarder runs the Lua bodies in Larder's interpreter.
func TestLuaOnLarder(t *testing.T) {
	s := fleet.Start(t, fleet.Larder)
	suite(t, func(t testing.TB) store.Store { return s.Open(t) })
}

func testNested(t *testing.T, st store.Store) {
	ctx := t.Context()
	h := accounts(t, st, "acc:nested:")
	for name, in := range map[string]account{"full": someone(), "zero": {}} {
		if err := h.Save(ctx, "1", &in); err != nil {
			t.Fatal(err)
		}
		got, ok, err := h.Load(ctx, "1")
		if !ok || err != nil || shown(got) != shown(in) {
			t.Errorf("%s: %v, %v\n got %s\nwant %s", name, ok, err, shown(got), shown(in))
		}
	}
	in := someone()
	_ = h.Save(ctx, "1", &in)
	stored, err := st.Do(ctx, "HGETALL", "acc:nested:1").Map()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"tenant": "t1", "Base": "1", "home.name": "home", "home.geo": "1.5/-2", "home.In": "1", "home.In.land": "AT", "home.In.zip": "1020",
		"away": "1", "away.name": "", "shape": `{"Name":"s","Geo":{"Lat":0,"Lon":0},"In":null}`,
	} {
		if have, ok := stored[name]; !ok || have != want {
			t.Errorf("field %q is stored as %q, %v; want %q", name, have, ok, want)
		}
	}
	zip := field[*int](t, h, "home.In.zip")
	if v, ok, err := zip.Get(ctx, "1"); !ok || err != nil || v == nil || *v != 1020 {
		t.Errorf("a field deep within: %v, %v, %v", v, ok, err)
	}
	land := field[string](t, h, "home.In.land")
	must(land.Set(ctx, "1", "IT"))(t, true)
	got, _, err := h.LoadFields(ctx, "1", "home.In")
	if err != nil || got.Home.In == nil || got.Home.In.Land != "IT" || got.Home.Name != "" {
		t.Errorf("a struct within alone: %+v, %v", got, err)
	}
	must(h.SaveFields(ctx, "1", &account{}, "home.In", "away", "home"))(t, true)
	if got, _, err = h.Load(ctx, "1"); err != nil || got.Away != nil || got.Home != (place{}) || got.Name != "Ada" {
		t.Errorf("structs within emptied: %+v, %v", got, err)
	}
}

// shown spells an account with what its pointers lead to, but the version.
func shown(a account) string {
	show := func(p *place) string {
		if p == nil {
			return "nil"
		}
		s := fmt.Sprintf("%s %v", p.Name, p.Geo)
		if p.In != nil {
			s += " in " + p.In.Land
			if p.In.Zip != nil {
				s += strconv.Itoa(*p.In.Zip)
			}
		}
		return s
	}
	return fmt.Sprint(a.Base, a.Name, a.Visits, a.Level, a.Balance, a.Bonus, "|", show(&a.Home), "|", show(a.Away), "|", show(&a.Shape), a.Labels)
}

func testVersions(t *testing.T, st store.Store) {
	ctx := t.Context()
	h := accounts(t, st, "acc:versions:")
	a := someone()
	if err := h.SaveIf(ctx, "1", &a); err != nil || a.Version == 0 {
		t.Fatalf("a new object: version %d, %v", a.Version, err)
	}
	b := someone()
	if err := h.SaveIf(ctx, "1", &b); !errors.Is(err, object.ErrConflict) {
		t.Errorf("a second new one: %v", err)
	}
	b, _, _ = h.Load(ctx, "1")
	if b.Version != a.Version {
		t.Errorf("loaded version %d, saved %d", b.Version, a.Version)
	}
	last := a.Version
	grows := func(what string) {
		t.Helper()
		got, ok, err := h.Load(ctx, "1")
		if !ok || err != nil || got.Version <= last {
			t.Errorf("%s: version %d after %d, %v", what, got.Version, last, err)
		}
		last = got.Version
	}
	must(field[string](t, h, "name").Set(ctx, "1", "x"))(t, true)
	grows("Set")
	must(h.SaveFields(ctx, "1", &a, "home"))(t, true)
	grows("SaveFields")
	counter, err := object.NewCounter[account, int64](h, "visits")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := counter.Add(ctx, "1", 1); err != nil {
		t.Error(err)
	}
	grows("Add")
	if err := h.SaveIf(ctx, "1", &b); !errors.Is(err, object.ErrConflict) || b.Version != a.Version {
		t.Errorf("an old version was saved: %v, %d", err, b.Version)
	}
	if err := h.Save(ctx, "1", &b); err != nil || b.Version <= last {
		t.Errorf("Save asks nobody: %v, version %d after %d", err, b.Version, last)
	}
	grows("Save")
	if err := h.SaveIf(ctx, "1", &b); err != nil {
		t.Errorf("the present version: %v", err)
	}
	last = b.Version
	// A new object does not meet the old one's versions again: they begin at the clock, which has passed one change each.
	_ = h.Delete(ctx, "1")
	if err := h.SaveIf(ctx, "1", &b); !errors.Is(err, object.ErrConflict) {
		t.Errorf("a version of an object that is gone: %v", err)
	}
}

func testUpdate(t *testing.T, st store.Store) {
	ctx := t.Context()
	h := accounts(t, st, "acc:update:")
	change := func(a *account) error {
		a.Visits++
		a.Home.In = nil
		a.Labels = map[string]string{"k": "v"}
		return nil
	}
	if _, ok, err := h.Update(ctx, "1", change); ok || err != nil {
		t.Errorf("no object: %v, %v", ok, err)
	}
	in := someone()
	_ = h.Save(ctx, "1", &in)
	st.Do(ctx, "PEXPIRE", "acc:update:1", "900000")
	st.Do(ctx, "HSET", "acc:update:1", "stranger", "x")
	got, ok, err := h.Update(ctx, "1", change)
	if !ok || err != nil || got.Visits != 4 || got.Version != in.Version+1 {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	loaded, _, err := h.Load(ctx, "1")
	if err != nil || shown(loaded) != shown(got) || loaded.Version != got.Version {
		t.Errorf("stored %s, returned %s, %v", shown(loaded), shown(got), err)
	}
	stored, _ := st.Do(ctx, "HGETALL", "acc:update:1").Map()
	if _, have := stored["home.In.land"]; have || stored["stranger"] != "x" || stored["name"] != "Ada" {
		t.Errorf("stored: %v", stored)
	}
	if ttl, _ := st.Do(ctx, "PTTL", "acc:update:1").Int64(); ttl > 900_000 || ttl < 800_000 {
		t.Errorf("the TTL became %d ms", ttl)
	}
	same, ok, err := h.Update(ctx, "1", func(*account) error { return nil })
	if !ok || err != nil || same.Version != got.Version {
		t.Errorf("nothing changed: version %d after %d, %v", same.Version, got.Version, err)
	}
	enough := errors.New("enough")
	if _, ok, err := h.Update(ctx, "1", func(a *account) error { a.Visits = 99; return enough }); ok || err != enough {
		t.Errorf("the change failed: %v, %v", ok, err)
	}
	runs := 0
	_, _, err = h.Update(ctx, "1", func(a *account) error {
		runs++
		a.Visits++
		must(field[string](t, h, "name").Set(ctx, "1", strconv.Itoa(runs)))(t, true)
		return nil
	})
	if !errors.Is(err, object.ErrConflict) || runs != object.DefaultAttempts {
		t.Errorf("always too late: %v after %d attempts", err, runs)
	}
	if v, _, _ := field[int64](t, h, "visits").Get(ctx, "1"); v != 4 {
		t.Errorf("visits: %d", v)
	}
}

// testUpdatesRace loses none of the changes of several writers.
func testUpdatesRace(t *testing.T, st store.Store) {
	o := options()
	o.Prefix, o.Codecs, o.Attempts = "acc:updates race:", []object.Codec{geoCodec("")}, 1000
	h := hashes[account](t, st, o)
	in := account{}
	if err := h.Save(t.Context(), "1", &in); err != nil {
		t.Fatal(err)
	}
	const workers, each = 4, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, ok, err := h.Update(t.Context(), "1", func(a *account) error { a.Visits++; a.Balance += 0.5; return nil }); !ok || err != nil {
					t.Error(ok, err)
				}
			}
		})
	}
	wg.Wait()
	got, _, err := h.Load(t.Context(), "1")
	if err != nil || got.Visits != workers*each || got.Balance != workers*each/2 || got.Version != in.Version+workers*each {
		t.Errorf("%+v, %v", got, err)
	}
}

func counter[V object.Number](t testing.TB, h *object.Hashes[account], name string) *object.Counter[account, V] {
	t.Helper()
	c, err := object.NewCounter[account, V](h, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testCounter(t *testing.T, st store.Store) {
	ctx := t.Context()
	h := accounts(t, st, "acc:counter:")
	visits, level, balance, bonus := counter[int64](t, h, "visits"), counter[uint8](t, h, "level"), counter[float64](t, h, "balance"), counter[int32](t, h, "bonus")
	if n, ok, err := visits.Add(ctx, "1", 5); ok || err != nil || n != 0 {
		t.Errorf("no object: %d, %v, %v", n, ok, err)
	}
	in := someone()
	_ = h.Save(ctx, "1", &in)
	if n, ok, err := visits.Add(ctx, "1", 1<<62); !ok || err != nil || n != 3+1<<62 {
		t.Errorf("%d, %v, %v", n, ok, err)
	}
	if _, _, err := visits.Add(ctx, "1", 1<<62); !errors.Is(err, object.ErrRange) {
		t.Errorf("beyond int64: %v", err)
	}
	if n, ok, err := level.Add(ctx, "1", 248); !ok || err != nil || n != 255 {
		t.Errorf("%d, %v, %v", n, ok, err)
	}
	if _, _, err := level.Add(ctx, "1", 1); !errors.Is(err, object.ErrRange) {
		t.Errorf("beyond uint8: %v", err)
	}
	if n, _, err := level.Sub(ctx, "1", 255); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	if _, _, err := level.Sub(ctx, "1", 1); !errors.Is(err, object.ErrRange) {
		t.Errorf("below 0: %v", err)
	}
	if f, ok, err := balance.Add(ctx, "1", -0.25); !ok || err != nil || f != 1.25 {
		t.Errorf("%v, %v, %v", f, ok, err)
	}
	if n, ok, err := bonus.Sub(ctx, "1", 4); !ok || err != nil || n != -4 {
		t.Errorf("an absent field: %v, %v, %v", n, ok, err)
	}
	got, _, err := h.Load(ctx, "1")
	if err != nil || got.Visits != 3+1<<62 || got.Level != 0 || got.Bonus == nil || *got.Bonus != -4 || got.Version != in.Version+5 {
		t.Errorf("%+v, %v", got, err)
	}
	st.Do(ctx, "HSET", "acc:counter:1", "visits", "x")
	if _, _, err := visits.Add(ctx, "1", 1); !errors.Is(err, object.ErrDecode) {
		t.Errorf("no number: %v", err)
	}
}

func testCountersRace(t *testing.T, st store.Store) {
	h := accounts(t, st, "acc:counters race:")
	visits := counter[int64](t, h, "visits")
	in := account{}
	_ = h.Save(t.Context(), "1", &in)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, ok, err := visits.Add(t.Context(), "1", 2); !ok || err != nil {
					t.Error(ok, err)
				}
			}
		})
	}
	wg.Wait()
	if got, _, err := h.Load(t.Context(), "1"); err != nil || got.Visits != 400 {
		t.Errorf("%d, %v", got.Visits, err)
	}
}

func testMany(t *testing.T, st store.Store) {
	ctx := t.Context()
	type sparse struct {
		A string `larder:"a,omitempty"`
	}
	o := options()
	o.Prefix = "acc:many:"
	h := hashes[sparse](t, st, o)
	ids := []string{"missing"}
	for i := range 40 {
		id := strconv.Itoa(i)
		ids = append(ids, id)
		if err := h.Save(ctx, id, &sparse{strings.Repeat("x", i)}); err != nil {
			t.Fatal(err)
		}
	}
	st.Do(ctx, "HSET", "acc:many:foreign", "other", "1")
	ids = append(ids, "foreign")
	got, err := h.LoadMany(ctx, ids...)
	if err != nil || len(got) != 41 || got["7"].A != "xxxxxxx" {
		t.Errorf("%d objects, %v", len(got), err)
	}
	if _, have := got["foreign"]; !have {
		t.Error("an object with none of our fields is missing")
	}
	st.Do(ctx, "DEL", "acc:many:3")
	st.Do(ctx, "SET", "acc:many:3", "a string")
	got, err = h.LoadMany(ctx, ids...)
	if !errors.Is(err, store.ErrWrongType) || !strings.Contains(err.Error(), `"acc:many:3"`) || len(got) != 40 {
		t.Errorf("%d objects, %v", len(got), err)
	}
	if got, err := h.LoadMany(ctx); err != nil || len(got) != 0 {
		t.Errorf("of none: %v, %v", got, err)
	}
	if err := h.Delete(ctx, ids...); err != nil {
		t.Error(err)
	}
}

func TestCodecsByName(t *testing.T) {
	type spot struct {
		A geo  `larder:"a,codec=short"`
		B *geo `larder:"b,codec=short"`
		C geo  `larder:"c"`
	}
	mem := storetest.NewMemory()
	o := options()
	o.Codecs = []object.Codec{geoCodec("short")}
	h := hashes[spot](t, mem, o)
	in := spot{geo{1, 2}, &geo{3, 4}, geo{5, 6}}
	_ = h.Save(t.Context(), "1", &in)
	stored, _ := mem.Do(t.Context(), "HGETALL", "user:1").Map()
	if fmt.Sprint(stored) != "map[a:1/2 b:3/4 c.Lat:5 c.Lon:6]" {
		t.Errorf("stored %v", stored)
	}
	if got, ok, err := h.Load(t.Context(), "1"); !ok || err != nil || got.A != in.A || *got.B != *in.B || got.C != in.C {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	mem.Do(t.Context(), "HSET", "user:1", "a", "x")
	if _, _, err := h.Load(t.Context(), "1"); !errors.Is(err, object.ErrDecode) {
		t.Errorf("nonsense for a codec: %v", err)
	}
}

type loop struct {
	Name string
	Next *loop
}

type list struct {
	Name string
	Next *list `larder:",json"`
}

func TestTypesRefused(t *testing.T) {
	mem := storetest.NewMemory()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrInvalid) || !strings.HasPrefix(err.Error(), "object: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := object.New[loop](mem, options())
	refused("a type that contains itself", err)
	_, err = object.New[list](mem, options())
	if err != nil {
		t.Errorf("one that does so as JSON: %v", err)
	}
	_, err = object.New[struct {
		A int64 `larder:"a,version"`
		B int64 `larder:"b,version"`
		C int
	}](mem, options())
	refused("two versions", err)
	_, err = object.New[struct {
		A int `larder:"a,version"`
		B int
	}](mem, options())
	refused("a version that is no int64", err)
	_, err = object.New[struct {
		A int64 `larder:"a,version"`
	}](mem, options())
	refused("nothing but a version", err)
	_, err = object.New[struct {
		A string `larder:"a,ttl=soon"`
	}](mem, options())
	refused("a TTL that is none", err)
	_, err = object.New[struct {
		A string `larder:"a,codec=none"`
	}](mem, options())
	refused("an unknown codec", err)
	o := options()
	o.Codecs = []object.Codec{{}}
	_, err = object.New[address](mem, o)
	refused("an empty codec", err)
	o = options()
	o.Attempts = -1
	_, err = object.New[address](mem, o)
	refused("negative attempts", err)
	h := hashes[address](t, mem, options())
	refused("SaveIf without a version", h.SaveIf(t.Context(), "1", &address{}))
	_, _, err = h.Update(t.Context(), "1", func(*address) error { return nil })
	refused("Update without a version", err)
	_, err = object.NewCounter[address, int](h, "City")
	refused("a counter of text", err)
	a := accounts(t, mem, "a:")
	_, err = object.NewCounter[account, int64](a, "v")
	refused("a counter of the version", err)
	_, err = object.NewField[account, place](a, "home")
	refused("a field of a struct within", err)
	v, err := object.NewField[account, int64](a, "v")
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Set(t.Context(), "1", 5)
	refused("setting the version", err)
}

// book is an Observer that writes results down.
type book struct{ lines []string }

func (b *book) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { b.lines = append(b.lines, op.Verb+" "+op.Key+" "+result) }
}
func (b *book) Count(context.Context, observe.Op, int64)   {}
func (b *book) Gauge(context.Context, observe.Op, float64) {}

func TestObserverAndStats(t *testing.T) {
	var b book
	f := storetest.NewFaulty(storetest.NewMemory())
	o := options()
	o.Observer, o.Codecs = &b, []object.Codec{geoCodec("")}
	h := hashes[account](t, f, o)
	ctx := t.Context()
	in := someone()
	_, _, _ = h.Load(ctx, "1")
	_ = h.Save(ctx, "1", &in)
	_, _, _ = h.Load(ctx, "1")
	_, _, _ = h.Update(ctx, "1", func(a *account) error { a.Visits++; return nil })
	_ = h.SaveIf(ctx, "1", &in)
	_, _ = h.LoadMany(ctx, "1", "2", "1")
	f.Fail(1)
	_ = h.Delete(ctx, "1")
	want := "load 1 miss|save 1 ok|load 1 hit|load 1 hit|update 1 ok|save 1 error|load  ok|delete 1 error"
	if got := strings.Join(b.lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := h.Stats(); got != (object.Stats{Hits: 4, Misses: 2, Saves: 2, Conflicts: 1, Failed: 2}) {
		t.Errorf("%+v", got)
	}
}

// TestRoundTrips counts calls to the store.
func TestRoundTrips(t *testing.T) {
	f := storetest.NewFaulty(storetest.NewMemory())
	h := accounts(t, f, "a:")
	ctx := t.Context()
	in := someone()
	ids := []string{"1", "2", "3"}
	for _, step := range []struct {
		what string
		want int
		call func() error
	}{
		{"Save", 1, func() error { return h.Save(ctx, "1", &in) }},
		{"SaveIf", 1, func() error { return h.SaveIf(ctx, "1", &in) }},
		{"Load", 1, func() error { _, _, err := h.Load(ctx, "1"); return err }},
		{"LoadMany", 1, func() error { _, err := h.LoadMany(ctx, ids...); return err }},
		{"Update", 2, func() error {
			_, _, err := h.Update(ctx, "1", func(a *account) error { a.Visits++; return nil })
			return err
		}},
		{"Update of nothing", 1, func() error { _, _, err := h.Update(ctx, "1", func(*account) error { return nil }); return err }},
		{"Delete", 1, func() error { return h.Delete(ctx, ids...) }},
	} {
		before := f.Calls()
		if err := step.call(); err != nil || f.Calls()-before != step.want {
			t.Errorf("%s: %d round trips, want %d; %v", step.what, f.Calls()-before, step.want, err)
		}
	}
}

// TestUpdateUnderFaults never loses a change that was reported, nor does one twice, whatever answers are lost.
func TestUpdateUnderFaults(t *testing.T) {
	f := storetest.NewFaulty(storetest.NewMemory())
	h := accounts(t, f, "a:")
	in := account{}
	_ = h.Save(t.Context(), "1", &in)
	var sure, unsure atomic.Int64
	for i := range 200 {
		switch i % 7 {
		case 3:
			f.Fail(1)
		case 5:
			f.Forget(1)
		}
		if i%11 == 0 {
			f.Forget(1) // the answer to the write, where the read went well
		}
		_, ok, err := h.Update(t.Context(), "1", func(a *account) error { a.Visits++; return nil })
		switch {
		case err == nil && ok:
			sure.Add(1)
		case errors.Is(err, store.ErrUnavailable):
			unsure.Add(1)
		default:
			t.Fatal(ok, err)
		}
	}
	f.Heal()
	got, _, err := h.Load(t.Context(), "1")
	if err != nil || got.Visits < sure.Load() || got.Visits > sure.Load()+unsure.Load() {
		t.Errorf("%d visits; %d were reported, %d perhaps: %v", got.Visits, sure.Load(), unsure.Load(), err)
	}
}

// eventually repeats a call until the store answers.
func eventually(t *testing.T, what string, call func() error) {
	t.Helper()
	fleet.Eventually(t, what, func() bool { return call() == nil })
}

func quick(t testing.TB, st store.Store) *object.Hashes[account] {
	t.Helper()
	o := options()
	o.Prefix, o.Timeout, o.Codecs = "acc:", time.Second, []object.Codec{geoCodec("")}
	return hashes[account](t, st, o)
}

// TestKilled: objects are gone with the store, and an old version does not bring one back.
func TestKilled(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		h := quick(t, s.Open(t))
		in := someone()
		eventually(t, "a save", func() error { return h.Save(t.Context(), "1", &in) })
		s.Stop()
		if _, _, err := h.Load(t.Context(), "1"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the store is down: %v", err)
		}
		s.Start()
		var ok bool
		eventually(t, "a load", func() (err error) { _, ok, err = h.Load(t.Context(), "1"); return err })
		if ok {
			t.Error("an object survived the death of a store without persistence")
		}
		if err := h.SaveIf(t.Context(), "1", &in); !errors.Is(err, object.ErrConflict) {
			t.Errorf("a version of before: %v", err)
		}
	}, fleet.CanRestart)
}

// TestFailover: what the replica has is there, versions go on, and scripts that it does not know are sent again.
func TestFailover(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		h := quick(t, s.Open(t))
		in := someone()
		eventually(t, "a save", func() error { return h.Save(t.Context(), "1", &in) })
		s.Settle()
		s.Failover("acc:1")
		s.FlushScripts()
		var got account
		eventually(t, "an update", func() (err error) {
			got, _, err = h.Update(t.Context(), "1", func(a *account) error { a.Name = "Grace"; return nil })
			return err
		})
		if got.Visits != in.Visits || got.Version <= in.Version {
			t.Errorf("%+v after %+v", got, in)
		}
		if err := h.SaveIf(t.Context(), "1", &in); !errors.Is(err, object.ErrConflict) {
			t.Errorf("a version of before: %v", err)
		}
	}, fleet.CanFailover)
}

func TestSlotMoves(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		h := quick(t, s.Open(t))
		in := someone()
		eventually(t, "a save", func() error { return h.Save(t.Context(), "1", &in) })
		finish := s.BeginMove("acc:1")
		eventually(t, "an update on the way", func() error {
			_, _, err := h.Update(t.Context(), "1", func(a *account) error { a.Name = "Grace"; return nil })
			return err
		})
		finish()
		eventually(t, "an update after the move", func() error {
			a, ok, err := h.Update(t.Context(), "1", func(a *account) error { a.Visits++; return nil })
			if err == nil && (!ok || a.Name != "Grace" || a.Visits != in.Visits+1) {
				t.Errorf("%+v, %v", a, ok)
			}
			return err
		})
	}, fleet.CanMove)
}

// TestStall: nobody waits longer than Timeout, and the object is whole afterwards.
func TestStall(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		o := options()
		o.Prefix, o.Timeout, o.Codecs = "acc:", 100*time.Millisecond, []object.Codec{geoCodec("")}
		h := hashes[account](t, s.Open(t), o)
		in := someone()
		eventually(t, "a save", func() error { return h.Save(t.Context(), "1", &in) })
		over := s.Stall(time.Second)
		begin := time.Now()
		_, _, err := h.Load(t.Context(), "1")
		if took := time.Since(begin); !errors.Is(err, store.ErrUnavailable) || took > 900*time.Millisecond {
			t.Errorf("stalled: %v after %v", err, took)
		}
		<-over
		eventually(t, "a load", func() error {
			got, ok, err := h.Load(t.Context(), "1")
			if err == nil && (!ok || shown(got) != shown(in)) {
				t.Errorf("%+v, %v", got, ok)
			}
			return err
		})
	}, fleet.CanStall)
}
