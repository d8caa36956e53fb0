package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func redis(t testing.TB) store.Store {
	t.Helper()
	st := fleet.Start(t, fleet.Redis).Open(t)
	return st
}

func TestConstantsAgreeWithLua(t *testing.T) {
	want := fmt.Sprintf("local HEAD, ENTRY, CHUNK, SHORT, WRAP = %d, %d, %d, %d, %d\n", headBytes, entryBytes, chunkBytes, shortBytes, int64(wrap))
	if !strings.Contains(openLua, want) {
		t.Errorf("openLua lacks %q", want)
	}
}

// TestBodiesAgree holds Go and Lua against each other: short logs, long ones, strange data and strange arguments.
func TestBodiesAgree(t *testing.T) {
	lua := redis(t)
	for _, c := range Calls() {
		t.Run(c.Name, func(t *testing.T) {
			storetest.Scripts(t, storetest.NewMemory(), lua, c.Script, c.Generate)
		})
	}
}

// ScriptCalls are random calls of a script, for storetest.Scripts.
type ScriptCalls struct {
	Name     string
	Script   *store.Script
	Generate func(*rand.Rand, string) storetest.Call
}

// Calls are those of every script.
func Calls() (all []ScriptCalls) {
	for _, size := range []struct{ limit, spanMillis int }{{1, 60_000}, {3, 100_000}, {40, 100_000}, {5_000, 1_000_000}} {
		if size.limit > 1000 && testing.Short() {
			continue // comparing its state takes so long under the race detector that the real clock's TTLs get out of step
		}
		for _, script := range []*store.Script{takeScript, peekScript, refundScript} {
			all = append(all, ScriptCalls{fmt.Sprintf("%s of %d", script.Name, size.limit), script, func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, size.limit, size.spanMillis)
			}})
		}
		for _, script := range []*store.Script{measureScript, glanceScript, restoreScript} {
			all = append(all, ScriptCalls{fmt.Sprintf("%s of %d", script.Name, size.limit), script, func(r *rand.Rand, prefix string) storetest.Call {
				return randomMeters(r, prefix, size.limit, size.spanMillis)
			}})
		}
	}
	return append(all, ScriptCalls{blockScript.Name, blockScript, randomBlock}, ScriptCalls{leaseScript.Name, leaseScript, randomLease})
}

var strange = []string{"0", "-1", "1.5", "1e3", "", "x", "0x10", " 1", "99999999999999"}

// ask is what the scripts of logs and meters are asked.
func ask(cost int, rules ...[]byte) string {
	b := pack56(nil, int64(cost))
	for _, rule := range rules {
		b = append(b, rule...)
	}
	return string(b)
}

func rule(kind byte, limit, millis, burst int) []byte {
	return packSlot(nil, kind, int64(limit), int64(millis), int64(burst))
}

// distort makes an argument that is wrong, or another than it was.
func distort(r *rand.Rand, args []string) []string {
	b := []byte(args[0])
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return append(args, args[0])
	case 2:
		return []string{string(b[:r.IntN(len(b))])}
	case 3:
		return []string{strings.Repeat(args[0], 1+r.IntN(40))}
	case 4: // a number is zero, or as large as there are
		at, fill := r.IntN(len(b)/22)*22, byte(r.IntN(2)*255)
		if at > 0 || r.IntN(2) == 0 {
			at += 1 + 7*r.IntN(3) + 7
		}
		for i := range min(7, len(b)-at) {
			b[at+i] = fill
		}
	default:
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return []string{string(b)}
}

