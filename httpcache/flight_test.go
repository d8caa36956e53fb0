package httpcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store/storetest"
)

// waiting returns once n requests wait for another's fetch.
func waiting(s *site, n int) {
	for s.cache.Waiting() < n {
		synctest.Wait() // all others are blocked
		if got := s.cache.Waiting(); got < n {
			s.Fatalf("%d wait, want %d", got, n)
		}
	}
}

// bubble runs a test in both ways, where synctest can tell that all others wait.
func bubble(t *testing.T, o httpcache.Options, run func(s *site)) {
	both(t, func(t *testing.T, w way) {
		synctest.Test(t, func(t *testing.T) {
			run(newSiteOn(t, w, storetest.NewMemory(), nil, o))
		})
	})
}

func TestOneFetchForMany(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, _ *http.Request) {
			<-release
			w.Header().Set("Cache-Control", "max-age=100")
			io.WriteString(w, "body")
		}
		const n = 100
		var wg sync.WaitGroup
		var good atomic.Int32
		for range n {
			wg.Go(func() {
				if got := s.get("/"); got.status == 200 && got.body == "body" {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		waiting(s, n-1)
		close(release)
		wg.Wait()
		if s.asked() != 1 || good.Load() != n || s.cache.Flights() != 0 {
			s.Errorf("%d fetches, %d good, %d flights left", s.asked(), good.Load(), s.cache.Flights())
		}
		if st := s.cache.Stats(); st.Shared != n-1 || st.Misses != 1 || st.Stored != 1 {
			s.Errorf("%+v", st)
		}
	})
}

// TestLeaderLeaves: the fetch goes on for those who wait, and ends when they have left too.
func TestLeaderLeaves(t *testing.T) {
	for _, stay := range []bool{true, false} {
		bubble(t, httpcache.Options{}, func(s *site) {
			release := make(chan struct{})
			ended := make(chan error, 1)
			s.origin = func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-release:
				case <-r.Context().Done():
				}
				ended <- r.Context().Err()
				w.Header().Set("Cache-Control", "max-age=100")
				io.WriteString(w, "body")
			}
			lead, leave := context.WithCancel(s.Context())
			follow, leaveToo := context.WithCancel(s.Context())
			var wg sync.WaitGroup
			wg.Go(func() { s.send(s.request("GET", "/").WithContext(lead)) })
			synctest.Wait()
			wg.Go(func() {
				got := s.send(s.request("GET", "/").WithContext(follow))
				if stay && got.body != "body" {
					s.Errorf("who stayed got %+v", got)
				}
			})
			synctest.Wait()
			waiting(s, 1)
			leave()
			synctest.Wait()
			select {
			case <-ended:
				s.Error("the fetch ended with its leader")
			default:
			}
			if stay {
				close(release)
			} else {
				leaveToo()
			}
			if err := <-ended; (err == nil) != stay {
				s.Errorf("the fetch ended with %v", err)
			}
			wg.Wait()
			synctest.Wait()
			leaveToo()
			if got := s.cache.Stats().Stored; (got == 1) != stay {
				s.Errorf("%d stored", got)
			}
		})
	}
}

// TestNotShared: a response that is one client's own is given to nobody else; each then asks.
func TestNotShared(t *testing.T) {
	for _, head := range []string{"Cache-Control: private, max-age=100", "Set-Cookie: a=b", "Cache-Control: no-store", "Vary: *", "Cache-Control: max-age=0"} {
		bubble(t, httpcache.Options{}, func(s *site) {
			release := make(chan struct{})
			var n atomic.Int32
			s.origin = func(w http.ResponseWriter, _ *http.Request) {
				<-release
				w.Header().Set("Cache-Control", "max-age=100")
				name, value, _ := strings.Cut(head, ": ")
				w.Header().Set(name, value)
				fmt.Fprint(w, n.Add(1))
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			seen := map[string]bool{}
			const clients = 10
			for range clients {
				wg.Go(func() {
					got := s.get("/")
					mu.Lock()
					defer mu.Unlock()
					seen[got.body] = true
				})
			}
			synctest.Wait()
			close(release)
			wg.Wait()
			if len(seen) != clients {
				s.Errorf("%s: %d clients got %v", head, clients, seen)
			}
		})
	}
}

// TestVariantsApart: those who wait for another variant than comes ask for theirs, together.
func TestVariantsApart(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			<-release
			w.Header().Set("Cache-Control", "max-age=100")
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, r.Header.Get("Accept-Language"))
		}
		var wg sync.WaitGroup
		for i := range 30 {
			lang := []string{"de", "en", "fr"}[i%3]
			wg.Go(func() {
				if got := s.get("/", "Accept-Language: "+lang); got.body != lang {
					s.Errorf("asked for %s, got %s", lang, got.body)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if s.asked() != 3 {
			s.Errorf("%d fetches for 3 variants", s.asked())
		}
	})
}

// TestSlowReader: a leader whose client does not read keeps nobody waiting.
func TestSlowReader(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		s.answer(200, strings.Repeat("a", 100_000), "Cache-Control: max-age=100")
		if s.way == asTransport {
			resp := s.do(s.request("GET", "/")) // and not read
			synctest.Wait()
			if got := s.get("/"); len(got.body) != 100_000 || s.asked() != 1 {
				s.Errorf("%d bytes after %d fetches", len(got.body), s.asked())
			}
			resp.Body.Close()
			return
		}
		stuck := make(chan struct{})
		h := s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.origin(w, r) }))
		go h.ServeHTTP(&slowWriter{ResponseRecorder: httptest.NewRecorder(), until: stuck}, s.request("GET", "/"))
		synctest.Wait()
		if got := s.get("/"); len(got.body) != 100_000 || !got.cached() {
			s.Errorf("%d bytes", len(got.body))
		}
		close(stuck)
	})
}

