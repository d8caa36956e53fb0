package queue

import (
	"strings"

	"github.com/larderdb/larder/store"
)

// turn is turnLua.
type turn struct {
	*step
	session            string
	lease, want, seq   int64
	keepDead, gap      int64
	done, failed, died int64
	lost, wait         int64
	clearsOld, more    bool
	simple, rest       []string // the parts of args that say what ends
	refused            []store.Reply
}

// The places in ARGV before the jobs that end, and for each of these.
const (
	turnArgs   = 9
	simpleArgs = 2
	endArgs    = 5
)

func turnBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) < turnArgs {
		return bad
	}
	t := turn{step: newStep(tx, keys), session: args[0]}
	if !t.parse(args) {
		return t.reply(bad)
	}
	if len(args) == turnArgs {
		t.do("HDEL", kHeld, "")
	}
	var paused bool
	var newest, lastToken string
	if flags := t.elems(t.do("HMGET", kMeta, "paused", "seq:"+t.session, "token")); len(flags) == 3 {
		paused = !flags[0].IsNil()
		newest, _ = t.text(flags[1])
		lastToken, _ = t.text(flags[2])
	}
	if t.overtaken(t.seq, newest) {
		return t.reply(late)
	}
	t.finishSimple()
	t.finishRest()
	unknown := t.int(t.do("ZADD", kHolders, itoa(t.now+t.lease), t.session))
	if t.clearsOld {
		t.reap()
	}
	t.promote()
	var cancelled []store.Reply
	if t.clearsOld {
		t.clear()
		cancelled = t.elems(t.do("SMEMBERS", kCancelled))
	}
	var got takings
	if !paused && t.want > 0 {
		t.take(&got, lastToken)
	}
	t.count()
	return t.reply(store.ArrayOf(store.Int(unknown), store.Int(t.wait), store.Int(bit(paused)), store.ArrayOf(t.refused...),
		store.ArrayOf(got.jobs...), store.ArrayOf(got.said...), store.Bulk(got.token), store.ArrayOf(cancelled...), store.Int(bit(t.more))))
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// overtaken says that a session's call must not do anything any more.
func (s *step) overtaken(seq int64, newest string) bool {
	return s.err == nil && newest != "" && seq <= zero(newest)
}

func (t *turn) parse(args []string) bool {
	if t.session == "" || strings.IndexByte(t.session, ':') >= 0 {
		return false
	}
	for i, to := range [...]*int64{&t.lease, &t.want, &t.seq, &t.keepDead, &t.most, &t.gap} {
		n, ok := number(args[1+i])
		if !ok {
			return false
		}
		*to = n
	}
	t.clearsOld = args[7] == "1"
	simple, ok := number(args[8])
	if !ok || simple > mostBatch || len(args) < turnArgs+simpleArgs*int(simple) {
		return false
	}
	ends := args[turnArgs:]
	t.simple, t.rest = ends[:simpleArgs*simple], ends[simpleArgs*simple:]
	if len(t.rest)%endArgs != 0 || int(simple)+len(t.rest)/endArgs > mostBatch {
		return false
	}
	for e := t.rest; len(e) > 0; e = e[endArgs:] {
		if _, ok := number(e[3]); !ok || len(e[0]) != 1 || !strings.Contains("Dfxbs", e[0]) || !isIdent(e[1]) {
			return false
		}
	}
	t.most = limit(t.most)
	return t.lease > 0 && t.want <= mostBatch
}

// finishSimple ends jobs that are done and plain.
func (t *turn) finishSimple() {
	if len(t.simple) == 0 {
		return
	}
	ids := make([]string, 0, len(t.simple)/simpleArgs)
	for i := 0; i < len(t.simple); i += simpleArgs {
		ids = append(ids, t.simple[i])
	}
	held := t.elems(t.do("HMGET", kHeld, ids...))
	plain := ids[:0]
	for i := range held {
		if owner, _ := t.text(held[i]); owns(owner, t.session, t.simple[i*simpleArgs+1]) {
			plain = append(plain, ids[i])
		} else {
			t.refused = append(t.refused, store.Int(int64(i)))
		}
	}
	if len(plain) == 0 {
		return
	}
	t.done = t.int(t.do("HDEL", kHeld, plain...))
	t.do("HDEL", kJobs, plain...)
	if t.int(t.do("EXISTS", kNotes, t.keys[kOutput], t.keys[kCancelled])) > 0 {
		t.do("HDEL", kNotes, plain...)
		t.do("HDEL", kOutput, plain...)
		t.do("SREM", kCancelled, plain...)
	}
}

// finishRest ends all others.
func (t *turn) finishRest() {
	for i := 0; i < len(t.rest); i += endArgs {
		what, id, token, later, text := t.rest[i], t.rest[i+1], t.rest[i+2], t.rest[i+3], t.rest[i+4]
		if owner, _ := t.text(t.do("HGET", kHeld, id)); owns(owner, t.session, token) {
			t.finish(what, id, zero(later), text)
		} else {
			t.refused = append(t.refused, store.Int(int64(len(t.simple)/simpleArgs+i/endArgs)))
		}
	}
}

