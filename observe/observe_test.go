package observe

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// recorder writes down what it hears.
type recorder struct {
	name string
	book *[]string
}

type spanKey struct{}

func (r recorder) note(s string) { *r.book = append(*r.book, r.name+" "+s) }

func (r recorder) Begin(ctx context.Context, op Op) (context.Context, End) {
	outer, _ := ctx.Value(spanKey{}).(string)
	r.note("begin " + op.Verb + " in " + outer)
	return context.WithValue(ctx, spanKey{}, outer+r.name), func(result string, err error) { r.note("end " + result) }
}
func (r recorder) Count(_ context.Context, op Op, _ int64)   { r.note("count " + op.Verb) }
func (r recorder) Gauge(_ context.Context, op Op, _ float64) { r.note("gauge " + op.Verb) }

func TestAll(t *testing.T) {
	var book []string
	o := All(nil, recorder{"a", &book}, nil, recorder{"b", &book})
	ctx, end := Begin(t.Context(), o, Op{Verb: "get"})
	if got := ctx.Value(spanKey{}); got != "ab" {
		t.Errorf("the operation's ctx is of %v", got)
	}
	end(Hit, nil)
	Count(ctx, o, Op{Verb: "dropped"}, 3)
	Gauge(ctx, o, Op{Verb: "depth"}, 7)
	want := "a begin get in |b begin get in a|b end hit|a end hit|a count dropped|b count dropped|a gauge depth|b gauge depth"
	if got := strings.Join(book, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNone(t *testing.T) {
	if All() != nil || All(nil, nil) != nil {
		t.Error("an Observer of nobody")
	}
	ctx, end := Begin(t.Context(), nil, Op{})
	end(OK, nil)
	Count(ctx, nil, Op{}, 1)
	Gauge(ctx, nil, Op{}, 1)
	if ctx != t.Context() {
		t.Error("another ctx")
	}
}

func TestLog(t *testing.T) {
	var b bytes.Buffer
	o, _ := Log(slog.New(slog.NewTextHandler(&b, nil)), 10*time.Millisecond).(*logger)
	clock := time.Unix(0, 0)
	o.now = func() time.Time { return clock }
	for _, c := range []struct {
		took   time.Duration
		result string
		err    error
		want   string
	}{
		{time.Millisecond, Hit, nil, ""},
		{10 * time.Millisecond, Hit, nil, `msg="cache: get was slow" name=product: key=7 result=hit took=10ms`},
		{time.Millisecond, Failed, errors.New("no store"), `msg="cache: get failed" name=product: key=7 error="no store" took=1ms`},
	} {
		b.Reset()
		_, end := o.Begin(t.Context(), Op{"cache", "product:", "get", "7"})
		clock = clock.Add(c.took)
		end(c.result, c.err)
		if got := b.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v %s: logged %q, want %q", c.took, c.result, got, c.want)
		}
	}
}
