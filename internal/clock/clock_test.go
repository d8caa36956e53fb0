package clock

import (
	"slices"
	"sync"
	"testing"
	"time"
)

var epoch = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

func TestSystem(t *testing.T) {
	c := System()
	a, b := c.Monotonic(), c.Monotonic()
	if a < 0 || b < a {
		t.Fatalf("monotonic went from %v to %v", a, b)
	}
	if c.Now().Year() < 2024 {
		t.Fatalf("Now = %v", c.Now())
	}
	<-c.NewTimer(time.Microsecond).C()
	tk := c.NewTicker(time.Microsecond)
	<-tk.C()
	<-tk.C()
	tk.Stop()
	done := make(chan struct{})
	if c.AfterFunc(0, func() { close(done) }).C() != nil {
		t.Fatal("AfterFunc gave a channel")
	}
	<-done
	if !c.NewTimer(time.Hour).Stop() {
		t.Fatal("Stop of a waiting timer = false")
	}
}

func TestFakeFiresInOrder(t *testing.T) {
	f := NewFake(epoch)
	var got []string
	add := func(name string, d time.Duration) {
		f.AfterFunc(d, func() { got = append(got, name+"@"+f.Monotonic().String()) })
	}
	add("c", 3*time.Second)
	add("a", time.Second)
	add("b1", 2*time.Second)
	add("b2", 2*time.Second)
	f.AfterFunc(time.Second, func() { add("nested", time.Second) })
	add("late", 4*time.Second)
	f.Advance(3 * time.Second)
	want := []string{"a@1s", "b1@2s", "b2@2s", "nested@2s", "c@3s"}
	if !slices.Equal(got, want) {
		t.Fatalf("fired %v, want %v", got, want)
	}
	if !f.Now().Equal(epoch.Add(3*time.Second)) || f.Waiters() != 1 {
		t.Fatalf("now %v, waiters %d", f.Now(), f.Waiters())
	}
}

func TestFakeTimer(t *testing.T) {
	f := NewFake(epoch)
	tm := f.NewTimer(time.Second)
	f.Advance(999 * time.Millisecond)
	if received(tm.C()) {
		t.Fatal("fired early")
	}
	f.Advance(time.Millisecond)
	if !received(tm.C()) {
		t.Fatal("did not fire")
	}
	if tm.Stop() {
		t.Fatal("Stop after firing = true")
	}
	if tm.Reset(time.Second) {
		t.Fatal("Reset of a fired timer = true")
	}
	f.Advance(time.Second)
	if tm.Reset(time.Second) || received(tm.C()) {
		t.Fatal("a stale value survived Reset")
	}
	if !tm.Stop() {
		t.Fatal("Stop of a waiting timer = false")
	}
	f.Advance(time.Hour)
	if received(tm.C()) {
		t.Fatal("fired although stopped")
	}
	if !received(f.NewTimer(0).C()) {
		t.Fatal("a timer of 0 did not fire at once")
	}
}

func TestFakeTicker(t *testing.T) {
	f := NewFake(epoch)
	tk := f.NewTicker(time.Second)
	f.Advance(3500 * time.Millisecond)
	if at := <-tk.C(); !at.Equal(epoch.Add(time.Second)) {
		t.Fatalf("first kept tick at %v", at)
	}
	if received(tk.C()) {
		t.Fatal("ticks piled up")
	}
	f.Advance(500 * time.Millisecond)
	if at := <-tk.C(); !at.Equal(epoch.Add(4 * time.Second)) {
		t.Fatalf("tick at %v", at)
	}
	tk.Reset(time.Minute)
	f.Advance(59 * time.Second)
	if received(tk.C()) {
		t.Fatal("Reset did not change the period")
	}
	tk.Stop()
	if f.Waiters() != 0 {
		t.Fatal("a stopped ticker still waits")
	}
}

func TestFakeBlockUntilWaiters(t *testing.T) {
	f := NewFake(epoch)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { <-f.NewTimer(time.Duration(i+1) * time.Second).C() })
	}
	f.BlockUntilWaiters(8)
	f.Advance(8 * time.Second)
	wg.Wait()
}

func TestFakeConcurrent(t *testing.T) {
	f := NewFake(epoch)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				tm := f.NewTimer(time.Duration(i%3) * time.Millisecond)
				f.AfterFunc(time.Millisecond, func() { f.Now() })
				tm.Stop()
				tm.Reset(time.Millisecond)
				f.Advance(time.Millisecond)
				<-tm.C()
			}
		})
	}
	wg.Wait()
	if f.Monotonic() != 800*time.Millisecond {
		t.Fatalf("monotonic %v", f.Monotonic())
	}
}

func received(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
