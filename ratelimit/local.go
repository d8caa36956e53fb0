package ratelimit

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// Without the store a process admits its share of the limit: the same scripts run on strings in a map, with limits divided
// by the number of processes. What was counted in the store before is not known here, nor the reverse: where an outage
// begins or ends, up to a limit's units may pass in addition.

const (
	probeEvery = time.Second // how often a store that gave no answer is asked again
	maxLocal   = 100_000     // ids that a process counts for; further ones are as if there were no share
)

// local is the count of one process.
type local struct {
	n     int // processes
	clock clock.Clock
	down  atomic.Int64 // monotonic ns until which nobody asks the store; 0 while it answers

	mu   sync.Mutex
	keys map[string]localString
}

type localString struct {
	text []byte
	ends int64 // Unix ms
}

func newLocal(n int, c clock.Clock) *local {
	return &local{n: n, clock: c, keys: map[string]localString{}}
}

// alone tells that the store is not to be asked. Of those who come when it is time to ask again, one does.
func (l *local) alone() bool {
	until := l.down.Load()
	if until == 0 {
		return false
	}
	now := int64(l.clock.Monotonic())
	return now < until || !l.down.CompareAndSwap(until, now+int64(probeEvery))
}

// failed notes that the store gave no answer.
func (l *local) failed(err error) {
	if errors.Is(err, store.ErrUnavailable) {
		l.down.Store(int64(l.clock.Monotonic() + probeEvery))
	}
}

// answered notes that it gave one. Counts are forgotten: the next outage begins anew.
func (l *local) answered() {
	if l.down.Load() == 0 {
		return
	}
	l.down.Store(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.keys)
}

// decide runs a script here. full is the answer for an id beyond maxLocal.
func (l *local) decide(script *store.Script, plan *Plan, key string, cost int, full bool) Result {
	share, err := plan.share(l.n)
	none := Result{Allowed: full, Limit: plan.rules[0].Limit}
	if err != nil {
		return none
	}
	if none.Limit = share.rules[0].Limit; cost > share.most {
		none.Allowed = false
		return none
	}
	share.plain = plan.plain
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(key) {
		return none
	}
	res, err := share.read(script.Go(localTx{l, l.clock.Now()}, []string{key}, share.args(cost)))
	if err != nil {
		return none
	}
	return res
}

// room reports whether the key may be counted, after removing what has ended if need be.
func (l *local) room(key string) bool {
	if _, have := l.keys[key]; have || len(l.keys) < maxLocal {
		return true
	}
	now := l.clock.Now().UnixMilli()
	for k, s := range l.keys {
		if s.ends <= now {
			delete(l.keys, k)
		}
	}
	return len(l.keys) < maxLocal
}

// localTx is what decisions use of a store, on the map; its lock is held.
type localTx struct {
	l   *local
	now time.Time
}

var _ store.StringTx = localTx{}

func (t localTx) Now() time.Time { return t.now }

func (t localTx) GetRange(key string, from, n int, dst []byte) ([]byte, int, error) {
	s := t.l.keys[key]
	if s.ends <= t.now.UnixMilli() {
		return dst, 0, nil
	}
	from = min(from, len(s.text))
	return append(dst, s.text[from:min(from+n, len(s.text))]...), len(s.text), nil
}

func (t localTx) SetString(key string, value []byte, ttlMillis int64) error {
	s := t.l.keys[key]
	t.l.keys[key] = localString{append(s.text[:0], value...), t.now.UnixMilli() + ttlMillis}
	return nil
}

// Do knows the two commands by which a long log grows.
func (t localTx) Do(args ...string) store.Reply {
	if len(args) < 3 {
		return store.Fail(store.ErrUnsupported)
	}
	s := t.l.keys[args[1]]
	n, err := strconv.ParseInt(args[2], 10, 64)
	switch {
	case err != nil || n < 0:
		return store.Fail(store.ErrInvalid)
	case args[0] == "PEXPIRE":
		s.ends = t.now.UnixMilli() + n
	case args[0] == "SETRANGE" && len(args) == 4 && n <= int64(len(s.text)):
		s.text = append(s.text[:min(int(n), len(s.text))], args[3]...)
	default:
		return store.Fail(store.ErrUnsupported)
	}
	t.l.keys[args[1]] = s
	return store.Int(1)
}
