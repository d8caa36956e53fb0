package dashboard

import (
	"context"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package ratelimit says how limits lie in the store: log.go, meter.go, lease_script.go and block.go there. The limits themselves are
// in the programs, so the store alone tells what an id has used, and whether it is blocked; Options.Limiters tell the rest.

// limitRow is what an id has used.
type limitRow struct {
	Key      blob      `json:"key"`
	Kind     string    `json:"kind"`              // log, bucket, gcra, window, counter, leases
	Used     int64     `json:"used"`              // units: in the log or window, in the bucket when it was last used, in leases now
	Minute   *int64    `json:"minute,omitempty"`  // units of the last minute, of a log
	Last     int64     `json:"last,omitempty"`    // Unix ms of the last change
	Free     int64     `json:"free,omitempty"`    // Unix ms at which all is free again, of GCRA and leases
	Blocked  int64     `json:"blocked,omitempty"` // Unix ms until which it is blocked
	TTL      int64     `json:"ttl"`
	Standing *standing `json:"standing,omitempty"`
}

type standing struct {
	Limit     int64 `json:"limit"`
	Remaining int64 `json:"remaining"`
	Retry     int64 `json:"retry"` // ms
}

const (
	logHead   = 6
	logEntry  = 12
	logTail   = 256*logEntry + 6 // bytes of a log that are looked at
	meterSlot = 22
	maxMeter  = 16*meterSlot + 6
	leaseSize = 20
	trailer   = 6 // of a block
	maxPeeks  = 100
)

// big reads a big-endian integer.
func big(s string) (n int64) {
	for i := range len(s) {
		n = n<<8 | int64(s[i])
	}
	return n
}

// limits answers the limits that a scan finds: match, cursor.
func (d *Dashboard) limits(ctx context.Context, q *query) (any, error) {
	f, err := d.find(ctx, q, "rl:*", "string", maxFound/2)
	if err != nil {
		return nil, err
	}
	cmds := []store.Cmd{{"TIME"}}
	for _, k := range f.keys {
		cmds = append(cmds, store.Cmd{"STRLEN", k}, store.Cmd{"GETRANGE", k, "0", "511"}, store.Cmd{"GETRANGE", k, "-3078", "-1"}, store.Cmd{"PTTL", k})
	}
	replies := d.pipe(ctx, cmds)
	clock := now(replies[0])
	out := []limitRow{}
	for i, k := range f.keys {
		r := replies[1+4*i:]
		size, err := r[0].Int64()
		head, err1 := r[1].Text()
		tail, err2 := r[2].Text()
		ttl, err3 := r[3].Int64()
		if err != nil || err1 != nil || err2 != nil || err3 != nil || size == 0 {
			continue // gone, or of another type by now
		}
		row := limitRow{Key: blob{s: k}, TTL: ttl}
		if row.read(k, limitText{size, head, tail}, clock) {
			out = append(out, row)
		}
	}
	slices.SortStableFunc(out, func(a, b limitRow) int {
		if (a.Blocked > 0) != (b.Blocked > 0) {
			return int(b.Blocked - a.Blocked)
		}
		return int(b.Used - a.Used)
	})
	return struct {
		found
		Limits []limitRow `json:"limits"`
	}{f, d.stand(ctx, out)}, nil
}

// stand asks the program's limiters where ids stand.
func (d *Dashboard) stand(ctx context.Context, rows []limitRow) []limitRow {
	asked := 0
	for i := range rows {
		for _, l := range d.o.Limiters {
			id, ok := strings.CutPrefix(rows[i].Key.s, l.Prefix)
			if !ok || id == "" || asked == maxPeeks {
				continue
			}
			asked++
			if s, err := l.Peek(ctx, id); err == nil {
				rows[i].Standing = &standing{s.Limit, s.Remaining, s.RetryAfter.Milliseconds()}
			}
			break
		}
	}
	return rows
}

// limitText is the value of a key as far as it was read: all of it if it is short, else its beginning and its end.
type limitText struct {
	size       int64
	head, tail string
}

// read recognises a limit by its prefix where that is the usual one, else by its form; false if it is none.
func (l *limitRow) read(key string, t limitText, now int64) bool {
	switch {
	case strings.HasPrefix(key, "rl:lease:"):
		return l.readLeases(t, now)
	case strings.HasPrefix(key, "rl:log:"):
		return l.readLog(t, now)
	case strings.HasPrefix(key, "rl:meter:"):
		return l.readMeters(t, now)
	}
	return l.readMeters(t, now) || l.readLog(t, now) || l.readLeases(t, now)
}

// sane tells whether a Unix ms is one of these years.
func sane(ms int64) bool { return ms > 1e12 && ms < 1e13 }

// cutBlock takes a trailer off, where the size says that there is one.
func (l *limitRow) cutBlock(t *limitText, head, entry int64, now int64) bool {
	switch (t.size - head) % entry {
	case 0:
		return t.size >= head
	case trailer:
		if len(t.tail) < trailer {
			return false
		}
		if till := big(t.tail[len(t.tail)-trailer:]); till > now {
			l.Blocked = till
		}
		t.size -= trailer
		t.tail = t.tail[:len(t.tail)-trailer]
		return t.size >= head
	}
	return false
}

// readLog reads a log: base, then times with running sums.
func (l *limitRow) readLog(t limitText, now int64) bool {
	if !l.cutBlock(&t, logHead, logEntry, now) || len(t.head) < logHead {
		return false
	}
	l.Kind = "log"
	minute := int64(0)
	l.Minute = &minute
	entries := int(min((t.size-logHead)/logEntry, int64(len(t.tail)/logEntry)))
	if entries == 0 {
		return l.Blocked > 0
	}
	const wrap = 1<<48 - 1
	all := t.tail[len(t.tail)-entries*logEntry:]
	total := big(all[len(all)-6:])
	l.Last = big(all[len(all)-logEntry : len(all)-6])
	l.Used = (total - big(t.head[:logHead])) & wrap
	if !sane(l.Last) || l.Used > 1<<44 {
		return false
	}
	before := big(t.head[:logHead])
	if int64(entries) < (t.size-logHead)/logEntry { // the sum before what was read is not known: leave out the first
		before = big(all[6:logEntry])
	}
	for at := 0; at < len(all); at += logEntry {
		if big(all[at:at+6]) > now-60_000 {
			break
		}
		before = big(all[at+6 : at+logEntry])
	}
	minute = (total - before) & wrap
	return true
}

var meterKinds = map[byte]string{'b': "bucket", 'g': "gcra", 'f': "window", 's': "counter"}

// readMeters reads the slots of all rules; the row tells of the one with most units.
func (l *limitRow) readMeters(t limitText, now int64) bool {
	if t.size > maxMeter || int64(len(t.head)) < t.size || !l.cutBlock(&t, 0, meterSlot, now) {
		return false
	}
	for at := 0; at < int(t.size); at += meterSlot {
		s := t.head[at : at+meterSlot]
		kind := meterKinds[s[0]]
		a, b := big(s[1:8]), big(s[8:15])
		if kind == "" || !sane(a) && a != 0 {
			return false
		}
		if kind == "bucket" && big(s[15:]) > 0 {
			b++ // a part of a unit has not come back
		}
		if l.Kind == "" || b > l.Used {
			l.Kind = kind
		}
		if kind == "gcra" {
			l.Free = max(l.Free, a)
			continue
		}
		l.Used, l.Last = max(l.Used, b), max(l.Last, a)
	}
	return l.Kind != "" || l.Blocked > 0
}

// readLeases adds up the units of those that have not ended.
func (l *limitRow) readLeases(t limitText, now int64) bool {
	if t.size%leaseSize != 0 {
		return false
	}
	all := t.tail[:len(t.tail)/leaseSize*leaseSize]
	if int64(len(t.tail)) < t.size { // the tail begins within a lease
		all = t.tail[len(t.tail)%leaseSize:]
	}
	l.Kind = "leases"
	for at := 0; at < len(all); at += leaseSize {
		till, units := big(all[at+8:at+14]), big(all[at+14:at+20])
		if !sane(till) {
			return false
		}
		if till > now {
			l.Used, l.Free = l.Used+units, max(l.Free, till)
		}
	}
	return true
}
