package lock

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// State is a lock as the store has it at a moment.
type State struct {
	Holders []Holder // by token; empty if the lock is free
	Waiters []Waiter // in the order in which they will be served
	Token   int64    // the last that was given; 0 if none is known
}

// Holder is who has a lock.
type Holder struct {
	Owner  string // as in Options, of the process
	Shared bool   // one of several: a reader, or the holder of a semaphore's place
	Token  int64
	Since  time.Time     // by the store's clock
	TTL    time.Duration // what is left of the lease, should it not be extended
}

// Waiter is who waits for a lock.
type Waiter struct {
	Owner  string
	Shared bool
	TTL    time.Duration // for how long it will count as alive, should nothing be heard of it
}

// Inspect shows who has the lock and who waits for it. A free or unknown lock is no error. It is one round trip, and
// O(n) in holders and waiters.
func (k *Lock) Inspect(ctx context.Context) (State, error) {
	if err := k.check(); err != nil {
		return State{}, k.wrap("inspect", err)
	}
	l := k.l
	ctx, cancel := l.timeout.Bound(ctx)
	defer cancel()
	s, err := parseState(l.st.Run(ctx, inspectScript, k.keys))
	return s, k.wrap("inspect", err)
}

// Inspect is Mutex(name).Inspect(ctx).
func (l *Locker) Inspect(ctx context.Context, name string) (State, error) {
	return l.Mutex(name).Inspect(ctx)
}

func parseState(r store.Reply) (s State, err error) {
	list, err := r.Array()
	if err != nil || len(list) != 3 {
		return s, orShape(err)
	}
	now, err := list[0].Int64()
	if err != nil {
		return s, err
	}
	text, err := list[1].Text()
	if err != nil {
		return s, err
	}
	fields, err := list[2].Map()
	if err != nil || text == "" {
		return s, err
	}
	var h head
	if !h.parse([]byte(text), "") {
		return s, fmt.Errorf("%w: %q is not a lock", store.ErrReply, text)
	}
	s.Token = h.token
	if h.holder != "" && h.expiry > now {
		s.Holders = append(s.Holders, Holder{Owner: ownerOf(h.holder), Token: h.token, Since: time.UnixMilli(h.since),
			TTL: time.Duration(h.expiry-now) * time.Millisecond})
	}
	for field, value := range fields {
		if who, ok := strings.CutPrefix(field, "h"); ok {
			if p, ok := parseSharer(value); ok && p.expiry > now && h.shared > 0 {
				s.Holders = append(s.Holders, Holder{Owner: ownerOf(who), Shared: true, Token: p.token, Since: time.UnixMilli(p.since),
					TTL: time.Duration(p.expiry-now) * time.Millisecond})
			}
		}
	}
	slices.SortFunc(s.Holders, func(a, b Holder) int { return int(a.Token - b.Token) })
	for at := h.first; at <= h.last; at++ {
		if w, ok := parseWaiter(fields["w"+digits(at)]); ok && w.alive > now {
			s.Waiters = append(s.Waiters, Waiter{Owner: ownerOf(w.id), Shared: w.id[0] == 's', TTL: time.Duration(w.alive-now) * time.Millisecond})
		}
	}
	return s, nil
}

func orShape(err error) error {
	if err == nil {
		err = store.ErrReply
	}
	return err
}

// ownerOf is the Options.Owner of the client that an id is of.
func ownerOf(id string) string {
	c := clientOf(id)
	if i := strings.LastIndexByte(c, '/'); i >= 0 {
		return c[:i]
	}
	return c
}
