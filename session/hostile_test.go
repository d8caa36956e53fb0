package session_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// many names the i-th of many fields.
func many(i int) session.Field[string] { return session.Field[string](fmt.Sprint("field", i)) }

// manyFields: a request may touch more names than a session can have fields, and two may fill one together.
func manyFields(t *testing.T, st store.Store) {
	d := desk{t, manager(t, st, session.Options{Prefix: t.Name() + ":"})}
	token := d.begin("", "dark")
	s := d.load(token)
	for i := range 8000 { // set and taken back
		must(t, many(i).Set(s, "x"))
		many(i).Delete(s)
	}
	d.save(s)
	for i := range 999 { // with theme as many as there may be
		must(t, many(i).Set(s, "x"))
	}
	d.save(s)
	other := d.load(token)
	for i := range 999 { // all taken out, and as many others put in
		many(i).Delete(s)
		must(t, many(2000+i).Set(s, "y"))
	}
	if err := many(5000).Set(s, "y"); !errors.Is(err, session.ErrTooLarge) {
		t.Error("one more:", err)
	}
	d.save(s)
	for i := range 999 { // which this request knows nothing of
		many(i).Delete(other)
		must(t, many(4000+i).Set(other, "z"))
	}
	d.save(other)
	if s = d.load(token); len(s.Names()) != 1+2*999 {
		t.Errorf("%d fields, want %d", len(s.Names()), 1+2*999)
	}
	must(t, s.Login("ann"))
	if s = d.load(d.save(s)); len(s.Names()) != 1+2*999 || s.User() != "ann" {
		t.Errorf("%d fields after log-in", len(s.Names()))
	}
}

// TestTakenBackAfterALostAnswer: a field that was set is in the store, though the answer was lost; when the same request
// then takes it out, it must go.
func TestTakenBackAfterALostAnswer(t *testing.T) {
	faulty := storetest.NewFaulty(fleet.NewClocked(t))
	d := desk{t, manager(t, faulty, session.Options{})}
	token := d.begin("", "dark")
	s := d.load(token)
	must(t, count.Set(s, 1))
	faulty.Forget(1)
	if err := d.Save(t.Context(), s); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	count.Delete(s)
	d.save(s)
	if n, ok, err := count.Get(d.load(token)); ok || err != nil {
		t.Error("still there:", n, err)
	}
}

// TestRevokeAllButMany: however many sessions are left out, the others end; what cannot be done is refused.
func TestRevokeAllButMany(t *testing.T) {
	d := desk{t, manager(t, fleet.NewClocked(t), session.Options{})}
	var ids []string
	for range 300 {
		ids = append(ids, d.load(d.begin("ann", "dark")).ID())
	}
	if _, err := d.RevokeAll(t.Context(), "ann", ids[:299]...); !errors.Is(err, store.ErrInvalid) {
		t.Error("299 exceptions:", err)
	}
	if n, err := d.RevokeAll(t.Context(), "ann", ids[:255]...); n != 45 || err != nil {
		t.Errorf("%d, %v; want 45", n, err)
	}
	if list, err := d.List(t.Context(), "ann"); len(list) != 255 || err != nil {
		t.Error(len(list), err)
	}
}
