package session

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

// The Go bodies. What they do, their keys, arguments and replies stand in script.go, with the Lua bodies.

// maxArgs bounds what a script has to unpack: Lua takes some 8000 words. Requests at the same time can make a session of
// more than maxFields.
const maxArgs = 6*maxFields + 16

var (
	badReply    = store.Fail(store.ServerError(badCall))
	brokenReply = store.Fail(store.ServerError(notOurs))
	takenReply  = store.Fail(store.ServerError(taken))
)

func load(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 2 {
		return badReply
	}
	idle, ok1 := store.Digits(args[0], maxDigits)
	touch, ok2 := store.Digits(args[1], maxDigits)
	if !ok1 || !ok2 {
		return badReply
	}
	fields := tx.Do("HGETALL", keys[0])
	all, err := fields.Array()
	if err != nil {
		return store.Fail(err)
	}
	if len(all) == 0 {
		return store.Nil()
	}
	h := headOf(all)
	now := tx.Now().UnixMilli()
	if !h.why.IsNil() {
		if until, ok := stamped(h.grace); !h.heir.IsNil() && ok && until > now {
			return store.ArrayOf(store.Bulk("n"), h.heir)
		}
		return store.ArrayOf(store.Bulk("x"), h.why)
	}
	seen, ok1 := stamped(h.seen)
	end, ok2 := stamped(h.end)
	switch {
	case !ok1 || !ok2:
		return brokenReply
	case end <= now || now-seen >= idle:
		return store.Nil()
	}
	stamp := strconv.FormatInt(now, 10)
	if now-seen >= touch {
		if r := tx.Do("HSET", keys[0], "s", stamp); r.Err() != nil {
			return r
		}
		if r := tx.Do("PEXPIRE", keys[0], strconv.FormatInt(min(idle, end-now), 10)); r.Err() != nil {
			return r
		}
	}
	return store.ArrayOf(store.Bulk("s"), store.Bulk(stamp), fields)
}

// head is the one-letter fields that decide whether a session lives, nil where absent.
type head struct{ seen, end, why, heir, grace store.Reply }

func headOf(all []store.Reply) (h head) {
	for i := 0; i+1 < len(all); i += 2 {
		switch name, _ := all[i].Text(); name {
		case "s":
			h.seen = all[i+1]
		case "d":
			h.end = all[i+1]
		case "x":
			h.why = all[i+1]
		case "n":
			h.heir = all[i+1]
		case "g":
			h.grace = all[i+1]
		}
	}
	return h
}

// stamped reads a time in ms.
func stamped(r store.Reply) (int64, bool) {
	s, _ := r.Text()
	return store.Digits(s, maxDigits)
}

func create(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(keys) > 2 || len(args) < 6 || len(args)%2 != 0 || len(args) > maxArgs || (len(keys) == 2) != (args[3] != "") {
		return badReply
	}
	idle, ok1 := store.Digits(args[0], maxDigits)
	life, ok2 := store.Digits(args[1], maxDigits)
	if !ok1 || !ok2 {
		return badReply
	}
	if r := vacant(tx, keys[0], keys[1:]); r.Err() != nil {
		return r
	}
	now := tx.Now().UnixMilli()
	stamp, end := strconv.FormatInt(now, 10), strconv.FormatInt(now+life, 10)
	words := make([]string, 0, 16+len(args)-6)
	words = append(words, "HSET", keys[0], "c", stamp, "d", end, "s", stamp, "r", stamp)
	for i, name := range [...]string{"u", "a", "i"} {
		if args[3+i] != "" {
			words = append(words, name, args[3+i])
		}
	}
	if r := tx.Do(append(words, args[6:]...)...); r.Err() != nil {
		return r
	}
	if r := tx.Do("PEXPIRE", keys[0], strconv.FormatInt(min(idle, life), 10)); r.Err() != nil {
		return r
	}
	if len(keys) == 2 {
		if r := enlist(tx, keys[1], args[2], stamp, end, life); r.Err() != nil {
			return r
		}
	}
	return store.Int(now)
}

