package command

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

// Calls of the embedded store that skip the words of a command. They do what
// the command does, to the byte.

// GetString appends the string at a key to dst: GET.
func (s *Session) GetString(key string, dst []byte) (value []byte, found bool, err error) {
	s.pending.count(&s.ctx, s.p.rows.get)
	k := lend(key)
	s.tx.Begin(s.db)
	s.tx.LockKey(k)
	e, err := s.tx.FindKind(k, engine.String)
	if e != nil && err == nil {
		dst, found = append(dst, e.Value()...), true
	}
	if s.track != nil {
		s.tx.Remember(&s.track.tracker, k)
	}
	s.tx.End()
	return dst, found, err
}

// SetString stores a string: SET, with PX unless ttlMillis is 0. The bytes of value stay the caller's.
func (s *Session) SetString(key string, value []byte, ttlMillis int64) error {
	_, err := s.setString(key, value, ttlMillis, false)
	return err
}

// ReplaceString is SetString with XX: it tells whether there was a key to store at.
func (s *Session) ReplaceString(key string, value []byte, ttlMillis int64) (replaced bool, err error) {
	return s.setString(key, value, ttlMillis, true)
}

func (s *Session) setString(key string, value []byte, ttlMillis int64, xx bool) (stored bool, err error) {
	s.pending.count(&s.ctx, s.p.rows.set)
	if s.makeRoom(); s.full {
		return false, engine.ErrOutOfMemory
	}
	k := lend(key)
	s.tx.Begin(s.db)
	s.tx.LockKey(k)
	s.tx.StartCommand()
	if stored = !xx || s.tx.Edit(k) != nil; stored {
		err = s.ctx.set(k, value, ttlMillis)
	}
	s.tx.End()
	return stored && err == nil, err
}

// set does what SET does, with PX unless ttlMillis is 0, for callers that have no words to journal.
func (c *Ctx) set(key, value []byte, ttlMillis int64) error {
	if c.Tx.Full() {
		return engine.ErrShardFull
	}
	var o setOptions
	if ttlMillis > 0 {
		if ttlMillis > math.MaxInt64-c.Tx.Now() {
			return engine.Error("ERR invalid expire time in 'set' command")
		}
		o.expiry = c.Tx.Now() + ttlMillis
	}
	c.store(key, value, o)
	if o.expiry == 0 && c.Tx.Journaling() { // only now: what had expired at the key comes before it
		c.Tx.Effect(words("SET"), key, value)
	}
	return nil
}

// Run runs the Go body of a script with the shards of its keys locked.
func (s *Session) Run(sc *store.Script, keys, args []string) store.Reply {
	s.makeRoom()
	s.p.scripts.ensure(sc)
	s.pending.count(&s.ctx, s.p.rows.evalSHA)
	tx := s.tx
	tx.Begin(s.db)
	var mask uint64
	for _, k := range keys {
		mask |= tx.Mask(lend(k))
	}
	tx.LockMask(mask)
	tx.Widen()
	defer tx.End() // a body that panics must not leave the shards locked
	return s.script(&s.ctx, sc, keys, args)
}

// lend gives the bytes of a string; commands never write to their arguments. An empty word is not nil, which stands for one
// that is not there.
func lend(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Prefetch warms the caches for the commands that Exec will be called with next:
// first the buckets of their keys, then the records. Most commands have their
// first key as first argument; where one has not, nothing is lost but a hint.
// Of commands in a row on the same key one is enough.
func (s *Session) Prefetch(cmds [][][]byte) {
	if n := int64(len(cmds)); n > s.p.stats.mostInBatch.Load() {
		s.p.stats.mostInBatch.Store(n) // of two at once one may be lost: the next has it
	}
	s.touched = s.touched[:0]
	var last []byte
	for _, words := range cmds {
		if len(words) > 1 && len(words[1]) > 0 && !bytes.Equal(words[1], last) {
			last = words[1]
			s.touched = append(s.touched, s.p.Engine.Hash(words[1]))
		}
	}
	s.p.Engine.Prefetch(s.db, s.touched)
}
