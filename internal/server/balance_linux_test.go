package server

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBalancer(t *testing.T) {
	for _, c := range []struct {
		busy   []float64
		total  int
		active int
		m      move
	}{
		{[]float64{0.5}, 4, 1, move{}},
		{[]float64{0.9}, 4, 2, move{0, 1, 0.5}},
		{[]float64{1}, 1, 1, move{}},
		{[]float64{0.5, 0.5}, 4, 2, move{}}, // after the first spread: no way back
		{[]float64{0.9, 0.9}, 4, 3, move{0, 2, 0.5}},
		{[]float64{0.9, 0.9}, 2, 2, move{}},
		{[]float64{0.4, 1}, 2, 2, move{1, 0, 0.3}},
		{[]float64{0.4, 0.9, 0.6}, 3, 3, move{1, 0, 0.5 / 2 / 0.9}},
		{[]float64{0.2, 0.1}, 4, 1, move{1, 0, 1}},
		{[]float64{0.3, 0.1, 0.2}, 4, 2, move{2, 1, 1}},
		{[]float64{0, 0}, 2, 1, move{1, 0, 1}},
		{[]float64{0}, 2, 1, move{}},
	} {
		b := balancer{hot: busyLong - 1}
		active, m := b.look(view{busy: c.busy, total: c.total, idle: 1})
		if active != c.active || m.from != c.m.from || m.to != c.m.to || math.Abs(m.share-c.m.share) > 1e-9 {
			t.Errorf("%v of %d: %d %+v, want %d %+v", c.busy, c.total, active, m, c.active, c.m)
		}
	}
}

// Another loop joins in only while a processor stands idle, and stays only if that pays.
func TestBalancerTries(t *testing.T) {
	var b balancer
	loops := 1
	look := func(idle, bytes float64) int {
		busy := []float64{1, 1}[:loops]
		loops, _ = b.look(view{busy: busy, total: 2, idle: idle, bytes: bytes})
		return loops
	}
	for range 50 {
		if look(0.1, 100) != 1 {
			t.Fatal("a second loop, and no processor for it")
		}
	}
	for failure, pause := range []int{trialPause, 2 * trialPause, 4 * trialPause} {
		if n := look(1, 100); n != 2 {
			t.Fatalf("failure %d: %d loops", failure, n)
		}
		if look(0, 10) != 2 || look(0, 100*trialGain-1) != 1 {
			t.Fatal("kept although it does not pay")
		}
		for i := 1; i < pause; i++ {
			if look(1, 100) != 1 {
				t.Fatalf("failure %d: tried again after %d looks, want %d", failure, i, pause)
			}
		}
	}
	if look(1, 100) != 2 || look(0, 10) != 2 || look(0, 100*trialGain+1) != 2 {
		t.Fatal("not kept although it pays")
	}
	for range 50 {
		if look(0, 1) != 2 {
			t.Fatal("given up although the trial is over")
		}
	}
}

// A steady load, whatever it is, comes to rest.
func TestBalancerSettles(t *testing.T) {
	for load := 0.05; load < 5; load += 0.05 {
		var b balancer
		busy := []float64{load} // as if a loop could be busier than all the time
		for step, quiet := 0, 0; quiet < 4; step++ {
			seen, moved := make([]float64, len(busy)), 0.0
			for i, b := range busy {
				seen[i] = min(b, 1)
				moved += seen[i]
			}
			active, m := b.look(view{busy: seen, total: 8, idle: 8 - moved, bytes: moved})
			quiet++
			if active != len(busy) || m.share != 0 {
				quiet = 0
			}
			if step > 200 {
				t.Fatalf("load %.2f: still moving, at %v", load, busy)
			}
			for len(busy) < active {
				busy = append(busy, 0)
			}
			moved = busy[m.from] * m.share
			busy[m.from] -= moved
			busy[m.to] += moved
			busy = busy[:active]
		}
	}
}

