package demo

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/cmd/larder/internal/shopdb"
)

func TestWriteTable(t *testing.T) {
	var b bytes.Buffer
	err := writeTable(&b,
		measured{rate: 4812.4, p50: 4100 * time.Microsecond, p99: 20 * time.Millisecond, served: 48_124, queries: 72_186, hitRatio: -1},
		measured{rate: 14_903, p50: 1200 * time.Microsecond, p99: 21 * time.Millisecond, served: 149_030, queries: 29_806, hitRatio: 0.9123, refused: 7321})
	if err != nil {
		t.Fatal(err)
	}
	want := `
                       without   with Larder
  ────────────────────────────────────────────────────────
  requests/s             4,812        14,903     3.1x more
  p50                  4.10 ms       1.20 ms   3.4x faster
  p99                 20.00 ms      21.00 ms   1.1x slower
  requests served       48,124       149,030
  database queries      72,186        29,806
  queries a request       1.50          0.20    7.5x fewer
  hit ratio                  -        91.2 %
  requests refused           0         7,321
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got%swant%s", got, want)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s", n, got)
		}
	}
}

func TestTimes(t *testing.T) {
	if got := times(0, 5, "more"); got != "" {
		t.Error(got)
	}
	if got := times(100, 101, "more"); got != "the same" {
		t.Error(got)
	}
	if got := times(100, 200, "more"); got != "2.0x fewer" {
		t.Error(got)
	}
}

func TestTraffic(t *testing.T) {
	tr := newTraffic(shopdb.SizeOf(1000), 500, 7)
	next, again, other := tr.source(0), tr.source(0), tr.source(1)
	paths, clients, sameAsOther := map[string]int{}, map[string]int{}, 0
	const requests = 20_000
	for range requests {
		r := next()
		if r != again() {
			t.Fatal("the same seed made another request")
		}
		if r == other() {
			sameAsOther++
		}
		paths[r.Path]++
		clients[r.Client]++
	}
	if sameAsOther > requests/10 {
		t.Errorf("two connections made the same request %d times", sameAsOther)
	}
	if n := paths["/api/products/featured"]; n < requests/5 || n > requests/3 {
		t.Errorf("featured %d times", n)
	}
	// A few addresses ask far more than everybody else.
	counts := slices.Sorted(maps.Values(clients))
	if len(counts) < 400 || counts[len(counts)-abusers] < 4*counts[len(counts)-abusers-1]/2 {
		t.Errorf("%d clients; the busiest %v", len(counts), counts[len(counts)-8:])
	}
}

// serveText serves one text.
func serveText(t *testing.T, text func(path string) string) *server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(text(r.URL.Path))) }))
	t.Cleanup(s.Close)
	return &server{addr: s.Listener.Addr().String()}
}

func TestSamePages(t *testing.T) {
	d := demo{Options: Options{Seed: 1}, traffic: newTraffic(shopdb.SizeOf(1000), 10, 1)}
	plain := serveText(t, func(path string) string { return path })
	if n, err := d.samePages(t.Context(), plain, plain); n == 0 || err != nil {
		t.Error(n, err)
	}
	wrong := serveText(t, func(path string) string { return strings.Replace(path, "/plan", "/plan ", 1) })
	if _, err := d.samePages(t.Context(), plain, wrong); err == nil || !strings.Contains(err.Error(), "is not the same") {
		t.Error(err)
	}
}

func options(out *bytes.Buffer) Options {
	return Options{Out: out, Addr: "127.0.0.1:0", Duration: time.Second, Products: 2000, Clients: 20_000, Connections: 4, Seed: 3}
}

func TestRunOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	var out bytes.Buffer
	o := options(&out)
	o.Once = true
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"requests/s", "p50", "p99", "database queries", "hit ratio", "requests refused", "200 pages compared"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestRunRefusesBusyPort(t *testing.T) {
	busy := serveText(t, func(string) string { return "" })
	var out bytes.Buffer
	o := options(&out)
	o.Addr = busy.addr
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--addr") || out.Len() > 0 {
		t.Errorf("%v after %s", err, out.String())
	}
}

func TestRunRefusesStoreThatIsNotThere(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var out bytes.Buffer
	o := options(&out)
	o.Store = "redis://" + gone.Listener.Addr().String()
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--store") {
		t.Error(err)
	}
}

// signalling ends a context once a text has been written.
type signalling struct {
	bytes.Buffer
	text string
	stop func()
}

func (s *signalling) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

func TestRunStaysUpUntilInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	ctx, stop := context.WithCancel(t.Context())
	out := &signalling{text: "The shop stays up", stop: stop}
	o := options(nil)
	o.Out = out
	if err := Run(ctx, o); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "/api/products/featured") {
		t.Error(out.String())
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &signalling{text: "database alone", stop: stop}
	o := options(nil)
	o.Out = out
	if err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
