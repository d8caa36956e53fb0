package kvstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

// openTo opens a Store of a handler that plays the server.
func openTo(t testing.TB, h http.HandlerFunc, o Options, query string) *Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg, err := store.ParseURL("http://token@" + server.Listener.Addr().String() + query)
	if err != nil {
		t.Fatal(err)
	}
	st, err := Open(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// commandsOf reads the pipeline of a request.
func commandsOf(t testing.TB, r *http.Request) (cmds [][]string) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &cmds)
	}
	if err != nil {
		t.Errorf("%s: %v: %.100q", r.URL, err, body)
	}
	return cmds
}

// answerOK says OK to every command of a pipeline.
func answerOK(t testing.TB, w http.ResponseWriter, r *http.Request) {
	n := len(commandsOf(t, r))
	_, _ = io.WriteString(w, "["+strings.TrimSuffix(strings.Repeat(`{"result":"OK"},`, n), ",")+"]")
}

func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection after some bytes: with a reset, or as if all were well.
func cut(text string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// What is no answer is repeated if all only read, and else not: the server may have run it.
func TestAnswersThatAreNone(t *testing.T) {
	const page = "<html><body>Bad Gateway</body></html>"
	for _, c := range []struct {
		name          string
		h             http.HandlerFunc
		class         error
		text          string
		reads, writes int // requests
	}{
		{"502 of a proxy", say(502, page, "Content-Type", "text/html"), store.ErrUnavailable, "502 ERR Bad Gateway", 2, 1},
		{"500 with an error", say(500, `{"error":"ERR internal"}`), store.ErrUnavailable, "500 ERR internal", 2, 1},
		{"503", say(503, ``), store.ErrUnavailable, "Service Unavailable", 2, 1},
		{"a page with 200", say(200, page, "Content-Type", "text/html"), store.ErrUnavailable, `of type "text/html", is not of a REST API`, 2, 1},
		{"half of the JSON", say(200, `[{"result":"dg=`), store.ErrUnavailable, "is not of a REST API", 2, 1},
		{"nothing", say(200, ``), store.ErrUnavailable, "is not of a REST API", 2, 1},
		{"neither result nor error", say(200, `[{}]`), store.ErrUnavailable, "neither a result nor an error", 2, 1},
		{"no base64", say(200, `[{"result":"%%"}]`), store.ErrUnavailable, "illegal base64", 2, 1},
		{"an object", say(200, `[{"result":{"a":1}}]`), store.ErrUnavailable, "a result that is none at byte 11", 2, 1},
		{"two replies", say(200, `[{"result":1},{"result":2}]`), store.ErrReply, "2 replies to 1 commands", 1, 1},
		{"less than was promised", cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"result\":", false), store.ErrUnavailable, "unexpected EOF", 2, 1},
		{"more than there is room for", cut("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n[{", false), store.ErrReply, "an answer of 9999999999 bytes", 1, 1},
		{"a reset", cut("", true), store.ErrUnavailable, "", 2, 1},
		{"a reset within the headers", cut("HTTP/1.1 200 OK\r\nContent-Le", true), store.ErrUnavailable, "", 2, 1},
		{"no HTTP", cut("-ERR this is Redis\r\n", false), store.ErrUnavailable, "malformed HTTP", 2, 1},
		{"401", say(401, `{"error":"WRONGPASS invalid or missing auth token"}`), store.ErrDenied, "does not know the token", 1, 1},
		{"403", say(403, page), store.ErrDenied, "Forbidden", 1, 1},
		{"404", say(404, page), store.ErrUnsupported, "is this the address of a REST API?", 1, 1},
		{"405", say(405, page), store.ErrUnsupported, "is this the address of a REST API?", 1, 1},
		{"413", say(413, `{"error":"ERR max request size exceeded"}`), store.ErrInvalid, "split the value", 1, 1},
		{"501", say(501, `{"error":"ERR this store has no transactions"}`), store.ErrUnsupported, "what is behind", 1, 1},
		{"a redirect", say(302, "", "Location", "https://elsewhere.example/login"), store.ErrUnsupported, `leads on to "https://elsewhere.example/login"`, 1, 1},
		{"429", say(429, page), store.ErrUnavailable, "429", 2, 2},
		{"429 for a long time", say(429, page, "Retry-After", "3600"), store.ErrUnavailable, "429", 1, 1},
		{"503 for a long time", say(503, page, "Retry-After", "3600"), store.ErrUnavailable, "503", 1, 1},
		{"400", say(400, `{"error":"ERR failed to parse the request"}`), nil, "ERR failed to parse the request", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			n := 0
			st := openTo(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				n++
				mu.Unlock()
				c.h(w, r)
			}, Options{}, "?retries=1")
			for _, ask := range []struct {
				cmd  store.Cmd
				want int
			}{{store.Cmd{"GET", "k"}, c.reads}, {store.Cmd{"INCR", "k"}, c.writes}} {
				mu.Lock()
				n = 0
				mu.Unlock()
				err := st.Do(t.Context(), ask.cmd...).Err()
				if err == nil || c.class != nil && !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s: %v", ask.cmd[0], err)
				}
				mu.Lock()
				if n != ask.want {
					t.Errorf("%s was sent %d times, want %d", ask.cmd[0], n, ask.want)
				}
				mu.Unlock()
				if err != nil && strings.Contains(err.Error(), "token@") {
					t.Errorf("the token is in %q", err)
				}
			}
		})
	}
}

