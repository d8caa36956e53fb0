package queue_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// traffic enqueues and processes jobs while something happens to the store.
type traffic struct {
	*testing.T
	q     *queue.Queue[int]
	mu    sync.Mutex
	added []int       // guarded by mu: Enqueue returned nil, or ErrDuplicate when it tried again
	done  map[int]int // guarded by mu
	ticks ticks       // guarded by mu
	dies  func()      // ends one of those who schedule
	stop  func()
}

// ticks are the ids of the jobs that were done for each second.
type ticks map[int]map[string]bool

func startTraffic(t *testing.T, s *fleet.Store) *traffic {
	o := queue.Options{Name: t.Name(), Lease: 3 * time.Second, Timeout: 500 * time.Millisecond}
	tr := &traffic{T: t, q: newQueue[int](t, s.Open(t), o), done: map[int]int{}, ticks: ticks{}}
	stopWork := work(t, tr.q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if second := -j.Payload; second > 0 {
			if tr.ticks[second] == nil {
				tr.ticks[second] = map[string]bool{}
			}
			tr.ticks[second][j.ID()] = true
			return nil
		}
		tr.done[j.Payload]++
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() { tr.produce(ctx, p*1_000_000) })
	}
	mortal, die := context.WithCancel(ctx)
	tr.dies = die
	for _, ctx := range []context.Context{mortal, ctx, ctx} {
		q := newQueue[int](t, s.Open(t), o) // each has connections of its own, as processes have
		wg.Go(func() { tr.schedule(ctx, q) })
	}
	tr.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		settled(t, tr.q)
		stopWork()
	})
	return tr
}

// produce enqueues each number until it is there.
func (tr *traffic) produce(ctx context.Context, n int) {
	timer := time.NewTicker(time.Millisecond)
	defer timer.Stop()
	for ; ctx.Err() == nil; n++ {
		for ctx.Err() == nil {
			_, err := tr.q.Enqueue(ctx, n, queue.Unique(fmt.Sprint(n), time.Minute))
			if err == nil || errors.Is(err, queue.ErrDuplicate) {
				tr.mu.Lock()
				tr.added = append(tr.added, n)
				tr.mu.Unlock()
				break
			}
			<-timer.C
		}
		<-timer.C
	}
}

// schedule enqueues a job for each second: payloads below 0.
func (tr *traffic) schedule(ctx context.Context, q *queue.Queue[int]) {
	spec, err := queue.ParseSpec("@every 1s", nil)
	if err != nil {
		tr.Error(err)
	}
	tick := func(at time.Time) int { return -int(at.Unix()) }
	if err := q.Schedule(ctx, queue.Entry[int]{Name: "second", Spec: spec, Payload: tick, Missed: queue.MissedAll}); err != nil {
		tr.Error(err)
	}
}

// lastTick is the newest whose job has been done.
func (tr *traffic) lastTick() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Max(append(slices.Collect(maps.Keys(tr.ticks)), 0))
}

// checkTicks wants a job for each second from the first to the last, and more only if some may have been lost.
func (tr *traffic) checkTicks(lost bool) {
	tr.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	seconds := slices.Sorted(maps.Keys(tr.ticks))
	for i, s := range seconds {
		if i > 0 && s != seconds[i-1]+1 {
			tr.Errorf("no job for the ticks between %d and %d", seconds[i-1], s)
		}
		if n := len(tr.ticks[s]); n > 1 && !lost {
			tr.Errorf("%d jobs for the tick of %d", n, s)
		}
	}
}

// more waits until jobs that are added from now on have been done.
func (tr *traffic) more() {
	tr.Helper()
	count := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return len(tr.done)
	}
	n := count() + 200
	fleet.Eventually(tr, "traffic", func() bool { return count() >= n })
}

