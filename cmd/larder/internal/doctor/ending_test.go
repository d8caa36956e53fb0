package doctor

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// onScan calls do before the nth SCAN of a target's first server.
func onScan(target *Target, nth int, do func()) {
	r := recorded(target)[0]
	r.refuse = func(words []string) error {
		if words[0] == "SCAN" {
			if nth--; nth == 0 {
				do()
			}
		}
		return nil
	}
}

// endsEarly checks that a report is of a part, says so, and has findings of that part nevertheless.
func endsEarly(t *testing.T, r *Report, err error, stopped string, cancelled bool) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s := r.Scan
	if s.Complete || s.Seen == 0 || s.Seen >= s.Keys || !strings.Contains(s.Stopped, stopped) || s.Cancelled != cancelled || !s.Estimated {
		t.Errorf("%+v", s)
	}
	mustFind(t, r, "missing-ttl", `"forgotten:*"`)
	mustFind(t, r, "maxmemory", "")
	if text := shows(t, r); !strings.Contains(text, "STOPPED") {
		t.Error(text)
	}
}

func TestInterrupted(t *testing.T) {
	leaktest.Check(t)
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 5)
	ctx, cancel := context.WithCancel(t.Context())
	target := open(t, s.URL())
	onScan(target, 20, cancel)
	r, err := Run(ctx, target, Options{Rate: -1, Sample: -1})
	endsEarly(t, r, err, "interrupted", true)
}

// Waiting for the rate ends with the ctx, too.
func TestInterruptedWhileItWaits(t *testing.T) {
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 5)
	ctx, cancel := context.WithCancel(t.Context())
	c := clock.NewFake(testTime)
	target := open(t, s.URL())
	o := Options{Rate: 100, Sample: -1, Clock: c, Progress: func(float64, string) { cancel() }}
	c.Advance(time.Hour) // so that the first page is worth a drawing
	if r, err := Run(ctx, target, o); err != nil || !r.Scan.Cancelled || r.Scan.Seen == 0 {
		t.Error(r, err)
	}
}

func TestServerDies(t *testing.T) {
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 6)
	target := open(t, s.URL()+"?timeout=500ms&retries=0")
	onScan(target, 20, s.Stop)
	r, err := Run(t.Context(), target, Options{Rate: -1, Sample: -1})
	endsEarly(t, r, err, "unavailable", true)
}

// The clock stands still until the scan waits for it: what passes is what the rate says.
func TestRateAndTimeout(t *testing.T) {
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 7)
	c := clock.NewFake(testTime)
	const rate, timeout = 5000, 700 * time.Millisecond
	done := make(chan struct{})
	var r *Report
	var err error
	go func() {
		defer close(done)
		r, err = Run(t.Context(), open(t, s.URL()), Options{Rate: rate, Sample: -1, Clock: c, Timeout: timeout})
	}()
	advanceUntil(t, c, done)
	endsEarly(t, r, err, "--timeout of 700ms passed", false)
	if want := int64(rate * timeout.Seconds()); r.Scan.Seen < want*9/10 || r.Scan.Seen > want*11/10 {
		t.Errorf("%d keys in %v at %d/s", r.Scan.Seen, timeout, rate)
	}
}

// advanceUntil moves the clock whenever the scan waits for it besides its timeout, until done.
func advanceUntil(t *testing.T, c *clock.Fake, done <-chan struct{}) {
	t.Helper()
	for {
		select {
		case <-done:
			return
		default:
		}
		if c.Waiters() >= 2 {
			c.Advance(time.Millisecond)
		} else {
			runtime.Gosched()
		}
	}
}

func TestPacer(t *testing.T) {
	c := clock.NewFake(testTime)
	p := newPacer(c, 1000)
	p.spend(100)
	waited := make(chan error)
	go func() { waited <- p.wait(t.Context()) }()
	c.BlockUntilWaiters(1)
	c.Advance(99 * time.Millisecond)
	select {
	case <-waited:
		t.Fatal("100 keys at 1000/s took 99 ms")
	default:
	}
	c.Advance(time.Millisecond)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour) // is not saved up
	p.spend(100)
	if d := p.free - c.Monotonic(); d != 100*time.Millisecond {
		t.Fatal(d)
	}
	free := newPacer(c, -1)
	free.spend(1 << 30)
	if err := free.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Keys that vanish, slots that move and answers of the wrong shape are passed over, not fatal.
func TestStrangeAnswers(t *testing.T) {
	s := redistest.Start(t)
	pipe(t, fill(t, s.URL()), store.Cmd{"SET", "a:1", "x"}, store.Cmd{"SET", "a:2", "x"}, store.Cmd{"SET", "a:3", "x"})
	for name, refuse := range map[string]func(words []string) error{
		"moved": func(words []string) error {
			if len(words) > 1 && words[len(words)-1] == "a:2" {
				return store.ServerError("MOVED 1 127.0.0.1:2")
			}
			return nil
		},
		"gone":  func(words []string) error { return only(words, "OBJECT", store.ServerError("ERR no such key")) },
		"wrong": func(words []string) error { return only(words, "PTTL", store.ErrReply) },
		"unknown": func(words []string) error {
			return only(words, "MEMORY", store.ServerError("ERR unknown command 'MEMORY', with args beginning with: 'USAGE'"))
		},
		"values": func(words []string) error {
			return only(words, "GETRANGE", store.ServerError("NOPERM no \x1b[31m permissions to run the 'getrange' command"))
		},
	} {
		target := open(t, s.URL())
		recorded(target)[0].refuse = refuse
		r, err := Run(t.Context(), target, Options{})
		if err != nil || !r.Scan.Complete || r.Scan.Keys != 3 {
			t.Error(name, r, err)
			continue
		}
		var b bytes.Buffer
		if err := r.WriteText(&b, false); err != nil || strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: %q %v", name, b.String(), err)
		}
	}
}

func only(words []string, name string, err error) error {
	if words[0] == name {
		return err
	}
	return nil
}
