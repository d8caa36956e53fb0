package queue

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// noLimit stands for 0 where a limit is not set.
const noLimit = 1000000000

func limit(n int64) int64 {
	if n == 0 {
		return noLimit
	}
	return n
}

// drop is lifeLua's, as are the next four.
func (s *step) drop(id string) {
	s.do("HDEL", kJobs, id)
	s.do("HDEL", kNotes, id)
	s.do("HDEL", kOutput, id)
}

func (s *step) letUnique(h *header, id string) {
	if h.unique == "" {
		return
	}
	l := s.lock(h.unique)
	if l.state == 0 || l.owner != id {
		return
	}
	if l.expiry > s.now {
		s.do("HSET", kUnique, h.unique, lockText('F', l.expiry, id))
		s.do("ZADD", kExpiring, itoa(l.expiry), "u"+h.unique)
		return
	}
	s.do("HDEL", kUnique, h.unique)
}

func (s *step) letKey(h *header, held bool) {
	if h.key == "" {
		return
	}
	var n int64
	if held {
		if n = s.int(s.do("HINCRBY", kGroups, h.key, "-1")); n <= 0 {
			s.do("HDEL", kGroups, h.key)
		}
	} else {
		n = s.running(h.key)
	}
	room := max(1, s.most-n)
	for _, m := range s.list(s.do("ZRANGEBYLEX", kParked, "["+h.key+"\x00", "("+h.key+"\x01", "LIMIT", "0", itoa(room))) {
		s.do("ZREM", kParked, m)
		rest := m[min(len(m), len(h.key)+1):]
		if rest == "" || rest[0] < '0' || rest[0] >= '0'+levels {
			continue
		}
		if id := strings.TrimLeft(rest[1:], "0"); isIdent(id) {
			s.ready(id, int(rest[0]-'0'))
			s.wake()
		}
	}
}

func isIdent(s string) bool {
	_, ok := ident(s)
	return ok
}

func parkedMember(h *header, id string) string {
	return h.key + "\x00" + strconv.Itoa(h.priority) + "0000000000000000"[:max(0, 16-len(id))] + id
}

// running is how many jobs of a key are held.
func (s *step) running(key string) int64 {
	text, _ := s.text(s.do("HGET", kGroups, key))
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (s *step) bury(h *header, id string) {
	s.do("ZADD", kDead, itoa(s.now), id)
	s.letUnique(h, id)
}

func (s *step) fault(h *header, id, text string) (last bool) {
	n := int64(1)
	if notes, ok := s.text(s.do("HGET", kNotes, id)); ok {
		n += attemptsOf(notes)
	}
	s.do("HSET", kNotes, id, itoa(n)+";"+text)
	return n >= int64(h.max)
}

// attemptsOf reads notes.
func attemptsOf(notes string) int64 {
	n, _, ok := strings.Cut(notes, ";")
	if !ok {
		return 0
	}
	return zero(n)
}

// load reads a job's header.
func (s *step) load(id string) header {
	record, _ := s.text(s.do("HGET", kJobs, id))
	return headerOf(record)
}

func leaveBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) < 4 {
		return bad
	}
	most, ok1 := number(args[2])
	seq, ok2 := number(args[3])
	if !ok1 || !ok2 {
		return bad
	}
	s := newStep(tx, keys)
	s.most = limit(most)
	newest, _ := s.text(s.do("HGET", kMeta, "seq:"+args[0]))
	if s.overtaken(seq, cmp.Or(newest, "0")) {
		return late
	}
	keeps := make(map[string]bool, len(args)-4)
	for _, k := range args[4:] {
		keeps[k] = true
	}
	all := s.list(s.do("HGETALL", kHeld))
	n := int64(0)
	for i := 0; i+1 < len(all); i += 2 {
		id := all[i]
		owner, token, ok := strings.Cut(all[i+1], ":")
		if !ok || owner != args[0] || keeps[token+":"+id] {
			continue
		}
		n++
		h := s.load(id)
		s.do("HDEL", kHeld, id)
		if s.int(s.do("SREM", kCancelled, id)) == 1 {
			s.letUnique(&h, id)
			s.drop(id)
		} else {
			s.ready(id, h.priority)
		}
		s.letKey(&h, true)
	}
	if args[1] == "1" {
		s.do("ZREM", kHolders, args[0])
		s.do("HDEL", kMeta, "seq:"+args[0])
	} else {
		s.do("HSET", kMeta, "seq:"+args[0], args[3])
	}
	if s.int(s.do("EXISTS", kReady)) == 1 {
		s.wake()
	}
	return s.reply(store.Int(n))
}

func removeBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) != 2 || !isIdent(args[0]) {
		return bad
	}
	most, ok := number(args[1])
	if !ok {
		return bad
	}
	s := newStep(tx, keys)
	s.most = limit(most)
	id := args[0]
	record, ok := s.text(s.do("HGET", kJobs, id))
	if !ok {
		return s.reply(store.Int(0))
	}
	if s.int(s.do("HEXISTS", kHeld, id)) == 1 {
		s.do("SADD", kCancelled, id)
		return s.reply(store.Int(2))
	}
	h := headerOf(record)
	waited := s.int(s.do("ZREM", kReady, id))
	for _, key := range [...]int{kDelayed, kDead, kDone} {
		s.do("ZREM", key, id)
	}
	if h.key != "" {
		s.do("ZREM", kParked, parkedMember(&h, id))
		if waited == 1 {
			s.letKey(&h, false)
		}
	}
	s.letUnique(&h, id)
	s.drop(id)
	return s.reply(store.Int(1))
}

func replayBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) == 0 || len(args) > mostBatch {
		return bad
	}
	for _, id := range args {
		if !isIdent(id) {
			return bad
		}
	}
	s := newStep(tx, keys)
	out := make([]store.Reply, len(args))
	for i, id := range args {
		out[i] = store.Int(s.replay(id))
	}
	if s.int(s.do("EXISTS", kReady)) == 1 {
		s.wake()
	}
	return s.reply(store.ArrayOf(out...))
}

func (s *step) replay(id string) int64 {
	if _, dead := s.text(s.do("ZSCORE", kDead, id)); !dead {
		return 0
	}
	h := s.load(id)
	if h.unique != "" {
		l := s.lock(h.unique)
		if l.owner != id {
			if l.state == 'L' || l.expiry > s.now {
				return -1
			}
			l.expiry = 0
		}
		s.do("HSET", kUnique, h.unique, lockText('L', l.expiry, id))
	}
	s.do("ZREM", kDead, id)
	s.do("HDEL", kNotes, id)
	s.ready(id, h.priority)
	return 1
}
