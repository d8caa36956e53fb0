package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func TestIdleTimeout(t *testing.T) {
	db := fleet.NewClocked(t)
	d := desk{t, manager(t, db, session.Options{IdleTimeout: 10 * time.Minute, Lifetime: time.Hour, TouchEvery: time.Minute})}
	token := d.begin("ann", "dark")
	for range 5 {
		db.Advance(9 * time.Minute)
		d.wants(token, "dark")
	}
	db.Advance(10 * time.Minute)
	d.wants(token, "")
	db.Advance(time.Millisecond) // a key lives to the end of its last millisecond
	if list, err := d.List(t.Context(), "ann"); len(list) != 0 || err != nil {
		t.Error("listed after its end:", list, err)
	}
}

func TestLifetime(t *testing.T) {
	db := fleet.NewClocked(t)
	d := desk{t, manager(t, db, session.Options{IdleTimeout: 10 * time.Minute, Lifetime: time.Hour})}
	token := d.begin("", "dark")
	for range 59 {
		db.Advance(time.Minute)
		d.wants(token, "dark")
	}
	s := d.load(token)
	must(t, s.Rotate()) // does not prolong it
	token = d.save(s)
	held := d.load(token)
	db.Advance(time.Minute)
	d.wants(token, "")
	db.Advance(time.Millisecond) // a key lives to the end of its last millisecond
	d.theme(held, "late")
	if err := d.Save(t.Context(), held); !errors.Is(err, session.ErrGone) {
		t.Error("a change after the end:", err)
	}
	if n, _ := db.Do(t.Context(), append([]string{"EXISTS"}, keysOf(t, db)...)...).Int64(); n > 2 {
		t.Error(n, "keys are left")
	}
}

func keysOf(t testing.TB, st store.Store) []string {
	t.Helper()
	keys, err := st.Do(t.Context(), "KEYS", "*").Strings()
	must(t, err)
	if len(keys) == 0 {
		return []string{"none"}
	}
	return keys
}

// TestNothingWithoutTTL: whatever happens, every key has a TTL, and none is longer than a Lifetime.
func TestNothingWithoutTTL(t *testing.T) {
	db := fleet.NewClocked(t)
	d := desk{t, manager(t, db, session.Options{RotateEvery: time.Minute, RotateGrace: time.Minute})}
	for i := range 20 {
		user := []string{"", "ann", "bob"}[i%3]
		token := d.begin(user, "x")
		db.Advance(time.Duration(i) * 10 * time.Second)
		s := d.load(token)
		d.theme(s, fmt.Sprint(i))
		switch i % 4 {
		case 0:
			s.Destroy()
		case 1:
			must(t, s.Rotate())
		case 2:
			must(t, s.Login("cy"))
		}
		d.save(s)
	}
	for _, key := range keysOf(t, db) {
		ttl, err := db.Do(t.Context(), "PTTL", key).Int64()
		if err != nil || ttl == -1 || ttl > session.DefaultLifetime.Milliseconds() {
			t.Errorf("%s: TTL %d, %v", key, ttl, err)
		}
	}
}

// TestTouchIsThrottled counts what is written when a session is only read.
func TestTouchIsThrottled(t *testing.T) {
	db := fleet.NewClocked(t)
	d := desk{t, manager(t, db, session.Options{IdleTimeout: 20 * time.Minute, TouchEvery: time.Minute})}
	token := d.begin("", "dark")
	key := keysOf(t, db)[0]
	writes, last := 0, "?"
	for range 100 {
		db.Advance(3 * time.Second)
		d.load(token)
		if now, _ := db.Do(t.Context(), "HGET", key, "s").Text(); now != last {
			writes, last = writes+1, now
		}
	}
	if writes != 1+5 { // what create wrote, and one per minute
		t.Errorf("%d values of the last use in 5 minutes", writes)
	}
}

