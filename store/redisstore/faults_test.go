package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// dialer counts connections and can refuse them or break them after a command was sent.
type dialer struct {
	dials  atomic.Int64
	refuse atomic.Bool
	// breakOn, if not empty, makes the connection that writes it fail right after: the command reached the server, its
	// answer is lost.
	breakOn atomic.Value
	broken  atomic.Int64
}

var errRefused = errors.New("refused by the test")

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	d.dials.Add(1)
	if d.refuse.Load() {
		return nil, errRefused
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &fragile{Conn: conn, d: d}, nil
}

type fragile struct {
	net.Conn
	d      *dialer
	doomed atomic.Bool
}

func (f *fragile) Write(b []byte) (int, error) {
	if word, _ := f.d.breakOn.Load().(string); word != "" && bytes.Contains(b, []byte(word)) {
		f.doomed.Store(true)
	}
	return f.Conn.Write(b)
}

// Read loses the answer, whose coming proves that the server has run the command.
func (f *fragile) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if err != nil || !f.doomed.Load() {
		return n, err
	}
	f.d.broken.Add(1)
	f.Conn.Close()
	return 0, io.EOF
}

func TestOpenIsLazy(t *testing.T) {
	leaktest.Check(t)
	d := &dialer{}
	d.refuse.Store(true)
	st := open(t, "redis://127.0.0.1:1", redisstore.Options{Dial: d.dial})
	if n := d.dials.Load(); n != 0 {
		t.Errorf("Open made %d connections", n)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestDownAndUpAgain(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	d := &dialer{}
	d.refuse.Store(true)
	var logged bytes.Buffer
	var mu sync.Mutex
	var connected []string
	st := open(t, server.URL(), redisstore.Options{
		Dial:      d.dial,
		Logger:    slog.New(slog.NewTextHandler(&logged, nil)),
		OnConnect: func(addr string) { mu.Lock(); connected = append(connected, addr); mu.Unlock() },
	})
	ctx := t.Context()
	start := time.Now()
	err := st.Do(ctx, "SET", "k", "v").Err()
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errRefused) || !strings.Contains(err.Error(), server.Addr) {
		t.Errorf("a store that is down: %v", err)
	}
	if n := d.dials.Load(); n != 4 {
		t.Errorf("%d attempts to connect, want 1 and 3 more", n)
	}
	if took := time.Since(start); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("retries took %v, want 50 + 100 + 150 ms", took)
	}
	// Now the gate is shut: no caller waits.
	start = time.Now()
	if err := st.Do(ctx, "GET", "k").Err(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("behind the gate: %v", err)
	}
	if took := time.Since(start); took > soon {
		t.Errorf("behind the gate a caller waited %v", took)
	}
	if n := d.dials.Load(); n != 4 {
		t.Errorf("%d attempts, want none behind the gate", n)
	}
	d.refuse.Store(false)
	waitFor(t, "the store to come back", func() bool { return st.Do(ctx, "SET", "k", "v").Err() == nil })
	mu.Lock()
	defer mu.Unlock()
	if len(connected) == 0 || connected[0] != server.Addr {
		t.Errorf("OnConnect got %v", connected)
	}
	st.Close()
	text := logged.String()
	if n := strings.Count(text, "redis connection failed"); n < 1 || n > 3 || !strings.Contains(text, "redis connected") {
		t.Errorf("log:\n%s", text)
	}
}

// waitFor asks again and again, as a client of a store that recovers does.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestLostAnswers(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	d := &dialer{}
	var lost atomic.Int64
	st := open(t, server.URL(), redisstore.Options{Dial: d.dial, OnError: func(string, error) { lost.Add(1) }})
	ctx := t.Context()
	if err := st.Do(ctx, "SET", "n", "0").Err(); err != nil {
		t.Fatal(err)
	}
	once := func(word string, call func() error) error {
		d.breakOn.Store(word)
		d.broken.Store(0)
		time.AfterFunc(20*time.Millisecond, func() { d.breakOn.Store("") })
		return call()
	}
	err := once("INCR", func() error { return st.Do(ctx, "INCR", "n").Err() })
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("INCR with a lost answer: %v, want ErrUnavailable", err)
	}
	if got := server.Do("GET", "n"); got != "1" {
		t.Errorf("INCR ran %s times, want 1", got)
	}
	waitFor(t, "the fault to end", func() bool { return d.breakOn.Load() == "" })
	if err := once("SETEX", func() error { return st.Do(ctx, "SETEX", "s", "100", "v").Err() }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("SETEX with a lost answer: %v, want ErrUnavailable", err)
	}
	waitFor(t, "the fault to end", func() bool { return d.breakOn.Load() == "" })
	if err := once("STRLEN", func() error { return st.Do(ctx, "STRLEN", "n").Err() }); err != nil || d.broken.Load() == 0 {
		t.Errorf("a read with a lost answer: %v after %d faults, want a repetition", err, d.broken.Load())
	}
	waitFor(t, "the fault to end", func() bool { return d.breakOn.Load() == "" })
	err = once("ECHO", func() error {
		replies := st.Pipe(ctx, store.Cmd{"ECHO", "a"}, store.Cmd{"ECHO", "b"})
		for i, want := range []string{"a", "b"} {
			if got, err := replies[i].Text(); err != nil || got != want {
				t.Errorf("reply %d of a repeated pipe: %q, %v", i, got, err)
			}
		}
		return nil
	})
	if err != nil || d.broken.Load() == 0 {
		t.Errorf("pipe: %v, %d faults", err, d.broken.Load())
	}
}

