package queue

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

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

// takings are what a turn gives to the session.
type takings struct {
	jobs  []store.Reply // id, record
	said  []store.Reply // place, notes, output
	token string
	held  []string // id, session:token
}

// take gives what is ready to the session.
func (t *turn) take(got *takings, lastToken string) {
	for range mostRound {
		ids := t.list(t.do("ZRANGE", kReady, "0", itoa(t.want-int64(len(got.jobs)/2)-1)))
		if len(ids) == 0 {
			break
		}
		t.do("ZREMRANGEBYRANK", kReady, "0", itoa(int64(len(ids)-1)))
		t.hand(got, ids, lastToken)
		if int64(len(got.jobs)/2) >= t.want {
			break
		}
	}
	if len(got.held) > 0 {
		t.do("HSET", kHeld, got.held...)
	}
	if t.int(t.do("EXISTS", kReady)) == 1 {
		t.wake()
	}
}

// hand gives those of the jobs to the session that may start.
func (t *turn) hand(got *takings, ids []string, lastToken string) {
	records := t.elems(t.do("HMGET", kJobs, ids...))
	var notes, output []store.Reply
	if t.int(t.do("EXISTS", kNotes, t.keys[kOutput])) > 0 {
		notes, output = t.elems(t.do("HMGET", kNotes, ids...)), t.elems(t.do("HMGET", kOutput, ids...))
	}
	if got.token == "" {
		got.token = t.nextToken(lastToken)
		got.jobs, got.held = make([]store.Reply, 0, len(ids)*2), make([]string, 0, len(ids)*2)
	}
	owner := t.session + ":" + got.token
	for i, id := range ids {
		if t.err != nil {
			return
		}
		record, _ := t.text(records[i])
		if record == "" || !t.mayStart(record, id) {
			continue
		}
		if len(notes) > 0 && len(output) > 0 && !(notes[i].IsNil() && output[i].IsNil()) {
			n, _ := t.text(notes[i])
			o, _ := t.text(output[i])
			got.said = append(got.said, store.Int(int64(len(got.jobs)/2)), store.Bulk(n), store.Bulk(o))
		}
		got.held = append(got.held, id, owner)
		got.jobs = append(got.jobs, store.Bulk(id), records[i])
	}
}

// nextToken is by the clock, so that it grows on after a failover that lost the last ones.
func (t *turn) nextToken(last string) string {
	n, _ := strconv.ParseInt(last, 10, 64)
	token := itoa(max(n+1, (t.now-epoch)*perMilli))
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
