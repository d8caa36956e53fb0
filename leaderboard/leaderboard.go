package leaderboard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// NoTTL as Options.TTL keeps a board until it is cleared.
const NoTTL = time.Duration(-1)

// DefaultPrefix begins the keys of a Board.
const DefaultPrefix = "board:"

// DefaultTimeout is how long one operation may take at the store.
const DefaultTimeout = time.Second

const (
	maxMember = 512     // bytes
	maxData   = 4 << 10 // bytes

	// MaxBatch bounds what one call asks the store to do in one step: updates, members, entries of a page.
	MaxBatch = 1000
)

var (
	// ErrRange means that a score would leave the range of -MaxScore to MaxScore. Nothing of the call was applied.
	ErrRange = errors.New("score out of range")

	// ErrNotNow means that the board's season has not begun or has ended, by the store's clock. Nothing was applied.
	ErrNotNow = errors.New("the season does not run now")
)

// Ranking is which number members with equal scores get.
type Ranking uint8

const (
	Ordinal     Ranking = iota // 1 2 3 4: each place is given once, ties by Options.Ties
	Competition                // 1 2 2 4: equal scores share a place, and leave a gap after them
	Dense                      // 1 2 2 3: equal scores share a place, and leave no gap
)

// Ties is in which order members with equal scores stand.
type Ties uint8

const (
	FirstToReach Ties = iota // who reached the score first stands first
	ByMember                 // by the bytes of their names; this takes less memory
)

// Options of a Board. Name and TTL are required.
type Options struct {
	// Name is the board's: "weekly". It has no braces.
	Name string

	// Group, if set, is shared by boards that one Batch is to change together: they get one hash tag. Boards of one group
	// live on one node of a Cluster.
	Group string

	// Prefix begins every key in the store; it has no braces. Default DefaultPrefix.
	Prefix string

	// TTL is how long the board lives after the last update, at least; up to 1/64 of it longer, so that not every update
	// has to write it. Or NoTTL.
	TTL time.Duration

	// LowestFirst is for boards where less is better, such as times of a race.
	LowestFirst bool

	// Ties: default FirstToReach. A board's Ties never change: take another Name.
	Ties Ties

	// Ranking: default Ordinal. A board becomes or stops being Dense under another Name only; the other two may change.
	Ranking Ranking

	// Data keeps what Update.Data and SetData say of members, and returns it in entries.
	Data bool

	// MaxMembers, if set, keeps the best so many and drops the others: at most 2000 with each update, so a board on which it
	// is set later shrinks step by step.
	MaxMembers int

	// Timeout is how long one operation may take; default DefaultTimeout, negative for no limit but the ctx's. A store
	// in this process needs none and gets none.
	Timeout time.Duration

	// Observer hears of every operation.
	Observer observe.Observer
}

// Entry is a member on a board.
type Entry struct {
	Member string
	Score  int64
	Rank   int    // from 1, by Options.Ranking; 0 where the operation tells none
	Data   string // if Options.Data
}

// Stats counts what a Board did in this process since it was made.
type Stats struct {
	Updates uint64 // scores sent
	Changed uint64 // of these, how many changed a score
	Reads   uint64 // operations that read
	Removed uint64 // members removed
	Failed  uint64 // operations that the store failed
}

// Board is a leaderboard in a store. It is safe for concurrent use.
type Board struct {
	st      store.Store
	o       Options
	timeout *store.CallTimeout
	tag     string   // what the keys' hash tag is; a Batch asks for one
	keys    []string // of scripts; never changed
	head    string   // what an update says of the board
	flags   string
	n       *counters // shared by the boards of Seasons
}

type counters struct{ updates, changed, reads, removed, failed atomic.Uint64 }

// span is when a season's board takes updates and when it goes, in Unix ms; all zero for a board without seasons.
type span struct{ from, till, expiry int64 }

// New makes a Board on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Board, error) {
	if o.TTL <= 0 && o.TTL != NoTTL {
		return nil, fmt.Errorf("leaderboard: %w: TTL %v, want more than 0, or NoTTL", store.ErrInvalid, o.TTL)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("leaderboard: %w", err)
	}
	return newBoard(st, o, span{}, &counters{}), nil
}

// maxTTL keeps times in what scripts count with.
const maxTTL = 100 * 365 * 24 * time.Hour

