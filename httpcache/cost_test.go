package httpcache_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store/storetest"
)

// TestRoundTrips: what the package says about its costs.
func TestRoundTrips(t *testing.T) {
	db, fake := embedded(t)
	st := storetest.NewFaulty(db)
	s := newSiteOn(t, asHandler, st, fake, httpcache.Options{})
	cost := func(what string, want int, do func()) {
		t.Helper()
		before := st.Calls()
		do()
		if got := st.Calls() - before; got != want {
			t.Errorf("%s: %d round trips, want %d", what, got, want)
		}
	}
	s.answer(200, "body", "Cache-Control: max-age=100")
	cost("the very first", 3, func() { s.get("/") }) // the generations begin
	cost("a miss", 2, func() { s.get("/other") })
	cost("a hit", 1, func() { s.get("/") })
	s.answer(200, "body", "Cache-Control: max-age=100", "Vary: Foo, Bar")
	cost("a miss that varies", 2, func() { s.get("/vary", "Foo: 1") })
	cost("another variant", 2, func() { s.get("/vary", "Foo: 2") })
	cost("a hit that varies", 1, func() { s.get("/vary", "Foo: 1") })
	s.answer(200, "body", "Cache-Control: max-age=100", `Cache-Groups: "a", "b"`)
	cost("a miss with groups", 2, func() { s.get("/groups") })
	cost("the first hit with groups", 2, func() { s.get("/groups") })
	cost("a hit with groups", 1, func() { s.get("/groups") })
	cost("a purge", 1, func() { s.cache.Purge(t.Context(), "http://site.example/") })
	cost("a purge of many groups", 1, func() { s.cache.PurgeGroups(t.Context(), "site.example", "a", "x", "y") })
	cost("a miss after it", 2, func() { s.get("/") })
	other := newSiteOn(t, asHandler, st, fake, httpcache.Options{})
	other.answer(200, "body", "Cache-Control: max-age=100", "Vary: Foo, Bar")
	cost("another process's first hit", 3, func() { other.get("/") }) // it renews the generations, and asks for groups
	cost("another process's first hit that varies", 2, func() { other.get("/vary", "Foo: 1") })
	cost("its second", 1, func() { other.get("/vary", "Foo: 2") })
	if other.asked() != 0 {
		t.Errorf("it asked the origin: %+v", other.last().URL)
	}
	s.answer(200, "body", "Cache-Control: no-store")
	cost("what is not stored", 1, func() { s.get("/not") })
	cost("unsafe", 1, func() { s.send(s.request("POST", "/")) })
}

// TestBadOptions: each is refused with a word on what to do.
func TestBadOptions(t *testing.T) {
	db, _ := embedded(t)
	for _, o := range []httpcache.Options{
		{}, {Prefix: "x", MaxBody: -1}, {Prefix: "x", MaxTTL: -1}, {Prefix: "x", MaxTTL: 400 * 24 * time.Hour}, {Prefix: "x", Heuristic: 2}, {Prefix: "x", Heuristic: math.NaN()},
		{Prefix: "x", DefaultTTL: -1}, {Prefix: "x", StaleIfError: -1}, {Prefix: "x", Name: "a b"},
		{Prefix: "x", Key: httpcache.KeyPolicy{Headers: []string{"a b"}}}, {Prefix: "x", Key: httpcache.KeyPolicy{Cookies: []string{""}}},
	} {
		if _, err := httpcache.New(db, o); err == nil || !strings.HasPrefix(err.Error(), "httpcache: invalid argument: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := httpcache.New(nil, httpcache.Options{Prefix: "x"}); err == nil {
		t.Error("no store was accepted")
	}
}

// heard is an Observer that keeps what it hears.
type heard struct {
	mu  sync.Mutex
	got map[string]int
}

func (h *heard) note(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got[s]++
}

func (h *heard) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { h.note(op.Verb + " " + result) }
}
func (h *heard) Count(_ context.Context, op observe.Op, _ int64)   { h.note(op.Verb) }
func (h *heard) Gauge(_ context.Context, op observe.Op, _ float64) { h.note(op.Verb) }

func TestObserver(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		h := &heard{got: map[string]int{}}
		db, fake := embedded(t)
		st := storetest.NewFaulty(db)
		s := newSiteOn(t, w, st, fake, httpcache.Options{Observer: h})
		s.answer(200, "x", "Cache-Control: max-age=10, stale-if-error=100", `Etag: "1"`)
		s.get("/")
		s.get("/")
		s.get("/", "Cache-Control: no-store")
		s.Advance(20 * time.Second)
		s.answer(503, "down")
		s.get("/")
		s.answer(200, "x", "Cache-Control: max-age=10", `Etag: "1"`)
		s.get("/")
		s.cache.Purge(t.Context(), "http://site.example/")
		st.Fail(1)
		s.get("/")
		for _, want := range []string{"get miss", "get hit", "bypass", "get stale", "get revalidated", "purge ok", "store error"} {
			if h.got[want] == 0 {
				t.Errorf("did not hear %q: %v", want, h.got)
			}
		}
		want := httpcache.Stats{Hits: 1, StaleHits: 1, Misses: 2, Revalidations: 2, NotModified: 1, Bypassed: 1, Stored: 2, Purges: 1, StoreErrors: 1}
		if got := s.cache.Stats(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := s.cache.Stats().HitRatio(); got != 2.0/6 {
			t.Errorf("hit ratio %v", got)
		}
	})
}

// TestStoreHangs: a request waits for a store no longer than Timeout, and after three have, only one in a while does.
func TestStoreHangs(t *testing.T) {
	db, fake := embedded(t)
	st := storetest.NewFaulty(db)
	remote := struct{ *storetest.Faulty }{st}
	const timeout = 20 * time.Millisecond
	s := newSiteOn(t, asHandler, remote, fake, httpcache.Options{Timeout: timeout})
	s.answer(200, "body", "Cache-Control: max-age=100")
	s.get("/")
	st.Hang(-1)
	calls := func(what string, want int) {
		t.Helper()
		before := st.Calls()
		for range 10 {
			if got := s.get("/"); got.body != "body" || got.cached() {
				t.Errorf("%+v", got)
			}
		}
		if got := st.Calls() - before; got != want {
			t.Errorf("%s: the store was asked %d times, want %d", what, got, want)
		}
	}
	calls("at first", 3)
	calls("known to hang", 0)
	s.Advance(5 * timeout)
	calls("after a while", 1)
	if err := s.cache.Purge(t.Context(), "http://site.example/"); err == nil {
		t.Error("a purge that did not happen is no error")
	}
	if st := s.cache.Stats(); st.StoreErrors != 4 || st.StoreSkipped != 26 || st.Stored != 1 {
		t.Errorf("%+v", st)
	}
	st.Heal()
	s.Advance(5 * timeout)
	for range 3 {
		if got := s.get("/"); !got.cached() {
			t.Errorf("it answers again: %+v", got)
		}
	}
}

// TestClientsLeave: that clients leave before the store has answered does not count against the store.
func TestClientsLeave(t *testing.T) {
	db, _ := embedded(t)
	st := storetest.NewFaulty(db)
	s := newSiteOn(t, asHandler, struct{ *storetest.Faulty }{st}, nil, httpcache.Options{Timeout: time.Minute})
	s.answer(200, "body", "Cache-Control: max-age=100")
	s.get("/")
	st.Hang(-1)
	for range 10 {
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		s.send(s.request("GET", "/").WithContext(ctx))
		leave()
	}
	st.Heal()
	if got := s.get("/"); !got.cached() {
		t.Errorf("%+v", got)
	}
}
