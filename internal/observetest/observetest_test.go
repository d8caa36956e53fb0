package observetest_test

import (
	"errors"
	"testing"

	"github.com/larderdb/larder/internal/observetest"
	"github.com/larderdb/larder/observe"
)

func TestRecorder(t *testing.T) {
	var r observetest.Recorder
	op := observe.Op{Pattern: "queue", Name: "emails", Verb: "handle"}
	ctx, end := r.Begin(t.Context(), op)
	if observetest.Within(ctx) != "handle" || observetest.Within(t.Context()) != "" {
		t.Error("the operation's ctx does not tell its verb")
	}
	failed := errors.New("no")
	end(observe.Failed, failed)
	op.Verb = "dropped"
	r.Count(ctx, op, 2)
	r.Count(ctx, op, 3)
	op.Verb = "depth"
	r.Gauge(ctx, op, 7)
	r.Gauge(ctx, op, 4)
	if got, want := r.Show(), "emails handle, emails handle error, emails dropped, emails dropped, emails depth, emails depth"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if wrong := r.Check(map[string]float64{"handle error": 1, "dropped": 5, "handle ok": 0, "depth": 0}); wrong != "" {
		t.Error(wrong)
	}
	if r.Check(map[string]float64{"dropped": 4}) == "" {
		t.Error("a wrong sum passes")
	}
	if level, ok := r.Level("emails", "depth"); level != 4 || !ok {
		t.Error(level, ok)
	}
	if _, ok := r.Level("orders", "depth"); ok {
		t.Error("a level that nobody told")
	}
	if ends := r.Events(observetest.End); len(ends) != 1 || ends[0].Err != failed {
		t.Errorf("%+v", ends)
	}
}
