// Package larderprom shows what Larder's patterns do as Prometheus metrics.
//
//	watch, err := larderprom.New(prometheus.DefaultRegisterer, larderprom.Options{})
//	products, err := cache.New[Product](st, cache.Options{Prefix: "product:", TTL: time.Minute, Observer: watch})
//
// One Observer is for all patterns of a process. Its metrics:
//
//	larder_operation_seconds{pattern,name,op,result}  histogram  how long operations took and how they ended
//	larder_events_total{pattern,name,event}           counter    what has no duration: retries, dropped messages
//	larder_level{pattern,name,level}                  gauge      levels as last told: a queue's depth, a consumer's lag
//
// pattern is the package ("cache"), name which one of them (its prefix or name), and the other labels are words that the
// pattern documents. Keys are never labels, so the number of series is that of the patterns in use times their verbs and
// results: a dozen for a cache. An error is the result "error"; its text goes to logs and traces.
//
// Some queries:
//
//	hit ratio   sum by (name) (rate(larder_operation_seconds_count{pattern="cache",op="get",result=~"hit|near-hit|stale"}[5m]))
//	            / sum by (name) (rate(larder_operation_seconds_count{pattern="cache",op="get"}[5m]))
//	slow loads  histogram_quantile(0.99, sum by (name, le) (rate(larder_operation_seconds_bucket{op="load"}[5m])))
//	failures    sum by (pattern, name) (rate(larder_operation_seconds_count{result="error"}[5m]))
package larderprom

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/larderdb/larder/observe"
)

// Options of New. The zero value is fine.
type Options struct {
	// Namespace begins every metric's name; "" means "larder".
	Namespace string

	// Labels are added to every series: the service, the region. Their names must not be pattern, name, op, result, event
	// or level.
	Labels prometheus.Labels

	// Buckets are the upper bounds of the histogram, in seconds, ascending. Nil is DefaultBuckets.
	Buckets []float64

	// Exemplar, if set, gives the labels that lead from a measurement to its trace, usually trace_id; nil for none. It
	// is called once for each operation that ends, with the ctx that the operation ran in. Labels that Prometheus refuses, such as
	// more than 128 characters together, are left out.
	Exemplar func(ctx context.Context) prometheus.Labels
}

// DefaultBuckets reach from an embedded store's hit to a slow loader, in seconds.
func DefaultBuckets() []float64 {
	return []float64{1e-6, 5e-6, 25e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// Observer is an observe.Observer. It costs an operation two readings of the clock and some 200 ns.
type Observer struct {
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	levels   *prometheus.GaugeVec
	exemplar func(ctx context.Context) prometheus.Labels

	// The series that were met, by their labels: a look here is cheaper than one in a vector, and cannot fail.
	ended   sync.Map // of prometheus.Observer by series
	counted sync.Map // of prometheus.Counter by series
	told    sync.Map // of prometheus.Gauge by series
}

var _ observe.Observer = (*Observer)(nil)

// series is the labels of one.
type series struct{ pattern, name, verb, result string }

// New makes an Observer and registers its metrics. It fails if they are registered already (make one Observer and give it to all
// patterns) and for labels or buckets that Prometheus refuses; then nothing is registered.
func New(r prometheus.Registerer, o Options) (watch *Observer, err error) {
	if r == nil {
		return nil, errors.New("larderprom: no Registerer; the usual one is prometheus.DefaultRegisterer")
	}
	if o.Namespace == "" {
		o.Namespace = "larder"
	}
	if o.Buckets == nil {
		o.Buckets = DefaultBuckets()
	}
	defer func() { // what is wrong with buckets Prometheus says by a panic
		if p := recover(); p != nil {
			watch, err = nil, fmt.Errorf("larderprom: %v", p)
		}
	}()
	w := &Observer{
		exemplar: o.Exemplar,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: o.Namespace, Name: "operation_seconds", ConstLabels: o.Labels, Buckets: o.Buckets,
			Help: "How long operations took, by pattern, its name, the operation and its result.",
		}, []string{"pattern", "name", "op", "result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: o.Namespace, Name: "events_total", ConstLabels: o.Labels,
			Help: "Events without a duration, by pattern and its name.",
		}, []string{"pattern", "name", "event"}),
		levels: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: o.Namespace, Name: "level", ConstLabels: o.Labels,
			Help: "Levels as they were last told, by pattern and its name.",
		}, []string{"pattern", "name", "level"}),
	}
	// A vector checks its buckets when it makes the first histogram: now rather than in the first operation.
	w.seconds.WithLabelValues("", "", "", "")
	w.seconds.Reset()
	return w, w.register(r)
}

// register registers all or nothing.
func (w *Observer) register(r prometheus.Registerer) error {
	done := make([]prometheus.Collector, 0, 3)
	for _, c := range []prometheus.Collector{w.seconds, w.events, w.levels} {
		if err := r.Register(c); err != nil {
			for _, d := range done {
				r.Unregister(d)
			}
			if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
				return fmt.Errorf("larderprom: %w: make one Observer and give it to all patterns, or choose another Namespace", err)
			}
			return fmt.Errorf("larderprom: %w", err)
		}
		done = append(done, c)
	}
	return nil
}

// Begin implements observe.Observer.
func (w *Observer) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	start := time.Now()
	return ctx, func(result string, _ error) {
		took := time.Since(start).Seconds()
		h := series{op.Pattern, op.Name, op.Verb, result}.histogram(w)
		if w.exemplar != nil {
			if labels := w.exemplar(ctx); labels != nil {
				withExemplar(h.(prometheus.ExemplarObserver), took, labels)
				return
			}
		}
		h.Observe(took)
	}
}

// withExemplar observes. What Prometheus thinks of the exemplar it says by a panic, after it has counted: no operation should end by that.
func withExemplar(h prometheus.ExemplarObserver, took float64, labels prometheus.Labels) {
	defer func() { _ = recover() }()
	h.ObserveWithExemplar(took, labels)
}

// Count implements observe.Observer. A counter does not go down: n below 1 is not counted.
func (w *Observer) Count(_ context.Context, op observe.Op, n int64) {
	if n < 1 {
		return
	}
	s := series{pattern: op.Pattern, name: op.Name, verb: op.Verb}
	c, ok := w.counted.Load(s)
	if !ok {
		c, _ = w.counted.LoadOrStore(s, w.events.WithLabelValues(clean(s.pattern), clean(s.name), clean(s.verb)))
	}
	c.(prometheus.Counter).Add(float64(n))
}

// Gauge implements observe.Observer.
func (w *Observer) Gauge(_ context.Context, op observe.Op, value float64) {
	s := series{pattern: op.Pattern, name: op.Name, verb: op.Verb}
	g, ok := w.told.Load(s)
	if !ok {
		g, _ = w.told.LoadOrStore(s, w.levels.WithLabelValues(clean(s.pattern), clean(s.name), clean(s.verb)))
	}
	g.(prometheus.Gauge).Set(value)
}

func (s series) histogram(w *Observer) prometheus.Observer {
	h, ok := w.ended.Load(s)
	if !ok {
		h, _ = w.ended.LoadOrStore(s, w.seconds.WithLabelValues(clean(s.pattern), clean(s.name), clean(s.verb), clean(s.result)))
	}
	return h.(prometheus.Observer)
}

// clean makes a label of a name, which may be any bytes: with others than UTF-8 Prometheus panics.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
