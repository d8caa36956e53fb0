package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/rest"
)

// events reads server-sent events.
type events struct {
	t      testing.TB
	r      *bufio.Scanner
	body   interface{ Close() error }
	cancel context.CancelFunc
}

func (s *site) listen(path string, headers ...string) *events {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader("[]"))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Upstash-Encoding", "base64")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("%s: %s %v", path, resp.Status, resp.Header)
	}
	e := &events{s.t, bufio.NewScanner(resp.Body), resp.Body, cancel}
	s.t.Cleanup(e.close)
	return e
}

func (e *events) close() {
	e.cancel()
	_ = e.body.Close()
}

// want reads lines that begin with data.
func (e *events) want(lines ...string) {
	e.t.Helper()
	for _, want := range lines {
		for {
			if !e.r.Scan() {
				e.t.Fatalf("the end (%v), want %q", e.r.Err(), want)
			}
			if e.r.Text() != "" {
				break
			}
		}
		if got := e.r.Text(); got != want {
			e.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestSubscribe(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newSite(t)
	ab, all := s.listen("/subscribe/a/b%2Fc"), s.listen("/psubscribe/*")
	ab.want("data: subscribe,a,1", "data: subscribe,b/c,2")
	all.want("data: psubscribe,*,1")
	for _, c := range [][2]string{{"a", "1"}, {"b/c", "two, words"}, {"x", "y"}, {"a", "line\nline"}} {
		status, _, answer := s.request("POST", "/", fmt.Sprintf(`["PUBLISH",%q,%q]`, c[0], c[1]))
		if status != 200 || answer == `{"result":0}` {
			t.Errorf("%v: %d %s", c, status, answer)
		}
	}
	ab.want("data: message,a,1", "data: message,b/c,two, words", "data: message,a,line", "data: line")
	all.want("data: pmessage,*,a,1", "data: pmessage,*,b/c,two, words", "data: pmessage,*,x,y", "data: pmessage,*,a,line", "data: line")
	if n := s.h.Stats().Subscribers; n != 2 {
		t.Errorf("%d subscribers", n)
	}
	ab.close()
	all.close()
	fleet.Eventually(t, "subscribers to go", func() bool { return s.h.Stats().Subscribers == 0 })
	fleet.Eventually(t, "the store's subscriptions to go", func() bool {
		n, _ := s.db.Do(t.Context(), "PUBSUB", "NUMPAT").Int64()
		list, _ := s.db.Do(t.Context(), "PUBSUB", "CHANNELS").Strings()
		return n == 0 && len(list) == 0
	})
}

// The end of the Server ends subscriptions; so http.Server.Shutdown does not wait for them.
func TestCloseEndsSubscriptions(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newSite(t)
	e := s.listen("/subscribe/a")
	e.want("data: subscribe,a,1")
	if err := s.h.Close(); err != nil {
		t.Error(err)
	}
	for e.r.Scan() {
		if e.r.Text() != "" {
			t.Errorf("%q after the end", e.r.Text())
		}
	}
	if status, _, answer := s.request("POST", "/subscribe/a", ""); status != 503 {
		t.Errorf("a new one: %d %s", status, answer)
	}
}

func TestRefusedSubscriptions(t *testing.T) {
	s := newSite(t, func(o *rest.Options) { o.MaxSubscribers = 1 })
	for _, c := range []struct {
		path   string
		auth   string
		status int
	}{
		{"/subscribe", token, 400}, {"/psubscribe/", token, 400}, {"/monitor/x", token, 400}, {"/monitor", readOnly, 400},
		{"/subscribe/a", "x", 401}, {"/subscribe/" + strings.Repeat("a/", 1001), token, 400},
	} {
		if status, _, answer := s.request("GET", c.path, "", "Authorization", "Bearer "+c.auth); status != c.status {
			t.Errorf("%s: %d %s", c.path[:min(len(c.path), 20)], status, answer)
		}
	}
	e := s.listen("/subscribe/a", "Authorization", "Bearer "+readOnly)
	e.want("data: subscribe,a,1")
	if status, _, answer := s.request("GET", "/subscribe/a", ""); status != 503 {
		t.Errorf("one too many: %d %s", status, answer)
	}
}

// A client that does not read is disconnected and counted; others get everything.
func TestSlowSubscriber(t *testing.T) {
	s := newSite(t, func(o *rest.Options) { o.Backlog = 100 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /subscribe/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token)
	quick := s.listen("/subscribe/a")
	quick.r.Buffer(nil, 128<<10)
	quick.want("data: subscribe,a,1")
	fleet.Eventually(t, "two subscribers", func() bool { return s.h.Stats().Subscribers == 2 })
	payload := strings.Repeat("x", 64<<10)
	for n := range 10_000 { // what the kernel keeps for the one that does not read is some megabytes
		if err := s.db.Do(t.Context(), "PUBLISH", "a", payload).Err(); err != nil {
			t.Fatal(err)
		}
		if quick.want("data: message,a," + payload); s.h.Stats().Slow > 0 {
			t.Logf("disconnected after %d messages of 64 KiB", n)
			break
		}
	}
	if got := s.h.Stats().Slow; got != 1 {
		t.Fatalf("%d were slow", got)
	}
	fleet.Eventually(t, "it to be disconnected", func() bool { return s.h.Stats().Subscribers == 1 })
	if err := s.db.Do(t.Context(), "PUBLISH", "a", "x").Err(); err != nil {
		t.Fatal(err)
	}
	quick.want("data: message,a,x")
}
