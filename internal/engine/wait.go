package engine

import (
	"slices"
	"sync"

	"github.com/larderdb/larder/internal/mem/table"
)

// Waiting for keys
//
// A blocked command (BLPOP, XREAD BLOCK) registers a Waiter at each of its keys, with their shards locked. Whoever
// changes one of the keys serves the waiters before it unlocks, first come first served, on its own goroutine: an
// element goes to the client that waits longest, and nobody sees it in between, as if the server had one thread.
//
// What serves a waiter may touch all the keys of its command, such as the target of BLMOVE, whose shards the writer has
// no reason to hold. So a writer that has locked its shards asks for those that waiters there need too (Widen): while
// nobody waits that is one atomic load. The few changes that come without widening, as a key that expires under a
// reader, are left to a goroutine of their own.

// Waiter is one blocked command. Its zero value is ready for Wait; afterwards it belongs to the engine until Cancel,
// or serve, has returned true.
type Waiter struct {
	serve func(tx *Tx) bool
	kind  Kind
	gone  bool
	db    int
	mask  uint64 // shards of all keys of the command
	keys  []watchKey

	// mu is held while the waiter is served or ended, so that only one of the two happens. It is taken with shards
	// locked, never the other way round.
	mu    sync.Mutex
	ended bool
}

// WaitFor says what a Waiter waits for.
type WaitFor struct {
	Keys [][]byte
	Kind Kind   // of the values it can use
	Gone bool   // wants to be served, too, when a key disappears or becomes something else
	Mask uint64 // shards of all keys that serving touches; they are locked now

	// Serve tries to run the command, with the shards of Mask locked and the database selected that is now,
	// and reports whether that is done: then the waiter is gone. It may be called often, from any goroutine.
	Serve func(tx *Tx) bool
}

// Wait registers a waiter. The shards of the keys are locked, and all others that serving will need.
// Cost: O(1) for each key.
func (tx *Tx) Wait(w *Waiter, f WaitFor) {
	w.serve, w.kind, w.gone, w.db, w.mask = f.Serve, f.Kind, f.Gone, tx.db, f.Mask
	for _, key := range f.Keys {
		k := watchKey{tx.db, string(key)}
		if slices.Contains(w.keys, k) {
			continue
		}
		s := tx.shard(tx.hash(key))
		if s.waiters == nil {
			s.waiters = make(map[watchKey][]*Waiter)
		}
		s.waiters[k] = append(s.waiters[k], w)
		s.wide |= w.mask
		w.keys = append(w.keys, k)
	}
	tx.e.waiting.Add(int64(len(w.keys)))
	tx.e.observers.Add(int32(len(w.keys)))
}

// Cancel ends the wait, unless the waiter was served already: then it returns false. The caller holds no shard.
func (e *Engine) Cancel(w *Waiter) bool {
	w.mu.Lock()
	ended := w.ended
	w.ended = true
	w.mu.Unlock()
	if ended {
		return false
	}
	for _, k := range w.keys {
		s := e.shardFor([]byte(k.key))
		s.whenFree(func() { e.leave(s, k, w) })
	}
	return true
}

// leave takes a waiter off one of its keys, whose shard is locked. Cost: O(waiters of the key).
func (e *Engine) leave(s *shard, k watchKey, w *Waiter) {
	list := s.waiters[k]
	i := slices.Index(list, w)
	if i < 0 {
		return
	}
	e.waiting.Add(-1)
	e.observers.Add(-1)
	if len(list) > 1 {
		s.waiters[k] = slices.Delete(list, i, i+1)
		return
	}
	delete(s.waiters, k)
	if len(s.waiters) == 0 {
		s.wide = 0
	}
}

// Waiting is the number of keys that somebody waits for, and of those whose disappearance would end a wait.
// Cost: O(shards + waiters).
func (tx *Tx) Waiting() (keys, gone int) {
	if tx.e.waiting.Load() == 0 {
		return 0, 0
	}
	tx.eachShard(func(_ int, s *shard) bool {
		keys += len(s.waiters)
		for _, list := range s.waiters {
			if slices.ContainsFunc(list, func(w *Waiter) bool { return w.gone }) {
				gone++
			}
		}
		return true
	})
	return keys, gone
}

