package larderprom_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	larderprom "github.com/larderdb/larder/metrics/prometheus"
	"github.com/larderdb/larder/observe"
)

func newObserver(t testing.TB, o larderprom.Options) (*prometheus.Registry, *larderprom.Observer) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	w, err := larderprom.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// metrics gathers all series of a family.
func metrics(t *testing.T, r *prometheus.Registry, name string) []*dto.Metric {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

// labels is a series' labels as text, in the order of their names.
func labels(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		all = append(all, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(all, " ")
}

func TestOperations(t *testing.T) {
	r, w := newObserver(t, larderprom.Options{})
	get := observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"}
	ctx := t.Context()
	for i, result := range []string{observe.Hit, observe.Hit, observe.Miss, observe.Failed} {
		inner, end := observe.Begin(ctx, w, get)
		if inner != ctx {
			t.Error("Begin changed the ctx")
		}
		if i == 3 {
			end(result, errors.New("no store"))
		} else {
			end(result, nil)
		}
	}
	want := map[string]uint64{
		"name=product: op=get pattern=cache result=hit": 2, "name=product: op=get pattern=cache result=miss": 1,
		"name=product: op=get pattern=cache result=error": 1,
	}
	got := metrics(t, r, "larder_operation_seconds")
	if len(got) != len(want) {
		t.Errorf("%d series, want %d", len(got), len(want))
	}
	for _, m := range got {
		h := m.GetHistogram()
		if h.GetSampleCount() != want[labels(m)] || h.GetSampleSum() < 0 || h.GetSampleSum() > 10 {
			t.Errorf("%s: %d operations in %v s", labels(m), h.GetSampleCount(), h.GetSampleSum())
		}
		if len(h.GetBucket()) != len(larderprom.DefaultBuckets()) {
			t.Errorf("%d buckets", len(h.GetBucket()))
		}
	}
}

func TestEventsAndLevels(t *testing.T) {
	r, w := newObserver(t, larderprom.Options{Namespace: "shop", Labels: prometheus.Labels{"zone": "a"}})
	retried := observe.Op{Pattern: "queue", Name: "emails", Verb: "retried", Key: "id"}
	depth := observe.Op{Pattern: "queue", Name: "emails", Verb: "depth"}
	observe.Count(t.Context(), w, retried, 3)
	observe.Count(t.Context(), w, retried, 0)
	observe.Count(t.Context(), w, retried, -5) // a counter that is made to go down panics
	observe.Gauge(t.Context(), w, depth, 7)
	observe.Gauge(t.Context(), w, depth, 5)
	const want = `
# HELP shop_events_total Events without a duration, by pattern and its name.
# TYPE shop_events_total counter
shop_events_total{event="retried",name="emails",pattern="queue",zone="a"} 3
# HELP shop_level Levels as they were last told, by pattern and its name.
# TYPE shop_level gauge
shop_level{level="depth",name="emails",pattern="queue",zone="a"} 5
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "shop_events_total", "shop_level"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestNamesOfAnyBytes(t *testing.T) {
	r, w := newObserver(t, larderprom.Options{})
	op := observe.Op{Pattern: "cache", Name: "\xff\x00\"\n", Verb: "get"}
	for range 2 {
		_, end := w.Begin(t.Context(), op)
		end("\xfe", nil)
		w.Count(t.Context(), op, 1)
		w.Gauge(t.Context(), op, 1)
	}
	if got := metrics(t, r, "larder_operation_seconds"); len(got) != 1 || got[0].GetHistogram().GetSampleCount() != 2 {
		t.Errorf("%v", got)
	}
}

type traceKey struct{}

// TestBadExemplars: labels that Prometheus refuses cost their exemplar, and nothing else.
func TestBadExemplars(t *testing.T) {
	bad := []prometheus.Labels{{"trace_id": strings.Repeat("x", 200)}, {"trace_id": "\xff"}, {"not a\xffname": "1"}}
	calls := 0
	r, w := newObserver(t, larderprom.Options{Exemplar: func(context.Context) prometheus.Labels { calls++; return bad[calls-1] }})
	for range bad {
		_, end := w.Begin(t.Context(), observe.Op{Pattern: "cache", Name: "p:", Verb: "get"})
		end(observe.Hit, nil)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got := families[0].GetMetric()[0].GetHistogram().GetSampleCount(); got != uint64(len(bad)) {
		t.Errorf("%d operations counted, want %d", got, len(bad))
	}
}

func TestExemplars(t *testing.T) {
	r, w := newObserver(t, larderprom.Options{Exemplar: func(ctx context.Context) prometheus.Labels {
		if id, ok := ctx.Value(traceKey{}).(string); ok {
			return prometheus.Labels{"trace_id": id}
		}
		return nil
	}})
	_, end := w.Begin(t.Context(), observe.Op{Pattern: "lock", Verb: "acquire"})
	end(observe.OK, nil)
	_, end = w.Begin(context.WithValue(t.Context(), traceKey{}, "abc"), observe.Op{Pattern: "lock", Verb: "acquire"})
	end(observe.OK, nil)
	found := 0
	for _, b := range metrics(t, r, "larder_operation_seconds")[0].GetHistogram().GetBucket() {
		if e := b.GetExemplar(); e != nil {
			found++
			if l := e.GetLabel()[0]; l.GetName() != "trace_id" || l.GetValue() != "abc" {
				t.Errorf("exemplar %v", e)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d exemplars, want 1", found)
	}
}

func TestNewRefuses(t *testing.T) {
	r := prometheus.NewRegistry()
	if _, err := larderprom.New(nil, larderprom.Options{}); err == nil || !strings.Contains(err.Error(), "Registerer") {
		t.Errorf("no registry: %v", err)
	}
	for what, o := range map[string]larderprom.Options{
		"buckets that descend": {Buckets: []float64{2, 1}},
		"a label taken twice":  {Labels: prometheus.Labels{"pattern": "x"}},
	} {
		if _, err := larderprom.New(r, o); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	// Nothing of the refused ones was registered.
	if _, err := larderprom.New(r, larderprom.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := larderprom.New(r, larderprom.Options{}); err == nil || !strings.Contains(err.Error(), "one Observer") {
		t.Errorf("twice: %v", err)
	}
	if _, err := larderprom.New(r, larderprom.Options{Namespace: "other"}); err != nil {
		t.Errorf("another namespace: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	r, w := newObserver(t, larderprom.Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				op := observe.Op{Pattern: "cache", Name: "p", Verb: []string{"get", "set"}[i%2]}
				_, end := w.Begin(t.Context(), op)
				w.Count(t.Context(), op, 1)
				w.Gauge(t.Context(), op, float64(i))
				end(observe.OK, nil)
			}
		})
	}
	wg.Wait()
	for _, m := range metrics(t, r, "larder_operation_seconds") {
		if n := m.GetHistogram().GetSampleCount(); n != 4000 {
			t.Errorf("%s: %d", labels(m), n)
		}
	}
}

func BenchmarkOperation(b *testing.B) {
	_, w := newObserver(b, larderprom.Options{})
	op := observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"}
	b.ReportAllocs()
	for b.Loop() {
		_, end := w.Begin(b.Context(), op)
		end(observe.Hit, nil)
	}
}
