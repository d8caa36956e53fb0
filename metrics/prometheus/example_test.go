package larderprom_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	larderprom "github.com/larderdb/larder/metrics/prometheus"
	"github.com/larderdb/larder/observe"
)

// Every pattern takes the Observer in its Options. What patterns then do, and any code of your own may do as well, is what
// stands in the middle.
func Example() {
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	watch, err := larderprom.New(registry, larderprom.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, end := observe.Begin(context.Background(), watch, observe.Op{Pattern: "cache", Name: "product:", Verb: "get", Key: "7"})
	observe.Count(ctx, watch, observe.Op{Pattern: "cache", Name: "product:", Verb: "refreshed"}, 1)
	end(observe.Hit, nil)

	families, err := registry.Gather() // promhttp.Handler does this for you
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		fmt.Print(f.GetName())
		for _, l := range f.GetMetric()[0].GetLabel() {
			fmt.Print(" ", l.GetName(), "=", l.GetValue())
		}
		fmt.Println()
	}
	// Output:
	// larder_events_total event=refreshed name=product: pattern=cache
	// larder_operation_seconds name=product: op=get pattern=cache result=hit
}
