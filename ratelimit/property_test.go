package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store/storetest"
)

// passed is units that a limiter let through.
type passed struct {
	at    int64 // Unix ms; it does not run back: as of the unit before, if the clock was set back
	units int
}

// history is what passed for an id since the clock was last set back so far that the limiter cannot know.
type history []passed

func (h history) add(now int64, units int) history {
	if n := len(h); n > 0 {
		now = max(now, h[n-1].at)
	}
	return append(h, passed{now, units})
}

// refund takes the latest units off.
func (h history) refund(n int) history {
	for n > 0 && len(h) > 0 {
		last := &h[len(h)-1]
		if last.units > n {
			last.units -= n
			return h
		}
		n -= last.units
		h = h[:len(h)-1]
	}
	return h
}

func (h history) between(from, to int64) (sum int) {
	for _, p := range h {
		if p.at >= from && p.at < to {
			sum += p.units
		}
	}
	return sum
}

// believed is how far ahead of the clock a rule's state may lie before it counts as nothing.
func believed(r ratelimit.Rule) int64 {
	if r.Burst > 0 {
		return int64(r.Burst) * r.Window.Milliseconds() / int64(r.Limit)
	}
	return r.Window.Milliseconds()
}

// check tells how a history that has just grown breaks a rule's promise.
func (h history) check(r ratelimit.Rule) error {
	if len(h) == 0 {
		return nil
	}
	last, w := h[len(h)-1].at, r.Window.Milliseconds()
	begin := last - last%w
	switch r.Algorithm {
	case ratelimit.SlidingLog:
		if n := h.between(last-w+1, last+1); n > r.Limit {
			return fmt.Errorf("%d units in one window of %d", n, r.Limit)
		}
	case ratelimit.FixedWindow:
		if n := h.between(begin, begin+w); n > r.Limit {
			return fmt.Errorf("%d units in the fixed window of %d", n, r.Limit)
		}
	case ratelimit.SlidingCounter:
		cur, prev := h.between(begin, begin+w), h.between(begin-w, begin)
		if weight := int64(prev) * (w - (last - begin)); int64(cur)*w+weight > int64(r.Limit)*w {
			return fmt.Errorf("%d units in this window and %d in the one before, %d ms ago, of %d", cur, prev, last-begin, r.Limit)
		}
		if n := h.between(last-w+1, last+1); n >= 2*r.Limit && n > 1 {
			return fmt.Errorf("%d units in one window of %d", n, r.Limit)
		}
	default:
		sum := 0
		for i := len(h) - 1; i >= 0; i-- {
			sum += h[i].units
			if int64(sum-r.Burst)*w > int64(r.Limit)*(last-h[i].at) {
				return fmt.Errorf("%d units in %d ms of %d at once and %d per %d ms", sum, last-h[i].at, r.Burst, r.Limit, w)
			}
		}
	}
	return nil
}

func randomRule(r *rand.Rand, a ratelimit.Algorithm) ratelimit.Rule {
	rule := ratelimit.Rule{Algorithm: a, Limit: 1 + r.IntN(12), Window: time.Duration(1+r.IntN(3000)) * time.Millisecond}
	if a == ratelimit.TokenBucket || a == ratelimit.GCRA {
		rule.Burst = 1 + r.IntN(2*rule.Limit)
	}
	return rule
}

// randomRules is one rule or several, of the log or of the other algorithms.
func randomRules(r *rand.Rand) (rules []ratelimit.Rule) {
	a := ratelimit.Algorithm(r.IntN(5))
	rules = append(rules, randomRule(r, a))
	for r.IntN(3) == 0 {
		next := a
		if a != ratelimit.SlidingLog {
			next = ratelimit.SlidingCounter + ratelimit.Algorithm(r.IntN(4))
		}
		rules = append(rules, randomRule(r, next))
	}
	return rules
}

// schedule drives two limiters, as two processes would, over one store whose clock jumps.
type schedule struct {
	testing.TB
	st       storetest.Clocked
	now      func() time.Time
	r        *rand.Rand
	seed     uint64
	rules    []ratelimit.Rule
	limiters [2]*ratelimit.Limiter
	most     int
	books    map[string][]history // by id, then rule
	prefix   string
	until    map[string]time.Time // blocks
	changed  map[string]bool      // by a block or a refund, since the clock was set back
	high     time.Time            // the latest that the clock was
}

func (s *schedule) fail(step int, format string, args ...any) {
	s.Helper()
	s.Fatalf("LARDER_SEED=%d step %d of %+v: %s", s.seed, step, s.rules, fmt.Sprintf(format, args...))
}

func (s *schedule) advance(d time.Duration) {
	s.st.Advance(d)
	if s.now().After(s.high) {
		s.high = s.now()
	}
	if d > 0 {
		return
	}
	s.until = map[string]time.Time{}
	defer clear(s.changed)
	for id, book := range s.books {
		if gone := s.st.Do(s.Context(), "EXISTS", s.prefix+id).String() == "(integer) 0"; gone || s.changed[id] {
			clear(book) // at the time ahead it had expired, or may have when it was blocked
		}
		for i, rule := range s.rules {
			if s.high.UnixMilli()-s.now().UnixMilli() > believed(rule) {
				book[i] = nil // the limiter may begin anew
			}
		}
	}
}

