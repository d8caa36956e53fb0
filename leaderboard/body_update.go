package leaderboard

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

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