func (o *Options) check() error {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	switch {
	case o.Name == "":
		return fmt.Errorf("%w: no Name; choose one such as \"weekly\"", store.ErrInvalid)
	case strings.ContainsAny(o.Prefix+o.Group+o.Name, "{}"):
		return fmt.Errorf("%w: braces in Prefix %q, Group %q or Name %q would be the keys' hash tag", store.ErrInvalid, o.Prefix, o.Group, o.Name)
	case o.TTL > maxTTL:
		return fmt.Errorf("%w: TTL %v, want %v at most, or NoTTL", store.ErrInvalid, o.TTL, maxTTL)
	case o.Ranking > Dense || o.Ties > ByMember:
		return fmt.Errorf("%w: Ranking %d, Ties %d", store.ErrInvalid, o.Ranking, o.Ties)
	case o.MaxMembers < 0 || int64(o.MaxMembers) > 1<<40:
		return fmt.Errorf("%w: MaxMembers %d", store.ErrInvalid, o.MaxMembers)
	}
	return nil
}

func newBoard(st store.Store, o Options, s span, n *counters) *Board {
	b := &Board{st: st, o: o, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout), tag: o.Group, n: n}
	name := o.Name
	if b.tag == "" {
		b.tag, name = o.Name, ""
	}
	root := o.Prefix + "{" + b.tag + "}"
	b.keys = []string{root + "s:" + name, root + "t:" + name, root + "n:" + name, root + "d:" + name}
	if o.Ties == FirstToReach {
		b.flags = "t"
	}
	if o.Ranking == Dense {
		b.flags += "n"
	}
	if o.Data {
		b.flags += "d"
	}
	b.flags += ":" + string("ocn"[o.Ranking])
	ttl := int64(0)
	if o.TTL > 0 {
		ttl = store.Millis(o.TTL)
	}
	b.head = fmt.Sprintf("%s %d %d %d %d %d", b.flags, ttl, s.expiry, s.from, s.till, o.MaxMembers)
	return b
}

func text(n int64) string { return strconv.FormatInt(n, 10) }

// Name is the Options' Name; for a season, the season's with it.
func (b *Board) Name() string { return b.o.Name }

// Stats is a snapshot of the counters.
func (b *Board) Stats() Stats {
	return Stats{
		Updates: b.n.updates.Load(), Changed: b.n.changed.Load(), Reads: b.n.reads.Load(),
		Removed: b.n.removed.Load(), Failed: b.n.failed.Load(),
	}
}

// stored is a score as the store has it, best first; and back, as this is its own inverse.
func (b *Board) stored(score int64) int64 {
	if b.o.LowestFirst {
		return score
	}
	return -score
}

// member is the name in an entry of the sorted set.
func (b *Board) member(entry string) string {
	if b.o.Ties == FirstToReach && len(entry) >= stampLen {
		return entry[stampLen:]
	}
	return entry
}

func checkMember(member string) error {
	if member == "" || len(member) > maxMember {
		return fmt.Errorf("%w: member of %d bytes, want 1 to %d", store.ErrInvalid, len(member), maxMember)
	}
	return nil
}

func (b *Board) begin(ctx context.Context, verb string) (context.Context, observe.End) {
	return observe.Begin(ctx, b.o.Observer, observe.Op{Pattern: "leaderboard", Name: b.o.Prefix + b.o.Name, Verb: verb})
}

// run runs a script on this board's keys.
func (b *Board) run(ctx context.Context, s *store.Script, args ...string) store.Reply {
	return b.runOn(ctx, s, b.keys, args)
}

func (b *Board) runOn(ctx context.Context, s *store.Script, keys, args []string) store.Reply {
	ctx, cancel := b.timeout.Bound(ctx)
	defer cancel()
	return b.st.Run(ctx, s, keys, args...)
}

// wrap counts and words an error. The range error of the scripts becomes ErrRange.
func (b *Board) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var answered store.ServerError
	switch {
	case errors.As(err, &answered) && strings.Contains(string(answered), "RANGE leaderboard"):
		err = fmt.Errorf("%w: want -(2^53-1) to 2^53-1", ErrRange)
	case errors.Is(err, context.Canceled), errors.Is(err, store.ErrInvalid), errors.Is(err, ErrNotNow):
	default:
		b.n.failed.Add(1)
	}
	return store.Wrap("leaderboard", op, b.o.Name, err)
}

func result(err error) string {
	if err != nil {
		return observe.Failed
	}
	return observe.OK
}
