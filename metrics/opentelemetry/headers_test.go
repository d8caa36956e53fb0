package larderotel_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	larderotel "github.com/larderdb/larder/metrics/opentelemetry"
	"github.com/larderdb/larder/observe"
)

// TestHeaders has the span of a handler below that of the enqueueing, in a process that knows nothing but the headers.
func TestHeaders(t *testing.T) {
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.TraceContext{})
	defer otel.SetTextMapPropagator(before)
	g := newRig(t, false)
	ctx, enqueued := g.Begin(t.Context(), observe.Op{Pattern: "queue", Name: "mails", Verb: "enqueue"})
	headers := larderotel.Inject(ctx)
	enqueued(observe.OK, nil)
	ctx = larderotel.Extract(context.Background(), headers)
	_, ran := g.Begin(ctx, observe.Op{Pattern: "queue", Name: "mails", Verb: "run"})
	ran(observe.OK, nil)
	ended := g.spans.Ended()
	if len(ended) != 2 || ended[1].Parent().SpanID() != ended[0].SpanContext().SpanID() || !ended[1].Parent().IsRemote() {
		t.Errorf("%d spans: %+v", len(ended), ended)
	}
}
