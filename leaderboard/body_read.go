package leaderboard

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

func page(tx store.Tx, keys, args []string) store.Reply {
	var l lists
	if len(keys) != keysPerBoard || len(args) != 4 || !l.read(keys, args[0]) {
		return badReply
	}
	count, ok := store.Digits(args[3], 4)
	if !ok {
		return badReply
	}
	size, err := tx.Do("ZCARD", l.s).Int64()
	if err != nil {
		return store.Fail(err)
	}
	from, ok := store.Digits(args[2], maxDigits)
	if args[1] == "m" {
		var r store.Reply
		if from, r, ok = l.around(tx, args[2], count, size); !ok {
			return r
		}
		count = 2*count + 1
	} else if args[1] != "i" || !ok {
		return badReply
	}
	switch {
	case count > mostListed:
		return badReply
	case count == 0:
		return store.ArrayOf(store.Int(size), store.Int(from), store.Int(0), store.ArrayOf(), store.Nil())
	}
	return l.list(tx, size, from, count)
}

// list is a page of count entries from an index on.
func (l *lists) list(tx store.Tx, size, from, count int64) store.Reply {
	found := tx.Do("ZRANGE", l.s, strconv.FormatInt(from, 10), strconv.FormatInt(from+count-1, 10), "WITHSCORES")
	list, err := found.Array()
	if err != nil {
		return found
	}
	first, data := int64(0), store.Nil()
	if len(list) > 0 {
		first = from + 1
		if l.kind != 'o' {
			score, _ := list[1].Text()
			if first, err = l.rank(tx, l.kind, "", score); err != nil {
				return store.Fail(err)
			}
		}
		if l.data {
			if data = l.dataOf(tx, list); data.Err() != nil {
				return data
			}
		}
	}
	return store.ArrayOf(store.Int(size), store.Int(from), store.Int(first), found, data)
}

// dataOf is the data of a page's entries.
func (l *lists) dataOf(tx store.Tx, list []store.Reply) store.Reply {
	cmd := append(make([]string, 0, 2+len(list)/2), "HMGET", l.d)
	for i := 0; i < len(list); i += 2 {
		entry, _ := list[i].Text()
		cmd = append(cmd, l.name(entry))
	}
	return tx.Do(cmd...)
}

// around is the index at which a page around a member begins: the member in the middle, but near the ends of the board.
func (l *lists) around(tx store.Tx, member string, side, size int64) (from int64, r store.Reply, ok bool) {
	stamp := ""
	if l.ties {
		var err error
		if stamp, ok, err = tx.Do("HGET", l.t, member).Lookup(); err != nil {
			return 0, store.Fail(err), false
		} else if !ok {
			return 0, store.Nil(), false
		}
	}
	r = tx.Do("ZRANK", l.s, stamp+member)
	at, err := r.Int64()
	if err != nil { // also if the member is not there: r is nil then
		return 0, r, false
	}
	return max(0, min(at-side, size-2*side-1)), store.Reply{}, true
}

func look(tx store.Tx, keys, args []string) store.Reply {
	var l lists
	if len(keys) != keysPerBoard || len(args) < 3 || len(args) > 2+mostListed || !l.read(keys, args[0]) {
		return badReply
	}
	size := tx.Do("ZCARD", l.s)
	if size.Err() != nil {
		return size
	}
	members := args[2:]
	entries, stamps, err := l.entries(tx, members)
	if err != nil {
		return store.Fail(err)
	}
	scores := tx.Do(words("ZMSCORE", l.s, entries)...)
	if scores.Err() != nil {
		return scores
	}
	ranks, better, data := store.Nil(), store.Nil(), store.Nil()
	if args[1] == "r" {
		if ranks, better, err = l.ranks(tx, entries, scores); err != nil {
			return store.Fail(err)
		}
	}
	if l.data {
		if data = tx.Do(words("HMGET", l.d, members)...); data.Err() != nil {
			return data
		}
	}
	return store.ArrayOf(size, scores, stamps, ranks, better, data)
}

func words(command, key string, rest []string) []string {
	return append(append(make([]string, 0, 2+len(rest)), command, key), rest...)
}

// entries are members as the sorted set has them, with their stamps; "" is nobody's.
func (l *lists) entries(tx store.Tx, members []string) (entries []string, stamps store.Reply, err error) {
	if !l.ties {
		return members, store.Nil(), nil
	}
	stamps = tx.Do(words("HMGET", l.t, members)...)
	list, err := stamps.Array()
	if err != nil {
		return nil, stamps, err
	}
	entries = make([]string, len(members))
	for i, member := range members {
		if stamp, ok, _ := list[i].Lookup(); ok {
			entries[i] = stamp + member
		}
	}
	return entries, stamps, nil
}

