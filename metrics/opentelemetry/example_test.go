package larderotel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	larderotel "github.com/larderdb/larder/metrics/opentelemetry"
	"github.com/larderdb/larder/observe"
)

// Every pattern takes the Observer in its Options. What patterns then do, and any code of your own may do as well, is what
// stands in the middle.
func Example() {
	spans := tracetest.NewSpanRecorder() // an exporter, in a program
	watch, err := larderotel.New(larderotel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, end := observe.Begin(context.Background(), watch, observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"})
	_, endLoad := observe.Begin(ctx, watch, observe.Op{Pattern: "cache", Name: "product:", Verb: "load", Key: "7"})
	endLoad(observe.OK, nil)
	end(observe.Miss, nil)

	for _, s := range spans.Ended() {
		fmt.Println(s.Name(), s.Parent().IsValid())
	}
	// Output:
	// cache load true
	// cache get false
}
