package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// Leases
//
// Who is about to load a key plants a lease in it: a random token, in an entry without a value where there was none, or in
// the head of the entry that is to be replaced, whose value stays readable. What was loaded is stored by a script that
// does so only if the key still holds that token. Delete removes it with the entry, Set replaces it, the server may lose
// it: in each case the load's value is refused. As all of that happens in one key, it needs no agreement of clocks or of
// processes, works in a Cluster, and costs a miss no round trip more than storing does: the read itself plants the lease
// (SET with NX and GET) where misses are frequent; else it takes one more.
//
// The lease is also what makes loads single across processes: who finds a foreign one waits for its end, of which it is
// told by a message (wait.go), or serves the stale value that stands in the same key. It ends with its process: a lease
// without a value has a short TTL, one in an entry an end by the store's clock; the loading process renews both.
//
// A process that could not end a lease, because the store did not answer, remembers its token as an orphan and takes the
// lease over when it meets it again.
//
// A lease that is lost with the server's memory refuses its fill, so it errs on the side of a miss. A failover to a
// replica that has seen the lease but not the Delete after it is the one way for a stale value to be stored: the store
// itself has then forgotten a write that it had acknowledged.

func token8(t uint64) string { return string(binary.BigEndian.AppendUint64(nil, t)) }

func newToken() uint64 { return rand.Uint64() | 1 } // never 0

// leaseEntry is a lease without a value.
func (c *Cache[T]) leaseEntry(token uint64) string {
	b := append(make([]byte, 0, leaseBytes), c.header[:]...)
	b[flagsAt] |= flagLease
	return string(append(binary.BigEndian.AppendUint64(b, token), stateAlone))
}

// until8 is the end of a lease that begins now.
func (c *Cache[T]) until8(ctx context.Context, d time.Duration) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(c.storeNow(ctx)+d.Milliseconds())))
}

func millis(d time.Duration) string { return strconv.FormatInt(store.Millis(d), 10) }

// bidCmd is the command that plants a flight's lease for its i-th key: it replies nil then, else what is there.
func (c *Cache[T]) bidCmd(ctx context.Context, f *flight[T], i int) call {
	key, planted := c.o.Prefix+f.keys[i], c.leaseEntry(f.tokens[i])
	seen := f.seen[i]
	if seen == nil {
		return call{cmd: store.Cmd{"SET", key, planted, "NX", "GET", "PX", c.leaseMillis}}
	}
	patch := ""
	if len(seen) >= timesEnd && seen[flagsAt]&flagTimes != 0 && seen[1] == layout {
		patch = token8(f.tokens[i]) + "\x00" + c.until8(ctx, c.o.Lease)
	}
	return call{script: bid, key: key, args: []string{planted, c.leaseMillis, string(seen), patch}}
}

// call is a command or a script.
type call struct {
	cmd    store.Cmd
	script *store.Script
	key    string
	args   []string
}

// do makes one call.
func (c *Cache[T]) do(ctx context.Context, k call) store.Reply {
	if k.script != nil {
		return c.st.Run(ctx, k.script, []string{k.key}, k.args...)
	}
	return c.st.Do(ctx, k.cmd...)
}

// run makes calls in one round trip, where the store has round trips.
func (c *Cache[T]) run(ctx context.Context, calls []call) []store.Reply {
	if c.local || len(calls) == 1 {
		replies := make([]store.Reply, len(calls))
		for i, k := range calls {
			replies[i] = c.do(ctx, k)
		}
		return replies
	}
	cmds := make([]store.Cmd, len(calls))
	for i, k := range calls {
		if cmds[i] = k.cmd; k.script != nil {
			cmds[i] = append(store.Cmd{"EVALSHA", k.script.SHA(), "1", k.key}, k.args...)
		}
	}
	replies := c.st.Pipe(ctx, cmds...)
	for i, k := range calls {
		err := replies[i].Err() // the server has been restarted, or the store knows scripts only by Run
		if k.script != nil && (errors.Is(err, store.ErrNoScript) || errors.Is(err, store.ErrUnsupported)) {
			replies[i] = c.st.Run(ctx, k.script, []string{k.key}, k.args...)
		}
	}
	return replies
}

