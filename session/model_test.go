package session_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
)

// The model: sessions in the plainest way, and requests that hold one for a while, in any order. Times are even and
// timeouts odd, so nothing happens at the border of two milliseconds.

const (
	modelIdle  = 600_001 * time.Millisecond
	modelLife  = 3_000_001 * time.Millisecond
	modelTouch = 60_001 * time.Millisecond
)

// truth is a session as it should be.
type truth struct {
	fields  map[string]string
	user    string
	token   string
	old     []string // tokens that must not work
	version int      // counts tokens
	dead    bool
	end     time.Time
	touched time.Time
	next    *truth // that Login made of it
}

func (s *truth) alive(now time.Time) bool {
	return !s.dead && now.Before(s.end) && now.Sub(s.touched) < modelIdle
}

// request is one that holds a session.
type request struct {
	s       *session.Session
	of      *truth // nil for none
	version int
	view    map[string]string
	dirty   map[string]bool // true: it was there before
}

type world struct {
	desk
	r    *rand.Rand
	db   fleet.Clocked
	all  []*truth
	reqs []*request
}

func TestModel(t *testing.T) {
	seeds := make([]uint64, 60)
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	if s, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	}
	for _, seed := range seeds {
		db := fleet.NewClocked(t)
		o := session.Options{IdleTimeout: modelIdle, Lifetime: modelLife, TouchEvery: modelTouch, Tombstone: 24 * time.Hour}
		w := &world{desk: desk{t, manager(t, db, o)}, r: rand.New(rand.NewPCG(seed, 0)), db: db}
		for step := range 300 {
			w.step()
			if t.Failed() {
				t.Fatalf("LARDER_SEED=%d step %d", seed, step)
			}
		}
	}
}

func (w *world) now() time.Time { return w.db.Now() }

func (w *world) step() {
	w.Helper()
	switch n := w.r.IntN(20); {
	case n < 5:
		w.open()
	case n < 15 && len(w.reqs) > 0:
		i := w.r.IntN(len(w.reqs))
		q := w.reqs[i]
		if w.r.IntN(3) > 0 {
			w.change(q)
			return
		}
		w.finish(q)
		w.reqs = slices.Delete(w.reqs, i, i+1)
	case n == 15:
		w.db.Advance(time.Duration(w.r.IntN(200_000)) * 2 * time.Millisecond)
	case n == 16 && w.r.IntN(3) == 0:
		w.revoke()
	default:
		w.list()
	}
}

// open begins a request with a token that works, one that does not any more, or none.
func (w *world) open() {
	w.Helper()
	if len(w.reqs) > 6 {
		return
	}
	q := &request{view: map[string]string{}, dirty: map[string]bool{}}
	token := ""
	if len(w.all) > 0 && w.r.IntN(5) > 0 {
		of := w.all[w.r.IntN(len(w.all))]
		token = of.token
		if len(of.old) > 0 && w.r.IntN(4) == 0 {
			token = of.old[w.r.IntN(len(of.old))]
		} else if of.alive(w.now()) {
			q.of, q.version, q.view = of, of.version, maps.Clone(of.fields)
			if w.now().Sub(of.touched) >= modelTouch {
				of.touched = w.now()
			}
		}
	}
	q.s = w.load(token)
	w.sees(q)
	w.reqs = append(w.reqs, q)
}