// missing is how many of the added jobs were not done, and twice how many were done more than once.
func (tr *traffic) missing() (missing, twice int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, n := range tr.added {
		if tr.done[n] == 0 {
			missing++
		}
	}
	for _, times := range tr.done {
		if times > 1 {
			twice++
		}
	}
	return missing, twice
}

// TestDisturbed says what is lost when: nothing, where the store keeps its data.
func TestDisturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds for each kind of store")
	}
	for _, d := range []struct {
		name  string
		needs []fleet.Ability
		loses bool // some
		all   bool
		do    func(s *fleet.Store, key string)
	}{
		{"scripts forgotten", nil, false, false, func(s *fleet.Store, _ string) { s.FlushScripts() }},
		{"stalled for 2 s", []fleet.Ability{fleet.CanStall}, false, false, func(s *fleet.Store, _ string) { <-s.Stall(2 * time.Second) }},
		{"killed and restarted with its data", []fleet.Ability{fleet.CanKeep}, true, false, func(s *fleet.Store, _ string) { s.RestartKeeping() }},
		{"killed and restarted empty", []fleet.Ability{fleet.CanRestart}, true, true, func(s *fleet.Store, _ string) { s.Restart() }},
		{"slot moved", []fleet.Ability{fleet.CanMove}, false, false, func(s *fleet.Store, key string) { s.MoveSlot(key) }},
		{"failover", []fleet.Ability{fleet.CanFailover}, true, false, func(s *fleet.Store, key string) { s.Failover(key) }},
	} {
		t.Run(d.name, func(t *testing.T) {
			fleet.Together(t, func(t *testing.T, s *fleet.Store) {
				tr := startTraffic(t, s)
				defer tr.stop()
				tr.more()
				tr.dies()
				d.do(s, "queue:{"+t.Name()+"}:jobs")
				last := tr.lastTick()
				tr.more()
				if d.loses && !d.all { // the next tick brings back those that were lost
					fleet.Eventually(t, "a tick", func() bool { return tr.lastTick() > last })
				}
				tr.stop()
				if !d.all {
					tr.checkTicks(d.loses)
				}
				missing, twice := tr.missing()
				if missing > 0 && !d.loses {
					t.Errorf("%d of %d jobs were lost", missing, len(tr.added))
				}
				t.Logf("%d jobs, %d lost, %d done more than once, %+v", len(tr.added), missing, twice, tr.q.Stats())
			}, d.needs...)
		})
	}
}

// TestNoPolling counts the calls of a worker with nothing to do: a turn and a wait in a third of a lease.
func TestNoPolling(t *testing.T) {
	leaktest.Check(t)
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	faulty := storetest.NewFaulty(db)
	q := newQueue[int](t, faulty, queue.Options{Name: "idle", Clock: db.Fake, Lease: 30 * time.Second})
	stop := work(t, q, queue.Workers{}, func(context.Context, *queue.Job[int]) error { return nil })
	add(t, q, 1)
	settled(t, q)
	fleet.Eventually(t, "a worker with nothing to do", func() bool {
		n, err := db.Do(t.Context(), "HLEN", "queue:{idle}:jobs").Int64()
		return n == 0 && err == nil
	})
	before := faulty.Calls()
	for range 100 {
		db.Advance(100 * time.Millisecond) // 10 s: one beat
	}
	fleet.Eventually(t, "a beat", func() bool { return faulty.Calls() > before })
	if n := faulty.Calls() - before; n > 6 {
		t.Errorf("%d calls in 10 s", n)
	}
	stop()
}

// TestLeaks ends everything that a Queue starts.
func TestLeaks(t *testing.T) {
	leaktest.Check(t)
	for range 3 {
		st := db(t)
		q := newQueue[int](t, st, queue.Options{})
		stop := work(t, q, queue.Workers{}, func(context.Context, *queue.Job[int]) error { return nil })
		spec, err := queue.ParseSpec("@daily", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- q.Schedule(ctx, queue.Entry[int]{Name: "e", Spec: spec, Payload: func(time.Time) int { return 0 }})
		}()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { add(t, q, i) })
		}
		wg.Wait()
		settled(t, q)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestClosedStore ends Work with an error.