// TestTheStoreSeesNoToken looks for tokens in everything that is sent to the store.
func TestTheStoreSeesNoToken(t *testing.T) {
	spy := &spy{Store: fleet.NewClocked(t)}
	d := desk{t, manager(t, spy, session.Options{RotateEvery: time.Millisecond, RotateGrace: time.Minute})}
	var tokens []string
	token := d.begin("ann", "dark")
	for range 3 {
		tokens = append(tokens, token)
		s := d.load(token)
		must(t, s.Rotate())
		token = d.save(s)
	}
	s := d.load(token)
	s.Destroy()
	d.save(s)
	if _, err := d.RevokeAll(t.Context(), "ann"); err != nil {
		t.Error(err)
	}
	scs := newSCS(t, spy)
	must(t, scs.Commit("scs-token", []byte("x"), time.Now().Add(time.Hour)))
	_, _, _ = scs.Find("scs-token")
	must(t, scs.Delete("scs-token"))
	for _, word := range spy.words {
		for _, token := range append(tokens, token, "scs-token") {
			if strings.Contains(word, token) || strings.Contains(word, token[2:]) {
				t.Fatalf("%q was sent to the store", word)
			}
		}
	}
	if len(spy.words) < 20 {
		t.Error("the spy saw only", spy.words)
	}
}

type spy struct {
	store.Store
	words []string
}

func (s *spy) InProcess() bool { return true }

func (s *spy) Do(ctx context.Context, args ...string) store.Reply {
	s.words = append(s.words, args...)
	return s.Store.Do(ctx, args...)
}

func (s *spy) Run(ctx context.Context, sc *store.Script, keys []string, args ...string) store.Reply {
	s.words = append(append(s.words, keys...), args...)
	return s.Store.Run(ctx, sc, keys, args...)
}

// TestRoundTrips is what the page on sessions says.
func TestRoundTrips(t *testing.T) {
	db := fleet.NewClocked(t)
	faulty := storetest.NewFaulty(db)
	d := desk{t, manager(t, faulty, session.Options{})}
	calls := 0
	costs := func(what string, want int, do func()) {
		t.Helper()
		before := faulty.Calls()
		do()
		if calls = faulty.Calls() - before; calls != want {
			t.Errorf("%s: %d round trips, want %d", what, calls, want)
		}
	}
	var token string
	var s *session.Session
	costs("no cookie", 0, func() { d.save(d.load("")) })
	costs("new", 1, func() { token = d.begin("", "dark") })
	costs("load", 1, func() { s = d.load(token) })
	db.Advance(session.DefaultIdleTimeout / 20)
	costs("load and touch", 2, func() { s = d.load(token) })
	costs("load", 1, func() { s = d.load(token) })
	costs("unchanged", 0, func() { d.theme(s, "dark"); d.save(s) })
	costs("change", 1, func() { d.theme(s, "light"); d.save(s) })
	costs("login", 2, func() { must(t, s.Login("ann")); token = d.save(s) })
	costs("rotate and change", 1, func() { must(t, s.Rotate()); d.theme(s, "x"); d.save(s) })
	costs("list", 2, func() { _, _ = d.List(t.Context(), "ann") })
	costs("destroy", 1, func() { s.Destroy(); d.save(s) })
	costs("log in at once", 1, func() { d.begin("ann", "dark") })
	costs("revoke all", 2, func() { _, _ = d.RevokeAll(t.Context(), "ann") })
}

// TestFaults: after a failure another Save does what is left to do, whether or not the first took effect; at no time is
// somebody logged in under a token that the client had before.
func TestFaults(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for at := range 3 {
			faulty := storetest.NewFaulty(fleet.NewClocked(t))
			d := desk{t, manager(t, faulty, session.Options{})}
			token := d.begin("", "dark")
			s := d.load(token)
			d.theme(s, "light")
			must(t, s.Login("ann"))
			fail := faulty.Fail
			if lost {
				fail = faulty.Forget
			}
			if at == 0 {
				fail(1)
			} else {
				faultAfter(faulty, at, lost)
			}
			err := d.Save(t.Context(), s)
			faulty.Heal()
			if err != nil {
				if !errors.Is(err, store.ErrUnavailable) {
					t.Error(err)
				}
				if old := d.load(token); old.User() != "" {
					t.Error("logged in under the old token")
				}
				d.save(s)
			}
			if s.Token() == token || s.Token() == "" {
				t.Error("token", s.Token())
			}
			d.wants(s.Token(), "light")
			if d.load(s.Token()).User() != "ann" || d.load(token).ID() != "" {
				t.Error("not logged in, or the old token works", lost, at)
			}
		}
	}
}

// faultAfter lets calls go through, and then one fail.
func faultAfter(f *storetest.Faulty, calls int, forget bool) { f.Store = &late{f.Store, calls, forget} }

type late struct {
	store.Store
	left   int
	forget bool
}

func (l *late) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	l.left--
	if l.left != 0 {
		return l.Store.Run(ctx, s, keys, args...)
	}
	if l.forget {
		l.Store.Run(ctx, s, keys, args...)
	}
	return store.Fail(store.Unavailable(storetest.ErrDown))
}

