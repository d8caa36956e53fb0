package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/resp"
)

// slowWriter lets time pass while a command replies.
type slowWriter struct {
	*resp.Writer
	clock *clock.Fake
	takes time.Duration
}

func (w *slowWriter) pass()           { w.clock.Advance(w.takes) }
func (w *slowWriter) Simple(s string) { w.pass(); w.Writer.Simple(s) }
func (w *slowWriter) Int(n int64)     { w.pass(); w.Writer.Int(n) }
func (w *slowWriter) Null()           { w.pass(); w.Writer.Null() }
func (w *slowWriter) Bulk(b []byte)   { w.pass(); w.Writer.Bulk(b) }

// remote is a session with a connection, whose commands are timed.
type remote struct {
	*client
	out *slowWriter
}

func (r *rig) remote() remote {
	r.clock.Advance(time.Nanosecond) // at its very beginning nothing is timed
	c := &fuzzClient{id: 7, w: resp.NewWriter(nil)}
	s := r.NewSession(c)
	r.t.Cleanup(s.Close)
	return remote{&client{r.t, s, c.w}, &slowWriter{c.w, r.clock, 0}}
}

// batch runs lines as one read would bring them, each of which takes so many milliseconds: "5 GET k".
func (r remote) batch(lines ...string) {
	var all [][][]byte
	var takes []time.Duration
	for _, line := range lines {
		var words [][]byte
		for _, w := range strings.Fields(line) {
			words = append(words, []byte(w))
		}
		var ms int
		if _, err := fmt.Sscan(string(words[0]), &ms); err != nil {
			r.t.Fatal(err)
		}
		all, takes = append(all, words[1:]), append(takes, time.Duration(ms)*time.Millisecond)
	}
	for i, words := range all {
		r.out.takes = takes[i]
		r.s.Exec(words, r.out)
	}
	r.out.takes = 0
	r.s.EndBatch()
}

// slow is the slow log from the oldest entry: milliseconds and words of each.
func (r *rig) slow() string {
	var lines []string
	text := r.main.do("SLOWLOG GET -1")
	for _, e := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "[["), "]]"), "] [") {
		if e == "[]" {
			break
		}
		fields := strings.SplitN(e, " ", 4)
		var micros int
		fmt.Sscanf(fields[2], "(%d)", &micros)
		words, _, _ := strings.Cut(strings.TrimPrefix(fields[3], "["), "]")
		lines = append([]string{fmt.Sprintf("%d %s", micros/1000, words)}, lines...)
	}
	r.main.do("SLOWLOG RESET")
	return strings.Join(lines, "; ")
}

// TestSlowlogTimes holds what is logged of commands that come together, with a threshold of 10 ms.
func TestSlowlogTimes(t *testing.T) {
	r := newRig(t)
	c := r.remote()
	for _, step := range []struct {
		name  string
		batch []string
		want  string
	}{
		{"alone", []string{"20 GET k"}, "20 GET k"},
		{"at the threshold", []string{"10 GET k", "9 SET k v"}, "10 GET k"},
		{"each of another kind", []string{"1 GET k", "15 SET k v", "2 GET k", "30 LLEN l"}, "15 SET k v; 30 LLEN l"},
		{"what is not brief, in a row", []string{"1 DEL a", "20 DEL b", "3 DEL c", "30 DEL d"}, "20 DEL b; 30 DEL d"},
		{"a transaction is its commands", []string{"0 MULTI", "0 SET k v", "0 DEL x", "12 EXEC"}, "12 SET k v; 12 DEL x"},
		{"a run that took too long blames nobody", []string{"1 GET a", "11 GET b", "1 GET c"}, ""},
		{"but is watched closely", []string{"1 GET a", "11 GET b", "1 GET c"}, "11 GET b"},
	} {
		c.batch(step.batch...)
		if got := r.slow(); got != step.want {
			t.Errorf("%s: logged %q, want %q", step.name, got, step.want)
		}
	}
	r.main.want("OK", "CONFIG SET slowlog-log-slower-than 0")
	c = r.remote()
	c.batch("0 GET a", "0 GET b", "0 SET c d", "0 EXEC")
	if got := r.slow(); got != "0 GET a; 0 GET b; 0 SET c d" {
		t.Errorf("with threshold 0: %q", got)
	}
	r.main.want("OK", "CONFIG SET slowlog-log-slower-than -1")
	c.batch("50 GET a", "500 DEL b")
	if got := r.slow(); got != "" {
		t.Errorf("turned off: %q", got)
	}
}

