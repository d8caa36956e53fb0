package store

import (
	"crypto/sha1"
	"encoding/hex"
	"sync"
	"time"
)

// Script is one atomic step, written twice. Redis, Valkey and REST services run the Lua body, by its SHA; the
// embedded store and a Larder server run the Go body under their locks. Both must do the same to the same keys:
// processes of either kind may share one server. storetest.Scripts holds them against each other.
//
// A Script is declared once, as a package variable or in a constructor, and passed by pointer. It must not be changed
// after its first use.
type Script struct {
	// Name identifies the script in errors, logs and slow-command reports: "ratelimit.take".
	Name string

	// Lua is the body for servers that speak Lua 5.1 as Redis does. Document KEYS, ARGV and the reply in it.
	Lua string

	// Go is the body for stores in this process. It runs while the store holds locks: it must not block, call the
	// Store, keep tx, or panic. It sees keys and args as KEYS and ARGV, counted from 0, and must not keep or change
	// the slices. It returns what Lua can return: Nil, Status, Bulk, Int, ArrayOf, Fail.
	//
	// A failing tx.Do does not stop the body, whereas redis.call raises: return the failed Reply to get the same.
	// As in Redis, what was written before stays written, so check before the first write.
	Go func(tx Tx, keys, args []string) Reply

	// ReadOnly promises that neither body writes; a failed call may then be repeated safely.
	ReadOnly bool

	once sync.Once
	sha  string
}

// SHA is the SHA-1 of the Lua body in hexadecimal, as EVALSHA takes it. It is computed once.
func (s *Script) SHA() string {
	s.once.Do(func() {
		sum := sha1.Sum([]byte(s.Lua))
		s.sha = hex.EncodeToString(sum[:])
	})
	return s.sha
}

// Tx is the store as the Go body of a Script sees it: inside the lock.
type Tx interface {
	// Do runs one command, like redis.call. Replies have RESP2 shapes: no maps, booleans or doubles. Only the keys
	// passed to Run may be touched. args is not kept.
	Do(args ...string) Reply

	// Now is the store's clock, the same for the whole script: what TIME answers. Layers must use it rather than
	// their own clock for anything that several processes compare.
	Now() time.Time
}