func TestClosedStore(t *testing.T) {
	st := db(t)
	q := newQueue[int](t, st, queue.Options{})
	ended := make(chan error)
	began := make(chan struct{})
	go func() {
		ended <- q.Work(t.Context(), queue.Workers{}, func(context.Context, *queue.Job[int]) error { close(began); return nil })
	}()
	add(t, q, 1)
	<-began
	st.Close()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// stubborn takes no notice of the end of its ctx.
func TestStubbornHandler(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	q := newQueue[int](t, db, queue.Options{Clock: db.Fake})
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- q.Work(ctx, queue.Workers{Grace: time.Second}, func(context.Context, *queue.Job[int]) error { close(began); <-end; return nil })
	}()
	add(t, q, 1)
	<-began
	cancel()
	var err error
	fleet.Eventually(t, "the end of Work", func() bool {
		db.Advance(100 * time.Millisecond)
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if err == nil {
		t.Error("Work tells nothing of a handler that goes on")
	}
	close(end)
	if d, err := q.Depth(t.Context()); err != nil || d.Active != 1 {
		t.Errorf("its job was given away: %+v, %v", d, err)
	}
}

func TestCheckMemory(t *testing.T) {
	st := db(t)
	q := newQueue[int](t, st, queue.Options{})
	for _, c := range []struct {
		limit, policy string
		bad           bool
	}{{"0", "allkeys-lru", false}, {"100mb", "allkeys-lru", true}, {"100mb", "volatile-lru", false}, {"100mb", "noeviction", false}} {
		st.Do(t.Context(), "CONFIG", "SET", "maxmemory", c.limit, "maxmemory-policy", c.policy)
		if err := q.CheckMemory(t.Context()); errors.Is(err, queue.ErrEvictable) != c.bad || !c.bad && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestOutOfMemory fills a store that evicts nothing: Enqueue says so, and workers make room.
func TestOutOfMemory(t *testing.T) {
	for name, st := range map[string]store.Store{"embedded": db(t), "redis": redis(t)} {
		t.Run(name, func(t *testing.T) {
			q := newQueue[int](t, st, queue.Options{MaxAttempts: 1})
			if _, err := q.EnqueueMany(t.Context(), make([]int, 100)); err != nil {
				t.Fatal(err)
			}
			if err := st.Do(t.Context(), "CONFIG", "SET", "maxmemory", "1").Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := q.Enqueue(t.Context(), 1); !errors.Is(err, store.ErrOutOfMemory) {
				t.Errorf("%v", err)
			}
			stop := work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error { return errTest })
			if d := settled(t, q); d.Dead != 100 {
				t.Errorf("%+v", d)
			}
			stop()
		})
	}
}

// TestRetention clears up more than one turn does.
func TestRetention(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	q := newQueue[int](t, db, queue.Options{Name: "kept", Clock: db.Fake, MaxAttempts: 1, Retention: time.Minute, DeadRetention: time.Minute})
	work(t, q, queue.Workers{Concurrency: 4}, func(_ context.Context, j *queue.Job[int]) error {
		if j.Payload%2 == 0 {
			return errTest
		}
		return j.SetResult("x")
	})
	many := make([]int, 1000)
	for i := range many {
		many[i] = i
	}
	if _, err := q.EnqueueMany(t.Context(), many, queue.Each(func(i int) []queue.Option {
		return []queue.Option{queue.Unique(fmt.Sprint(i), time.Hour)}
	})); err != nil {
		t.Fatal(err)
	}
	if d := settled(t, q); d.Done != 500 || d.Dead != 500 {
		t.Errorf("%+v", d)
	}
	sizes := func(keys ...string) (n int64) {
		for _, key := range keys {
			key = "queue:{kept}:" + key
			kind, _ := db.Do(t.Context(), "TYPE", key).Text()
			size, _ := db.Do(t.Context(), map[string]string{"hash": "HLEN", "zset": "ZCARD"}[kind], key).Int64()
			n += size
		}
		return n
	}
	db.Advance(59 * time.Second)
	if n := sizes("jobs"); n != 1000 {
		t.Errorf("%d of 1000 jobs were kept", n)
	}
	fleet.Eventually(t, "jobs to be forgotten", func() bool { db.Advance(time.Second); return sizes("jobs", "done", "dead", "output", "notes") == 0 })
	if n := sizes("unique"); n != 1000 {
		t.Errorf("%d unique keys are taken", n)
	}
	fleet.Eventually(t, "unique keys to be forgotten", func() bool { db.Advance(time.Minute); return sizes("unique", "expiring") == 0 })
}

// book is an Observer.
type book struct {
	mu   sync.Mutex
	seen map[string]int
}

func (b *book) note(what string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[what] += n
}

func (b *book) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { b.note(op.Verb+" "+result, 1) }
}
func (b *book) Count(_ context.Context, op observe.Op, n int64)   { b.note(op.Verb, int(n)) }
func (b *book) Gauge(_ context.Context, op observe.Op, _ float64) { b.note("gauge "+op.Verb, 1) }

func TestObserver(t *testing.T) {
	b := &book{seen: map[string]int{}}
	q := newQueue[int](t, db(t), queue.Options{Observer: b, MaxAttempts: 2, Backoff: queue.Constant(0)})
	stop := work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error {
		if j.Payload == 1 {
			return errTest
		}
		return nil
	})
	add(t, q, 0, queue.Unique("u", time.Hour))
	_, _ = q.Enqueue(t.Context(), 2, queue.Unique("u", 0))
	add(t, q, 1)
	settled(t, q)
	stop()
	for what, n := range map[string]int{"enqueue ok": 2, "enqueue denied": 1, "duplicate": 1, "run ok": 1, "run retried": 1, "run dead": 1} {
		if b.seen[what] != n {
			t.Errorf("%s: %d, want %d", what, b.seen[what], n)
		}
	}
	if b.seen["gauge ready"] == 0 {
		t.Error("no gauge")
	}
	if s := q.Stats(); s.Enqueued != 2 || s.Duplicates != 1 || s.Taken != 3 || s.Done != 1 || s.Failed != 2 || s.Retried != 1 || s.Dead != 1 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	st := db(t)
	for _, o := range []queue.Options{
		{}, {Name: "a{b}"}, {Name: "a", Prefix: "{"}, {Name: "a", MaxAttempts: -1}, {Name: "a", Lease: time.Millisecond}, {Name: "a", Retention: -1},
		{Name: "a", DeadRetention: -2}, {Name: "a", PerKey: queue.Limit{Concurrency: -1}}, {Name: "a", PerKey: queue.Limit{Rate: 1}},
		{Name: "a", PerKey: queue.Limit{Rate: 2000, Per: time.Second}}, {Name: "a", RunTimeout: -1}, {Name: "a", MaxPayload: -1},
	} {
		if _, err := queue.New[int](st, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := queue.New[chan int](st, queue.Options{Name: "a"}); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	q := newQueue[string](t, st, queue.Options{MaxPayload: 10})
	for i, o := range []queue.Option{
		queue.In(-1), queue.At(time.UnixMilli(1e15)), queue.Unique("", 0), queue.Unique("u", -1), queue.Key(""), queue.Key("\x00"), queue.Key(string(make([]byte, 2000))),
		queue.Attempts(0), queue.Keep(-1), queue.RunTimeout(-1), queue.Priority(4), queue.Priority(-4),
	} {
		if _, err := q.Enqueue(t.Context(), "x", o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("option %d: %v", i, err)
		}
	}
	if _, err := q.Enqueue(t.Context(), "more than ten"); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if d, err := q.Depth(t.Context()); err != nil || d.Ready != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
