package queue

import (
	"strconv"
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
}

// The places in ARGV before the jobs that end, and for each of these.
const (
	turnArgs = 8
	endArgs  = 5
)

func turnBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != keyCount || len(args) < turnArgs || (len(args)-turnArgs)%endArgs != 0 || len(args) > turnArgs+endArgs*mostBatch {
		return bad
	}
	t := turn{step: newStep(tx, keys), session: args[0]}
	if !t.parse(args) {
		return bad
	}
	if len(args) == turnArgs {
		t.do("HDEL", kHeld, "")
	}
	flags := t.list(t.do("HMGET", kMeta, "paused", "seq:"+t.session))
	if len(flags) == 2 && t.overtaken(t.seq, flags[1]) {
		return late
	}
	ended := t.finishAll(args[turnArgs:])
	unknown := t.int(t.do("ZADD", kHolders, itoa(t.now+t.lease), t.session))
	if t.clearsOld {
		t.reap()
	}
	t.promote()
	var cancelled []store.Reply
	if t.clearsOld {
		t.clear()
		for _, id := range t.list(t.do("SMEMBERS", kCancelled)) {
			cancelled = append(cancelled, store.Bulk(id))
		}
	}
	var taken []store.Reply
	paused, token := int64(0), ""
	if len(flags) == 2 && flags[0] != "" {
		paused = 1
	} else if t.want > 0 {
		taken, token = t.take()
	}
	t.count()
	more := int64(0)
	if t.more {
		more = 1
	}
	return t.reply(store.ArrayOf(store.Int(unknown), store.Int(t.wait), store.Int(paused),
		store.ArrayOf(ended...), store.ArrayOf(taken...), store.Bulk(token), store.ArrayOf(cancelled...), store.Int(more)))
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
	for i := turnArgs; i < len(args); i += endArgs {
		if _, ok := number(args[i+3]); !ok || len(args[i]) != 1 || !strings.Contains("dDfxbs", args[i]) || !isIdent(args[i+1]) {
			return false
		}
	}
	t.most = limit(t.most)
	return t.lease > 0 && t.want <= mostBatch
}

// finishAll ends jobs.
func (t *turn) finishAll(ends []string) []store.Reply {
	if len(ends) == 0 {
		return nil
	}
	ids := make([]string, 0, len(ends)/endArgs)
	for i := 0; i < len(ends); i += endArgs {
		ids = append(ids, ends[i+1])
	}
	held := t.list(t.do("HMGET", kHeld, ids...))
	if len(held) != len(ids) {
		return nil // a command failed
	}
	var plain []string
	var seen map[string]bool
	if len(ids) > 1 {
		seen = make(map[string]bool, len(ids))
	}
	ended := make([]store.Reply, len(ids))
	for n, id := range ids {
		e := ends[n*endArgs:][:endArgs]
		ended[n] = store.Int(0)
		if !owns(held[n], t.session, e[2]) || seen[id] {
			continue
		}
		ended[n] = store.Int(1)
		if seen != nil {
			seen[id] = true
		}
		if e[0] == "d" {
			plain = append(plain, id)
		} else {
			t.finish(e[0], id, zero(e[3]), e[4])
		}
	}
	if len(plain) > 0 {
		t.done += int64(len(plain))
		t.do("HDEL", kHeld, plain...)
		t.do("HDEL", kJobs, plain...)
		for _, of := range [...]struct {
			key     int
			command string
		}{{kNotes, "HDEL"}, {kOutput, "HDEL"}, {kCancelled, "SREM"}} {
			if t.int(t.do("EXISTS", of.key)) == 1 {
				t.do(of.command, of.key, plain...)
			}
		}
	}
	return ended
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

// admit says whether a job of a key may start; if not it has put it where it waits.
func (t *turn) admit(h *header, id string) bool {
	if t.running(h.key) >= t.most {
		t.do("ZADD", kParked, "0", parkedMember(h, id))
		return false
	}
	if t.gap > 0 {
		start, _ := t.score(t.do("ZSCORE", kExpiring, "r"+h.key))
		if start > t.now {
			at := start
			if start-t.now >= t.gap {
				tail, _ := t.score(t.do("ZSCORE", kExpiring, "t"+h.key))
				at = max(start, tail)
				t.do("ZADD", kExpiring, itoa(at+t.gap), "t"+h.key)
			}
			t.delay(id, h.priority, at)
			t.wait = t.untilDue()
			return false
		}
		t.do("ZADD", kExpiring, itoa(t.now+t.gap), "r"+h.key)
	}
	t.do("HINCRBY", kGroups, h.key, "1")
	return true
}

// take gives what is ready to the session: four replies for each job.
func (t *turn) take() (taken []store.Reply, token string) {
	var held []string
	for range mostRound {
		popped := t.list(t.do("ZPOPMIN", kReady, itoa(t.want-int64(len(held)/2))))
		if len(popped) == 0 {
			break
		}
		ids := make([]string, 0, len(popped)/2)
		for i := 0; i < len(popped); i += 2 {
			ids = append(ids, popped[i])
		}
		records := t.list(t.do("HMGET", kJobs, ids...))
		notes, output := t.beside(kNotes, ids), t.beside(kOutput, ids)
		if token == "" {
			token = t.nextToken()
		}
		if taken == nil {
			taken = make([]store.Reply, 0, len(ids)*4)
			held = make([]string, 0, len(ids)*2)
		}
		owner := t.session + ":" + token
		for i, id := range ids {
			if t.err != nil || records[i] == "" || !t.mayStart(records[i], id) {
				continue
			}
			held = append(held, id, owner)
			taken = append(taken, store.Bulk(id), store.Bulk(records[i]), store.Bulk(at(notes, i)), store.Bulk(at(output, i)))
		}
		if int64(len(held)/2) >= t.want {
			break
		}
	}
	if len(held) > 0 {
		t.do("HSET", kHeld, held...)
	}
	if t.int(t.do("EXISTS", kReady)) == 1 {
		t.wake()
	}
	return taken, token
}

// nextToken is by the clock, so that it grows on after a failover that lost the last ones.
func (t *turn) nextToken() string {
	text, _ := t.text(t.do("HGET", kMeta, "token"))
	last, _ := strconv.ParseInt(text, 10, 64)
	token := itoa(max(last+1, (t.now-epoch)*perMilli))
	t.do("HSET", kMeta, "token", token)
	return token
}

func (t *turn) mayStart(record, id string) bool {
	if strings.HasPrefix(record[1:], "0,") {
		return true
	}
	h := headerOf(record)
	return t.admit(&h, id)
}

// beside reads what a hash that is seldom there says of jobs.
func (t *turn) beside(key int, ids []string) []string {
	if t.int(t.do("EXISTS", key)) == 0 {
		return nil
	}
	return t.list(t.do("HMGET", key, ids...))
}

func at(list []string, i int) string {
	if i >= len(list) {
		return ""
	}
	return list[i]
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
