package session_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

const (
	theme session.Field[string] = "theme"
	cart  session.Field[[]int]  = "cart"
	count session.Field[int]    = "count"
)

func manager(t testing.TB, st store.Store, o session.Options) *session.Manager {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second // the machine may be slow; what a Timeout does has its own test
	}
	o.Clock = clockOf(st)
	m, err := session.New(st, o)
	must(t, err)
	return m
}

// clockOf is the clock that the test moves, if st has one.
func clockOf(st store.Store) clock.Clock {
	switch st := st.(type) {
	case fleet.Clocked:
		return st.Fake
	case *storetest.Faulty:
		return clockOf(st.Store)
	case *spy:
		return clockOf(st.Store)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk is a Manager with calls that fail the test.
type desk struct {
	testing.TB
	*session.Manager
}

func (d desk) load(token string) *session.Session {
	d.Helper()
	s, err := d.Load(d.Context(), token)
	must(d, err)
	return s
}

func (d desk) save(s *session.Session) string {
	d.Helper()
	must(d, d.Save(d.Context(), s))
	return s.Token()
}

func (d desk) theme(s *session.Session, v string) {
	d.Helper()
	must(d, theme.Set(s, v))
}

func (d desk) wants(token, want string) {
	d.Helper()
	s := d.load(token)
	if got, _, err := theme.Get(s); err != nil || got != want {
		d.Errorf("theme is %q, %v; want %q", got, err, want)
	}
}

// begin stores a session and returns its token.
func (d desk) begin(user, v string) string {
	d.Helper()
	s := d.New()
	d.theme(s, v)
	if user != "" {
		must(d, s.Login(user))
	}
	return d.save(s)
}

// suite is what a Manager and an SCS do on every store, in real time.
func suite(t *testing.T, open func(testing.TB) store.Store) {
	for name, run := range map[string]func(*testing.T, desk){
		"a session": aSession, "two requests": twoRequests, "login": logIn, "rotate": rotates, "grace": graces,
		"destroy": destroys, "list and revoke": listAndRevoke, "revoke many": revokeMany,
	} {
		t.Run(name, func(t *testing.T) {
			o := session.Options{Prefix: fmt.Sprintf("s%x:", rand.Uint64()), RotateGrace: time.Minute}
			if name == "grace" {
				o.RotateEvery = time.Millisecond
			}
			run(t, desk{t, manager(t, open(t), o)})
		})
	}
	t.Run("many fields", func(t *testing.T) { manyFields(t, open(t)) })
	t.Run("scs", func(t *testing.T) { scsStore(t, open(t)) })
	t.Run("scs, deleted", func(t *testing.T) { scsDeleted(t, open(t)) })
}

func aSession(t *testing.T, d desk) {
	if s := d.New(); d.save(s) != "" {
		t.Error("a session without content has a token")
	}
	token := d.begin("", "dark")
	d.wants(token, "dark")
	s := d.load(token)
	if s.User() != "" || s.Created().IsZero() || !s.Deadline().After(s.Created()) {
		t.Errorf("user %q, created %v, deadline %v", s.User(), s.Created(), s.Deadline())
	}
	must(t, cart.Set(s, []int{1, 2}))
	theme.Delete(s)
	d.save(s)
	s = d.load(token)
	if got, ok, err := cart.Get(s); !ok || err != nil || !slices.Equal(got, []int{1, 2}) {
		t.Error(got, ok, err)
	}
	if names := s.Names(); !slices.Equal(names, []string{"cart"}) {
		t.Error("names", names)
	}
	cart.Delete(s) // the last field: the session lives on
	d.save(s)
	if s = d.load(token); s.ID() == "" {
		t.Error("the session is gone with its last field")
	}
	for _, junk := range []string{"", "x", strings.Repeat("a", 44), strings.Repeat("a", 45), strings.Repeat("a", 1<<20),
		strings.Repeat("{", 45), token[:44] + "\x00", token[:44], token + "A", "A" + token[1:]} {
		if s := d.load(junk); s.ID() != "" && junk != token {
			t.Errorf("%.60q found a session", junk)
		}
	}
}

// twoRequests is why sessions are hashes: neither of two requests at the same time loses what the other changes.
func twoRequests(t *testing.T, d desk) {
	token := d.begin("", "light")
	a, b := d.load(token), d.load(token)
	d.theme(a, "dark")
	must(t, cart.Set(b, []int{7}))
	must(t, count.Set(b, 1))
	d.save(b)
	d.save(a)
	s := d.load(token)
	if v, _, _ := theme.Get(s); v != "dark" {
		t.Errorf("a's change is lost: %q", v)
	}
	if v, _, _ := cart.Get(s); !slices.Equal(v, []int{7}) {
		t.Errorf("b's change is lost: %v", v)
	}
	a, b = d.load(token), d.load(token)
	count.Delete(a)
	d.theme(b, "blue")
	d.save(a)
	d.save(b)
	s = d.load(token)
	if _, ok, _ := count.Get(s); ok {
		t.Error("b brought back what a had removed")
	}
	d.wants(token, "blue")
}

func logIn(t *testing.T, d desk) {
	planted := d.begin("", "dark") // an attacker's token that the victim was made to use
	victim, other := d.load(planted), d.load(planted)
	d.theme(other, "blue")
	must(t, count.Set(other, 3))
	d.save(other) // a concurrent request of the victim's, before the log-in is stored
	must(t, cart.Set(victim, []int{1}))
	must(t, victim.Login("ann"))
	token := d.save(victim)
	if token == planted {
		t.Fatal("Login kept the token")
	}
	if s := d.load(planted); s.User() != "" || s.ID() != "" || len(s.Names()) != 0 {
		t.Error("the planted token leads somewhere:", s.User(), s.Names())
	}
	s := d.load(token)
	if n, _, _ := count.Get(s); s.User() != "ann" || n != 3 {
		t.Errorf("user %q, count %d: want what the other request wrote, 3", s.User(), n)
	}
	d.wants(token, "blue")
	d.theme(other, "late")
	if err := d.Save(t.Context(), other); !errors.Is(err, session.ErrGone) {
		t.Errorf("a late change under the planted token: %v", err)
	}
	d.wants(token, "blue")
	must(t, s.Login("bob")) // another user: ann's session must not stay
	next := d.save(s)
	if s := d.load(token); s.ID() != "" {
		t.Error("ann's session is still there")
	}
	list, err := d.List(t.Context(), "ann")
	if err != nil || len(list) != 0 {
		t.Error("ann's list:", list, err)
	}
	if s := d.load(next); s.User() != "bob" {
		t.Error("user", s.User())
	}
	if d.Stats().Replayed != 2 {
		t.Errorf("%+v: want 2 replayed", d.Stats())
	}
}

func rotates(t *testing.T, d desk) {
	old := d.begin("ann", "dark")
	s, late := d.load(old), d.load(old)
	must(t, s.Rotate())
	must(t, count.Set(s, 1))
	token := d.save(s)
	if token == old || d.load(old).ID() != "" {
		t.Error("the old token works on")
	}
	s = d.load(token)
	if n, _, _ := count.Get(s); n != 1 || s.User() != "ann" {
		t.Error(n, s.User())
	}
	d.theme(late, "late")
	if err := d.Save(t.Context(), late); !errors.Is(err, session.ErrGone) {
		t.Error("a late change under the old token:", err)
	}
	d.wants(token, "dark")
	list, err := d.List(t.Context(), "ann")
	if err != nil || len(list) != 1 || list[0].ID != s.ID() {
		t.Error(list, err, s.ID())
	}
	if old := d.load(token); old.ID() != "" { // a destroy that was under way while the token changed ends the session all the same
		s = d.load(token)
		must(t, s.Rotate())
		next := d.save(s)
		old.Destroy()
		d.save(old)
		if d.load(next).ID() != "" {
			t.Error("the session survived its log-out")
		}
	}
}

// graces: by age, tokens change with grace, and what is under way with the old one goes on.
func graces(t *testing.T, d desk) {
	old := d.begin("ann", "dark")
	var first, second, third *session.Session
	fleet.Eventually(t, "the token is old", func() bool {
		first, second, third = d.load(old), d.load(old), d.load(old)
		return !third.LastSeen().IsZero() && d.save(first) != old
	})
	d.theme(second, "blue") // both save at the same time: one of them gets the new token
	if d.save(second) != "" {
		t.Error("two new tokens for one")
	}
	d.wants(first.Token(), "blue")
	d.wants(old, "blue")
	late := d.load(old)
	must(t, count.Set(late, 5))
	if d.save(late) != "" {
		t.Error("a token that was replaced was replaced again")
	}
	if n, _, _ := count.Get(d.load(first.Token())); n != 5 {
		t.Error("a change under the old token is lost")
	}
	third.Destroy()
	d.save(third)
	if d.load(first.Token()).ID() != "" || d.load(old).ID() != "" {
		t.Error("a log-out under the old token did not end the session")
	}
}

func destroys(t *testing.T, d desk) {
	token := d.begin("ann", "dark")
	a, b, c := d.load(token), d.load(token), d.load(token)
	a.Destroy()
	if a.User() != "" || a.ID() != "" || len(a.Names()) != 0 {
		t.Error("Destroy left", a.User(), a.ID(), a.Names())
	}
	d.theme(a, "anonymous") // a new session, such as for "you are logged out"
	next := d.save(a)
	if next == "" || next == token {
		t.Error("the session after Destroy has token", next)
	}
	d.theme(b, "late")
	if err := d.Save(t.Context(), b); !errors.Is(err, session.ErrGone) {
		t.Error("a late change:", err)
	}
	if b.ID() != "" || b.User() != "" || len(b.Names()) != 0 {
		t.Error("ErrGone left", b.User(), b.ID(), b.Names())
	}
	c.Destroy()
	d.save(c) // twice is fine
	if s := d.load(token); s.ID() != "" || len(s.Names()) != 0 {
		t.Error("resurrected")
	}
	d.wants(next, "anonymous")
	if list, err := d.List(t.Context(), "ann"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

func listAndRevoke(t *testing.T, d desk) {
	ctx := t.Context()
	for _, user := range []string{"ann", "{x}", "a b\x00\xff"} {
		var tokens []string
		for i := range 3 {
			s := d.New()
			s.SetClient(fmt.Sprint("agent ", i), "192.0.2.1")
			must(t, s.Login(user))
			tokens = append(tokens, d.save(s))
		}
		list, err := d.List(ctx, user)
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		for _, info := range list {
			if !strings.HasPrefix(info.Agent, "agent ") || info.Addr != "192.0.2.1" || info.Created.IsZero() || info.LastSeen.IsZero() {
				t.Errorf("%+v", info)
			}
		}
		mine := d.load(tokens[0])
		if ok, err := d.Revoke(ctx, "eve", mine.ID()); ok || err != nil {
			t.Error("eve revoked another's session", err)
		}
		if ok, err := d.Revoke(ctx, user, d.load(tokens[1]).ID()); !ok || err != nil {
			t.Error(ok, err)
		}
		if n, err := d.RevokeAll(ctx, user, mine.ID()); n != 1 || err != nil {
			t.Error("everywhere else:", n, err)
		}
		if d.load(tokens[0]).User() != user || d.load(tokens[1]).User() != "" || d.load(tokens[2]).User() != "" {
			t.Error("wrong sessions revoked")
		}
		d.theme(mine, "late")
		if n, err := d.RevokeAll(ctx, user); n != 1 || err != nil {
			t.Error("everywhere:", n, err)
		}
		if err := d.Save(ctx, mine); !errors.Is(err, session.ErrGone) {
			t.Error("a change after the revocation:", err)
		}
		if list, err := d.List(ctx, user); len(list) != 0 || err != nil {
			t.Error(list, err)
		}
	}
}

func revokeMany(t *testing.T, d desk) {
	const n = 600
	for range n {
		s := d.New()
		must(t, s.Login("ann"))
		d.save(s)
	}
	if list, err := d.List(t.Context(), "ann"); len(list) != n || err != nil {
		t.Error(len(list), err)
	}
	if got, err := d.RevokeAll(t.Context(), "ann"); got != n || err != nil {
		t.Error(got, err)
	}
}

func TestEmbedded(t *testing.T) {
	suite(t, func(t testing.TB) store.Store {
		db, err := larder.Open(larder.Options{})
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	})
}

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		suite(t, func(testing.TB) store.Store { return st })
		if s.Kind == fleet.Larder {
			s.Register(session.Scripts()...)
			s.Restart()
			again := s.Open(t)
			t.Run("Go bodies", func(t *testing.T) { suite(t, func(testing.TB) store.Store { return again }) })
		}
	})
}
