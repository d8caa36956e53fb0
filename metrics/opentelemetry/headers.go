package larderotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// Inject and Extract carry a trace where a ctx cannot go, such as with a queue's job to the process that handles it:
//
//	queue.Options{Observer: watch, Inject: larderotel.Inject, Extract: larderotel.Extract}
//
// They go by the global propagator, which carries nothing until otel.SetTextMapPropagator says what.
//
// Inject is what the propagator writes of ctx.
func Inject(ctx context.Context) map[string]string {
	headers := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, headers)
	return headers
}

// Extract is ctx with what Inject wrote. See Inject.
func Extract(ctx context.Context, headers map[string]string) context.Context {
	return otel.GetTextMapPropagator().Extract(ctx, propagation.MapCarrier(headers))
}
