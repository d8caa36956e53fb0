package engine

import (
	"slices"
	"sync/atomic"
)

type watchKey struct {
	db  int
	key string
}

// Watch is the set of keys that one client watches for its next transaction.
// It is used by one goroutine, except that changes by others reach dirty.
type Watch struct {
	dirty atomic.Bool
	keys  []watchKey
}

// Watch adds a key of the transaction's database to w; the key may be missing. The key's shard is locked.
// Cost: O(clients that watch the key), as a client watches it once.
func (tx *Tx) Watch(w *Watch, key []byte) {
	k := watchKey{tx.db, string(key)}
	s := tx.shard(tx.hash(key))
	if slices.Contains(s.watchers[k], w) {
		return
	}
	if tx.isExpired(key) { // it is missing already: its removal must not break this watch
		tx.Lookup(key, NoStats|NoTouch)
		tx.publish()
	}
	if s.watchers == nil {
		s.watchers = make(map[watchKey][]*Watch)
	}
	s.watchers[k] = append(s.watchers[k], w)
	w.keys = append(w.keys, k)
	tx.e.observers.Add(1)
}

// Keys visits the watched keys.
func (w *Watch) Keys(fn func(db int, key string)) {
	for _, k := range w.keys {
		fn(k.db, k.key)
	}
}

// Len is the number of watched keys.
func (w *Watch) Len() int { return len(w.keys) }

// WatchMask is the set of shards that hold watched keys: EXEC locks them with
// those of its commands before it asks Broken.
func (tx *Tx) WatchMask(w *Watch) uint64 {
	var mask uint64
	for _, k := range w.keys {
		mask |= 1 << shardOf(tx.e.Hash([]byte(k.key)))
	}
	return mask
}

// Broken tells whether a watched key changed, or expired, since it is watched.
// The shards of WatchMask are locked.
func (tx *Tx) Broken(w *Watch) bool {
	if w.dirty.Load() {
		return true
	}
	db := tx.db
	defer func() { tx.db = db }()
	for _, k := range w.keys {
		tx.db = k.db
		if tx.isExpired([]byte(k.key)) {
			return true
		}
	}
	return false
}

// Unwatch forgets all keys of w. Where a shard is enclosed that happens later: then w must not be used again, and it
// returns false. No shard may be locked by the caller.
func (e *Engine) Unwatch(w *Watch) (now bool) {
	now = true
	for _, k := range w.keys {
		s := e.shardFor([]byte(k.key))
		now = s.whenFree(func() { e.unwatch(s, k, w) }) && now
	}
	w.keys = w.keys[:0]
	w.dirty.Store(false)
	return now
}

// unwatch forgets one key of w, whose shard is locked.
func (e *Engine) unwatch(s *shard, k watchKey, w *Watch) {
	list := s.watchers[k]
	if i := slices.Index(list, w); i >= 0 {
		list[i] = list[len(list)-1]
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		delete(s.watchers, k)
	} else {
		s.watchers[k] = list
	}
	e.observers.Add(-1)
}

// touchWatches marks the watches of a changed key of the shard, which is locked.
func (s *shard) touchWatches(c *change) {
	if len(s.watchers) == 0 {
		return
	}
	for _, w := range s.watchers[watchKey{c.db, string(c.key)}] {
		w.dirty.Store(true)
	}
}

// touchWatchesOf marks the watches of a whole database of a shard, for
// FLUSHDB and SWAPDB: those whose key is, or after a swap will be, there.
func (e *Engine) touchWatchesOf(s *shard, db int, exists func(key string) bool) {
	for k, ws := range s.watchers {
		if k.db != db || !exists(k.key) {
			continue
		}
		for _, w := range ws {
			w.dirty.Store(true)
		}
	}
}
