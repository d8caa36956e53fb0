package queue

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// The Go bodies follow the Lua ones line by line; what is to be known about them stands there.

// step is a script at work. After a command has failed it runs no others, as redis.call raises an error.
type step struct {
	tx   store.Tx
	keys []string
	now  int64 // ms
	most int64 // jobs of one key that may be held together
	err  error

	words   []string // of the command at hand
	longest int      // of words so far
	jobs    []arrival
	records []string // of HSET jobs: id, record
	scores  []string // of ZADD ready: score, id
}

// steps are for use again, with their slices.
var steps = sync.Pool{New: func() any { return new(step) }}

var (
	bad  = store.Fail(store.ServerError(badCall))
	late = store.Fail(store.ServerError(tooLate))
)

// newStep begins a script; reply ends it.
func newStep(tx store.Tx, keys []string) *step {
	s, _ := steps.Get().(*step)
	s.tx, s.keys, s.now = tx, keys, tx.Now().UnixMilli()
	return s
}

// do runs a command on the key with that number.
func (s *step) do(name string, key int, args ...string) store.Reply {
	if s.err != nil {
		return store.Nil()
	}
	s.words = append(append(s.words[:0], name, s.keys[key]), args...)
	s.longest = max(s.longest, len(s.words))
	r := s.tx.Do(s.words...)
	if err := r.Err(); err != nil {
		s.err = err
		return store.Nil()
	}
	return r
}

// text is a reply that is a string or nil.
func (s *step) text(r store.Reply) (string, bool) {
	if s.err != nil {
		return "", false
	}
	t, ok, err := r.Lookup()
	if err != nil {
		s.err = err
	}
	return t, ok
}

func (s *step) int(r store.Reply) int64 {
	if s.err != nil || r.IsNil() {
		return 0
	}
	n, err := r.Int64()
	if err != nil {
		s.err = err
	}
	return n
}

func (s *step) list(r store.Reply) []string {
	if s.err != nil || r.IsNil() {
		return nil
	}
	l, err := r.Strings()
	if err != nil {
		s.err = err
	}
	return l
}

// elems are a reply's elements; none of nil.
func (s *step) elems(r store.Reply) []store.Reply {
	if s.err != nil || r.IsNil() {
		return nil
	}
	l, err := r.Array()
	if err != nil {
		s.err = err
	}
	return l
}

// score is a reply that is a score or nil. Those of a queue are whole numbers.
func (s *step) score(r store.Reply) (int64, bool) {
	t, ok := s.text(r)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil {
		s.err = store.ServerError(badCall)
	}
	return int64(f), true
}

// reply ends the script with r, or with why it came to nothing.
func (s *step) reply(r store.Reply) store.Reply {
	if s.err != nil {
		r = store.Fail(s.err)
	}
	clear(s.words[:s.longest])
	clear(s.jobs)
	clear(s.records)
	clear(s.scores)
	*s = step{words: s.words[:0], jobs: s.jobs[:0], records: s.records[:0], scores: s.scores[:0]}
	if cap(s.words) <= keepWords {
		steps.Put(s)
	}
	return r
}

// keepWords bounds the words of a step that is used again: those of HSET for a whole batch.
const keepWords = 2 + 2*mostBatch

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// number reads times and counts.
func number(s string) (int64, bool) {
	return store.Digits(s, maxDigits)
}

// zero is a number, or 0.
func zero(s string) int64 {
	n, _ := number(s)
	return n
}