func (r *rig) allLoops() []*loop {
	r.Server.mu.Lock()
	defer r.Server.mu.Unlock()
	return r.loops
}

// Sockets move from loop to loop under fire, and nobody notices.
func TestSocketsMove(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, kind, nil)
			var clients, movers sync.WaitGroup
			stop := make(chan struct{})
			for i := range 8 {
				p := r.connect(t)
				clients.Go(func() {
					want := fmt.Sprintf("%d-%s", i, strings.Repeat("x", i*3000))
					line := []byte(fmt.Sprintf("ECHO %s\r\nPING\r\n", want))
					reply := fmt.Sprintf("$%d\r\n%s\r\n+PONG\r\n", len(want), want)
					got := make([]byte, len(reply))
					for range 100 {
						if _, err := p.Write(line); err != nil {
							t.Error(err)
							return
						}
						if _, err := io.ReadFull(p.r, got); err != nil || string(got) != reply {
							t.Errorf("%v, got %.60q, want %.60q", err, got, reply)
							return
						}
					}
				})
			}
			blocked, waker := r.connect(t), r.connect(t)
			waker.do("PING\r\n", "+PONG\r\n")
			clients.Go(func() {
				blocked.do("ID\r\n", ":9\r\n")
				for i := range 60 {
					blocked.send("BLOCK\r\n")
					r.fakes.await(func() bool { return r.fakes.blocked == i+1 })
					waker.do("RESUME 9\r\n", "+OK\r\n")
					blocked.expect("+RESUMED\r\n")
				}
			})
			movers.Go(func() {
				loops := r.allLoops()
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						loops[i%2].shed(loops[1-i%2], float64(i%5)/4)
						_ = r.Stats()
						r.fakes.mu.Lock() // a breath
						r.fakes.mu.Unlock()
					}
				}
			})
			clients.Wait()
			close(stop)
			movers.Wait()
			sum := int64(0) // the last move may still be under way
			for range 1_000_000 {
				if sum = r.allLoops()[0].load.Load() + r.allLoops()[1].load.Load(); sum == 10 {
					break
				}
				runtime.Gosched()
			}
			if sum != 10 {
				t.Errorf("%d sockets", sum)
			}
		})
	}
}

// The loops' shares of busy time are told by the clock, and connections gather on one loop when there is little to do.
func TestIdleLoopsRetire(t *testing.T) {
	r := newRig(t, "tcp", nil)
	peers := []*peer{r.connect(t), r.connect(t), r.connect(t), r.connect(t)}
	for _, p := range peers {
		p.do("PING\r\n", "+PONG\r\n")
	}
	loops := r.allLoops()
	if a, b := loops[0].load.Load(), loops[1].load.Load(); a != 2 || b != 2 {
		t.Fatalf("%d and %d sockets", a, b)
	}
	r.clock.BlockUntilWaiters(1)
	r.clock.Advance(time.Second)
	r.logs.await("connections move between loops")
	for loops[0].load.Load() != 4 { // what waits for its turn moves a second later
		r.clock.Advance(time.Second)
		peers[0].do("PING\r\n", "+PONG\r\n")
	}
	for _, p := range peers {
		p.do("PING\r\n", "+PONG\r\n")
	}
	if r.active.Load() != 1 {
		t.Fatalf("%d loops in use", r.active.Load())
	}
}

// Who has read the reply to QUIT finds the client gone: its session ends before the loop serves anybody else.
func TestQuitIsOverWhenAnswered(t *testing.T) {
	r := newRig(t, "tcp", nil)
	r.active.Store(1) // all on one loop
	q := r.connect(t)
	q.do("PING\r\n", "+PONG\r\n")
	for range 200 {
		p := r.connect(t)
		p.do("QUIT\r\n", "+OK\r\n")
		q.do("PING\r\n", "+PONG\r\n")
		r.fakes.mu.Lock()
		open := r.fakes.open
		r.fakes.mu.Unlock()
		if open != 1 {
			t.Fatalf("%d sessions are open", open)
		}
	}
}
