package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/metrics"
	"github.com/larderdb/larder/store"
)

func Example() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	_ = db.Do(context.Background(), "SET", "user:7", "ada")

	page := httptest.NewRecorder()
	metrics.Handler(db, metrics.Options{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "redis_up ") || strings.HasPrefix(line, "redis_db_keys{") || strings.HasPrefix(line, "larder_namespace_keys{") {
			fmt.Print(line)
		}
	}
	// Output:
	// larder_namespace_keys{namespace="user"} 1
	// redis_db_keys{db="db0"} 1
	// redis_up 1
}

// fetch scrapes h and reads the answer.
func fetch(t *testing.T, h http.Handler, accept string) (exposition, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	h.ServeHTTP(w, r)
	open := strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text")
	e, err := parse(w.Body.String(), open)
	if err != nil {
		t.Fatalf("%v in\n%s", err, w.Body)
	}
	return e, w.Header().Get("Content-Type")
}

const openMetrics = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

// stores are what the figures are read from.
func stores(t *testing.T, fn func(t *testing.T, st store.Store)) {
	t.Run("embedded", func(t *testing.T) {
		db := open(t)
		fn(t, db)
	})
	t.Run("larder", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		db := open(t)
		served := make(chan error)
		go func() { served <- db.Serve(l) }()
		st, err := larder.Connect(t.Context(), "redis://"+l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fn(t, st)
		_ = st.Close()
		_ = db.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Run("redis", func(t *testing.T) {
		st, err := larder.Connect(t.Context(), "redis://"+redistest.Start(t).Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		fn(t, st)
	})
}

func open(t testing.TB) *larder.DB {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestMetrics(t *testing.T) {
	stores(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		for i := range 10 {
			st.Do(ctx, "SET", fmt.Sprintf("user:%d", i), "v", "EX", "100")
			st.Do(ctx, "GET", fmt.Sprintf("user:%d", i))
		}
		st.Do(ctx, "GET", "user:missing")
		st.Do(ctx, "LPUSH", "user:1", "x")
		h := metrics.Handler(st, metrics.Options{Extra: func() []metrics.Figure {
			return []metrics.Figure{{Name: "larder_rest_requests_total", Help: "Requests.", Counter: true, Value: 7,
				Labels: []metrics.Label{{Name: "status", Value: "a\"b\\c\nd"}}}}
		}})
		e, kind := fetch(t, h, "")
		if kind != "text/plain; version=0.0.4; charset=utf-8" {
			t.Error(kind)
		}
		for name, want := range map[string]float64{
			"redis_up": 1, `redis_exporter_last_scrape_error{err=""}`: 0, "redis_exporter_scrapes_total": 1,
			`redis_db_keys{db="db0"}`: 10, `redis_db_keys_expiring{db="db0"}`: 10, "redis_keyspace_hits_total": 10,
			"redis_keyspace_misses_total":         1,
			`redis_errors_total{err="WRONGTYPE"}`: 1, "redis_memory_max_bytes": 0, "redis_config_maxclients": 10000,
			`larder_rest_requests_total{status="a\"b\\c\nd"}`: 7, "larder_metrics_dropped": 0, "redis_rdb_last_bgsave_status": 1,
		} {
			if got := e.value(t, name); got != want {
				t.Errorf("%s is %g, want %g", name, got, want)
			}
		}
		_, embedded := st.(*larder.DB)
		for name, want := range map[string]float64{`redis_commands_total{cmd="get"}`: 11, `redis_commands_failed_calls_total{cmd="lpush"}`: 1} {
			if embedded {
				continue // its calls are added up some ten times a second
			}
			if got := e.value(t, name); got != want {
				t.Errorf("%s is %g, want %g", name, got, want)
			}
		}
		for _, name := range []string{"redis_memory_used_bytes", "redis_evicted_keys_total", "redis_connected_clients", "redis_start_time_seconds",
			"redis_instance_info", "redis_slowlog_length", `redis_commands_duration_seconds_total`, "redis_net_input_bytes_total", "redis_cpu_sys_seconds_total"} {
			if e[name] == nil {
				t.Errorf("there is no %s", name)
			}
		}
		if len(e) < 130 {
			t.Errorf("%d metrics", len(e))
		}
		o, kind := fetch(t, h, openMetrics)
		if kind != "application/openmetrics-text; version=1.0.0; charset=utf-8" || o["redis_keyspace_hits"] == nil || len(o) < len(e) {
			t.Errorf("%s, %d metrics, %d in the text format", kind, len(o), len(e))
		}
		isLarder := !strings.HasSuffix(t.Name(), "/redis")
		if (e["larder_memory_bytes"] != nil) != isLarder || (e["larder_namespace_keys"] != nil) != isLarder {
			t.Error("figures of Larder alone")
		}
	})
}

// TestLatencies needs a connection: calls of the embedded store are counted, not timed.
func TestLatencies(t *testing.T) {
	st, err := larder.Connect(t.Context(), "redis://"+redistest.Start(t).Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	for range 100 {
		st.Do(t.Context(), "SET", "k", "v")
	}
	for _, accept := range []string{"", openMetrics} {
		e, _ := fetch(t, metrics.Handler(st, metrics.Options{}), accept)
		if n := e.value(t, "redis_up"); n != 1 {
			t.Error(n)
		}
		if n := e["redis_latency_percentiles_usec"].samples[`_count{cmd="set"}`]; n != 100 {
			t.Errorf("%g calls in the summary", n)
		}
		if n := e["redis_commands_latencies_usec"].samples[`_count{cmd="set"}`]; n != 100 {
			t.Errorf("%g calls in the histogram", n)
		}
	}
}

func TestMemoryByCauseAddsUp(t *testing.T) {
	db := open(t)
	for i := range 1000 {
		db.Do(t.Context(), "RPUSH", fmt.Sprintf("a:%d", i%50), strings.Repeat("x", i))
	}
	e, _ := fetch(t, metrics.Handler(db, metrics.Options{}), "")
	sum := 0.0
	for _, v := range e["larder_memory_bytes"].samples {
		sum += v
	}
	if used := e.value(t, "redis_memory_used_bytes"); sum != used {
		t.Errorf("%g, %g are used", sum, used)
	}
}

// fake is a store that answers what a test says.
type fake struct {
	store.Store
	pipe func(ctx context.Context, cmds []store.Cmd) []store.Reply
}

func (f *fake) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply { return f.pipe(ctx, cmds) }

// infoOnly answers INFO, and no to the rest.
func infoOnly(text string) *fake {
	return &fake{pipe: func(_ context.Context, cmds []store.Cmd) []store.Reply {
		replies := []store.Reply{store.Bulk(text)}
		for range cmds[1:] {
			replies = append(replies, store.Fail(errors.New("NOPERM no")))
		}
		return replies
	}}
}

func TestHostileInfo(t *testing.T) {
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "cmdstat_c%d:calls=1,usec=1\r\n", i)
	}
	for name, text := range map[string]string{
		"binary labels":    "# Namespaces\r\nns0:name=\"a\\xff\\x00\\\"\\\\\\n\",keys=1\r\nns1:name=\"a\\xfe\",keys=2\r\n",
		"twice":            "used_memory:1\r\nused_memory:2\r\n# Keyspace\r\ndb0:keys=1\r\ndb0:keys=2\r\n",
		"not numbers":      "used_memory:NaN\r\nused_memory_rss:x\r\nuptime_in_seconds:\r\nkeyspace_hits:1e999\r\n",
		"too many":         "# Commandstats\r\n" + many.String(),
		"odd commands":     "# Commandstats\r\ncmdstat_a\"b\\c|d:calls=1,usec=2\r\ncmdstat_:calls=,usec\r\ncmdstat_x:\r\n",
		"odd latencies":    "# Commandstats\r\ncmdstat_x:calls=1,usec=1\r\n# Latencystats\r\nlatency_percentiles_usec_x:p50=1,p=2,p99=y,=\r\n",
		"replicas":         "# Replication\r\nrole:slave\r\nslave0:ip=::1,port=1,state=online,offset=5,lag=1\r\nslavex:ip=a\r\nmaster_link_status:up\r\n",
		"negative counter": "x:1\r\n",
	} {
		for _, accept := range []string{"", openMetrics} {
			h := metrics.Handler(infoOnly(text), metrics.Options{})
			e, _ := fetch(t, h, accept)
			if e.value(t, "redis_up") != 1 {
				t.Errorf("%s: not up", name)
			}
			if name == "too many" && accept == "" && (len(e["redis_commands_total"].samples) > 5000 || e.value(t, "larder_metrics_dropped") == 0) {
				t.Errorf("%d series", len(e["redis_commands_total"].samples))
			}
			if name == "binary labels" && len(e["larder_namespace_keys"].samples) != 2 {
				t.Errorf("%v", e["larder_namespace_keys"].samples)
			}
		}
	}
}

func TestBadFiguresAreLeftOut(t *testing.T) {
	h := metrics.Handler(infoOnly("used_memory:1"), metrics.Options{Extra: func() []metrics.Figure {
		return []metrics.Figure{{Name: ""}, {Name: "a b"}, {Name: "0a"}, {Name: "good", Value: 1}, {Name: "good", Value: 2}, {Name: "redis_up"},
			{Name: "x", Labels: []metrics.Label{{Name: "a-b"}}}, {Name: "x", Labels: []metrics.Label{{Name: "le"}}},
			{Name: "x", Labels: []metrics.Label{{Name: "a"}, {Name: "a"}}}, {Name: "good", Counter: true}, {Name: "y_total", Counter: true}}
	}})
	for _, accept := range []string{"", openMetrics} {
		e, _ := fetch(t, h, accept)
		if e.value(t, "good") != 1 || e.value(t, "larder_metrics_dropped") != 9 {
			t.Error(e.value(t, "larder_metrics_dropped"))
		}
	}
}

func TestErrors(t *testing.T) {
	for name, pipe := range map[string]func(context.Context, []store.Cmd) []store.Reply{
		"down": func(_ context.Context, cmds []store.Cmd) []store.Reply {
			return make([]store.Reply, 0, len(cmds))
		},
		"refused": func(_ context.Context, cmds []store.Cmd) []store.Reply {
			replies := make([]store.Reply, len(cmds))
			for i := range replies {
				replies[i] = store.Fail(fmt.Errorf("%w: a \"quoted\"\nline %s", store.ErrUnavailable, strings.Repeat("ä", 500)))
			}
			return replies
		},
		"empty": infoOnly("").pipe,
	} {
		for _, accept := range []string{"", openMetrics} {
			e, _ := fetch(t, metrics.Handler(&fake{pipe: pipe}, metrics.Options{}), accept)
			if e.value(t, "redis_up") != 0 || len(e["redis_exporter_last_scrape_error"].samples) != 1 || e["redis_memory_used_bytes"] != nil {
				t.Errorf("%s: %v", name, e["redis_exporter_last_scrape_error"])
			}
		}
	}
	db := open(t)
	_ = db.Close()
	if e, _ := fetch(t, metrics.Handler(db, metrics.Options{}), ""); e.value(t, "redis_up") != 0 {
		t.Error("a closed store is up")
	}
}

// TestDeafStore holds that a store that heeds no deadline holds up nobody for longer, and one scrape at the most.
func TestDeafStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake, calls := make(chan struct{}), atomic.Int32{}
		h := metrics.Handler(&fake{pipe: func(context.Context, []store.Cmd) []store.Reply {
			calls.Add(1)
			<-wake
			return nil
		}}, metrics.Options{Timeout: time.Second})
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if e, _ := fetch(t, h, ""); e.value(t, "redis_up") != 0 {
					t.Error("up")
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second || calls.Load() != 1 {
			t.Errorf("%v, %d scrapes", took, calls.Load())
		}
		close(wake)
		synctest.Wait()
	})
}

func TestMethods(t *testing.T) {
	h := metrics.Handler(infoOnly("used_memory:1"), metrics.Options{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405, http.MethodDelete: 405} {
		req, _ := http.NewRequestWithContext(t.Context(), method, srv.URL+"/any", nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want || method == http.MethodHead && len(body) != 0 {
			t.Errorf("%s: %d, %d bytes", method, resp.StatusCode, len(body))
		}
	}
}
