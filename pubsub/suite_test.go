package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/pubsub"
	"github.com/larderdb/larder/store"
)

type price struct {
	Pair string
	N    int
}

// patience bounds what a test waits for.
const patience = 20 * time.Second

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		suite(t, func(t testing.TB) store.Store { return s.Open(t) }, s.Can(fleet.CanShard))
	})
}

// A REST API has no sharded channels; the error says so and what to use.
func TestShardedNeedsConnections(t *testing.T) {
	topic := prices(t, fleet.Start(t, fleet.REST).Open(t), func(o *pubsub.Options) { o.Sharded = true })
	_, err := topic.Publish(t.Context(), price{})
	if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "use PUBLISH") {
		t.Errorf("Publish: %v", err)
	}
	if _, err = topic.Open(t.Context(), pubsub.Listener{}); !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "ordinary channels") {
		t.Errorf("Open: %v", err)
	}
}

// suite is what a Topic promises on every store.
func suite(t *testing.T, open func(testing.TB) store.Store, shards bool) {
	for _, sharded := range []bool{false, true} {
		kind := map[bool]string{false: "plain", true: "sharded"}[sharded]
		for _, test := range []struct {
			name string
			run  func(*testing.T, store.Store, *pubsub.Topic[price])
		}{
			{"order", testOrder},
			{"share", testShare},
			{"parts", testParts},
			{"undecodable", testUndecodable},
			{"slow", testSlow},
			{"block", testBlock},
			{"channel", testChannel},
			{"close", testClose},
		} {
			if sharded && !shards {
				continue
			}
			t.Run(kind+"/"+test.name, func(t *testing.T) {
				leaktest.Check(t, "larder/pubsub")
				st := open(t)
				test.run(t, st, prices(t, st, func(o *pubsub.Options) { o.Sharded = sharded }))
			})
		}
	}
	t.Run("match", func(t *testing.T) { testMatch(t, open(t)) })
}

func channelOf(t testing.TB) string { return strings.ReplaceAll(t.Name(), "/", ":") }

func prices(t testing.TB, st store.Store, change ...func(*pubsub.Options)) *pubsub.Topic[price] {
	t.Helper()
	o := pubsub.Options{Name: channelOf(t), Timeout: patience}
	for _, c := range change {
		c(&o)
	}
	topic, err := pubsub.New[price](st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { topic.Close() })
	return topic
}

