package httpcache_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store/storetest"
)

func TestBodiesAgree(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	db, fake := embedded(t)
	for _, script := range httpcache.Scripts() {
		storetest.Scripts(t, fleet.Clocked{DB: db, Fake: fake}, lua, script, httpcache.RandomCalls(script))
	}
}

func FuzzStored(f *testing.F) {
	db, fake := embedded(f)
	s := newSiteOn(f, asHandler, db, fake, httpcache.Options{})
	s.answer(200, "body", "Cache-Control: max-age=100", `Cache-Groups: "a", "b"`, "X: y", "X: z")
	s.get("/")
	s.answer(200, "body", "Cache-Control: max-age=100", "Vary: Foo")
	s.get("/vary")
	keys, err := db.Do(f.Context(), "KEYS", "*").Strings()
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range keys {
		if v, err := db.Do(f.Context(), "GET", k).Text(); err == nil {
			f.Add(v)
			if len(v) > 28 {
				f.Add(v[28:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		httpcache.DecodeAll(s)
		if once, ok := httpcache.Recode(s); ok {
			if again, ok := httpcache.Recode(once); !ok || len(again) != len(once) {
				t.Errorf("%q decodes, its encoding %q does not", s, once)
			}
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, s := range []string{`max-age=1, no-cache="a, b"`, "Fri, 02 Jan 2026 03:04:05 GMT", `"a", "b\"c";x=1`, "bytes=1-", `W/"a", "b`, "host=a;proto=b, for=c", "Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { httpcache.ParseAll(s) })
}

// TestForeign: what others keep is not overwritten, and requests are answered all the same.
func TestForeign(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		db, fake := embedded(t)
		s := newSiteOn(t, w, db, fake, httpcache.Options{})
		s.answer(200, "body", "Cache-Control: max-age=100")
		key := s.cache.URLKey("site.example", "/", "")
		for _, plant := range [][]string{{"SET", key, "mine"}, {"RPUSH", key, "mine"}} {
			db.Do(t.Context(), "DEL", key)
			if err := db.Do(t.Context(), plant...).Err(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := s.get("/"); got.status != 200 || got.body != "body" || got.cached() {
					t.Errorf("%v: %+v", plant, got)
				}
			}
			if kind, _ := db.Do(t.Context(), "TYPE", key).Text(); (plant[0] == "SET") != (kind == "string") {
				t.Errorf("%v was replaced by a %s", plant, kind)
			}
			if err := s.cache.Purge(t.Context(), "http://site.example/"); err == nil {
				t.Errorf("%v was purged", plant)
			}
		}
		if n := s.cache.Stats().StoreErrors; n != 4 {
			t.Errorf("%d errors counted", n)
		}
	})
}

// TestEverythingHasATTL: nothing is stored that does not go by itself.
func TestEverythingHasATTL(t *testing.T) {
	db, fake := embedded(t)
	s := newSiteOn(t, asHandler, db, fake, httpcache.Options{MaxTTL: time.Hour})
	s.answer(200, "body", "Cache-Control: max-age=31536000", "Vary: Foo", `Cache-Groups: "g"`)
	s.get("/a")
	s.answer(200, "body", "Cache-Control: max-age=31536000")
	s.get("/b")
	if err := s.cache.Purge(t.Context(), "http://site.example/c"); err != nil {
		t.Fatal(err)
	}
	if err := s.cache.SoftPurge(t.Context(), "http://site.example/d", "http://site.example/b"); err != nil {
		t.Fatal(err)
	}
	if err := s.cache.PurgeGroups(t.Context(), "site.example", "g"); err != nil {
		t.Fatal(err)
	}
	keys, err := db.Do(t.Context(), "KEYS", "*").Strings()
	if err != nil || len(keys) != 9 { // a and its variant, b twice, c twice, d twice, generations
		t.Fatalf("%q, %v", keys, err)
	}
	for _, k := range keys {
		if ttl, err := db.Do(t.Context(), "PTTL", k).Int64(); err != nil || ttl <= 0 || ttl > 3*time.Hour.Milliseconds() {
			t.Errorf("%q: %d ms, %v", k, ttl, err)
		}
	}
	fake.Advance(time.Hour)
	if got := s.get("/b"); got.cached() {
		t.Error("served after MaxTTL")
	}
}

// TestEvicted: what goes early takes along what depends on it; nothing that was purged comes back.
func TestEvicted(t *testing.T) {
	db, fake := embedded(t)
	s := newSiteOn(t, asHandler, db, fake, httpcache.Options{})
	del := func(key string) {
		t.Helper()
		if n, err := db.Do(t.Context(), "DEL", key).Int64(); err != nil || n != 1 {
			t.Fatalf("DEL %q: %d, %v", key, n, err)
		}
	}
	base := s.cache.URLKey("site.example", "/", "")
	s.answer(200, "old", "Cache-Control: max-age=100", "Vary: Foo", `Cache-Groups: "g"`)
	s.get("/", "Foo: 1")
	s.get("/", "Foo: 2")
	del(base)
	s.answer(200, "new", "Cache-Control: max-age=100", "Vary: Foo", `Cache-Groups: "g"`)
	for _, line := range []string{"Foo: 1", "Foo: 2"} {
		if got := s.get("/", line); got.body != "new" {
			t.Errorf("a variant outlived its index: %+v", got)
		}
	}
	if err := s.cache.PurgeGroups(t.Context(), "site.example", "g"); err != nil {
		t.Fatal(err)
	}
	del("http:{generations}")
	s.answer(200, "newer", "Cache-Control: max-age=100", "Vary: Foo", `Cache-Groups: "g"`)
	if got := s.get("/", "Foo: 1"); got.body != "newer" {
		t.Errorf("a purged group came back: %+v", got)
	}
	if got := s.get("/", "Foo: 1"); !got.cached() {
		t.Errorf("not stored again: %+v", got)
	}
}

// TestManyGroups: the record of purged groups is bounded, and nothing is forgotten for it.
func TestManyGroups(t *testing.T) {
	db, fake := embedded(t)
	s := newSiteOn(t, asHandler, db, fake, httpcache.Options{})
	s.answer(200, "old", "Cache-Control: max-age=1000", `Cache-Groups: "g0"`)
	s.get("/")
	for i := range 70 {
		names := make([]string, 1000)
		for j := range names {
			names[j] = "g" + strconv.Itoa(i*1000+j)
		}
		if err := s.cache.PurgeGroups(t.Context(), "site.example", names...); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := db.Do(t.Context(), "HLEN", "http:{generations}").Int64(); err != nil || n > 1<<16+1 {
		t.Errorf("%d groups remembered, %v", n, err)
	}
	s.answer(200, "new", "Cache-Control: max-age=1000")
	if got := s.get("/"); got.body != "new" {
		t.Errorf("%+v", got)
	}
}