type slowWriter struct {
	*httptest.ResponseRecorder
	until chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.until
	return w.ResponseRecorder.Write(p)
}

func (w *slowWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// TestPurgeWins: what was being fetched when a purge returned is not stored, and a request after it does not wait for it.
func TestPurgeWins(t *testing.T) {
	purges := map[string]func(s *site) error{
		"url":        func(s *site) error { return s.cache.Purge(s.Context(), "http://site.example/") },
		"https":      func(s *site) error { return s.cache.Purge(s.Context(), "https://site.example/") },
		"soft":       func(s *site) error { return s.cache.SoftPurge(s.Context(), "http://site.example/") },
		"group":      func(s *site) error { return s.cache.PurgeGroups(s.Context(), "site.example", "g") },
		"soft group": func(s *site) error { return s.cache.SoftPurgeGroups(s.Context(), "site.example", "g") },
		"all":        func(s *site) error { return s.cache.PurgeAll(s.Context()) },
		"soft all":   func(s *site) error { return s.cache.SoftPurgeAll(s.Context()) },
		"post": func(s *site) error {
			if got := s.send(s.request("POST", "/")); got.status != 200 {
				return errors.New("POST failed")
			}
			return nil
		},
	}
	for name, purge := range purges {
		for _, vary := range []bool{false, true} {
			t.Run(fmt.Sprint(name, vary), func(t *testing.T) {
				bubble(t, httpcache.Options{}, func(s *site) { purgeWins(s, vary, purge) })
			})
		}
	}
}

func purgeWins(s *site, vary bool, purge func(s *site) error) {
	release := make(chan struct{})
	var version atomic.Int32
	s.origin = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			return
		}
		v := version.Load()
		if v == 0 {
			<-release
		}
		w.Header().Set("Cache-Control", "max-age=100")
		w.Header().Set("Cache-Groups", `"g"`)
		if vary {
			w.Header().Set("Vary", "Foo")
		}
		fmt.Fprint(w, "v", v)
	}
	done := make(chan result)
	go func() { done <- s.get("/") }()
	synctest.Wait()
	version.Store(1)
	if err := purge(s); err != nil {
		s.Fatal(err)
	}
	if got := s.get("/"); got.body != "v1" {
		s.Errorf("after the purge: %+v", got)
	}
	close(release)
	if got := <-done; got.body != "v0" {
		s.Errorf("who had asked before: %+v", got)
	}
	synctest.Wait()
	if got := s.get("/"); got.body != "v1" {
		s.Errorf("after the late fill: %+v", got)
	}
}

// TestNoLeaks: what a Transport starts ends with its bodies, whether read, closed early or abandoned.
func TestNoLeaks(t *testing.T) {
	leaktest.Check(t)
	db, _ := embedded(t)
	c, err := httpcache.New(db, httpcache.Options{Prefix: "http:", MaxBody: 1000})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/none" {
			w.Header().Set("Cache-Control", "max-age=100")
		}
		if r.URL.Path == "/large" || r.URL.Path == "/none" {
			io.Copy(w, io.LimitReader(endlessAs{}, 1<<20))
			return
		}
		io.WriteString(w, "body")
	}))
	client := &http.Client{Transport: c.Transport(http.DefaultTransport)}
	for _, path := range []string{"/small", "/large", "/none"} {
		for _, how := range []string{"read", "close", "cancel"} {
			ctx, cancel := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+path+"?"+how, nil)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			switch how {
			case "read":
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			case "cancel":
				cancel()
			}
			resp.Body.Close()
			cancel()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	srv.Close()
}

// TestAuthorizedLeadsNobody: a request with Authorization neither keeps others waiting nor spoils their sharing.
func TestAuthorizedLeadsNobody(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=100")
			if who := r.Header.Get("Authorization"); who != "" {
				<-release
				io.WriteString(w, who)
				return
			}
			io.WriteString(w, "public")
		}
		done := make(chan result)
		go func() { done <- s.get("/", "Authorization: me") }()
		synctest.Wait()
		if got := s.get("/"); got.body != "public" {
			s.Errorf("%+v", got)
		}
		close(release)
		if got := <-done; got.body != "me" {
			s.Errorf("%+v", got)
		}
		if got := s.get("/"); got.body != "public" || !got.cached() {
			s.Errorf("%+v", got)
		}
	})
}
