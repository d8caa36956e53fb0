package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func seed(t testing.TB) uint64 {
	s, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("LARDER_SEED=%d", s)
	return s
}

// world is a source of versions, several processes (caches) that read it, and what each key's readers may still see.
type world struct {
	t      testing.TB
	st     store.Store // where tests disturb
	caches []*cache.Cache[uint64]
	faults []*storetest.Faulty // some caches' stores
	clk    clock.Clock
	slow   time.Duration // how long a load takes at the most

	locks   [worldKeys]sync.Mutex    // writers of a key take turns
	source  [worldKeys]atomic.Uint64 // the truth
	floor   [worldKeys]atomic.Uint64 // what the last invalidation that has returned made the least to be seen
	clears  bool
	checked atomic.Int64
	stale   atomic.Int64
	failed  atomic.Bool
}

const (
	worldKeys = 6
	worldTags = 3
)

func worldTag(key string) []string {
	n, _ := strconv.Atoi(key)
	return []string{fmt.Sprint("t", n%worldTags), "all"}
}

var errSource = errors.New("the source is down")

// load reads the truth, and takes its time to bring it.
func (w *world) load(r *rand.Rand, key int) func(context.Context) (uint64, error) {
	mood, nap := r.IntN(20), time.Duration(r.Int64N(int64(w.slow)+1))
	return func(ctx context.Context) (uint64, error) {
		v := w.source[key].Load()
		if mood < 10 {
			timer := w.clk.NewTimer(nap)
			defer timer.Stop()
			select {
			case <-timer.C():
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		switch mood {
		case 18:
			return 0, errSource
		case 19:
			panic(errSource)
		}
		return v, nil
	}
}

// write changes the truth of keys, and then invalidates. Who reads after it has returned must see it.
func (w *world) write(keys []int, invalidate func(version uint64) error) {
	for _, k := range keys {
		w.locks[k].Lock()
	}
	version := make([]uint64, worldKeys)
	for _, k := range keys {
		version[k] = w.source[k].Add(1)
	}
	if invalidate(version[keys[0]]) == nil {
		for _, k := range keys {
			w.floor[k].Store(version[k])
		}
	}
	for _, k := range keys {
		w.locks[k].Unlock()
	}
}

// see checks a value against what had to be seen when its read began.
func (w *world) see(how string, process, key int, floor, got uint64) {
	w.checked.Add(1)
	if got < floor && !w.failed.Swap(true) {
		w.t.Errorf("process %d, key %d: %s served version %d after the invalidation of all before %d had returned", process, key, how, got, floor)
	}
}

// step does something at random.
func (w *world) step(ctx context.Context, r *rand.Rand) {
	p := r.IntN(len(w.caches))
	c, k := w.caches[p], r.IntN(worldKeys)
	key := strconv.Itoa(k)
	floor := w.floor[k].Load()
	switch n := r.IntN(100); {
	case n < 50:
		if r.IntN(2) == 0 {
			ctx = context.WithoutCancel(ctx) // who cannot leave may load on its own goroutine
		}
		res, err := c.Fetch(ctx, key, w.load(r, k))
		if err == nil && res.Cause == nil {
			w.see("Fetch", p, k, floor, res.Value)
		} else if err == nil {
			w.stale.Add(1)
			if !res.Stale {
				w.t.Error("fail-safe served a value that is not marked")
			}
		}
	case n < 60:
		if v, ok, err := c.Get(ctx, key); ok && err == nil {
			w.see("Get", p, k, floor, v)
		}
	case n < 70:
		w.many(ctx, r, p)
	case n < 80:
		w.write([]int{k}, func(uint64) error { return c.Delete(ctx, key) })
	case n < 85:
		w.write([]int{k}, func(v uint64) error { return c.Set(ctx, key, v) })
	case n < 90:
		tag := r.IntN(worldTags)
		var keys []int
		for i := tag; i < worldKeys; i += worldTags {
			keys = append(keys, i)
		}
		w.write(keys, func(uint64) error { return c.InvalidateTags(ctx, fmt.Sprint("t", tag)) })
	case n < 91 && w.clears:
		var keys []int
		for i := range worldKeys {
			keys = append(keys, i)
		}
		w.write(keys, func(uint64) error { return c.Clear(ctx) })
	case n < 94:
		lost := []string{key, "\x00clear", "\x00tag:t0", "\x00tag:all"}
		w.st.Do(ctx, "DEL", "w:"+lost[r.IntN(len(lost))]) // evicted
	case n < 97 && len(w.faults) > 0:
		f := w.faults[r.IntN(len(w.faults))]
		if r.IntN(2) == 0 {
			f.Fail(1 + r.IntN(3))
		} else {
			f.Forget(1 + r.IntN(3))
		}
	case n < 98:
		short, cancel := context.WithCancel(ctx)
		go cancel()
		if v, err := c.Fetch(short, key, w.load(r, k)); err == nil && v.Cause == nil {
			w.see("Fetch", p, k, floor, v.Value)
		}
	}
}

func (w *world) many(ctx context.Context, r *rand.Rand, p int) {
	keys := make([]string, worldKeys)
	floors := make([]uint64, worldKeys)
	for i := range keys {
		keys[i], floors[i] = strconv.Itoa(i), w.floor[i].Load()
	}
	fail := r.IntN(10) == 0
	found, err := w.caches[p].FetchMany(ctx, keys, func(_ context.Context, missing []string) (map[string]uint64, error) {
		m := map[string]uint64{}
		for _, k := range missing {
			i, _ := strconv.Atoi(k)
			m[k] = w.source[i].Load()
			runtime.Gosched()
		}
		if fail {
			return nil, errSource
		}
		return m, nil
	})
	if err == nil && len(found) != worldKeys {
		w.t.Errorf("FetchMany found %d keys", len(found))
	}
	for k, res := range found {
		if i, _ := strconv.Atoi(k); res.Cause == nil {
			w.see("FetchMany", p, i, floors[i], res.Value)
		}
	}
}

// run lets goroutines take steps.
func (w *world) run(seed uint64, goroutines, steps int) {
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			for range steps {
				if w.failed.Load() {
					return
				}
				w.step(w.t.Context(), r)
			}
		})
	}
	wg.Wait()
}