// ident reads an id.
func ident(s string) (int64, bool) {
	n, ok := store.Positive(s, 16)
	return n, ok && n < level
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (s *step) wake() {
	if s.int(s.do("LLEN", kWake)) == 0 {
		s.do("RPUSH", kWake, "1")
	}
}

// place is a job's score among those that are ready.
func (s *step) place(id string, p int) string {
	n, ok := ident(id)
	if !ok && s.err == nil {
		s.err = store.ServerError(badCall)
	}
	return itoa(int64(p)*level + n)
}

func (s *step) ready(id string, p int) {
	at := s.place(id, p)
	s.do("ZADD", kReady, at, id)
}

// first is the score of the delayed job that is due first.
func (s *step) first() (score int64, ok bool) {
	l := s.list(s.do("ZRANGE", kDelayed, "0", "0", "WITHSCORES"))
	if len(l) != 2 {
		return 0, false
	}
	return s.score(store.Bulk(l[1]))
}

func (s *step) delay(id string, p int, at int64) {
	first, ok := s.first()
	score := at*dueStep + int64(p)
	s.do("ZADD", kDelayed, itoa(score), id)
	if !ok || score < first {
		s.wake()
	}
}

// lock is what "unique" says of a key.
type lock struct {
	state  byte // L, F, or 0 for none
	expiry int64
	owner  string
}

func (s *step) lock(unique string) lock {
	have, ok := s.text(s.do("HGET", kUnique, unique))
	if !ok || have == "" || have[0] != 'L' && have[0] != 'F' {
		return lock{}
	}
	expiry, owner, ok := strings.Cut(have[1:], ":")
	if !ok || !digits(expiry) || !digits(owner) {
		return lock{}
	}
	return lock{have[0], zero(expiry), owner}
}

func lockText(state byte, expiry int64, owner string) string {
	return string(state) + itoa(expiry) + ":" + owner
}

// arrival is a job of a call of enqueue.
type arrival struct {
	record string
	h      header
	at     int64
	hold   int64 // -1: none
}

// arrivals reads the jobs of a call.
func (s *step) arrivals(args []string) (ok bool) {
	for i := 0; i < len(args); i += 3 {
		h, _, ok := parseHeader(args[i+2])
		if !ok {
			return false
		}
		j := arrival{record: args[i+2], h: h, hold: -1}
		if when := args[i]; when != "" {
			ms, after := strings.CutPrefix(when, "+")
			if j.at, ok = number(ms); !ok {
				return false
			}
			if after {
				j.at += s.now
			}
		}
		if hold := args[i+1]; hold != "" {
			if j.hold, ok = number(hold); !ok || h.unique == "" {
				return false
			}
		} else if h.unique != "" {
			return false
		}
		s.jobs = append(s.jobs, j)
	}
	return true
}

// add is addLua's.
func (s *step) add(args []string) (ids []store.Reply, ok bool) {
	if !s.arrivals(args) {
		return nil, false
	}
	newest, _ := s.text(s.do("HGET", kMeta, "id"))
	last, _ := strconv.ParseInt(newest, 10, 64)
	last = max(last, (s.now-epoch)*perMilli-1)
	first := last
	ids = make([]store.Reply, len(s.jobs))
	for i := range s.jobs {
		j := &s.jobs[i]
		if j.hold >= 0 {
			if l := s.lock(j.h.unique); l.state == 'L' || l.expiry > s.now {
				ids[i] = store.Bulk("=" + l.owner)
				continue
			}
		}
		last++
		id := itoa(last)
		ids[i] = store.Bulk(id)
		if j.hold >= 0 {
			expiry := int64(0)
			if j.hold > 0 {
				expiry = s.now + j.hold
			}
			s.do("HSET", kUnique, j.h.unique, lockText('L', expiry, id))
		}
		s.records = append(s.records, id, j.record)
		if j.at > s.now {
			s.delay(id, j.h.priority, j.at)
		} else {
			s.scores = append(s.scores, itoa(int64(j.h.priority)*level+last), id)
		}
	}
	if last > first {
		s.do("HSET", kMeta, "id", itoa(last))
		s.do("HSET", kJobs, s.records...)
	}
	if len(s.scores) > 0 {
		s.do("ZADD", kReady, s.scores...)
		s.wake()
	}
	return ids, true
}

func enqueueBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != enqueueKeys || len(args) == 0 || len(args)%3 != 0 || len(args) > 3*mostBatch {
		return bad
	}
	s := newStep(tx, keys)
	ids, ok := s.add(args)
	if !ok {
		return s.reply(bad)
	}
	return s.reply(store.ArrayOf(ids...))
}

func tickBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != enqueueKeys || len(args) != 5 {
		return bad
	}
	tick, ok := number(args[1])
	if !ok {
		return bad
	}
	s := newStep(tx, keys)
	field := "cron:" + args[0]
	if text, ok := s.text(s.do("HGET", kMeta, field)); ok && zero(text) >= tick {
		return s.reply(store.ArrayOf(store.Int(0), store.Int(zero(text))))
	}
	if tick > s.now {
		return s.reply(store.ArrayOf(store.Int(-1), store.Int(tick-s.now)))
	}
	ids, ok := s.add(args[2:])
	if !ok {
		return s.reply(bad)
	}
	s.do("HSET", kMeta, field, args[1])
	return s.reply(store.ArrayOf(store.Int(1), ids[0]))
}

func noteBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 2 || len(args) != 3 {
		return bad
	}
	s := newStep(tx, keys)
	if owner, ok := s.text(s.do("HGET", 0, args[0])); !ok || owner != args[1] {
		return s.reply(store.Int(0))
	}
	s.do("HSET", 1, args[0], args[2])
	return s.reply(store.Int(1))
}

func lookBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) != 1 {
		return bad
	}
	s := newStep(tx, keys)
	record, ok := s.text(s.do("HGET", kJobs, args[0]))
	if !ok {
		return s.reply(store.Nil())
	}
	state, at := "parked", ""
	if s.int(s.do("HEXISTS", kHeld, args[0])) == 1 {
		state = "active"
	} else {
		for _, of := range []int{kReady, kDelayed, kDead, kDone} {
			if score, ok := s.text(s.do("ZSCORE", of, args[0])); ok {
				state, at = keyNames[of], score
			}
		}
	}
	notes, _ := s.text(s.do("HGET", kNotes, args[0]))
	output, _ := s.text(s.do("HGET", kOutput, args[0]))
	return s.reply(store.ArrayOf(store.Bulk(record), store.Bulk(notes), store.Bulk(output), store.Bulk(state), store.Bulk(at)))
}

// ms is a duration for a script: whole milliseconds, never shorter than asked.
func ms(d time.Duration) string { return itoa(store.Millis(d)) }
