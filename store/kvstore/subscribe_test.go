package kvstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

// heard is what a subscription was told, in order.
func heard(t testing.TB, st *Store, sub store.Subscription) (events <-chan string, end <-chan error, leave context.CancelFunc) {
	t.Helper()
	all, over := make(chan string, 100), make(chan error, 1)
	sub.OnReady = func(resumed bool) { all <- fmt.Sprint("ready ", resumed) }
	sub.OnMessage = func(m store.Message) { all <- fmt.Sprintf("%s|%s|%s", m.Pattern, m.Channel, m.Payload) }
	ctx, leave := context.WithCancel(t.Context())
	go func() { over <- st.Subscribe(ctx, sub) }()
	return all, over, leave
}

func want(t testing.TB, events <-chan string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		select {
		case got := <-events:
			if got != text {
				t.Errorf("heard %q, want %q", got, text)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("waited in vain for %q", text)
		}
	}
}

// A subscription that is lost is restored, and says so; pages and errors of proxies count as lost.
func TestSubscriptionIsRestored(t *testing.T) {
	leaktest.Check(t, "larder/store/kvstore")
	attempts := make(chan http.HandlerFunc, 10)
	stream := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, text)
		}
	}
	attempts <- stream("data: subscribe,a,1\n\ndata: subscribe,a,b,2\n\n: still here\n\nretry: 5\nid: 7\ndata: message,a,one,two\n\ndata:message,a,b,x\ndata: y\n\nnonsense\ndata: what,ever\n\ndata: mess")
	attempts <- cut("", true)
	attempts <- say(502, "<html>", "Content-Type", "text/html")
	attempts <- say(200, "<html>", "Content-Type", "text/html")
	attempts <- say(429, "{}")
	attempts <- stream("data: subscribe,a,1\n\n") // ends before all is confirmed
	attempts <- stream("data: subscribe,a,1\r\n\r\ndata: message,a,early\n\ndata: subscribe,a,b,2\r\n\r\ndata: message,a,late\r\n\r\n")
	attempts <- func(w http.ResponseWriter, r *http.Request) {
		stream("data: subscribe,a,1\n\ndata: subscribe,a,b,2\n\n")(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.URL.Path != "/subscribe/a/a,b" || string(body) != "[]" || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("%s %s %q", r.Method, r.URL.Path, body)
		}
		(<-attempts)(w, r)
	}, Options{}, "")
	events, end, leave := heard(t, st, store.Subscription{Channels: []string{"a", "a,b"}})
	want(t, events, "ready false", "|a|one,two", "|a,b|x\ny", "ready true", "|a|early", "|a|late", "ready true")
	leave()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A server that says when to come back is not asked before.
func TestSubscriptionWaitsAsTold(t *testing.T) {
	attempts := make(chan time.Time, 10)
	st := openTo(t, func(w http.ResponseWriter, r *http.Request) {
		attempts <- time.Now()
		say(503, "{}", "Retry-After", "1")(w, r)
	}, Options{}, "")
	_, end, leave := heard(t, st, store.Subscription{Channels: []string{"a"}})
	first := <-attempts
	if waited := (<-attempts).Sub(first); waited < time.Second {
		t.Errorf("asked again after %v", waited)
	}
	leave()
	<-end
}

// Memory is bounded where a line does not end.
func TestLongLines(t *testing.T) {
	for _, c := range []struct {
		size int
		ok   bool
	}{{0, true}, {5000, true}, {9999, true}, {1 << 20, false}} {
		r := bufio.NewReader(strings.NewReader(strings.Repeat("x", c.size) + "\nnext\n"))
		line, err := readLine(r, 10_000)
		if c.ok && (err != nil || len(line) != c.size+1) || !c.ok && (!errors.Is(err, store.ErrReply) || r.Size() > 10_000) {
			t.Errorf("%d: %d bytes, %v", c.size, len(line), err)
		}
	}
	if _, err := readLine(bufio.NewReader(strings.NewReader("data: mess")), 10); err != io.EOF {
		t.Error(err)
	}
}

// What will not get better ends it.
func TestSubscriptionIsRefused(t *testing.T) {
	for _, c := range []struct {
		h     http.HandlerFunc
		class error
		text  string
	}{
		{say(401, `{"error":"WRONGPASS invalid or missing auth token"}`), store.ErrDenied, "WRONGPASS"},
		{say(400, `{"error":"NOPERM this user has no permissions to access one of the channels used as arguments"}`), store.ErrDenied, "NOPERM"},
		{say(404, "<html>"), store.ErrUnsupported, "is this the address of a REST API?"},
		{say(307, "", "Location", "/elsewhere"), store.ErrUnsupported, "/elsewhere"},
	} {
		st := openTo(t, c.h, Options{}, "")
		for _, sub := range []store.Subscription{{Channels: []string{"c"}}, {Patterns: []string{"p*"}}, {Channels: []string{"c"}, Patterns: []string{"p*"}}} {
			_, end, _ := heard(t, st, sub)
			if err := <-end; !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		}
	}
	st := openTo(t, say(500, ""), Options{}, "")
	for _, sub := range []store.Subscription{{}, {Shards: []string{"s"}}} {
		_, end, _ := heard(t, st, sub)
		if err := <-end; !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%+v: %v", sub, err)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("subscribe,a,1", false)
	f.Add("message,a,b,c", false)
	f.Add("message,YQ==,Yg==", true)
	f.Add("pmessage,a*,a,x", false)
	f.Fuzz(func(_ *testing.T, event string, coded bool) {
		l := &listening{sub: store.Subscription{Channels: []string{"a", "a,b"}, Patterns: []string{"a*"}, OnMessage: func(store.Message) {}}}
		for range 4 {
			l.take(event, coded)
		}
	})
}
