package larder

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/store"
)

// User is an embedded store in the hands of one of its ACL users: a [store.Store] whose commands, scripts and
// subscriptions are held to what the user may do. What is denied fails with the server's own NOPERM error and stands in ACL
// LOG. Changes of the user's rights count from the next call on; they end subscriptions that would be denied, and once the
// user is removed every call and subscription fails with store.ErrClosed. Calls do not wait for scripts that take long, see Served.
// All methods are safe for concurrent use.
type User struct {
	db      *DB
	account *acl.Account
	closed  atomic.Bool
	subs    listeners
}

var (
	_ store.Store      = (*User)(nil)
	_ store.Transactor = (*User)(nil)
	_ store.Monitor    = (*User)(nil)
)

// As is the store in the hands of an ACL user (see ACL SETUSER), whose password is not asked for. It fails with
// store.ErrInvalid where there is no such user.
func (db *DB) As(name string) (*User, error) {
	a := db.proc.Account(name)
	if a == nil {
		return nil, fmt.Errorf("larder: %w: no user %q", store.ErrInvalid, name)
	}
	return &User{db: db, account: a}, nil
}

// LogIn is As for somebody who has to prove who he is, as with AUTH. It fails as AUTH does (WRONGPASS), and stands in ACL LOG
// then, where the password is wrong or the user is off or unknown, and also where the user has no password: AUTH lets
// everybody in there. It takes the same time in all these cases.
func (db *DB) LogIn(name, password string) (*User, error) {
	c, err := db.begin(context.Background())
	if err != nil {
		return nil, err
	}
	defer db.done(c)
	a, err := c.session.LogIn(name, password)
	if err != nil {
		return nil, serverError(err)
	}
	return &User{db: db, account: a}, nil
}

// Served is the store in the hands of a user who may do everything, for programs that hand on the calls of others: as with a client
// of a server, a call that meets a script which has run for longer than busy-reply-threshold fails with BUSY, where a call of
// the DB itself waits for the script's end.
func (db *DB) Served() *User { return &User{db: db, account: db.proc.Superuser()} }

// InProcess tells patterns that calls do not wait for a network.
func (u *User) InProcess() bool { return true }

// Name is the user's.
func (u *User) Name() string { return u.account.Name() }

// acts is in whose name to act; nil: the program's own.
func (u *User) acts() *acl.Account {
	if u == nil {
		return nil
	}
	return u.account
}

// begin takes a call that acts as the user.
func (u *User) begin(ctx context.Context) (*call, error) {
	if u.closed.Load() {
		return nil, store.ErrClosed
	}
	if u.account.Gone() {
		return nil, expelled("user removed")
	}
	c, err := u.db.begin(ctx)
	if err != nil {
		return nil, err
	}
	c.session.Act(u.account)
	c.guest = true
	return c, nil
}

func expelled(reason string) error { return fmt.Errorf("%w: %s", store.ErrClosed, reason) }

// Do is [DB.Do] with the user's rights.
func (u *User) Do(ctx context.Context, args ...string) store.Reply {
	c, err := u.begin(ctx)
	if err != nil {
		return store.Fail(err)
	}
	defer u.db.done(c)
	return u.db.do(ctx, c, args)
}

// Pipe is [DB.Pipe] with the user's rights.
func (u *User) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	c, err := u.begin(ctx)
	if err != nil {
		return failAll(len(cmds), err)
	}
	defer u.db.done(c)
	return u.db.pipe(ctx, c, cmds)
}

// Transaction is [DB.Transaction] with the user's rights: one command that is denied, and none runs.
func (u *User) Transaction(ctx context.Context, cmds ...store.Cmd) ([]store.Reply, error) {
	c, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer u.db.done(c)
	return u.db.transaction(ctx, c, cmds)
}

// Run runs a script as EVALSHA does, or EVAL where nobody has yet: the user needs the right to those, to the keys, and to what
// the script calls.
func (u *User) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	u.db.Register(s)
	words := make([]string, 0, 3+len(keys)+len(args))
	words = append(words, "EVALSHA", s.SHA(), strconv.Itoa(len(keys)))
	words = append(append(words, keys...), args...)
	r := u.Do(ctx, words...)
	if errors.Is(r.Err(), store.ErrNoScript) {
		words[0], words[1] = "EVAL", s.Lua
		r = u.Do(ctx, words...)
	}
	return r
}

// Subscribe is [DB.Subscribe] with the user's rights. It ends with store.ErrClosed when the user is removed or loses the right
// to one of the channels.
func (u *User) Subscribe(ctx context.Context, sub store.Subscription) error {
	return u.db.subscribe(ctx, sub, u)
}

// maySubscribe tells whether the user has the right to what he subscribes to.
func (u *User) maySubscribe(sub store.Subscription) error {
	if u == nil {
		return nil
	}
	for _, what := range []struct {
		name string
		list []string
	}{{"SUBSCRIBE", sub.Channels}, {"PSUBSCRIBE", sub.Patterns}, {"SSUBSCRIBE", sub.Shards}} {
		if len(what.list) == 0 {
			continue
		}
		if err := u.permit(append([]string{what.name}, what.list...)); err != nil {
			return err
		}
	}
	return nil
}

// permit tells whether the user may run a command now.
func (u *User) permit(words []string) error {
	c, err := u.begin(context.Background())
	if err != nil {
		return err
	}
	defer u.db.done(c)
	c.words = command.AppendWords(c.words[:0], words)
	return serverError(c.session.Permit(c.words...))
}

// Close ends the subscriptions of this User and makes later calls fail with store.ErrClosed. The DB stays open. Closing twice is a
// no-op.
func (u *User) Close() error {
	u.closed.Store(true)
	u.subs.closeAll()
	return nil
}
