package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// The prefixes of keys, unless Options say otherwise. They name the layout, so that a log, meters and the sorted sets that
// many services keep under "ratelimit:" never meet.
const (
	DefaultPrefix      = "rl:log:"   // of SlidingLog
	DefaultMeterPrefix = "rl:meter:" // of the other algorithms
)

// DefaultTimeout is how long the store may take to decide.
const DefaultTimeout = 100 * time.Millisecond

// Options of a Limiter. Limit and Window are required, or Rules instead.
type Options struct {
	// Limit is how many units pass in any span of Window. A request is one unit unless AllowN says otherwise.
	Limit int

	// Window is the length of the span: whole milliseconds, at least one.
	Window time.Duration

	// Algorithm is how to count; default SlidingLog.
	Algorithm Algorithm

	// Burst is the size of a TokenBucket or GCRA's tolerance; default Limit.
	Burst int

	// Rules, instead of the four fields above, are several limits at once: 10 a second and 1000 an hour. A request passes
	// all of them and counts for all, or for none.
	Rules []Rule

	// PlanFor, if set, chooses the rules by id: what the customer pays for, say. Nil means the Options' own. It is called
	// for every decision and should be quick. SlidingLog plans cannot be mixed with others under one Limiter.
	PlanFor func(ctx context.Context, id string) *Plan

	// Prefix begins every key in the store. Limiters that share store, Prefix and ids share their counts. Default
	// DefaultPrefix or DefaultMeterPrefix; two limits for the same ids need two prefixes: "rl:log:login:".
	Prefix string

	// Timeout is how long the store may take; default DefaultTimeout, negative for no limit but the ctx's. A store in
	// this process needs none and gets none.
	Timeout time.Duration

	// FailClosed denies while the store fails. By default requests pass.
	FailClosed bool

	// LocalShare, if set, is by how many processes the limit is shared. While the store fails, each admits an equal part
	// of it (at least one unit) by a count of its own. A store without an answer is tried again once a second meanwhile.
	LocalShare int

	// Shadow decides and counts, but never denies: Result.Shadow and Stats.Shadowed tell what would have been denied. For
	// trying out a limit.
	Shadow bool

	// OnDenied, if set, is called for every denied request, those in shadow mode too; OnError for every failure of the
	// store. They run on the request's goroutine and should be quick.
	OnDenied func(ctx context.Context, id string, res Result)
	OnError  func(ctx context.Context, id string, err error)

	// Observer hears of operations: "allow" (results observe.OK, observe.Denied, "shadow"), "peek", "refund", "block",
	// "reset"; and counts "local" decisions.
	Observer observe.Observer

	// Clock is for tests of this module. The store's clock decides; this one times what happens without it.
	Clock clock.Clock
}

// Stats counts what a Limiter did in this process since it was made. Other operations than decisions count in Failed only.
type Stats struct {
	Allowed  uint64 // passed by the store's decision
	Denied   uint64 // denied by the store's decision
	Failed   uint64 // not decided, because the store failed
	Shadowed uint64 // of Allowed: only because of shadow mode
	Local    uint64 // decided by this process alone, because the store failed
}

// Limiter decides. It is safe for concurrent use; make one per limit with New.
type Limiter struct {
	st      store.Store
	o       Options
	plan    *Plan
	timeout *store.CallTimeout
	local   *local // nil without LocalShare

	allowed, denied, failed, shadowed, locally atomic.Uint64
}

// New makes a Limiter on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Limiter, error) {
	rules := o.Rules
	if len(rules) == 0 {
		rules = []Rule{{Algorithm: o.Algorithm, Limit: o.Limit, Window: o.Window, Burst: o.Burst}}
	} else if o.Limit != 0 || o.Window != 0 || o.Burst != 0 || o.Algorithm != 0 {
		return nil, fmt.Errorf("ratelimit: %w: both Rules and Limit, Window, Algorithm or Burst", store.ErrInvalid)
	}
	plan, err := NewPlan(rules...)
	if err != nil {
		return nil, err
	}
	plan.plain = len(o.Rules) == 0
	if o.LocalShare < 0 {
		return nil, fmt.Errorf("ratelimit: %w: LocalShare %d, want the number of processes", store.ErrInvalid, o.LocalShare)
	}
	if o.Prefix == "" {
		o.Prefix = DefaultMeterPrefix
		if plan.log {
			o.Prefix = DefaultPrefix
		}
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	l := &Limiter{st: st, o: o, plan: plan, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)}
	if o.LocalShare > 0 {
		l.local = newLocal(o.LocalShare, o.Clock)
	}
	return l, nil
}

// Request is a decision to make, for what Allow, AllowN and Peek cannot say.
//
// An id has one state, a count for each rule by its place in the plan, and a decision drops what its plan does not count. So
// plans may change for an id (a customer who now pays), but an id that asks under several plans in turn, such as one for reads
// and one for writes, needs an ID for each: "user:7:read".
type Request struct {
	ID   string
	Cost int   // units asked for; 0 means 1
	Plan *Plan // the rules for this request; nil: those of Options.PlanFor, or the Limiter's own
	Peek bool  // tell what would be decided, and count nothing
}

