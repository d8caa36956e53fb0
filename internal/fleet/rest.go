package fleet

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// site is a REST API on loopback, whose clients are of package kvstore.
type site struct {
	unable
	t       testing.TB
	addr    string
	behind  backend
	server  *http.Server
	handler *rest.Server

	mu   sync.Mutex
	over chan struct{} // closed when a stall ends
}

// backend is the store behind a REST API.
type backend interface {
	begin() store.Store // as it is first, or after an end
	end(keeping bool)
	flushScripts()
	info() []string
	register(scripts []*store.Script)
}

func startSite(t testing.TB, behind backend) *site {
	t.Helper()
	over := make(chan struct{})
	close(over)
	s := &site{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t))), behind: behind, over: over}
	s.start()
	t.Cleanup(s.shut)
	return s
}

const siteToken = "fleet"

func (s *site) start() {
	s.t.Helper()
	l := redistest.Listen(s.t, s.addr)
	var err error
	if s.handler, err = rest.Handler(s.behind.begin(), rest.Options{Token: siteToken}); err != nil {
		s.t.Fatalf("fleet: %v", err)
	}
	s.server = &http.Server{Handler: s.gate(s.handler), ReadHeaderTimeout: time.Minute}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server)
}

// gate holds requests up while the server stands still.
func (s *site) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		select {
		case <-over:
		case <-r.Context().Done():
		}
		next.ServeHTTP(w, r)
	})
}

// shut drops all connections.
func (s *site) shut() {
	_ = s.server.Close()
	_ = s.handler.Close()
}

func (s *site) stop() {
	s.shut()
	s.behind.end(false)
}

func (s *site) stopKeeping() {
	s.shut()
	s.behind.end(true)
}

func (s *site) stall(d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	s.mu.Lock()
	s.over = over
	s.mu.Unlock()
	time.AfterFunc(d, func() { close(over) })
	s.t.Cleanup(func() { <-over })
	return over
}

func (s *site) open(t testing.TB, query string) store.Store {
	t.Helper()
	cfg, err := store.ParseURL("http://" + siteToken + "@" + s.addr + query)
	if err != nil {
		t.Fatal(err)
	}
	st, err := kvstore.Open(cfg, kvstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func (s *site) flushScripts()                    { s.behind.flushScripts() }
func (s *site) info() []string                   { return s.behind.info() }
func (s *site) register(scripts []*store.Script) { s.behind.register(scripts) }

// behindDB is an embedded store behind a REST API.
type behindDB struct {
	t       testing.TB
	db      *larder.DB
	scripts []*store.Script
}

func (b *behindDB) begin() store.Store {
	if b.db == nil {
		b.db = openDB(b.t, b.scripts)
	}
	return b.db
}

func (b *behindDB) end(keeping bool) {
	if keeping {
		b.flushScripts()
		return
	}
	_ = b.db.Close()
	b.db = nil
}

func (b *behindDB) flushScripts() {
	if err := b.db.Do(b.t.Context(), "SCRIPT", "FLUSH").Err(); err != nil {
		b.t.Fatalf("fleet: %v", err)
	}
}

func (b *behindDB) info() []string { return infoOf(b.t, b.db) }

func (b *behindDB) register(scripts []*store.Script) {
	b.scripts = append(b.scripts, scripts...)
	b.db.Register(scripts...)
}

// behindRedis is a redis-server behind a REST API. The way to it stays when it restarts.
type behindRedis struct {
	t      testing.TB
	server *redistest.Server
	st     store.Store
}

func (b *behindRedis) begin() store.Store {
	if b.st == nil {
		b.st = Dial(b.t, b.server.URL())
	} else {
		b.server.Restart()
	}
	return b.st
}

func (b *behindRedis) end(keeping bool) {
	if keeping {
		b.server.StopKeeping()
		return
	}
	b.server.Stop()
}

func (b *behindRedis) flushScripts()            { b.server.Do("SCRIPT", "FLUSH") }
func (b *behindRedis) info() []string           { return []string{b.server.Do("INFO", "clients")} }
func (b *behindRedis) register([]*store.Script) {}
