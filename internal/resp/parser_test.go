package resp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// outcome is what a stream of requests comes to, however it was cut.
type outcome struct {
	cmds []string // each command's arguments, quoted
	err  error
	rest int // bytes that no command has used
}

func (o outcome) String() string {
	return fmt.Sprintf("%s err=%v rest=%d", strings.Join(o.cmds, " "), o.err, o.rest)
}

// parse feeds stream in the given pieces, moving the unparsed rest to a fresh buffer each time as a connection would.
func parse(t testing.TB, stream []byte, lim Limits, limit int, cut func(left int) int) outcome {
	t.Helper()
	var p Parser
	var b Batch
	var o outcome
	var buf []byte
	for len(stream) > 0 && o.err == nil {
		n := cut(len(stream))
		buf = append(bytes.Clone(buf), stream[:n]...)
		stream = stream[n:]
		for o.err == nil {
			b.Reset()
			done, err := p.Parse(buf, &b, &lim, limit)
			if len(b.Cmds) != len(b.Ends) || len(b.Cmds) > limit {
				t.Fatalf("%d commands with %d ends, limit %d", len(b.Cmds), len(b.Ends), limit)
			}
			for i, cmd := range b.Cmds {
				o.cmds = append(o.cmds, fmt.Sprintf("%q", cmd))
				if b.Ends[i] > done || i > 0 && b.Ends[i] <= b.Ends[i-1] {
					t.Fatalf("ends %v, done %d", b.Ends, done)
				}
			}
			buf, o.err = buf[done:], err
			if done == 0 {
				break
			}
		}
		if p.Need(len(buf)) < 1 {
			t.Fatalf("Need = %d", p.Need(len(buf)))
		}
	}
	o.rest = len(buf) + len(stream)
	return o
}

func whole(left int) int   { return left }
func oneByte(left int) int { return 1 }

var requests = []struct {
	name, in string
	want     string
	err      error
	rest     string // what stays unparsed when nothing is wrong
}{
	{"get", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", `["GET" "k"]`, nil, ""},
	{"pipeline", "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", `["PING"] ["QUIT"]`, nil, ""},
	{"binary", "*1\r\n$6\r\na\r\n\x00$*\r\n", `["a\r\n\x00$*"]`, nil, ""},
	{"empty argument", "*2\r\n$0\r\n\r\n$0\r\n\r\n", `["" ""]`, nil, ""},
	{"long length", "*1\r\n$12345\r\n" + strings.Repeat("x", 12345) + "\r\n", fmt.Sprintf("[%q]", strings.Repeat("x", 12345)), nil, ""},
	{"no commands", "*0\r\n*-1\r\n*-10\r\n\r\n\n  \r\nPING\r\n", `["PING"]`, nil, ""},
	{"sloppy line ends", "*1\rx$4\rxPINGxx*1\r\n$1\r\na\r\n", `["PING"] ["a"]`, nil, ""},
	{"partial", "*2\r\n$3\r\nGET\r\n$1\r\n", ``, nil, "*2\r\n$3\r\nGET\r\n$1\r\n"},
	{"partial second", "PING\r\n*2\r\n$3\r\nGE", `["PING"]`, nil, "*2\r\n$3\r\nGE"},
	{"inline partial", "PING", ``, nil, "PING"},

	{"args not a number", "*x\r\n", ``, ErrArgs, ""},
	{"args empty", "*\r\n", ``, ErrArgs, ""},
	{"args plus", "*+1\r\n", ``, ErrArgs, ""},
	{"args zeros", "*01\r\n", ``, ErrArgs, ""},
	{"args space", "* 1\r\n", ``, ErrArgs, ""},
	{"args too many", "*2147483648\r\n", ``, ErrArgs, ""},
	{"args overflow", "*99999999999999999999\r\n", ``, ErrArgs, ""},
	{"args at the limit", "*2147483647\r\n$1\r\n", ``, nil, "*2147483647\r\n$1\r\n"},
	{"bulk negative", "*1\r\n$-1\r\n", ``, ErrBulk, ""},
	{"bulk empty", "*1\r\n$\r\n", ``, ErrBulk, ""},
	{"bulk not a number", "*1\r\n$4x\r\n", ``, ErrBulk, ""},
	{"bulk too long", "*1\r\n$536870913\r\n", ``, ErrBulk, ""},
	{"bulk overflow", "*1\r\n$9223372036854775808\r\n", ``, ErrBulk, ""},
	{"bulk at the limit", "*1\r\n$536870912\r\nabc", ``, nil, "*1\r\n$536870912\r\nabc"},
	{"no dollar", "PING\r\n*1\r\nx3\r\n", `["PING"]`, ProtocolError("expected '$', got 'x'"), ""},
	{"no dollar, no number", "*1\r\n:x\r\n", ``, ProtocolError("expected '$', got ':'"), ""},
	{"empty bulk line", "*1\r\n\r\n", ``, ProtocolError("expected '$', got ' '"), ""},
	{"nested", "*1\r\n*1\r\n$4\r\nPING\r\n", ``, ProtocolError("expected '$', got '*'"), ""},
	{"args line too long", "*" + strings.Repeat("1", maxLine), ``, ErrArgsLine, ""},
	{"args line too long, ended", "*" + strings.Repeat("1", maxLine) + "\r\n", ``, ErrArgsLine, ""},
	{"bulk line too long", "*1\r\n$" + strings.Repeat("1", maxLine) + "\r\n", ``, ErrBulkLine, ""},
	{"inline too long", strings.Repeat("a", maxLine+1), ``, ErrInlineLine, ""},
	{"inline too long, ended", strings.Repeat("a", maxLine+1) + "\r\n", ``, ErrInlineLine, ""},
	{"inline of full length", strings.Repeat("a", maxLine) + "\n", fmt.Sprintf("[%q]", strings.Repeat("a", maxLine)), nil, ""},
	{"quotes", "set \"a b\" 'c' \"\\x41\\n\"\r\n", `["set" "a b" "c" "A\n"]`, nil, ""},
	{"unbalanced", "PING\nset \"a b\r\n", `["PING"]`, ErrQuotes, ""},
	{"http", "POST / HTTP/1.1\r\n", ``, ErrHTTP, ""},
	{"http in an array", "*2\r\n$4\r\npOST\r\n$1\r\nx\r\n", ``, ErrHTTP, ""},
	{"http header", "GET / HTTP/1.1\r\nHost: localhost\r\n", `["GET" "/" "HTTP/1.1"]`, ErrHTTP, ""},
	{"nul ends the line", "PING\x00 more\r\n", `["PING"]`, nil, ""},
}

func TestParse(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			want := outcome{err: c.err, rest: len(c.rest)}
			if c.want != "" {
				want.cmds = []string{c.want}
			}
			small := oneByte
			if len(c.in) > 20000 {
				small = func(n int) int { return min(n, 997) } // parse copies the rest each time
			}
			cuts := map[string]func(int) int{"whole": whole, "byte by byte": small, "by 7": func(n int) int { return min(n, 7) }}
			for name, cut := range cuts {
				for _, limit := range []int{1, 100} {
					got := parse(t, []byte(c.in), DefaultLimits(), limit, cut)
					if c.err != nil {
						got.rest = 0
					}
					if got.String() != want.String() {
						t.Errorf("%s, limit %d:\n got %.300v\nwant %.300v", name, limit, got, want)
					}
				}
			}
		})
	}
}