// Allow asks for one unit for id: a user, an account, an address. See AllowN.
func (l *Limiter) Allow(ctx context.Context, id string) (Result, error) {
	return l.Decide(ctx, Request{ID: id, Cost: 1})
}

// AllowN asks for cost units at once: all or none pass. What passes is counted, what is denied is not.
//
// If the store fails, err tells why, and Result.Allowed is what Options.FailClosed wants: code that looks only at
// Allowed does the right thing. With Options.LocalShare the process decides alone, and err is nil. A cost below 1 or
// above the limit could never be decided; it is denied with ErrInvalid.
func (l *Limiter) AllowN(ctx context.Context, id string, cost int) (Result, error) {
	if cost == 0 {
		cost = -1 // Request's 0 means 1
	}
	return l.Decide(ctx, Request{ID: id, Cost: cost})
}

// Peek tells what Allow would answer now, and counts nothing.
func (l *Limiter) Peek(ctx context.Context, id string) (Result, error) {
	return l.Decide(ctx, Request{ID: id, Cost: 1, Peek: true})
}

// Decide is AllowN or Peek with a plan for this request alone. The plan's algorithms must be kept as the Limiter's own
// are: SlidingLog or the others; else it is ErrInvalid.
func (l *Limiter) Decide(ctx context.Context, r Request) (Result, error) {
	verb := "allow"
	if r.Peek {
		verb = "peek"
	}
	if l.o.Observer == nil {
		return l.decide(ctx, verb, r)
	}
	ctx, end := observe.Begin(ctx, l.o.Observer, l.op(verb, r.ID))
	res, err := l.decide(ctx, verb, r)
	switch {
	case err != nil:
		end(observe.Failed, err)
	case res.Shadow:
		end("shadow", nil)
	case !res.Allowed:
		end(observe.Denied, nil)
	default:
		end(observe.OK, nil)
	}
	return res, err
}

func (l *Limiter) op(verb, id string) observe.Op {
	return observe.Op{Pattern: "ratelimit", Name: l.o.Prefix, Verb: verb, Key: id}
}

func (l *Limiter) decide(ctx context.Context, verb string, r Request) (Result, error) {
	plan, err := l.planOf(ctx, r.Plan, r.ID, &r.Cost)
	if err != nil {
		return Result{Allowed: l.o.Shadow, Limit: plan.rules[0].Limit, Shadow: l.o.Shadow}, store.Wrap("ratelimit", verb, l.o.Prefix+r.ID, err)
	}
	script := plan.scripts().take
	if r.Peek {
		script = plan.scripts().peek
	}
	if l.local != nil && l.local.alone() {
		return l.alone(ctx, script, plan, r)
	}
	res, err := plan.read(l.run(ctx, script, r.ID, plan.args(r.Cost)))
	if err != nil {
		err = l.fail(ctx, verb, r.ID, err)
		if l.local != nil && !errors.Is(err, context.Canceled) {
			l.local.failed(err)
			return l.alone(ctx, script, plan, r)
		}
		return Result{Allowed: l.o.Shadow || !l.o.FailClosed, Limit: plan.rules[0].Limit}, err
	}
	if l.local != nil {
		l.local.answered()
	}
	if r.Peek {
		return l.shade(res), nil
	}
	if res.Allowed {
		l.allowed.Add(1)
		return res, nil
	}
	return l.deny(ctx, r.ID, res), nil
}

// deny counts and tells a denial.
func (l *Limiter) deny(ctx context.Context, id string, res Result) Result {
	if res = l.shade(res); res.Shadow {
		l.allowed.Add(1)
		l.shadowed.Add(1)
	} else {
		l.denied.Add(1)
	}
	if l.o.OnDenied != nil {
		l.o.OnDenied(ctx, id, res)
	}
	return res
}

// shade lets pass what shadow mode must.
func (l *Limiter) shade(res Result) Result {
	if l.o.Shadow && !res.Allowed {
		res.Allowed, res.Shadow = true, true
	}
	return res
}

// alone decides without the store.
func (l *Limiter) alone(ctx context.Context, script *store.Script, plan *Plan, r Request) (Result, error) {
	if !r.Peek {
		l.locally.Add(1)
		observe.Count(ctx, l.o.Observer, l.op("local", r.ID), 1)
	}
	res := l.local.decide(script, plan, l.o.Prefix+r.ID, r.Cost, !l.o.FailClosed)
	if res.Local = true; !res.Allowed && !r.Peek && l.o.OnDenied != nil {
		l.o.OnDenied(ctx, r.ID, l.shade(res))
	}
	return l.shade(res), nil
}

