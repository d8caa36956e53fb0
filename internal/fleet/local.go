package fleet

import (
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// unable is for what a kind has not: Store's methods ask abilities before.
type unable struct{}

func (unable) stop()                               {}
func (unable) start()                              {}
func (unable) switchover(string)                   {}
func (unable) settle()                             {}
func (unable) stopKeeping()                        {}
func (unable) stall(time.Duration) <-chan struct{} { return nil }
func (unable) failover(string)                     {}
func (unable) beginMove(string) func()             { return func() {} }
func (unable) register([]*store.Script)            {}

// embedded is a DB that is opened when it is first asked for.
type embedded struct {
	unable
	t  testing.TB
	db *larder.DB
}

func (e *embedded) open(t testing.TB, _ string) store.Store {
	t.Helper()
	if e.db == nil || errors.Is(e.db.Do(t.Context(), "PING").Err(), store.ErrClosed) {
		e.db = openDB(e.t, nil)
	}
	return e.db
}

func (*embedded) flushScripts() {}

func (e *embedded) info() []string { return infoOf(e.t, e.db) }

// infoOf is the INFO of a DB, none if there is none.
func infoOf(t testing.TB, db *larder.DB) []string {
	t.Helper()
	if db == nil {
		return nil
	}
	text, err := db.Do(t.Context(), "INFO", "clients").Text()
	if err != nil {
		t.Fatalf("fleet: %v", err)
	}
	return []string{text}
}

func openDB(t testing.TB, scripts []*store.Script) *larder.DB {
	t.Helper()
	db, err := larder.Open(larder.Options{Scripts: scripts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// served is a DB behind a port.
type served struct {
	unable
	t       testing.TB
	addr    string
	scripts []*store.Script
	db      *larder.DB
}

func startLarder(t testing.TB) *served {
	t.Helper()
	s := &served{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t)))}
	s.start()
	return s
}

func (s *served) start() {
	s.t.Helper()
	l := redistest.Listen(s.t, s.addr)
	s.db = openDB(s.t, s.scripts)
	go func(db *larder.DB) {
		if err := db.Serve(l); err != nil {
			s.t.Errorf("fleet: %v", err)
		}
	}(s.db)
}

func (s *served) stop() { _ = s.db.Close() }

func (s *served) open(t testing.TB, query string) store.Store {
	t.Helper()
	return Dial(t, "redis://"+s.addr+query)
}

// stall has the server put off all commands: it is this process, which cannot be frozen.
func (s *served) stall(d time.Duration) <-chan struct{} {
	s.t.Helper()
	over := make(chan struct{})
	if err := s.db.Do(s.t.Context(), "CLIENT", "PAUSE", strconv.FormatInt(d.Milliseconds(), 10), "ALL").Err(); err != nil {
		s.t.Fatalf("fleet: %v", err)
	}
	time.AfterFunc(d, func() { close(over) })
	return over
}

func (s *served) flushScripts() {
	s.t.Helper()
	if err := s.db.Do(s.t.Context(), "SCRIPT", "FLUSH").Err(); err != nil {
		s.t.Fatalf("fleet: %v", err)
	}
}

func (s *served) info() []string { return infoOf(s.t, s.db) }

func (s *served) register(scripts []*store.Script) {
	s.scripts = append(s.scripts, scripts...)
	s.db.Register(scripts...)
}
