package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/store"
)

// Epochs
//
// A tag has an epoch, a random number in a key of its own. An entry carries the epochs that its tags had before its load
// began; a read fetches them together with the entry, in the same round trip, and takes an entry with other ones for a
// miss. So InvalidateTags is one write for each tag, however many entries have it, there are no sets of members to keep,
// and a load that began before the invalidation makes an entry that nobody takes.
//
// An epoch that is missing (expired, evicted, lost with its server) equals none: reads miss, and the next load plants a
// new random number, which never occurred before. So losing epochs costs loads, and revives nothing.
//
// The namespace has an epoch too, which Clear changes, but no read fetches it: a process may go by what it fetched for
// clearLease, counted from before it asked, and Clear returns only when that has passed since the new epoch was
// written. By then nobody goes by the old one. It takes no agreement of clocks, only that they run equally fast; and it
// costs one GET, sent along with another, per process and clearLease.

// clearLease is for how long a process goes by an epoch of the namespace that it has fetched.
const clearLease = 500 * time.Millisecond

// How long epochs live. The namespace's is prolonged while it is in use; when a tag's ends, its entries are loaded anew.
const (
	clearLife   = 30 * 24 * time.Hour
	clearRenew  = 24 * time.Hour // how often a process looks after it
	tagLives    = 10             // hard TTLs
	leastTagTTL = time.Hour
)

// reserved begins the keys, after the prefix, that are not entries.
const reserved = "\x00"

// namespace is what a process knows of the namespace's epoch.
type namespace struct {
	mu      sync.Mutex    // for those who write epoch, until and revoked
	revoked atomic.Uint64 // how often
	epoch   atomic.Uint64 // written before until
	until   atomic.Int64  // by the monotonic clock, ns; 0: never fetched
	renewal atomic.Int64  // when to look after its TTL
}

// current is the epoch if this process may still go by it.
func (c *Cache[T]) current() (epoch uint64, ok bool) {
	until := c.ns.until.Load()
	return c.ns.epoch.Load(), until != 0 && int64(c.clk.Monotonic()) < until
}

// asking is what is to be noted before the epoch is asked for.
type asking struct {
	at      time.Duration // by the monotonic clock
	revoked uint64
}

func (c *Cache[T]) ask() asking { return asking{c.clk.Monotonic(), c.ns.revoked.Load()} }

// learn notes an epoch. 0: there is none.
func (c *Cache[T]) learn(epoch uint64, asked asking) uint64 {
	c.ns.mu.Lock()
	defer c.ns.mu.Unlock()
	if epoch != 0 && c.ns.revoked.Load() == asked.revoked {
		c.ns.epoch.Store(epoch)
		c.ns.until.Store(int64(asked.at + clearLease))
	}
	return epoch
}

// revoke makes this process ask again, also where an answer is on its way: the epoch has changed.
func (c *Cache[T]) revoke() {
	c.ns.mu.Lock()
	defer c.ns.mu.Unlock()
	c.ns.revoked.Add(1)
	c.ns.until.Store(0)
}

// epochs are what entries are held against.
type epochs struct {
	clear uint64 // 0: unknown, equals none
	fresh bool   // clear was fetched for this very read
	tags  []byte // as in an entry: hash of the names, epoch of each; nil without tags
}

// valid tells whether an entry is of the present.
func (c *Cache[T]) valid(ctx context.Context, e *entry, now *epochs) bool {
	if string(e.tags) != string(now.tags) { // an epoch that is missing is 0 there, and no entry's
		return false
	}
	if e.clear != now.clear && !now.fresh { // the entry may be newer than what this process goes by
		asked := c.ask()
		clear, err := epochOf(c.st.Do(ctx, "GET", c.clearKey))
		if err != nil {
			return false
		}
		now.clear, now.fresh = c.learn(clear, asked), true
	}
	return e.clear == now.clear && now.clear != 0
}

// epochOf reads an epoch's key: 0 if it is missing, or broken.
func epochOf(r store.Reply) (uint64, error) {
	s, ok, err := r.Lookup()
	if err != nil || !ok || len(s) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64([]byte(s)), nil
}

// newEpoch is a number that never was an epoch.
func newEpoch() (text string, n uint64) {
	n = rand.Uint64() | 1 // never 0
	return string(binary.BigEndian.AppendUint64(nil, n)), n
}

// plant is the command that reads an epoch, and makes one if there is none. It replies nil then.
func plant(key string, ttl time.Duration) (store.Cmd, uint64) {
	text, n := newEpoch()
	return store.Cmd{"SET", key, text, "NX", "GET", "PX", millis(ttl)}, n
}

func tagBytes(n int) int { return 1 + 4 + 8*n }

// maxTags is how many tags a key may have; its entry counts them in a byte.
const maxTags = 64

// tagsOf gives a key's tags, nil if the cache has none.
func (c *Cache[T]) tagsOf(key string) (tags []string, err error) {
	if c.o.Tags == nil {
		return nil, nil
	}
	defer func() { // it may be called on a goroutine that is not its caller's
		if p := recover(); p != nil {
			tags, err = nil, fmt.Errorf("%w: Tags panicked for %q: %v", store.ErrInvalid, key, p)
		}
	}()
	tags = c.o.Tags(key)
	if len(tags) > maxTags {
		return nil, fmt.Errorf("%w: %d tags, want at most %d", store.ErrInvalid, len(tags), maxTags)
	}
	return tags, nil
}

// hashTags begins the form that tags have in an entry.
func hashTags(tags []string) []byte {
	if len(tags) == 0 {
		return nil
	}
	h := fnv.New32a()
	for _, t := range tags {
		_, _ = h.Write(append([]byte(t), 0)) // a hash never fails
	}
	return h.Sum(make([]byte, 0, 4+8*len(tags)))
}