// bid plants the leases of a flight. It returns the indexes of those keys whose lease it has got; the answers of the
// others are set: what was found, or that the caller has to look again.
func (c *Cache[T]) bid(ctx context.Context, f *flight[T]) (won []int) {
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	if clear, known := c.current(); known && len(f.keys) == 1 && c.o.Tags == nil { // nothing to fetch
		c.mu.Lock()
		f.now[0].clear = clear
		c.mu.Unlock()
		if c.bidden(ctx, f, 0, c.do(bounded, c.bidCmd(bounded, f, 0)), epochs{clear: clear}) {
			return f.all()
		}
		return nil
	}
	replies, now, err := c.bidAll(bounded, f)
	if err != nil {
		for i, key := range f.keys {
			f.answers[i] = answer[T]{alone: true}
			c.orphan(f.tokens[i])
			c.storeFailed(ctx, "lease", key, err)
		}
		return nil
	}
	c.mu.Lock()
	copy(f.now, now)
	c.mu.Unlock()
	for i, r := range replies {
		if c.bidden(ctx, f, i, r, now[i]) {
			won = append(won, i)
		}
	}
	return won
}

// bidden takes the reply to one bid; true if it has planted the lease.
func (c *Cache[T]) bidden(ctx context.Context, f *flight[T], i int, r store.Reply, now epochs) bool {
	text, there, err := r.Lookup()
	switch {
	case err != nil:
		f.answers[i] = answer[T]{alone: true}
		c.refusedBid(ctx, f, i, err)
	case !there:
		return true
	default:
		f.answers[i] = c.found(ctx, f.keys[i], []byte(text), now)
	}
	return false
}

// bidAll sends the bids and, before them in the same round trip, what fetches the epochs.
func (c *Cache[T]) bidAll(ctx context.Context, f *flight[T]) (replies []store.Reply, now []epochs, err error) {
	asked := c.ask()
	now = make([]epochs, len(f.keys))
	type part struct {
		tags    []string
		planted []uint64
		from    int
	}
	parts := make([]part, len(f.keys))
	var cmds []store.Cmd
	for i, key := range f.keys {
		parts[i].from = len(cmds)
		if parts[i].tags, err = c.tagsOf(key); err != nil {
			return nil, nil, err
		}
		cmds, now[i], parts[i].planted = c.plantCmds(cmds, parts[i].tags)
	}
	calls := make([]call, 0, len(cmds)+len(f.keys))
	for _, cmd := range cmds {
		calls = append(calls, call{cmd: cmd})
	}
	for i := range f.keys {
		calls = append(calls, c.bidCmd(ctx, f, i))
	}
	replies = c.run(ctx, calls)
	for i := range f.keys {
		if err := c.collect(&now[i], parts[i].tags, parts[i].planted, asked, replies[parts[i].from:len(cmds)]); err != nil {
			return nil, nil, err
		}
	}
	if len(cmds) > 0 {
		c.prolong(ctx)
	}
	return replies[len(cmds):], now, nil
}

// refusedBid takes note of a store that does not let this process write. Reads go by GET for a while then: what is
// there can still be read.
func (c *Cache[T]) refusedBid(ctx context.Context, f *flight[T], i int, err error) {
	var answered store.ServerError
	c.orphan(f.tokens[i]) // it may have been planted
	if errors.As(err, &answered) {
		f.answers[i].unread = f.seen[i] == nil
		if !foreignKey(err) {
			c.chill.Store(-chillMost)
		}
	}
	c.storeFailed(ctx, "lease", f.keys[i], err)
}

// found turns an entry that stood in a bid's way into an answer.
func (c *Cache[T]) found(ctx context.Context, key string, b []byte, now epochs) (a answer[T]) {
	r, err := c.view(ctx, key, b, &now, &a.v)
	switch {
	case err != nil:
		c.storeFailed(ctx, "get", key, err)
		a.alone = true
	case r.outcome == hit, r.outcome == stale:
		a.outcome = r.outcome
	case r.outcome == negative:
		a.outcome, a.err = negative, c.notFound(key)
	default:
		a.again = true
	}
	return a
}

// settle ends the leases of a flight: what was loaded is stored, the rest released.
func (c *Cache[T]) settle(f *flight[T], won []int) {
	bounded, cancel := c.timeout.Bound(&f.scope)
	defer cancel()
	if len(won) == 1 {
		k := c.ending(bounded, f, won[0])
		awaited, stored := c.settled(bounded, f, won[0], k.script, c.do(bounded, k))
		if awaited {
			c.publish(bounded, f.keys[won[0]:won[0]+1])
		}
		if stored && c.near != nil {
			c.near.announce(bounded, k.key)
		}
		return
	}
	calls := make([]call, 0, len(won))
	for _, i := range won {
		calls = append(calls, c.ending(bounded, f, i))
	}
	var over, filled []string
	for n, r := range c.run(bounded, calls) {
		awaited, stored := c.settled(bounded, f, won[n], calls[n].script, r)
		if awaited {
			over = append(over, f.keys[won[n]])
		}
		if stored {
			filled = append(filled, calls[n].key)
		}
	}
	c.publish(bounded, over)
	c.near.announce(bounded, filled...)
}

