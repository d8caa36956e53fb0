package dashboard

import (
	"context"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package cache says how an entry lies in the store: cache/entry.go. A cache keeps an epoch at PREFIX, NUL, "clear", which tells that
// there is one, and how its keys begin.

// cacheRow is a cache, with what the page of entries that was looked at adds up to. The page adds up the pages.
type cacheRow struct {
	Prefix  blob            `json:"prefix"`
	Entries int64           `json:"entries"`
	Bytes   int64           `json:"bytes"`   // of values, without keys
	Loading int64           `json:"loading"` // somebody has the lease and loads
	Absent  int64           `json:"absent"`  // "there is no such thing"
	Stale   int64           `json:"stale"`   // past their time, kept to be refreshed or in case the source fails
	Tagged  int64           `json:"tagged"`
	Foreign int64           `json:"foreign"` // keys with the prefix that are no entries
	TTL     [ttlSteps]int64 `json:"ttl"`     // entries by what is left: up to a minute, an hour, a day, a week, more, and for ever
}

const ttlSteps = 6

const clearSuffix = "\x00clear"

// What an entry begins with.
const (
	entryMagic  = 0xCA
	entryLayout = 1
	entryFlags  = 2
	entryFresh  = 32 // where fresh stands: 8 bytes
	entryRead   = 44 // bytes that are looked at
)

// caches answers the caches that a scan finds: match, cursor. With prefix it answers what a page of that cache's entries adds up to.
func (d *Dashboard) caches(ctx context.Context, q *query) (any, error) {
	if q.text("prefix") != "" {
		return d.cacheEntries(ctx, q)
	}
	f, err := d.find(ctx, q, "*\x00clear", "string", maxFound)
	if err != nil {
		return nil, err
	}
	out := []cacheRow{}
	for _, k := range f.keys {
		if prefix, ok := strings.CutSuffix(k, clearSuffix); ok {
			out = append(out, cacheRow{Prefix: blob{s: prefix}})
		}
	}
	return struct {
		found
		Caches []cacheRow `json:"caches"`
	}{f, out}, nil
}

// globbed is s as a pattern that matches it alone.
func globbed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(`*?[]\^-`, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (d *Dashboard) cacheEntries(ctx context.Context, q *query) (any, error) {
	prefix, err := q.bytes("prefix")
	if err != nil {
		return nil, err
	}
	cursor, err := q.cursor()
	if err != nil {
		return nil, err
	}
	f, err := d.scan(ctx, cursor, globbed(prefix)+"*", "", maxFound)
	if err != nil {
		return nil, err
	}
	cmds := []store.Cmd{{"TIME"}}
	for _, k := range f.keys {
		cmds = append(cmds, store.Cmd{"STRLEN", k}, store.Cmd{"GETRANGE", k, "0", "43"}, store.Cmd{"PTTL", k})
	}
	replies := d.pipe(ctx, cmds)
	clock := now(replies[0])
	row := cacheRow{Prefix: blob{s: prefix}}
	for i, k := range f.keys {
		if strings.HasPrefix(k[min(len(prefix), len(k)):], "\x00") {
			continue // epochs
		}
		r := replies[1+3*i:]
		size, err := r[0].Int64()
		head, err1 := r[1].Text()
		ttl, err2 := r[2].Int64()
		switch {
		case ttl == -2 || err2 != nil: // gone
		case err != nil || err1 != nil:
			row.Foreign++
		default:
			row.add(size, head, ttl, clock)
		}
	}
	return struct {
		found
		Cache cacheRow `json:"cache"`
	}{f, row}, nil
}

// add counts an entry by its first bytes.
func (c *cacheRow) add(size int64, head string, ttl, now int64) {
	const absent, lease, times, tags = 1, 2, 4, 8
	if len(head) < 15 || head[0] != entryMagic || head[1] != entryLayout {
		c.Foreign++
		return
	}
	flags := head[entryFlags]
	if flags&lease != 0 {
		c.Loading++
		return
	}
	c.Entries++
	c.Bytes += size
	if flags&absent != 0 {
		c.Absent++
	}
	if flags&tags != 0 {
		c.Tagged++
	}
	if flags&times != 0 && len(head) >= entryFresh+8 {
		if fresh := big(head[entryFresh : entryFresh+8]); fresh != 0 && fresh < now {
			c.Stale++
		}
	}
	c.TTL[ttlStep(ttl)]++
}

func ttlStep(ms int64) int {
	if ms < 0 {
		return ttlSteps - 1
	}
	for i, most := range []int64{60_000, 3_600_000, 86_400_000, 7 * 86_400_000} {
		if ms <= most {
			return i
		}
	}
	return ttlSteps - 2
}
