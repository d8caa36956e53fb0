package top

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
)

// terminal is what a program writes, and an event when it has written something.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default:
	}
	return t.text.Write(p)
}

// wait returns when the program has written something.
func (t *terminal) wait(tb testing.TB, what string) {
	tb.Helper()
	for {
		t.mu.Lock()
		seen := strings.Contains(t.text.String(), what)
		t.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-t.more:
		case <-tb.Context().Done():
			tb.Fatal("never written: ", what)
		}
	}
}

// The whole program, keys in and screen out: it shows a reading, scans, and ends with q, without goroutines left behind.
func TestRun(t *testing.T) {
	leaktest.Check(t)
	f := &fake{samples: busySeconds(3)}
	in, keys := io.Pipe()
	out := &terminal{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), f, Options{Interval: time.Hour, ScanRate: 1000, Separator: ":", Depth: 1}, in, out,
			tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm-256color", "NO_COLOR=1"}), tea.WithoutSignals())
	}()
	out.wait(t, "commands/s")
	if _, err := keys.Write([]byte("4")); err != nil {
		t.Fatal(err)
	}
	out.wait(t, `\x1b[2J\x1b[31mred:x`)
	if _, err := keys.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	keys.Close()
	text := out.text.String()
	if !strings.Contains(text, "\x1b[?1049h") || !strings.Contains(text, "\x1b[?1049l") {
		t.Error("the other screen of the terminal was not entered and left")
	}
	for _, colour := range []string{"\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[36m"} {
		if strings.Contains(text, colour) {
			t.Errorf("%q in spite of NO_COLOR", colour)
		}
	}
}

// A signal, or whatever ends its ctx, ends it as q does.
func TestRunEndsWithContext(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, keys := io.Pipe()
	defer keys.Close()
	out := &terminal{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, &fake{samples: busySeconds(1)}, Options{Interval: time.Hour}, in, out, tea.WithWindowSize(40, 10), tea.WithoutSignals())
	}()
	out.wait(t, "commands/s")
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestRunWithoutTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := Run(t.Context(), &fake{samples: busySeconds(1)}, Options{Interval: time.Second}, null, null); !errors.Is(err, ErrNoTerminal) {
		t.Error(err)
	}
}

// reportOf is one reading of the fake, an interval of the fake clock apart.
func reportOf(t *testing.T, samples ...Sample) (Report, error) {
	t.Helper()
	clk := clock.NewFake(time.Unix(0, 0))
	go func() {
		clk.BlockUntilWaiters(1)
		clk.Advance(time.Second)
	}()
	return Once(t.Context(), &fake{samples: samples}, clk, time.Second)
}

func TestOnce(t *testing.T) {
	r, err := reportOf(t, busySeconds(2)...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var back struct {
		URL      string
		Nodes    []string
		Overview map[string]any
		Alerts   []map[string]any
		Commands []map[string]any
		SlowLog  []map[string]any `json:"slow_log"`
		// What the server does not count is null.
		Namespaces *[]any
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err, out.String())
	}
	o := back.Overview
	if back.URL != "redis://127.0.0.1:6379" || len(back.Nodes) != 1 || o["ops_per_second"] != 12345.0 || o["hit_ratio"] != 0.9 || o["p99_usec"] != 2.0 || o["blocked_clients"] != nil || o["server"] != "redis 7.0.15" {
		t.Errorf("%s", out.String())
	}
	if back.Namespaces != nil || len(back.Commands) != 2 || back.Commands[0]["name"] != "get" || len(back.SlowLog) != 1 || len(back.Alerts) != 1 {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"commands/s       12.3k\n", "hit ratio        90.0%", "p50 1.0us  p99 2.0us", "evictions by allkeys-lru are near", " get ", "KEYS *"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("an escape in %q", out.String())
	}
}

func TestOnceOfLostServer(t *testing.T) {
	lost := Sample{Name: "a:1", Err: errors.New("refused")}
	if _, err := reportOf(t, busy(0), lost); err == nil || err.Error() != "refused" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Once(ctx, &fake{samples: busySeconds(1)}, clock.NewFake(time.Unix(0, 0)), time.Second); err == nil || err.Error() != "enough" {
		t.Error(err)
	}
}

// What is printed as JSON may land in a terminal, too.
func TestJSONInATerminal(t *testing.T) {
	want := "\u009b2J\x7f\u202e\u2066\ufeff é宽\U0001f600 \x1b[2J"
	var out bytes.Buffer
	if err := (Report{Namespaces: []Namespace{{Name: want}}}).JSON(&out); err != nil {
		t.Fatal(err)
	}
	for _, c := range out.String() {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2066 || c == 0xfeff {
			t.Errorf("%q in %s", c, out.String())
		}
	}
	var back struct{ Namespaces []struct{ Name string } }
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Namespaces[0].Name != want {
		t.Errorf("%q %v", back, err)
	}
}