// vacant fails unless a place is free and what should be a list of sessions can be one.
func vacant(tx store.Tx, key string, index []string) store.Reply {
	n, err := tx.Do("EXISTS", key).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if n != 0 {
		return takenReply
	}
	return isList(tx, index)
}

func isList(tx store.Tx, index []string) store.Reply {
	if len(index) == 0 {
		return store.Nil()
	}
	return tx.Do("ZCARD", index[0])
}

func enlist(tx store.Tx, index, member, stamp, end string, life int64) store.Reply {
	if r := tx.Do("ZREMRANGEBYSCORE", index, "-inf", stamp); r.Err() != nil {
		return r
	}
	if r := tx.Do("ZADD", index, end, member); r.Err() != nil {
		return r
	}
	ttl, err := tx.Do("PTTL", index).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if ttl < life {
		return tx.Do("PEXPIRE", index, strconv.FormatInt(life, 10))
	}
	return store.Nil()
}

func patch(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) < 1 || len(args) > maxArgs {
		return badReply
	}
	n, ok := pairs(args)
	if !ok {
		return badReply
	}
	there, err := tx.Do("HEXISTS", keys[0], "d").Int64() // its TTL ends it in time: no need to look at the clock
	if err != nil {
		return store.Fail(err)
	}
	if there == 0 {
		return successor(tx, keys[0])
	}
	if r := change(tx, keys[0], args, n); r.Err() != nil {
		return r
	}
	return store.Int(1)
}

// successor is patch's answer where no session is: the id that took its place, within the grace.
func successor(tx store.Tx, key string) store.Reply {
	l, err := tx.Do("HMGET", key, "n", "g").Array()
	if err != nil {
		return store.Fail(err)
	}
	if until, ok := stamped(l[1]); ok && until > tx.Now().UnixMilli() && !l[0].IsNil() {
		if heir, _ := l[0].Text(); heir != "" {
			return l[0]
		}
	}
	return store.Int(0)
}

// pairs reads the number in front of pairs, and checks that so many are there.
func pairs(args []string) (n int, ok bool) {
	v, ok := store.Digits(args[0], maxDigits)
	if !ok || v > maxArgs || len(args) < 1+2*int(v) {
		return 0, false
	}
	return int(v), true
}

// change does what args say: their number n, pairs to set, fields to remove.
func change(tx store.Tx, key string, args []string, n int) store.Reply {
	sets, gone := args[1:1+2*n], args[1+2*n:]
	if len(sets) > 0 {
		if r := tx.Do(append([]string{"HSET", key}, sets...)...); r.Err() != nil {
			return r
		}
	}
	if len(gone) > 0 {
		return tx.Do(append([]string{"HDEL", key}, gone...)...)
	}
	return store.Nil()
}

// life is what lies at a session's key.
type life struct {
	alive  bool   // a session, whose end has not come
	end    int64  // when it must end
	heir   string // of one that ended: the id in its place, if any
	graced bool   // its token still leads to the heir
}

func living(tx store.Tx, key string) (l life, err error) {
	list, err := tx.Do("HMGET", key, "d", "x", "n", "g").Array()
	if err != nil {
		return l, err
	}
	now := tx.Now().UnixMilli()
	if !list[1].IsNil() {
		l.heir, _ = list[2].Text()
		until, ok := stamped(list[3])
		l.graced = l.heir != "" && ok && until > now
		return l, nil
	}
	var ok bool
	l.end, ok = stamped(list[0])
	l.alive = ok && l.end > now
	return l, nil
}

func bury(tx store.Tx, key string, ttl int64, why, heir string, grace int64) store.Reply {
	if r := tx.Do("DEL", key); r.Err() != nil {
		return r
	}
	words := []string{"HSET", key, "x", why}
	if heir != "" {
		words = append(words, "n", heir)
	}
	if grace > 0 {
		words = append(words, "g", strconv.FormatInt(tx.Now().UnixMilli()+grace, 10))
	}
	if r := tx.Do(words...); r.Err() != nil {
		return r
	}
	return tx.Do("PEXPIRE", key, strconv.FormatInt(max(ttl, grace), 10))
}

