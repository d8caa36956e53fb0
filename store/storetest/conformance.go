package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/store"
)

// patience bounds every wait of the suite. Nothing waits that long unless it fails.
const patience = 10 * time.Second

// Run tests a kind of Store. open returns a Store that is ready for use and closes it by t.Cleanup; it is called once
// per subtest and may return Stores that share their data: every subtest uses keys of its own.
func Run(t *testing.T, open func(t testing.TB) store.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"Replies", (*suite).replies},
		{"Nil", (*suite).nils},
		{"Errors", (*suite).errors},
		{"Refusals", (*suite).refusals},
		{"BinarySafe", (*suite).binarySafe},
		{"BigValue", (*suite).bigValue},
		{"Pipe", (*suite).pipe},
		{"PipeErrors", (*suite).pipeErrors},
		{"PipeLong", (*suite).pipeLong},
		{"KeepsNoArguments", (*suite).keepsNoArguments},
		{"Bytes", (*suite).bytes},
		{"TTL", (*suite).ttl},
		{"ScriptReplies", (*suite).scriptReplies},
		{"ScriptErrors", (*suite).scriptErrors},
		{"ScriptAtomic", (*suite).scriptAtomic},
		{"ScriptClock", (*suite).scriptClock},
		{"Concurrent", (*suite).concurrent},
		{"Context", (*suite).context},
		{"Subscribe", (*suite).subscribe},
		{"SubscribeShards", (*suite).subscribeShards},
		{"SubscribeRefuses", (*suite).subscribeRefuses},
		{"SubscribeClose", (*suite).subscribeClose},
		{"Close", (*suite).close},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			test.run(&suite{T: t, st: open(t), ctx: ctx, prefix: fmt.Sprintf("storetest:%x:", rand.Uint64())})
		})
	}
}

// suite is one subtest.
type suite struct {
	*testing.T
	st     store.Store
	ctx    context.Context
	prefix string
}

func (s *suite) key(name string) string { return s.prefix + name }

// must runs a command that has to succeed.
func (s *suite) must(args ...string) store.Reply {
	s.Helper()
	r := s.st.Do(s.ctx, args...)
	if err := r.Err(); err != nil {
		s.Fatalf("%q: %v", args, err)
	}
	return r
}

// equal compares what an accessor returned.
func equal[T comparable](s *suite, what string, want T) func(T, error) {
	return func(got T, err error) {
		s.Helper()
		if err != nil || got != want {
			s.Errorf("%s: got %v, %v; want %v", what, got, err, want)
		}
	}
}

func (s *suite) replies() {
	k := s.key("k")
	equal(s, "SET", true)(s.must("SET", k, "v").OK())
	equal(s, "lower case", "v")(s.must("get", k).Text())
	equal(s, "EXISTS", true)(s.must("EXISTS", k).Bool())
	equal(s, "APPEND", int64(3))(s.must("APPEND", k, "al").Int64())
	equal(s, "DEL", int64(1))(s.must("DEL", k).Int64())
	equal(s, "INCRBYFLOAT", 2.5)(s.must("INCRBYFLOAT", s.key("f"), "2.5").Float64())

	h := s.key("h")
	equal(s, "HSET", int64(2))(s.must("HSET", h, "a", "1", "b", "2").Int64())
	m, err := s.must("HGETALL", h).Map()
	if err != nil || len(m) != 2 || m["a"] != "1" || m["b"] != "2" {
		s.Errorf("HGETALL: %v, %v", m, err)
	}
	values, err := s.must("HMGET", h, "b", "none", "a").Array()
	if err != nil || len(values) != 3 || !values[1].IsNil() {
		s.Errorf("HMGET: %v, %v", values, err)
	}

	l := s.key("l")
	equal(s, "RPUSH", int64(3))(s.must("RPUSH", l, "x", "y", "z").Int64())
	if got, err := s.must("LRANGE", l, "0", "-1").Strings(); err != nil || !slices.Equal(got, []string{"x", "y", "z"}) {
		s.Errorf("LRANGE: %v, %v", got, err)
	}

	z := s.key("z")
	s.must("ZADD", z, "1.5", "one", "-inf", "low")
	want := []store.Scored{{Member: "low", Score: negInf}, {Member: "one", Score: 1.5}}
	if got, err := s.must("ZRANGE", z, "0", "-1", "WITHSCORES").Scores(); err != nil || !slices.Equal(got, want) {
		s.Errorf("ZRANGE WITHSCORES: %v, %v", got, err)
	}
	equal(s, "ZSCORE", 1.5)(s.must("ZSCORE", z, "one").Float64())

	set := s.key("s")
	s.must("SADD", set, "b", "a")
	got, err := s.must("SMEMBERS", set).Strings()
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		s.Errorf("SMEMBERS: %v, %v", got, err)
	}
}

