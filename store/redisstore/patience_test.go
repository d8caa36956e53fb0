package redisstore_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// soon is how much later than its ctx a call may end, on a machine that is busy with other things.
const soon = 300 * time.Millisecond

// endsInTime makes a call that its ctx is to end.
func endsInTime(t *testing.T, name string, ctx context.Context, call func(ctx context.Context) error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	select {
	case <-ctx.Done():
	case err := <-ended: // where a connection cannot be made, only one caller waits for it
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: ended before its ctx, with %v", name, err)
		}
		return
	}
	select {
	case err := <-ended:
		if !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: %v", name, err)
		}
	case <-time.After(soon):
		stacks := make([]byte, 1<<20)
		t.Errorf("%s: still under way %v after its ctx\n%s", name, soon, stacks[:runtime.Stack(stacks, true)])
		<-ended
	}
}

// patientCalls are all the ways to ask a store.
func patientCalls(st store.Store) map[string]func(ctx context.Context) error {
	script := &store.Script{Name: "redisstore.one", Lua: "return 1", Go: func(store.Tx, []string, []string) store.Reply { return store.Int(1) }}
	return map[string]func(ctx context.Context) error{
		"Do":  func(ctx context.Context) error { return st.Do(ctx, "GET", "a").Err() },
		"Run": func(ctx context.Context) error { return st.Run(ctx, script, []string{"a"}).Err() },
		"Pipe": func(ctx context.Context) error {
			return st.Pipe(ctx, store.Cmd{"GET", "a"}, store.Cmd{"GET", "b"})[0].Err()
		},
		"Pipe of three slots": func(ctx context.Context) error {
			return st.Pipe(ctx, store.Cmd{"GET", "a"}, store.Cmd{"GET", "b"}, store.Cmd{"GET", "c"}, store.Cmd{"GET", "d"})[0].Err()
		},
		"BLPOP": func(ctx context.Context) error { return st.Do(ctx, "BLPOP", "a", "0").Err() },
		"Subscribe": func(ctx context.Context) error {
			return st.Subscribe(ctx, store.Subscription{Channels: []string{"c"}, Shards: []string{"s"}, OnMessage: func(store.Message) {}})
		},
		"Track": func(ctx context.Context) error {
			return st.(store.Tracker).Track(ctx, store.Tracking{Prefixes: []string{"a"}, OnInvalidate: func([]string) {}})
		},
	}
}

// TestNobodyOutstaysItsContext freezes stores, and has calls end by a deadline and by a cancel: on connections that are there, on
// connections to be made, and when no connection was ever made.
func TestNobodyOutstaysItsContext(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		connected, half, fresh := s.Open(t), s.Open(t), s.Open(t)
		for _, key := range []string{"a", "b", "c", "d"} {
			if err := connected.Do(t.Context(), "GET", key).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := half.Do(t.Context(), "GET", "a").Err(); err != nil {
			t.Fatal(err)
		}
		over := s.Stall(1500 * time.Millisecond)
		done := make(chan struct{})
		calls := 0
		for kind, st := range map[string]store.Store{"connected": connected, "half": half, "fresh": fresh} {
			for name, call := range patientCalls(st) {
				for how, bounded := range map[string]func(context.Context) (context.Context, context.CancelFunc){
					"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
						return context.WithTimeout(ctx, 200*time.Millisecond)
					},
					"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
						ctx, cancel := context.WithCancel(ctx)
						time.AfterFunc(200*time.Millisecond, cancel)
						return ctx, cancel
					},
					"cancel before its deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
						ctx, cancel := context.WithTimeout(ctx, time.Minute)
						time.AfterFunc(200*time.Millisecond, cancel)
						return ctx, cancel
					},
				} {
					calls++
					go func() {
						defer func() { done <- struct{}{} }()
						ctx, cancel := bounded(t.Context())
						defer cancel()
						endsInTime(t, kind+", "+name+", "+how, ctx, call)
					}()
				}
			}
		}
		for range calls {
			<-done
		}
		<-over
		for _, st := range []store.Store{connected, half, fresh} {
			fleet.Eventually(t, "the store to serve", func() bool { return st.Do(t.Context(), "GET", "a").Err() == nil })
		}
	}, fleet.CanStall|fleet.CanTrack)
}