func TestTimeout(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st, patient := open(t, server.URL()+"?timeout=100ms", redisstore.Options{}), open(t, server.URL(), redisstore.Options{})
	for _, s := range []store.Store{st, patient} {
		if err := s.Do(t.Context(), "SET", "k", "v").Err(); err != nil {
			t.Fatal(err)
		}
	}
	server.Pause()
	defer server.Resume()
	start := time.Now()
	err := st.Do(t.Context(), "GET", "k").Err()
	if took := time.Since(start); !errors.Is(err, store.ErrUnavailable) || took > 2*time.Second {
		t.Errorf("a frozen server: %v after %v", err, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := st.Do(ctx, "GET", "k").Err(); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the caller's deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := patient.Do(ctx, "GET", "k").Err(); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the caller left: %v", err)
	}
	server.Resume()
	waitFor(t, "the server to answer again", func() bool { return st.Do(t.Context(), "GET", "k").Err() == nil })
}

func TestBlockingCommandsHaveTheirOwnConnections(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL()+"?timeout=300ms", redisstore.Options{})
	const n = 8
	type result struct {
		got []string
		err error
	}
	results := make(chan result, n)
	for range n {
		go func() {
			got, err := st.Do(t.Context(), "BLPOP", "queue", "0").Strings()
			results <- result{got, err}
		}()
	}
	waitFor(t, "all to block", func() bool { return strings.Contains(server.Do("INFO", "clients"), "blocked_clients:8") })
	if err := st.Do(t.Context(), "PING").Err(); err != nil {
		t.Errorf("PING beside blocked commands: %v", err)
	}
	select { // longer than the timeout for answers: it is not for these
	case r := <-results:
		t.Errorf("BLPOP returned early: %v, %v", r.got, r.err)
	case <-time.After(400 * time.Millisecond):
	}
	for range n {
		server.Do("RPUSH", "queue", "job")
	}
	for range n {
		if r := <-results; r.err != nil || len(r.got) != 2 || r.got[1] != "job" {
			t.Errorf("BLPOP: %v, %v", r.got, r.err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := st.Do(ctx, "BLPOP", "queue", "0").Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("BLPOP with a deadline: %v", err)
	}
	waitFor(t, "the server to forget the waiter", func() bool { return strings.Contains(server.Do("INFO", "clients"), "blocked_clients:0") })
	go func() {
		_, err := st.Do(context.Background(), "BLPOP", "queue", "0").Strings()
		results <- result{nil, err}
	}()
	waitFor(t, "it to block", func() bool { return strings.Contains(server.Do("INFO", "clients"), "blocked_clients:1") })
	st.Close()
	if r := <-results; !errors.Is(r.err, store.ErrClosed) {
		t.Errorf("BLPOP when the store is closed: %v", r.err)
	}
}

func TestSubscriptionSurvivesARestart(t *testing.T) {
	for _, query := range []string{"", "?protocol=2"} {
		t.Run("query"+query, func(t *testing.T) {
			leaktest.Check(t)
			server := redistest.Start(t)
			st := open(t, server.URL()+query, redisstore.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			ready, messages, ended := make(chan bool, 10), make(chan store.Message, 10), make(chan error, 1)
			go func() {
				ended <- st.Subscribe(ctx, store.Subscription{
					Channels: []string{"c"}, Patterns: []string{"p*"},
					OnMessage: func(m store.Message) { messages <- m },
					OnReady:   func(resumed bool) { ready <- resumed },
				})
			}()
			if <-ready {
				t.Error("the first OnReady says resumed")
			}
			server.Restart()
			if !<-ready {
				t.Error("OnReady after a loss does not say resumed")
			}
			server.Do("PUBLISH", "c", "1")
			server.Do("PUBLISH", "px", "2")
			if m := <-messages; m.Payload != "1" {
				t.Errorf("message: %+v", m)
			}
			if m := <-messages; m.Payload != "2" || m.Pattern != "p*" {
				t.Errorf("message: %+v", m)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Subscribe: %v", err)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t, "--requirepass", "s:e/c@r?t")
	host := strings.TrimPrefix(server.URL(), "redis://")
	for _, url := range []string{"redis://:wrong@" + host, "redis://nobody:x@" + host, "redis://:wrong@" + host + "?protocol=2", "redis://" + host} {
		st := open(t, url, redisstore.Options{})
		err := st.Do(t.Context(), "GET", "k").Err()
		if !errors.Is(err, store.ErrDenied) || strings.Contains(err.Error(), "wrong@") {
			t.Errorf("%s: %v, want ErrDenied", url, err)
		}
		subscription := store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}}
		if err := st.Subscribe(t.Context(), subscription); !errors.Is(err, store.ErrDenied) {
			t.Errorf("%s: Subscribe: %v, want ErrDenied", url, err)
		}
	}
	st := open(t, "redis://:s%3Ae%2Fc%40r%3Ft@"+host+"/2?client_name=me", redisstore.Options{})
	if list, err := st.Do(t.Context(), "CLIENT", "LIST").Text(); err != nil || !strings.Contains(list, "name=me") || !strings.Contains(list, "db=2") || !strings.Contains(list, "resp=3") {
		t.Errorf("CLIENT LIST: %v\n%s", err, list)
	}
}

// TestShortDeadlinesShutTheGate is a cache or a limiter that gives a store which is down 80 ms per request.
func TestShortDeadlinesShutTheGate(t *testing.T) {
	leaktest.Check(t)
	for name, dial := range map[string]func(context.Context, string) (net.Conn, error){
		"refused":    func(context.Context, string) (net.Conn, error) { return nil, errRefused },
		"black hole": func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		st := open(t, "redis://127.0.0.1:1?dial_timeout=100ms", redisstore.Options{Dial: dial})
		quick := 0
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
			start := time.Now()
			if err := st.Do(ctx, "GET", "k").Err(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
			if time.Since(start) < 10*time.Millisecond {
				quick++
			}
		}
		if quick < 10 {
			t.Errorf("%s: only %d of 20 requests were spared the wait", name, quick)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, cfg := range []store.Config{{}, {Target: store.Single}, {Target: store.REST, Addrs: []string{"h"}}, {Target: store.Sentinel, Addrs: []string{"h:1"}}} {
		if _, err := redisstore.Open(cfg, redisstore.Options{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestConcurrentFirstUse(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL(), redisstore.Options{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := st.Do(t.Context(), "INCR", "n").Err(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := server.Do("GET", "n"); got != "50" {
		t.Errorf("n is %s", got)
	}
}

// TestPatienceUnderSentinel has one caller that cannot wait for a primary, and one that can.
func TestPatienceUnderSentinel(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, server)
	d := &dialer{}
	st := open(t, "redis+sentinel://"+sentinel.Addr+"/mymaster", redisstore.Options{Dial: d.dial})
	if err := st.Do(t.Context(), "PING").Err(); err != nil {
		t.Fatal(err)
	}
	d.refuse.Store(true)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	// The first call may find the dead connection, the next finds no other.
	var err error
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
		err = st.Do(ctx, "INCR", "n").Err()
		cancel()
	}
	if !errors.Is(err, errRefused) {
		t.Errorf("without patience: %v", err)
	}
	time.AfterFunc(500*time.Millisecond, func() { d.refuse.Store(false) })
	start := time.Now()
	if err := st.Do(t.Context(), "INCR", "n").Err(); err != nil {
		t.Errorf("with patience: %v after %v", err, time.Since(start))
	}
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("with patience: %v", took)
	}
}

// TestLostWhileIdle writes on connections that died while nobody used them.
func TestLostWhileIdle(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL(), redisstore.Options{})
	for round := range 5 {
		if n, err := st.Do(t.Context(), "INCR", "n").Int64(); err != nil || n != int64(round+1) {
			t.Errorf("round %d: %d, %v", round, n, err)
		}
		rested := time.Now().Add(15 * time.Millisecond)
		server.Do("CLIENT", "KILL", "TYPE", "normal")
		waitFor(t, "the rest to be long enough", func() bool { return time.Now().After(rested) })
	}
}
