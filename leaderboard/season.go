package leaderboard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// Calendar divides time into seasons: it tells the season that t falls into, its name, and when it begins and ends. Seasons
// are whole milliseconds long, follow each other without gaps, and their names sort as they do. Names have no braces.
type Calendar func(t time.Time) (name string, from, until time.Time)

// Daily are days in a time zone, named 2026-07-01.
func Daily(loc *time.Location) Calendar {
	return func(t time.Time) (string, time.Time, time.Time) {
		y, m, d := t.In(loc).Date()
		from := time.Date(y, m, d, 0, 0, 0, 0, loc)
		return from.Format("2006-01-02"), from, time.Date(y, m, d+1, 0, 0, 0, 0, loc)
	}
}

// Weekly are weeks from Monday to Sunday in a time zone, named after ISO 8601: 2026-W27.
func Weekly(loc *time.Location) Calendar {
	return func(t time.Time) (string, time.Time, time.Time) {
		t = t.In(loc)
		y, m, d := t.Date()
		d -= (int(t.Weekday()) + 6) % 7
		year, week := t.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week), time.Date(y, m, d, 0, 0, 0, 0, loc), time.Date(y, m, d+7, 0, 0, 0, 0, loc)
	}
}

// Monthly are months in a time zone, named 2026-07.
func Monthly(loc *time.Location) Calendar {
	return func(t time.Time) (string, time.Time, time.Time) {
		y, m, _ := t.In(loc).Date()
		from := time.Date(y, m, 1, 0, 0, 0, 0, loc)
		return from.Format("2006-01"), from, time.Date(y, m+1, 1, 0, 0, 0, 0, loc)
	}
}

// SeasonOptions are for NewSeasons. Name, Calendar, Keep and Retain are required; TTL must be 0, as seasons end.
type SeasonOptions struct {
	Options

	// Calendar says when seasons begin and end: Daily, Weekly, Monthly, or one of your own.
	Calendar Calendar

	// Keep is how many of the best stay when a season has ended; MaxBatch at most.
	Keep int

	// Retain is how long they stay, after the end of the season; or NoTTL. The whole board stays so long, too, if nothing
	// archives it; with NoTTL, for 30 days.
	Retain time.Duration

	// Clock, if set, is where time comes from, for tests of this module. It only guesses the season; the store's clock
	// decides.
	Clock clock.Clock
}

// unarchived is how long a board waits to be archived where Retain is NoTTL.
const unarchived = 30 * 24 * time.Hour

// Seasons are boards that begin anew: one for each day, week or month. It is safe for concurrent use.
//
// A season's board takes updates while it runs, by the store's clock: a process whose clock is wrong cannot write to the
// season that has ended, nor to the one to come. The first update of a season archives the one before it: its best Keep stay
// as a board of their own, and the rest is freed in the background.
type Seasons struct {
	st    store.Store
	o     SeasonOptions
	clock clock.Clock
	n     counters

	mu  sync.Mutex // guards now
	now *season
}

// season is one of them.
type season struct {
	*Board
	archive     *Board
	from, until time.Time
}

// NewSeasons makes Seasons on st. It does not touch the store.
func NewSeasons(st store.Store, o SeasonOptions) (*Seasons, error) {
	if err := o.Options.check(); err != nil {
		return nil, fmt.Errorf("leaderboard: %w", err)
	}
	switch {
	case o.TTL != 0:
		return nil, fmt.Errorf("leaderboard: %w: TTL %v for Seasons; they end by their Calendar, and Retain says how long they stay", store.ErrInvalid, o.TTL)
	case o.Calendar == nil:
		return nil, fmt.Errorf("leaderboard: %w: no Calendar; choose one such as leaderboard.Weekly(time.UTC)", store.ErrInvalid)
	case o.Keep < 1 || o.Keep > MaxBatch:
		return nil, fmt.Errorf("leaderboard: %w: Keep %d, want 1 to %d", store.ErrInvalid, o.Keep, MaxBatch)
	case o.Retain != NoTTL && (o.Retain < time.Millisecond || o.Retain > maxTTL):
		return nil, fmt.Errorf("leaderboard: %w: Retain %v, want 1ms to %v, or NoTTL", store.ErrInvalid, o.Retain, maxTTL)
	}
	if o.Group == "" {
		o.Group = o.Name // all seasons share a hash tag: archiving is one step
	}
	s := &Seasons{st: st, o: o, clock: o.Clock}
	if s.clock == nil {
		s.clock = clock.System()
	}
	now, err := s.season(s.clock.Now())
	s.now = now
	return s, err
}

