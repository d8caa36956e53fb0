// Package observe is how Larder's patterns tell what they do: one small interface, which the application implements, or
// takes from an adapter (metrics/prometheus, metrics/opentelemetry), or from [Log].
//
//	products, err := cache.New[Product](st, cache.Options{Prefix: "product:", TTL: time.Minute, Observer: observe.Log(slog.Default(), 50*time.Millisecond)})
//
// A pattern without an Observer measures nothing and reads no clock for it.
package observe

import "context"

// Op says what is done.
type Op struct {
	Pattern string // the package: "cache", "queue"
	Name    string // which one of them: its prefix or name, "product:", "emails"
	Verb    string // "get", "load", "acquire"
	Key     string // on what, without the prefix; may be empty. For logs and traces: as a metric's label there are too many
}

// The results that patterns have in common. Patterns document those of their own.
const (
	OK     = "ok"
	Hit    = "hit"
	Miss   = "miss"
	Stale  = "stale"  // served although its time has passed
	Denied = "denied" // a limit, a lock or a policy said no
	Failed = "error"  // the error says why
)

// Observer hears of operations. Its methods are called by many goroutines at once, must not block, and must not call the
// pattern that calls them.
type Observer interface {
	// Begin is called when an operation begins. What the operation calls (a loader, a job's handler, the store) gets the
	// ctx that it returns, so a trace's span can travel in it. The End is called exactly once.
	Begin(ctx context.Context, op Op) (context.Context, End)

	// Count tells of n events that have no duration: messages dropped, retries, entries refused. Op.Verb names the event.
	Count(ctx context.Context, op Op, n int64)

	// Gauge tells a level as it is now: a queue's depth, a consumer group's lag. Op.Verb names it.
	Gauge(ctx context.Context, op Op, value float64)
}

// End tells how an operation ended: its result, one of the constants or the pattern's own, and the error where that is
// Failed.
type End func(result string, err error)

func noEnd(string, error) {}

// Begin is o.Begin; with a nil o it does nothing.
func Begin(ctx context.Context, o Observer, op Op) (context.Context, End) {
	if o == nil {
		return ctx, noEnd
	}
	return o.Begin(ctx, op)
}

// Count is o.Count; with a nil o it does nothing.
func Count(ctx context.Context, o Observer, op Op, n int64) {
	if o != nil {
		o.Count(ctx, op, n)
	}
}

// Gauge is o.Gauge; with a nil o it does nothing.
func Gauge(ctx context.Context, o Observer, op Op, value float64) {
	if o != nil {
		o.Gauge(ctx, op, value)
	}
}

// All is an Observer that passes everything on to each of several; nil ones are left out. It is nil if there are none.
func All(observers ...Observer) Observer {
	var list all
	for _, o := range observers {
		if o != nil {
			list = append(list, o)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

type all []Observer

func (a all) Begin(ctx context.Context, op Op) (context.Context, End) {
	ends := make([]End, len(a))
	for i, o := range a {
		ctx, ends[i] = o.Begin(ctx, op)
	}
	return ctx, func(result string, err error) {
		for i := len(ends) - 1; i >= 0; i-- { // inner spans end first
			ends[i](result, err)
		}
	}
}

func (a all) Count(ctx context.Context, op Op, n int64) {
	for _, o := range a {
		o.Count(ctx, op, n)
	}
}

func (a all) Gauge(ctx context.Context, op Op, value float64) {
	for _, o := range a {
		o.Gauge(ctx, op, value)
	}
}
