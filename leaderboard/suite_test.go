package leaderboard_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/store"
)

func board(t testing.TB, st store.Store, o leaderboard.Options) *leaderboard.Board {
	t.Helper()
	if o.Name == "" {
		o.Name = fmt.Sprintf("b%x", rand.Uint64())
	}
	if o.TTL == 0 {
		o.TTL = time.Hour
	}
	o.Timeout = 10 * time.Second // the machine may be slow
	b, err := leaderboard.New(st, o)
	must(t, err)
	return b
}

// suite is what boards do on every store.
func suite(t *testing.T, st store.Store) {
	t.Run("a game", func(t *testing.T) { aGame(t, st) })
	t.Run("bounds", func(t *testing.T) { bounds(t, st) })
	t.Run("together", func(t *testing.T) { together(t, st) })
	t.Run("shrinking", func(t *testing.T) { shrinking(t, st) })
	t.Run("two writers", func(t *testing.T) { twoWriters(t, st) })
	t.Run("model", func(t *testing.T) { models(t, st, 3, 120) })
}

func show(list []leaderboard.Entry) (s string) {
	for _, e := range list {
		s += fmt.Sprintf("%d:%s=%d ", e.Rank, e.Member, e.Score)
	}
	return s
}

func aGame(t *testing.T, st store.Store) {
	ctx := t.Context()
	b := board(t, st, leaderboard.Options{Data: true})
	for _, step := range []struct {
		do      func() (leaderboard.Result, error)
		score   int64
		rank    int
		changed bool
	}{
		{func() (leaderboard.Result, error) { return b.Add(ctx, "ann", 10) }, 10, 1, true},
		{func() (leaderboard.Result, error) { return b.Add(ctx, "bob", 10) }, 10, 2, true}, // ann was first
		{func() (leaderboard.Result, error) { return b.Best(ctx, "cy", 30) }, 30, 1, true},
		{func() (leaderboard.Result, error) { return b.Best(ctx, "cy", 20) }, 30, 1, false},
		{func() (leaderboard.Result, error) { return b.Set(ctx, "cy", 5) }, 5, 3, true},
		{func() (leaderboard.Result, error) { return b.Add(ctx, "ann", 1) }, 11, 1, true},
		{func() (leaderboard.Result, error) { return b.Add(ctx, "ann", -1) }, 10, 2, true}, // bob has stood at 10 for longer now
		{func() (leaderboard.Result, error) { return b.Set(ctx, "bob", 10) }, 10, 1, false},
		{func() (leaderboard.Result, error) { return b.Set(ctx, "zed", -3) }, -3, 4, true},
	} {
		r, err := step.do()
		must(t, err)
		if r.Score != step.score || r.Rank != step.rank || r.Changed != step.changed {
			t.Errorf("%+v, want %d at %d, %v", r, step.score, step.rank, step.changed)
		}
	}
	wants := func(want string) func([]leaderboard.Entry, error) {
		return func(list []leaderboard.Entry, err error) {
			t.Helper()
			if err != nil || show(list) != want {
				t.Errorf("%s, %v; want %s", show(list), err, want)
			}
		}
	}
	wants("1:bob=10 2:ann=10 3:cy=5 ")(b.Top(ctx, 3))
	wants("2:ann=10 3:cy=5 4:zed=-3 ")(b.Around(ctx, "zed", 1))
	wants("1:bob=10 2:ann=10 3:cy=5 ")(b.Around(ctx, "bob", 1))
	wants("2:ann=10 3:cy=5 4:zed=-3 ")(b.Around(ctx, "cy", 1))
	wants("")(b.Around(ctx, "nobody", 1))
	wants("1:ann=10 2:zed=-3 ")(b.Among(ctx, "zed", "nobody", "ann", "zed"))
	list, total, err := b.Page(ctx, 2, 10)
	wants("3:cy=5 4:zed=-3 ")(list, err)
	if total != 4 {
		t.Error("total", total)
	}
	list, total, err = b.Page(ctx, 4, 10)
	wants("")(list, err)
	if total != 4 {
		t.Error("total", total)
	}
	s, ok, err := b.Rank(ctx, "cy")
	if !ok || err != nil || s.Rank != 3 || s.Better != 2 || s.Of != 4 || s.Percentile() < 33 || s.Percentile() > 34 {
		t.Errorf("%+v %v %v %v", s, s.Percentile(), ok, err)
	}
	if _, ok, err = b.Rank(ctx, "nobody"); ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := b.SetData(ctx, "ann", `{"name":"Ann"}`); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := b.SetData(ctx, "nobody", "x"); ok || err != nil {
		t.Error(ok, err)
	}
	if s, _, _ = b.Rank(ctx, "ann"); s.Data != `{"name":"Ann"}` {
		t.Errorf("%+v", s)
	}
	if n, err := b.Remove(ctx, "ann", "nobody", "bob"); n != 2 || err != nil {
		t.Error(n, err)
	}
	wants("1:cy=5 2:zed=-3 ")(b.Top(ctx, 10))
	_, err = b.Add(ctx, "ann", 1)
	must(t, err)
	if s, _, _ = b.Rank(ctx, "ann"); s.Data != "" {
		t.Error("data survived the removal of its member")
	}
	must(t, b.Clear(ctx))
	if n, err := b.Size(ctx); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func bounds(t *testing.T, st store.Store) {
	ctx := t.Context()
	b := board(t, st, leaderboard.Options{MaxMembers: 3, Ranking: leaderboard.Dense, Data: true})
	_, err := b.Set(ctx, "top", leaderboard.MaxScore)
	must(t, err)
	if _, err := b.Add(ctx, "top", 1); !errors.Is(err, leaderboard.ErrRange) {
		t.Error(err)
	}
	var batch leaderboard.Batch
	batch.Set(b, "low", -leaderboard.MaxScore)
	batch.Add(b, "low", -1)
	if _, err := batch.Run(ctx); !errors.Is(err, leaderboard.ErrRange) {
		t.Error(err)
	}
	if list, err := b.Top(ctx, 9); err != nil || show(list) != "1:top=9007199254740991 " {
		t.Error(show(list), err, "want what was there before")
	}
	for i := range 10 {
		r, err := b.Set(ctx, fmt.Sprint("m", i), int64(i))
		if err != nil || r.Rank > 3 || r.Rank == 0 {
			t.Error(r, err)
		}
	}
	if r, err := b.Set(ctx, "worst", -5); err != nil || r.Rank != 0 {
		t.Error(r, err, "want no rank: it is off the board already")
	}
	if list, err := b.Top(ctx, 9); err != nil || show(list) != "1:top=9007199254740991 2:m9=9 3:m8=8 " {
		t.Error(show(list), err)
	}
	batch = leaderboard.Batch{}
	batch.Add(b, "ann", 1)
	batch.Add(nil, "ann", 1)
	if _, err := batch.Run(ctx); !errors.Is(err, store.ErrInvalid) {
		t.Error("a batch with a nil Board:", err)
	}
	for _, bad := range []error{
		second(b.Add(ctx, "", 1)), second(b.Add(ctx, string(make([]byte, 513)), 1)), second(b.Set(ctx, "x", leaderboard.MaxScore+1)),
		second(b.Top(ctx, -1)), second(b.Top(ctx, 1001)), second(b.Around(ctx, "x", 500)), second(b.Around(ctx, "", 1)),
		second(b.Remove(ctx, "")), second(b.Ranks(ctx, make([]string, 1001)...)), second(b.SetData(ctx, "top", string(make([]byte, 5000)))),
	} {
		if !errors.Is(bad, store.ErrInvalid) {
			t.Error(bad)
		}
	}
	if list, err := b.Top(ctx, 0); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
}

func second[T any](_ T, err error) error { return err }

// together: a score goes to several boards of a group in one step.
func together(t *testing.T, st store.Store) {
	ctx, group := t.Context(), fmt.Sprintf("g%x", rand.Uint64())
	day := board(t, st, leaderboard.Options{Group: group, Name: "day", Ties: leaderboard.ByMember})
	ever := board(t, st, leaderboard.Options{Group: group, Name: "ever", TTL: leaderboard.NoTTL, Data: true})
	race := board(t, st, leaderboard.Options{Group: group, Name: "race", LowestFirst: true})
	var batch leaderboard.Batch
	for i, name := range []string{"ann", "bob", "ann"} {
		batch.Add(day, name, 10)
		batch.Best(ever, name, int64(10*i+10))
		batch.Data(ever, name, name+"!")
		batch.Best(race, name, int64(60-i))
	}
	results, err := batch.Run(ctx)
	if err != nil || len(results) != 9 || batch.Len() != 9 || results[6].Score != 20 || results[6].Member != "ann" || !results[8].Changed {
		t.Error(results, err)
	}
	for b, want := range map[*leaderboard.Board]string{day: "1:ann=20 2:bob=10 ", ever: "1:ann=30 2:bob=20 ", race: "1:ann=58 2:bob=59 "} {
		if list, err := b.Top(ctx, 9); err != nil || show(list) != want {
			t.Error(b.Name(), show(list), err, want)
		}
	}
	if s, _, err := ever.Rank(ctx, "bob"); s.Data != "bob!" || err != nil {
		t.Error(s, err)
	}
	other := board(t, st, leaderboard.Options{})
	batch.Add(other, "ann", 1)
	if _, err := batch.Run(ctx); !errors.Is(err, store.ErrInvalid) {
		t.Error("boards of two groups:", err)
	}
	var bad, none leaderboard.Batch
	bad.Add(day, "", 1)
	if _, err := bad.Run(ctx); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if results, err := none.Run(ctx); len(results) != 0 || err != nil {
		t.Error(results, err)
	}
}

// shrinking: a board of thousands on which MaxMembers is set later does not lose them all in one long step.
func shrinking(t *testing.T, st store.Store) {
	ctx, b := t.Context(), board(t, st, leaderboard.Options{Name: "shrinking"})
	for i := range 5 {
		var batch leaderboard.Batch
		for k := range 1000 {
			batch.Set(b, fmt.Sprint("m", i, " ", k), int64(k))
		}
		_, err := batch.Run(ctx)
		must(t, err)
	}
	small := board(t, st, leaderboard.Options{Name: "shrinking", MaxMembers: 10})
	for _, want := range []int{3001, 1001, 10, 10} {
		_, err := small.Add(ctx, "new", 5000)
		must(t, err)
		if n, err := small.Size(ctx); n != want || err != nil {
			t.Errorf("%d members, %v; want %d", n, err, want)
		}
	}
	must(t, b.Clear(ctx))
}

// twoWriters: no update is lost.
func twoWriters(t *testing.T, st store.Store) {
	b := board(t, st, leaderboard.Options{Ranking: leaderboard.Dense})
	const writers, each = 8, 50
	done := make(chan error)
	for range writers {
		go func() {
			var err error
			for i := range each {
				if _, e := b.Add(t.Context(), fmt.Sprint("m", i%5), 1); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range writers {
		must(t, <-done)
	}
	list, err := b.Top(t.Context(), 9)
	if err != nil || len(list) != 5 {
		t.Fatal(list, err)
	}
	for _, e := range list {
		if e.Score != writers*each/5 || e.Rank != 1 {
			t.Errorf("%+v", e)
		}
	}
}

// model is a board in the plainest way.
type model struct {
	o      leaderboard.Options
	score  map[string]int64
	at     map[string]int // when the score was reached
	clock  int
	sorted []leaderboard.Entry
}

func (m *model) apply(how int, member string, v int64) {
	old, have := m.score[member]
	switch how {
	case 0:
		v += old
	case 2:
		better := v > old
		if m.o.LowestFirst {
			better = v < old
		}
		if have && !better {
			v = old
		}
	}
	if !have || v != old {
		m.score[member] = v
		m.clock++
		m.at[member] = m.clock
	}
}

func (m *model) rank(of []string) []leaderboard.Entry {
	var list []leaderboard.Entry
	for _, name := range of {
		if s, ok := m.score[name]; ok {
			list = append(list, leaderboard.Entry{Member: name, Score: s})
		}
	}
	slices.SortFunc(list, func(a, b leaderboard.Entry) int {
		byScore := cmp.Compare(b.Score, a.Score)
		if m.o.LowestFirst {
			byScore = -byScore
		}
		tie := 0
		if m.o.Ties == leaderboard.FirstToReach {
			tie = m.at[a.Member] - m.at[b.Member]
		}
		return cmp.Or(byScore, tie, cmp.Compare(a.Member, b.Member))
	})
	dense := 0
	for i := range list {
		same := i > 0 && list[i-1].Score == list[i].Score
		if !same {
			dense++
		}
		switch {
		case m.o.Ranking == leaderboard.Dense:
			list[i].Rank = dense
		case m.o.Ranking == leaderboard.Competition && same:
			list[i].Rank = list[i-1].Rank
		default:
			list[i].Rank = i + 1
		}
	}
	return list
}

func (m *model) sort() {
	names := make([]string, 0, len(m.score))
	for name := range m.score {
		names = append(names, name)
	}
	m.sorted = m.rank(names)
}

func (m *model) trim() {
	m.sort()
	for m.o.MaxMembers > 0 && len(m.sorted) > m.o.MaxMembers {
		delete(m.score, m.sorted[len(m.sorted)-1].Member)
		m.sort()
	}
}

// models runs random operations against model, on boards of every kind. LARDER_SEED repeats a seed that a failure printed.
func models(t *testing.T, st store.Store, rounds, steps int) {
	seeds := make([]uint64, rounds)
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	if s, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	}
	for _, seed := range seeds {
		for ranking := range leaderboard.Dense + 1 {
			r := rand.New(rand.NewPCG(seed, uint64(ranking)))
			o := leaderboard.Options{Ranking: ranking, LowestFirst: r.IntN(2) == 0, Ties: leaderboard.Ties(r.IntN(2)), MaxMembers: []int{0, 0, 8}[r.IntN(3)]}
			m := &model{o: o, score: map[string]int64{}, at: map[string]int{}}
			b := board(t, st, o)
			for step := range steps {
				modelStep(t, r, b, m)
				if t.Failed() {
					t.Fatalf("LARDER_SEED=%d step %d of %+v", seed, step, o)
				}
			}
		}
	}
}

func modelStep(t *testing.T, r *rand.Rand, b *leaderboard.Board, m *model) {
	t.Helper()
	ctx := t.Context()
	member := func() string { return fmt.Sprint("m", r.IntN(20)) }
	same := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	clone := func(list []leaderboard.Entry) []leaderboard.Entry { return append([]leaderboard.Entry{}, list...) }
	n := len(m.sorted)
	switch r.IntN(8) {
	case 0, 1:
		var batch leaderboard.Batch
		score, at := maps.Clone(m.score), maps.Clone(m.at)
		for range 1 + r.IntN(12) {
			how, name, v := r.IntN(3), member(), r.Int64N(12)-4
			[]func(*leaderboard.Board, string, int64){batch.Add, batch.Set, batch.Best}[how](b, name, v)
			m.apply(how, name, v)
		}
		_, err := batch.Run(ctx)
		m.endBatch(score, at)
		same("batch", nil, nil, err)
	case 2, 3:
		how, name, v := r.IntN(3), member(), r.Int64N(12)-4
		got, err := []func() (leaderboard.Result, error){
			func() (leaderboard.Result, error) { return b.Add(ctx, name, v) },
			func() (leaderboard.Result, error) { return b.Set(ctx, name, v) },
			func() (leaderboard.Result, error) { return b.Best(ctx, name, v) },
		}[how]()
		m.apply(how, name, v)
		score := m.score[name]
		m.trim()
		want := leaderboard.Entry{Member: name, Score: score}
		if i := slices.IndexFunc(m.sorted, func(e leaderboard.Entry) bool { return e.Member == name }); i >= 0 {
			want = m.sorted[i]
		}
		same("update", got.Entry, want, err)
	case 4:
		from, count := r.IntN(n+2), r.IntN(10)
		list, total, err := b.Page(ctx, from, count)
		same("page", list, clone(m.sorted[min(from, n):min(from+count, n)]), err)
		same("total", total, n, err)
	case 5:
		name, side := member(), r.IntN(4)
		list, err := b.Around(ctx, name, side)
		want := []leaderboard.Entry(nil)
		if i := slices.IndexFunc(m.sorted, func(e leaderboard.Entry) bool { return e.Member == name }); i >= 0 {
			from := max(0, min(i-side, n-2*side-1))
			want = clone(m.sorted[from:min(n, from+2*side+1)])
		}
		same("around", list, want, err)
	case 6:
		names := []string{member(), member(), member()}
		list, err := b.Among(ctx, names...)
		slices.Sort(names)
		same("among", clone(list), clone(m.rank(slices.Compact(names))), err)
		s, ok, err := b.Rank(ctx, names[0])
		i := slices.IndexFunc(m.sorted, func(e leaderboard.Entry) bool { return e.Member == names[0] })
		if same("on the board", ok, i >= 0, err); ok && i >= 0 {
			better := slices.IndexFunc(m.sorted, func(e leaderboard.Entry) bool { return e.Score == s.Score })
			same("rank", s, leaderboard.Standing{Entry: m.sorted[i], Better: better, Of: n}, err)
		}
	case 7:
		if r.IntN(3) > 0 {
			return
		}
		name := member()
		_, have := m.score[name]
		delete(m.score, name)
		m.sort()
		gone, err := b.Remove(ctx, name)
		same("remove", gone == 1, have, err)
	}
}

// endBatch: a batch is one step, so who ends it with the score of before has had that all the while.
func (m *model) endBatch(score map[string]int64, at map[string]int) {
	for name, was := range score {
		if m.score[name] == was {
			m.at[name] = at[name]
		}
	}
	m.trim()
}

func TestEmbedded(t *testing.T) { models(t, fleet.NewClocked(t), 30, 300) }

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		suite(t, s.Open(t))
		if s.Kind == fleet.Larder {
			s.Register(leaderboard.Scripts()...)
			s.Restart()
			again := s.Open(t)
			t.Run("Go bodies", func(t *testing.T) { suite(t, again) })
		}
	})
}
