package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestConformance holds every kind of store to the suite of the seam.
func TestConformance(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		if s.Kind == fleet.Embedded {
			storetest.Run(t, func(t testing.TB) store.Store { return s.Open(t) })
			return
		}
		st := s.Open(t) // one that lives through what follows
		for _, protocol := range []string{"3", "2"} {
			t.Run("RESP"+protocol, func(t *testing.T) {
				storetest.Run(t, func(t testing.TB) store.Store { return s.Open(t, "protocol="+protocol) })
			})
			if err := st.Do(t.Context(), "SET", "{k}1", protocol).Err(); err != nil {
				t.Error(err)
			}
			s.Settle()
			if s.Can(fleet.CanFailover) {
				s.Failover("{k}")
			}
			if s.Can(fleet.CanMove) {
				s.MoveSlot("{k}")
			}
			if got, err := st.Do(t.Context(), "GET", "{k}1").Text(); err != nil || got != protocol {
				t.Errorf("after a failover or not: %q, %v", got, err)
			}
		}
	}, fleet.CanTrack)
}

// once is a write that must not run twice: it notes its argument in a set, and counts what it finds there already. It
// has two keys, so that a slot on its way finds one of them here and one there.
func once() *store.Script {
	return &store.Script{
		Name: "redisstore.once",
		Lua: `
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then redis.call('INCR', KEYS[2]) end
return redis.call('SCARD', KEYS[1])`,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			if n, err := tx.Do("SADD", keys[0], args[0]).Int64(); err == nil && n == 0 {
				tx.Do("INCR", keys[1])
			}
			return tx.Do("SCARD", keys[0])
		},
	}
}

const writers = 4

// load is clients at work while a store is disturbed.
type load struct {
	st     store.Store
	keys   []string
	script *store.Script
	stop   atomic.Bool
	wg     sync.WaitGroup

	mu     sync.Mutex
	acked  []string // what was confirmed
	failed int
	last   error         // of the failures
	slow   time.Duration // the longest call
}

// start runs writers, each of which makes 20 more writes after stop.
func start(t *testing.T, st store.Store, tag string) *load {
	l := &load{st: st, script: once(), keys: []string{"{" + tag + "}seen", "{" + tag + "}twice"}}
	t.Cleanup(func() { l.stop.Store(true); l.wg.Wait() })
	for w := range writers {
		l.wg.Go(func() {
			for i, after := 0, 0; after < 20; i++ {
				if l.stop.Load() {
					after++
				}
				l.write(t, fmt.Sprintf("%d-%d", w, i))
			}
		})
	}
	return l
}

func (l *load) write(t *testing.T, id string) {
	begin := time.Now()
	err := l.st.Run(t.Context(), l.script, l.keys, id).Err()
	took := time.Since(begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow = max(l.slow, took)
	if err != nil {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("failed with %v", err)
		}
		l.failed, l.last = l.failed+1, err
		return
	}
	l.acked = append(l.acked, id)
}

// running waits until so many more writes were confirmed.
func (l *load) running(t *testing.T, more int) {
	t.Helper()
	count := func() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.acked) }
	want := count() + more
	fleet.Eventually(t, "writes to be confirmed", func() bool { return count() >= want })
}

// end stops the writers and checks that nothing was written twice and only what may be lost is.
func (l *load) end(t *testing.T, lossless bool) {
	t.Helper()
	l.stop.Store(true)
	l.wg.Wait()
	twice, _, err := l.st.Do(t.Context(), "GET", l.keys[1]).Lookup()
	if err != nil || twice != "" {
		t.Errorf("%s writes were made twice, %v", twice, err)
	}
	seen, err := l.st.Do(t.Context(), "SMEMBERS", l.keys[0]).Strings()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(seen)
	lost := 0
	for _, id := range l.acked {
		if _, ok := slices.BinarySearch(seen, id); !ok {
			lost++
		}
	}
	t.Logf("%d confirmed, %d failed, %d lost; the longest call took %v", len(l.acked), l.failed, lost, l.slow.Round(time.Millisecond))
	if lossless && lost > 0 {
		t.Errorf("%d confirmed writes are gone", lost)
	}
}

