package dashboard

import (
	"context"
	"errors"
	"strconv"

	"github.com/larderdb/larder/store"
)

// keyRow is a key in a list.
type keyRow struct {
	Key   blob   `json:"key"`
	Type  string `json:"type"` // empty: the dashboard's user may not look at the key
	TTL   int64  `json:"ttl"`  // ms; -1: none
	Bytes *int64 `json:"bytes,omitempty"`
}

// maxKey is the longest key that a list tells whole, in bytes. A longer one is cut, and cannot be opened.
const maxKey = 16 << 10

// keys answers a page of keys: match, type, cursor, count.
func (d *Dashboard) keys(ctx context.Context, q *query) (any, error) {
	want, err := q.number("count", 1, maxPage, pageElements)
	if err != nil {
		return nil, err
	}
	f, err := d.find(ctx, q, "*", q.text("type"), int(want))
	if err != nil {
		return nil, err
	}
	cmds := make([]store.Cmd, 0, 3*len(f.keys))
	for _, k := range f.keys {
		cmds = append(cmds, store.Cmd{"TYPE", k}, store.Cmd{"PTTL", k}, store.Cmd{"MEMORY", "USAGE", k})
	}
	replies := d.pipe(ctx, cmds)
	rows := make([]keyRow, 0, len(f.keys))
	for i, k := range f.keys {
		row := keyRow{Key: clipped(k, maxKey)}
		// SCAN names keys that a user of the store's ACL may not touch.
		if row.Type, err = replies[3*i].Text(); err != nil && !errors.Is(err, store.ErrDenied) {
			return nil, err
		}
		if row.TTL, err = replies[3*i+1].Int64(); errors.Is(err, store.ErrDenied) {
			row.Type, row.TTL = "", -1
		} else if err != nil {
			return nil, err
		}
		if row.TTL == -2 {
			continue // gone meanwhile
		}
		if n, err := replies[3*i+2].Int64(); err == nil {
			row.Bytes = &n
		}
		rows = append(rows, row)
	}
	return struct {
		found
		Keys []keyRow `json:"keys"`
	}{f, rows}, nil
}

// keyFacts is what every key has.
type keyFacts struct {
	Key      blob   `json:"key"`
	Type     string `json:"type"`
	TTL      int64  `json:"ttl"`
	Encoding string `json:"encoding,omitempty"`
	Bytes    *int64 `json:"bytes,omitempty"`
	Idle     *int64 `json:"idle,omitempty"` // s
	Freq     *int64 `json:"freq,omitempty"`
	Length   *int64 `json:"length,omitempty"` // bytes of a string, elements of anything else
	Value    any    `json:"value,omitempty"`
	Problem  string `json:"problem,omitempty"` // why there is no Value
}

// lengths are the commands that tell how long a value is.
var lengths = map[string]string{
	"string": "STRLEN", "hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN",
}

// key answers a key and a piece of its value.
func (d *Dashboard) key(ctx context.Context, q *query) (any, error) {
	key, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	// OBJECT first, before the value is touched.
	r := d.st.Pipe(ctx, store.Cmd{"OBJECT", "IDLETIME", key}, store.Cmd{"OBJECT", "FREQ", key}, store.Cmd{"TYPE", key},
		store.Cmd{"PTTL", key}, store.Cmd{"OBJECT", "ENCODING", key}, store.Cmd{"MEMORY", "USAGE", key})
	f := keyFacts{Key: blob{s: key}}
	if f.Type, err = r[2].Text(); err != nil {
		return nil, err
	}
	if f.Type == "none" {
		return nil, failure{404, "there is no such key; it may have expired"}
	}
	if f.TTL, err = r[3].Int64(); err != nil {
		return nil, err
	}
	f.Encoding, _, _ = r[4].Lookup() //nolint:errcheck // not every store tells
	for i, to := range map[int]**int64{0: &f.Idle, 1: &f.Freq, 5: &f.Bytes} {
		if n, err := r[i].Int64(); err == nil {
			*to = &n
		}
	}
	if command := lengths[f.Type]; command != "" {
		n, err := d.st.Do(ctx, command, key).Int64()
		if err != nil {
			return nil, err
		}
		f.Length = &n
	}
	f.Value, err = d.value(ctx, &f, key, q)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *Dashboard) deleteKey(ctx context.Context, q *query) (any, error) {
	key, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	n, err := d.st.Do(ctx, "UNLINK", key).Int64()
	return map[string]int64{"deleted": n}, err
}

// expireKey sets a TTL in ms, or takes it away: -1.
func (d *Dashboard) expireKey(ctx context.Context, q *query) (any, error) {
	key, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	const longest = 100 * 365 * 24 * 3600 * 1000
	ttl, err := q.number("ttl", -1, longest, 0)
	if err != nil || ttl == 0 {
		return nil, bad("ttl: want milliseconds, up to a century, or -1 for none")
	}
	cmd := store.Cmd{"PERSIST", key}
	if ttl > 0 {
		cmd = store.Cmd{"PEXPIRE", key, strconv.FormatInt(ttl, 10)}
	}
	changed, err := d.st.Do(ctx, cmd...).Bool()
	return map[string]bool{"changed": changed}, err
}