func (c *Cache[T]) tagKey(tag string) string { return c.o.Prefix + reserved + "tag:" + tag }

// tagTTL is how long a tag's epoch lives.
func (c *Cache[T]) tagTTL() time.Duration {
	return max(tagLives*(c.o.TTL+c.grace), leastTagTTL)
}

// readCmds are the commands that fetch the epochs for a read; none if there are no tags and the namespace's is known.
func (c *Cache[T]) readCmds(cmds []store.Cmd, tags []string) (_ []store.Cmd, now epochs) {
	clear, ok := c.current()
	if now.clear = clear; !ok {
		cmds = append(cmds, store.Cmd{"GET", c.clearKey})
		now.fresh = true
	}
	for _, t := range tags {
		cmds = append(cmds, store.Cmd{"GET", c.tagKey(t)})
	}
	return cmds, now
}

// plantCmds are readCmds for who is about to load or store: what is missing is made. planted has the numbers for the
// replies that are nil.
func (c *Cache[T]) plantCmds(cmds []store.Cmd, tags []string) (_ []store.Cmd, now epochs, planted []uint64) {
	add := func(key string, ttl time.Duration) {
		cmd, n := plant(key, ttl)
		cmds, planted = append(cmds, cmd), append(planted, n)
	}
	clear, ok := c.current()
	if now.clear = clear; !ok {
		add(c.clearKey, clearLife)
		now.fresh = true
	}
	for _, t := range tags {
		add(c.tagKey(t), c.tagTTL())
	}
	return cmds, now, planted
}

// collect reads the replies to readCmds or plantCmds.
func (c *Cache[T]) collect(now *epochs, tags []string, planted []uint64, asked asking, replies []store.Reply) error {
	at := 0
	next := func() (uint64, error) {
		n, err := epochOf(replies[at])
		if n == 0 && err == nil && planted != nil && replies[at].IsNil() {
			n = planted[at]
		}
		at++
		return n, err
	}
	if now.fresh {
		n, err := next()
		if err != nil {
			return err
		}
		now.clear = c.learn(n, asked)
	}
	now.tags = hashTags(tags)
	for range tags {
		n, err := next()
		if err != nil {
			return err
		}
		now.tags = binary.BigEndian.AppendUint64(now.tags, n)
	}
	return nil
}

// plantEpochs fetches the epochs for a key that is about to be stored.
func (c *Cache[T]) plantEpochs(ctx context.Context, key string) (epochs, error) {
	tags, err := c.tagsOf(key)
	if err != nil {
		return epochs{}, err
	}
	asked := c.ask()
	cmds, now, planted := c.plantCmds(nil, tags)
	if len(cmds) == 0 {
		return now, nil
	}
	err = c.collect(&now, tags, planted, asked, c.st.Pipe(ctx, cmds...))
	c.prolong(ctx)
	return now, err
}

// prolong sees now and then that the namespace's epoch does not end while it is in use. A failure waits for the next time.
func (c *Cache[T]) prolong(ctx context.Context) {
	due := c.ns.renewal.Load()
	now := int64(c.clk.Monotonic())
	if now < due || !c.ns.renewal.CompareAndSwap(due, now+int64(clearRenew)) {
		return
	}
	if left, err := c.st.Do(ctx, "PTTL", c.clearKey).Int64(); err == nil && left < (clearLife/2).Milliseconds() {
		c.st.Do(ctx, "PEXPIRE", c.clearKey, millis(clearLife))
	}
}

// InvalidateTags makes every entry with one of the tags a miss, in one round trip, whatever their number. A load that is
// under way, in any process, makes no entry that counts; callers who come after InvalidateTags has returned do not get
// its value. With Options.FailSafe the values are kept for when the source fails. An error means that some of the tags
// may not have been invalidated.
func (c *Cache[T]) InvalidateTags(ctx context.Context, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	c.near.dropTags(tags)
	defer c.near.dropTags(tags)
	cmds, keys := make([]store.Cmd, len(tags)), make([]string, len(tags))
	ttl := millis(c.tagTTL())
	for i, t := range tags {
		text, _ := newEpoch()
		keys[i] = c.tagKey(t)
		cmds[i] = store.Cmd{"SET", keys[i], text, "PX", ttl}
	}
	defer c.near.announce(ctx, keys...)
	for i, r := range c.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			c.n.storeErrors.Add(1)
			return store.Wrap("cache", "invalidate", c.tagKey(tags[i]), err)
		}
	}
	return nil
}

// Clear makes all entries of this cache's prefix misses, in every process, at the cost of one write, whatever their
// number; their memory comes back when their TTL ends. It returns after half a second, when the last process has
// noticed: callers who come later get nothing that was loaded before. With Options.FailSafe the values are kept for when
// the source fails. If ctx ends before, Clear returns its error, and what it does is done half a second later all the
// same; with any other error nothing may have been cleared.
func (c *Cache[T]) Clear(ctx context.Context) error {
	text, epoch := newEpoch()
	bounded, cancel := c.timeout.Bound(ctx)
	asked := c.ask()
	err := c.st.Do(bounded, "SET", c.clearKey, text, "PX", millis(clearLife)).Err()
	if err == nil {
		c.near.announce(bounded, c.clearKey)
	}
	cancel()
	if err != nil {
		c.n.storeErrors.Add(1)
		return store.Wrap("cache", "clear", c.clearKey, err)
	}
	c.learn(epoch, asked)
	c.near.dropAll()
	timer := c.clk.NewTimer(clearLease)
	defer timer.Stop()
	select {
	case <-timer.C():
		c.near.dropAll()
		return nil
	case <-ctx.Done():
		return store.Wrap("cache", "clear", c.clearKey, ctx.Err())
	}
}
