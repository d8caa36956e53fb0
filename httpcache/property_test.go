package httpcache_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store/storetest"
)

// world is an origin that remembers every response it gave, and two processes' caches in front of it on one store.
type world struct {
	*testing.T
	r     *rand.Rand
	store *storetest.Faulty
	sites []*site
	group []string // of each page

	mu      sync.Mutex // guards the rest
	clock   int        // counts events
	down    bool
	given   []given          // by serial number
	purged  map[string]int   // when the last purge of a page had returned
	entered chan chan string // a fetch that is held tells here, if somebody listens
	over    chan struct{}    // closed at the end: nobody is held any more
	hold    bool
}

// given is one response: what it allowed, and when.
type given struct {
	page                string
	began               int // event
	at                  time.Time
	maxAge, while, fail int // seconds
	must                bool
}

var pages = []string{"/a", "/b", "/c?x=1"}

func (w *world) tick() int {
	w.clock++
	return w.clock
}

// origin answers with the response's serial number. An ETag of its page and maxAge lets it say 304.
func (w *world) origin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	page := r.URL.RequestURI()
	if i := strings.Index(page, "/c"); i > 0 {
		page = page[i:]
	}
	if r.Method == "POST" {
		w.mu.Unlock()
		rw.WriteHeader(204)
		return
	}
	g := given{page: page, began: w.tick(), at: w.sites[0].Now(), maxAge: w.r.IntN(20), must: w.r.IntN(4) == 0}
	if w.r.IntN(2) == 0 {
		g.while, g.fail = w.r.IntN(10), w.r.IntN(30)
	}
	vary, down := w.r.IntN(3) == 0, w.down
	serial := len(w.given)
	w.given = append(w.given, g)
	hold := w.hold
	w.hold = false
	w.mu.Unlock()
	if hold {
		gate := make(chan string)
		w.entered <- gate
		select {
		case <-gate:
		case <-w.over:
		}
	}
	if down {
		rw.WriteHeader(503)
		return
	}
	h := rw.Header()
	text := fmt.Sprintf("max-age=%d, stale-while-revalidate=%d, stale-if-error=%d", g.maxAge, g.while, g.fail)
	if g.must {
		text += ", must-revalidate"
	}
	h.Set("Cache-Control", text)
	h.Set("X-Given", strconv.Itoa(serial))
	h.Set("Etag", `"`+page+`"`)
	h.Set("Cache-Groups", `"`+w.groupOf(page)+`"`)
	if vary {
		h.Set("Vary", "Foo")
	}
	if r.Header.Get("If-None-Match") != "" && serial%2 == 0 {
		rw.WriteHeader(304)
		return
	}
	fmt.Fprint(rw, serial)
}

func (w *world) groupOf(page string) string {
	for i, p := range pages {
		if p == page {
			return w.group[i]
		}
	}
	return "none"
}

// get makes a request and checks what comes.
func (w *world) get(s *site, page string, since int, lines ...string) {
	asked := w.sites[0].Now()
	got := s.get(page, lines...)
	w.check(got, page, since, asked, lines)
}

func (w *world) check(got result, page string, since int, asked time.Time, lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if got.status == 503 || got.status == 504 {
		return
	}
	serial, err := strconv.Atoi(got.header.Get("X-Given"))
	if err != nil || serial >= len(w.given) || got.status != 200 {
		w.Errorf("%s %v: %+v", page, lines, got)
		return
	}
	g, status := w.given[serial], got.header.Get("Cache-Status")
	body, _ := strconv.Atoi(got.body)
	if g.page != page || w.given[body].page != page {
		w.Errorf("%s: got %s's %+v", page, g.page, got)
	}
	if g.began <= since || w.given[body].began <= since && !strings.Contains(status, "304") && !strings.Contains(status, "hit") && !strings.Contains(status, "collapsed") {
		w.Errorf("%s: purged at %d, served what began at %d: %s", page, since, g.began, status)
	}
	if !strings.Contains(status, "; hit") {
		return
	}
	age := asked.Sub(g.at)
	if said, err := strconv.Atoi(got.header.Get("Age")); err != nil || said < int(age/time.Second) {
		w.Errorf("%s: claims Age %q, is %v old", page, got.header.Get("Age"), age)
	}
	most := g.maxAge
	if !g.must {
		most += g.while
	}
	for _, l := range lines {
		if n, ok := strings.CutPrefix(l, "Cache-Control: max-stale="); ok && !g.must {
			stale, _ := strconv.Atoi(n)
			most = max(most, g.maxAge+stale+1)
		}
		if n, ok := strings.CutPrefix(l, "Cache-Control: max-age="); ok {
			limit, _ := strconv.Atoi(n)
			most = min(most, limit+1)
		}
	}
	if age >= time.Duration(most)*time.Second {
		w.Errorf("%s %v: %v old, at most %d s allowed by %+v: %s", page, lines, age, most, g, status)
	}
}

