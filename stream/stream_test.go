package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/observetest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
	"github.com/larderdb/larder/stream"
)

func embedded(t testing.TB) *larder.DB {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		o    stream.Options
		want string
	}{
		{stream.Options{MaxLen: 1}, "no Name"},
		{stream.Options{Name: "s"}, "no bound"},
		{stream.Options{Name: "s", MaxLen: -1}, "MaxLen -1"},
		{stream.Options{Name: "s", MaxAge: -1}, "MaxAge -1ns"},
		{stream.Options{Name: "s", MaxAge: 1}, "at least a millisecond"},
		{stream.Options{Name: "s", NoTrim: true, MaxLen: 1}, "NoTrim together"},
		{stream.Options{Name: "a{b", NoTrim: true}, "hash tag"},
		{stream.Options{Name: "a{}b", NoTrim: true}, "hash tag"},
		{stream.Options{Name: "a}b", NoTrim: true}, "without a {"},
		{stream.Options{Name: "s", NoTrim: true, Codec: codec.Raw{}}, "Raw"},
		{stream.Options{Name: "{shop}orders", NoTrim: true}, ""},
		{stream.Options{Name: "s", MaxLen: 1, MaxAge: time.Hour}, ""},
	} {
		_, err := stream.New[order](embedded(t), test.o)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
	}
	if _, err := stream.New[chan int](embedded(t), stream.Options{Name: "s", MaxLen: 1}); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

func TestGroupIsChecked(t *testing.T) {
	s := orders(t, embedded(t))
	fn := func(context.Context, *stream.Message[order]) error { return nil }
	for _, g := range []stream.Group{
		{}, {Name: "g", Concurrency: -1}, {Name: "g", Concurrency: 1 << 20}, {Name: "g", Prefetch: 1 << 30}, {Name: "g", MaxDead: -1},
		{Name: "g", ClaimIdle: time.Millisecond}, {Name: "g", From: "yesterday"}, {Name: "g", From: "1-"}, {Name: "g", From: "-1"}, {Name: "g", From: "1-1-1"},
	} {
		if err := s.Consume(t.Context(), g, fn); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", g, err)
		}
	}
	if err := s.Consume(t.Context(), stream.Group{Name: "g"}, nil); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if err := s.Read(t.Context(), "yesterday", fn); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if _, err := s.DeadLetters("g").Replay(t.Context(), "x"); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if n, _ := s.Len(t.Context()); n != 0 {
		t.Error("a refused group left something behind")
	}
}

// prickly is a type whose decoder panics at some values.
type prickly int

func (p *prickly) UnmarshalJSON(b []byte) error {
	if string(b) == "13" {
		panic("thirteen")
	}
	return json.Unmarshal(b, (*int)(p))
}

// TestPanicsBeforeTheHandler: a decoder, or a function of KeyBy, that panics at a value makes a dead letter of it. Otherwise
// the entry would end each process to which the group hands it.
func TestPanicsBeforeTheHandler(t *testing.T) {
	s, err := stream.New[prickly](embedded(t), stream.Options{Name: "x", MaxLen: 100})
	if err != nil {
		t.Fatal(err)
	}
	keyed := s.KeyBy(func(p prickly) string {
		if p == 14 {
			panic("fourteen")
		}
		return "key"
	})
	if _, err := s.PublishMany(t.Context(), 12, 13, 14, 15); err != nil {
		t.Fatal(err)
	}
	got := make(chan prickly, 4)
	c := consume(t, keyed, stream.Group{Name: "g", Ordered: true, Concurrency: 4}, func(_ context.Context, m *stream.Message[prickly]) error {
		got <- m.Value
		return nil
	})
	if a, b := wait(t, got), wait(t, got); a != 12 || b != 15 {
		t.Errorf("handled %d and %d", a, b)
	}
	fleet.Eventually(t, "two dead letters", func() bool { return s.Stats().Dead == 2 })
	c.stop()
	dead, err := s.DeadLetters("g").Range(t.Context(), "", 10)
	if err != nil || len(dead) != 2 {
		t.Fatal(dead, err)
	}
	for i, want := range []string{"thirteen", "fourteen"} {
		if !strings.Contains(dead[i].Reason, "panicked: "+want) {
			t.Errorf("reason %d: %s", i, dead[i].Reason)
		}
	}
	if err := s.Read(t.Context(), stream.Beginning, nil); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

// TestAgeAfterALostFuture: a store whose clock was far ahead and that then lost everything, or was replaced, does not have
// its new entries trimmed by the old one's time.
func TestAgeAfterALostFuture(t *testing.T) {
	db := embedded(t)
	s := orders(t, db, func(o *stream.Options) { o.Name, o.MaxLen, o.MaxAge = "orders", 0, time.Hour })
	ahead := strconv.FormatInt(time.Now().Add(48*time.Hour).UnixMilli(), 10)
	if err := db.Do(t.Context(), "XADD", "orders", ahead+"-0", "data", "{}").Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, s, 1)
	if err := db.Do(t.Context(), "DEL", "orders").Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, s, upTo(1000)...)
	if n, err := s.Len(t.Context()); n < 900 || err != nil {
		t.Errorf("%d of 1000 entries are left, %v", n, err)
	}
}