func randomCall(r *rand.Rand, prefix string, limit, spanMillis int) storetest.Call {
	first := limit
	if r.IntN(32) == 0 {
		first = 1 + r.IntN(2*limit) // another limit on the same log
	}
	rules := [][]byte{rule('l', first, spanMillis, first)}
	for r.IntN(4) == 0 && len(rules) < maxRules {
		of := max(1, limit/2) + r.IntN(2*limit)
		rules = append(rules, rule('l', of, 1+r.IntN(spanMillis), of))
	}
	c := storetest.Call{
		Keys: []string{prefix + strconv.Itoa(r.IntN(2))},
		Args: []string{ask(1+r.IntN(max(1, limit/4)), rules...)},
	}
	c.Advance = randomAdvance(r, spanMillis)
	switch r.IntN(32) {
	case 0:
		c.Before = []store.Cmd{{"SET", c.Keys[0], strings.Repeat("x", r.IntN(40))}} // not ours, or by chance
	case 29:
		c.Before = []store.Cmd{{"SET", c.Keys[0], garbage(r, spanMillis)}}
	case 1:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"HSET", c.Keys[0], "f", "v"}}
	case 2, 3:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 4:
		c.Before = []store.Cmd{{"SET", c.Keys[0], longLog(r, limit, spanMillis), "PX", strconv.Itoa(spanMillis)}}
	case 5, 6:
		c.Args = distort(r, c.Args)
	case 8, 9, 10:
		c.Before = []store.Cmd{{"APPEND", c.Keys[0], trailer(r, spanMillis)}} // a block, if it was not blocked
	}
	return c
}

func randomAdvance(r *rand.Rand, spanMillis int) time.Duration {
	switch r.IntN(32) {
	case 0:
		return -time.Duration(r.IntN(2*spanMillis)) * time.Millisecond
	case 1, 2, 3, 4, 5, 6, 7, 8:
		return time.Millisecond
	case 9, 10, 11, 12, 13, 14, 15, 16:
		return time.Duration(r.IntN(spanMillis/10)) * time.Millisecond
	}
	return 0 // the same millisecond
}

// trailer is a block that has ended or will.
func trailer(r *rand.Rand, spanMillis int) string {
	return string(pack48(nil, storetest.NewMemory().Now().UnixMilli()+int64(r.IntN(2*spanMillis)-spanMillis)))
}

func randomMeters(r *rand.Rand, prefix string, limit, spanMillis int) storetest.Call {
	var rules [][]byte
	for len(rules) == 0 || r.IntN(3) == 0 && len(rules) < maxRules {
		kind, of := "bgfs"[r.IntN(4)], limit
		if r.IntN(8) == 0 {
			of = limit/2 + 1 + r.IntN(2*limit)
		}
		window, burst := spanMillis-r.IntN(4)*spanMillis/5, of
		if r.IntN(4) == 0 && (kind == 'b' || kind == 'g') {
			burst = max(1, of/2)
		}
		if r.IntN(16) == 0 {
			window = spanMillis * 10_000_000 / of // milliseconds as ticks, or too much
		}
		rules = append(rules, rule(kind, of, window, burst))
	}
	c := storetest.Call{
		Keys:    []string{prefix + strconv.Itoa(r.IntN(2))},
		Args:    []string{ask(1+r.IntN(max(1, limit/4)), rules...)},
		Advance: randomAdvance(r, spanMillis),
	}
	switch r.IntN(24) {
	case 0:
		c.Before = []store.Cmd{{"SET", c.Keys[0], strings.Repeat("b", r.IntN(60))}}
	case 1:
		b := make([]byte, 22*r.IntN(20)+6*r.IntN(2))
		for i := range b {
			if b[i] = byte(r.IntN(256)); i%22 == 0 {
				b[i] = "bgfs"[r.IntN(4)]
			} else if i%22 == 1 || i%22%7 == 1 {
				b[i] = 0
			}
		}
		c.Before = []store.Cmd{{"SET", c.Keys[0], string(b)}}
	case 2:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"HSET", c.Keys[0], "f", "v"}}
	case 3, 4:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 5, 6:
		c.Args = distort(r, c.Args)
	case 7, 8:
		c.Before = []store.Cmd{{"APPEND", c.Keys[0], trailer(r, spanMillis)}}
	case 9, 10: // slots near now
		var b []byte
		for range 1 + r.IntN(3) {
			at := storetest.NewMemory().Now().Add(time.Duration(r.IntN(4*spanMillis)-2*spanMillis) * time.Millisecond)
			kind := "bgfs"[r.IntN(4)]
			b = packSlot(b, kind, at.UnixMilli(), int64(r.IntN(2*limit)), int64(r.IntN(2*limit)))
		}
		c.Before = []store.Cmd{{"SET", c.Keys[0], string(b), "PX", strconv.Itoa(spanMillis)}}
	}
	return c
}