// season is the one that t falls into.
func (s *Seasons) season(t time.Time) (*season, error) {
	name, from, until := s.o.Calendar(t)
	if from.After(t) || !until.After(t) || name == "" || strings.ContainsAny(name, "{}") || from.UnixMilli() < 0 {
		return nil, fmt.Errorf("leaderboard: %w: the Calendar answers %q from %v until %v for %v", store.ErrInvalid, name, from, until, t)
	}
	o := s.o.Options
	o.Name += ":" + name
	stay := s.o.Retain
	if stay == NoTTL {
		stay = unarchived
	}
	end := until.UnixMilli()
	running := newBoard(s.st, o, span{from: from.UnixMilli(), till: end, expiry: end + store.Millis(stay)}, &s.n)
	o.Name += ":top"
	return &season{Board: running, archive: newBoard(s.st, o, span{}, &s.n), from: from, until: until}, nil
}

// at is season, from memory if it is the one used last.
func (s *Seasons) at(t time.Time) (*season, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now; now != nil && !t.Before(now.from) && t.Before(now.until) {
		return now, nil
	}
	fresh, err := s.season(t)
	if err == nil {
		s.now = fresh
	}
	return fresh, err
}

// Current is the running season's board, by this process's clock: to read it, and for a Batch with other boards of its
// Group. A Batch that meets the turn of the season is ErrNotNow: take Current again.
func (s *Seasons) Current() (*Board, error) {
	now, err := s.at(s.clock.Now())
	if err != nil {
		return nil, err
	}
	return now.Board, nil
}

// Add is Board.Add on the season that runs.
func (s *Seasons) Add(ctx context.Context, member string, delta int64) (Result, error) {
	return s.submit(ctx, "add", "+", member, delta)
}

// Set is Board.Set on the season that runs.
func (s *Seasons) Set(ctx context.Context, member string, score int64) (Result, error) {
	return s.submit(ctx, "set", "=", member, score)
}

// Best is Board.Best on the season that runs.
func (s *Seasons) Best(ctx context.Context, member string, score int64) (Result, error) {
	return s.submit(ctx, "best", "<", member, score)
}

// submit updates the season that runs. If the store's clock shows another season than ours, it has the last word: that is
// one more round trip, around the turn of the season. The first update of a season archives the one before: one more.
func (s *Seasons) submit(ctx context.Context, verb, how, member string, value int64) (Result, error) {
	t := s.clock.Now()
	for range 3 {
		now, err := s.at(t)
		if err != nil {
			return Result{}, err
		}
		res, first, err := now.submit(ctx, verb, how, member, now.stored(value))
		var other notNowError
		if errors.As(err, &other) {
			t = time.UnixMilli(int64(other))
			continue
		}
		if err == nil && first {
			// The board of the last season waits for Retain if this fails: Past archives it, too.
			_, _, _ = s.Archive(ctx, now.from.Add(-time.Millisecond))
		}
		return res, err
	}
	return Result{}, store.Wrap("leaderboard", verb, s.o.Name, ErrNotNow)
}

// Archive keeps the best of the season that t falls into, and frees the rest in the background. kept is how many stay, of
// how many there were; both are 0 when there is nothing (any more) to archive. While the season runs it is ErrNotNow. Seasons
// calls it when the next season has its first update; a scheduler may be earlier. One round trip, O(Keep log n).
func (s *Seasons) Archive(ctx context.Context, t time.Time) (kept, of int, err error) {
	past, err := s.season(t)
	if err != nil {
		return 0, 0, err
	}
	ctx, end := past.begin(ctx, "archive")
	defer func() { end(result(err), err) }()
	ttl := int64(0)
	if s.o.Retain != NoTTL {
		ttl = store.Millis(s.o.Retain)
	}
	keys := append(append(make([]string, 0, 2*keysPerBoard), past.keys...), past.archive.keys...)
	args := []string{past.flags, text(int64(s.o.Keep)), text(ttl), text(past.until.UnixMilli())}
	list, err := past.runOn(ctx, archiveScript, keys, args).Array()
	if err == nil && len(list) != 2 {
		err = fmt.Errorf("%w: %d elements, want 2", store.ErrReply, len(list))
	}
	if err != nil {
		return 0, 0, past.wrap("archive", err)
	}
	if word, _ := list[0].Text(); word == "now" {
		return 0, 0, past.wrap("archive", ErrNotNow)
	}
	n, err := store.ArrayOf(list...).Ints()
	if err != nil {
		return 0, 0, past.wrap("archive", err)
	}
	return int(n[0]), int(n[1]), nil
}

// Past is the archive of the season that t falls into, which has ended: a Board to read. It archives first if nobody has.
// Empty if the season had no members, or ended more than Retain ago. One round trip.
func (s *Seasons) Past(ctx context.Context, t time.Time) (*Board, error) {
	if _, _, err := s.Archive(ctx, t); err != nil {
		return nil, err
	}
	past, err := s.season(t)
	if err != nil {
		return nil, err
	}
	return past.archive, nil
}

// Stats is a snapshot of the counters of all seasons.
func (s *Seasons) Stats() Stats { return (&Board{n: &s.n}).Stats() }
