package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
)

// TestAcrossProcesses has one process load while another wants the same.
func TestAcrossProcesses(t *testing.T) {
	r := newRig(t, cache.Options{Lease: time.Hour})
	other := r.other(t, cache.Options{})
	ctx := t.Context()
	entered, gate := make(chan struct{}), make(chan struct{})
	first, second := make(chan string, 1), make(chan string, 1)
	go func() {
		v, _ := r.GetOrLoad(ctx, "k", func(context.Context) (string, error) { close(entered); <-gate; return "one", nil })
		first <- v
	}()
	<-entered
	go func() {
		v, err := other.GetOrLoad(ctx, "k", gives("two", nil))
		if err != nil {
			t.Error(err)
		}
		second <- v
	}()
	for other.Stats().Waits == 0 {
		if t.Context().Err() != nil {
			return
		}
	}
	lease, err := r.db.Do(ctx, "GET", "p:k").Text()
	close(gate)
	if a, b := <-first, <-second; a != "one" || b != "one" || err != nil {
		t.Errorf("got %q and %q, %v", a, b, err)
	}
	if n := other.Stats().Loads; n != 0 {
		t.Errorf("the other process loaded %d times", n)
	}
	// The lease of a process that died ends by itself.
	r.db.Do(ctx, "SET", "p:k", lease, "PX", "3000")
	waits := other.Stats().Waits
	go func() {
		v, err := other.GetOrLoad(ctx, "k", gives("two", nil))
		if err != nil {
			t.Error(err)
		}
		second <- v
	}()
	for other.Stats().Waits == waits {
		if t.Context().Err() != nil {
			return
		}
	}
	if n := other.Stats().Loads; n != 0 {
		t.Errorf("it did not wait")
	}
	for waiting := true; waiting; {
		select {
		case b := <-second:
			if waiting = false; b != "two" {
				t.Errorf("got %q", b)
			}
		default:
			r.clk.Advance(100 * time.Millisecond)
		}
	}
}

// TestLeasesAreRenewed holds loads for many times the time of their leases: nobody else loads, and they are stored.
func TestLeasesAreRenewed(t *testing.T) {
	o := cache.Options{Lease: 4 * time.Second}
	r := newRig(t, o)
	ctx := t.Context()
	entered, gate, done := make(chan struct{}, 3), make(chan struct{}), make(chan error, 3)
	load := func(context.Context) (string, error) { entered <- struct{}{}; <-gate; return "late", nil }
	begin := func(key string) {
		go func() { _, err := r.GetOrLoad(ctx, key, load); done <- err }()
		<-entered
	}
	begin("a")
	go func() {
		_, err := r.GetOrLoadMany(ctx, []string{"b", "c"}, func(ctx context.Context, _ []string) (map[string]string, error) {
			v, err := load(ctx)
			return map[string]string{"b": v, "c": v}, err
		})
		done <- err
	}()
	<-entered
	keys := []string{"a", "b", "c"}
	const timers = 2 // the store's, and that of the next renewal
	r.clk.BlockUntilWaiters(timers)
	for i := range 40 {
		if i == 5 {
			begin("d") // while others are being renewed
			keys = append(keys, "d")
		}
		r.clk.Advance(o.Lease / 4)
		r.clk.BlockUntilWaiters(timers) // this renewal is over
		for _, k := range keys {
			if left, err := r.db.Do(ctx, "PTTL", "p:"+k).Int64(); err != nil || left < (o.Lease/2).Milliseconds() {
				t.Fatalf("the lease of %s has %d ms left, %v", k, left, err)
			}
		}
	}
	close(gate)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, k := range keys {
		if v, ok, err := r.Get(ctx, k); v != "late" || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", k, v, ok, err)
		}
	}
	if s := r.Stats(); s.Loads != 3 || s.Refused != 0 {
		t.Errorf("Stats: %+v", s)
	}
}