// A write that could not be sent at all is sent again.
func TestUnsentWritesAreRepeated(t *testing.T) {
	tries := 0
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if tries++; tries == 1 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) { answerOK(t, w, r) }, Options{Client: &http.Client{Transport: transport}}, "")
	if err := st.Do(t.Context(), "SET", "k", "v").Err(); err != nil || tries != 2 {
		t.Errorf("%v after %d attempts to connect", err, tries)
	}
}

// held is a server that answers when it is told to.
type held struct {
	t       testing.TB
	arrived chan [][]string
	answer  chan struct{}
}

func newHeld(t testing.TB) *held {
	return &held{t, make(chan [][]string, 100), make(chan struct{}, 100)}
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cmds := commandsOf(h.t, r)
	h.arrived <- cmds
	select {
	case <-h.answer:
	case <-r.Context().Done():
		return
	}
	replies := make([]string, len(cmds))
	for i := range cmds {
		replies[i] = `{"result":1}`
	}
	_, _ = io.WriteString(w, "["+strings.Join(replies, ",")+"]")
}

// do runs a command in the background.
func do(ctx context.Context, st *Store, words ...string) <-chan error {
	end := make(chan error, 1)
	go func() { end <- st.Do(ctx, words...).Err() }()
	return end
}

// eventually looks until something is so; what it waits for gives no event.
func eventually(t testing.TB, st *Store, what string, ok func(b *batcher) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		st.batches.mu.Lock()
		done := ok(&st.batches)
		st.batches.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// What somebody left behind is not overtaken by what comes after; and it is sent, so that what undoes it finds it done.
func TestWhatIsLeftIsNotOvertaken(t *testing.T) {
	leaktest.Check(t, "larder/store/kvstore")
	h := newHeld(t)
	st := openTo(t, h.ServeHTTP, Options{}, "")
	ctx, leave := context.WithCancel(t.Context())
	first := do(ctx, st, "ACQUIRE", "lock")
	<-h.arrived
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	short, cancel := context.WithCancel(t.Context())
	second := do(short, st, "RELEASE", "lock")
	eventually(t, st, "a call to wait", func(b *batcher) bool { return len(b.waiting) == 1 })
	cancel()
	<-second
	gone, stop := context.WithCancel(t.Context())
	read := do(gone, st, "GET", "k") // which nobody misses
	eventually(t, st, "two calls to wait", func(b *batcher) bool { return len(b.waiting) == 2 })
	stop()
	<-read
	third := do(t.Context(), st, "SET", "k", "v")
	eventually(t, st, "three calls to wait", func(b *batcher) bool { return len(b.waiting) == 3 && b.running == 1 })
	if n := len(h.arrived); n != 0 {
		t.Errorf("%d requests overtook the first", n)
	}
	h.answer <- struct{}{}
	if got := fmt.Sprint(<-h.arrived); got != "[[RELEASE lock] [SET k v]]" {
		t.Errorf("then came %s", got)
	}
	h.answer <- struct{}{}
	if err := <-third; err != nil {
		t.Error(err)
	}
	eventually(t, st, "the end", func(b *batcher) bool { return b.running == 0 && b.left == 0 && b.strays == 0 })
}

// A ctx that ends ends one caller's wait. Those who share the request get their answers.
// A caller whose time is up at the moment the answer comes may see either first. It then leaves a request that is over, for which
// nothing has to wait.
func TestLeavingWhatIsOver(t *testing.T) {
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) { answerOK(t, w, r) }, Options{}, "")
	b := &st.batches
	c := &call{body: appendCommands(nil, []store.Cmd{{"SET", "k", "v"}}), n: 1, done: make(chan struct{})}
	b.waiting, b.running = []*call{c}, 1
	b.work()
	b.leave(c)
	if b.left != 0 {
		t.Errorf("%d requests are taken for left, and none is under way", b.left)
	}
	if err := <-do(t.Context(), st, "SET", "k", "v"); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestCallersShareARequestAndNotTheirEnd(t *testing.T) {
	h := newHeld(t)
	st := openTo(t, h.ServeHTTP, Options{}, "")
	var busy []<-chan error
	for range requests {
		busy = append(busy, do(t.Context(), st, "GET", "k"))
		<-h.arrived
	}
	ctx, leave := context.WithCancel(t.Context())
	a, b := do(ctx, st, "GET", "a"), do(t.Context(), st, "GET", "b")
	eventually(t, st, "two calls to wait", func(b *batcher) bool { return len(b.waiting) == 2 })
	h.answer <- struct{}{}
	if got := <-h.arrived; len(got) != 2 {
		t.Errorf("what waited came as %v", got)
	}
	leave()
	if err := <-a; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	for range requests {
		h.answer <- struct{}{}
	}
	for _, end := range append(busy, b) {
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
}

func TestCloseEndsCallsAtOnce(t *testing.T) {
	leaktest.Check(t, "larder/store/kvstore")
	h := newHeld(t)
	st := openTo(t, h.ServeHTTP, Options{}, "")
	var calls []<-chan error
	for range requests {
		calls = append(calls, do(t.Context(), st, "INCR", "k"))
		<-h.arrived // or the next call would go along
	}
	for range requests {
		calls = append(calls, do(t.Context(), st, "INCR", "k"))
	}
	eventually(t, st, "calls to wait", func(b *batcher) bool { return len(b.waiting) == requests })
	if err := errors.Join(st.Close(), st.Close()); err != nil {
		t.Error(err)
	}
	for _, end := range calls {
		if err := <-end; !errors.Is(err, store.ErrClosed) {
			t.Errorf("in flight: %v", err)
		}
	}
	for _, err := range []error{
		st.Do(t.Context(), "GET", "k").Err(), st.Pipe(t.Context(), store.Cmd{"GET", "k"})[0].Err(), st.Do(t.Context(), "BLPOP", "k", "0").Err(),
		st.Subscribe(t.Context(), store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}}),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// A server that does not answer costs a caller his deadline, or the Store's.
func TestSlowServer(t *testing.T) {
	h := newHeld(t)
	st := openTo(t, h.ServeHTTP, Options{}, "?timeout=100ms&retries=0")
	if err := st.Do(t.Context(), "GET", "k").Err(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	body := openTo(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `[{"result":`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, Options{}, "?timeout=100ms&retries=0")
	if err := body.Do(t.Context(), "INCR", "k").Err(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("half an answer: %v", err)
	}
}

// Services take requests of 10 MB.
func TestLargePipesAreSplit(t *testing.T) {
	var mu sync.Mutex
	var order []string
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 10<<20 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		cmds := commandsOf(t, r)
		mu.Lock()
		defer mu.Unlock()
		replies := make([]string, len(cmds))
		for i, c := range cmds {
			order = append(order, c[1])
			replies[i] = fmt.Sprintf(`{"result":%d}`, len(order))
		}
		_, _ = io.WriteString(w, "["+strings.Join(replies, ",")+"]")
	}, Options{}, "?timeout=60s")
	for name, n := range map[string]int{"x": 12, "\x00": 4, "": 25_000} {
		mu.Lock()
		order = nil
		mu.Unlock()
		value := strings.Repeat(name, 1<<20)
		cmds := make([]store.Cmd, n)
		for i := range cmds {
			cmds[i] = store.Cmd{"SET", fmt.Sprint(i + 1), value}
		}
		for i, r := range st.Pipe(t.Context(), cmds...) {
			if got, err := r.Int64(); err != nil || got != int64(i+1) || order[i] != cmds[i][1] {
				t.Fatalf("%d of %d: %d, %v", i, n, got, err)
			}
		}
	}
	err := st.Do(t.Context(), "SET", "k", strings.Repeat("x", 11<<20)).Err()
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "split the value") {
		t.Errorf("too large a value: %v", err)
	}
}