// planOf gives the plan for an id, and checks the cost. The plan is never nil.
func (l *Limiter) planOf(ctx context.Context, plan *Plan, id string, cost *int) (*Plan, error) {
	if plan == nil && l.o.PlanFor != nil {
		plan = l.o.PlanFor(ctx, id)
	}
	if plan == nil {
		plan = l.plan
	}
	if *cost == 0 {
		*cost = 1
	}
	switch {
	case len(plan.rules) == 0: // not made by NewPlan
		return l.plan, fmt.Errorf("%w: a plan without rules", store.ErrInvalid)
	case plan.log != l.plan.log:
		return plan, fmt.Errorf("%w: a plan of a %s for a limiter of a %s", store.ErrInvalid, plan.rules[0].Algorithm, l.plan.rules[0].Algorithm)
	case *cost < 1 || *cost > plan.most:
		return plan, fmt.Errorf("%w: cost %d, want 1 to the limit of %d", store.ErrInvalid, *cost, plan.most)
	}
	return plan, nil
}

// Refund gives n units back that were counted for id and not used, the latest first: the work that they were for failed,
// say. With several rules each gets them back. What is not used cannot be given back: n beyond it is ignored. One round
// trip. Where a Request had a Plan of its own, use Undo.
func (l *Limiter) Refund(ctx context.Context, id string, n int) error {
	if n == 0 {
		return nil
	}
	return l.Undo(ctx, Request{ID: id, Cost: n})
}

// Undo is Refund for what Decide counted for a request: by the same rules. Others would forget what only those of the
// request count.
func (l *Limiter) Undo(ctx context.Context, r Request) error {
	if r.Peek {
		return nil
	}
	return l.other(ctx, "refund", r.ID, func(ctx context.Context) error {
		plan, err := l.planOf(ctx, r.Plan, r.ID, &r.Cost)
		if err != nil {
			return err
		}
		return l.run(ctx, plan.scripts().refund, r.ID, plan.args(r.Cost)).Err()
	})
}

// Block denies id for a time, whatever it used: after too many failed log-ins, say. A new block replaces an old one; 0 ends
// it; so does Reset. Counts go on where they were. d is rounded up to a millisecond. One round trip.
func (l *Limiter) Block(ctx context.Context, id string, d time.Duration) error {
	return l.other(ctx, "block", id, func(ctx context.Context) error {
		if d < 0 || d > maxBlock {
			return fmt.Errorf("%w: a block for %v, want 0 to %v", store.ErrInvalid, d, maxBlock)
		}
		s := l.plan.scripts()
		return l.run(ctx, blockScript, id, []string{strconv.FormatInt(store.Millis(d), 10), s.entry, s.head}).Err()
	})
}

const maxBlock = longestBlock * time.Millisecond

// Reset forgets what id used, so that all of its limit is free, and ends a block. Resetting an unknown id is a no-op.
func (l *Limiter) Reset(ctx context.Context, id string) error {
	return l.other(ctx, "reset", id, func(ctx context.Context) error {
		ctx, cancel := l.timeout.Bound(ctx)
		defer cancel()
		return l.st.Do(ctx, "DEL", l.o.Prefix+id).Err()
	})
}

// other is an operation that is no decision.
func (l *Limiter) other(ctx context.Context, verb, id string, call func(context.Context) error) error {
	ctx, end := observe.Begin(ctx, l.o.Observer, l.op(verb, id))
	err := call(ctx)
	switch {
	case errors.Is(err, store.ErrInvalid):
		err = store.Wrap("ratelimit", verb, l.o.Prefix+id, err)
	case err != nil:
		err = l.fail(ctx, verb, id, err)
	default:
		end(observe.OK, nil)
		return nil
	}
	end(observe.Failed, err)
	return err
}

// Stats is a snapshot of the counters.
func (l *Limiter) Stats() Stats {
	return Stats{l.allowed.Load(), l.denied.Load(), l.failed.Load(), l.shadowed.Load(), l.locally.Load()}
}

// Limit is the Options' Limit; of several rules, the first's.
func (l *Limiter) Limit() int { return l.plan.rules[0].Limit }

// Window is the Options' Window; of several rules, the first's.
func (l *Limiter) Window() time.Duration { return l.plan.rules[0].Window }

// Plan is the Limiter's own plan.
func (l *Limiter) Plan() *Plan { return l.plan }

func (l *Limiter) run(ctx context.Context, script *store.Script, id string, args []string) store.Reply {
	bounded, cancel := l.timeout.Bound(ctx)
	defer cancel()
	return l.st.Run(bounded, script, []string{l.o.Prefix + id}, args...)
}

// fail counts and reports a failure of the store. A caller that left is none.
func (l *Limiter) fail(ctx context.Context, op, id string, err error) error {
	err = store.Wrap("ratelimit", op, l.o.Prefix+id, err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	l.failed.Add(1)
	if l.o.OnError != nil {
		l.o.OnError(ctx, id, err)
	}
	return err
}