func randomBlock(r *rand.Rand, prefix string) storetest.Call {
	c := storetest.Call{
		Keys:    []string{prefix + strconv.Itoa(r.IntN(2))},
		Args:    []string{strconv.Itoa(r.IntN(3) * (20_000 + r.IntN(50_000))), "12", "6"},
		Advance: randomAdvance(r, 50_000),
	}
	if r.IntN(2) == 0 {
		c.Args[1], c.Args[2] = "22", "0"
	}
	switch r.IntN(16) {
	case 0, 1:
		c.Before = []store.Cmd{{"SET", c.Keys[0], strings.Repeat("x", r.IntN(60))}}
	case 2, 3, 4:
		c.Before = []store.Cmd{{"SET", c.Keys[0], strings.Repeat("\x00", 18), "PX", "30000"}}
	case 5:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"HSET", c.Keys[0], "f", "v"}}
	case 6, 7, 8:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 9:
		c.Args[r.IntN(3)] = strange[r.IntN(len(strange))]
	case 10:
		c.Args = c.Args[:r.IntN(3)]
	}
	return c
}

func randomLease(r *rand.Rand, prefix string) storetest.Call {
	const limit, ttl = 5, 50_000
	token := func() string { return "token-" + strconv.Itoa(10+r.IntN(12)) }
	c := storetest.Call{
		Keys:    []string{prefix + strconv.Itoa(r.IntN(2))},
		Args:    []string{string("aaaerp"[r.IntN(6)]), token(), strconv.Itoa(1 + r.IntN(2)), strconv.Itoa(limit), strconv.Itoa(ttl)},
		Advance: randomAdvance(r, ttl),
	}
	switch r.IntN(24) {
	case 0:
		c.Before = []store.Cmd{{"SET", c.Keys[0], strings.Repeat("x", r.IntN(60))}}
	case 1:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"HSET", c.Keys[0], "f", "v"}}
	case 2, 3:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 4:
		c.Args[2+r.IntN(3)] = strange[r.IntN(len(strange))]
	case 5:
		c.Args = c.Args[:r.IntN(5)]
	case 6:
		c.Args[0] = "x"
	case 7:
		c.Args[1] = "short"
	case 8: // leases near now, more than the limit
		var b []byte
		for range r.IntN(6) {
			til := storetest.NewMemory().Now().UnixMilli() + int64(r.IntN(2*ttl)-ttl/2)
			b = pack48(pack48(append(b, token()...), til), int64(r.IntN(4)))
		}
		if len(b) > 0 {
			c.Before = []store.Cmd{{"SET", c.Keys[0], string(b), "PX", strconv.Itoa(2 * ttl)}}
		}
	}
	return c
}

// garbage has the size of a log, times near now in no order, and sums at random.
func garbage(r *rand.Rand, spanMillis int) string {
	now := storetest.NewMemory().Now().UnixMilli()
	b := pack48(nil, r.Int64N(wrap))
	for range 1 + r.IntN(300) {
		b = pack48(pack48(b, now+int64(r.IntN(4*spanMillis)-2*spanMillis)), r.Int64N(100))
	}
	return string(b)
}