// The token of a read that began before a write does not replace the write's.
func TestSyncTokens(t *testing.T) {
	type asked struct {
		name, token string
		answer      chan string
	}
	requests := make(chan asked)
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) {
		a := asked{commandsOf(t, r)[0][0], r.Header.Get("Upstash-Sync-Token"), make(chan string)}
		requests <- a
		if token := <-a.answer; token != "" {
			w.Header().Set("Upstash-Sync-Token", token)
		}
		_, _ = io.WriteString(w, `[{"result":1}]`)
	}, Options{}, "")
	check := func(a asked, name, token string) {
		t.Helper()
		if a.name != name || a.token != token {
			t.Errorf("%s came with the token %q, want %s with %q", a.name, a.token, name, token)
		}
	}
	read := do(t.Context(), st, "GET", "k")
	slow := <-requests
	check(slow, "GET", "")
	write := do(t.Context(), st, "INCR", "k")
	a := <-requests
	check(a, "INCR", "")
	a.answer <- "after the write"
	<-write
	slow.answer <- "before the write"
	<-read
	for _, step := range []struct{ name, want, answer string }{
		{"GET", "after the write", "later"}, {"GET", "later", ""}, {"INCR", "later", "last"}, {"GET", "last", "last"},
	} {
		end := do(t.Context(), st, step.name, "k")
		a := <-requests
		check(a, step.name, step.want)
		a.answer <- step.answer
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
}
