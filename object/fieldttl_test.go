package object_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
)

type login struct {
	Name string `larder:"name"`
	Code string `larder:"code,ttl=5m"`
}

func testFieldTTL(t *testing.T, st store.Store) {
	ctx := t.Context()
	o := options()
	o.Prefix = "acc:ttl:"
	h := hashes[login](t, st, o)
	st.Do(ctx, "DEL", "acc:ttl:1", "acc:ttl:2")
	err := h.Save(ctx, "1", &login{"Ada", "123456"})
	if able := st.Do(ctx, "HPTTL", "acc:ttl:0", "FIELDS", "1", "x").Err() == nil; !able {
		if !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("a store without HPEXPIRE: %v", err)
		}
		if r := st.Do(ctx, "EXISTS", "acc:ttl:1"); r.String() != "(integer) 0" {
			t.Error("half an object was saved")
		}
		if err := h.Save(ctx, "2", &login{Name: "Ada"}); err != nil {
			t.Errorf("no field with a TTL is set: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	left := func() int64 {
		list, err := st.Do(ctx, "HPTTL", "acc:ttl:1", "FIELDS", "1", "code").Ints()
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	if ms := left(); ms < 290_000 || ms > 300_000 {
		t.Errorf("code lives %d ms", ms)
	}
	st.Do(ctx, "HPEXPIRE", "acc:ttl:1", "1000", "FIELDS", "1", "code")
	must(field[string](t, h, "name").Set(ctx, "1", "Grace"))(t, true)
	if ms := left(); ms > 1000 {
		t.Errorf("another field's Set made it %d ms", ms)
	}
	must(field[string](t, h, "code").Set(ctx, "1", "9"))(t, true)
	if ms := left(); ms < 290_000 {
		t.Errorf("Set made it %d ms", ms)
	}
	st.Do(ctx, "HPEXPIRE", "acc:ttl:1", "0", "FIELDS", "1", "code")
	if got, ok, err := h.Load(ctx, "1"); !ok || err != nil || got != (login{Name: "Grace"}) {
		t.Errorf("after its TTL: %+v, %v, %v", got, ok, err)
	}
}

// TestFieldTTLRefused: an older server has no TTL for fields. Every write that would need one says so, and leaves the
// object as it was; the others work.
func TestFieldTTLRefused(t *testing.T) {
	st, ctx := redis(t), t.Context()
	info, err := st.Do(ctx, "INFO", "server").Text()
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	_, version, _ := strings.Cut(info, "redis_version:")
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major > 7 || major == 7 && minor >= 4 {
		t.Skip("this redis-server has HPEXPIRE")
	}
	type guest struct {
		Name    string `larder:"name"`
		Code    string `larder:"code,ttl=5m"`
		Version int64  `larder:"v,version"`
	}
	h := hashes[guest](t, st, options())
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "Redis from 7.4") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("Save", h.Save(ctx, "1", &guest{Name: "Ada", Code: "123456"}))
	if _, ok, err := h.Load(ctx, "1"); ok || err != nil {
		t.Error("half an object was saved", err)
	}
	want := guest{Name: "Ada"}
	if err := h.Save(ctx, "1", &want); err != nil {
		t.Error("none of the fields with a TTL has a value:", err)
	}
	_, err = field[string](t, h, "code").Set(ctx, "1", "123456")
	refused("Set", err)
	_, err = h.SaveFields(ctx, "1", &guest{Name: "Eve", Code: "123456"}, "name", "code")
	refused("SaveFields", err)
	_, _, err = h.Update(ctx, "1", func(g *guest) error { g.Name, g.Code = "Eve", "123456"; return nil })
	refused("Update", err)
	refused("Save over another", h.Save(ctx, "1", &guest{Name: "Eve", Code: "123456"}))
	if got, ok, err := h.Load(ctx, "1"); !ok || err != nil || got != want {
		t.Errorf("what was refused left %+v, %v, %v; want %+v", got, ok, err, want)
	}
	must(field[string](t, h, "name").Set(ctx, "1", "Grace"))(t, true)
}

func TestFieldExpires(t *testing.T) {
	db := fleet.NewClocked(t)
	h := hashes[login](t, db, options())
	if err := h.Save(t.Context(), "1", &login{"Ada", "123456"}); err != nil {
		t.Fatal(err)
	}
	code := field[string](t, h, "code")
	db.Advance(5*time.Minute - time.Millisecond)
	if v, ok, err := code.Get(t.Context(), "1"); !ok || err != nil || v != "123456" {
		t.Errorf("%q, %v, %v", v, ok, err)
	}
	db.Advance(2 * time.Millisecond) // fields live through the millisecond of their end, as in Redis
	if v, ok, err := code.Get(t.Context(), "1"); !ok || err != nil || v != "" {
		t.Errorf("after its TTL: %q, %v, %v", v, ok, err)
	}
}
