package dashboard

import (
	"context"
	"time"

	"github.com/larderdb/larder/store"
)

// Bounds of one request that looks for keys. The page goes on from the cursor.
const (
	scanCount = 1000                   // keys that one SCAN looks at
	scanSteps = 200                    // SCANs
	scanTime  = 250 * time.Millisecond // after which no further one begins
	maxFound  = 1000                   // keys of a page; a SCAN may find some more
)

// found is a page of keys.
type found struct {
	keys    []string
	Cursor  string `json:"cursor"`          // where to go on; "0": that was all
	Scanned int64  `json:"scanned"`         // keys looked at, about
	Total   *int64 `json:"total,omitempty"` // keys there are
}

// scan looks for keys until it has found want of them, or has done enough for one request. A pattern of "" or "*" is all keys,
// a type of "" all types.
func (d *Dashboard) scan(ctx context.Context, cursor, match, kind string, want int) (found, error) {
	f := found{Cursor: cursor}
	begin := d.clock.Monotonic()
	for range scanSteps {
		cmd := store.Cmd{"SCAN", f.Cursor, "COUNT", "1000"}
		if match != "" && match != "*" {
			cmd = append(cmd, "MATCH", match)
		}
		if kind != "" {
			cmd = append(cmd, "TYPE", kind)
		}
		list, err := d.st.Do(ctx, cmd...).Array()
		if err != nil {
			return f, err
		}
		if len(list) != 2 {
			return f, store.ErrReply
		}
		if f.Cursor, err = list[0].Text(); err != nil {
			return f, err
		}
		keys, err := list[1].Strings()
		if err != nil {
			return f, err
		}
		f.keys = append(f.keys, keys...)
		f.Scanned += scanCount
		if f.Cursor == "0" || len(f.keys) >= want || d.clock.Monotonic()-begin > scanTime {
			break
		}
	}
	if n, err := d.st.Do(ctx, "DBSIZE").Int64(); err == nil {
		f.Total = &n
	}
	return f, nil
}

// find is scan with the cursor and pattern of a request.
func (d *Dashboard) find(ctx context.Context, q *query, match, kind string, want int) (found, error) {
	cursor, err := q.cursor()
	if err != nil {
		return found{}, err
	}
	if m := q.text("match"); m != "" {
		match = m
	}
	if len(match) > 1<<10 {
		return found{}, bad("match: too long")
	}
	return d.scan(ctx, cursor, match, kind, want)
}

// pipe runs cmds in pipelines of a size that no store minds.
func (d *Dashboard) pipe(ctx context.Context, cmds []store.Cmd) []store.Reply {
	const most = 2000
	out := make([]store.Reply, 0, len(cmds))
	for len(cmds) > 0 {
		n := min(most, len(cmds))
		out = append(out, d.st.Pipe(ctx, cmds[:n]...)...)
		cmds = cmds[n:]
	}
	return out
}

// now is the store's clock in Unix ms, by which patterns keep their times; 0 if it does not tell.
func now(r store.Reply) int64 {
	t, err := r.Ints()
	if err != nil || len(t) != 2 {
		list, err := r.Strings()
		if err != nil || len(list) != 2 {
			return 0
		}
		s, ok1 := store.Digits(list[0], 12)
		us, ok2 := store.Digits(list[1], 6)
		if !ok1 || !ok2 {
			return 0
		}
		return s*1000 + us/1000
	}
	return t[0]*1000 + t[1]/1000
}
