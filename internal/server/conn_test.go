package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/resp"
)

// collector is a transport without I/O: the peer takes as much as room allows.
type collector struct {
	c      *conn
	got    bytes.Buffer
	room   int
	woken  int
	killed int
}

func (t *collector) send(s *scratch) {
	b := s.w.Bytes()
	n := 0
	if t.c.out.size == 0 {
		n = min(len(b), t.room)
		t.got.Write(b[:n])
		t.room -= n
	}
	if n < len(b) {
		left := len(b) - n
		if t.c.out.add(b[n:]) {
			s.w.Take()
		}
		t.c.queued(left)
	}
	s.w.Reset(keepWriter)
}

// read has the peer take n bytes.
func (t *collector) read(s *scratch, n int) {
	t.room += n
	for t.c.out.size > 0 && t.room > 0 {
		b := t.c.out.first()
		k := min(len(b), t.room)
		t.got.Write(b[:k])
		t.room -= k
		t.c.out.sent(k)
		if t.c.queued(-k) {
			t.c.serve(s)
		}
	}
}

func (t *collector) wake()      { t.woken++ }
func (t *collector) interrupt() { t.killed++ }
func (t *collector) fd() int    { return 7 }

const unlimited = 1 << 30

type machine struct {
	*collector
	s     *scratch
	fakes *fakes
	clock *clock.Fake
	srv   *Server
}

func newMachine(t testing.TB, change func(*Limits)) *machine {
	t.Helper()
	m := &machine{collector: &collector{room: unlimited}, s: newScratch(new(traffic)), fakes: newFakes(), clock: clock.NewFake(time.Unix(1e9, 0))}
	lim := DefaultLimits()
	if change != nil {
		change(&lim)
	}
	m.srv = New(Options{NewSession: m.fakes.newSession, Limits: &lim, Clock: m.clock})
	m.c = &conn{remote: "test"}
	m.c.tr = m.collector
	if refusal := m.srv.admit(m.c, true); refusal != "" {
		t.Fatal(refusal)
	}
	t.Cleanup(func() { m.c.finish(); _ = m.srv.Close() })
	return m
}

// feed hands over input as an event loop does: read to where space says, as much as fits.
func (m *machine) feed(in []byte) {
	for len(in) > 0 && m.c.ready() {
		n := copy(m.c.space(m.s), in)
		in = in[n:]
		m.c.received(m.s, n)
	}
}

func (m *machine) output() string {
	out := m.got.String()
	m.got.Reset()
	return out
}

func (m *machine) expect(t *testing.T, in, want string) {
	t.Helper()
	m.feed([]byte(in))
	if got := m.output(); got != want {
		t.Fatalf("%.80q: got %.200q, want %.200q", in, got, want)
	}
}

func TestPipeline(t *testing.T) {
	m := newMachine(t, nil)
	m.expect(t, "PING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n\r\n*0\r\nNOPE\r\nPI", "+PONG\r\n$2\r\nhi\r\n-ERR unknown command 'NOPE'\r\n")
	m.expect(t, "NG\r\n", "+PONG\r\n")
	if s := m.fakes.sessions[1]; s.ended != 2 {
		t.Fatalf("%d batches", s.ended)
	}
	if m.c.rest != nil || m.c.parser.Partial() {
		t.Fatal("an idle connection holds input")
	}
}

func TestManyCommandsInOneRead(t *testing.T) {
	m := newMachine(t, nil)
	const n = 5000 // several batches
	m.expect(t, strings.Repeat("PING\r\n", n), strings.Repeat("+PONG\r\n", n))
}