// step does one thing at random.
func (w *world) step() {
	w.mu.Lock()
	s := w.sites[w.r.IntN(2)]
	i := w.r.IntN(len(pages))
	page := pages[i]
	since := w.purged[page]
	kind, n := w.r.IntN(20), w.r.IntN(15)
	w.mu.Unlock()
	switch kind {
	case 0, 1:
		w.sites[0].Advance(time.Duration(n*700) * time.Millisecond)
	case 2:
		w.purge(func() error { return s.cache.Purge(w.Context(), "http://site.example"+page) }, page)
	case 3:
		var members []string
		for j, p := range pages {
			if w.group[j] == w.group[i] {
				members = append(members, p)
			}
		}
		w.purge(func() error { return s.cache.PurgeGroups(w.Context(), "site.example", w.group[i]) }, members...)
	case 4:
		w.purge(func() error { s.send(s.request("POST", page)); return nil }, page)
	case 5:
		if n == 0 {
			w.purge(func() error { return s.cache.PurgeAll(w.Context()) }, pages...)
		}
	case 6:
		if err := s.cache.SoftPurge(w.Context(), "http://site.example"+page); err != nil {
			w.Error(err)
		}
	case 7:
		w.mu.Lock()
		w.down = !w.down && n < 5
		w.mu.Unlock()
	case 8:
		w.store.Fail(1)
		w.get(s, page, since)
		w.store.Heal()
	case 9:
		w.held(s, page, since)
	case 10:
		w.get(s, page, since, fmt.Sprint("Cache-Control: max-stale=", n))
	case 11:
		w.get(s, page, since, fmt.Sprint("Cache-Control: max-age=", n))
	default:
		w.get(s, page, since, fmt.Sprint("Foo: ", n%3))
	}
}

// purge notes when a purge has returned.
func (w *world) purge(do func() error, members ...string) {
	if err := do(); err != nil {
		w.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range members {
		w.purged[p] = w.clock
	}
}

// held makes a request whose fetch, if there is one, lasts while other things happen.
func (w *world) held(s *site, page string, since int) {
	w.mu.Lock()
	w.hold = true
	w.mu.Unlock()
	done := make(chan struct{})
	asked := w.sites[0].Now()
	go func() {
		defer close(done)
		got := s.get(page)
		w.check(got, page, since, asked, nil)
	}()
	for answered := false; !answered; {
		select {
		case gate := <-w.entered: // this fetch, or one in the background that an earlier request began
			w.meanwhile(page)
			close(gate)
		case <-done:
			answered = true
		}
	}
	w.mu.Lock()
	w.hold = false
	w.mu.Unlock()
	select {
	case gate := <-w.entered: // a fetch in the background
		close(gate)
	default: // there may be one yet: the next call meets it
	}
}

// meanwhile does what may happen during a fetch.
func (w *world) meanwhile(page string) {
	for range 3 {
		w.mu.Lock()
		kind := w.r.IntN(3)
		w.mu.Unlock()
		switch kind {
		case 0:
			w.purge(func() error { return w.sites[0].cache.Purge(w.Context(), "http://site.example"+page) }, page)
		case 1:
			w.sites[0].Advance(time.Second)
		case 2:
			w.purge(func() error { return w.sites[1].cache.PurgeGroups(w.Context(), "site.example", w.groupOf(page)) }, w.members(page)...)
		}
	}
}

func (w *world) members(page string) (out []string) {
	for j, p := range pages {
		if w.group[j] == w.groupOf(page) {
			out = append(out, p)
		}
	}
	return out
}

// TestProperties: under random schedules nothing is served that is older than a purge, or staler than it may be, and
// nothing claims to be younger than it is.
func TestProperties(t *testing.T) {
	leaktest.Check(t)
	for _, seed := range storetest.Seeds(12) {
		t.Run(fmt.Sprintf("LARDER_SEED=%d", seed), func(t *testing.T) {
			db, fake := embedded(t)
			w := &world{T: t, r: rand.New(rand.NewPCG(seed, 1)), store: storetest.NewFaulty(db), purged: map[string]int{},
				entered: make(chan chan string, 4), over: make(chan struct{}), group: []string{"g", "h", "g"}}
			for _, way := range []way{asHandler, asTransport} {
				s := newSiteOn(t, way, w.store, fake, httpcache.Options{})
				s.origin = w.origin
				w.sites = append(w.sites, s)
			}
			for range 600 {
				if w.step(); t.Failed() {
					break
				}
			}
			w.mu.Lock()
			w.hold = false
			w.mu.Unlock()
			close(w.over)
		})
	}
}
