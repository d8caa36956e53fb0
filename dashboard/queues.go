package dashboard

import (
	"context"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package queue says how a queue lies in the store: queue/script.go.

// queueRow is a queue in the list.
type queueRow struct {
	Prefix  blob             `json:"prefix"`
	Name    blob             `json:"name"`
	Depth   map[string]int64 `json:"depth"`  // by state
	Totals  map[string]int64 `json:"totals"` // since it was made
	Paused  bool             `json:"paused"`
	Workers int64            `json:"workers"` // processes that have a lease
}

// queueParts are the structures that stand for states.
var queueParts = []struct{ state, key, length string }{
	{"ready", "ready", "ZCARD"}, {"delayed", "delayed", "ZCARD"}, {"active", "held", "HLEN"}, {"parked", "parked", "ZCARD"},
	{"dead", "dead", "ZCARD"}, {"done", "done", "ZCARD"},
}

var queueTotals = []string{"done", "failed", "dead", "lost"}

// splitTag takes PREFIX{TAG}REST apart.
func splitTag(key string) (prefix, tag, rest string, ok bool) {
	prefix, tag, ok = strings.Cut(key, "{")
	if !ok {
		return "", "", "", false
	}
	tag, rest, ok = strings.Cut(tag, "}")
	return prefix, tag, rest, ok && tag != ""
}

// queues answers the queues that a scan finds: match, cursor.
func (d *Dashboard) queues(ctx context.Context, q *query) (any, error) {
	f, err := d.find(ctx, q, "*{*}:meta", "hash", maxFound)
	if err != nil {
		return nil, err
	}
	var rows []queueRow
	for _, key := range f.keys {
		if prefix, name, rest, ok := splitTag(key); ok && rest == ":meta" {
			rows = append(rows, queueRow{Prefix: blob{s: prefix}, Name: blob{s: name}})
		}
	}
	out, err := d.depths(ctx, rows)
	if err != nil {
		return nil, err
	}
	return struct {
		found
		Queues []queueRow `json:"queues"`
	}{f, out}, nil
}

// depths reads the sizes of queues, all at once. Those whose keys are somebody else's are left out.
func (d *Dashboard) depths(ctx context.Context, rows []queueRow) ([]queueRow, error) {
	each := len(queueParts) + 2
	cmds := make([]store.Cmd, 0, each*len(rows))
	for _, row := range rows {
		root := row.Prefix.s + "{" + row.Name.s + "}:"
		for _, p := range queueParts {
			cmds = append(cmds, store.Cmd{p.length, root + p.key})
		}
		cmds = append(cmds, store.Cmd{"ZCARD", root + "holders"}, append(append(store.Cmd{"HMGET", root + "meta"}, queueTotals...), "paused", "id"))
	}
	replies := d.pipe(ctx, cmds)
	out := []queueRow{}
	for i, row := range rows {
		ok, err := row.read(replies[each*i : each*i+each])
		if err != nil && !foreign(err) {
			return nil, err
		}
		if ok {
			out = append(out, row)
		}
	}
	return out, nil
}

// read takes the replies of depths; ok is false if the keys are somebody else's.
func (q *queueRow) read(replies []store.Reply) (ok bool, err error) {
	q.Depth, q.Totals = map[string]int64{}, map[string]int64{}
	meta, err := replies[len(queueParts)+1].Strings()
	if err != nil || len(meta) != len(queueTotals)+2 || meta[len(meta)-1] == "" {
		return false, err
	}
	for i, p := range queueParts {
		if q.Depth[p.state], err = replies[i].Int64(); err != nil {
			return false, err
		}
	}
	q.Workers, _ = replies[len(queueParts)].Int64() //nolint:errcheck // 0
	for i, what := range queueTotals {
		q.Totals[what], _ = store.Digits(meta[i], 15)
	}
	q.Paused = meta[len(queueTotals)] != ""
	return true, nil
}

// jobRow is a job as the store has it.
type jobRow struct {
	ID       string `json:"id"`
	At       int64  `json:"at"`            // Unix ms when it was enqueued
	Due      int64  `json:"due,omitempty"` // Unix ms: delayed: when it can be taken; dead: when it died; done: until when it is kept
	Priority int    `json:"priority"`      // 0 is first
	Key      blob   `json:"key"`
	Unique   blob   `json:"unique"`
	Attempts int64  `json:"attempts"`
	Max      int64  `json:"max"`
	Payload  blob   `json:"payload"`
	Error    blob   `json:"error"`
	Output   blob   `json:"output"`
}

// queue answers a queue and jobs of one state: prefix, name, state, from, count.
func (d *Dashboard) queue(ctx context.Context, q *query) (any, error) {
	prefix, name, err := queueOf(q)
	if err != nil {
		return nil, err
	}
	from, err := q.number("from", 0, 1<<31, 0)
	if err != nil {
		return nil, err
	}
	count, err := q.number("count", 1, maxPage, 50)
	if err != nil {
		return nil, err
	}
	rows, err := d.depths(ctx, []queueRow{{Prefix: blob{s: prefix}, Name: blob{s: name}}})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, failure{404, "there is no such queue"}
	}
	jobs, err := d.jobs(ctx, prefix+"{"+name+"}:", q.text("state"), from, count)
	if err != nil {
		return nil, err
	}
	return map[string]any{"queue": rows[0], "jobs": jobs}, nil
}

