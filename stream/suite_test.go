package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/stream"
)

type order struct {
	ID       int
	Customer string
}

// patience bounds what a test waits for.
const patience = 20 * time.Second

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		if s.Kind == fleet.Larder {
			s.Register(stream.Scripts()...)
		}
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
	})
}

// suite is what a Stream promises on every store.
func suite(t *testing.T, open func(testing.TB) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"consume", testConsume},
		{"share", testShare},
		{"dead letters", testDeadLetters},
		{"poison", testPoison},
		{"claim", testClaim},
		{"deliveries", testDeliveries},
		{"order", testOrder},
		{"group gone", testGroupGone},
		{"drain", testDrain},
		{"resume", testResume},
		{"read", testRead},
		{"range", testRange},
		{"trim", testTrim},
		{"lag", testLag},
		{"wrong type", testWrongType},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaktest.Check(t, "larder/stream")
			test.run(t, open(t))
		})
	}
}

func options(t testing.TB) stream.Options {
	return stream.Options{
		Name: strings.ReplaceAll(t.Name(), "/", ":"), MaxLen: 100_000,
		OnError: func(_ context.Context, err error) { t.Log(err) },
	}
}

func orders(t testing.TB, st store.Store, change ...func(*stream.Options)) *stream.Stream[order] {
	t.Helper()
	o := options(t)
	for _, c := range change {
		c(&o)
	}
	s, err := stream.New[order](st, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// consuming is a Consume in the background.
type consuming struct {
	t      testing.TB
	cancel context.CancelFunc
	ended  chan error
}

func consume[T any](t testing.TB, s *stream.Stream[T], g stream.Group, fn func(context.Context, *stream.Message[T]) error) *consuming {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &consuming{t, cancel, make(chan error, 1)}
	go func() { c.ended <- s.Consume(ctx, g, fn) }()
	t.Cleanup(cancel)
	return c
}

// stop ends it and wants a good end.
func (c *consuming) stop() {
	c.t.Helper()
	c.cancel()
	if err := wait(c.t, c.ended); err != nil {
		c.t.Errorf("Consume: %v", err)
	}
}

func wait[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func publish(t testing.TB, s *stream.Stream[order], ids ...int) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.Publish(t.Context(), order{ID: id, Customer: "c" + strconv.Itoa(id%7)}); err != nil {
			t.Fatal(err)
		}
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// tally counts what is handled and tells when n different ones were.
type tally struct {
	mu   sync.Mutex
	seen map[int]int
	want int
	full chan struct{}
}

func newTally(want int) *tally {
	return &tally{seen: map[int]int{}, want: want, full: make(chan struct{})}
}

func (c *tally) handle(_ context.Context, m *stream.Message[order]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[m.Value.ID]++; len(c.seen) == c.want && c.seen[m.Value.ID] == 1 {
		close(c.full)
	}
	return nil
}

func (c *tally) once(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range c.seen {
		if n != 1 {
			t.Errorf("order %d was handled %d times", id, n)
		}
	}
}

// wantLag wants a group to be so far. The number of consumers is exact only in this process: across the network a read that
// is cancelled may reach the server after the consumer has left, and makes it anew, until a sweep removes it.
func wantLag(t testing.TB, s *stream.Stream[order], group string, waiting, pending, consumers int64) {
	t.Helper()
	lag, err := s.Lag(t.Context(), group)
	if err != nil || lag.Waiting != waiting || lag.Pending != pending || lag.Consumers < consumers || lag.Consumers > consumers && strings.Contains(t.Name(), "embedded") {
		t.Errorf("lag of %s: %+v, %v; want %d waiting, %d pending, %d consumers", group, lag, err, waiting, pending, consumers)
	}
}

func testConsume(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, 1, 2, 3)
	count := newTally(303)
	c := consume(t, s, stream.Group{Name: "billing", Concurrency: 4}, count.handle)
	var many []order
	for i := range 300 {
		many = append(many, order{ID: 4 + i})
	}
	ids, err := s.PublishMany(t.Context(), many...)
	if err != nil || len(ids) != 300 || slices.Contains(ids, "") {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	wait(t, count.full)
	c.stop()
	count.once(t)
	wantLag(t, s, "billing", 0, 0, 0)
	if n := s.Stats(); n.Published != 303 || n.Received != 303 || n.Handled != 303 || n.Acked != 303 || n.Failed+n.Dead+n.Lost+n.StoreErrors != 0 {
		t.Errorf("%+v", n)
	}
}

func testShare(t *testing.T, st store.Store) {
	s := orders(t, st)
	const n = 200
	billing, mail := newTally(n), newTally(n)
	var all []*consuming
	for range 3 {
		all = append(all, consume(t, s, stream.Group{Name: "billing", Prefetch: 1}, billing.handle))
	}
	all = append(all, consume(t, s, stream.Group{Name: "mail"}, mail.handle))
	publish(t, s, upTo(n)...)
	wait(t, billing.full)
	wait(t, mail.full)
	for _, c := range all {
		c.stop()
	}
	billing.once(t)
	mail.once(t)
	wantLag(t, s, "billing", 0, 0, 0)
	wantLag(t, s, "mail", 0, 0, 0)
}

func quick(int) time.Duration { return time.Millisecond }

func testDeadLetters(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, 1, 2, 3)
	type try struct{ id, deliveries int }
	tries := make(chan try, 100)
	broken := true
	var mu sync.Mutex
	handler := func(_ context.Context, m *stream.Message[order]) error {
		mu.Lock()
		defer mu.Unlock()
		tries <- try{m.Value.ID, m.Deliveries}
		switch {
		case m.Value.ID == 1 && broken:
			return errors.New("no such customer")
		case m.Value.ID == 2 && broken:
			return fmt.Errorf("closed account: %w", stream.ErrDead)
		case m.Value.ID == 3 && m.Deliveries == 1:
			panic("boom")
		}
		return nil
	}
	other := newTally(3)
	mail := consume(t, s, stream.Group{Name: "mail"}, other.handle)
	c := consume(t, s, stream.Group{Name: "billing", MaxDeliveries: 3, Backoff: quick}, handler)
	got := map[try]bool{}
	for range 6 {
		got[wait(t, tries)] = true
	}
	for _, want := range []try{{1, 1}, {1, 2}, {1, 3}, {2, 1}, {3, 1}, {3, 2}} {
		if !got[want] {
			t.Errorf("no attempt %v: %v", want, got)
		}
	}
	dead := s.DeadLetters("billing")
	fleet.Eventually(t, "two dead letters", func() bool { n, _ := dead.Len(t.Context()); return n == 2 })
	letters, err := dead.Range(t.Context(), "", 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("%v, %v", letters, err)
	}
	for _, d := range letters {
		reason, deliveries := "no such customer", 3
		if d.Value.ID == 2 {
			reason, deliveries = "closed account: not worth another attempt", 1
		}
		if d.Err != nil || d.Reason != reason || d.Deliveries != deliveries {
			t.Errorf("%+v", d)
		}
	}
	if rest, err := dead.Range(t.Context(), letters[0].ID, 10); err != nil || len(rest) != 1 || rest[0].ID != letters[1].ID {
		t.Errorf("after the first: %v, %v", rest, err)
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	wait(t, other.full)
	if n, err := dead.ReplayAll(t.Context()); n != 2 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	got = map[try]bool{}
	for range 2 {
		got[wait(t, tries)] = true
	}
	if !got[try{1, 1}] || !got[try{2, 1}] {
		t.Errorf("replay brought %v", got)
	}
	publish(t, s, 4) // behind the replayed ones: when mail has it, it has passed them
	fleet.Eventually(t, "order 4 at mail", func() bool { other.mu.Lock(); defer other.mu.Unlock(); return other.seen[4] == 1 })
	wait(t, tries)
	c.stop()
	mail.stop()
	other.once(t)
	if n, err := dead.Len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d dead letters left, %v", n, err)
	}
	wantLag(t, s, "billing", 0, 0, 0)
	wantLag(t, s, "mail", 0, 0, 0)
	if n := s.Stats(); n.Dead != 2 || n.Retried != 3 || n.Failed != 5 {
		t.Errorf("%+v", n)
	}
}

func testPoison(t *testing.T, st store.Store) {
	s := orders(t, st)
	key := options(t).Name
	for _, words := range [][]string{{"data", "{not json"}, {"other", "field"}, {"data", `{"ID":"text"}`}} {
		if err := st.Do(t.Context(), append([]string{"XADD", key, "*"}, words...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, s, 1)
	count := newTally(1)
	c := consume(t, s, stream.Group{Name: "billing"}, count.handle)
	wait(t, count.full)
	fleet.Eventually(t, "dead letters", func() bool { n, _ := s.DeadLetters("billing").Len(t.Context()); return n == 3 })
	c.stop()
	wantLag(t, s, "billing", 0, 0, 0)
	letters, err := s.DeadLetters("billing").Range(t.Context(), "", 10)
	if err != nil || len(letters) != 3 || letters[0].Err == nil || letters[0].Deliveries != 1 || !strings.Contains(letters[0].Reason, "cannot decode") {
		t.Errorf("%+v, %v", letters, err)
	}
	if n := s.Stats(); n.Undecodable != 3 || n.Dead != 3 || n.Handled != 1 {
		t.Errorf("%+v", n)
	}
}

// readAs takes entries for a consumer that then is no more heard of.
func readAs(t testing.TB, st store.Store, key, group, consumer string, n int) {
	t.Helper()
	st.Do(t.Context(), "XGROUP", "CREATE", key, group, "0", "MKSTREAM")
	if err := st.Do(t.Context(), "XREADGROUP", "GROUP", group, consumer, "COUNT", strconv.Itoa(n), "STREAMS", key, ">").Err(); err != nil {
		t.Fatal(err)
	}
}

func testClaim(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, upTo(50)...)
	readAs(t, st, options(t).Name, "billing", "ghost", 20)
	count := newTally(50)
	var consumers []*consuming
	for range 2 {
		consumers = append(consumers, consume(t, s, stream.Group{Name: "billing", ClaimIdle: 200 * time.Millisecond}, func(ctx context.Context, m *stream.Message[order]) error {
			if want := 1 + (70-m.Value.ID)/50; m.Deliveries != want {
				t.Errorf("delivery %d of order %d, want %d", m.Deliveries, m.Value.ID, want)
			}
			return count.handle(ctx, m)
		}))
	}
	wait(t, count.full)
	for _, c := range consumers {
		c.stop()
	}
	count.once(t)
	wantLag(t, s, "billing", 0, 0, 1) // the ghost is forgotten later
	if n := s.Stats(); n.Claimed != 20 || n.Received != 30 {
		t.Errorf("%+v", n)
	}
}

// testDeliveries: an entry whose consumers die again and again is not handled more often than MaxDeliveries.
func testDeliveries(t *testing.T, st store.Store) {
	s := orders(t, st)
	key := options(t).Name
	publish(t, s, 1)
	readAs(t, st, key, "billing", "ghost", 1)
	for range 2 {
		if err := st.Do(t.Context(), "XAUTOCLAIM", key, "billing", "ghost", "0", "0").Err(); err != nil {
			t.Fatal(err)
		}
	}
	c := consume(t, s, stream.Group{Name: "billing", MaxDeliveries: 3, ClaimIdle: 100 * time.Millisecond}, func(context.Context, *stream.Message[order]) error {
		t.Error("a fourth delivery")
		return nil
	})
	fleet.Eventually(t, "a dead letter", func() bool { n, _ := s.DeadLetters("billing").Len(t.Context()); return n == 1 })
	c.stop()
	letters, err := s.DeadLetters("billing").Range(t.Context(), "", 10)
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Reason, "3 times") {
		t.Errorf("%+v, %v", letters, err)
	}
}

func testOrder(t *testing.T, st store.Store) {
	s := orders(t, st).KeyBy(func(o order) string { return o.Customer })
	const n = 210
	var mu sync.Mutex
	last, total := map[string]int{}, 0
	full := make(chan struct{})
	c := consume(t, s, stream.Group{Name: "billing", Ordered: true, Concurrency: 4, Backoff: quick}, func(_ context.Context, m *stream.Message[order]) error {
		mu.Lock()
		defer mu.Unlock()
		if m.Value.ID%10 == 3 && m.Deliveries < 3 {
			return errors.New("not yet")
		}
		if m.Value.ID <= last[m.Value.Customer] {
			t.Errorf("order %d of %s after %d", m.Value.ID, m.Value.Customer, last[m.Value.Customer])
		}
		last[m.Value.Customer] = m.Value.ID
		if total++; total == n {
			close(full)
		}
		return nil
	})
	publish(t, s, upTo(n)...)
	wait(t, full)
	c.stop()
	wantLag(t, s, "billing", 0, 0, 0)
}

func testGroupGone(t *testing.T, st store.Store) {
	s := orders(t, st)
	key := options(t).Name
	seen := make(chan int, 100)
	c := consume(t, s, stream.Group{Name: "billing"}, func(_ context.Context, m *stream.Message[order]) error {
		seen <- m.Value.ID
		return nil
	})
	publish(t, s, 1)
	wait(t, seen)
	fleet.Eventually(t, "the acknowledgement", func() bool { return s.Stats().Acked == 1 })
	if err := st.Do(t.Context(), "XGROUP", "DESTROY", key, "billing").Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, s, 2)
	if id := wait(t, seen); id != 2 {
		t.Errorf("after the group was destroyed: order %d", id)
	}
	fleet.Eventually(t, "the acknowledgement", func() bool { return s.Stats().Acked == 2 })
	if err := st.Do(t.Context(), "DEL", key).Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, s, 3)
	if id := wait(t, seen); id != 3 {
		t.Errorf("after the stream was deleted: order %d", id)
	}
	c.stop()
	if n := s.Stats(); n.Rejoined < 2 {
		t.Errorf("%+v", n)
	}
	wantLag(t, s, "billing", 0, 0, 0)
}