// TestSlowlogWords: long ones are cut, secrets are hidden, who sent them is there, and there are no more than wanted.
func TestSlowlogWords(t *testing.T) {
	r := newRig(t, "slowlog-log-slower-than", "0", "slowlog-max-len", "3")
	c := r.remote()
	long := strings.Repeat("x", 130)
	c.batch("0 CLIENT SETNAME me", "0 SET k "+long, "0 AUTH secret", "0 CONFIG SET hz 20 requirepass secret",
		"0 SADD s"+strings.Repeat(" m", 40))
	r.main.want("OK", "CONFIG", "SET", "requirepass", "", "slowlog-log-slower-than", "-1")
	got := r.main.do("SLOWLOG GET")
	for _, want := range []string{
		"AUTH (redacted)", "CONFIG SET hz 20 requirepass (redacted)", "SADD s" + strings.Repeat(" m", 29) + " ... (11 more arguments)",
		"127.0.0.1:1 me",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	r.main.want("(3)", "SLOWLOG LEN")
	r.main.want("[]", "SLOWLOG GET 0")
	r.main.want("ERR count should be greater than or equal to -1", "SLOWLOG GET -2")
	r.main.want("ERR count should be greater than or equal to -1", "SLOWLOG GET x")
	r.main.want("OK", "CONFIG SET slowlog-log-slower-than 0")
	c.batch("0 SET k " + long)
	if got := r.main.do("SLOWLOG GET 1"); !strings.Contains(got, strings.Repeat("x", 128)+"... (2 more bytes)") {
		t.Errorf("not cut: %s", got)
	}
}

// TestTimes holds the times in INFO: alone, in runs, and with others inside.
func TestTimes(t *testing.T) {
	r := newRig(t)
	c := r.remote()
	c.batch("1 GET k", "3 GET k", "2 SET k v", "5 DEL k", "0 MULTI", "0 SET k v", "0 GET k", "4 EXEC")
	info := r.main.do("INFO commandstats latencystats")
	for _, want := range []string{
		"cmdstat_get:calls=3,usec=8000,", "cmdstat_set:calls=2,usec=6000,", "cmdstat_del:calls=1,usec=5000,",
		"cmdstat_exec:calls=1,usec=8000,", "latency_percentiles_usec_del:p50=5111.807,p99=5111.807,p99.9=5111.807",
	} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q in\n%s", want, info)
		}
	}
	r.main.want("[get [calls (3) histogram_usec [(2113) (2) (4227) (3)]]]", "LATENCY HISTOGRAM GET nosuch")
	r.main.want("OK", "CONFIG RESETSTAT")
	r.main.want("OK", "CONFIG SET latency-tracking no")
	c.batch("1 GET k")
	r.main.want("[]", "LATENCY HISTOGRAM")
}

// TestLatencyEvents: the longest of each second, of those as long as the threshold.
func TestLatencyEvents(t *testing.T) {
	r := newRig(t, "latency-monitor-threshold", "10", "slowlog-log-slower-than", "-1")
	c := r.remote()
	r.main.want("[]", "LATENCY LATEST")
	r.main.want("ERR No samples available for event 'command'", "LATENCY GRAPH command")
	c.batch("9 DEL a", "20 DEL b", "10 DEL c", "30 GET d")
	r.clock.Advance(time.Second)
	c.batch("15 DEL e")
	r.main.want("[[command (1700000001) (15) (20)] [fast-command (1700000000) (30) (30)]]", "LATENCY LATEST")
	r.main.want("[[(1700000000) (20)] [(1700000001) (15)]]", "LATENCY HISTORY command")
	graph := "command - high 20 ms, low 15 ms (all time high 20 ms)\n" + strings.Repeat("-", 80) +
		"\n# \n| \n| \n|_\n  \n10\nss\n"
	r.main.want(graph, "LATENCY GRAPH command")
	if got := r.main.do("LATENCY DOCTOR"); !strings.Contains(got, "2. fast-command: 1 times") || !strings.Contains(got, "slowlog-log-slower-than 10000") {
		t.Errorf("the doctor says %q", got)
	}
	r.main.want("(1)", "LATENCY RESET Command nosuch")
	r.main.want("(1)", "LATENCY RESET")
	r.main.want("[]", "LATENCY HISTORY fast-command")
	r.main.want("OK", "CONFIG SET latency-monitor-threshold 0")
	c.batch("500 DEL a")
	r.main.want("[]", "LATENCY LATEST")
	for i := range 200 { // a series is bounded
		r.main.want("OK", "CONFIG SET latency-monitor-threshold 1")
		r.clock.Advance(time.Second)
		c.batch(fmt.Sprintf("%d DEL a", i+1))
	}
	if n := strings.Count(r.main.do("LATENCY HISTORY command"), "] ["); n != 159 {
		t.Errorf("%d samples are kept", n+1)
	}
}