func queueOf(q *query) (prefix, name string, err error) {
	if prefix, err = q.bytes("prefix"); err == nil {
		name, err = q.bytes("name")
	}
	if err == nil && (name == "" || strings.ContainsAny(prefix+name, "{}")) {
		err = bad("prefix, name: want a queue's")
	}
	return prefix, name, err
}

// scored is an id with its score in the structure of its state.
type scored struct {
	id    string
	score float64
}

func (d *Dashboard) jobs(ctx context.Context, root, state string, from, count int64) ([]jobRow, error) {
	ids, err := d.jobIDs(ctx, root, state, from, count)
	if err != nil || len(ids) == 0 {
		return []jobRow{}, err
	}
	words := make([]string, 0, len(ids))
	for _, id := range ids {
		words = append(words, id.id)
	}
	var columns [3][]store.Reply
	for i, of := range []string{"jobs", "notes", "output"} {
		r, _, err := d.clip(ctx, root+of, append([]string{"HMGET", root + of}, words...)...)
		if err == nil {
			columns[i], err = r.Array()
		}
		if err != nil {
			return nil, err
		}
		if len(columns[i]) != len(ids) {
			return nil, store.ErrReply
		}
	}
	out := make([]jobRow, 0, len(ids))
	for i, id := range ids {
		if columns[0][i].IsNil() {
			continue // gone meanwhile
		}
		out = append(out, job(state, id, unclip(columns[0][i]), unclip(columns[1][i]), unclip(columns[2][i])))
	}
	return out, nil
}

// jobIDs are a page of the ids in a state.
func (d *Dashboard) jobIDs(ctx context.Context, root, state string, from, count int64) (ids []scored, err error) {
	key := ""
	for _, p := range queueParts {
		if p.state == state {
			key = root + p.key
		}
	}
	switch {
	case key == "":
		return nil, bad("state: want ready, delayed, active, parked, dead or done")
	case state == "active": // as many as there are workers at work: the first so many
		r, _, err := d.clip(ctx, key, "HSCAN", key, "0", "COUNT", strconv.FormatInt(from+count, 10))
		if err != nil {
			return nil, err
		}
		list, err := r.Array()
		if err != nil || len(list) != 2 {
			return nil, err
		}
		all, err := list[1].Array()
		for i := 2 * int(min(from, 1<<20)); i < len(all) && int64(len(ids)) < count; i += 2 {
			ids = append(ids, scored{id: unclip(all[i]).s})
		}
		return ids, err
	}
	list, err := d.st.Do(ctx, "ZRANGE", key, strconv.FormatInt(from, 10), strconv.FormatInt(from+count-1, 10), "WITHSCORES").Scores()
	for _, s := range list {
		if state == "parked" { // key NUL priority id
			s.Member = s.Member[strings.LastIndexByte(s.Member, 0)+1:]
			s.Member = strings.TrimLeft(s.Member[min(1, len(s.Member)):], "0")
		}
		ids = append(ids, scored{s.Member, s.Score})
	}
	return ids, err
}

