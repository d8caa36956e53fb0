package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// A transaction has a connection of its own while it runs, and two round trips: MULTI and its answer come first, since a
// server that refused MULTI (a user may lack the right) would run the commands behind it one by one.

var _ store.Transactor = (*Store)(nil)

// Transaction runs MULTI, the commands and EXEC; see store.Transactor. It is tried again where it is certain that nothing ran, as on a
// Cluster whose slot moves. Cost: two round trips.
func (s *Store) Transaction(ctx context.Context, cmds ...store.Cmd) ([]store.Reply, error) {
	tx, err := s.newTransaction(cmds)
	if err != nil || len(cmds) == 0 {
		return []store.Reply{}, err
	}
	var p patience
	for {
		replies, verdict, err := s.transact(ctx, tx)
		if err == nil || verdict != unsent || !s.pause(ctx, &p, err) {
			return replies, err
		}
	}
}

// transaction is what Transaction was asked for.
type transaction struct {
	cmds   []store.Cmd
	traits []store.Traits
	key    string // one of its keys, whose slot is that of all; empty: there is none, or it is no Cluster
}

var errCrossSlot = store.ServerError("CROSSSLOT Keys in request don't hash to the same slot")

func (s *Store) newTransaction(cmds []store.Cmd) (*transaction, error) {
	tx := &transaction{cmds: cmds, traits: make([]store.Traits, len(cmds))}
	slot := -1
	for i, words := range cmds {
		if err := check(words); err != nil {
			return nil, err
		}
		tr := store.TraitsOf(words)
		tr.Blocks = false // within MULTI nothing does
		if tr.Key >= len(words) {
			tr.Key = 0
		}
		tx.traits[i] = tr
		if s.cfg.Target != store.Cluster || tr.Key == 0 {
			continue
		}
		switch at := slotOf(words[tr.Key]); slot {
		case -1:
			slot, tx.key = at, words[tr.Key]
		case at:
		default:
			return nil, errCrossSlot // in the server's words
		}
	}
	return tx, nil
}

// transact is one attempt.
func (s *Store) transact(ctx context.Context, tx *transaction) ([]store.Reply, verdict, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return s.noReplies(s.failed(ctx, err))
	}
	bounded, cancel := s.bound(ctx, false)
	defer cancel()
	type outcome struct {
		replies []store.Reply
		verdict verdict
		err     error
	}
	o, err := leave(bounded, func() (o outcome) {
		conn, release := client.Dedicate()
		defer release()
		clean := false
		defer func() {
			if !clean {
				conn.Close() // it may be left in the middle of a transaction
			}
		}()
		if bounded.Err() != nil {
			o.replies, o.verdict, o.err = s.noReplies(s.failed(ctx, bounded.Err()))
			return o
		}
		if o.verdict, o.err = s.beginMulti(bounded, conn, tx); o.err == nil {
			o.replies, o.verdict, o.err, clean = s.endMulti(bounded, conn, tx)
		}
		return o
	})
	if err != nil {
		return s.noReplies(s.failed(ctx, err))
	}
	return o.replies, o.verdict, o.err
}

func (s *Store) noReplies(r store.Reply, v verdict) ([]store.Reply, verdict, error) {
	return nil, v, r.Err()
}

// beginMulti sends MULTI and waits for the answer. On a Cluster a command that does no harm goes before it: by its key the node is
// chosen, and by its answer it shows whether that was the right one.
func (s *Store) beginMulti(ctx context.Context, conn rueidis.DedicatedClient, tx *transaction) (verdict, error) {
	multi := conn.B().Arbitrary("MULTI").Build()
	if tx.key == "" {
		r, v := s.judge(ctx, conn.Do(ctx, multi))
		return v, r.Err()
	}
	results := conn.DoMulti(ctx, conn.B().Arbitrary("EXISTS").Keys(tx.key).Build(), multi)
	if r, _ := s.judge(ctx, results[0]); moved(r.Err()) {
		return unsent, r.Err()
	}
	r, v := s.judge(ctx, results[1])
	return v, r.Err()
}

// endMulti sends the commands and EXEC. clean tells that the connection is as it was before MULTI.
func (s *Store) endMulti(ctx context.Context, conn rueidis.DedicatedClient, tx *transaction) (replies []store.Reply, v verdict, err error, clean bool) {
	built := make([]rueidis.Completed, 0, len(tx.cmds)+1)
	for i, words := range tx.cmds {
		built = append(built, build(conn.B(), words, tx.traits[i]))
	}
	results := conn.DoMulti(ctx, append(built, conn.B().Arbitrary("EXEC").Build())...)
	r, v := s.judge(ctx, results[len(tx.cmds)])
	if r.Kind() != store.KindError {
		if r.Kind() != store.KindArray {
			return nil, final, fmt.Errorf("redisstore: EXEC: %w", store.ErrReply), false
		}
		replies, err = r.Array()
		return replies, final, err, true
	}
	var refused store.ServerError
	if !errors.As(r.Err(), &refused) {
		return nil, v, r.Err(), false
	}
	if moved(refused) {
		v = unsent
	}
	for _, res := range results[:len(tx.cmds)] { // why EXEC was refused
		q, why := s.judge(ctx, res)
		if moved(q.Err()) || why == unsent {
			return nil, unsent, q.Err(), true
		}
	}
	return nil, v, refused, true
}

// moved tells that a node sends its clients to another.
func moved(err error) bool {
	var e store.ServerError
	return errors.As(err, &e) && (e.Code() == "MOVED" || e.Code() == "ASK")
}
