package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
)

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(httpcache.Scripts()...)
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
	})
}

// suite is what the pattern promises on every store, between processes that share it.
func suite(t *testing.T, open func(testing.TB) store.Store) {
	var n atomic.Int32
	pair := func(t *testing.T, o httpcache.Options) (a, b *site) {
		o.Prefix, o.Timeout = fmt.Sprintf("http%d:", n.Add(1)), 5*time.Second
		return newSiteOn(t, asHandler, open(t), nil, o), newSiteOn(t, asTransport, open(t), nil, o)
	}
	t.Run("shared", func(t *testing.T) {
		a, b := pair(t, httpcache.Options{})
		body := "\x00\xff" + strings.Repeat("binär", 1000)
		a.answer(200, body, "Cache-Control: max-age=100", "X: \xe9", "Content-Type: image/x")
		a.get("/")
		if got := b.get("/"); !got.cached() || got.body != body || got.header.Get("X") != "\xe9" || got.header.Get("Content-Type") != "image/x" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("vary", func(t *testing.T) {
		a, b := pair(t, httpcache.Options{})
		a.origin = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=100")
			w.Header().Set("Vary", r.Header.Get("By"))
			io.WriteString(w, r.Header.Get("Foo")+r.Header.Get("Bar"))
		}
		for _, lines := range [][]string{{"By: Foo", "Foo: 1"}, {"By: Foo", "Foo: 2"}, {"By: Foo, Bar", "Foo: 3", "Bar: 4"}} {
			a.get("/", lines...)
		}
		for i, lines := range [][]string{{"Foo: 1"}, {"Foo: 2"}, {"Bar: 4", "Foo: 3"}, {"Foo: 1", "Bar: 9"}} {
			if got := b.get("/", lines...); !got.cached() || got.body != []string{"1", "2", "34", "1"}[i] {
				t.Errorf("%v: %+v", lines, got)
			}
		}
		b.answer(200, "fetched", "Cache-Control: max-age=100", "Vary: Foo")
		if got := b.get("/", "Foo: 4"); got.cached() || !strings.Contains(got.header.Get("Cache-Status"), "vary-miss") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("purges", func(t *testing.T) { fleetPurges(t, pair) })
	t.Run("purge wins", func(t *testing.T) {
		a, b := pair(t, httpcache.Options{})
		asked, release := make(chan struct{}), make(chan struct{})
		a.origin = func(w http.ResponseWriter, _ *http.Request) {
			close(asked)
			<-release
			w.Header().Set("Cache-Control", "max-age=100")
			io.WriteString(w, "old")
		}
		done := make(chan result)
		go func() { done <- a.get("/") }()
		<-asked
		if err := b.cache.Purge(t.Context(), "http://site.example/"); err != nil {
			t.Fatal(err)
		}
		close(release)
		<-done
		b.answer(200, "new", "Cache-Control: max-age=100")
		if got := b.get("/"); got.body != "new" || a.cache.Stats().Refused != 1 {
			t.Errorf("%+v, %+v", got, a.cache.Stats())
		}
	})
	t.Run("many", func(t *testing.T) {
		a, b := pair(t, httpcache.Options{})
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=100")
			w.Header().Set("Vary", "Foo")
			io.WriteString(w, r.URL.Path+r.Header.Get("Foo"))
		}
		a.origin, b.origin = origin, origin
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				s, path, foo := []*site{a, b}[i%2], fmt.Sprint("/", i/2%5), fmt.Sprint(i/10%4)
				if got := s.get(path, "Foo: "+foo); got.status != 200 || got.body != path+foo {
					t.Errorf("%s %s: %+v", path, foo, got)
				}
			})
		}
		wg.Wait()
		if a.asked() > 40 || b.asked() > 40 { // one each, and one more where the other process's Vary shows meanwhile
			t.Errorf("%d and %d fetches for 20 variants", a.asked(), b.asked())
		}
		if st := a.cache.Stats(); st.StoreErrors != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func fleetPurges(t *testing.T, pair func(*testing.T, httpcache.Options) (a, b *site)) {
	a, b := pair(t, httpcache.Options{})
	head := []string{"Cache-Control: max-age=100", `Cache-Groups: "g", "h"`, `Etag: "1"`}
	for i, c := range []struct {
		name  string
		purge func() error
		soft  bool
	}{
		{"url", func() error { return b.cache.Purge(t.Context(), "http://site.example/x") }, false},
		{"soft url", func() error { return b.cache.SoftPurge(t.Context(), "http://site.example/x") }, true},
		{"group", func() error { return b.cache.PurgeGroups(t.Context(), "site.example", "h") }, false},
		{"soft group", func() error { return b.cache.SoftPurgeGroups(t.Context(), "site.example", "other", "g") }, true},
		{"all", func() error { return b.cache.PurgeAll(t.Context()) }, false},
		{"soft all", func() error { return b.cache.SoftPurgeAll(t.Context()) }, true},
	} {
		a.answer(200, fmt.Sprint(i), head...)
		a.send(a.request("GET", "/x", "Cache-Control: no-cache")) // whatever is there
		if got := a.get("/x"); !got.cached() {
			t.Fatalf("%s: not stored: %+v", c.name, got)
		}
		if err := c.purge(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := a.get("/x")
		if got.cached() || (a.last().Header.Get("If-None-Match") != "") != c.soft {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got := b.get("/x"); !got.cached() {
			t.Errorf("%s: not stored again: %+v", c.name, got)
		}
	}
}

// TestDisturbed: a store that is killed, frozen, resharded or fails over takes nobody down, and works again after.
func TestDisturbed(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(httpcache.Scripts()...)
		a := newSiteOn(t, asHandler, s.Open(t), nil, httpcache.Options{Timeout: 200 * time.Millisecond})
		a.answer(200, "body", "Cache-Control: max-age=1000", `Cache-Groups: "g"`)
		works := func(when string) {
			t.Helper()
			fleet.Eventually(t, "hits "+when, func() bool { a.get("/"); return a.get("/").cached() })
		}
		works("at first")
		s.FlushScripts()
		if err := a.cache.Purge(t.Context(), "http://site.example/"); err != nil {
			t.Errorf("purge without known scripts: %v", err)
		}
		works("after the scripts were forgotten")
		if s.Can(fleet.CanMove) {
			s.MoveSlot(a.cache.URLKey("site.example", "/", ""))
			if got := a.get("/"); got.status != 200 {
				t.Errorf("after the move: %+v", got)
			}
			works("after its slot moved")
		}
		over := s.Stall(2 * time.Second)
		before := time.Now()
		for range 3 {
			if got := a.get("/"); got.status != 200 || got.body != "body" {
				t.Errorf("stalled: %+v", got)
			}
		}
		// On a Cluster the client may have to connect to a node for the first time, and heeds no deadline while it does.
		if took := time.Since(before); took > 1500*time.Millisecond && s.Kind != fleet.Cluster {
			t.Errorf("three requests took %v of a stalled store", took)
		}
		<-over
		works("after the stall")
		if s.Can(fleet.CanFailover) {
			s.Failover(a.cache.URLKey("site.example", "/", ""))
			works("after the failover")
		}
		s.Stop()
		for range 3 {
			if got := a.get("/"); got.status != 200 || got.body != "body" || got.cached() {
				t.Errorf("store down: %+v", got)
			}
		}
		if a.cache.Stats().StoreErrors == 0 {
			t.Error("no failure was counted")
		}
		s.Start()
		works("after the restart")
	}, fleet.CanRestart, fleet.CanStall)
}
