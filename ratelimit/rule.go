package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// Algorithm is how a rule counts. All decide by the store's clock, in one atomic step.
type Algorithm uint8

const (
	// SlidingLog remembers when each unit passed: in no span of Window do more than Limit units pass. 12 bytes for each
	// millisecond in which something passed.
	SlidingLog Algorithm = iota

	// SlidingCounter counts by window and weighs the window before by the part of it that the sliding window still
	// covers. Evenly spread requests are limited exactly; at worst, all units of the window before having come at its
	// end, less than 2*Limit pass in a span of Window. 22 bytes.
	SlidingCounter

	// FixedWindow counts by window, beginning at multiples of Window since 1970 UTC: days begin at midnight. Two windows'
	// units may pass one right after the other, at their border. 22 bytes.
	FixedWindow

	// TokenBucket holds Burst units, and Limit units per Window flow back, evenly: in any time t at most
	// Burst + Limit*t/Window units pass. 22 bytes.
	TokenBucket

	// GCRA, the generic cell rate algorithm, decides as TokenBucket does, but keeps only the moment when all will be free.
	// Where an id's plan changes, what it used stays the same share of the bucket; with TokenBucket the same number of
	// units. 22 bytes.
	GCRA
)

var algorithms = [...]struct {
	name string
	kind byte // as the scripts call it
}{{"sliding log", 'l'}, {"sliding counter", 's'}, {"fixed window", 'f'}, {"token bucket", 'b'}, {"GCRA", 'g'}}

// String is the algorithm's name in a sentence.
func (a Algorithm) String() string {
	if int(a) < len(algorithms) {
		return algorithms[a].name
	}
	return "algorithm " + strconv.Itoa(int(a))
}

// maxLimit keeps sums far below the 2^48 at which the log's running totals wrap.
const maxLimit = 1 << 40

// maxRules is how many rules a plan may have.
const maxRules = 16

// Rule is one limit: so many units in so long a time.
type Rule struct {
	// Name tells the rule in Result.Rule and in the RateLimit header; default the limit and the window: "100/1m0s".
	Name string

	Algorithm Algorithm

	// Limit is how many units pass per Window. A request is one unit unless AllowN says otherwise.
	Limit int

	// Window is whole milliseconds, at least one.
	Window time.Duration

	// Burst is the size of a TokenBucket, or GCRA's tolerance: how many units may pass at once; default Limit. Other
	// algorithms have none.
	Burst int
}

// size is the most units that can pass at once.
func (r Rule) size() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return r.Limit
}

// Plan is a set of rules, all of which a request must pass; it counts for all of them or for none. Plans are made once,
// with NewPlan, and shared: free and paying customers, say, have one each.
type Plan struct {
	rules []Rule
	log   bool     // else meters
	most  int      // the highest cost that all rules could let pass
	one   []string // the scripts' argument for a cost of 1; never changed
	plain bool     // the one rule of Options.Limit and Window
}

// NewPlan checks rules and makes a Plan of them: 1 to 16. SlidingLogs share one log, as long as the longest Window; they
// cannot be combined with other algorithms, whose memory is constant: take SlidingCounter for these.
func NewPlan(rules ...Rule) (*Plan, error) {
	if len(rules) == 0 || len(rules) > maxRules {
		return nil, fmt.Errorf("ratelimit: %w: %d rules, want 1 to %d", store.ErrInvalid, len(rules), maxRules)
	}
	p := &Plan{rules: append([]Rule(nil), rules...), log: rules[0].Algorithm == SlidingLog, most: math.MaxInt}
	ask := pack56(nil, 1)
	for i := range p.rules {
		r := &p.rules[i]
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("ratelimit: %w: %w", store.ErrInvalid, err)
		}
		if p.log != (r.Algorithm == SlidingLog) {
			return nil, fmt.Errorf("ratelimit: %w: a sliding log combines only with others of its kind, not with a %s", store.ErrInvalid, p.other())
		}
		if r.Name == "" {
			r.Name = fmt.Sprintf("%d/%s", r.Limit, r.Window)
		}
		p.most = min(p.most, r.size())
		ask = packSlot(ask, algorithms[r.Algorithm].kind, int64(r.Limit), r.Window.Milliseconds(), int64(r.size()))
	}
	p.one = []string{string(ask)}
	return p, nil
}

// other is the name of an algorithm of the plan that is not the log.
func (p *Plan) other() Algorithm {
	for _, r := range p.rules {
		if r.Algorithm != SlidingLog {
			return r.Algorithm
		}
	}
	return SlidingLog
}

// Rules is a copy of the plan's rules, with the defaults filled in.
func (p *Plan) Rules() []Rule { return append([]Rule(nil), p.rules...) }

func (r Rule) check() error {
	switch {
	case int(r.Algorithm) >= len(algorithms):
		return fmt.Errorf("unknown Algorithm %d", r.Algorithm)
	case r.Limit < 1 || int64(r.Limit) > maxLimit:
		return fmt.Errorf("Limit %d, want 1 to %d", r.Limit, int64(maxLimit))
	case r.Window < time.Millisecond || r.Window%time.Millisecond != 0: // longest: 292 years, 13 digits
		return fmt.Errorf("Window %v, want whole milliseconds", r.Window)
	case r.Burst < 0 || int64(r.Burst) > maxLimit:
		return fmt.Errorf("Burst %d, want 0 to %d", r.Burst, int64(maxLimit))
	case r.Burst > 0 && r.Algorithm != TokenBucket && r.Algorithm != GCRA:
		return fmt.Errorf("a %s has no Burst", r.Algorithm)
	}
	for _, c := range []byte(r.Name) {
		if c < ' ' || c > '~' {
			return errors.New("a Name that is not printable ASCII")
		}
	}
	if r.Algorithm == SlidingLog {
		return nil
	}
	if most := most(algorithms[r.Algorithm].kind, r.Window.Milliseconds()); int64(max(r.Limit, r.Burst)) > most {
		return fmt.Errorf("Limit or Burst above %d, which a %s cannot count exactly in %v; take a shorter Window or FixedWindow", most, r.Algorithm, r.Window)
	}
	return nil
}

// args are the scripts' arguments for a cost: the cost in 7 bytes, and each rule as a slot.
func (p *Plan) args(cost int) []string {
	if cost == 1 {
		return p.one
	}
	return []string{string(append(pack56(make([]byte, 0, len(p.one[0])), int64(cost)), p.one[0][costBytes:]...))}
}

func (p *Plan) scripts() *scripts {
	if p.log {
		return &logScripts
	}
	return &meterScripts
}

// share is the plan of one of n processes: each limit and burst is divided, but stays at least 1.
func (p *Plan) share(n int) (*Plan, error) {
	rules := p.Rules()
	for i := range rules {
		r := &rules[i]
		r.Limit = max(1, r.Limit/n)
		if r.Burst > 0 {
			r.Burst = max(1, r.Burst/n)
		}
	}
	return NewPlan(rules...)
}

// scripts are those of a layout: the log's or the meters'.
type scripts struct {
	take, peek, refund *store.Script
	entry, head        string // bytes, as blockScript wants them
}

// Constants in all but the language.
var (
	logScripts   = scripts{takeScript, peekScript, refundScript, "12", "6"}
	meterScripts = scripts{measureScript, glanceScript, restoreScript, "22", "0"}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{
		takeScript, peekScript, refundScript, measureScript, glanceScript, restoreScript, blockScript, leaseScript,
	}
}