func open(t testing.TB, topic *pubsub.Topic[price], l pubsub.Listener) *pubsub.Subscription[price] {
	t.Helper()
	s, err := topic.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func next(t testing.TB, s *pubsub.Subscription[price]) *pubsub.Message[price] {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := s.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return m
}

func send(t testing.TB, topic *pubsub.Topic[price], from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		if _, err := topic.Publish(t.Context(), price{N: i}); err != nil {
			t.Fatal(err)
		}
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

func testOrder(t *testing.T, _ store.Store, topic *pubsub.Topic[price]) {
	s := open(t, topic, pubsub.Listener{})
	send(t, topic, 1, 50)
	var many []price
	for i := 51; i <= 300; i++ {
		many = append(many, price{N: i})
	}
	if n, err := topic.PublishMany(t.Context(), many...); err != nil || n > 250 {
		t.Errorf("PublishMany: %d, %v", n, err)
	}
	for i := 1; i <= 300; i++ {
		if m := next(t, s); m.Value.N != i || m.Channel != channelOf(t) || m.Part != "" {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
	if n := topic.Stats(); n.Published != 300 || n.Received != 300 || n.Offered != 300 || n.Delivered != 300 || n.Subscribers != 1 || n.Feeds != 1 {
		t.Errorf("%+v", n)
	}
}

// testShare: many subscribers are one subscription of the store, and the last that goes ends it.
func testShare(t *testing.T, st store.Store, topic *pubsub.Topic[price]) {
	var all []*pubsub.Subscription[price]
	for range 20 {
		all = append(all, open(t, topic, pubsub.Listener{}))
	}
	if n, err := topic.Publish(t.Context(), price{N: 1}); n > 1 || err != nil {
		t.Errorf("Publish reached %d, %v", n, err)
	}
	for _, s := range all {
		if m := next(t, s); m.Value.N != 1 {
			t.Errorf("%+v", m)
		}
	}
	for i, s := range all {
		if n := topic.Stats(); n.Subscribers != 20-i || n.Feeds != 1 {
			t.Errorf("%+v", n)
		}
		s.Close()
		s.Close()
	}
	if n := topic.Stats(); n.Subscribers != 0 || n.Feeds != 0 || n.Delivered != 20 {
		t.Errorf("%+v", n)
	}
	fleet.Eventually(t, "nobody listens", func() bool {
		n, err := topic.Publish(t.Context(), price{N: 2})
		return n == 0 && err == nil
	})
	s := open(t, topic, pubsub.Listener{}) // a new one
	send(t, topic, 3, 3)
	m := next(t, s)
	for m.Value.N == 2 { // a Cluster's servers pass on at their leisure
		m = next(t, s)
	}
	if m.Value.N != 3 {
		t.Errorf("%+v", m)
	}
}

func testParts(t *testing.T, _ store.Store, topic *pubsub.Topic[price]) {
	whole, eur := open(t, topic, pubsub.Listener{}), open(t, topic, pubsub.Listener{Part: "eur"})
	if _, err := topic.PublishTo(t.Context(), "usd", price{N: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := topic.PublishManyTo(t.Context(), "eur", price{N: 2}, price{N: 3}); err != nil {
		t.Fatal(err)
	}
	send(t, topic, 4, 4)
	for _, want := range []int{2, 3} {
		if m := next(t, eur); m.Value.N != want || m.Part != "eur" || m.Channel != channelOf(t)+":eur" {
			t.Errorf("%+v, want %d of eur", m, want)
		}
	}
	if m := next(t, whole); m.Value.N != 4 || m.Part != "" {
		t.Errorf("%+v, want what was sent to the topic itself", m)
	}
}

func testMatch(t *testing.T, st store.Store) {
	leaktest.Check(t, "larder/pubsub")
	topic := prices(t, st, func(o *pubsub.Options) { o.Name = "odd[name]*" })
	if _, err := topic.PublishTo(t.Context(), "x", price{}); err != nil {
		t.Fatal(err)
	}
	all, some := open(t, topic, pubsub.Listener{Match: "*"}), open(t, topic, pubsub.Listener{Match: "eur?sd"})
	parts := []string{"eurusd", "eurgbp", "a:b", "eurasd"}
	for i, part := range parts {
		if _, err := topic.PublishTo(t.Context(), part, price{N: i}); err != nil {
			t.Fatal(err)
		}
		if err := st.Do(t.Context(), "PUBLISH", "oddnx:"+part, `{"N":9}`).Err(); err != nil { // the name is no pattern
			t.Fatal(err)
		}
	}
	// Order is kept within a channel; on a Cluster channels overtake each other.
	seen := func(s *pubsub.Subscription[price], n int) string {
		var got []string
		for range n {
			m := next(t, s)
			got = append(got, fmt.Sprint(m.Value.N, m.Part))
		}
		slices.Sort(got)
		return fmt.Sprint(got)
	}
	if got := seen(all, 4); got != "[0eurusd 1eurgbp 2a:b 3eurasd]" {
		t.Errorf("all: %s", got)
	}
	if got := seen(some, 2); got != "[0eurusd 3eurasd]" {
		t.Errorf("some: %s", got)
	}
}

func testUndecodable(t *testing.T, st store.Store, _ *pubsub.Topic[price]) {
	sharded := strings.Contains(t.Name(), "sharded")
	errs := make(chan error, 10)
	topic := prices(t, st, func(o *pubsub.Options) {
		o.Sharded = sharded
		o.OnError = func(_ context.Context, err error) { errs <- err }
	})
	s := open(t, topic, pubsub.Listener{})
	command := map[bool]string{false: "PUBLISH", true: "SPUBLISH"}[sharded]
	if err := st.Do(t.Context(), command, channelOf(t), "{").Err(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, errs); !strings.Contains(err.Error(), "cannot decode") {
		t.Error(err)
	}
	send(t, topic, 1, 1)
	if m := next(t, s); m.Value.N != 1 {
		t.Errorf("%+v", m)
	}
	if n := topic.Stats(); n.Received != 2 || n.Undecodable != 1 || n.Offered != 1 {
		t.Errorf("%+v", n)
	}
}

// testSlow: what a slow subscriber gets by each policy, while a quick one gets everything.
func testSlow(t *testing.T, _ store.Store, topic *pubsub.Topic[price]) {
	quick := open(t, topic, pubsub.Listener{Buffer: 100})
	gaps := map[pubsub.Overflow][]string{}
	slow := map[pubsub.Overflow]*pubsub.Subscription[price]{}
	for _, policy := range []pubsub.Overflow{pubsub.DropOldest, pubsub.DropNewest, pubsub.Disconnect} {
		slow[policy] = open(t, topic, pubsub.Listener{Buffer: 10, Overflow: policy, OnGap: func(g pubsub.Gap) {
			gaps[policy] = append(gaps[policy], fmt.Sprint(g.Dropped, g.Resumed))
		}})
	}
	for i := 1; i <= 30; i++ {
		send(t, topic, i, i)
		if m := next(t, quick); m.Value.N != i {
			t.Fatalf("%+v, want %d", m, i)
		}
	}
	fleet.Eventually(t, "all are offered", func() bool { return topic.Stats().Offered == 30+30+30+11 })
	for policy, want := range map[pubsub.Overflow]struct {
		first int
		gaps  []string
	}{
		pubsub.DropOldest: {21, []string{"20 false"}},
		pubsub.DropNewest: {1, []string{"20 false"}},
		pubsub.Disconnect: {1, []string{"1 false"}},
	} {
		s := slow[policy]
		for i := range 10 {
			if m := next(t, s); m.Value.N != want.first+i {
				t.Errorf("policy %d: message %d is %+v", policy, i, m)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := s.Next(ctx)
		cancel()
		if wantErr := map[bool]error{false: context.DeadlineExceeded, true: pubsub.ErrSlow}[policy == pubsub.Disconnect]; !errors.Is(err, wantErr) {
			t.Errorf("policy %d ends with %v", policy, err)
		}
		if !slices.Equal(gaps[policy], want.gaps) {
			t.Errorf("policy %d told of %v, want %v", policy, gaps[policy], want.gaps)
		}
		if n := s.Figures(); n.Delivered != 10 || n.Queued != 0 || policy != pubsub.Disconnect && n.Dropped != 20 {
			t.Errorf("policy %d: %+v", policy, n)
		}
	}
}

// testBlock: a subscriber that wants to miss nothing makes its feed wait, and nobody else's.
func testBlock(t *testing.T, _ store.Store, topic *pubsub.Topic[price]) {
	quick := open(t, topic, pubsub.Listener{})
	patient := open(t, topic, pubsub.Listener{Buffer: 5, Overflow: pubsub.Block, Patience: patience})
	hasty := open(t, topic, pubsub.Listener{Buffer: 5, Overflow: pubsub.Block, Patience: time.Millisecond})
	send(t, topic, 1, 50)
	for i := 1; i <= 50; i++ {
		if m := next(t, quick); m.Value.N != i {
			t.Fatalf("%+v, want %d", m, i)
		}
	}
	for i := 1; i <= 50; i++ {
		if m := next(t, patient); m.Value.N != i {
			t.Fatalf("%+v, want %d", m, i)
		}
	}
	fleet.Eventually(t, "45 are dropped", func() bool { n := hasty.Figures(); return n.Dropped == 45 && n.Queued == 5 })
	if n := topic.Stats(); n.Feeds != 3 {
		t.Errorf("%+v", n)
	}
	send(t, topic, 51, 60) // Close must free the one who waits
}

func testChannel(t *testing.T, _ store.Store, topic *pubsub.Topic[price]) {
	s := open(t, topic, pubsub.Listener{})
	c := s.Chan()
	send(t, topic, 1, 20)
	for i := 1; i <= 10; i++ {
		if m := wait(t, c); m.Value.N != i {
			t.Errorf("%+v, want %d", m, i)
		}
	}
	fleet.Eventually(t, "all 20", func() bool { return topic.Stats().Offered == 20 })
	s.Close()
	for range c {
		t.Error("a message after Close")
	}
	if err := s.Err(); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if n := topic.Stats(); n.Delivered != 10 || n.Dropped != 10 || n.Queued != 0 {
		t.Errorf("%+v", n)
	}
}

func testClose(t *testing.T, st store.Store, topic *pubsub.Topic[price]) {
	ctx, cancel := context.WithCancel(t.Context())
	ended, got := make(chan error, 2), make(chan int, 1000)
	go func() {
		ended <- topic.Subscribe(ctx, pubsub.Listener{}, func(_ context.Context, m *pubsub.Message[price]) { got <- m.Value.N })
	}()
	fleet.Eventually(t, "a message", func() bool { send(t, topic, 1, 1); return len(got) > 0 })
	cancel()
	if err := wait(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: %v", err)
	}
	a, b := open(t, topic, pubsub.Listener{}), open(t, topic, pubsub.Listener{Part: "x", Overflow: pubsub.Block, Buffer: 1, Patience: patience})
	if _, err := topic.PublishManyTo(t.Context(), "x", price{N: 1}, price{N: 2}, price{N: 3}); err != nil {
		t.Fatal(err)
	}
	send(t, topic, 7, 7)
	fleet.Eventually(t, "both have something", func() bool { return a.Figures().Queued >= 1 && b.Figures().Queued == 1 })
	go func() {
		var err error
		for err == nil {
			_, err = a.Next(context.Background())
		}
		ended <- err
	}()
	topic.Close()
	topic.Close()
	if err := wait(t, ended); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Next: %v", err)
	}
	if _, err := topic.Publish(t.Context(), price{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Publish: %v", err)
	}
	if _, err := topic.Open(t.Context(), pubsub.Listener{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if err := st.Do(t.Context(), "PING").Err(); err != nil {
		t.Errorf("the store: %v", err)
	}
}
