package ratelimit

import (
	"fmt"
	"math"
	"time"

	"github.com/larderdb/larder/store"
)

// Result is a decision. Where several rules apply, Limit, Remaining and the times are those of the rule that denied and
// will be last to let this request pass, or else of the one with the fewest units remaining; Each tells them all.
type Result struct {
	Allowed    bool
	Limit      int           // of the rule: units per window
	Remaining  int           // units that would still pass right now
	RetryAfter time.Duration // until this request would pass if no other came; 0 if it was allowed
	ResetAfter time.Duration // until all of the limit is free again if no other came

	Rule    string // the rule's name; empty for the one of Options.Limit and Window
	Blocked bool   // denied by Block, not by a rule
	Shadow  bool   // allowed only because the limiter is in shadow mode
	Local   bool   // decided by this process alone, because the store failed

	all *[]RuleResult // of each rule, where there are several
	of  *Plan         // nil for the one rule of Options.Limit and Window, so that such Results can be compared
}

// RuleResult is what a decision found for one rule.
type RuleResult struct {
	Rule       Rule
	Remaining  int
	RetryAfter time.Duration // 0 if the rule lets the request pass
	ResetAfter time.Duration
}

// Each tells what the decision found for each rule, in the order of the plan, where there are several; else it is empty.
func (r Result) Each() []RuleResult {
	if r.all == nil {
		return nil
	}
	return append([]RuleResult(nil), *r.all...)
}

// read makes a script's reply a Result.
func (p *Plan) read(r store.Reply) (Result, error) {
	list, err := r.Array()
	if err != nil {
		return Result{}, err
	}
	if len(list) != 1+3*len(p.rules) {
		return Result{}, fmt.Errorf("%w: %d elements, want %d", store.ErrReply, len(list), 1+3*len(p.rules))
	}
	state, err := list[0].Int64()
	if err != nil {
		return Result{}, err
	}
	res := Result{Allowed: state == 1, Blocked: state < 0}
	if !p.plain {
		res.of = p
	}
	if len(p.rules) > 1 {
		res.all = new([]RuleResult)
		*res.all = make([]RuleResult, 0, len(p.rules))
	}
	for i, rule := range p.rules {
		one, err := readRule(rule, list[1+3*i:])
		if err != nil {
			return Result{}, err
		}
		if res.all != nil {
			*res.all = append(*res.all, one)
		}
		if i == 0 || one.RetryAfter > res.RetryAfter || res.RetryAfter == 0 && one.Remaining < res.Remaining {
			res.Limit, res.Rule = rule.Limit, rule.Name
			if p.plain {
				res.Rule = ""
			}
			res.Remaining, res.RetryAfter, res.ResetAfter = one.Remaining, one.RetryAfter, one.ResetAfter
		}
	}
	return res, nil
}

func readRule(rule Rule, list []store.Reply) (one RuleResult, err error) {
	var n [3]int64
	for i := range n {
		if n[i], err = list[i].Int64(); err != nil {
			return one, err
		}
	}
	return RuleResult{rule, int(n[0]), millis(n[1]), millis(n[2])}, nil
}

// millis is n milliseconds, or as many as a Duration holds.
func millis(n int64) time.Duration {
	return time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}