// ranks tells the rank of each entry, and how many have a better score.
func (l *lists) ranks(tx store.Tx, entries []string, scores store.Reply) (ranks, better store.Reply, err error) {
	list, err := scores.Array()
	if err != nil {
		return ranks, better, err
	}
	places, over := make([]store.Reply, len(list)), make([]store.Reply, len(list))
	for i := range list {
		places[i], over[i] = store.Int(0), store.Int(0)
		score, ok, _ := list[i].Lookup()
		if !ok {
			continue
		}
		shared, err := l.rank(tx, 'c', "", score)
		if err != nil {
			return ranks, better, err
		}
		place := shared
		if l.kind != 'c' {
			if place, err = l.rank(tx, l.kind, entries[i], score); err != nil {
				return ranks, better, err
			}
		}
		places[i], over[i] = store.Int(place), store.Int(shared-1)
	}
	return store.ArrayOf(places...), store.ArrayOf(over...), nil
}

func remove(tx store.Tx, keys, args []string) store.Reply {
	var l lists
	if len(keys) != keysPerBoard || len(args) < 1 || !l.read(keys, args[0]) {
		return badReply
	}
	if err := l.typed(tx); err != nil {
		return store.Fail(err)
	}
	var gone int64
	for _, member := range args[1:] {
		stamp, score, ok, err := l.place(tx, member)
		if err == nil && ok {
			gone++
			err = l.drop(tx, stamp+member, member, score)
		}
		if err != nil {
			return store.Fail(err)
		}
	}
	return store.Int(gone)
}

func setData(tx store.Tx, keys, args []string) store.Reply {
	var l lists
	if len(keys) != keysPerBoard || len(args) != 3 || !l.read(keys, args[0]) {
		return badReply
	}
	_, _, ok, err := l.place(tx, args[1])
	if err != nil {
		return store.Fail(err)
	}
	if !ok {
		return store.Int(0)
	}
	if args[2] == "" {
		if r := tx.Do("HDEL", l.d, args[1]); r.Err() != nil {
			return r
		}
		return store.Int(1)
	}
	if r := tx.Do("HSET", l.d, args[1], args[2]); r.Err() != nil {
		return r
	}
	ttl, err := tx.Do("PTTL", l.s).Int64()
	if err == nil && ttl > 0 {
		err = tx.Do("PEXPIRE", l.d, strconv.FormatInt(ttl, 10)).Err()
	}
	if err != nil {
		return store.Fail(err)
	}
	return store.Int(1)
}

func archive(tx store.Tx, keys, args []string) store.Reply {
	var from, to lists
	if len(keys) != 2*keysPerBoard || len(args) != 4 || !from.read(keys, args[0]) || !to.read(keys[keysPerBoard:], args[0]) {
		return badReply
	}
	keep, ok1 := store.Digits(args[1], maxDigits)
	ttl, ok2 := store.Digits(args[2], maxDigits)
	till, ok3 := store.Digits(args[3], maxDigits)
	if !ok1 || !ok2 || !ok3 {
		return badReply
	}
	now := tx.Now().UnixMilli()
	if now < till {
		return notNow(now)
	}
	size, err := tx.Do("ZCARD", from.s).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if size == 0 {
		return store.ArrayOf(store.Int(0), store.Int(0))
	}
	if ttl > 0 {
		if ttl += till - now; ttl == 0 {
			ttl = -1 // it is over: PEXPIRE deletes
		}
	}
	kept, err := from.keep(tx, &to, keep, ttl)
	if err == nil {
		err = tx.Do("UNLINK", from.s, from.t, from.n, from.d).Err()
	}
	if err != nil {
		return store.Fail(err)
	}
	return store.ArrayOf(store.Int(kept), store.Int(size))
}

// keep copies the best members to another board, with a TTL in ms unless that is 0.
func (l *lists) keep(tx store.Tx, to *lists, keep, ttl int64) (kept int64, err error) {
	for _, b := range [...]*lists{l, to} {
		if err := b.typed(tx); err != nil {
			return 0, err
		}
	}
	if err := tx.Do("DEL", to.s, to.t, to.n, to.d).Err(); err != nil {
		return 0, err
	}
	if keep > 0 {
		list, err := tx.Do("ZRANGE", l.s, "0", strconv.FormatInt(keep-1, 10), "WITHSCORES").Strings()
		if err != nil {
			return 0, err
		}
		for i := 0; i+1 < len(list); i += 2 {
			if err := l.copy(tx, to, list[i], list[i+1]); err != nil {
				return kept, err
			}
			kept++
		}
	}
	if ttl != 0 {
		for _, key := range [...]string{to.s, to.t, to.n, to.d} {
			if err := tx.Do("PEXPIRE", key, strconv.FormatInt(ttl, 10)).Err(); err != nil {
				return kept, err
			}
		}
	}
	return kept, nil
}

func (l *lists) copy(tx store.Tx, to *lists, entry, score string) error {
	member := l.name(entry)
	err := tx.Do("ZADD", to.s, score, entry).Err()
	if err == nil && l.ties {
		err = tx.Do("HSET", to.t, member, entry[:min(stampLen, len(entry))]).Err()
	}
	if err == nil && l.dense {
		err = tx.Do("ZADD", to.n, score, score).Err()
	}
	if err != nil || !l.data {
		return err
	}
	data, ok, err := tx.Do("HGET", l.d, member).Lookup()
	if err == nil && ok {
		err = tx.Do("HSET", to.d, member, data).Err()
	}
	return err
}