func testDrain(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, 1, 2, 3)
	begun, finish := make(chan struct{}), make(chan struct{})
	var handled []int
	c := consume(t, s, stream.Group{Name: "billing"}, func(ctx context.Context, m *stream.Message[order]) error {
		if m.Value.ID == 1 {
			close(begun)
			<-finish
		}
		handled = append(handled, m.Value.ID)
		return ctx.Err()
	})
	wait(t, begun)
	fleet.Eventually(t, "all three read", func() bool { return s.Stats().Received == 3 })
	c.cancel()
	close(finish)
	c.stop()
	if !slices.Equal(handled, []int{1, 2, 3}) {
		t.Errorf("what was held was not handled: %v", handled)
	}
	wantLag(t, s, "billing", 0, 0, 0)

	publish(t, s, 4, 5)
	causes, started := make(chan error, 1), make(chan struct{})
	c = consume(t, s, stream.Group{Name: "billing", Drain: -1}, func(ctx context.Context, m *stream.Message[order]) error {
		close(started)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})
	wait(t, started)
	fleet.Eventually(t, "both read", func() bool { return s.Stats().Received == 5 })
	c.cancel()
	if cause := wait(t, causes); !errors.Is(cause, stream.ErrDrained) {
		t.Errorf("a handler that takes too long is told: %v", cause)
	}
	c.stop()
	wantLag(t, s, "billing", 0, 2, 1)
	// What was given back is claimed at once, not after ClaimIdle.
	count := newTally(2)
	begin := time.Now()
	st.Do(t.Context(), "DEL", "{"+options(t).Name+"}:sweep:billing")
	c = consume(t, s, stream.Group{Name: "billing"}, count.handle)
	wait(t, count.full)
	if took := time.Since(begin); took > stream.DefaultClaimIdle/3 {
		t.Errorf("it took %v", took)
	}
	c.stop()
}

