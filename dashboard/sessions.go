package dashboard

import (
	"context"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package session says how a session lies in the store: session/script.go.

// userRow is a user with sessions.
type userRow struct {
	Key      blob  `json:"key"` // of the user's list
	User     blob  `json:"user"`
	Sessions int64 `json:"sessions"` // some may have ended by idleness
	Last     int64 `json:"last"`     // Unix ms at which the last of them ends at the latest
}

// userIndex takes the key of a user's list apart: PREFIX{BUCKET}user:USER.
func userIndex(key string) (prefix, bucket, user string, ok bool) {
	prefix, bucket, user, ok = splitTag(key)
	if !ok || len(bucket) != 2 {
		return "", "", "", false
	}
	user, ok = strings.CutPrefix(user, "user:")
	return prefix, bucket, user, ok && user != ""
}

// users answers the users that a scan finds: match, cursor.
func (d *Dashboard) users(ctx context.Context, q *query) (any, error) {
	f, err := d.find(ctx, q, "*{??}user:*", "zset", maxFound)
	if err != nil {
		return nil, err
	}
	var cmds []store.Cmd
	for _, k := range f.keys {
		cmds = append(cmds, store.Cmd{"ZCARD", k}, store.Cmd{"ZRANGE", k, "-1", "-1", "WITHSCORES"})
	}
	replies := d.pipe(ctx, cmds)
	out := []userRow{}
	for i, k := range f.keys {
		_, _, user, ok := userIndex(k)
		n, err := replies[2*i].Int64()
		if !ok || err != nil || n == 0 {
			continue
		}
		row := userRow{Key: blob{s: k}, User: blob{s: user}, Sessions: n}
		if last, err := replies[2*i+1].Scores(); err == nil && len(last) == 1 {
			row.Last = int64(last[0].Score)
		}
		out = append(out, row)
	}
	return struct {
		found
		Users []userRow `json:"users"`
	}{f, out}, nil
}

// sessionRow is a session. No token can be made of its ID.
type sessionRow struct {
	ID      blob  `json:"id"`
	Key     blob  `json:"key"`
	Created int64 `json:"created"` // Unix ms, as the following
	Seen    int64 `json:"seen"`
	Ends    int64 `json:"ends"`
	Agent   blob  `json:"agent"`
	Addr    blob  `json:"addr"`
	Fields  int64 `json:"fields"`
}

// sessions answers those of a user: key (of the user's list), from, count.
func (d *Dashboard) sessions(ctx context.Context, q *query) (any, error) {
	index, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	prefix, bucket, user, ok := userIndex(index)
	if !ok {
		return nil, bad("key: want that of a user's sessions")
	}
	from, err := q.number("from", 0, 1<<31, 0)
	if err != nil {
		return nil, err
	}
	ids, err := d.st.Do(ctx, "ZRANGE", index, strconv.FormatInt(from, 10), strconv.FormatInt(from+maxPage-1, 10)).Strings()
	if err != nil {
		return nil, err
	}
	var cmds []store.Cmd
	for _, id := range ids {
		key := prefix + "{" + bucket + "}" + id
		cmds = append(cmds, store.Cmd{"HMGET", key, "c", "s", "d", "a", "i", "x"}, store.Cmd{"HLEN", key})
	}
	replies := d.pipe(ctx, cmds)
	out := []sessionRow{}
	for i, id := range ids {
		v, err := replies[2*i].Strings()
		if err != nil || len(v) != 6 || v[0] == "" || v[5] != "" {
			continue // it has ended
		}
		row := sessionRow{ID: blob{s: bucket + id}, Key: blob{s: cmds[2*i][1]}, Agent: clipped(v[3], clipBytes), Addr: clipped(v[4], slowBytes)}
		for j, to := range []*int64{&row.Created, &row.Seen, &row.Ends} {
			*to, _ = store.Digits(v[j], 15)
		}
		n, _ := replies[2*i+1].Int64() //nolint:errcheck // 0
		row.Fields = n
		out = append(out, row)
	}
	answer := map[string]any{"user": blob{s: user}, "prefix": blob{s: prefix}, "sessions": out}
	if len(ids) == maxPage {
		answer["next"] = from + maxPage
	}
	return answer, nil
}

// revokeSessions ends sessions of a user: key (of the user's list), and id for one of them.
func (d *Dashboard) revokeSessions(ctx context.Context, q *query) (any, error) {
	index, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	prefix, _, user, ok := userIndex(index)
	if !ok {
		return nil, bad("key: want that of a user's sessions")
	}
	if d.o.Sessions == nil {
		return nil, failure{403, "this dashboard cannot end sessions: the program gave it no Options.Sessions"}
	}
	sessions, err := d.o.Sessions(prefix)
	if err != nil {
		return nil, err
	}
	n := 0
	if id := q.text("id"); id != "" {
		var found bool
		if found, err = sessions.Revoke(ctx, user, id); found {
			n = 1
		}
	} else {
		n, err = sessions.RevokeAll(ctx, user)
	}
	return map[string]int{"count": n}, err
}
