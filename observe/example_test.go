package observe_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/larderdb/larder/observe"
)

// Log tells of failures. An application passes it to patterns in their options; here the calls are made by hand.
func ExampleLog() {
	timeless := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}
	o := observe.Log(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: timeless})), 0)

	ctx := context.Background()
	_, end := observe.Begin(ctx, o, observe.Op{Pattern: "cache", Name: "product:", Verb: "load", Key: "7"})
	end(observe.Failed, errors.New("database is down"))
	observe.Count(ctx, o, observe.Op{Pattern: "queue", Name: "emails", Verb: "retry"}, 3)
	// Output:
	// level=WARN msg="cache: load failed" name=product: key=7 error="database is down"
	// level=DEBUG msg="queue: retry" name=emails n=3
}
