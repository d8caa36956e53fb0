package top

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// serve is a Larder server on a loopback port.
func serve(t *testing.T, settings map[string]string) (*larder.DB, string) {
	t.Helper()
	db, err := larder.Open(larder.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- db.Serve(l) }()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return db, l.Addr().String()
}

// recorder notes what is asked of a Store.
type recorder struct {
	store.Store
	mu    *sync.Mutex
	names map[string]int
}

func (r recorder) note(words []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := words[0]
	switch name {
	case "OBJECT", "MEMORY", "LATENCY", "SLOWLOG", "CLIENT", "CLUSTER":
		name += " " + words[1]
	}
	r.names[name]++
}

func (r recorder) Do(ctx context.Context, words ...string) store.Reply {
	r.note(words)
	return r.Store.Do(ctx, words...)
}

func (r recorder) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	for _, c := range cmds {
		r.note(c)
	}
	return r.Store.Pipe(ctx, cmds...)
}

func openAt(t *testing.T, url string) *Source {
	t.Helper()
	src, err := Open(url, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // twice is once
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return src
}

// fill writes some keys of every type, through a client of its own.
func fill(t *testing.T, addr string) {
	t.Helper()
	st, err := larder.Connect(t.Context(), "redis://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var cmds []store.Cmd
	for i := range 300 {
		cmds = append(cmds, store.Cmd{"SET", fmt.Sprintf("user:%d", i), "v", "EX", "1000"})
	}
	cmds = append(cmds, store.Cmd{"SET", "big:string", strings.Repeat("x", 100_000)}, store.Cmd{"HSET", "big:hash", "f", strings.Repeat("x", 50_000)}, store.Cmd{"RPUSH", "l\x1b[2J:\xff\n", "a"},
		store.Cmd{"ZADD", "z:1", "1", "m"}, store.Cmd{"SADD", "s:1", "m"}, store.Cmd{"XADD", "x:1", "*", "f", "v"}, store.Cmd{"GET", "missing"}, store.Cmd{"GET", "user:1"})
	for i, r := range st.Pipe(t.Context(), cmds...) {
		if r.Err() != nil {
			t.Fatal(cmds[i], r.Err())
		}
	}
}

// sweepAll goes through all keys.
func sweepAll(t *testing.T, src *Source) *Sweep {
	t.Helper()
	w := newSweep(":", 1)
	for at := (Place{}); ; {
		b, err := src.Scan(t.Context(), at, ScanWant{Rate: 500, Freq: true, TypeAbove: 1024})
		if err != nil {
			t.Fatal(err)
		}
		if b.Pause > 10*time.Second || !b.Done && b.Pause < 50*time.Millisecond {
			t.Errorf("a pause of %v after %d keys", b.Pause, len(b.Keys))
		}
		w.Total = plus(w.Total, b.Total)
		for _, k := range b.Keys {
			w.add(k)
		}
		if at = b.Next; b.Done {
			w.Done = true
			return w
		}
	}
}

// The same against a Larder server and a redis-server: what is read, that nothing is written, and that what it looks up
// is not in the hit ratio.
func TestSource(t *testing.T) {
	for _, kind := range []string{"larder", "redis"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t)
			var addr string
			if kind == "larder" {
				_, addr = serve(t, map[string]string{"maxmemory-policy": "allkeys-lfu", "maxmemory": "100mb"})
			} else {
				addr = redistest.Start(t, "--maxmemory-policy", "allkeys-lfu", "--maxmemory", "100mb").Addr
			}
			fill(t, addr)
			src := openAt(t, addr) // without a scheme
			asked := recorder{src.nodes[0].st, new(sync.Mutex), map[string]int{}}
			src.nodes[0].st = asked
			want := Want{SlowLog: true, Clients: true}
			before := src.Read(t.Context(), want)[0]
			if before.Err != nil || before.Latency == nil || before.SlowLog == nil || len(before.Clients) < 1 || len(before.Refused) != 0 {
				t.Fatalf("%+v", before)
			}
			if name := before.Clients[len(before.Clients)-1].Name; name != "larder-top" {
				t.Errorf("the client's name is %q", name)
			}
			w := sweepAll(t, src)
			if w.Seen < 306 || w.big.list[0].name != "big:string" || w.big.list[0].facts.Type != "string" || w.big.list[1].name != "big:hash" || len(w.hot.list) == 0 {
				t.Errorf("%v keys seen, big %+v, %d hot", w.Seen, w.big.list[:2], len(w.hot.list))
			}
			for _, n := range w.namespaces() {
				if wantTTL := n.Name == "user"; n.Name == "user" && (n.Keys.V != 300 || !same(n.NoTTL, num(0))) || !wantTTL && !same(n.NoTTL, num(1)) {
					t.Errorf("%+v", n)
				}
			}
			after := src.Read(t.Context(), want)[0]
			o := overviewOf(before, after)
			if !same(o.Lookups, num(0)) || o.Keys.V != 306 || o.NoTTL.V != 6 || o.Policy != "allkeys-lfu" || strings.HasPrefix(o.Server, "larder ") != (kind == "larder") || o.Ops.V <= 0 {
				t.Errorf("%+v", o)
			}
			fill(t, addr) // a hit and a miss
			if o := overviewOf(before, src.Read(t.Context(), want)[0]); !same(o.HitRatioAll, num(0.5)) {
				t.Errorf("hit ratio since start %v", o.HitRatioAll)
			}
			other := openAt(t, addr)
			if err := other.nodes[0].st.Do(t.Context(), "CONFIG", "RESETSTAT").Err(); err != nil {
				t.Fatal(err)
			}
			fill(t, addr)
			reset := src.Read(t.Context(), want)[0]
			if o := overviewOf(after, reset); !o.Reset || o.Ops.OK || o.HitRatio.OK || !same(o.HitRatioAll, num(0.5)) {
				t.Errorf("after CONFIG RESETSTAT: %+v", o)
			}
			for name := range asked.names {
				if !has([]string{"INFO", "LATENCY HISTOGRAM", "SLOWLOG GET", "CLIENT LIST", "SCAN", "DBSIZE", "MEMORY USAGE", "PTTL", "OBJECT FREQ", "TYPE"}, name) {
					t.Errorf("it sends %s", name)
				}
			}
			if a, _ := before.Info.Text("rdb_changes_since_last_save"); a == "" {
				t.Error("no rdb_changes_since_last_save")
			} else if b, _ := after.Info.Text("rdb_changes_since_last_save"); a != b {
				t.Errorf("%s changes before, %s after", a, b)
			}
			for _, key := range []string{"big:hash", "l\x1b[2J:\xff\n", "z:1", "x:1", "s:1", "user:1"} {
				if d := src.Examine(t.Context(), src.nodes[0].name, key); d.Err != nil || len(d.Lines) < 5 {
					t.Errorf("%q: %+v", key, d)
				}
			}
			for _, key := range []string{"nothing", strings.Repeat("k", 4096)} {
				if d := src.Examine(t.Context(), src.nodes[0].name, key); d.Err == nil {
					t.Errorf("%.20q: %+v", key, d)
				}
			}
		})
	}
}

