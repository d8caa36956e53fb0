package main

import (
	"context"
	"encoding/gob"
	"strings"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

func redigo(addr string) *redis.Pool {
	return &redis.Pool{MaxIdle: duelWorkers, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", addr) }}
}

// sessionDuel loads and stores a session, as a request does, behind the Store interface of scs.
func sessionDuel() duel {
	tokens := names("a-token-of-scs-is-as-long-as-this-one-is")
	data := []byte(strings.Repeat("x", 300))
	type scsStore interface {
		Find(token string) ([]byte, bool, error)
		Commit(token string, b []byte, expiry time.Time) error
	}
	visit := func(s scsStore) func(ctx context.Context, w, i int) error {
		return func(_ context.Context, w, i int) error {
			b, found, err := s.Find(tokens[w])
			if err != nil || found && len(b) != len(data) {
				return errorOf(err, errNoDuel)
			}
			return s.Commit(tokens[w], data, time.Now().Add(time.Hour))
		}
	}
	return duel{
		name: "session: load and store", trips: true,
		ours: func(st store.Store) (*fighter, error) {
			s, err := session.NewSCS(st, session.SCSOptions{})
			if err != nil {
				return nil, err
			}
			return &fighter{do: visit(s)}, nil
		},
		rivals: []rival{{"scs redisstore", func(addr string) (*fighter, error) {
			pool := redigo(addr)
			return &fighter{do: visit(redisstore.New(pool)), close: func() { _ = pool.Close() }}, nil
		}}},
	}
}

// visitDuel is what a request with a session does, without HTTP: load it, read a field and change another, save it. Both
// sides keep four fields, of some 300 bytes, and end a session that is idle for half an hour.
func visitDuel() duel {
	return duel{
		name: "session: a visit that changes a field", trips: true,
		ours: managerVisits, rivals: []rival{{"scs with redisstore", scsVisits}},
	}
}

var (
	aPage = strings.Repeat("x", 250)
	aCart = []int{17, 4, 1999}
)

func managerVisits(st store.Store) (*fighter, error) {
	const (
		user session.Field[string] = "user"
		page session.Field[string] = "page"
		cart session.Field[[]int]  = "cart"
		seen session.Field[int]    = "seen"
	)
	m, err := session.New(st, session.Options{})
	if err != nil {
		return nil, err
	}
	tokens := make([]string, duelWorkers)
	for i := range tokens {
		s := m.New()
		if err := errorOf(user.Set(s, "ann"), page.Set(s, aPage), cart.Set(s, aCart), seen.Set(s, -1), m.Save(context.Background(), s)); err != nil {
			return nil, err
		}
		tokens[i] = s.Token()
	}
	return &fighter{do: func(ctx context.Context, w, i int) error {
		s, err := m.Load(ctx, tokens[w])
		if err != nil {
			return err
		}
		if c, _, err := cart.Get(s); err != nil || len(c) != len(aCart) {
			return errorOf(err, errNoDuel)
		}
		return errorOf(seen.Set(s, i), m.Save(ctx, s))
	}}, nil
}

func scsVisits(addr string) (*fighter, error) {
	gob.Register(aCart)
	pool := redigo(addr)
	m := scs.New()
	m.Store, m.IdleTimeout = redisstore.New(pool), session.DefaultIdleTimeout
	tokens := make([]string, duelWorkers)
	for i := range tokens {
		ctx, err := m.Load(context.Background(), "")
		if err != nil {
			return nil, err
		}
		m.Put(ctx, "user", "ann")
		m.Put(ctx, "page", aPage)
		m.Put(ctx, "cart", aCart)
		m.Put(ctx, "seen", -1)
		if tokens[i], _, err = m.Commit(ctx); err != nil {
			return nil, err
		}
	}
	return &fighter{do: func(ctx context.Context, w, i int) error {
		ctx, err := m.Load(ctx, tokens[w])
		if err != nil {
			return err
		}
		if c, _ := m.Get(ctx, "cart").([]int); len(c) != len(aCart) {
			return errNoDuel
		}
		m.Put(ctx, "seen", i)
		_, _, err = m.Commit(ctx)
		return err
	}, close: func() { _ = pool.Close() }}, nil
}