func (s *schedule) step(i int) {
	longest := s.rules[0].Window
	switch s.r.IntN(40) {
	case 0:
		s.advance(-time.Duration(s.r.Int64N(int64(2 * longest))).Truncate(time.Millisecond)) // a failover to a clock behind
	case 1:
		s.advance(time.Duration(s.r.Int64N(int64(4 * longest))))
	default:
		s.advance(time.Duration(s.r.Int64N(int64(longest)/20 + 2)))
	}
	id := string("ab"[s.r.IntN(2)])
	l := s.limiters[s.r.IntN(2)]
	ctx := s.Context()
	switch s.r.IntN(30) {
	case 0:
		s.changed[id] = true
		n := 1 + s.r.IntN(s.most)
		if err := l.Refund(ctx, id, n); err != nil {
			s.fail(i, "refund: %v", err)
		}
		for j := range s.rules {
			s.books[id][j] = s.books[id][j].refund(n)
		}
		if s.now().Before(s.high) {
			clear(s.books[id]) // what is given back is the memory of how far the clock had come
		}
		return
	case 1:
		s.changed[id] = true
		d := time.Duration(s.r.IntN(500)) * time.Millisecond
		if err := l.Block(ctx, id, d); err != nil {
			s.fail(i, "block: %v", err)
		}
		s.until[id] = s.now().Add(d)
		return
	}
	cost := 1 + s.r.IntN(s.most)/(1+s.r.IntN(s.most))
	before, err := l.Decide(ctx, ratelimit.Request{ID: id, Cost: cost, Peek: true})
	if err != nil {
		s.fail(i, "peek: %v", err)
	}
	res, err := l.AllowN(ctx, id, cost)
	if err != nil || res.Allowed != before.Allowed || !res.Allowed && (res.RetryAfter != before.RetryAfter || res.Remaining != before.Remaining) {
		s.fail(i, "%+v, %v after a peek told %+v", res, err, before)
	}
	blocked := s.now().Truncate(time.Millisecond).Before(s.until[id].Truncate(time.Millisecond))
	if blocked && (res.Allowed || !res.Blocked) {
		s.fail(i, "passed during a block: %+v", res)
	}
	if !res.Allowed {
		s.waits(i, l, id, cost, res)
		return
	}
	s.count(i, id, cost)
}

func (s *schedule) count(i int, id string, cost int) {
	for j, rule := range s.rules {
		s.books[id][j] = s.books[id][j].add(s.now().UnixMilli(), cost)
		if err := s.books[id][j].check(rule); err != nil {
			s.fail(i, "id %s, rule %d: %v", id, j, err)
		}
	}
}

// waits sometimes finds out whether RetryAfter was right to the millisecond.
func (s *schedule) waits(i int, l *ratelimit.Limiter, id string, cost int, res ratelimit.Result) {
	if res.RetryAfter <= 0 {
		s.fail(i, "denied, and RetryAfter is %v", res.RetryAfter)
	}
	if s.r.IntN(4) != 0 || s.now().Before(s.high) { // the memory of a time ahead may come into sight meanwhile
		return
	}
	s.advance(res.RetryAfter - time.Millisecond - s.now().Sub(s.now().Truncate(time.Millisecond)))
	if early, err := l.AllowN(s.Context(), id, cost); err != nil || early.Allowed {
		s.fail(i, "a millisecond before RetryAfter of %v: %+v, %v", res.RetryAfter, early, err)
	}
	s.advance(time.Millisecond)
	after, err := l.AllowN(s.Context(), id, cost)
	if err != nil || !after.Allowed {
		s.fail(i, "after RetryAfter of %v: %+v, %v", res.RetryAfter, after, err)
	}
	s.count(i, id, cost)
}

// TestNeverMoreThanItsLimit holds every algorithm to its promise under random schedules.
func TestNeverMoreThanItsLimit(t *testing.T) {
	db := fleet.NewClocked(t)
	mem := storetest.NewMemory()
	for round, seed := range storetest.Seeds(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := &schedule{TB: t, r: r, seed: seed, rules: randomRules(r), most: 1 << 30, books: map[string][]history{}, prefix: fmt.Sprint("p", seed, ":"), until: map[string]time.Time{}, changed: map[string]bool{}}
		s.st, s.now = mem, mem.Now
		if round%2 == 0 {
			s.st, s.now = db, db.Now
		}
		for _, rule := range s.rules {
			s.most = min(s.most, rule.Limit)
			if rule.Burst > 0 {
				s.most = min(s.most, rule.Burst)
			}
		}
		for i := range s.limiters {
			s.limiters[i] = limiter(t, s.st, ratelimit.Options{Rules: s.rules, Prefix: s.prefix})
		}
		s.books["a"], s.books["b"] = make([]history, len(s.rules)), make([]history, len(s.rules))
		for i := range 200 {
			s.step(i)
		}
	}
}