func TestMonitorOf(t *testing.T) {
	for _, kind := range []string{"larder", "redis"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t)
			var addr string
			if kind == "larder" {
				_, addr = serve(t, map[string]string{"requirepass": "sesame"})
			} else {
				addr = redistest.Start(t, "--requirepass", "sesame").Addr
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			st, err := larder.Connect(ctx, "redis://:sesame@"+addr)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			var load sync.WaitGroup
			load.Go(func() {
				for ctx.Err() == nil {
					st.Pipe(ctx, store.Cmd{"GET", "hot\x1b[2J"}, store.Cmd{"GET", "hot\x1b[2J"}, store.Cmd{"SET", "warm", "v"})
				}
			})
			src := openAt(t, "redis://:sesame@"+addr)
			fake := clock.NewFake(time.Unix(0, 0))
			src.clock = fake
			go func() { // five seconds pass when it has begun
				fake.BlockUntilWaiters(1)
				for range 200 {
					st.Do(ctx, "PING")
				}
				fake.Advance(monitorFor)
			}()
			m, err := src.Monitor(ctx, 0)
			cancel()
			load.Wait()
			if err != nil || len(m.Keys) < 2 || m.Keys[0].Key != "hot\x1b[2J" || m.Keys[0].Writes.V != 0 || m.Keys[1].Key != "warm" || m.Keys[1].Reads.V != 0 {
				t.Errorf("%+v %v", m, err)
			}
			if _, err := src.Monitor(t.Context(), 7); err == nil {
				t.Error("a node that there is not")
			}
			wrong := openAt(t, "redis://:wrong@"+addr)
			if _, err := wrong.Monitor(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}

// What a user may not do is a dash and its reason, not the end.
func TestRefused(t *testing.T) {
	db, addr := serve(t, nil)
	if err := db.Do(t.Context(), "ACL", "SETUSER", "watcher", "on", ">pw", "~user:*", "+info", "+scan", "+pttl", "+dbsize").Err(); err != nil {
		t.Fatal(err)
	}
	fill(t, addr)
	src := openAt(t, "redis://watcher:pw@"+addr)
	s := src.Read(t.Context(), Want{SlowLog: true, Clients: true})[0]
	if s.Err != nil || s.Latency != nil || !strings.Contains(s.Refused["LATENCY"], "NOPERM") || !strings.Contains(s.Refused["CLIENT"], "NOPERM") || !strings.Contains(s.Refused["SLOWLOG"], "NOPERM") {
		t.Errorf("%+v", s)
	}
	b, err := src.Scan(t.Context(), Place{}, ScanWant{Rate: 100_000, Freq: true})
	if err != nil || len(b.Keys) == 0 || b.Keys[0].Bytes.OK || !strings.Contains(b.NoFreq, "NOPERM") {
		t.Errorf("%+v %v", b.NoFreq, err)
	}
	if err := db.Do(t.Context(), "ACL", "SETUSER", "watcher", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	if s := src.Read(t.Context(), Want{})[0]; s.Err == nil || !strings.HasPrefix(s.Err.Error(), "NOPERM") {
		t.Errorf("without INFO: %v", s.Err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{"mem://": "another process", "ftp://x": "unknown scheme", "redis://h:99999": "port", "redis+sentinel://h": "master"} {
		if _, err := Open(url, clock.System()); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	src := openAt(t, "redis://user:secret@127.0.0.1:1")
	if strings.Contains(src.String(), "secret") {
		t.Errorf("a password in %s", src)
	}
	s := src.Read(t.Context(), Want{})[0]
	if s.Err == nil || strings.Contains(s.Err.Error(), "secret") {
		t.Errorf("nobody listens: %v", s.Err)
	}
	if _, err := Once(t.Context(), src, clock.System(), time.Second); err == nil {
		t.Error("one reading of nobody")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s := src.Read(ctx, Want{})[0]; s.Err == nil {
		t.Error("a reading after its end")
	}
}

// A server that dies shows its reason, and is read again when it is back, with counters of its own.
func TestServerComesBack(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	src := openAt(t, server.URL())
	fill(t, server.Addr)
	sweepAll(t, src)
	before := src.Read(t.Context(), Want{})[0]
	if before.Err != nil || before.OwnHits == 0 {
		t.Fatalf("%+v", before)
	}
	server.Stop()
	if s := src.Read(t.Context(), Want{})[0]; s.Err == nil {
		t.Error("a server that is gone was read")
	}
	if _, err := src.Scan(t.Context(), Place{}, ScanWant{Rate: 10}); err == nil {
		t.Error("a server that is gone was scanned")
	}
	server.Restart()
	redistest.Eventually(t, "the server is read again", func() bool { return src.Read(t.Context(), Want{})[0].Err == nil })
	fill(t, server.Addr)
	after := src.Read(t.Context(), Want{})[0]
	if o := overviewOf(before, after); !o.Reset || o.Ops.OK || !same(o.HitRatioAll, num(0.5)) {
		t.Errorf("after a restart: %+v", o)
	}
}

func TestClusterAndSentinel(t *testing.T) {
	leaktest.Check(t)
	nodes := redistest.StartCluster(t, 3)
	src := openAt(t, "redis+cluster://"+nodes[1].Addr)
	samples := src.Read(t.Context(), Want{SlowLog: true, Clients: true})
	if len(samples) != 3 {
		t.Fatalf("%d servers", len(samples))
	}
	for _, s := range samples {
		if s.Err != nil {
			t.Fatal(s.Name, s.Err)
		}
	}
	st, err := larder.Connect(t.Context(), "redis+cluster://"+nodes[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for i := range 100 {
		if err := st.Do(t.Context(), "SET", fmt.Sprint("k:", i), "v").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if w := sweepAll(t, src); w.Seen != 100 || w.Total.V != 100 || !same(w.namespaces()[0].Keys, num(100)) {
		t.Errorf("%v of %v keys", w.Seen, w.Total)
	}
	board := newBoard()
	board.take(samples)
	board.take(src.Read(t.Context(), Want{}))
	if len(board.Names) != 4 || board.at(0).over.Keys.V != 100 || board.at(0).cur.Nodes != 3 || board.at(0).over.Mode != "cluster" {
		t.Errorf("%v %+v", board.Names, board.at(0).over)
	}
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	src = openAt(t, "redis+sentinel://"+sentinel.Addr+"/mymaster")
	if s := src.Read(t.Context(), Want{})[0]; s.Err != nil {
		t.Error("behind a sentinel: ", s.Err)
	}
}

// torrent shows commands until it is told to stop, or breaks.
type torrent struct {
	store.Store
	line  string
	after int // lines before it breaks; 0 never does
	shown int
}

func (f *torrent) Monitor(ctx context.Context, fn func(string)) error {
	fn("OK")
	for ctx.Err() == nil {
		if f.shown++; f.after > 0 && f.shown > f.after {
			return errors.New("the connection broke")
		}
		fn(f.line)
	}
	return ctx.Err()
}

// A sample ends by itself after so many commands or bytes, however fast the server, and not as a sample if it broke off.
func TestMonitorIsBounded(t *testing.T) {
	src := openAt(t, "127.0.0.1:1")
	st := src.nodes[0].st
	sample := func(ctx context.Context, f *torrent) (Monitored, error) {
		f.Store = st
		src.nodes[0].st = f
		return src.Monitor(ctx, 0)
	}
	short := `1.0 [0 127.0.0.1:1] "get" "k"`
	if m, err := sample(t.Context(), &torrent{line: short}); err != nil || m.Calls != monitorCalls || m.Keys[0].Key != "k" {
		t.Errorf("short lines: %d calls, %v", m.Calls, err)
	}
	long := short + strings.Repeat(" ", 64<<10)
	if m, err := sample(t.Context(), &torrent{line: long}); err != nil || m.Calls > monitorBytes>>16 || m.Calls == 0 {
		t.Errorf("long lines: %d calls, %v", m.Calls, err)
	}
	if _, err := sample(t.Context(), &torrent{line: short, after: 100}); err == nil {
		t.Error("what broke off is a sample")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sample(ctx, &torrent{line: short}); err == nil {
		t.Error("what was cancelled is a sample")
	}
	src.nodes[0].st = st
	if _, err := src.Monitor(t.Context(), 0); err == nil {
		t.Error("nobody listens there")
	}
}
