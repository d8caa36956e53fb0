// Package ratelimit limits how often something may happen: 100 requests a minute per client, 5 log-ins an hour per
// account, three exports at once. It counts in the store, so every process that shares the store shares the limit.
//
//	limit, err := ratelimit.New(st, ratelimit.Options{Limit: 100, Window: time.Minute})
//	...
//	res, err := limit.Allow(ctx, "user:7")
//	if !res.Allowed {
//		// try again after res.RetryAfter
//	}
//
// and for HTTP, the whole of the usual service:
//
//	protect, err := ratelimit.Middleware(limit, ratelimit.HTTPOptions{Paths: []string{"/api/"}})
//	...
//	http.ListenAndServe(addr, protect(mux))
//
// ConcurrencyMiddleware bounds requests at work at once. For gRPC there are interceptors in the module ratelimit/grpclimit.
//
// # Algorithms
//
//	SlidingLog      exact: in no span of Window do more than Limit units pass     12 bytes per busy millisecond
//	SlidingCounter  estimates: less than 2*Limit in a span at worst               22 bytes
//	FixedWindow     Limit per window of the calendar, 2*Limit across a border     22 bytes
//	TokenBucket     Burst at once, and Limit per Window flowing back evenly       22 bytes
//	GCRA            the same, keeping a moment instead of tokens                  22 bytes
//	Concurrency     Limit at work at once, by leases that end by themselves       20 bytes per lease
//
// SlidingLog is the default: it never surprises. For limits of many thousands per client take one of the others.
//
// # Several limits, plans, and the rest
//
//	limit, err := ratelimit.New(st, ratelimit.Options{Rules: []ratelimit.Rule{
//		{Algorithm: ratelimit.GCRA, Limit: 10, Window: time.Second},
//		{Algorithm: ratelimit.GCRA, Limit: 1000, Window: time.Hour},
//	}})
//
// passes all rules and counts for all, or counts for none; Result.Rule tells which denied. Options.PlanFor, or
// Request.Plan for one call, choose the rules by who asks. AllowN has a cost, Peek counts nothing, Refund gives back, Block
// denies for a time, Reset forgets; Options.Shadow decides without denying.
//
// # What it promises
//
//   - One atomic step on one key, by the store's clock: processes with wrong clocks or races do not let more through.
//   - A denied request is not counted, and writes nothing: a client that keeps asking is let in as soon as its older
//     requests are old enough, not never.
//   - RetryAfter is the time until the same request would pass if nothing else came, to the millisecond; not the window.
//   - A store whose clock was set back, by a failover say, locks nobody out for longer than two windows.
//
// # Cost
//
// Every decision is one round trip. Its work is O(1) per rule, with SlidingLog O(log n) for n requests in the window. A log
// takes 12 bytes for each millisecond in which something passed, up to twice that while old entries wait to be cut off: at
// most 24 bytes * min(Limit, Window in ms) per key. An idle key is gone after its longest window.
//
// # When the store fails
//
// The store has Options.Timeout to answer. When it fails, requests pass (the default: a broken limiter should not take
// the service down) or are denied (FailClosed: for limits that protect, such as log-ins), or each process admits its part of
// the limit by a count of its own (LocalShare). All is counted in Stats and told to Options.OnError.
package ratelimit
