// Package observetest is an Observer that remembers what it heard, for the tests of patterns.
package observetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/larderdb/larder/observe"
)

// Kind is which method of an Observer an Event was.
type Kind string

const (
	Begin Kind = "begin"
	End   Kind = "end"
	Count Kind = "count"
	Gauge Kind = "gauge"
)

// Event is one call of a Recorder.
type Event struct {
	observe.Op
	Kind   Kind
	Result string  // of an End
	Err    error   // of an End
	N      float64 // of a Count or a Gauge; an End is 1
}

// what names an event for sums: "publish ok" for an operation that ended, else the verb.
func (e *Event) what() string {
	if e.Kind == End {
		return e.Verb + " " + e.Result
	}
	return e.Verb
}

// Recorder is an Observer. The zero value is ready.
type Recorder struct {
	mu     sync.Mutex
	events []Event
}

type verb struct{}

// Within is the verb of the operation that ctx comes from, "" if it comes from none that a Recorder heard of.
func Within(ctx context.Context) string {
	s, _ := ctx.Value(verb{}).(string)
	return s
}

func (r *Recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Begin is observe.Observer's.
func (r *Recorder) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	r.add(Event{Op: op, Kind: Begin})
	return context.WithValue(ctx, verb{}, op.Verb), func(result string, err error) {
		r.add(Event{Op: op, Kind: End, Result: result, Err: err, N: 1})
	}
}

// Count is observe.Observer's.
func (r *Recorder) Count(_ context.Context, op observe.Op, n int64) {
	r.add(Event{Op: op, Kind: Count, N: float64(n)})
}

// Gauge is observe.Observer's.
func (r *Recorder) Gauge(_ context.Context, op observe.Op, value float64) {
	r.add(Event{Op: op, Kind: Gauge, N: value})
}

// Events is what was heard so far, in order, of the given kinds; of all without any.
func (r *Recorder) Events(kinds ...Kind) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.events)
	if len(kinds) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(e Event) bool { return !slices.Contains(kinds, e.Kind) })
}

// Show is Events in words: "orders publish ok, orders dropped".
func (r *Recorder) Show(kinds ...Kind) string {
	var words []string
	for _, e := range r.Events(kinds...) {
		words = append(words, e.Name+" "+e.what())
	}
	return strings.Join(words, ", ")
}

// Sum adds up what was heard by a name: "publish ok" for operations that ended so, which count 1 each, else the verb of a
// Count.
func (r *Recorder) Sum(what string) (n float64) {
	for _, e := range r.Events(End, Count) {
		if e.what() == what {
			n += e.N
		}
	}
	return n
}

// Level is a Gauge's value as it was told last; ok is false if it never was.
func (r *Recorder) Level(name, verb string) (value float64, ok bool) {
	for _, e := range r.Events(Gauge) {
		if e.Name == name && e.Verb == verb {
			value, ok = e.N, true
		}
	}
	return value, ok
}

// Check tells every sum that is not as wanted, "" if all are.
func (r *Recorder) Check(want map[string]float64) (wrong string) {
	for what, n := range want {
		if got := r.Sum(what); got != n {
			wrong += fmt.Sprintf("%q: %v, want %v\n", what, got, n)
		}
	}
	return wrong
}