func TestProtocolErrorAfterCommands(t *testing.T) {
	m := newMachine(t, nil)
	m.expect(t, "PING\r\n*1\r\n:3\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n")
	if !m.c.over() || m.c.reason != "Protocol error: expected '$', got ':'" {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
	m = newMachine(t, nil)
	m.expect(t, "PING\r\nPOST / HTTP/1.1\r\nPING\r\n", "+PONG\r\n")
	if !m.c.over() || m.c.reason != "Protocol error: HTTP request" {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

func TestQuitDropsTheRest(t *testing.T) {
	m := newMachine(t, nil)
	m.expect(t, "PING\r\nQUIT\r\nPING\r\n*x\r\n", "+PONG\r\n+OK\r\n")
	if !m.c.over() || m.c.rest != nil {
		t.Fatal("not over")
	}
}

func TestStrangersSendLittle(t *testing.T) {
	m := newMachine(t, nil)
	m.fakes.sessions[1].authed = false
	big := string(resp.AppendCommand(nil, "ECHO", strings.Repeat("x", 20000)))
	m.expect(t, "PING\r\nAUTH\r\n"+big, "+PONG\r\n+OK\r\n$20000\r\n"+strings.Repeat("x", 20000)+"\r\n")
	m = newMachine(t, nil)
	m.fakes.sessions[1].authed = false
	m.expect(t, "PING\r\n"+big, "+PONG\r\n-ERR Protocol error: unauthenticated bulk length\r\n")
}

func TestPushesBetweenReplies(t *testing.T) {
	m := newMachine(t, nil)
	m.expect(t, "PING\r\nPUB a\r\nPING\r\n", "+PONG\r\n:1\r\n*2\r\n$3\r\nmsg\r\n$1\r\na\r\n+PONG\r\n")
	m.expect(t, "HELLO 3\r\nPUB b\r\n", "%0\r\n:1\r\n>2\r\n$3\r\nmsg\r\n$1\r\nb\r\n")
	cl := client{m.c}
	m.c.serve(m.s)
	woken := m.woken
	for i := range 3 {
		cl.Push(func(w *resp.Writer) { w.Int(int64(i)) })
	}
	if m.woken > woken+1 {
		t.Fatalf("woken %d times", m.woken-woken)
	}
	m.c.serve(m.s)
	if got := m.output(); got != ":0\r\n:1\r\n:2\r\n" {
		t.Fatalf("%q", got)
	}
	cl.Push(func(w *resp.Writer) { w.Int(9) })
	if m.woken != woken+2 {
		t.Fatal("not woken again after serve")
	}
	m.expect(t, "PING\r\n", ":9\r\n+PONG\r\n")
	if m.c.held.Load() != 0 || m.srv.held.Load() != 0 {
		t.Fatalf("held %d, %d", m.c.held.Load(), m.srv.held.Load())
	}
}

func TestBlockAndResume(t *testing.T) {
	m := newMachine(t, nil)
	cl := client{m.c}
	resumed := func(w *resp.Writer) { w.Simple("RESUMED") }
	cl.Resume(resumed) // not blocked: nothing happens
	m.expect(t, "PING\r\nBLOCK\r\nPING\r\nBLOCK\r\nPING\r\nECHO", "+PONG\r\n")
	if m.c.over() {
		t.Fatal("a blocked connection is over")
	}
	cl.Resume(resumed)
	cl.Resume(resumed) // the second one finds nobody blocked
	m.c.serve(m.s)
	if got := m.output(); got != "+RESUMED\r\n+PONG\r\n" {
		t.Fatalf("%q", got)
	}
	cl.Resume(resumed)
	m.c.serve(m.s)
	m.feed([]byte(" x\r\n"))
	if got := m.output(); got != "+RESUMED\r\n+PONG\r\n$1\r\nx\r\n" {
		t.Fatalf("%q", got)
	}
	m.expect(t, "BLOCK briefly\r\nPING\r\n", "+RESUMED\r\n+PONG\r\n")
	m.feed([]byte("BLOCK\r\n"))
	m.c.eof = true
	if !m.c.over() {
		t.Fatal("nobody waits, yet the connection stays")
	}
}

func TestPostpone(t *testing.T) {
	m := newMachine(t, nil)
	m.expect(t, "PAUSE\r\nPING\r\nWORK\r\nPING\r\n", "+OK\r\n+PONG\r\n")
	m.c.serve(m.s)
	if m.output() != "" {
		t.Fatal("ran while postponed")
	}
	m.fakes.mu.Lock()
	m.fakes.isPaused = false
	m.fakes.paused[0].Resume(nil)
	m.fakes.mu.Unlock()
	m.c.serve(m.s)
	if got := m.output(); got != "+WORKED\r\n+PONG\r\n" {
		t.Fatalf("%q", got)
	}
}

// A client that sends and never reads: what it is owed stays bounded, what it sends is not read, and all is made good
// once it reads.
func TestBackpressure(t *testing.T) {
	m := newMachine(t, nil)
	m.room = 0
	const big, n = 8 << 20, 12
	sent := []byte(strings.Repeat(fmt.Sprintf("BIG %d\r\nPING\r\n", big), n))
	m.feed(sent)
	if m.c.ready() || m.c.out.size < pauseAt || m.c.out.size > pauseAt+big+100 || m.srv.held.Load() != int64(m.c.out.size) {
		t.Fatalf("ready %v, owed %d", m.c.ready(), m.c.out.size)
	}
	if b := (client{m.c}).Buffers(); b.OutputMem != m.c.out.size || b.OutputList == 0 || b.FD != 7 || b.Query == 0 {
		t.Fatalf("%+v", b)
	}
	m.c.serve(m.s)
	if m.c.out.size > pauseAt+big+100 {
		t.Fatal("a wake-up made it run on")
	}
	m.read(m.s, unlimited)
	if want := n * (big + len("$8388608\r\n\r\n+PONG\r\n")); m.got.Len() != want || m.c.out.size != 0 {
		t.Fatalf("got %d bytes, want %d", m.got.Len(), want)
	}
	if m.c.out.chunks != nil || m.c.rest != nil {
		t.Fatal("memory is kept")
	}
}

func TestBackpressureWhenCrowded(t *testing.T) {
	m := newMachine(t, nil)
	m.srv.held.Add(crowded)
	m.room = 0
	m.feed([]byte(strings.Repeat("BIG 100000\r\n", 100)))
	if m.c.out.size > pauseCrowded+200000 || m.c.ready() {
		t.Fatalf("owed %d", m.c.out.size)
	}
	m.srv.held.Add(-crowded)
}

func TestOutputLimits(t *testing.T) {
	limits := func(l *Limits) {
		l.Output[ClassNormal] = OutputLimit{Hard: 1000}
		l.Output[ClassPubSub] = OutputLimit{Hard: 2000, Soft: 500, SoftFor: 10 * time.Second}
	}
	t.Run("hard", func(t *testing.T) {
		m := newMachine(t, limits)
		m.room = 0
		m.feed([]byte("BIG 900\r\n"))
		if m.c.over() {
			t.Fatal("killed below the limit")
		}
		m.feed([]byte("BIG 100\r\n"))
		if !m.c.over() || !strings.Contains(m.c.reason, "hard limit") || m.srv.Stats().OutputLimitKilled != 1 {
			t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
		}
	})
	t.Run("pushes", func(t *testing.T) {
		m := newMachine(t, limits)
		m.feed([]byte("SUB\r\n"))
		for range 100 {
			client{m.c}.Push(func(w *resp.Writer) { w.BulkString(strings.Repeat("x", 100)) })
		}
		if !m.c.over() || m.c.inbox.Len() > 3000 || m.srv.Stats().OutputLimitKilled != 1 {
			t.Fatalf("over %v, inbox %d", m.c.over(), m.c.inbox.Len())
		}
	})
	t.Run("soft", func(t *testing.T) {
		m := newMachine(t, limits)
		m.room = 0
		m.feed([]byte("SUB\r\nBIG 600\r\n"))
		check := func() { m.c.check(m.clock.Monotonic(), m.srv.limits.Load()) }
		m.clock.Advance(9 * time.Second)
		check()
		m.read(m.s, 500) // below the limit again: the time starts anew
		m.room = 0
		check()
		m.feed([]byte("BIG 600\r\n"))
		m.clock.Advance(10 * time.Second)
		check()
		if m.c.over() {
			t.Fatal("killed early")
		}
		m.clock.Advance(time.Second)
		check()
		if !m.c.over() || !strings.Contains(m.c.reason, "soft limit") {
			t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
		}
	})
}

func TestQueryBufferLimit(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.QueryBuffer = 100_000 })
	m.feed([]byte("*1\r\n$1000000\r\n" + strings.Repeat("x", 90_000)))
	if m.c.over() {
		t.Fatal("killed below the limit")
	}
	m.feed([]byte(strings.Repeat("x", 100_000)))
	if !m.c.over() || m.c.reason != "client-query-buffer-limit" || m.srv.Stats().QueryLimitKilled != 1 {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

// Words cost more than their bytes when there are many short ones: what the parser notes of them counts.
func TestQueryBufferLimitCountsWords(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.QueryBuffer = 100_000 })
	m.feed([]byte("*1000000\r\n" + strings.Repeat("$0\r\n\r\n", 8000))) // 48 kB
	if !m.c.over() || m.c.reason != "client-query-buffer-limit" {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

// Who asks for more in one reply than there may be is cut off, whatever came before it in the pipeline.
func TestReplyTooLong(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.MaxReply = 10_000 })
	m.expect(t, "BIG 9000\r\nBIG 900\r\n", "$9000\r\n"+strings.Repeat("x", 9000)+"\r\n$900\r\n"+strings.Repeat("x", 900)+"\r\n")
	m.feed([]byte("PING\r\nARGS " + strings.Repeat("0123456789 ", 1000) + "\r\nPING\r\n"))
	if got := m.output(); got != "" || !m.c.over() || m.c.reason != "reply too long" {
		t.Fatalf("over %v, reason %q, output %.100q", m.c.over(), m.c.reason, got)
	}
	if n := cap(m.s.w.Bytes()); n > 20_000 {
		t.Fatalf("the writer holds %d bytes", n)
	}
}

// Who takes a long reply slowly is not idle.
func TestSlowReaderIsNotIdle(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.Timeout = 10 * time.Second })
	m.room = 0
	m.feed([]byte("BIG 100000\r\n"))
	for range 5 {
		m.clock.Advance(9 * time.Second)
		m.read(m.s, 1000)
		m.c.check(m.clock.Monotonic(), m.srv.limits.Load())
	}
	if m.c.over() {
		t.Fatalf("over, reason %q", m.c.reason)
	}
	m.clock.Advance(11 * time.Second)
	m.c.check(m.clock.Monotonic(), m.srv.limits.Load())
	if !m.c.over() || m.c.reason != "idle timeout" {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

// What a session has put off until EXEC counts too.
func TestQueryBufferLimitCountsQueued(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.QueryBuffer = 100_000 })
	m.expect(t, "QUEUE 90000\r\nPING\r\n", "+PONG\r\n")
	m.feed([]byte("QUEUE 20000\r\n"))
	if !m.c.over() || m.c.reason != "client-query-buffer-limit" || m.srv.Stats().QueryLimitKilled != 1 {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

func TestIdleTimeout(t *testing.T) {
	m := newMachine(t, func(l *Limits) { l.Timeout = 10 * time.Second })
	check := func() { m.c.check(m.clock.Monotonic(), m.srv.limits.Load()) }
	m.clock.Advance(9 * time.Second)
	m.expect(t, "PING\r\n", "+PONG\r\n")
	m.clock.Advance(10 * time.Second)
	check()
	m.feed([]byte("SUB\r\n"))
	m.clock.Advance(time.Hour)
	check()
	if m.c.over() {
		t.Fatal("killed early, or as a subscriber")
	}
	client{m.c}.SetPubSub(false)
	check()
	if !m.c.over() || m.c.reason != "idle timeout" {
		t.Fatalf("over %v, reason %q", m.c.over(), m.c.reason)
	}
}

// However a large argument is cut, the bytes are copied a bounded number of times, and an announcement costs nothing.
func TestBigArgument(t *testing.T) {
	m := newMachine(t, nil)
	const size = 20 << 20
	arg := strings.Repeat("x", size)
	in := resp.AppendCommand(nil, "ECHO", arg)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for len(in) > 0 {
		n := min(len(in), 16<<10)
		m.feed(in[:n])
		in = in[n:]
	}
	runtime.ReadMemStats(&after)
	if want := fmt.Sprintf("$%d\r\n%s\r\n", size, arg); m.output() != want {
		t.Fatal("wrong reply")
	}
	// Twice for the doubling, and the reply: string, writer, the test's buffer (which doubles too).
	if got := after.TotalAlloc - before.TotalAlloc; got > 10*size {
		t.Errorf("allocated %d MB for %d", got>>20, size>>20)
	}
	runtime.ReadMemStats(&before)
	m.feed([]byte("*1000000\r\n$4\r\nECHO\r\n$536870912\r\nabc"))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<10 {
		t.Errorf("an announcement allocated %d bytes", got)
	}
}

// Many small arguments, unfinished for long: the rest must grow by doubling.
func TestManyArgumentsInPieces(t *testing.T) {
	m := newMachine(t, nil)
	const n = 500_000
	in := []byte(fmt.Sprintf("*%d\r\n", n) + strings.Repeat("$1\r\na\r\n", n))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for len(in) > 0 {
		k := min(len(in), 1000)
		m.feed(in[:k])
		in = in[k:]
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 200<<20 {
		t.Errorf("allocated %d MB", got>>20)
	}
	if !strings.HasPrefix(m.output(), "-ERR unknown command") {
		t.Fatal("wrong reply")
	}
}

// So too where every read ends inside an argument, whose rest is known to be short.
func TestManyArgumentsInFullReads(t *testing.T) {
	m := newMachine(t, nil)
	const n, arg = 100_000, "$1000\r\n"
	in := []byte(fmt.Sprintf("*%d\r\n", n) + strings.Repeat(arg+strings.Repeat("a", 1000)+"\r\n", n/10))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m.feed(in)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 100<<20 {
		t.Errorf("allocated %d MB for %d", got>>20, len(in)>>20)
	}
}

func TestHalfSentIsCheap(t *testing.T) {
	m := newMachine(t, nil)
	m.feed([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10"))
	if cap(m.c.rest) > 64 {
		t.Fatalf("keeps %d bytes", cap(m.c.rest))
	}
	m.feed([]byte("0\r\n" + strings.Repeat("x", 100)))
	m.feed([]byte("\r\n"))
	if m.c.rest != nil {
		t.Fatal("keeps a rest")
	}
}

// However the input is cut, the replies are the same, and nothing is left behind.
func FuzzConn(f *testing.F) {
	for _, in := range []string{
		"PING\r\nECHO hi\r\n", "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n$4\r\nPING\r\n", "HELLO 3\r\nPUB x\r\nPING\r\nQUIT\r\nPING\r\n",
		"BLOCK briefly\r\nPING\r\nBLOCK\r\nPING\r\n", "PING\r\n*1\r\n$-1\r\n", "*3\r\n$4\r\nARGS\r\n$0\r\n\r\n$2\r\n\r\n\r\n", "ARGS \"a\\x00b\" 'c'\n\n*0\r\n*-1\r\nPING",
		"BIG 70000\r\nPING\r\nBIG 10\r\n", "AUTH\r\n*11\r\n$4\r\nARGS\r\n", "PAUSE\r\nWORK\r\n", "KILL 1\r\nPING\r\n", "SUB\r\nPUB y\r\nPUB z\r\n", "POST / HTTP/1.1\r\n",
	} {
		f.Add([]byte(in), uint64(1))
		f.Add([]byte(in), uint64(4))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if bytes.Contains(bytes.ToUpper(in), []byte("BIG")) && len(in) > 200 {
			t.Skip("too much output to compare many times")
		}
		run := func(cut func(left int) int, copied bool) string {
			m := newMachine(t, func(l *Limits) { l.MaxBulk = 1 << 20 })
			m.fakes.sessions[1].authed = seed%4 != 0
			for left := in; len(left) > 0; {
				n := cut(len(left))
				if copied {
					m.c.receivedCopy(m.s, left[:n])
				} else {
					m.feed(left[:n])
				}
				left = left[n:]
			}
			m.c.finish()
			if m.c.held.Load() != 0 || m.srv.held.Load() != 0 || m.fakes.open != 0 {
				t.Fatalf("left behind: held %d, open %d", m.c.held.Load(), m.fakes.open)
			}
			return fmt.Sprintf("%q %s", m.output(), m.c.reason)
		}
		rng := rand.New(rand.NewPCG(seed, 2))
		random := func(left int) int { return 1 + rng.IntN(min(left, 1+rng.IntN(40))) }
		whole := run(func(left int) int { return left }, false)
		for name, got := range map[string]string{
			"byte by byte": run(func(int) int { return 1 }, false), "random": run(random, false),
			"copied": run(random, true), "copied whole": run(func(left int) int { return left }, true),
		} {
			if got != whole {
				t.Fatalf("%s: %.500s\nwhole: %.500s", name, got, whole)
			}
		}
	})
}

func BenchmarkConn(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint("pipeline ", n), func(b *testing.B) {
			m := newMachine(b, nil)
			in := []byte(strings.Repeat("*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n", n))
			for b.Loop() {
				m.c.received(m.s, copy(m.c.space(m.s), in))
				m.got.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/cmd")
		})
	}
}
