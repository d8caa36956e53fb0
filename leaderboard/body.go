package leaderboard

import (
	"math"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// The Go bodies. What they do, their keys, arguments and replies stand in script.go, with the Lua bodies.

// MaxScore is the largest score, and -MaxScore the smallest: 2^53 - 1, as sorted sets keep scores in float64.
const MaxScore = 1<<53 - 1

const (
	stampLen  = 6  // bytes
	maxDigits = 15 // of numbers without a sign

	// An update finds out with one PTTL that a board lives long enough, where a PEXPIRE of each of its keys would write, to
	// replicas and the journal too. So a board lives up to 1/slackPart of its TTL longer than asked for, a season slackFixed ms.
	slackPart  = 64
	slackFixed = 1000
)

var (
	badReply    = store.Fail(store.ServerError(badCall))
	brokenReply = store.Fail(store.ServerError(notOurs))
	rangeReply  = store.Fail(store.ServerError(tooLarge))
)

// lists is a board as a body sees it.
type lists struct {
	s, t, n, d        string // keys
	ties, dense, data bool
	kind              byte // of rank: o, c, n
}

// read takes a board's keys and flags; false if they are malformed.
func (l *lists) read(keys []string, flags string) bool {
	l.s, l.t, l.n, l.d = keys[0], keys[1], keys[2], keys[3]
	rest := flags
	take := func(c byte) bool {
		if rest != "" && rest[0] == c {
			rest = rest[1:]
			return true
		}
		return false
	}
	l.ties, l.dense, l.data = take('t'), take('n'), take('d')
	if !take(':') || len(rest) != 1 {
		return false
	}
	l.kind = rest[0]
	return l.kind == 'o' || l.kind == 'c' || l.kind == 'n' && l.dense
}

// typed fails unless the keys in use have their types; of the stamps' only if asked.
func (l *lists) typed(tx store.Tx, stamps bool) (size int64, r store.Reply) {
	size, err := tx.Do("ZCARD", l.s).Int64()
	if err != nil {
		return 0, store.Fail(err)
	}
	if l.ties && stamps {
		if r := tx.Do("HLEN", l.t); r.Err() != nil {
			return 0, r
		}
	}
	if l.dense {
		if r := tx.Do("ZCARD", l.n); r.Err() != nil {
			return 0, r
		}
	}
	if l.data {
		if r := tx.Do("HLEN", l.d); r.Err() != nil {
			return 0, r
		}
	}
	return size, store.Nil()
}

// place is a member's stamp, and its score as the store spells it; ok is false if it is not on the board.
func (l *lists) place(tx store.Tx, member string) (stamp, score string, ok bool, err error) {
	if l.ties {
		if stamp, ok, err = tx.Do("HGET", l.t, member).Lookup(); err != nil || !ok {
			return "", "", false, err
		}
	}
	score, ok, err = tx.Do("ZSCORE", l.s, stamp+member).Lookup()
	return stamp, score, ok, err
}

// rank is that of an entry with a score.
func (l *lists) rank(tx store.Tx, kind byte, entry, score string) (int64, error) {
	var r store.Reply
	switch kind {
	case 'c':
		r = tx.Do("ZCOUNT", l.s, "-inf", "("+score)
	case 'n':
		r = tx.Do("ZCOUNT", l.n, "-inf", "("+score)
	default:
		if r = tx.Do("ZRANK", l.s, entry); r.IsNil() {
			return 0, nil
		}
	}
	n, err := r.Int64()
	return n + 1, err
}

func (l *lists) leave(tx store.Tx, score string) error {
	n, err := tx.Do("ZCOUNT", l.s, score, score).Int64()
	if err == nil && n == 0 {
		err = tx.Do("ZREM", l.n, score).Err()
	}
	return err
}

func (l *lists) drop(tx store.Tx, entry, member, score string) error {
	err := tx.Do("ZREM", l.s, entry).Err()
	if err == nil && l.ties {
		err = tx.Do("HDEL", l.t, member).Err()
	}
	if err == nil && l.dense {
		err = l.leave(tx, score)
	}
	if err == nil && l.data {
		err = tx.Do("HDEL", l.d, member).Err()
	}
	return err
}

// name is the member of an entry.
func (l *lists) name(entry string) string {
	if l.ties {
		return entry[min(stampLen, len(entry)):]
	}
	return entry
}

// target is a board of an update.
type target struct {
	lists
	ttl, at, from, till, most int64
	size                      int64
	fresh                     bool  // one of its keys is not there yet, or was not
	count                     int64 // stamps given; -1 while nobody asked
}

// cell is a member of a board, and what a batch makes of it.
type cell struct {
	o          *target
	member     string
	stamp      string
	was, score int64
	had, has   bool   // was and score mean something
	last       int    // the update that changed it last
	data       string // to store; empty for none
}

// batch is an update while it runs.
type batch struct {
	tx    store.Tx
	ranks bool
	now   int64
	board []target
	args  []string // of the updates
	cells []*cell  // per update
	out   []store.Reply
}

func update(tx store.Tx, keys, args []string) store.Reply {
	b := batch{tx: tx, now: tx.Now().UnixMilli()}
	if r, ok := b.open(keys, args); !ok {
		return r
	}
	if r, ok := b.decide(); !ok {
		return r
	}
	if err := b.write(); err != nil {
		return store.Fail(err)
	}
	if b.ranks {
		if err := b.rankAll(); err != nil {
			return store.Fail(err)
		}
	}
	return store.ArrayOf(b.out...)
}

// open reads the boards.
func (b *batch) open(keys, args []string) (store.Reply, bool) {
	boards := len(keys) / keysPerBoard
	updates := (len(args) - 1 - boards) / argsPerUpdate
	if boards < 1 || len(keys)%keysPerBoard != 0 || updates < 1 || len(args) != 1+boards+updates*argsPerUpdate {
		return badReply, false
	}
	b.board = make([]target, boards)
	for i := range b.board {
		if r, ok := b.openBoard(&b.board[i], keys[keysPerBoard*i:], args[1+i]); !ok {
			return r, false
		}
	}
	b.ranks, b.args = args[0] == "r", args[1+boards:]
	b.cells, b.out = make([]*cell, 0, updates), make([]store.Reply, 1, 1+3*updates)
	b.out[0] = flag(b.board[0].size == 0)
	return store.Reply{}, true
}

func (b *batch) openBoard(o *target, keys []string, head string) (store.Reply, bool) {
	flags, rest, _ := strings.Cut(head, " ")
	for _, to := range [...]*int64{&o.ttl, &o.at, &o.from, &o.till} {
		var word string
		var ok bool
		word, rest, _ = strings.Cut(rest, " ")
		if *to, ok = store.Digits(word, maxDigits); !ok {
			return badReply, false
		}
	}
	var ok bool
	if o.most, ok = store.Digits(rest, maxDigits); !ok || !o.read(keys, flags) {
		return badReply, false
	}
	if b.now < o.from || o.till > 0 && b.now >= o.till {
		return notNow(b.now), false
	}
	o.count = -1
	for i, part := range [...]struct{ length, key string }{{"ZCARD", o.s}, {"ZCARD", o.n}, {"HLEN", o.d}} {
		if i == 1 && !o.dense || i == 2 && !o.data {
			continue
		}
		n, err := b.tx.Do(part.length, part.key).Int64()
		if err != nil {
			return store.Fail(err), false
		}
		if i == 0 {
			o.size = n
		}
		o.fresh = o.fresh || n == 0
	}
	return store.Reply{}, true
}

func notNow(now int64) store.Reply {
	return store.ArrayOf(store.Bulk("now"), store.Int(now))
}

// decide works out every update and writes nothing.
func (b *batch) decide() (store.Reply, bool) {
	type id struct {
		board  int64
		member string
	}
	var known map[id]*cell
	if len(b.args) > argsPerUpdate {
		known = make(map[id]*cell, len(b.args)/argsPerUpdate)
	}
	for a := 0; a < len(b.args); a += argsPerUpdate {
		board, ok := store.Positive(b.args[a], maxDigits)
		how, member := b.args[a+1], b.args[a+2]
		value, valid := integer(b.args[a+3])
		if !ok || !valid || board > int64(len(b.board)) || member == "" || how != "+" && how != "=" && how != "<" {
			return badReply, false
		}
		c := known[id{board, member}]
		if c == nil {
			var r store.Reply
			if c, r = b.find(&b.board[board-1], member); c == nil {
				return r, false
			}
			if known != nil {
				known[id{board, member}] = c
			}
		}
		changed, ok := c.apply(how, value, a)
		if !ok {
			return rangeReply, false
		}
		if c.o.data && b.args[a+4] != "" {
			c.data = b.args[a+4]
		}
		b.cells = append(b.cells, c)
		b.out = append(b.out, flag(changed), store.Int(c.score), store.Int(0))
	}
	return store.Reply{}, true
}

func (b *batch) find(o *target, member string) (*cell, store.Reply) {
	c := &cell{o: o, member: member, last: -1}
	there := true
	if o.ties {
		got, err := b.tx.Do("HMGET", o.t, "", member).Array()
		if err != nil {
			return nil, store.Fail(err)
		}
		if o.count < 0 && !o.counted(got[0]) {
			return nil, brokenReply
		}
		c.stamp, there, _ = got[1].Lookup()
	}
	if !there {
		return c, store.Reply{}
	}
	score, ok, err := b.tx.Do("ZSCORE", o.s, c.stamp+member).Lookup()
	if err != nil {
		return nil, store.Fail(err)
	}
	if ok {
		if c.was, ok = whole(score); !ok {
			return nil, brokenReply
		}
		c.score, c.had, c.has = c.was, true, true
	}
	return c, store.Reply{}
}

// counted reads the board's counter, 0 if there is none yet.
func (o *target) counted(r store.Reply) (ok bool) {
	s, there, _ := r.Lookup()
	if !there {
		o.count, o.fresh = 0, true
		return true
	}
	o.count, ok = store.Digits(s, maxDigits)
	return ok
}

// apply is one update of a cell; false if the score would leave its range.
func (c *cell) apply(how string, value int64, a int) (changed, ok bool) {
	score := value
	switch {
	case how == "+":
		score += c.score // both below 2^53
	case how == "<" && c.has && c.score <= value:
		score = c.score
	}
	if score > MaxScore || score < -MaxScore {
		return false, false
	}
	if changed = !c.has || score != c.score; changed {
		c.score, c.has, c.last = score, true, a
	}
	return changed, true
}

// write stores what decide found, keeps the boards' bounds, and lets their TTLs begin.
func (b *batch) write() error {
	for i, c := range b.cells {
		if c.last == i*argsPerUpdate && (!c.had || c.score != c.was) {
			if err := b.store(c); err != nil {
				return err
			}
		}
		if c.data != "" {
			if err := b.tx.Do("HSET", c.o.d, c.member, c.data).Err(); err != nil {
				return err
			}
			c.data = ""
		}
	}
	for i := range b.board {
		o := &b.board[i]
		if err := b.trim(o); err != nil {
			return err
		}
		if err := b.expire(o); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) store(c *cell) error {
	o, tx, score := c.o, b.tx, strconv.FormatInt(c.score, 10)
	if o.ties {
		if c.had {
			if err := tx.Do("ZREM", o.s, c.stamp+c.member).Err(); err != nil {
				return err
			}
		}
		o.count++
		n := o.count
		c.stamp = string([]byte{byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		if err := tx.Do("HSET", o.t, c.member, c.stamp, "", strconv.FormatInt(n, 10)).Err(); err != nil {
			return err
		}
	}
	if err := tx.Do("ZADD", o.s, score, c.stamp+c.member).Err(); err != nil || !o.dense {
		return err
	}
	if c.had {
		if err := o.leave(tx, strconv.FormatInt(c.was, 10)); err != nil {
			return err
		}
	}
	return tx.Do("ZADD", o.n, score, score).Err()
}

// trim drops the worst members of a board that has too many.
func (b *batch) trim(o *target) error {
	if o.most == 0 {
		return nil
	}
	size, err := b.tx.Do("ZCARD", o.s).Int64()
	if err != nil || size <= o.most {
		return err
	}
	worst, err := b.tx.Do("ZRANGE", o.s, strconv.FormatInt(max(o.most-size, -trimmed), 10), "-1", "WITHSCORES").Strings()
	for i := 0; i+1 < len(worst) && err == nil; i += 2 {
		err = o.drop(b.tx, worst[i], o.name(worst[i]), worst[i+1])
	}
	return err
}

// expire lets a board's time begin anew. It gives a little more than is asked for, so that only one update in many writes
// it: see slackPart.
func (b *batch) expire(o *target) error {
	if o.ttl == 0 && o.at == 0 {
		return nil
	}
	want, slack := o.ttl, o.ttl/slackPart
	if o.at > 0 {
		want, slack = o.at-b.now, slackFixed
	}
	left, err := b.tx.Do("PTTL", o.s).Int64()
	if err != nil || !o.fresh && left >= want && left <= want+2*slack {
		return err
	}
	ms := strconv.FormatInt(want+slack, 10)
	for i, key := range [...]string{o.s, o.t, o.n, o.d} {
		if i == 1 && o.count < 0 || i == 2 && !o.dense || i == 3 && !o.data {
			continue
		}
		if err := b.tx.Do("PEXPIRE", key, ms).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) rankAll() error {
	for i, c := range b.cells {
		entry := c.stamp + c.member
		if c.o.most > 0 {
			have := b.tx.Do("ZSCORE", c.o.s, entry)
			if have.IsNil() {
				continue // trimmed
			}
			if err := have.Err(); err != nil {
				return err
			}
		}
		n, err := c.o.rank(b.tx, c.o.kind, entry, strconv.FormatInt(c.score, 10))
		if err != nil {
			return err
		}
		b.out[3+3*i] = store.Int(n)
	}
	return nil
}

func flag(b bool) store.Reply {
	if b {
		return store.Int(1)
	}
	return store.Int(0)
}

// integer reads a score: decimal digits, perhaps a minus.
func integer(s string) (n int64, ok bool) {
	if len(s) > 17 || s == "" || s[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= MaxScore && n >= -MaxScore
}

// whole is a score as the store spells it; false if it cannot be one of ours.
func whole(s string) (int64, bool) {
	if n, ok := integer(s); ok {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > MaxScore {
		return 0, false
	}
	return int64(f), true
}