func worldOptions(clk clock.Clock) cache.Options {
	return cache.Options{
		Prefix: "w:", TTL: 3 * time.Second, Timeout: -1, Tags: worldTag, Clock: clk, Lease: time.Second,
		Stale: time.Second, FailSafe: 10 * time.Second, RetryAfter: 200 * time.Millisecond, SoftTimeout: 300 * time.Millisecond,
		LoadTimeout: 2 * time.Second, EarlyRefresh: 1,
	}
}

// TestInvalidatedIsNeverServed lets processes with every mixture of options read, write, invalidate, fail and lose keys at
// once, on one store, while time flies. No read that began after an invalidation had returned may bring what that has
// made invalid, unless fail-safe does and says so.
func TestInvalidatedIsNeverServed(t *testing.T) {
	leaktest.Check(t)
	seed := seed(t)
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := &world{t: t, st: db, clk: fake, slow: 800 * time.Millisecond, clears: true}
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() { // time
		r := rand.New(rand.NewPCG(seed, 1<<32))
		for {
			select {
			case <-stop:
				return
			default:
				fake.Advance(time.Duration(r.IntN(20)) * time.Millisecond)
				runtime.Gosched()
			}
		}
	})
	for i := range 6 {
		o := worldOptions(fake)
		var st store.Store = db
		if i%2 == 1 { // as across a network
			f := storetest.NewFaulty(db)
			w.faults = append(w.faults, f)
			st = f
		}
		switch i {
		case 2, 3:
			o.Stale, o.FailSafe, o.SoftTimeout, o.EarlyRefresh, o.LoadTimeout = 0, 0, 0, 0, 0
		case 4:
			o.Near = 1 << 20
		}
		c := newCache[uint64](t, st, o)
		defer c.Close(context.Background())
		w.caches = append(w.caches, c)
	}
	for !w.caches[4].NearReady() {
		runtime.Gosched()
	}
	w.run(seed, 12, 1500)
	for _, c := range w.caches {
		for c.Loads() > 0 {
			runtime.Gosched()
		}
	}
	close(stop)
	all.Wait()
	var sum cache.Stats
	for i, c := range w.caches {
		s := c.Stats()
		t.Logf("process %d: %+v", i, s)
		sum.Hits, sum.Refused, sum.Waits, sum.NearHits = sum.Hits+s.Hits, sum.Refused+s.Refused, sum.Waits+s.Waits, sum.NearHits+s.NearHits
	}
	if w.checked.Load() < 1000 || sum.Hits == 0 || sum.Refused == 0 || sum.Waits == 0 || sum.NearHits == 0 || w.stale.Load() == 0 {
		t.Errorf("too little happened: %d reads checked, %d stale, %+v", w.checked.Load(), w.stale.Load(), sum)
	}
}