// TestOneCancelEndsOneCall has a caller give up alone on its connection, where nobody else made a connection's pipeline yet.
func TestOneCancelEndsOneCall(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL(), redisstore.Options{})
	if err := st.Do(t.Context(), "GET", "a").Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	time.AfterFunc(50*time.Millisecond, cancel)
	endsInTime(t, "alone", ctx, func(ctx context.Context) error { return st.Do(ctx, "GET", "a").Err() })
	server.Resume()
}

// TestImpatienceIsNotCatching has a caller of little patience wait before one of more, on the same connection.
func TestImpatienceIsNotCatching(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL(), redisstore.Options{})
	if err := st.Do(t.Context(), "SET", "n", "0").Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- st.Do(short, "GET", "n").Err() }()
	time.AfterFunc(20*time.Millisecond, func() { second <- st.Do(context.Background(), "INCR", "n").Err() })
	if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the first: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, server.Resume)
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

// TestSilentConnectionIsGivenUp has a connection die without a sign, as behind a firewall that forgets it.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	closed := make(chan struct{}, 100)
	st := open(t, server.URL()+"?timeout=300ms", redisstore.Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return closing{conn, closed}, err
	}})
	if err := st.Do(t.Context(), "SET", "k", "v").Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	begin := time.Now()
	<-closed // nobody uses the connection
	if took := time.Since(begin); took > 600*time.Millisecond+soon {
		t.Errorf("given up after %v", took)
	}
	server.Resume()
	waitFor(t, "another connection", func() bool { return st.Do(t.Context(), "GET", "k").Err() == nil })
}

// closing is a connection that tells when it is closed.
type closing struct {
	net.Conn
	closed chan<- struct{}
}

func (c closing) Close() error {
	c.closed <- struct{}{}
	return c.Conn.Close()
}

// TestMoreCallersThanPlaces has more callers wait than the queue of a connection takes.
func TestMoreCallersThanPlaces(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	st := open(t, server.URL(), redisstore.Options{})
	if err := st.Do(t.Context(), "SET", "k", "v").Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	const callers = 3000
	begin := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := st.Do(ctx, "INCR", "n").Err(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("frozen: %v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("calls of 300 ms took up to %v", took)
	}
	server.Resume()
	waitFor(t, "an answer after that", func() bool { // a connection that was begun meanwhile is made again
		got, err := st.Do(t.Context(), "GET", "k").Text()
		return err == nil && got == "v"
	})
}

// TestSlotOfNobody: while a Cluster knows no owner of a slot, requests wait for one. That is how it looks after a primary has failed
// and before its replica is promoted.
func TestSlotOfNobody(t *testing.T) {
	leaktest.Check(t)
	nodes := redistest.StartCluster(t, 3)
	const slot = "12182" // of foo
	every := func(args ...string) {
		for _, node := range nodes {
			_, _ = node.Try(args...) // those that know already refuse
		}
	}
	every("CONFIG", "SET", "cluster-require-full-coverage", "no")
	owner := nodes[2]
	every("CLUSTER", "DELSLOTS", slot)
	quick := open(t, "redis+cluster://"+nodes[0].Addr+"?timeout=200ms", redisstore.Options{})
	if err := quick.Do(t.Context(), "SET", "foo", "1").Err(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a slot of nobody: %v", err)
	}
	patient := open(t, "redis+cluster://"+nodes[0].Addr+"?timeout=30s", redisstore.Options{})
	if err := patient.Do(t.Context(), "SET", "bar", "1").Err(); err != nil {
		t.Errorf("another slot: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- patient.Do(t.Context(), "INCR", "foo").Err() }()
	time.AfterFunc(200*time.Millisecond, func() { owner.Do("CLUSTER", "ADDSLOTS", slot) })
	if err := <-done; err != nil {
		t.Errorf("a request that waited for an owner: %v", err)
	}
	if n, err := patient.Do(t.Context(), "GET", "foo").Text(); n != "1" {
		t.Errorf("run %s times, %v", n, err)
	}
}
