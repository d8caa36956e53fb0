package larder

import (
	"context"
	"fmt"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/store"
)

var _ store.Transactor = (*DB)(nil)

// Transaction runs commands with nothing in between; see [store.Transactor]. Cost: the commands', and what it takes to lock the
// shards of all their keys at once.
func (db *DB) Transaction(ctx context.Context, cmds ...store.Cmd) ([]store.Reply, error) {
	c, err := db.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer db.done(c)
	return db.transaction(ctx, c, cmds)
}

func (db *DB) transaction(ctx context.Context, c *call, cmds []store.Cmd) ([]store.Reply, error) {
	for _, cmd := range cmds {
		if len(cmd) == 0 || cmd[0] == "" {
			return nil, fmt.Errorf("%w: a command needs a name", store.ErrInvalid)
		}
		if store.Stateful(cmd) {
			return nil, fmt.Errorf("%w: %s has no place in a transaction here", store.ErrUnsupported, cmd[0])
		}
	}
	c.exec("MULTI")
	if r := c.value.Reply(); r.Err() != nil { // a user may lack the right to it: nothing may run then
		return nil, r.Err()
	}
	for _, cmd := range cmds {
		c.exec(cmd...) // EXEC will tell if one was refused
	}
	c.exec("EXEC")
	if err := c.session.Await(ctx, db.stop); err != nil {
		return nil, err
	}
	r := c.value.Reply()
	if err := r.Err(); err != nil {
		return nil, err
	}
	return r.Array()
}

// exec runs words in the call's session; the reply is in its value.
func (c *call) exec(words ...string) {
	c.words = command.AppendWords(c.words[:0], words)
	c.value.Reset(3)
	c.session.Exec(c.words, &c.value)
}