func TestParseUnauthenticated(t *testing.T) {
	lim := DefaultLimits()
	lim.Unauthenticated = true
	for in, want := range map[string]error{
		"*11\r\n":                ErrStrangerArgs,
		"*10\r\n":                nil,
		"*1\r\n$16385\r\n":       ErrStrangerBulk,
		"*1\r\n$16384\r\n":       nil,
		"*9999999999\r\n":        ErrArgs,
		"*1\r\n$99999999999\r\n": ErrBulk,
	} {
		if got := parse(t, []byte(in), lim, 10, whole); got.err != want {
			t.Errorf("%q: %v, want %v", in, got.err, want)
		}
	}
}

// Reset lets a caller present an unfinished command again from its beginning.
func TestParserReset(t *testing.T) {
	var p Parser
	var b Batch
	lim := DefaultLimits()
	in := []byte("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")
	if _, err := p.Parse(in[:20], &b, &lim, 10); err != nil || !p.Partial() {
		t.Fatalf("%v, partial %v", err, p.Partial())
	}
	p.Reset()
	n, err := p.Parse(in, &b, &lim, 10)
	if err != nil || n != len(in) || fmt.Sprintf("%q", b.Cmds) != `[["a" "b" "c"]]` {
		t.Fatalf("%d %v %q", n, err, b.Cmds)
	}
}

func TestNeed(t *testing.T) {
	var p Parser
	var b Batch
	lim := DefaultLimits()
	in := []byte("*1\r\n$100\r\nabc")
	if _, err := p.Parse(in, &b, &lim, 10); err != nil || p.Need(len(in)) != 99 {
		t.Fatalf("%v, need %d", err, p.Need(len(in)))
	}
	p.Reset()
	in = []byte("*2\r\n$100\r\nabc")
	if _, err := p.Parse(in, &b, &lim, 10); err != nil || p.Need(len(in)) != 1 {
		t.Fatalf("%v, need %d, of which nothing is known", err, p.Need(len(in)))
	}
}

