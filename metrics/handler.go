package metrics

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// DefaultTimeout is Options.Timeout where that is 0. Prometheus gives up after ten seconds.
const DefaultTimeout = 5 * time.Second

// Options of a Handler. The zero value is good.
type Options struct {
	// Timeout bounds a scrape. When it is over the answer says redis_up 0.
	Timeout time.Duration

	// Extra, if set, gives further figures with each scrape: of a REST handler, or of the program. It is called by one
	// goroutine at a time and should not block.
	Extra func() []Figure

	// Clock is where time comes from, for tests of this module.
	Clock clock.Clock
}

// Figure is one sample of a metric that Options.Extra adds. Figures of one name should agree in Help and Counter; the
// first of them counts. One whose name or labels Prometheus would not take is left out, and counted in
// larder_metrics_dropped.
type Figure struct {
	Name    string // larder_rest_requests_total
	Help    string
	Counter bool // or else a gauge
	Labels  []Label
	Value   float64
}

// Label is a label of a [Figure].
type Label struct{ Name, Value string }

// Handler shows st to Prometheus. It asks st only when it is asked, once for all requests that come meanwhile, and never
// fails: what went wrong is in redis_up and redis_exporter_last_scrape_error. GET and HEAD are answered, on any path.
// It is safe for concurrent use, and does not close st. Who may read it is for the caller to see to: it shows no keys and
// no values, but names of namespaces.
//
// Cost of a scrape: one round trip, O(commands in use + namespaces), some 100 KB of text at the most that bounds on
// labels allow in practice.
func Handler(st store.Store, o Options) http.Handler {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return &handler{st: st, o: o}
}

type handler struct {
	st store.Store
	o  Options

	mu      sync.Mutex
	flight  *flight // the scrape under way; nil: none
	scrapes float64
}

// flight is a scrape that requests share. page is set before done is closed.
type flight struct {
	ctx  context.Context
	done chan struct{}
	page *page
}

// ServeHTTP answers a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f := h.join()
	var p *page
	select {
	case <-f.done:
		p = f.page
	case <-f.ctx.Done(): // the store may not heed it
		select {
		case <-f.done:
			p = f.page
		default:
			p = failed(context.Cause(f.ctx))
		}
	case <-r.Context().Done():
		return
	}
	var b bytes.Buffer
	open := wantsOpenMetrics(r.Header.Values("Accept"))
	p.write(&b, open)
	kind := "text/plain; version=0.0.4; charset=utf-8"
	if open {
		kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b.Bytes()) // the scraper went away
}

// join is the scrape under way, or a new one.
func (h *handler) join() *flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.flight != nil {
		return h.flight
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.o.Timeout)
	f := &flight{ctx: ctx, done: make(chan struct{})}
	h.flight = f
	h.scrapes++
	scrapes := h.scrapes
	go func() {
		p := h.scrape(ctx, scrapes)
		h.mu.Lock()
		f.page, h.flight = p, nil
		h.mu.Unlock()
		close(f.done)
		cancel()
	}()
	return f
}

// wantsOpenMetrics reads Accept: whether OpenMetrics is named, and not liked less than plain text.
func wantsOpenMetrics(accept []string) bool {
	var open, text float64
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		q := 1.0
		for _, p := range strings.Split(params, ";") {
			if name, value, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(name, "q") {
				if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 0 && n <= 1 {
					q = n
				}
			}
		}
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/openmetrics-text":
			open = max(open, q)
		case "text/plain":
			text = max(text, q)
		}
	}
	return open > 0 && open >= text
}
