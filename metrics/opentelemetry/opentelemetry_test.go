package larderotel_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	larderotel "github.com/larderdb/larder/metrics/opentelemetry"
	"github.com/larderdb/larder/observe"
)

// rig is an Observer whose metrics and spans the test reads.
type rig struct {
	*larderotel.Observer
	t      testing.TB
	reader *sdkmetric.ManualReader
	spans  *tracetest.SpanRecorder
	tracer trace.Tracer
}

func newRig(t testing.TB, keys bool) *rig {
	t.Helper()
	g := &rig{t: t, reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(g.spans))
	w, err := larderotel.New(larderotel.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(g.reader)), TracerProvider: tracers, Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Observer, g.tracer = w, tracers.Tracer("test")
	return g
}

// data is what the reader has of an instrument.
func (g *rig) data(name string) metricdata.Aggregation {
	g.t.Helper()
	var all metricdata.ResourceMetrics
	if err := g.reader.Collect(context.Background(), &all); err != nil {
		g.t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				return m.Data
			}
		}
	}
	g.t.Fatalf("no instrument %s", name)
	return nil
}

func text(set attribute.Set) string { return list(set.ToSlice()) }

func list(attrs []attribute.KeyValue) string {
	var all []string
	for _, a := range attrs {
		all = append(all, strings.TrimPrefix(string(a.Key), "larder.")+"="+a.Value.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestMetrics(t *testing.T) {
	g := newRig(t, false)
	op := observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"}
	for _, result := range []string{observe.Hit, observe.Hit, observe.Failed} {
		_, end := g.Begin(t.Context(), op)
		end(result, nil)
	}
	want := map[string]uint64{
		"name=product: operation=get pattern=cache result=hit": 2, "name=product: operation=get pattern=cache result=error": 1,
	}
	h := g.data("larder.operation.duration").(metricdata.Histogram[float64])
	if len(h.DataPoints) != len(want) {
		t.Errorf("%d series, want %d", len(h.DataPoints), len(want))
	}
	for _, p := range h.DataPoints {
		if p.Count != want[text(p.Attributes)] || p.Sum < 0 || p.Sum > 10 || !slices.Equal(p.Bounds, larderotel.DefaultBuckets()) {
			t.Errorf("%s: %+v", text(p.Attributes), p)
		}
	}

	dropped := observe.Op{Pattern: "pubsub", Name: "prices", Verb: "dropped"}
	g.Count(t.Context(), dropped, 3)
	g.Count(t.Context(), dropped, 2)
	g.Count(t.Context(), dropped, -9)
	sum := g.data("larder.events").(metricdata.Sum[int64])
	if len(sum.DataPoints) != 1 || sum.DataPoints[0].Value != 5 || text(sum.DataPoints[0].Attributes) != "event=dropped name=prices pattern=pubsub" {
		t.Errorf("%+v", sum.DataPoints)
	}
	lag := observe.Op{Pattern: "stream", Name: "orders", Verb: "lag"}
	g.Gauge(t.Context(), lag, 9)
	g.Gauge(t.Context(), lag, 4.5)
	level := g.data("larder.level").(metricdata.Gauge[float64])
	if len(level.DataPoints) != 1 || level.DataPoints[0].Value != 4.5 || text(level.DataPoints[0].Attributes) != "level=lag name=orders pattern=stream" {
		t.Errorf("%+v", level.DataPoints)
	}
}

func TestSpans(t *testing.T) {
	g := newRig(t, true)
	root, outer := g.tracer.Start(t.Context(), "request")
	ctx, end := g.Begin(root, observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7\xff"})
	inner, endLoad := g.Begin(ctx, observe.Op{Pattern: "cache", Name: "product:", Verb: "load"})
	g.Count(inner, observe.Op{Pattern: "cache", Name: "product:", Verb: "retried"}, 2)
	endLoad(observe.Failed, errors.New("no database"))
	end(observe.Stale, nil)
	outer.End()

	spans := g.spans.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	load, get := spans[0], spans[1]
	if load.Name() != "cache load" || get.Name() != "cache get" {
		t.Errorf("spans %q in %q", load.Name(), get.Name())
	}
	if load.Parent().SpanID() != get.SpanContext().SpanID() || get.Parent().SpanID() != outer.SpanContext().SpanID() {
		t.Error("the spans do not lie in each other")
	}
	if got := list(get.Attributes()); got != "key=7\uFFFD name=product: operation=get pattern=cache result=stale" {
		t.Errorf("attributes %s", got)
	}
	if get.Status().Code != codes.Unset {
		t.Errorf("status %v of an operation that succeeded", get.Status())
	}
	if load.Status().Code != codes.Error || load.Status().Description != "no database" {
		t.Errorf("status %v of one that failed", load.Status())
	}
	if e := load.Events(); len(e) != 2 || e[0].Name != "cache retried" || e[1].Name != "exception" ||
		list(e[0].Attributes) != "event=retried n=2 name=product: pattern=cache" {
		t.Errorf("events %+v", e)
	}
	if got := get.InstrumentationScope().Name; got != "github.com/larderdb/larder" {
		t.Errorf("scope %s", got)
	}
}

func TestKeysAreOptional(t *testing.T) {
	g := newRig(t, false)
	_, end := g.Begin(t.Context(), observe.Op{Pattern: "session", Verb: "load", Key: "ada@example.org"})
	end(observe.OK, nil)
	if got := list(g.spans.Ended()[0].Attributes()); strings.Contains(got, "ada") {
		t.Errorf("attributes %s", got)
	}
}

// A denied operation is an answer, not a failure.
func TestDeniedIsNoError(t *testing.T) {
	g := newRig(t, false)
	_, end := g.Begin(t.Context(), observe.Op{Pattern: "ratelimit", Verb: "allow"})
	end(observe.Denied, nil)
	if s := g.spans.Ended()[0].Status(); s.Code != codes.Unset {
		t.Errorf("status %v", s)
	}
}

func TestGlobalProvidersByDefault(t *testing.T) {
	w, err := larderotel.New(larderotel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := w.Begin(t.Context(), observe.Op{Pattern: "cache", Verb: "get"})
	w.Count(ctx, observe.Op{Pattern: "cache", Verb: "x"}, 1)
	w.Gauge(ctx, observe.Op{Pattern: "cache", Verb: "y"}, 1)
	end(observe.OK, nil)
}

func BenchmarkMetrics(b *testing.B) {
	w, err := larderotel.New(larderotel.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), TracerProvider: noop.NewTracerProvider(),
	})
	if err != nil {
		b.Fatal(err)
	}
	op := observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"}
	b.ReportAllocs()
	for b.Loop() {
		_, end := w.Begin(b.Context(), op)
		end(observe.Hit, nil)
	}
}

func BenchmarkSpans(b *testing.B) {
	w, err := larderotel.New(larderotel.Options{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		TracerProvider: sdktrace.NewTracerProvider(),
	})
	if err != nil {
		b.Fatal(err)
	}
	op := observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"}
	b.ReportAllocs()
	for b.Loop() {
		_, end := w.Begin(b.Context(), op)
		end(observe.Hit, nil)
	}
}