// testResume: a consumer with a fixed name that was killed goes on with what it had.
func testResume(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, upTo(5)...)
	readAs(t, st, options(t).Name, "billing", "one", 3)
	var seen []int
	full := make(chan struct{})
	c := consume(t, s, stream.Group{Name: "billing", Consumer: "one"}, func(_ context.Context, m *stream.Message[order]) error {
		if seen = append(seen, m.Value.ID); len(seen) == 5 {
			close(full)
		}
		return nil
	})
	wait(t, full)
	c.stop()
	if !slices.Equal(seen, upTo(5)) {
		t.Errorf("%v", seen)
	}
	wantLag(t, s, "billing", 0, 0, 0)
}

func testRead(t *testing.T, st store.Store) {
	s := orders(t, st)
	publish(t, s, 1, 2)
	st.Do(t.Context(), "XADD", options(t).Name, "*", "data", "{")
	enough := errors.New("enough")
	var ids []string
	var seen []int
	read := func(from stream.Position, n int) {
		t.Helper()
		ids, seen = nil, nil
		err := s.Read(t.Context(), from, func(_ context.Context, m *stream.Message[order]) error {
			ids, seen = append(ids, m.ID), append(seen, m.Value.ID)
			if len(seen) == n {
				return enough
			}
			return nil
		})
		if err != enough {
			t.Errorf("Read: %v", err)
		}
	}
	third := make(chan struct{})
	hears := orders(t, st, func(o *stream.Options) { o.OnError = func(context.Context, error) { close(third) } })
	var publisher sync.WaitGroup
	publisher.Go(func() {
		<-third
		s.Publish(context.Background(), order{ID: 3})
	})
	err := hears.Read(t.Context(), stream.Beginning, func(_ context.Context, m *stream.Message[order]) error {
		if seen = append(seen, m.Value.ID); len(seen) == 3 {
			return enough
		}
		return nil
	})
	if err != enough || !slices.Equal(seen, upTo(3)) {
		t.Errorf("while it grows: %v, %v", seen, err)
	}
	publisher.Wait()
	read(stream.Beginning, 3)
	if !slices.Equal(seen, upTo(3)) {
		t.Errorf("from the beginning: %v", seen)
	}
	read(stream.After(ids[0]), 2)
	if !slices.Equal(seen, []int{2, 3}) {
		t.Errorf("after the first: %v", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, got := make(chan error, 1), make(chan int, 100)
	go func() {
		ended <- s.Read(ctx, stream.Latest, func(_ context.Context, m *stream.Message[order]) error {
			got <- m.Value.ID
			return nil
		})
	}()
	first := 0
	for i := 4; first == 0; i++ { // until Read has found out where the end is
		publish(t, s, i)
		select {
		case first = <-got:
		case <-time.After(50 * time.Millisecond):
		}
	}
	if first < 4 {
		t.Errorf("Latest brought order %d, which was there before", first)
	}
	cancel()
	if err := wait(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
}

func testRange(t *testing.T, st store.Store) {
	s := orders(t, st)
	var ids []string
	for i := range 5 {
		id, err := s.Publish(t.Context(), order{ID: i})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	show := func(list []stream.Message[order], err error) string {
		if err != nil {
			return err.Error()
		}
		var out []int
		for _, m := range list {
			if m.ID != ids[m.Value.ID] || m.Time().UnixMilli() == 0 {
				t.Errorf("%+v", m)
			}
			out = append(out, m.Value.ID)
		}
		return fmt.Sprint(out)
	}
	for got, want := range map[string]string{
		show(s.Range(t.Context(), "", "", 3)):           "[0 1 2]",
		show(s.Range(t.Context(), ids[1], ids[3], 100)): "[1 2 3]",
		show(s.Newest(t.Context(), 2)):                  "[4 3]",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := s.Range(t.Context(), "", "", 0); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if n, err := s.Delete(t.Context(), ids[0], ids[1], "1-1"); n != 2 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if n, err := s.Len(t.Context()); n != 3 || err != nil {
		t.Errorf("%d left, %v", n, err)
	}
}

func testTrim(t *testing.T, st store.Store) {
	many := make([]order, 1000)
	s := orders(t, st, func(o *stream.Options) { o.MaxLen = 100 })
	if _, err := s.PublishMany(t.Context(), many...); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Len(t.Context()); n < 100 || n > 300 || err != nil {
		t.Errorf("MaxLen 100 keeps %d, %v", n, err)
	}
	s = orders(t, st, func(o *stream.Options) { o.Name, o.MaxLen, o.MaxAge = o.Name+"2", 0, time.Hour })
	old := strconv.FormatInt(time.Now().Add(-2*time.Hour).UnixMilli(), 10)
	for i := range 1000 {
		if err := st.Do(t.Context(), "XADD", options(t).Name+"2", old+"-"+strconv.Itoa(i), "data", "{}").Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, s, 1)
	if n, err := s.Len(t.Context()); n > 200 || err != nil {
		t.Errorf("MaxAge 1h keeps %d of 1000 older ones, %v", n, err)
	}
	s = orders(t, st, func(o *stream.Options) { o.Name, o.MaxLen, o.MaxAge = o.Name+"2", 100, time.Hour })
	if _, err := s.PublishMany(t.Context(), many...); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Len(t.Context()); n > 300 || err != nil {
		t.Errorf("both bounds keep %d, %v", n, err)
	}
}

func testLag(t *testing.T, st store.Store) {
	s := orders(t, st)
	if _, err := s.Lag(t.Context(), "billing"); err == nil {
		t.Error("a lag without a stream")
	}
	publish(t, s, upTo(10)...)
	if _, err := s.Lag(t.Context(), "billing"); !errors.Is(err, store.ErrNil) {
		t.Errorf("a lag without a group: %v", err)
	}
	readAs(t, st, options(t).Name, "billing", "ghost", 4)
	wantLag(t, s, "billing", 6, 4, 1)
	all, err := s.Range(t.Context(), "", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(t.Context(), all[7].ID); err != nil {
		t.Fatal(err)
	}
	wantLag(t, s, "billing", 5, 4, 1)
	if lag, _ := s.Lag(t.Context(), "billing"); lag.Exact || lag.Age != all[9].Time().Sub(all[3].Time()) {
		t.Errorf("%+v", lag)
	}
}

func testWrongType(t *testing.T, st store.Store) {
	if err := st.Do(t.Context(), "SET", options(t).Name, "text").Err(); err != nil {
		t.Fatal(err)
	}
	s := orders(t, st)
	nothing := func(context.Context, *stream.Message[order]) error { return nil }
	_, err := s.Publish(t.Context(), order{})
	for what, err := range map[string]error{
		"Publish": err,
		"Consume": s.Consume(t.Context(), stream.Group{Name: "g"}, nothing),
		"Read":    s.Read(t.Context(), stream.Beginning, nothing),
	} {
		if !errors.Is(err, store.ErrWrongType) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
