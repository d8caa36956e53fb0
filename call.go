package larder

import (
	"context"
	"fmt"
	"time"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

// call is what one call of the embedded store needs: a session, a place for its
// reply, its words. Calls are pooled, so a call allocates only what it returns.
type call struct {
	session *command.Session
	value   command.Value
	words   [][]byte
	guest   bool // it acts in a user's name
}

// begin takes a call from the pool, or says why there is none. done must follow.
func (db *DB) begin(ctx context.Context) (*call, error) {
	if db.closed.Load() {
		return nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, store.Unavailable(err)
	}
	return db.calls.Get().(*call), nil //nolint:forcetypeassert // the pool has nothing else
}

// keepWords bounds the words of a call that goes back to the pool.
const keepWords = 256

func (db *DB) done(c *call) {
	clear(c.words)
	if cap(c.words) > keepWords {
		c.words = nil
	}
	c.value.Reset(3)
	if c.guest {
		c.session.Act(nil)
		c.guest = false
	}
	db.calls.Put(c)
}

// Do runs one command in this process. One that blocks waits until there is something, its own timeout, or the end of
// ctx. Cost: the command's, and some 100 ns.
func (db *DB) Do(ctx context.Context, args ...string) store.Reply {
	c, err := db.begin(ctx)
	if err != nil {
		return store.Fail(err)
	}
	defer db.done(c)
	return db.do(ctx, c, args)
}

func (db *DB) do(ctx context.Context, c *call, args []string) store.Reply {
	if len(args) == 0 || args[0] == "" {
		return store.Fail(fmt.Errorf("%w: a command needs a name", store.ErrInvalid))
	}
	if store.Stateful(args) {
		return store.Fail(fmt.Errorf("%w: %s changes the state of a connection, which all callers share",
			store.ErrUnsupported, args[0]))
	}
	c.words = command.AppendWords(c.words[:0], args)
	c.value.Reset(3)
	c.session.Exec(c.words, &c.value)
	if err := c.session.Await(ctx, db.stop); err != nil {
		return store.Fail(err)
	}
	return c.value.Reply()
}

// Pipe runs commands in order. It is not atomic.
func (db *DB) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	c, err := db.begin(ctx)
	if err != nil {
		return failAll(len(cmds), err)
	}
	defer db.done(c)
	return db.pipe(ctx, c, cmds)
}

func failAll(n int, err error) []store.Reply {
	replies := make([]store.Reply, n)
	for i := range replies {
		replies[i] = store.Fail(err)
	}
	return replies
}

func (db *DB) pipe(ctx context.Context, c *call, cmds []store.Cmd) []store.Reply {
	replies := make([]store.Reply, len(cmds))
	for i, cmd := range cmds {
		replies[i] = db.do(ctx, c, cmd)
	}
	return replies
}

// Run runs the script's Go body with the shards of its keys locked.
func (db *DB) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	c, err := db.begin(ctx)
	if err != nil {
		return store.Fail(err)
	}
	defer db.done(c)
	return c.session.Run(s, keys, args)
}

// GetBytes appends the string at key to dst: GET without building a command.
func (db *DB) GetBytes(ctx context.Context, key string, dst []byte) (value []byte, found bool, err error) {
	c, err := db.begin(ctx)
	if err != nil {
		return dst, false, err
	}
	value, found, err = c.session.GetString(key, dst)
	db.calls.Put(c)
	return value, found, serverError(err)
}

// SetBytes stores a string with a time to live: SET without building a command.
func (db *DB) SetBytes(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	c, err := db.beginSet(ctx, ttl)
	if err != nil {
		return err
	}
	err = c.session.SetString(key, value, store.Millis(ttl))
	db.calls.Put(c)
	return serverError(err)
}

// ReplaceBytes is SetBytes where the key exists: SET XX without building a command.
func (db *DB) ReplaceBytes(ctx context.Context, key string, value []byte, ttl time.Duration) (replaced bool, err error) {
	c, err := db.beginSet(ctx, ttl)
	if err != nil {
		return false, err
	}
	replaced, err = c.session.ReplaceString(key, value, store.Millis(ttl))
	db.calls.Put(c)
	return replaced, serverError(err)
}

func (db *DB) beginSet(ctx context.Context, ttl time.Duration) (*call, error) {
	if ttl < 0 {
		return nil, fmt.Errorf("%w: negative TTL %v", store.ErrInvalid, ttl)
	}
	return db.begin(ctx)
}

// serverError makes an engine's error what a server would have answered.
func serverError(err error) error {
	if e, ok := err.(engine.Error); ok { //nolint:errorlint // the engine's own errors are never wrapped
		return store.ServerError(e)
	}
	return err
}
