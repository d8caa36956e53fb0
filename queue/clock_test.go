package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestMissed stops scheduling for three hours and a half.
func TestMissed(t *testing.T) {
	for _, c := range []struct {
		missed queue.Missed
		want   []string
	}{
		{queue.MissedLatest, []string{"01:00", "04:00", "05:00"}},
		{queue.MissedNone, []string{"01:00", "05:00"}},
		{queue.MissedAll, []string{"01:00", "02:00", "03:00", "04:00", "05:00"}},
	} {
		t.Run(fmt.Sprint(c.missed), func(t *testing.T) {
			db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC))
			db.BlockUntilWaiters(1) // the store's own ticker
			q := newQueue[string](t, db, queue.Options{Name: "cron", Clock: db.Fake})
			spec, err := queue.ParseSpec("@hourly", nil)
			if err != nil {
				t.Fatal(err)
			}
			entry := queue.Entry[string]{Name: "e", Spec: spec, Missed: c.missed, Payload: func(tick time.Time) string { return tick.Format("15:04") }}
			jobs := func() (list []string) {
				infos, err := q.List(t.Context(), queue.Ready, 0, 100)
				if err != nil {
					t.Error(err)
				}
				for _, i := range infos {
					list = append(list, i.Payload)
				}
				return list
			}
			// run schedules from now until some time and some number of jobs.
			run := func(until time.Duration, n int) {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- q.Schedule(ctx, entry) }()
				for ; until > 0; until -= time.Minute {
					db.BlockUntilWaiters(2) // it has done what is due, and waits
					db.Advance(time.Minute)
				}
				db.BlockUntilWaiters(2)
				if got := jobs(); len(got) != n {
					t.Errorf("%v, want %d", got, n)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			run(40*time.Minute, 1)
			db.Advance(time.Date(2026, 3, 1, 4, 30, 0, 0, time.UTC).Sub(db.Now()))
			run(40*time.Minute, len(c.want))
			if got := jobs(); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestLostTick takes the note of a tick and its job from the store, as a failover may do. Who schedules puts both there again.
func TestLostTick(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 59, 0, 0, time.UTC))
	db.BlockUntilWaiters(1)
	st := storetest.NewFaulty(db)
	q := newQueue[string](t, st, queue.Options{Name: "cron", Clock: db.Fake})
	spec, err := queue.ParseSpec("@hourly", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- q.Schedule(ctx, queue.Entry[string]{Name: "e", Spec: spec, Payload: func(tick time.Time) string { return tick.Format("15:04") }})
	}()
	minute := func(cost int) (jobs []queue.Info[string]) {
		before := st.Calls()
		db.Advance(time.Minute)
		db.BlockUntilWaiters(2)
		if n := st.Calls() - before; n != cost {
			t.Errorf("%d calls in a minute, want %d", n, cost)
		}
		jobs, err := q.List(t.Context(), queue.Ready, 0, 10)
		if err != nil {
			t.Error(err)
		}
		return jobs
	}
	db.BlockUntilWaiters(2)
	note := db.Do(ctx, "HGET", "queue:{cron}:meta", "cron:e")
	before, err := note.Text()
	if err != nil {
		t.Fatal(err)
	}
	jobs := minute(3)
	if len(jobs) != 1 || jobs[0].Payload != "01:00" {
		t.Fatalf("%+v", jobs)
	}
	if err := db.Do(ctx, "HSET", "queue:{cron}:meta", "cron:e", before).Err(); err != nil {
		t.Fatal(err)
	}
	if found, err := q.Cancel(ctx, jobs[0].ID); !found || err != nil {
		t.Fatal(found, err)
	}
	for _, cost := range []int{3, 2} {
		if jobs = minute(cost); len(jobs) != 1 || jobs[0].Payload != "01:00" {
			t.Errorf("%+v", jobs)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// ahead is a store of several servers of which the one that answers TIME is ahead of the one that has the queue.
type ahead struct {
	store.Store
	by    time.Duration
	ticks atomic.Int64
}

func (a *ahead) Do(ctx context.Context, args ...string) store.Reply {
	r := a.Store.Do(ctx, args...)
	if args[0] != "TIME" {
		return r
	}
	list, err := r.Ints()
	if err != nil {
		return r
	}
	at := time.Unix(list[0], list[1]*1000).Add(a.by)
	return store.ArrayOf(store.Bulk(fmt.Sprint(at.Unix())), store.Bulk(fmt.Sprint(at.Nanosecond()/1000)))
}

func (a *ahead) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	if s.Name == "queue.tick" {
		a.ticks.Add(1)
	}
	return a.Store.Run(ctx, s, keys, args...)
}

// TestClocksApart never enqueues a tick early, and does not ask all the time meanwhile.
func TestClocksApart(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 59, 0, 0, time.UTC))
	db.BlockUntilWaiters(1)
	st := &ahead{Store: db, by: 10 * time.Second}
	q := newQueue[int64](t, st, queue.Options{Name: "cron", Clock: db.Fake})
	spec, err := queue.ParseSpec("@hourly", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- q.Schedule(ctx, queue.Entry[int64]{Name: "e", Spec: spec, Payload: func(tick time.Time) int64 { return tick.Unix() }})
	}()
	for range 62 {
		db.BlockUntilWaiters(2)
		if d, err := q.Depth(ctx); err != nil || (d.Ready > 0) != (db.Now().Hour() == 1) {
			t.Errorf("at %v: %+v, %v", db.Now(), d, err)
		}
		db.Advance(time.Second)
	}
	db.BlockUntilWaiters(2)
	if n := st.ticks.Load(); n < 2 || n > 4 {
		t.Errorf("%d calls for a tick", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRunTimeout ends the ctx of an attempt that takes too long.
func TestRunTimeout(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	q := newQueue[int](t, db, queue.Options{Name: "slow", Clock: db.Fake, MaxAttempts: 1, RunTimeout: time.Hour})
	work(t, q, queue.Workers{}, func(ctx context.Context, _ *queue.Job[int]) error {
		<-ctx.Done()
		return ctx.Err()
	})
	id := add(t, q, 1, queue.RunTimeout(5*time.Second))
	began := db.Now()
	fleet.Eventually(t, "a dead letter", func() bool {
		db.Advance(100 * time.Millisecond)
		d, err := q.Depth(t.Context())
		return err == nil && d.Dead == 1
	})
	info, err := q.Get(t.Context(), id)
	if err != nil || info.Attempts != 1 || info.Error != queue.ErrRunTimeout.Error()+": context canceled" || info.Due.Sub(began) < 5*time.Second {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestRates holds the starts of each key against the rate, while workers come late.
func TestRates(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	o := queue.Options{Name: "rates", Clock: db.Fake, PerKey: queue.Limit{Rate: 4, Per: time.Second}}
	q := newQueue[int](t, db, o)
	var mu sync.Mutex
	starts := map[string][]time.Time{}
	for range 2 {
		work(t, newQueue[int](t, db, o), queue.Workers{Concurrency: 3}, func(_ context.Context, j *queue.Job[int]) error {
			mu.Lock()
			defer mu.Unlock()
			starts[j.Key()] = append(starts[j.Key()], time.UnixMilli(j.Fence()>>10)) // tokens are made from the time of the taking
			return nil
		})
	}
	const jobs = 120
	for i := range jobs {
		add(t, q, i, queue.Key(pick(r, "a", "b")))
	}
	began := db.Now()
	fleet.Eventually(t, "all jobs", func() bool {
		db.Advance(time.Duration(r.IntN(r.IntN(900)+1)) * time.Millisecond)
		d, err := q.Depth(t.Context())
		return err == nil && d.TotalDone == jobs
	})
	mu.Lock()
	defer mu.Unlock()
	for key, times := range starts {
		slices.SortFunc(times, time.Time.Compare)
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 250*time.Millisecond {
				t.Errorf("seed %d: two jobs of %s %v apart", seed, key, gap)
			}
		}
	}
	t.Logf("%d jobs of two keys at 4 a second took %v", jobs, db.Now().Sub(began))
}

// TestManyDue makes more jobs ready than one turn does.
func TestManyDue(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	q := newQueue[int](t, db, queue.Options{Name: "due", Clock: db.Fake})
	work(t, q, queue.Workers{}, func(context.Context, *queue.Job[int]) error { return nil })
	if _, err := q.EnqueueMany(t.Context(), make([]int, 1500), queue.In(time.Minute)); err != nil {
		t.Fatal(err)
	}
	db.Advance(time.Minute - time.Millisecond)
	if d, err := q.Depth(t.Context()); err != nil || d.Delayed != 1500 {
		t.Errorf("%+v, %v", d, err)
	}
	db.Advance(time.Second) // once: nothing else wakes the worker
	if d := settled(t, q); d.TotalDone != 1500 {
		t.Errorf("%+v", d)
	}
}

// TestCodecs keeps strings and bytes as they are, and tells of a payload that is none.
func TestCodecs(t *testing.T) {
	st := db(t)
	raw := newQueue[string](t, st, queue.Options{Name: "codec", MaxAttempts: 5})
	typed := newQueue[map[string]int](t, st, queue.Options{Name: "codec", MaxAttempts: 5})
	id := add(t, raw, "not JSON")
	work(t, typed, queue.Workers{}, func(context.Context, *queue.Job[map[string]int]) error { return nil })
	if d := settled(t, typed); d.Dead != 1 {
		t.Errorf("%+v", d)
	}
	info, err := raw.Get(t.Context(), id)
	if err != nil || info.Payload != "not JSON" || info.Attempts != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := typed.Get(t.Context(), id); err == nil {
		t.Error("a payload that is no JSON was decoded")
	}
}
