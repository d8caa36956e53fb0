package leaderboard

import (
	"math"
	"strconv"

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

// typed fails unless the keys in use have their types.
func (l *lists) typed(tx store.Tx) error {
	for _, part := range [...]struct {
		used        bool
		length, key string
	}{{true, "ZCARD", l.s}, {l.ties, "HLEN", l.t}, {l.dense, "ZCARD", l.n}, {l.data, "HLEN", l.d}} {
		if part.used {
			if err := tx.Do(part.length, part.key).Err(); err != nil {
				return err
			}
		}
	}
	return nil
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