// sees compares what a request finds with its view.
func (w *world) sees(q *request) {
	w.Helper()
	user := ""
	if q.of != nil {
		user = q.of.user
	}
	if q.s.User() != user || (q.s.ID() != "") != (q.of != nil) || len(q.s.Names()) != len(q.view) {
		w.Errorf("user %q, id %q, fields %q; want %q, %v, %q", q.s.User(), q.s.ID(), q.s.Names(), user, q.of != nil, q.view)
	}
	for name, want := range q.view {
		if got, _, _ := session.Field[string](name).Get(q.s); got != want {
			w.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func (w *world) change(q *request) {
	name, v := fmt.Sprint("f", w.r.IntN(4)), fmt.Sprint(w.r.IntN(5))
	old, have := q.view[name]
	if w.r.IntN(4) == 0 {
		session.Field[string](name).Delete(q.s)
		delete(q.view, name)
		if had, changed := q.dirty[name]; changed && !had { // it came and went
			delete(q.dirty, name)
		} else if have {
			q.dirty[name] = true
		}
		return
	}
	must(w, session.Field[string](name).Set(q.s, v))
	q.view[name] = v
	if _, changed := q.dirty[name]; !changed && (!have || old != v) {
		q.dirty[name] = have
	}
}

// finish ends a request: it saves, perhaps after a log-in, a rotation or a log-out.
func (w *world) finish(q *request) {
	w.Helper()
	holds := q.of != nil && q.version == q.of.version && q.of.alive(w.now())
	switch n := w.r.IntN(10); {
	case n == 0:
		w.logout(q)
	case n == 1:
		w.login(q, []string{"ann", "bob", "cy"}[w.r.IntN(3)], holds)
	case n == 2 && q.of != nil:
		must(w, q.s.Rotate())
		if w.saves(q, holds) {
			q.of.old = append(q.of.old, q.of.token)
			q.of.token, q.of.version = q.s.Token(), q.of.version+1
		}
	case q.of == nil && len(q.view) == 0:
		w.save(q.s)
		if q.s.Token() != "" {
			w.Error("a token for nothing")
		}
	case q.of == nil:
		w.save(q.s)
		w.begins(q, "")
	case len(q.dirty) == 0:
		w.save(q.s)
	default:
		w.saves(q, holds)
	}
}

// saves stores a request's changes, or is told that the session is gone.
func (w *world) saves(q *request, holds bool) bool {
	w.Helper()
	err := w.Save(w.Context(), q.s)
	if !holds {
		if !errors.Is(err, session.ErrGone) {
			w.Errorf("saved a session that has ended: %v", err)
		}
		return false
	}
	if err != nil {
		w.Error(err)
	}
	q.merge(q.of.fields)
	return true
}

// merge writes what the request changed, and nothing else.
func (q *request) merge(to map[string]string) {
	for name := range q.dirty {
		if v, ok := q.view[name]; ok {
			to[name] = v
		} else {
			delete(to, name)
		}
	}
}

func (w *world) begins(q *request, user string) *truth {
	of := &truth{fields: maps.Clone(q.view), user: user, token: q.s.Token(), end: w.now().Add(modelLife), touched: w.now()}
	w.all = append(w.all, of)
	return of
}

func (w *world) login(q *request, user string, holds bool) {
	w.Helper()
	must(w, q.s.Login(user))
	w.save(q.s)
	of := w.begins(q, user)
	if holds {
		of.fields = maps.Clone(q.of.fields)
		q.merge(of.fields)
		q.of.dead, q.of.next = true, of
		of.old = append(append(of.old, q.of.old...), q.of.token)
	}
	if s := w.load(of.token); s.User() != user {
		w.Errorf("user %q after the log-in of %q", s.User(), user)
	}
}

func (w *world) logout(q *request) {
	w.Helper()
	of, hops := q.of, 0
	if of != nil {
		hops = of.version - q.version
		for of.next != nil {
			of = of.next
			hops += 1 + of.version
		}
	}
	if hops >= 4 {
		return // too far behind: Save may say ErrGone
	}
	q.s.Destroy()
	w.save(q.s)
	if of != nil {
		of.dead = true
		if s := w.load(of.token); s.ID() != "" {
			w.Error("it lives on after the log-out")
		}
	}
}

func (w *world) revoke() {
	w.Helper()
	user, want := []string{"ann", "bob", "cy"}[w.r.IntN(3)], 0
	for _, of := range w.all {
		if of.user == user && of.alive(w.now()) {
			of.dead = true
			want++
		}
	}
	if n, err := w.RevokeAll(w.Context(), user); n != want || err != nil {
		w.Errorf("revoked %d, %v; want %d", n, err, want)
	}
}

func (w *world) list() {
	w.Helper()
	for _, user := range []string{"ann", "bob", "cy"} {
		want := 0
		for _, of := range w.all {
			if of.user == user && of.alive(w.now()) {
				want++
			}
		}
		if list, err := w.List(w.Context(), user); len(list) != want || err != nil {
			w.Errorf("%s has %d sessions, %v; want %d", user, len(list), err, want)
		}
	}
}