// Widen locks what the waiters of the locked shards need, too. A command that may write calls it when it has locked
// its keys and before it looks at any: the locks may be given up in between. false: as LockKey, and nothing is locked
// any more.
func (tx *Tx) Widen() bool { return tx.e.waiting.Load() == 0 || tx.widen() }

func (tx *Tx) widen() bool {
	for {
		want := tx.held
		for i := range tx.e.shards {
			if tx.held&(1<<i) != 0 {
				want |= tx.e.shards[i].wide
			}
		}
		if want == tx.held {
			return true
		}
		tx.e.unlock(tx.held)
		tx.held = 0
		if c := tx.e.enterAll(want); c != nil && !tx.wait(want, c) {
			return false
		}
		tx.held = want
	}
}

// wakeKey notes that waiters may want to look at a changed key of a shard, which is locked, if there are any.
func (tx *Tx) wakeKey(s *shard, db int, key []byte) {
	if len(s.waiters[watchKey{db, string(key)}]) != 0 {
		tx.wake(watchKey{db, string(key)})
	}
}

// wakeDB is wakeKey for all keys of a database, or of all with db < 0. All shards are locked.
func (tx *Tx) wakeDB(db int) {
	for i := range tx.e.shards {
		for k := range tx.e.shards[i].waiters {
			if db < 0 || k.db == db {
				tx.wake(k)
			}
		}
	}
}

func (tx *Tx) wake(k watchKey) {
	if !slices.Contains(tx.ready[tx.served:], k) {
		tx.ready = append(tx.ready, k)
	}
}

// serveWaiters serves those who wait for the keys that became ready, in that order; what it changes may make others
// ready, or the same once more. That ends, as each served waiter is gone. The shards are still locked.
func (tx *Tx) serveWaiters() {
	var elsewhere []watchKey
	tx.Reading = false // they may write
	db := tx.db
	tx.now = 0 // a transaction may have taken long: what has expired meanwhile wakes nobody
	for tx.served < len(tx.ready) {
		k := tx.ready[tx.served]
		tx.served++
		if !tx.serveKey(k) {
			elsewhere = append(elsewhere, k)
		}
		tx.publishPending() // a look may have found that the key has expired
	}
	clear(tx.ready)
	tx.ready, tx.served, tx.db = tx.ready[:0], 0, db
	if elsewhere != nil {
		go tx.e.serveLater(elsewhere)
	}
}

// serveKey serves those who wait for one key. false: one of them needs shards that are not locked, and those behind
// must not overtake it.
func (tx *Tx) serveKey(k watchKey) bool {
	key := []byte(k.key)
	s := tx.e.shardFor(key)
	kind, there := tx.kindOf(k.db, key)
	for i := 0; i < len(s.waiters[k]); {
		w := s.waiters[k][i]
		if !w.gone && (!there || kind != w.kind) {
			i++
			continue
		}
		if w.mask&^tx.held != 0 {
			return false
		}
		if !tx.serve(w) {
			i++
			continue
		}
		kind, there = tx.kindOf(k.db, key)
	}
	return true
}

// kindOf is the type of a key's value.
func (tx *Tx) kindOf(db int, key []byte) (k Kind, there bool) {
	tx.db = db
	tx.Step()
	h := tx.hash(key)
	var e table.Entry
	if !tx.shard(h).dbs[db].Find(h, key, &e) || e.Flag(table.FlagExpiry) && tx.Now() > e.Expiry() {
		return 0, false // what is past its time stays for whoever asks for it: nobody has, yet
	}
	return Kind(e.Kind()), true
}

// serve serves one waiter, and takes it off its keys if that succeeds.
func (tx *Tx) serve(w *Waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false // its Cancel is about to take it off
	}
	tx.db = w.db
	tx.Step()
	if !w.serve(tx) {
		return false
	}
	w.ended = true
	for _, k := range w.keys {
		tx.e.leave(tx.e.shardFor([]byte(k.key)), k, w)
	}
	tx.publishPending()
	return true
}

// serveLater serves the waiters of keys with all their shards locked.
func (e *Engine) serveLater(keys []watchKey) {
	tx := e.NewTx()
	for _, k := range keys {
		tx.Begin(k.db)
		tx.LockKey([]byte(k.key))
		tx.Widen()
		tx.wakeKey(e.shardFor([]byte(k.key)), k.db, []byte(k.key))
		tx.End()
	}
}