func (s *suite) nils() {
	for _, args := range [][]string{
		{"GET", s.key("none")}, {"HGET", s.key("none"), "f"}, {"LPOP", s.key("none")}, {"ZSCORE", s.key("none"), "m"},
	} {
		if r := s.must(args...); !r.IsNil() {
			s.Errorf("%q: got %v, want nil", args, r)
		}
	}
	s.must("SET", s.key("k"), "v")
	equal(s, "SET NX on an existing key", false)(s.must("SET", s.key("k"), "w", "NX").OK())
	if m, err := s.must("HGETALL", s.key("none")).Map(); err != nil || len(m) != 0 {
		s.Errorf("HGETALL of a missing key: %v, %v", m, err)
	}
}

func (s *suite) errors() {
	s.must("SET", s.key("k"), "text")
	for _, test := range []struct {
		args  []string
		class error
		code  string
	}{
		{[]string{"HGET", s.key("k"), "f"}, store.ErrWrongType, "WRONGTYPE"},
		{[]string{"INCR", s.key("k")}, nil, "ERR"},
		{[]string{"GET"}, nil, "ERR"},
		{[]string{"NOSUCHCOMMAND", s.key("k")}, store.ErrUnsupported, "ERR"},
	} {
		err := s.st.Do(s.ctx, test.args...).Err()
		var answered store.ServerError
		if !errors.As(err, &answered) || answered.Code() != test.code {
			s.Errorf("%q: got %v, want a ServerError with code %s", test.args, err, test.code)
		}
		if test.class != nil && !errors.Is(err, test.class) {
			s.Errorf("%q: %v is not %v", test.args, err, test.class)
		}
		if errors.Is(err, store.ErrUnavailable) {
			s.Errorf("%q: %v: the store did answer", test.args, err)
		}
	}
}

func (s *suite) refusals() {
	if err := s.st.Do(s.ctx).Err(); !errors.Is(err, store.ErrInvalid) {
		s.Errorf("no command: %v", err)
	}
	if err := s.st.Do(s.ctx, "").Err(); !errors.Is(err, store.ErrInvalid) {
		s.Errorf("empty command: %v", err)
	}
	for _, args := range [][]string{
		{"MULTI"}, {"exec"}, {"WATCH", s.key("k")}, {"SELECT", "1"}, {"SUBSCRIBE", "c"}, {"MONITOR"}, {"HELLO", "2"}, {"CLIENT", "REPLY", "OFF"},
	} {
		if err := s.st.Do(s.ctx, args...).Err(); !errors.Is(err, store.ErrUnsupported) {
			s.Errorf("%q: got %v, want ErrUnsupported", args, err)
		}
	}
	s.must("PING") // nothing was upset
}

func (s *suite) binarySafe() {
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	k, v := s.key(all.String()), "\r\n$-1\r\n"+all.String()
	s.must("SET", k, v)
	equal(s, "GET", v)(s.must("GET", k).Text())
	s.must("SET", s.key("empty"), "")
	r := s.must("GET", s.key("empty"))
	equal(s, "an empty value is not nil", "")(r.Text())
	equal(s, "an empty key", "v")(func() (string, error) {
		defer s.must("DEL", "")
		s.must("SET", "", "v")
		return s.must("GET", "").Text()
	}())
}

func (s *suite) bigValue() {
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	s.must("SET", s.key("big"), big)
	if got, err := s.must("GET", s.key("big")).Text(); err != nil || got != big {
		s.Errorf("a value of %d bytes came back with %d, %v", len(big), len(got), err)
	}
	s.must("DEL", s.key("big"))
}

func (s *suite) pipe() {
	k := s.key("k")
	replies := s.st.Pipe(s.ctx, store.Cmd{"SET", k, "1"}, store.Cmd{"INCR", k}, store.Cmd{"GET", k}, store.Cmd{"DEL", k}, store.Cmd{"GET", k})
	if len(replies) != 5 {
		s.Fatalf("%d replies to 5 commands", len(replies))
	}
	equal(s, "SET", true)(replies[0].OK())
	equal(s, "INCR", int64(2))(replies[1].Int64())
	equal(s, "GET", "2")(replies[2].Text())
	equal(s, "DEL", int64(1))(replies[3].Int64())
	if !replies[4].IsNil() {
		s.Errorf("GET after DEL: %v", replies[4])
	}
	if got := s.st.Pipe(s.ctx); len(got) != 0 {
		s.Errorf("an empty pipe: %v", got)
	}
}

