package leaderboard_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/observetest"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func seasons(t testing.TB, st store.Store, c clock.Clock, o leaderboard.SeasonOptions) *leaderboard.Seasons {
	t.Helper()
	o.Name, o.Clock = "game", c
	if o.Calendar == nil {
		o.Calendar = leaderboard.Daily(time.UTC)
	}
	if o.Retain == 0 {
		o.Retain = 48 * time.Hour
	}
	if o.Keep == 0 {
		o.Keep = 2
	}
	s, err := leaderboard.NewSeasons(st, o)
	must(t, err)
	return s
}

func TestSeasons(t *testing.T) {
	ctx, db := t.Context(), fleet.NewClocked(t)
	s := seasons(t, db, db.Fake, leaderboard.SeasonOptions{Options: leaderboard.Options{Data: true, Ranking: leaderboard.Dense}})
	yesterday := db.Now()
	for i, name := range []string{"ann", "bob", "cy"} {
		if r, err := s.Add(ctx, name, int64(i+1)); err != nil || r.Rank != 1 {
			t.Fatal(r, err)
		}
	}
	first, err := s.Current()
	must(t, err)
	if _, err = first.SetData(ctx, "cy", "champion"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Archive(ctx, yesterday); !errors.Is(err, leaderboard.ErrNotNow) {
		t.Error("archived while it runs:", err)
	}
	db.Advance(24 * time.Hour)
	if _, err := first.Add(ctx, "late", 99); !errors.Is(err, leaderboard.ErrNotNow) {
		t.Error("an update after the season's end:", err)
	}
	if n, _ := first.Size(ctx); n != 3 {
		t.Error("the season that ended has", n)
	}
	if r, err := s.Best(ctx, "dan", 7); err != nil || r.Rank != 1 { // the first of the season archives the last one
		t.Error(r, err)
	}
	if n, _ := first.Size(ctx); n != 0 {
		t.Error("not archived:", n, "are left")
	}
	past, err := s.Past(ctx, yesterday)
	must(t, err)
	if list, err := past.Top(ctx, 9); err != nil || show(list) != "1:cy=3 2:bob=2 " || list[0].Data != "champion" {
		t.Error(show(list), err)
	}
	if where, ok, err := past.Rank(ctx, "bob"); !ok || err != nil || where.Rank != 2 {
		t.Error(where, ok, err)
	}
	now, err := s.Current()
	must(t, err)
	if list, err := now.Top(ctx, 9); err != nil || show(list) != "1:dan=7 " {
		t.Error(show(list), err)
	}
	db.Advance(24 * time.Hour) // nobody updates: Past archives
	if past, err = s.Past(ctx, db.Now().Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if list, err := past.Top(ctx, 9); err != nil || show(list) != "1:dan=7 " {
		t.Error(show(list), err)
	}
	db.Advance(72 * time.Hour)
	if list, err := past.Top(ctx, 9); err != nil || len(list) != 0 {
		t.Error("kept for longer than Retain:", show(list), err)
	}
	if kept, of, err := s.Archive(ctx, yesterday); kept != 0 || of != 0 || err != nil {
		t.Error(kept, of, err)
	}
	if n, _ := db.Do(ctx, "EXISTS", "board:{game}s:game:2026-01-02", "board:{game}t:game:2026-01-02", "board:{game}s:game:2026-01-03:top").Int64(); n != 0 {
		t.Error(n, "keys are left")
	}
}

// TestTTLOfEveryKey: an update writes a board's TTL seldom, and yet no key is ever without, nor far from what was asked for:
// not one that comes later than the others, not one that an eviction took, not after the TTL was changed.
func TestTTLOfEveryKey(t *testing.T) {
	ctx, db := t.Context(), fleet.NewClocked(t)
	ttl := time.Hour
	b := board(t, db, leaderboard.Options{Name: "x", TTL: ttl, Ranking: leaderboard.Dense, Data: true})
	r := rand.New(rand.NewPCG(1, 2))
	keys := []string{"board:{x}s:", "board:{x}t:", "board:{x}n:", "board:{x}d:"}
	for i := range 500 {
		member := strconv.Itoa(r.IntN(5))
		var batch leaderboard.Batch
		switch r.IntN(6) {
		case 0:
			_, err := b.Remove(ctx, "0", "1", "2", "3", "4")
			must(t, err)
		case 1:
			must(t, db.Do(ctx, "DEL", keys[r.IntN(4)]).Err())
		case 2:
			ttl = time.Duration(1+r.IntN(3)) * time.Hour
			b = board(t, db, leaderboard.Options{Name: "x", TTL: ttl, Ranking: leaderboard.Dense, Data: true})
		case 3:
			batch.Add(b, member, 1)
			batch.Data(b, member, "data")
		}
		batch.Add(b, member, int64(r.IntN(3)))
		_, err := batch.Run(ctx)
		must(t, err)
		for _, key := range keys {
			left, err := db.Do(ctx, "PTTL", key).Int64()
			must(t, err)
			if d := time.Duration(left) * time.Millisecond; left != -2 && (d < ttl || d > ttl+ttl/32) {
				t.Fatalf("step %d: %s lives for %v more, want %v", i, key, d, ttl)
			}
		}
		db.Advance(time.Duration(r.IntN(int(ttl / 100))))
	}
}

// TestSeasonsByTheStoresClock: a process whose clock is wrong writes to the season that runs all the same.
func TestSeasonsByTheStoresClock(t *testing.T) {
	ctx, db := t.Context(), fleet.NewClocked(t)
	right := seasons(t, db, db.Fake, leaderboard.SeasonOptions{})
	for _, wrong := range []time.Duration{-48 * time.Hour, -25 * time.Hour, 25 * time.Hour, 1000 * time.Hour} {
		s := seasons(t, db, clock.NewFake(db.Now().Add(wrong)), leaderboard.SeasonOptions{})
		if _, err := s.Add(ctx, "ann", 1); err != nil {
			t.Error(wrong, err)
		}
		board, err := s.Current()
		must(t, err)
		var batch leaderboard.Batch
		batch.Add(board, "ann", 100)
		if _, err := batch.Run(ctx); !errors.Is(err, leaderboard.ErrNotNow) {
			t.Error("a batch in another season:", err)
		}
	}
	board, err := right.Current()
	must(t, err)
	if list, err := board.Top(ctx, 9); err != nil || show(list) != "1:ann=4 " {
		t.Error(show(list), err)
	}
}

func TestCalendars(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]leaderboard.Calendar{"daily": leaderboard.Daily(berlin), "weekly": leaderboard.Weekly(berlin), "monthly": leaderboard.Monthly(berlin)} {
		at := time.Date(2025, 12, 1, 0, 0, 0, 0, berlin)
		season, from, until := c(at)
		for at.Year() < 2027 {
			at = at.Add(29 * time.Minute)
			now, f, u := c(at)
			if now == season && (!f.Equal(from) || !u.Equal(until)) || f.After(at) || !u.After(at) {
				t.Fatalf("%s: %v is in %s from %v to %v", name, at, now, f, u)
			}
			if now != season {
				if now < season || !f.Equal(until) {
					t.Fatalf("%s: after %s until %v comes %s from %v", name, season, until, now, f)
				}
				season, from, until = now, f, u
			}
		}
	}
	if name, _, _ := leaderboard.Weekly(time.UTC)(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); name != "2026-W53" {
		t.Error(name)
	}
}

func TestOptions(t *testing.T) {
	db := fleet.NewClocked(t)
	for _, o := range []leaderboard.Options{
		{}, {Name: "x"}, {TTL: time.Hour}, {Name: "x{y}", TTL: time.Hour}, {Name: "x", Group: "{", TTL: time.Hour}, {Name: "x", TTL: -5},
		{Name: "x", TTL: time.Hour, Ranking: 3}, {Name: "x", TTL: time.Hour, Ties: 2}, {Name: "x", TTL: time.Hour, MaxMembers: -1},
		{Name: "x", TTL: 1 << 62},
	} {
		if _, err := leaderboard.New(db, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	ok := leaderboard.SeasonOptions{Options: leaderboard.Options{Name: "x"}, Calendar: leaderboard.Daily(time.UTC), Keep: 1, Retain: time.Hour}
	for i, change := range []func(*leaderboard.SeasonOptions){
		func(o *leaderboard.SeasonOptions) { o.TTL = time.Hour },
		func(o *leaderboard.SeasonOptions) { o.Calendar = nil },
		func(o *leaderboard.SeasonOptions) { o.Keep = 0 },
		func(o *leaderboard.SeasonOptions) { o.Keep = leaderboard.MaxBatch + 1 },
		func(o *leaderboard.SeasonOptions) { o.Retain = 0 },
		func(o *leaderboard.SeasonOptions) { o.Name = "" },
		func(o *leaderboard.SeasonOptions) {
			o.Calendar = func(t time.Time) (string, time.Time, time.Time) { return "never", t.Add(1), t }
		},
	} {
		o := ok
		change(&o)
		if _, err := leaderboard.NewSeasons(db, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if _, err := leaderboard.NewSeasons(db, ok); err != nil {
		t.Error(err)
	}
}

func TestTTL(t *testing.T) {
	ctx, db := t.Context(), fleet.NewClocked(t)
	b := board(t, db, leaderboard.Options{Name: "x", TTL: time.Minute, Ranking: leaderboard.Dense, Data: true})
	var batch leaderboard.Batch
	batch.Add(b, "ann", 1)
	batch.Data(b, "ann", "A")
	_, err := batch.Run(ctx)
	must(t, err)
	db.Advance(59 * time.Second)
	_, err = b.Best(ctx, "ann", 0) // changes nothing, and keeps the board alive
	must(t, err)
	db.Advance(59 * time.Second)
	if n, _ := b.Size(ctx); n != 1 {
		t.Error("expired although it was updated")
	}
	db.Advance(2 * time.Second)
	if n, _ := db.Do(ctx, "EXISTS", "board:{x}s:", "board:{x}t:", "board:{x}n:", "board:{x}d:").Int64(); n != 0 {
		t.Error(n, "keys are left")
	}
}

// TestFaults: failures are told, counted, and never half applied; an answer that is lost leaves a whole update.
func TestFaults(t *testing.T) {
	ctx, faulty := t.Context(), storetest.NewFaulty(fleet.NewClocked(t))
	b := board(t, faulty, leaderboard.Options{Name: "x"})
	faulty.Fail(2)
	if _, err := b.Add(ctx, "ann", 1); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := b.Top(ctx, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	faulty.Forget(1)
	var batch leaderboard.Batch
	for i := range 10 {
		batch.Add(b, fmt.Sprint(i), 1)
	}
	if _, err := batch.Run(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if n, err := b.Size(ctx); n != 10 || err != nil {
		t.Error(n, err)
	}
	if s := b.Stats(); s.Failed != 3 {
		t.Errorf("%+v", s)
	}
	calls := faulty.Calls()
	for _, do := range []func(){
		func() { b.Add(ctx, "ann", 1) }, func() { b.Top(ctx, 3) }, func() { b.Around(ctx, "ann", 1) }, func() { b.Rank(ctx, "ann") },
		func() { b.Among(ctx, "ann", "1", "2") }, func() { b.Remove(ctx, "ann") }, func() { batch.Run(ctx) },
	} {
		do()
		if calls++; faulty.Calls() != calls {
			t.Error("not one round trip")
		}
	}
}

// remote is a store that is not in this process, so that timeouts count.
type remote struct{ *storetest.Faulty }

func (remote) InProcess() bool { return false }

func TestTimeout(t *testing.T) {
	faulty := storetest.NewFaulty(fleet.NewClocked(t))
	faulty.Hang(-1)
	b, err := leaderboard.New(remote{faulty}, leaderboard.Options{Name: "x", TTL: time.Hour, Timeout: time.Millisecond})
	must(t, err)
	if _, err := b.Add(t.Context(), "ann", 1); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestObserver(t *testing.T) {
	ctx, o, faulty := t.Context(), &observetest.Recorder{}, storetest.NewFaulty(fleet.NewClocked(t))
	b := board(t, faulty, leaderboard.Options{Name: "x", Observer: o})
	_, err := b.Add(ctx, "ann", 1)
	must(t, err)
	faulty.Fail(1)
	_, _ = b.Top(ctx, 1)
	_, _, err = b.Rank(ctx, "ann")
	must(t, err)
	if got, want := o.Show(observetest.End), "board:x add ok, board:x top error, board:x rank ok"; got != want {
		t.Errorf("heard %s; want %s", got, want)
	}
	if s := b.Stats(); s != (leaderboard.Stats{Updates: 1, Changed: 1, Reads: 1, Failed: 1}) {
		t.Errorf("%+v", s)
	}
}