// longLog makes a valid log of up to limit entries near Memory's clock, with sums about to wrap.
func longLog(r *rand.Rand, limit, spanMillis int) string {
	now := storetest.NewMemory().Now().UnixMilli()
	n := 1 + r.IntN(limit)
	total := int64(wrap) - int64(r.IntN(2*limit))
	b := pack48(nil, total)
	for i := range n {
		total += int64(r.IntN(2) + 1)
		b = pack48(pack48(b, now-int64(spanMillis)+int64(i*spanMillis/n)), total)
	}
	return string(b)
}

// model is the limiter in the plainest way: every unit's time in a list.
type model struct {
	limit int
	span  int64
	units []int64
}

func (m *model) decide(now int64, cost int, count bool) (allowed, remaining int, retry, reset int64) {
	live := m.units[:0:0]
	for _, u := range m.units {
		if u > now-m.span {
			live = append(live, u)
		}
	}
	m.units = live
	free := m.limit - len(live)
	if len(live) > 0 {
		reset = live[len(live)-1] + m.span - now
	}
	if free < cost {
		return 0, max(free, 0), live[len(live)+cost-m.limit-1] + m.span - now, reset
	}
	if !count {
		return 1, free, 0, reset
	}
	for range cost {
		m.units = append(m.units, now)
	}
	return 1, free - cost, 0, m.span
}

func TestAgainstModel(t *testing.T) {
	for round := range 200 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		mem := storetest.NewMemory()
		m := &model{limit: 1 + r.IntN([]int{3, 30, 1000}[round%3]), span: int64(1 + r.IntN(5000))}
		for i := range 400 {
			mem.Advance(time.Duration(r.IntN(int(m.span)/8+2)) * time.Millisecond / time.Duration(1+r.IntN(20)))
			cost := 1 + r.IntN(m.limit)/(1+r.IntN(m.limit))
			script, count := takeScript, true
			if r.IntN(5) == 0 {
				script, count = peekScript, false
			}
			allowed, remaining, retry, reset := m.decide(mem.Now().UnixMilli(), cost, count)
			got, err := mem.Run(t.Context(), script, []string{"k"}, ask(cost, rule('l', m.limit, int(m.span), m.limit))).Ints()
			want := []int64{int64(allowed), int64(remaining), retry, reset}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d step %d: %s of %d by %d per %d ms: got %v, %v; want %v", seed, i, script.Name, cost, m.limit, m.span, got, err, want)
			}
			if size, _ := mem.Do(t.Context(), "STRLEN", "k").Int64(); size > int64(max(shortBytes, headBytes+2*entryBytes*(m.limit+1))) {
				t.Fatalf("seed %d step %d: the log of a limit of %d takes %d bytes", seed, i, m.limit, size)
			}
		}
	}
}

// TestClockStepsBack is a failover to a server whose clock is behind.
func TestClockStepsBack(t *testing.T) {
	for _, test := range []struct {
		back time.Duration
		want [][]int64 // of the calls after the step
	}{
		{400 * time.Millisecond, [][]int64{{1, 0, 0, 1400}, {0, 0, 1400, 1400}}},
		{time.Hour, [][]int64{{1, 1, 0, 1000}, {1, 0, 0, 1000}, {0, 0, 1000, 1000}}}, // the old log is not believed
	} {
		mem := storetest.NewMemory()
		call := func() []int64 {
			got, err := mem.Run(t.Context(), takeScript, []string{"k"}, ask(1, rule('l', 2, 1000, 2))).Ints()
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		call()
		mem.Advance(-test.back)
		var last []int64
		for i, want := range test.want {
			if last = call(); !slices.Equal(last, want) {
				t.Errorf("%v back, call %d: %v, want %v", test.back, i, last, want)
			}
		}
		mem.Advance(time.Duration(last[2]-1) * time.Millisecond)
		if got := call(); got[0] != 0 {
			t.Errorf("%v back: passed before RetryAfter: %v", test.back, got)
		}
		mem.Advance(time.Millisecond)
		if got := call(); got[0] != 1 {
			t.Errorf("%v back: still locked out after RetryAfter: %v", test.back, got)
		}
	}
}