// What a client announces costs nothing until it is sent.
func TestAnnouncedIsNotAllocated(t *testing.T) {
	lim := DefaultLimits()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		for _, in := range []string{"*2147483647\r\n$1\r\na\r\n", "*1\r\n$536870912\r\nabc"} {
			var p Parser
			var b Batch
			if _, err := p.Parse([]byte(in), &b, &lim, 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Fatalf("200 announcements allocated %d bytes", got)
	}
}

// A big command in small pieces: the parser's own work must be linear. A million arguments byte for byte took 50 ms when
// written; rescanning would take hours.
func TestParseIsLinear(t *testing.T) {
	in := []byte("*1048576\r\n" + strings.Repeat("$1\r\na\r\n", 1<<20))
	var p Parser
	var b Batch
	lim := DefaultLimits()
	for n := range in {
		if done, err := p.Parse(in[:n], &b, &lim, 10); done != 0 || err != nil {
			t.Fatalf("at %d: %d %v", n, done, err)
		}
	}
	if done, err := p.Parse(in, &b, &lim, 10); done != len(in) || err != nil || len(b.Cmds[0]) != 1<<20 {
		t.Fatalf("%d %v", done, err)
	}
	b.Reset()
	if b.args != nil {
		t.Fatal("Reset kept the memory of a huge batch")
	}
}

func TestBatchIsBounded(t *testing.T) {
	in := []byte(strings.Repeat("*1\r\n$1\r\na\r\n", 20000))
	var p Parser
	var b Batch
	lim := DefaultLimits()
	n, err := p.Parse(in, &b, &lim, 1<<30)
	if err != nil || len(b.Cmds) != batchArgs || n != b.Ends[len(b.Ends)-1] {
		t.Fatalf("%d commands, %d bytes, %v", len(b.Cmds), n, err)
	}
}

func TestAppendWords(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
		ok   bool
	}{
		{``, `[]`, true},
		{" \t\v\f a\v  b ", "[\"a\\v\" \"b\"]", true},
		{`foo"bar"`, `["foobar"]`, true},
		{`foo'bar' x`, `["foobar" "x"]`, true},
		{`"a"b`, `[]`, false},
		{`'a'b`, `[]`, false},
		{`"\"\\\q\x4g\x"`, `["\"\\qx4gx"]`, true},
		{`"\xff\r\t\a\b\n"`, `["\xff\r\t\a\b\n"]`, true},
		{`'\'\n"'`, `["'\\n\""]`, true},
		{`"abc`, `[]`, false},
		{`'abc`, `[]`, false},
		{`"abc\`, `[]`, false},
		{`\x41 a\b`, `["\\x41" "a\\b"]`, true},
		{`""`, `[""]`, true},
		{`'' ""`, `["" ""]`, true},
		{"a\x00b", `["a"]`, true},
		{"\"a\x00b\"", `[]`, false},
	} {
		line := []byte(c.in)
		words, ok := AppendWords(nil, line)
		if ok != c.ok || ok && fmt.Sprintf("%q", words) != c.want {
			t.Errorf("%q: %q %v, want %s %v", c.in, words, ok, c.want, c.ok)
		}
		if string(line) != c.in {
			t.Errorf("%q was changed to %q", c.in, line)
		}
	}
}

// However a stream is cut, the commands, the error and the rest are the same.
func FuzzParse(f *testing.F) {
	for i, c := range requests {
		if len(c.in) < 4096 {
			f.Add([]byte(c.in), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		lim := Limits{MaxBulk: 1 << 20, MaxArgs: 1 << 16, Unauthenticated: seed%5 == 0}
		rng := rand.New(rand.NewPCG(seed, 1))
		random := func(left int) int { return 1 + rng.IntN(min(left, 1+rng.IntN(64))) }
		want := parse(t, in, lim, 1<<20, whole)
		for range 2 {
			got := parse(t, in, lim, 1+rng.IntN(4), random)
			if want.err != nil {
				got.rest = want.rest // the pieces behind the error were not even read
			}
			if got.String() != want.String() {
				t.Fatalf("cut:   %v\nwhole: %v", got, want)
			}
		}
		// What was parsed, encoded again, must parse to the same.
		var p Parser
		var b Batch
		lim.Unauthenticated = false
		_, _ = p.Parse(in, &b, &lim, 1<<20)
		again := NewWriter(nil)
		for _, cmd := range b.Cmds {
			again.Array(len(cmd))
			for _, arg := range cmd {
				again.Bulk(arg)
			}
		}
		first := fmt.Sprintf("%q", b.Cmds)
		b.Reset()
		p.Reset()
		if n, err := p.Parse(again.Bytes(), &b, &lim, 1<<20); err != nil || n != again.Len() || fmt.Sprintf("%q", b.Cmds) != first {
			t.Fatalf("encoded again: %d of %d, %v\n%q\n%s", n, again.Len(), err, b.Cmds, first)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	set := string(AppendCommand(nil, "SET", "key:000000012345", strings.Repeat("x", 32)))
	get := string(AppendCommand(nil, "GET", "key:000000012345"))
	for _, c := range []struct {
		name, in string
		n        int
	}{{"get", get, 1}, {"set", set, 1}, {"get x16", strings.Repeat(get, 16), 16}, {"set x16", strings.Repeat(set, 16), 16},
		{"inline", "GET key:000000012345\r\n", 1}, {"mset x100", string(AppendCommand(nil, append([]string{"MSET"}, strings.Split(strings.Repeat("key:000000012345 ", 100), " ")[:100]...)...)), 1}} {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.in)
			lim := DefaultLimits()
			var p Parser
			var batch Batch
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				batch.Reset()
				if n, err := p.Parse(in, &batch, &lim, 1024); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.n), "ns/cmd")
		})
	}
}