func (s *suite) pipeErrors() {
	k := s.key("k")
	replies := s.st.Pipe(s.ctx, store.Cmd{"SET", k, "x"}, store.Cmd{"INCR", k}, store.Cmd{}, store.Cmd{"MULTI"}, store.Cmd{"NOSUCHCOMMAND"}, store.Cmd{"GET", k})
	if len(replies) != 6 {
		s.Fatalf("%d replies to 6 commands", len(replies))
	}
	for i, want := range []error{nil, store.ServerError("ERR value is not an integer or out of range"), store.ErrInvalid, store.ErrUnsupported, store.ErrUnsupported, nil} {
		if err := replies[i].Err(); want == nil && err != nil || want != nil && !errors.Is(err, want) {
			s.Errorf("reply %d: %v, want %v", i, err, want)
		}
	}
	equal(s, "the command after the failures", "x")(replies[5].Text())
}

func (s *suite) pipeLong() {
	const n = 5000
	cmds := make([]store.Cmd, n)
	for i := range cmds {
		cmds[i] = store.Cmd{"ECHO", strconv.Itoa(i)}
	}
	for i, r := range s.st.Pipe(s.ctx, cmds...) {
		if got, err := r.Text(); err != nil || got != strconv.Itoa(i) {
			s.Fatalf("reply %d: %q, %v", i, got, err)
		}
	}
}

// keepsNoArguments changes slices right after calls returned.
func (s *suite) keepsNoArguments() {
	args := []string{"SET", s.key("a"), "first"}
	s.must(args...)
	args[1], args[2] = s.key("b"), "second"
	equal(s, "GET", "first")(s.must("GET", s.key("a")).Text())
	value := []byte("first")
	if err := store.SetterOf(s.st).SetBytes(s.ctx, s.key("c"), value, 0); err != nil {
		s.Fatal(err)
	}
	copy(value, "XXXXX")
	equal(s, "after SetBytes", "first")(s.must("GET", s.key("c")).Text())
	got, _, err := store.GetterOf(s.st).GetBytes(s.ctx, s.key("c"), nil)
	if err != nil {
		s.Fatal(err)
	}
	copy(got, "YYYYY")
	equal(s, "after GetBytes", "first")(s.must("GET", s.key("c")).Text())
}

func (s *suite) bytes() {
	get, set := store.GetterOf(s.st), store.SetterOf(s.st)
	k := s.key("k")
	got, found, err := get.GetBytes(s.ctx, k, []byte("kept"))
	if string(got) != "kept" || found || err != nil {
		s.Errorf("GetBytes of a missing key: %q, %v, %v", got, found, err)
	}
	if err := set.SetBytes(s.ctx, k, []byte("a\x00b"), 0); err != nil {
		s.Error(err)
	}
	if got, found, err = get.GetBytes(s.ctx, k, []byte("kept ")); string(got) != "kept a\x00b" || !found || err != nil {
		s.Errorf("GetBytes: %q, %v, %v", got, found, err)
	}
	if err := set.SetBytes(s.ctx, k, nil, 0); err != nil {
		s.Error(err)
	}
	if got, found, err = get.GetBytes(s.ctx, k, nil); len(got) != 0 || !found || err != nil {
		s.Errorf("GetBytes of an empty value: %q, %v, %v", got, found, err)
	}
	s.must("DEL", k)
	s.must("HSET", k, "f", "v")
	if got, _, err = get.GetBytes(s.ctx, k, []byte("kept")); !errors.Is(err, store.ErrWrongType) || string(got) != "kept" {
		s.Errorf("GetBytes of a hash: %q, %v", got, err)
	}
	if err := set.SetBytes(s.ctx, k, []byte("over"), 0); err != nil {
		s.Errorf("SetBytes replaces any type: %v", err)
	}
	if err := set.SetBytes(s.ctx, k, nil, -time.Second); !errors.Is(err, store.ErrInvalid) {
		s.Errorf("negative TTL: %v", err)
	}
	s.replaces()
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, _, err := get.GetBytes(ended, k, nil); err != nil && !errors.Is(err, context.Canceled) {
		s.Errorf("GetBytes with an ended ctx: %v", err)
	}
}