func rotate(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 2 || len(keys) > 3 || len(args) < 5 || len(args) > maxArgs {
		return badReply
	}
	grace, ok1 := store.Digits(args[0], maxDigits)
	tomb, ok2 := store.Digits(args[1], maxDigits)
	n, ok3 := pairs(args[4:])
	if !ok1 || !ok2 || !ok3 {
		return badReply
	}
	if r := vacant(tx, keys[1], keys[2:]); r.Err() != nil {
		return r
	}
	l, err := living(tx, keys[0])
	switch {
	case err != nil:
		return store.Fail(err)
	case l.graced:
		return store.Bulk(l.heir)
	case !l.alive:
		return store.Int(0)
	}
	if r := change(tx, keys[0], args[4:], n); r.Err() != nil {
		return r
	}
	if r := tx.Do("RENAME", keys[0], keys[1]); r.Err() != nil {
		return r
	}
	if r := tx.Do("HSET", keys[1], "r", strconv.FormatInt(tx.Now().UnixMilli(), 10)); r.Err() != nil {
		return r
	}
	if r := bury(tx, keys[0], tomb, "rotated", args[3], grace); r.Err() != nil {
		return r
	}
	if len(keys) == 3 {
		if r := tx.Do("ZREM", keys[2], args[2]); r.Err() != nil {
			return r
		}
		if r := tx.Do("ZADD", keys[2], strconv.FormatInt(l.end, 10), args[3][min(bucketLen, len(args[3])):]); r.Err() != nil {
			return r
		}
	}
	return store.Int(1)
}

func retire(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(keys) > 2 || len(args) != 4 {
		return badReply
	}
	tomb, ok := store.Digits(args[0], maxDigits)
	if !ok {
		return badReply
	}
	if r := isList(tx, keys[1:]); r.Err() != nil {
		return r
	}
	l, err := living(tx, keys[0])
	switch {
	case err != nil:
		return store.Fail(err)
	case l.heir != "":
		return store.Bulk(l.heir)
	case !l.alive:
		return store.Int(0)
	}
	was := store.ArrayOf()
	if args[3] != "" {
		if was = tx.Do("HGETALL", keys[0]); was.Err() != nil {
			return was
		}
	}
	if r := bury(tx, keys[0], tomb, args[1], args[3], 0); r.Err() != nil {
		return r
	}
	if len(keys) == 2 {
		if r := tx.Do("ZREM", keys[1], args[2]); r.Err() != nil {
			return r
		}
	}
	return was
}

func revoke(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(args) != len(keys)+1 || len(keys) > batch+1 {
		return badReply
	}
	tomb, ok := store.Digits(args[0], maxDigits)
	if !ok {
		return badReply
	}
	now := strconv.FormatInt(tx.Now().UnixMilli(), 10)
	if r := tx.Do("ZREMRANGEBYSCORE", keys[0], "-inf", now); r.Err() != nil {
		return r
	}
	var ended int64
	for i, key := range keys[1:] {
		listed, err := tx.Do("ZREM", keys[0], args[2+i]).Int64()
		if err != nil {
			return store.Fail(err)
		}
		if listed != 1 {
			continue
		}
		l, err := living(tx, key)
		if err != nil {
			return store.Fail(err)
		}
		if l.alive {
			if r := bury(tx, key, tomb, args[1], "", 0); r.Err() != nil {
				return r
			}
			ended++
		}
	}
	left, err := tx.Do("ZRANGE", keys[0], "0", strconv.Itoa(batch-1)).Array()
	if err != nil {
		return store.Fail(err)
	}
	out := make([]store.Reply, 1, 1+len(left))
	out[0] = store.Int(ended)
	return store.ArrayOf(append(out, left...)...)
}

func prune(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(args) != len(keys)-1 {
		return badReply
	}
	var gone int64
	for i, key := range keys[1:] {
		l, err := living(tx, key)
		if err != nil {
			return store.Fail(err)
		}
		if l.alive {
			continue
		}
		n, err := tx.Do("ZREM", keys[0], args[i]).Int64()
		if err != nil {
			return store.Fail(err)
		}
		gone += n
	}
	return store.Int(gone)
}
