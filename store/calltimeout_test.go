package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder/store"
)

type traced struct{}

// A bounded ctx ends within the timeout and an eighth more, also when others have used the same one before.
func TestCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 80 * time.Millisecond
		timeout := store.NewCallTimeout(d)
		caller, leave := context.WithCancel(context.Background())
		defer leave()
		calls := []context.Context{context.Background(), context.WithValue(context.Background(), traced{}, "id"), caller}
		for _, wait := range []time.Duration{0, d / 16, d / 8, d / 16, 10 * d} {
			<-time.After(wait) // by the bubble's clock
			for _, ctx := range calls {
				bounded, cancel := timeout.Bound(ctx)
				end, ok := bounded.Deadline()
				if left := time.Until(end); !ok || left < d || left > d+d/8 {
					t.Errorf("%v: deadline in %v", ctx, left)
				}
				if got := bounded.Value(traced{}); got != ctx.Value(traced{}) {
					t.Errorf("%v: the value is %v", ctx, got)
				}
				child, stop := context.WithCancel(bounded) // as clients make them
				cancel()
				if ctx.Done() != nil && bounded.Err() == nil {
					t.Error("cancel did nothing")
				}
				stop()
				if child.Err() == nil || ctx.Err() != nil {
					t.Errorf("a child: %v, the caller's: %v", child.Err(), ctx.Err())
				}
			}
		}
		bounded, cancel := timeout.Bound(context.Background())
		defer cancel()
		<-bounded.Done()
		if err := bounded.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestCallTimeoutOfTheCaller(t *testing.T) {
	timeout := store.NewCallTimeout(time.Hour)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if bounded, _ := timeout.Bound(ctx); bounded != ctx {
		t.Error("a ctx that ends sooner was wrapped")
	}
	left, leave := context.WithCancel(context.Background())
	bounded, done := timeout.Bound(left)
	defer done()
	leave()
	if <-bounded.Done(); !errors.Is(bounded.Err(), context.Canceled) {
		t.Error(bounded.Err())
	}
}

func TestNoCallTimeout(t *testing.T) {
	var none *store.CallTimeout
	bounded, cancel := none.Bound(t.Context())
	cancel()
	if bounded != t.Context() || none.Duration() != 0 {
		t.Error("nil bounds something")
	}
}

func BenchmarkCallTimeout(b *testing.B) {
	timeout := store.NewCallTimeout(100 * time.Millisecond)
	for b.Loop() {
		_, cancel := timeout.Bound(context.Background())
		cancel()
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		in               string
		most             int
		n                int64
		digits, positive bool
	}{
		{"", 5, 0, false, false}, {"0", 5, 0, true, false}, {"007", 5, 7, true, false}, {"12345", 5, 12345, true, true},
		{"123456", 5, 0, false, false}, {"-1", 5, 0, false, false}, {"+1", 5, 0, false, false}, {"1 ", 5, 0, false, false},
		{"1e3", 5, 0, false, false}, {"٣", 5, 0, false, false}, {"999999999999999999", 18, 999999999999999999, true, true},
	} {
		if n, ok := store.Digits(c.in, c.most); ok != c.digits || ok && n != c.n {
			t.Errorf("Digits(%q) = %d, %v", c.in, n, ok)
		}
		if n, ok := store.Positive(c.in, c.most); ok != c.positive || ok && n != c.n {
			t.Errorf("Positive(%q) = %d, %v", c.in, n, ok)
		}
	}
}