// settled takes the reply to one ending. awaited tells that others may wait for it, stored that the key has changed.
func (c *Cache[T]) settled(ctx context.Context, f *flight[T], i int, by *store.Script, r store.Reply) (awaited, stored bool) {
	key := f.keys[i]
	done, err := r.Int64()
	if err != nil {
		c.orphan(f.tokens[i])
		c.storeFailed(ctx, "set", key, err)
		return false, false
	}
	if by == fill && done == 0 {
		c.n.refused.Add(1)
		c.event(ctx, "refused", key)
	}
	if stored = by == fill && done > 0; stored {
		c.near.drop(key) // a refresh has replaced what was near
	}
	return done != 1, stored
}

// ending is the call that ends one lease.
func (c *Cache[T]) ending(ctx context.Context, f *flight[T], i int) call {
	key, token := c.o.Prefix+f.keys[i], token8(f.tokens[i])
	a := &f.answers[i]
	missing := a.err != nil && errors.Is(a.err, ErrNotFound)
	if !c.mayStore(f, i) || a.err != nil && !missing {
		op := leaseRelease
		if a.err != nil && c.o.FailSafe > 0 && len(f.seen[i]) >= timesEnd {
			op = leaseHold
		}
		return call{script: lease, key: key, args: []string{op, token, c.until8(ctx, c.o.RetryAfter), millis(c.o.RetryAfter)}}
	}
	if missing && c.o.NegativeTTL == 0 {
		return call{script: fill, key: key, args: []string{token, "", "1"}}
	}
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	entry, ttl, err := c.encode(ctx, (*buf)[:0], &a.v, a.err, &f.now[i], f.took)
	if *buf = entry; err != nil {
		c.report(ctx, "set", f.keys[i], err)
		return call{script: lease, key: key, args: []string{leaseRelease, token, token, "1"}}
	}
	return call{script: fill, key: key, args: []string{token, string(entry), millis(ttl)}}
}

// mayStore is false for a key that was invalidated in this process meanwhile. The store would refuse it as well, unless
// the invalidation did not get there.
func (c *Cache[T]) mayStore(f *flight[T], i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !f.dropped[f.keys[i]] && !f.abandoned
}

// release gives leases back that came to nothing.
func (c *Cache[T]) release(f *flight[T], won []int) {
	ctx, cancel := c.timeout.Bound(&f.scope)
	defer cancel()
	calls := make([]call, 0, len(won))
	for _, i := range won {
		token := token8(f.tokens[i])
		calls = append(calls, call{script: lease, key: c.o.Prefix + f.keys[i], args: []string{leaseRelease, token, token, "1"}})
	}
	if len(calls) == 0 {
		return
	}
	var over []string
	for n, r := range c.run(ctx, calls) {
		if done, err := r.Int64(); err != nil {
			c.orphan(f.tokens[won[n]])
			c.storeFailed(ctx, "release", f.keys[won[n]], err)
		} else if done == 2 {
			over = append(over, f.keys[won[n]])
		}
	}
	c.publish(ctx, over)
}

// Leases are renewed for all flights of the process together, four times in their time while there are any: those that
// were there the time before, which leaves most loads alone. So a lease is renewed when it has half of its time left.
const renewals = 4

// renew has the leases of a flight kept alive while its loader is at work.
func (c *Cache[T]) renew(f *flight[T], won []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.loading = won
	if !c.renewing {
		c.renewing = true
		c.renewLater()
	}
}

// renewLater renews what is there now, after a while.
func (c *Cache[T]) renewLater() {
	upTo := c.seq.Load()
	c.clk.AfterFunc(c.o.Lease/renewals, func() { go c.renewAll(upTo) })
}

// renewAll ends with the last flight.
func (c *Cache[T]) renewAll(upTo uint64) {
	var calls []call
	c.mu.Lock()
	for token, f := range c.flights {
		for _, i := range f.loading {
			if f.seq <= upTo && f.tokens[i] == token {
				calls = append(calls, call{script: lease, key: c.o.Prefix + f.keys[i], args: []string{leaseRenew, token8(token), "", c.leaseMillis}})
			}
		}
	}
	c.mu.Unlock()
	if len(calls) > 0 {
		ctx, cancel := c.timeout.Bound(context.Background())
		until := c.until8(ctx, c.o.Lease)
		for i := range calls {
			calls[i].args[2] = until
		}
		c.run(ctx, calls) // what cannot be renewed ends; then the fill is refused
		cancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.renewing = len(c.flights) > 0; c.renewing {
		c.renewLater()
	}
}

// maxOrphans bounds the tokens that are remembered. What is forgotten ends by its TTL.
const maxOrphans = 1024

func (c *Cache[T]) orphan(token uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.orphans) >= maxOrphans {
		clear(c.orphans)
	}
	c.orphans[token] = struct{}{}
}