type remote struct{ *storetest.Faulty }

func (remote) InProcess() bool { return false }

func TestTimeout(t *testing.T) {
	faulty := storetest.NewFaulty(fleet.NewClocked(t))
	faulty.Hang(-1)
	m := manager(t, remote{faulty}, session.Options{Timeout: time.Millisecond})
	if _, err := m.Load(t.Context(), strings.Repeat("A", 45)); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	scs, err := session.NewSCS(remote{faulty}, session.SCSOptions{Timeout: time.Millisecond})
	must(t, err)
	if _, _, err := scs.Find("x"); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []session.Options{
		{Prefix: "{x}"}, {IdleTimeout: -1}, {Lifetime: -1}, {TouchEvery: -1}, {Tombstone: -1}, {RotateEvery: -1}, {RotateGrace: -1},
		{IdleTimeout: time.Hour, Lifetime: time.Minute}, {IdleTimeout: time.Minute, TouchEvery: time.Minute}, {MaxBytes: -1},
		{RotateGrace: time.Hour}, {Lifetime: 1 << 62}, {IdleTimeout: 1},
	} {
		if _, err := session.New(fleet.NewClocked(t), o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []session.Options{{Lifetime: time.Minute}, {IdleTimeout: time.Hour}, {Lifetime: time.Millisecond}} {
		if _, err := session.New(fleet.NewClocked(t), o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestBounds(t *testing.T) {
	d := desk{t, manager(t, fleet.NewClocked(t), session.Options{MaxBytes: 100})}
	s := d.New()
	if err := theme.Set(s, strings.Repeat("x", 96)); !errors.Is(err, session.ErrTooLarge) {
		t.Error(err)
	}
	d.theme(s, strings.Repeat("x", 95))
	token := d.save(s)
	s = d.load(token)
	if err := count.Set(s, 1); !errors.Is(err, session.ErrTooLarge) {
		t.Error(err)
	}
	d.theme(s, "small")
	must(t, count.Set(s, 1))
	for _, name := range []string{"", strings.Repeat("n", 257)} {
		if err := session.Field[string](name).Set(s, "v"); !errors.Is(err, store.ErrInvalid) {
			t.Error(err)
		}
	}
	if err := session.Field[func()]("f").Set(s, nil); err == nil {
		t.Error("a func was encoded")
	}
	if _, _, err := session.Field[int]("theme").Get(s); err == nil {
		t.Error("\"small\" was read as a number")
	}
	for _, user := range []string{"", strings.Repeat("u", 513)} {
		if err := s.Login(user); !errors.Is(err, store.ErrInvalid) {
			t.Error(err)
		}
		if _, err := d.List(t.Context(), user); !errors.Is(err, store.ErrInvalid) {
			t.Error(err)
		}
		if _, err := d.RevokeAll(t.Context(), user); !errors.Is(err, store.ErrInvalid) {
			t.Error(err)
		}
	}
	big := desk{t, manager(t, fleet.NewClocked(t), session.Options{MaxBytes: 1 << 20})}
	s = big.New()
	for i := range 1000 {
		must(t, session.Field[int](fmt.Sprint("field", i)).Set(s, i))
	}
	if err := count.Set(s, 1); !errors.Is(err, session.ErrTooLarge) {
		t.Error("a field too many:", err)
	}
	if n := len(big.load(big.save(s)).Names()); n != 1000 {
		t.Error(n, "fields")
	}
}

// told records what an Observer hears.
type told struct {
	mu  sync.Mutex
	got []string
}

func (o *told) add(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, s)
}

func (o *told) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { o.add(op.Verb + " " + result) }
}
func (o *told) Count(_ context.Context, op observe.Op, _ int64) { o.add(op.Verb) }
func (o *told) Gauge(context.Context, observe.Op, float64)      {}

func TestObserver(t *testing.T) {
	o := &told{}
	d := desk{t, manager(t, fleet.NewClocked(t), session.Options{Observer: o})}
	token := d.begin("ann", "dark")
	s := d.load(token)
	_, err := d.RevokeAll(t.Context(), "ann")
	must(t, err)
	d.theme(s, "late")
	_ = d.Save(t.Context(), s)
	d.load(token)
	d.load("junk")
	want := "save ok, load hit, revoke ok, refused, save denied, replayed, load miss, garbage"
	if got := strings.Join(o.got, ", "); got != want {
		t.Errorf("heard %s; want %s", got, want)
	}
}
