package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/observetest"
	"github.com/larderdb/larder/pubsub"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func TestOptions(t *testing.T) {
	db := embedded(t)
	if _, err := pubsub.New[price](db, pubsub.Options{}); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "no Name") {
		t.Error(err)
	}
	if _, err := pubsub.New[price](db, pubsub.Options{Name: "n", Codec: codec.Raw{}}); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	topic := prices(t, db)
	for _, l := range []pubsub.Listener{
		{Part: "a", Match: "b"}, {Buffer: -1}, {BufferBytes: -1}, {Patience: -1}, {Overflow: 9},
	} {
		if _, err := topic.Open(t.Context(), l); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	sharded := prices(t, db, func(o *pubsub.Options) { o.Sharded = true })
	if err := sharded.Subscribe(t.Context(), pubsub.Listener{Match: "*"}, nil); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if n := topic.Stats(); n.Subscribers != 0 || n.Feeds != 0 {
		t.Errorf("%+v", n)
	}
	odd, err := pubsub.New[any](db, pubsub.Options{Name: "odd"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := odd.PublishMany(t.Context(), 1, func() {}); !errors.Is(err, store.ErrInvalid) || odd.Stats().Published != 0 {
		t.Error(err)
	}
}

func TestCodecs(t *testing.T) {
	db := embedded(t)
	for _, c := range []codec.Codec{nil, codec.JSON{}, codec.MsgPack{}} {
		topic := prices(t, db, func(o *pubsub.Options) { o.Codec = c })
		s := open(t, topic, pubsub.Listener{})
		if _, err := topic.Publish(t.Context(), price{"ä<>", 7}); err != nil {
			t.Fatal(err)
		}
		if m := next(t, s); m.Value != (price{"ä<>", 7}) {
			t.Errorf("%T: %+v", c, m)
		}
	}
	raw, err := pubsub.New[[]byte](db, pubsub.Options{Name: "raw"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := raw.Open(t.Context(), pubsub.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := raw.Publish(t.Context(), []byte{0, 255}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Next(t.Context()); err != nil || string(m.Value) != "\x00\xff" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestBytes: the bytes that wait are bounded too, and a message larger than the bound passes alone.
func TestBytes(t *testing.T) {
	db := embedded(t)
	topic, err := pubsub.New[string](db, pubsub.Options{Name: "texts"})
	if err != nil {
		t.Fatal(err)
	}
	defer topic.Close()
	s, err := topic.Open(t.Context(), pubsub.Listener{BufferBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3000)
	for _, text := range []string{long, long, long, long, long} {
		if _, err := topic.Publish(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	fleet.Eventually(t, "five are offered", func() bool { return topic.Stats().Offered == 5 })
	if n := s.Figures(); n.Queued != 3 || n.Dropped != 2 {
		t.Errorf("%+v", n)
	}
	if _, err := topic.Publish(t.Context(), strings.Repeat("y", 50_000)); err != nil {
		t.Fatal(err)
	}
	fleet.Eventually(t, "six are offered", func() bool { return topic.Stats().Offered == 6 })
	if m, err := s.Next(t.Context()); err != nil || len(m.Value) != 50_000 {
		t.Errorf("%d bytes, %v", len(m.Value), err)
	}
}

// TestStoreDown: Open gives up in time, Publish tells, and a refusal ends a subscription.
func TestStoreDown(t *testing.T) {
	leaktest.Check(t, "larder/pubsub")
	f := fleet.Start(t, fleet.Redis)
	topic := prices(t, f.Open(t, "retries=0", "dial_timeout=100ms"), func(o *pubsub.Options) { o.Timeout = 50 * time.Millisecond })
	f.Stop()
	if _, err := topic.Open(t.Context(), pubsub.Listener{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open: %v", err)
	}
	if _, err := topic.Publish(t.Context(), price{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Publish: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, got := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		ended <- topic.Subscribe(ctx, pubsub.Listener{}, func(context.Context, *pubsub.Message[price]) { got <- struct{}{} })
	}()
	f.Start() // Subscribe is patient
	fleet.Eventually(t, "a message", func() bool { topic.Publish(t.Context(), price{}); return len(got) > 0 })
	cancel()
	if err := wait(t, ended); err != context.Canceled {
		t.Error(err)
	}
	if n := topic.Stats(); n.Subscribers != 0 || n.Feeds != 0 {
		t.Errorf("%+v", n)
	}
}

func TestClosedStore(t *testing.T) {
	leaktest.Check(t, "larder/pubsub")
	db := embedded(t)
	topic := prices(t, db)
	a, b := open(t, topic, pubsub.Listener{}), open(t, topic, pubsub.Listener{})
	send(t, topic, 1, 1)
	fleet.Eventually(t, "both have it", func() bool { return topic.Stats().Offered == 2 })
	db.Close()
	for _, s := range []*pubsub.Subscription[price]{a, b} {
		if m := next(t, s); m.Value.N != 1 { // what came before the end is still there
			t.Errorf("%+v", m)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := topic.Open(t.Context(), pubsub.Listener{}); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// TestPatience: Block waits by the clock, no longer, and then drops.
func TestPatience(t *testing.T) {
	leaktest.Check(t, "larder/pubsub")
	fake := clock.NewFake(time.Unix(0, 0))
	topic := prices(t, embedded(t), func(o *pubsub.Options) { o.Clock = fake })
	s := open(t, topic, pubsub.Listener{Buffer: 1, Overflow: pubsub.Block, Patience: time.Minute})
	send(t, topic, 1, 2)
	fake.BlockUntilWaiters(1)
	fake.Advance(time.Minute - 1)
	if n := s.Figures(); n.Dropped != 0 {
		t.Errorf("%+v", n)
	}
	fake.Advance(1)
	fleet.Eventually(t, "one is dropped", func() bool { return s.Figures().Dropped == 1 })
	if m := next(t, s); m.Value.N != 1 {
		t.Errorf("%+v", m)
	}
}

func TestObserver(t *testing.T) {
	heard := &observetest.Recorder{}
	db := embedded(t)
	topic := prices(t, db, func(o *pubsub.Options) { o.Observer = heard })
	s := open(t, topic, pubsub.Listener{Buffer: 1})
	send(t, topic, 1, 3)
	db.Do(t.Context(), "PUBLISH", channelOf(t), "{")
	fleet.Eventually(t, "all four", func() bool { return topic.Stats().Received == 4 })
	fleet.Eventually(t, "the last is counted", func() bool { return heard.Sum("undecodable") == 1 })
	s.Close()
	if wrong := heard.Check(map[string]float64{"publish ok": 3, "dropped": 2, "undecodable": 1}); wrong != "" {
		t.Error(wrong)
	}
	if n, ok := heard.Level(channelOf(t), "subscribers"); n != 0 || !ok {
		t.Errorf("%v subscribers at the end", n)
	}
	if first := heard.Events(observetest.Gauge)[0].N; first != 1 {
		t.Errorf("%v subscribers at the beginning", first)
	}
}

// prickly is a type whose decoder panics.
type prickly struct{}

func (*prickly) UnmarshalJSON([]byte) error { panic("ouch") }

// TestDecoderPanics: what comes from outside cannot end the process; it is undecodable.
func TestDecoderPanics(t *testing.T) {
	errs := make(chan error, 1)
	topic, err := pubsub.New[prickly](embedded(t), pubsub.Options{Name: "x", OnError: func(_ context.Context, err error) { errs <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer topic.Close()
	if err := topic.Subscribe(t.Context(), pubsub.Listener{}, nil); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if _, err := topic.Open(t.Context(), pubsub.Listener{}); err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Publish(t.Context(), prickly{}); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, errs); !strings.Contains(err.Error(), "panicked: ouch") {
		t.Error(err)
	}
}

// TestRandomSchedules: publishers and subscribers of every policy at random paces. What a subscriber gets is in each
// publisher's order; the gaps it is told of are exactly the messages that it does not get, in their places; and at the end
// delivered + dropped = offered, for each and for the topic.
func TestRandomSchedules(t *testing.T) {
	for _, seed := range storetest.Seeds(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			leaktest.Check(t, "larder/pubsub")
			randomSchedule(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func randomSchedule(t *testing.T, r *rand.Rand) {
	topic := prices(t, embedded(t))
	const messages = 2000
	var subscribers sync.WaitGroup
	var all []*pubsub.Subscription[price]
	for range 1 + r.IntN(10) {
		l := pubsub.Listener{Buffer: 1 + r.IntN(50), BufferBytes: 1 + r.IntN(20_000), Overflow: pubsub.Overflow(r.IntN(4)), Patience: time.Millisecond}
		leaves := 0
		if r.IntN(3) == 0 {
			leaves = 1 + r.IntN(messages)
		}
		expected := 1 // the number of the next message, if every gap is told
		l.OnGap = func(g pubsub.Gap) {
			if g.Resumed || g.Dropped <= 0 {
				t.Errorf("a gap of %+v", g)
			}
			expected += int(g.Dropped)
		}
		s := open(t, topic, l)
		all = append(all, s)
		pace := rand.New(rand.NewPCG(r.Uint64(), 0))
		subscribers.Go(func() {
			defer s.Close()
			for taken := 1; ; taken++ {
				m, err := s.Next(t.Context())
				if errors.Is(err, pubsub.ErrSlow) && l.Overflow == pubsub.Disconnect {
					return
				}
				if err != nil {
					t.Errorf("Next: %v", err)
					return
				}
				if m.Value.N != expected {
					t.Errorf("policy %d: message %d, expected %d", l.Overflow, m.Value.N, expected)
					return
				}
				if expected++; expected > messages || taken == leaves {
					return
				}
				for range pace.IntN(3) * pace.IntN(200) {
					_ = fmt.Sprint(taken)
				}
			}
		})
	}
	for i := 1; i <= messages; {
		n := min(1+r.IntN(20), messages-i+1)
		batch := make([]price, n)
		for k := range batch {
			batch[k].N = i + k
		}
		if _, err := topic.PublishMany(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
		i += n
	}
	// Who drops the newest may miss the last ones, and waits for a message that shows it; so do all for the end.
	last := messages
	fleet.Eventually(t, "everybody has gone", func() bool {
		last++
		topic.Publish(t.Context(), price{N: last})
		return topic.Stats().Subscribers == 0
	})
	subscribers.Wait()
	n := topic.Stats()
	var sum uint64
	for _, s := range all {
		f := s.Figures()
		if f.Queued != 0 {
			t.Errorf("%+v", f)
		}
		sum += f.Delivered + f.Dropped
	}
	if n.Offered != sum || n.Delivered+n.Dropped != n.Offered || n.Queued != 0 {
		t.Errorf("%+v, the sum is %d", n, sum)
	}
}