// owns compares a lease with session:token.
func owns(held, session, token string) bool {
	return len(held) == len(session)+1+len(token) && held[:len(session)] == session && held[len(session)] == ':' && held[len(session)+1:] == token
}

func (t *turn) finish(what, id string, later int64, text string) {
	h := t.load(id)
	t.do("HDEL", kHeld, id)
	cancelled := t.int(t.do("SREM", kCancelled, id)) == 1
	switch {
	case what == "D":
		t.done++
		t.letUnique(&h, id)
		t.keep(&h, id, text)
	case cancelled:
		t.letUnique(&h, id)
		t.drop(id)
	case what == "b":
		t.ready(id, h.priority)
		t.wake()
	case what == "s":
		t.delay(id, h.priority, t.now+later)
	default:
		t.failed++
		if t.fault(&h, id, text) || what == "x" {
			t.died++
			t.bury(&h, id)
		} else {
			t.delay(id, h.priority, t.now+later)
		}
	}
	t.letKey(&h, true)
}

// keep keeps a job that is done for its time.
func (t *turn) keep(h *header, id, result string) {
	if h.keep == 0 {
		t.drop(id)
		return
	}
	t.do("ZADD", kDone, itoa(t.now+h.keep), id)
	if result != "" {
		t.do("HSET", kOutput, id, result)
	} else {
		t.do("HDEL", kOutput, id)
	}
}

// reap takes jobs from sessions that died.
func (t *turn) reap() {
	gone := t.list(t.do("ZRANGEBYSCORE", kHolders, "-inf", itoa(t.now), "LIMIT", "0", itoa(mostReap)))
	if len(gone) == 0 {
		return
	}
	dead := make(map[string]bool, len(gone))
	for _, session := range gone {
		dead[session] = true
	}
	all := t.list(t.do("HGETALL", kHeld))
	for i := 0; i+1 < len(all); i += 2 {
		if session, _, _ := strings.Cut(all[i+1], ":"); dead[session] {
			t.loseJob(all[i])
		}
	}
	t.do("ZREM", kHolders, gone...)
	for _, session := range gone {
		t.do("HDEL", kMeta, "seq:"+session)
	}
}

func (t *turn) loseJob(id string) {
	t.lost++
	h := t.load(id)
	t.do("HDEL", kHeld, id)
	switch {
	case t.int(t.do("SREM", kCancelled, id)) == 1:
		t.letUnique(&h, id)
		t.drop(id)
	case t.fault(&h, id, leaseLostText):
		t.died++
		t.bury(&h, id)
	default:
		t.ready(id, h.priority)
		t.wake()
	}
	t.letKey(&h, true)
}

// leaseLostText is what the notes say of an attempt whose worker died.
const leaseLostText = "lease lost"

// untilDue is how long no delayed job is due; -1 if there is none.
func (t *turn) untilDue() int64 {
	first, ok := t.first()
	if !ok {
		return -1
	}
	return max(0, first/dueStep-t.now)
}

// promote makes ready what is due.
func (t *turn) promote() {
	if t.wait = t.untilDue(); t.wait != 0 {
		return
	}
	due := t.list(t.do("ZRANGEBYSCORE", kDelayed, "-inf", itoa(t.now*dueStep+dueStep-1), "WITHSCORES", "LIMIT", "0", itoa(mostDue)))
	if len(due) == 0 { // a command failed
		return
	}
	ids, scores := make([]string, 0, len(due)/2), make([]string, 0, len(due))
	for i := 0; i+1 < len(due); i += 2 {
		score, _ := t.score(store.Bulk(due[i+1]))
		ids = append(ids, due[i])
		scores = append(scores, t.place(due[i], int(score%dueStep)), due[i])
	}
	t.do("ZREM", kDelayed, ids...)
	t.do("ZADD", kReady, scores...)
	t.wait = t.untilDue()
}

// clear removes what is too old.
func (t *turn) clear() {
	old := func(key int, until int64) []string {
		list := t.list(t.do("ZRANGEBYSCORE", key, "-inf", itoa(until), "LIMIT", "0", itoa(mostTrim)))
		t.more = t.more || len(list) == mostTrim
		return list
	}
	for _, id := range old(kDone, t.now) {
		t.do("ZREM", kDone, id)
		t.drop(id)
	}
	if t.keepDead > 0 {
		for _, id := range old(kDead, t.now-t.keepDead) {
			t.do("ZREM", kDead, id)
			t.drop(id)
		}
	}
	for _, m := range old(kExpiring, t.now) {
		t.do("ZREM", kExpiring, m)
		if unique, ok := strings.CutPrefix(m, "u"); ok {
			if l := t.lock(unique); l.state == 'F' && l.expiry <= t.now {
				t.do("HDEL", kUnique, unique)
			}
		}
	}
}

// count adds up what all workers did.
func (t *turn) count() {
	for _, c := range [...]struct {
		name string
		n    int64
	}{{"done", t.done}, {"failed", t.failed}, {"dead", t.died}, {"lost", t.lost}} {
		if c.n > 0 {
			t.do("HINCRBY", kMeta, c.name, itoa(c.n))
		}
	}
}
