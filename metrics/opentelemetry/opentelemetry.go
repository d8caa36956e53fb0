// Package larderotel shows what Larder's patterns do as OpenTelemetry metrics and traces.
//
//	watch, err := larderotel.New(larderotel.Options{}) // the global providers
//	products, err := cache.New[Product](st, cache.Options{Prefix: "product:", TTL: time.Minute, Observer: watch})
//
// One Observer is for all patterns of a process. Its instruments:
//
//	larder.operation.duration  histogram, s  how long operations took; its count is how many there were
//	larder.events              counter       what has no duration: retries, dropped messages
//	larder.level               gauge         levels as last told: a queue's depth, a consumer's lag
//
// Their attributes are larder.pattern (the package: "cache"), larder.name (which one of them: its prefix or name), and
// larder.operation and larder.result, larder.event, or larder.level, which the pattern documents. Keys are no attributes of metrics: there
// are too many.
//
// Each operation is a span, "cache get", with the same attributes, in which what it calls appears: the loader of a cache, the
// handler of a job. An operation that failed has the error recorded and the status Error. Events become events of the span
// around them. Begin passes the span on in its ctx, so a histogram's exemplars lead to their traces.
package larderotel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/larderdb/larder/observe"
)

// scope names the source of all spans and metrics.
const scope = "github.com/larderdb/larder"

// The attributes.
const (
	attrPattern   = attribute.Key("larder.pattern")
	attrName      = attribute.Key("larder.name")
	attrOperation = attribute.Key("larder.operation")
	attrResult    = attribute.Key("larder.result")
	attrEvent     = attribute.Key("larder.event")
	attrLevel     = attribute.Key("larder.level")
	attrKey       = attribute.Key("larder.key")
)

// Options of New. The zero value is fine.
type Options struct {
	MeterProvider  metric.MeterProvider // nil is otel.GetMeterProvider
	TracerProvider trace.TracerProvider // nil is otel.GetTracerProvider; noop.NewTracerProvider turns traces off

	// Buckets are the bounds of the histogram, in seconds, ascending. Nil is DefaultBuckets. A view of the MeterProvider wins over it.
	Buckets []float64

	// Keys adds the operation's key to its span, as larder.key. Keys may hold what should not leave the process, such as
	// names or addresses of people.
	Keys bool
}

// DefaultBuckets reach from an embedded store's hit to a slow loader, in seconds.
func DefaultBuckets() []float64 {
	return []float64{1e-6, 5e-6, 25e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// Observer is an observe.Observer.
type Observer struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	events   metric.Int64Counter
	levels   metric.Float64Gauge
	keys     bool

	sets sync.Map // of *set by series: sorting attributes anew would be most of an operation's cost
}

var _ observe.Observer = (*Observer)(nil)

// series is what a set of attributes is made of.
type series struct {
	pattern, name, verb, result string
	as                          attribute.Key // what the verb is: attrOperation, attrEvent, attrLevel
}

// set is the attributes of a series in the forms that spans and metrics take, as slices that calls need not make.
type set struct {
	span   string // the span's name
	list   []attribute.KeyValue
	start  []trace.SpanStartOption
	record []metric.RecordOption
	add    []metric.AddOption
}

// New makes an Observer. It fails only if the MeterProvider refuses the instruments.
func New(o Options) (*Observer, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.Buckets == nil {
		o.Buckets = DefaultBuckets()
	}
	meter := o.MeterProvider.Meter(scope)
	w := &Observer{tracer: o.TracerProvider.Tracer(scope), keys: o.Keys}
	var err1, err2, err3 error
	w.duration, err1 = meter.Float64Histogram("larder.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("How long operations took, by pattern, its name, the operation and its result."),
		metric.WithExplicitBucketBoundaries(o.Buckets...))
	w.events, err2 = meter.Int64Counter("larder.events", metric.WithUnit("{event}"),
		metric.WithDescription("Events without a duration, by pattern and its name."))
	w.levels, err3 = meter.Float64Gauge("larder.level",
		metric.WithDescription("Levels as they were last told, by pattern and its name."))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("larderotel: %w", err)
	}
	return w, nil
}

// Begin implements observe.Observer.
func (w *Observer) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	s := w.set(series{pattern: op.Pattern, name: op.Name, verb: op.Verb, as: attrOperation})
	start := time.Now()
	ctx, span := w.tracer.Start(ctx, s.span, s.start...)
	if w.keys && op.Key != "" && span.IsRecording() {
		span.SetAttributes(attrKey.String(clean(op.Key)))
	}
	return ctx, func(result string, err error) {
		took := time.Since(start).Seconds()
		if span.IsRecording() {
			span.SetAttributes(attrResult.String(clean(result)))
			if err != nil {
				span.RecordError(err)
			}
			if result == observe.Failed {
				span.SetStatus(codes.Error, reason(err))
			}
		}
		ended := w.set(series{op.Pattern, op.Name, op.Verb, result, attrOperation})
		w.duration.Record(ctx, took, ended.record...)
		span.End()
	}
}

// reason is the text of a span's status.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return clean(err.Error())
}

// Count implements observe.Observer. A counter does not go down: n below 1 is not counted.
func (w *Observer) Count(ctx context.Context, op observe.Op, n int64) {
	if n < 1 {
		return
	}
	s := w.set(series{pattern: op.Pattern, name: op.Name, verb: op.Verb, as: attrEvent})
	w.events.Add(ctx, n, s.add...)
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(s.span, trace.WithAttributes(append(s.list[:len(s.list):len(s.list)], attribute.Int64("larder.n", n))...))
	}
}

// Gauge implements observe.Observer.
func (w *Observer) Gauge(ctx context.Context, op observe.Op, value float64) {
	w.levels.Record(ctx, value, w.set(series{pattern: op.Pattern, name: op.Name, verb: op.Verb, as: attrLevel}).record...)
}

// set finds the attributes of a series, or makes them.
func (w *Observer) set(s series) *set {
	if found, ok := w.sets.Load(s); ok {
		return found.(*set)
	}
	list := []attribute.KeyValue{attrPattern.String(clean(s.pattern)), attrName.String(clean(s.name)), s.as.String(clean(s.verb))}
	if s.result != "" {
		list = append(list, attrResult.String(clean(s.result)))
	}
	option := metric.WithAttributeSet(attribute.NewSet(list...))
	made, _ := w.sets.LoadOrStore(s, &set{
		span: clean(s.pattern + " " + s.verb), list: list, start: []trace.SpanStartOption{trace.WithAttributes(list...)},
		record: []metric.RecordOption{option}, add: []metric.AddOption{option},
	})
	return made.(*set)
}

// clean makes text of what may be any bytes: exporters refuse others than UTF-8.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
