package dashboard

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package lock says how a lock lies in the store: lock/script.go.

// lockRow is a lock in the list.
type lockRow struct {
	Key     blob   `json:"key"`
	Name    blob   `json:"name"`
	Kind    string `json:"kind,omitempty"` // what follows the name in the key
	Token   int64  `json:"token"`          // the last fencing token
	Holder  blob   `json:"holder"`         // of an exclusive lease; empty: none
	Since   int64  `json:"since,omitempty"`
	Left    int64  `json:"left"`    // ms of the exclusive lease
	Shared  int64  `json:"shared"`  // shared holders
	Waiters int64  `json:"waiters"` // tickets in the queue; some may have left without a word
	Free    bool   `json:"free"`

	first, last int64
}

const (
	lockNumber = 8
	lockFree   = 1 + lockNumber
	lockFull   = 1 + 8*lockNumber
	maxLock    = 512 // bytes of a head
)

// lockNumbers reads doubles that are whole and not negative.
func lockNumbers(s string, into ...*int64) bool {
	if len(s) < lockNumber*len(into) {
		return false
	}
	for i, to := range into {
		f := math.Float64frombits(binary.BigEndian.Uint64([]byte(s[lockNumber*i:])))
		if !(f >= 0 && f <= 1<<53) || f != math.Trunc(f) {
			return false
		}
		*to = int64(f)
	}
	return true
}

// readHead reads the state in a lock's first key; false if it is none.
func (l *lockRow) readHead(head string, now int64) bool {
	l.first = 1
	if len(head) == 0 || head[0] != 'L' || len(head) > maxLock {
		return false
	}
	if len(head) == lockFree {
		l.Free = true
		return lockNumbers(head[1:], &l.Token)
	}
	var expiry, claimed, earliest int64
	if len(head) < lockFull || !lockNumbers(head[1:], &l.Token, &expiry, &l.Since, &claimed, &l.Shared, &earliest, &l.first, &l.last) {
		return false
	}
	if holder := head[lockFull:]; holder != "" && expiry > now {
		l.Holder, l.Left = blob{s: ownerOf(holder)}, expiry-now
	}
	l.Waiters = max(l.last-l.first+1, 0)
	l.Free = l.Holder.s == "" && l.Shared == 0 && l.Waiters == 0
	return true
}

// ownerOf is the owner in an id: mode, owner, slash, random number, dot, number.
func ownerOf(id string) string {
	if id != "" {
		id = id[1:]
	}
	if i := strings.LastIndexByte(id, '.'); i >= 0 {
		id = id[:i]
	}
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		id = id[:i]
	}
	return id
}

// locks answers the locks that a scan finds: match, cursor.
func (d *Dashboard) locks(ctx context.Context, q *query) (any, error) {
	f, err := d.find(ctx, q, "lock:{*}*", "string", maxFound)
	if err != nil {
		return nil, err
	}
	cmds := []store.Cmd{{"TIME"}}
	for _, k := range f.keys {
		cmds = append(cmds, store.Cmd{"GETRANGE", k, "0", "512"})
	}
	replies := d.pipe(ctx, cmds)
	clock := now(replies[0])
	out := []lockRow{}
	for i, k := range f.keys {
		head, err := replies[i+1].Text()
		if err != nil {
			continue // gone, or of another type by now
		}
		l := lockRow{Key: blob{s: k}, Name: blob{s: k}}
		if _, name, kind, ok := splitTag(k); ok {
			l.Name, l.Kind = blob{s: name}, strings.TrimPrefix(kind, ":")
		}
		if l.readHead(head, clock) {
			out = append(out, l)
		}
	}
	return struct {
		found
		Locks []lockRow `json:"locks"`
	}{f, out}, nil
}

// claimant is who has a lock, or waits for it.
type claimant struct {
	Owner  blob  `json:"owner"`
	Shared bool  `json:"shared"`
	Token  int64 `json:"token,omitempty"`
	Since  int64 `json:"since,omitempty"` // Unix ms
	Left   int64 `json:"left"`            // ms until it counts as gone, should nothing be heard of it
	ticket int64
}

// lock answers who has a lock and who waits: key.
func (d *Dashboard) lock(ctx context.Context, q *query) (any, error) {
	key, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	r := d.st.Pipe(ctx, store.Cmd{"TIME"}, store.Cmd{"GETRANGE", key, "0", "512"})
	head, err := r[1].Text()
	if err != nil {
		return nil, err
	}
	clock := now(r[0])
	l := lockRow{Key: blob{s: key}}
	if !l.readHead(head, clock) {
		return nil, failure{404, "there is no such lock"}
	}
	holders, waiters := []claimant{}, []claimant{}
	if l.Holder.s != "" {
		holders = append(holders, claimant{Owner: l.Holder, Token: l.Token, Since: l.Since, Left: l.Left})
	}
	reply, cut, err := d.clip(ctx, key+":body", "HSCAN", key+":body", "0", "COUNT", "1000")
	if err != nil {
		return nil, err
	}
	list, err := reply.Array()
	if err != nil || len(list) != 2 {
		return nil, store.ErrReply
	}
	all, err := list[1].Array()
	for i := 0; i+1 < len(all); i += 2 {
		c, waits, ok := l.claimant(unclip(all[i]).s, unclip(all[i+1]).s, clock)
		switch {
		case ok && waits:
			waiters = append(waiters, c)
		case ok && l.Shared > 0:
			holders = append(holders, c)
		}
	}
	slices.SortFunc(waiters, func(a, b claimant) int { return int(a.ticket - b.ticket) })
	return map[string]any{"lock": l, "holders": holders, "waiters": waiters, "cut": cut}, err
}

// claimant reads a field of a lock's second key.
func (l *lockRow) claimant(field, value string, now int64) (c claimant, waits, ok bool) {
	var expiry, claimed int64
	switch {
	case strings.HasPrefix(field, "h") && len(value) == 4*lockNumber:
		if !lockNumbers(value, &expiry, &c.Token, &c.Since, &claimed) {
			return c, false, false
		}
		c.Owner, c.Shared, c.Left = blob{s: ownerOf(field[1:])}, true, expiry-now
	case strings.HasPrefix(field, "w") && len(value) > 3*lockNumber:
		ticket, isTicket := store.Digits(field[1:], 18)
		if !isTicket || ticket < l.first || ticket > l.last || !lockNumbers(value, &expiry) {
			return c, false, false
		}
		id := value[3*lockNumber:]
		c.Owner, c.Shared, c.Left, c.ticket = blob{s: ownerOf(id)}, id[0] == 's', expiry-now, ticket
		waits = true
	}
	return c, waits, c.Left > 0
}