// What ids and scores are made of.
const (
	idEpoch    = 1767225600000 // ms: 2026-01-01
	idPerMilli = 1024
	dueStep    = 8
)

// job reads what is kept of a job. Broken records show as payloads.
func job(state string, id scored, record, notes, output blob) jobRow {
	j := jobRow{ID: id.id, Payload: record, Output: output}
	if n, ok := store.Digits(id.id, 16); ok {
		j.At = n/idPerMilli + idEpoch
	}
	switch state {
	case "delayed":
		j.Due = int64(id.score) / dueStep
	case "dead", "done":
		j.Due = int64(id.score)
	}
	if attempts, text, ok := strings.Cut(notes.s, ";"); ok {
		j.Attempts, _ = store.Digits(attempts, 15)
		j.Error = blob{text, 0}
		if notes.size > 0 {
			j.Error.size = notes.size - int64(len(notes.s)-len(text))
		}
	}
	j.readRecord(record)
	return j
}

// readRecord takes a record apart: priority, then numbers with commas between and a semicolon after, then key, unique key, headers
// and payload one after another.
func (j *jobRow) readRecord(record blob) {
	head, rest, ok := strings.Cut(record.s, ";")
	if !ok || head == "" || len(head) > 64 || head[0] < '0' || head[0] > '6' {
		return
	}
	var n [6]int64
	numbers := strings.Split(head[1:], ",")
	if len(numbers) < 5 || len(numbers) > len(n) {
		return
	}
	for i, text := range numbers {
		if n[i], ok = store.Digits(text, 15); !ok {
			return
		}
	}
	key, unique, headers := n[0], n[1], n[5]
	if key > 2048 || unique > 2048 || headers > 1<<20 || key+unique > int64(len(rest)) {
		return
	}
	j.Priority, j.Max = int(head[0]-'0'), n[2]
	j.Key, j.Unique = blob{s: rest[:key]}, blob{s: rest[key : key+unique]}
	payload := rest[min(key+unique+headers, int64(len(rest))):]
	j.Payload = blob{s: payload}
	if record.size > 0 {
		j.Payload.size = record.size - int64(len(record.s)-len(payload))
	}
}

// actOnQueue does something to a queue: prefix, name, act, and ids for replay and delete; without ids all dead letters.
func (d *Dashboard) actOnQueue(ctx context.Context, q *query) (any, error) {
	prefix, name, err := queueOf(q)
	if err != nil {
		return nil, err
	}
	if d.o.Queue == nil {
		return nil, failure{403, "this dashboard cannot act on queues: the program gave it no Options.Queue"}
	}
	queue, err := d.o.Queue(prefix, name)
	if err != nil {
		return nil, err
	}
	ids := q.values["ids"]
	n := 0
	switch act := q.text("act"); {
	case act == "replay" && len(ids) > 0:
		n, err = queue.Replay(ctx, ids...)
	case act == "replay":
		n, err = queue.ReplayAll(ctx)
	case act == "delete":
		n, err = d.deleteDead(ctx, queue, prefix+"{"+name+"}:", ids)
	case act == "pause":
		err = queue.Pause(ctx)
	case act == "resume":
		err = queue.Resume(ctx)
	default:
		return nil, bad("act: want replay, delete, pause or resume")
	}
	return map[string]int{"count": n}, err
}

// deleteDead deletes dead letters, and nothing that is not dead.
func (d *Dashboard) deleteDead(ctx context.Context, queue Queue, root string, ids []string) (n int, err error) {
	all := len(ids) == 0
	for {
		if all {
			if ids, err = d.st.Do(ctx, "ZRANGE", root+"dead", "0", "499").Strings(); err != nil || len(ids) == 0 {
				return n, err
			}
		}
		gone := 0
		for _, id := range ids {
			if r := d.st.Do(ctx, "ZSCORE", root+"dead", id); r.IsNil() {
				continue
			} else if r.Err() != nil {
				return n, r.Err()
			}
			found, err := queue.Cancel(ctx, id)
			if err != nil {
				return n, err
			}
			if found {
				gone++
			}
		}
		n += gone
		if !all || gone == 0 {
			return n, nil
		}
	}
}
