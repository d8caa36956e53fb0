package redisstore_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// heard is what a Tracking is told.
type heard struct {
	events chan string // "ready", "lost", a key, "all"
}

func (h heard) tracking(prefixes ...string) store.Tracking {
	return store.Tracking{
		Prefixes: prefixes,
		OnReady:  func() { h.events <- "ready" },
		OnLost:   func() { h.events <- "lost" },
		OnInvalidate: func(keys []string) {
			if keys == nil {
				h.events <- "all"
			}
			for _, k := range keys {
				h.events <- k
			}
		},
	}
}

func (h heard) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-h.events:
			if got != w {
				t.Fatalf("heard %q, want %q", got, w)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("heard nothing, want %q", w)
		}
	}
}

func openURL(t *testing.T, url string) *redisstore.Store {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func TestTrack(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Serve(l) }()
	for name, st := range map[string]store.Store{
		"redis": openURL(t, "redis://:secret@"+server.Addr), "larder": openURL(t, "redis://"+l.Addr().String()), "embedded": db,
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t, "redisstore.(*Store).Track", "redisstore.(*trackLine)", "larder/internal/resp")
			ctx, cancel := context.WithCancel(t.Context())
			h := heard{make(chan string, 100)}
			ended := make(chan error, 1)
			go func() { ended <- st.(store.Tracker).Track(ctx, h.tracking("a:", "b:")) }()
			h.expect(t, "ready")
			for _, cmd := range [][]string{{"SET", "a:1", "x"}, {"SET", "c:1", "x"}, {"DEL", "a:1"}, {"HSET", "b:\x00", "f", "v"}, {"FLUSHALL"}} {
				if err := st.Do(ctx, cmd...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			h.expect(t, "a:1", "a:1", "b:\x00", "all")
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Track ended with %v", err)
			}
			h.expect(t, "lost")
			if err := st.(store.Tracker).Track(t.Context(), store.Tracking{}); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("nothing to track: %v", err)
			}
		})
	}
}

// TestTrackComesBack kills the server, and freezes it so that its connections give no sign.
func TestTrackComesBack(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := openURL(t, "redis://"+server.Addr)
	ctx, cancel := context.WithCancel(t.Context())
	h := heard{make(chan string, 100)}
	ended := make(chan error, 1)
	go func() { ended <- st.Track(ctx, h.tracking("a:")) }()
	h.expect(t, "ready")
	server.Restart()
	h.expect(t, "lost", "ready")
	server.Pause()
	h.expect(t, "lost")
	server.Resume()
	h.expect(t, "ready")
	st.Do(ctx, "SET", "a:1", "x")
	h.expect(t, "a:1")
	cancel()
	<-ended
	_ = st.Close()
}

func TestTrackRefused(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+@all", "-client|tracking")
	for url, want := range map[string]error{
		"redis://" + server.Addr + "?protocol=2": store.ErrUnsupported,
		"redis://poor:pw@" + server.Addr:         store.ErrDenied,
	} {
		st := openURL(t, url)
		if err := st.Track(t.Context(), heard{make(chan string, 9)}.tracking("a:")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
		_ = st.Close()
		if err := st.Track(t.Context(), heard{make(chan string, 9)}.tracking("a:")); !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%s: closed: %v", url, err)
		}
	}
}
