package larder_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func open(t testing.TB, o larder.Options) *larder.DB {
	t.Helper()
	db, err := larder.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func TestEmbeddedConforms(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, larder.Options{}) })
}

// served is a connection to a store that is told of scripts before it is asked to run them by their SHA, as a
// server that was built with them is.
type served struct {
	store.Store
	db *larder.DB
}

func (s served) Run(ctx context.Context, script *store.Script, keys []string, args ...string) store.Reply {
	s.db.Register(script)
	return s.Store.Run(ctx, script, keys, args...)
}

// serve listens on a free port of the loopback interface.
func serve(t testing.TB, db *larder.DB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- db.Serve(l) }()
	t.Cleanup(func() {
		_ = db.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// TestServedConforms runs the suite through rueidis against a served store.
func TestServedConforms(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		db := open(t, larder.Options{})
		st, err := larder.Connect(t.Context(), "redis://"+serve(t, db))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return served{st, db}
	})
}

func TestConnect(t *testing.T) {
	st, err := larder.Connect(t.Context(), "mem://?maxmemory=10mb&maxmemory-policy=allkeys-lru")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m, err := st.Do(t.Context(), "CONFIG", "GET", "maxmemory*").Map()
	if err != nil || m["maxmemory"] != "10485760" || m["maxmemory-policy"] != "allkeys-lru" {
		t.Errorf("CONFIG GET: %v, %v", m, err)
	}
	for _, url := range []string{"mem://?maxmemory=lots", "mem://?nosuch=1", "redis//x", "ftp://x"} {
		if st, err := larder.Connect(t.Context(), url); st != nil || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Connect(%q): %v, %v", url, st, err)
		}
	}
}

func TestConnectByEnvironment(t *testing.T) {
	db := open(t, larder.Options{Password: "secret"})
	host, port, _ := net.SplitHostPort(serve(t, db))
	for name, value := range map[string]string{"LARDER_URL": "", "REDIS_URL": "", "REDIS_HOST": host, "REDIS_PORT": port,
		"REDIS_PASSWORD": "secret"} {
		t.Setenv(name, value)
	}
	st, err := larder.Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Do(t.Context(), "SET", "k", "v").Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := db.Do(t.Context(), "GET", "k").Text(); v != "v" || err != nil {
		t.Errorf("the embedded side reads %q, %v", v, err)
	}
}

func TestDialSpeaksRedis(t *testing.T) {
	db := open(t, larder.Options{})
	c, err := db.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "SET k v\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"); err != nil {
		t.Fatal(err)
	}
	want := "+OK\r\n$1\r\nv\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestCloseTwiceAndCallsAfter(t *testing.T) {
	db := open(t, larder.Options{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Do(t.Context(), "PING").Err(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Do: %v", err)
	}
	if _, _, err := db.GetBytes(t.Context(), "k", nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("GetBytes: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []larder.Options{{Policy: "nosuch"}, {MaxMemory: -1}, {Settings: map[string]string{"nosuch": "1"}}} {
		if _, err := larder.Open(o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Open(%+v): %v", o, err)
		}
	}
}

// TestEmptyWord: an argument that is empty is not one that is missing.
func TestEmptyWord(t *testing.T) {
	db := open(t, larder.Options{})
	for _, cmd := range []store.Cmd{
		{"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"}, {"XADD", "s", "1-0", "f", "v"}, {"XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">"},
	} {
		if err := db.Do(t.Context(), cmd...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := db.Do(t.Context(), "XPENDING", "s", "g", "-", "+", "10", "").Array(); err != nil || len(list) != 0 {
		t.Errorf("the consumer without a name has %v, %v", list, err)
	}
}