// TestDisturbed writes while the store is disturbed in every way that its kind can be.
func TestDisturbed(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		rounds := 0
		disturb := func(name string, needs fleet.Ability, lossless bool, most int, how func(t *testing.T, tag string, l *load)) {
			if !s.Can(needs) {
				return
			}
			t.Run(name, func(t *testing.T) {
				rounds++
				tag := "t" + strconv.Itoa(rounds)
				l := start(t, s.Open(t), tag)
				l.running(t, 20)
				how(t, tag, l)
				l.end(t, lossless)
				if l.failed > most {
					t.Errorf("%d calls failed, want at most %d; one of them: %v", l.failed, most, l.last)
				}
			})
		}
		disturb("scripts forgotten", 0, true, 0, func(t *testing.T, _ string, l *load) {
			for range 5 {
				s.FlushScripts()
				l.running(t, 20)
			}
		})
		disturb("slot moved", fleet.CanMove, true, 0, func(t *testing.T, tag string, l *load) {
			for i := range 300 { // they take a while to move, and between the script's two keys there are some of them
				if err := l.st.Do(t.Context(), "SET", "{"+tag+"}"+strconv.Itoa(i), "v").Err(); err != nil {
					t.Error(err)
				}
			}
			for range 3 {
				s.MoveSlot(tag)
				l.running(t, 20)
			}
		})
		disturb("frozen", fleet.CanStall, true, 0, func(*testing.T, string, *load) { <-s.Stall(2 * time.Second) })
		// A write that was on its way when the server died may have run, so it fails: one for each client. One or two more may fail with
		// the error of the dead connection before there is a new one.
		disturb("failover", fleet.CanFailover, false, 3*2*writers, func(t *testing.T, tag string, l *load) {
			for range 2 {
				s.Failover(tag)
				l.running(t, 20)
			}
		})
		// The former primary answers READONLY, or sends clients on with MOVED; under Sentinel it also cuts connections.
		disturb("roles switched", fleet.CanFailover, s.Kind == fleet.Cluster, 4*writers, func(t *testing.T, tag string, l *load) {
			s.Switchover(tag)
			l.running(t, 20)
		})
		// A single server that is down fails calls at once; the others are back before patience ends, or not.
		disturb("killed and back with its data", fleet.CanKeep, true, math.MaxInt, func(t *testing.T, _ string, l *load) {
			s.RestartKeeping()
			l.running(t, 20)
		})
	}, fleet.CanRestart|fleet.CanTrack)
}

// TestSubscriptionsFollow listens across a failover and, on a Cluster, while the slot of the sharded channel moves.
func TestSubscriptionsFollow(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan bool, 100), make(chan error, 1)
		var heard [2]atomic.Int64
		go func() {
			ended <- st.Subscribe(ctx, store.Subscription{
				Channels: []string{"{s}c"}, Shards: []string{"{s}s", "elsewhere"},
				OnReady: func(resumed bool) { ready <- resumed },
				OnMessage: func(m store.Message) {
					if m.Channel == "{s}c" {
						heard[0].Add(1)
					} else {
						heard[1].Add(1)
					}
				},
			})
		}()
		if <-ready {
			t.Error("the first OnReady says resumed")
		}
		hears := func(what string) {
			t.Helper()
			for i, name := range []string{"PUBLISH", "SPUBLISH"} {
				before := heard[i].Load()
				fleet.Eventually(t, name+" "+what+" to be heard", func() bool {
					_ = st.Do(ctx, name, []string{"{s}c", "{s}s"}[i], what).Err()
					return heard[i].Load() > before
				})
			}
		}
		hears("at first")
		s.Failover("{s}")
		if !<-ready {
			t.Error("OnReady after a failover does not say resumed")
		}
		hears("after a failover")
		if s.Can(fleet.CanMove) {
			s.MoveSlot("{s}")
			if !<-ready {
				t.Error("OnReady after a slot moved does not say resumed")
			}
			hears("after its slot moved")
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Subscribe: %v", err)
		}
	}, fleet.CanFailover)
}

// TestPipesAndWaiters sends pipelines, and waits in blocking commands, while slots move and primaries fail.
func TestPipesAndWaiters(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		cmds := make([]store.Cmd, 0, 100)
		for i := range 50 {
			key := "{p}" + strconv.Itoa(i)
			cmds = append(cmds, store.Cmd{"INCR", key}, store.Cmd{"GET", key})
		}
		rounds := int64(0)
		pipe := func() {
			t.Helper()
			rounds++
			for i, r := range st.Pipe(t.Context(), cmds...) {
				if n, err := r.Int64(); err != nil || n != rounds {
					t.Fatalf("round %d, %q: %d, %v", rounds, cmds[i], n, err)
				}
			}
		}
		pipe()
		if s.Can(fleet.CanMove) {
			finish := s.BeginMove("{p}")
			pipe() // what exists is here
			finish()
			pipe() // what exists is there
			testWaiterFollows(t, s, st)
		}
		s.Settle()
		s.Failover("{p}")
		// The first one may meet a connection that died; that is no more than an error.
		fleet.Eventually(t, "the store to serve", func() bool { return st.Do(t.Context(), "GET", "{p}0").Err() == nil })
		pipe()
	}, fleet.CanFailover)
}

// testWaiterFollows waits for an element of a list whose slot moves away meanwhile.
func testWaiterFollows(t *testing.T, s *fleet.Store, st store.Store) {
	got := make(chan error, 1)
	go func() {
		list, err := st.Do(t.Context(), "BLPOP", "{w}list", "10").Strings()
		if err == nil && list[1] != "x" {
			err = fmt.Errorf("got %v", list)
		}
		got <- err
	}()
	fleet.Eventually(t, "a client to wait", func() bool { return s.Blocked() == 1 })
	s.MoveSlot("{w}")
	if err := st.Do(t.Context(), "RPUSH", "{w}list", "x").Err(); err != nil {
		t.Error(err)
	}
	if err := <-got; err != nil {
		t.Errorf("BLPOP while its slot moves: %v", err)
	}
}