// told notes commands as they begin.
type told struct {
	store.Store
	mu   sync.Mutex
	cmds []string
}

func (s *told) Do(ctx context.Context, args ...string) store.Reply {
	s.mu.Lock()
	s.cmds = append(s.cmds, args[0]+" "+args[len(args)-1])
	s.mu.Unlock()
	return s.Store.Do(ctx, args...)
}

func (s *told) index(t *testing.T, cmd string) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.cmds, cmd)
	if i < 0 {
		t.Fatalf("%q is not among %q", cmd, s.cmds)
	}
	return i
}

// TestResumeBeforeSweep: a consumer that restarts after a long time takes up its own entries first, in their order. They are
// idle for long enough to be claimed, too, and claiming at the same time would mix them up.
func TestResumeBeforeSweep(t *testing.T) {
	fake := fleet.NewClocked(t)
	st := &told{Store: fake}
	s := orders(t, st, func(o *stream.Options) { o.Name, o.Clock = "orders", fake.Fake })
	publish(t, s, upTo(100)...)
	must := func(cmd ...string) {
		t.Helper()
		if err := fake.Do(t.Context(), cmd...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	must("XGROUP", "CREATE", "orders", "g", "0")
	must("XREADGROUP", "GROUP", "g", "me", "COUNT", "50", "STREAMS", "orders", ">")
	fake.Advance(time.Hour)
	got := make(chan int, 200)
	c := consume(t, s, stream.Group{Name: "g", Consumer: "me", Ordered: true, Prefetch: 10}, func(_ context.Context, m *stream.Message[order]) error {
		got <- m.Value.ID
		return nil
	})
	for i := 1; i <= 100; i++ {
		if id := wait(t, got); id != i {
			t.Fatalf("%d, want %d", id, i)
		}
	}
	fleet.Eventually(t, "a sweep", func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return slices.ContainsFunc(st.cmds, func(s string) bool { return strings.HasPrefix(s, "XINFO g") })
	})
	c.stop()
	if n := s.Stats(); n.Handled != 100 {
		t.Errorf("%+v", n)
	}
	claim := slices.IndexFunc(st.cmds, func(s string) bool { return strings.HasPrefix(s, "XAUTOCLAIM") })
	if first := st.index(t, "XREADGROUP >"); claim >= 0 && claim < first { // a sweep that finds nothing pending claims nothing
		t.Errorf("claimed before the entries of its own were taken up: %q", st.cmds)
	}
}

// TestCodecs: what is published in each format comes back, and so do bytes as they are.
func TestCodecs(t *testing.T) {
	db := embedded(t)
	for _, c := range []codec.Codec{nil, codec.JSON{}, codec.MsgPack{}} {
		s := orders(t, db, func(o *stream.Options) { o.Name, o.Codec = fmt.Sprintf("%T", c), c })
		want := order{7, "änn<>"}
		if _, err := s.Publish(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Newest(t.Context(), 1); err != nil || len(got) != 1 || got[0].Value != want {
			t.Errorf("%T: %+v, %v", c, got, err)
		}
	}
	raw, err := stream.New[[]byte](db, stream.Options{Name: "raw", MaxLen: 10})
	if err != nil {
		t.Fatal(err)
	}
	blobs := [][]byte{{0, 255, '\n'}, {}, make([]byte, 100_000)}
	if _, err := raw.PublishMany(t.Context(), blobs...); err != nil {
		t.Fatal(err)
	}
	got, err := raw.Range(t.Context(), "", "", 10)
	if err != nil || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	for i, m := range got {
		if !slices.Equal(m.Value, blobs[i]) {
			t.Errorf("blob %d differs", i)
		}
	}
	odd, err := stream.New[any](db, stream.Options{Name: "odd", MaxLen: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := odd.PublishMany(t.Context(), 1, func() {}); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if n, _ := odd.Len(t.Context()); n != 0 {
		t.Error("a batch with a value that cannot be encoded was published in part")
	}
	if ids, err := odd.PublishMany(t.Context()); ids != nil || err != nil {
		t.Error(ids, err)
	}
}

// TestRoundTrips counts calls of the store.
func TestRoundTrips(t *testing.T) {
	f := storetest.NewFaulty(embedded(t))
	s := orders(t, f)
	calls := func(want int, what string, do func()) {
		t.Helper()
		before := f.Calls()
		do()
		if got := f.Calls() - before; got > want {
			t.Errorf("%s took %d calls, want %d", what, got, want)
		}
	}
	calls(1, "Publish", func() { publish(t, s, 1) })
	calls(1, "PublishMany", func() { s.PublishMany(t.Context(), make([]order, 999)...) })
	count := newTally(1)
	n := 0
	// 16 reads, and as many acknowledgements as go while others gather: few where they take time.
	calls(400, "consuming 1000 entries", func() {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Consume(ctx, stream.Group{Name: "g"}, func(ctx context.Context, m *stream.Message[order]) error {
			if n++; n == 1000 {
				cancel()
			}
			return count.handle(ctx, m)
		})
		if err != nil {
			t.Error(err)
		}
	})
	aged := orders(t, f, func(o *stream.Options) { o.Name, o.MaxLen, o.MaxAge = "aged", 0, time.Hour })
	calls(2, "the first Publish by age", func() { publish(t, aged, 1) })
	calls(1, "later ones", func() { publish(t, aged, 1) })
}

// TestStoreFails: publishing tells, consuming goes on.
func TestStoreFails(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	f := storetest.NewFaulty(embedded(t))
	errs := make(chan error, 1000)
	s := orders(t, f, func(o *stream.Options) { o.OnError = func(_ context.Context, err error) { errs <- err } })
	f.Fail(1)
	if _, err := s.Publish(t.Context(), order{}); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	f.Fail(1)
	if ids, err := s.PublishMany(t.Context(), order{}, order{}); !errors.Is(err, store.ErrUnavailable) || len(ids) != 2 || ids[0]+ids[1] != "" {
		t.Error(ids, err)
	}
	f.Fail(3)
	count := newTally(2)
	c := consume(t, s, stream.Group{Name: "g"}, count.handle)
	for range 3 {
		if err := wait(t, errs); !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
	}
	publish(t, s, 1, 2)
	wait(t, count.full)
	f.Forget(2) // acknowledgements may be lost: they are repeated
	c.stop()
	count.once(t)
	if s.Stats().StoreErrors == 0 {
		t.Error("failures are not counted")
	}
}

func TestClosedStore(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	db := embedded(t)
	s := orders(t, db)
	publish(t, s, 1)
	c := consume(t, s, stream.Group{Name: "g"}, func(ctx context.Context, _ *stream.Message[order]) error {
		db.Close()
		<-ctx.Done() // the consumer does not wait for the time to drain
		return ctx.Err()
	})
	if err := wait(t, c.ended); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Consume: %v", err)
	}
	if err := s.Read(t.Context(), stream.Beginning, func(context.Context, *stream.Message[order]) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
}

// TestLost: a consumer that could give no sign of life tells its handler that the entry is somebody else's now.
func TestLost(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	fake := fleet.NewClocked(t)
	s := orders(t, fake, func(o *stream.Options) { o.Clock = fake.Fake })
	publish(t, s, 1)
	begun, causes := make(chan struct{}), make(chan error, 1)
	c := consume(t, s, stream.Group{Name: "g", ClaimIdle: time.Second}, func(ctx context.Context, _ *stream.Message[order]) error {
		close(begun)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})
	wait(t, begun)
	var cause error
	for cause == nil { // the thief holds on to it: this consumer would claim it back from a silent one
		if err := fake.Do(t.Context(), "XAUTOCLAIM", options(t).Name, "g", "thief", "0", "0").Err(); err != nil {
			t.Fatal(err)
		}
		fake.Advance(50 * time.Millisecond)
		select {
		case cause = <-causes:
		default:
			runtime.Gosched()
		}
	}
	if cause != stream.ErrLost {
		t.Errorf("the handler's ctx ended with %v", cause)
	}
	fleet.Eventually(t, "the loss is counted", func() bool { return s.Stats().Lost == 1 })
	c.stop()
	if n := s.Stats(); n.Failed != 0 || n.Acked != 0 {
		t.Errorf("%+v", n)
	}
	wantLag(t, s, "g", 0, 1, 1) // the thief's
}

// TestLongHandler: a handler that takes longer than ClaimIdle keeps its entry.
func TestLongHandler(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	fake := fleet.NewClocked(t)
	s := orders(t, fake, func(o *stream.Options) { o.Clock = fake.Fake })
	publish(t, s, 1)
	waiters := fake.Waiters()
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	handler := func(context.Context, *stream.Message[order]) error {
		begun <- struct{}{}
		<-finish
		return nil
	}
	a := consume(t, s, stream.Group{Name: "g", ClaimIdle: time.Second}, handler)
	wait(t, begun)
	fake.BlockUntilWaiters(waiters + 3) // for the next sign of life, the next sweep, and entries
	b := consume(t, s, stream.Group{Name: "g", ClaimIdle: time.Second}, handler)
	fake.BlockUntilWaiters(waiters + 6)
	for range 40 { // 10 s; each sign of life is waited for, while the clock creeps: a tick that nobody takes in time is dropped
		fake.Advance(250 * time.Millisecond)
		fleet.Eventually(t, "a sign of life", func() bool {
			list, err := fake.Do(t.Context(), "XPENDING", options(t).Name, "g", "IDLE", "501", "-", "+", "1").Array()
			if err == nil && len(list) == 0 {
				return true
			}
			fake.Advance(time.Millisecond)
			return false
		})
	}
	close(finish)
	a.stop()
	b.stop()
	if n := s.Stats(); n.Handled != 1 || n.Claimed != 0 || n.Lost != 0 {
		t.Errorf("%+v", n)
	}
}

// TestGoexit: a handler that ends its goroutine costs an attempt, not the worker.
func TestGoexit(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	s := orders(t, embedded(t))
	publish(t, s, 1, 2)
	seen := make(chan int, 10)
	c := consume(t, s, stream.Group{Name: "g", ClaimIdle: 100 * time.Millisecond}, func(_ context.Context, m *stream.Message[order]) error {
		seen <- m.Value.ID
		if m.Value.ID == 1 && m.Deliveries == 1 {
			runtime.Goexit()
		}
		return nil
	})
	got := []int{wait(t, seen), wait(t, seen), wait(t, seen)}
	c.stop()
	if !slices.Equal(got, []int{1, 2, 1}) {
		t.Errorf("handled %v", got)
	}
	wantLag(t, s, "g", 0, 0, 0)
}

// TestManyFail: a consumer whose every entry fails holds a bounded number of them.
func TestManyFail(t *testing.T) {
	leaktest.Check(t, "larder/stream")
	s := orders(t, embedded(t), func(o *stream.Options) { o.OnError = nil })
	for range 5 {
		if _, err := s.PublishMany(t.Context(), make([]order, 1000)...); err != nil {
			t.Fatal(err)
		}
	}
	c := consume(t, s, stream.Group{Name: "g", Backoff: func(int) time.Duration { return time.Hour }}, func(context.Context, *stream.Message[order]) error {
		return errors.New("no")
	})
	fleet.Eventually(t, "a thousand failures", func() bool { return s.Stats().Failed >= 1024 })
	c.stop()
	if n := s.Stats(); n.Received > 1024+2*65 {
		t.Errorf("%d entries were taken", n.Received)
	}
}

// TestObserver: what an Observer hears of a handled entry, a retried one and a dead one.
func TestObserver(t *testing.T) {
	heard := &observetest.Recorder{}
	s := orders(t, embedded(t), func(o *stream.Options) { o.Observer = heard })
	publish(t, s, 1, 2)
	done := make(chan struct{}, 10)
	c := consume(t, s, stream.Group{Name: "g", MaxDeliveries: 2, Backoff: quick}, func(ctx context.Context, m *stream.Message[order]) error {
		defer func() { done <- struct{}{} }()
		if observetest.Within(ctx) != "handle" {
			t.Error("the handler's ctx is not the observer's")
		}
		if m.Value.ID == 2 {
			return errors.New("no")
		}
		return nil
	})
	for range 3 {
		wait(t, done)
	}
	fleet.Eventually(t, "a dead letter", func() bool { return s.Stats().Dead == 1 })
	c.stop()
	if wrong := heard.Check(map[string]float64{"publish ok": 2, "handle ok": 1, "handle error": 2, "retried": 1, "dead": 1}); wrong != "" {
		t.Error(wrong)
	}
	for _, gauge := range []string{"lag", "pending"} {
		if _, ok := heard.Level(options(t).Name+"/g", gauge); !ok {
			t.Errorf("no gauge %q: %s", gauge, heard.Show(observetest.Gauge))
		}
	}
}

func TestExponential(t *testing.T) {
	b := stream.Exponential(100*time.Millisecond, time.Second)
	for deliveries, millis := range map[int]int{-5: 100, 0: 100, 1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 63: 1000, math.MaxInt: 1000} {
		most := time.Duration(millis) * time.Millisecond
		for range 20 {
			if d := b(deliveries); d < most/2 || d > most {
				t.Errorf("after %d deliveries %v, want %v to %v", deliveries, d, most/2, most)
			}
		}
	}
	if d := stream.Exponential(0, 0)(3); d != 0 {
		t.Error(d)
	}
}