// replaces: only where there is something, of any type, and with the TTL that is given.
func (s *suite) replaces() {
	r, k := store.ReplacerOf(s.st), s.key("replaced")
	equal(s, "ReplaceBytes of a missing key", false)(r.ReplaceBytes(s.ctx, k, []byte("v"), time.Hour))
	equal(s, "EXISTS", int64(0))(s.must("EXISTS", k).Int64())
	s.must("HSET", k, "f", "v")
	equal(s, "ReplaceBytes of a hash", true)(r.ReplaceBytes(s.ctx, k, []byte("a\x00b"), time.Hour))
	equal(s, "GET", "a\x00b")(s.must("GET", k).Text())
	if ms, err := s.must("PTTL", k).Int64(); err != nil || ms < 3_500_000 || ms > 3_600_000 {
		s.Errorf("PTTL %d, %v; want an hour", ms, err)
	}
	equal(s, "ReplaceBytes with nothing", true)(r.ReplaceBytes(s.ctx, k, nil, 0))
	equal(s, "STRLEN", int64(0))(s.must("STRLEN", k).Int64())
	equal(s, "PTTL", int64(-1))(s.must("PTTL", k).Int64())
	if _, err := r.ReplaceBytes(s.ctx, k, nil, -time.Second); !errors.Is(err, store.ErrInvalid) {
		s.Errorf("negative TTL: %v", err)
	}
}

func (s *suite) ttl() {
	k := s.key("k")
	if err := store.SetterOf(s.st).SetBytes(s.ctx, k, []byte("v"), time.Hour); err != nil {
		s.Fatal(err)
	}
	ms, err := s.must("PTTL", k).Int64()
	if hour := time.Hour.Milliseconds(); err != nil || ms > hour || ms < hour-patience.Milliseconds() {
		s.Errorf("PTTL after SetBytes with an hour: %d, %v", ms, err)
	}
	if err := store.SetterOf(s.st).SetBytes(s.ctx, k, []byte("v"), 0); err != nil {
		s.Fatal(err)
	}
	equal(s, "SetBytes without a TTL drops the old one", int64(-1))(s.must("PTTL", k).Int64())
	equal(s, "PTTL of a missing key", int64(-2))(s.must("PTTL", s.key("none")).Int64())
}

func (s *suite) concurrent() {
	const workers, each = 16, 100
	k := s.key("n")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range each {
				if i%2 == 0 {
					if err := s.st.Do(s.ctx, "INCR", k).Err(); err != nil {
						s.Error(err)
					}
				} else if err := s.st.Pipe(s.ctx, store.Cmd{"INCR", k})[0].Err(); err != nil {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	equal(s, "INCR by many", int64(workers*each))(s.must("GET", k).Int64())
}

func (s *suite) context() {
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	// A Store that never waits may answer all the same. One that fails says why.
	check := func(what string, err error) {
		s.Helper()
		if err != nil && (!errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable)) {
			s.Errorf("%s with a cancelled ctx: %v", what, err)
		}
	}
	check("Do", s.st.Do(ended, "PING").Err())
	check("Pipe", s.st.Pipe(ended, store.Cmd{"PING"})[0].Err())
	check("Run", s.st.Run(ended, echoScript(), nil, "x").Err())
	sub := store.Subscription{Channels: []string{s.key("c")}, OnMessage: func(store.Message) {}}
	if err := s.st.Subscribe(ended, sub); !errors.Is(err, context.Canceled) {
		s.Errorf("Subscribe with a cancelled ctx: %v", err)
	}
	s.must("PING")
}

func (s *suite) close() {
	s.must("PING")
	for range 2 {
		if err := s.st.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
	}
	check := func(what string, err error) {
		s.Helper()
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s after Close: %v", what, err)
		}
	}
	check("Do", s.st.Do(s.ctx, "PING").Err())
	check("Pipe", s.st.Pipe(s.ctx, store.Cmd{"PING"})[0].Err())
	check("Run", s.st.Run(s.ctx, echoScript(), nil, "x").Err())
	_, _, err := store.GetterOf(s.st).GetBytes(s.ctx, "k", nil)
	check("GetBytes", err)
	check("SetBytes", store.SetterOf(s.st).SetBytes(s.ctx, "k", nil, 0))
	check("Subscribe", s.st.Subscribe(s.ctx, store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}}))
}
