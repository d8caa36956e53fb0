// Package ratelimit limits how often something may happen: 100 requests a minute per client, 5 log-ins an hour per
// account. It keeps a sliding-window log in the store, so every process that shares the store shares the limit.
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
// # What it promises
//
//   - Exact: in no span of Window do more than Limit units pass. There are no buckets at whose borders twice as many do.
//   - A denied request is not counted: a client that keeps asking is let in as soon as its older requests are old
//     enough, not never.
//   - RetryAfter is the time until the same request would pass if nothing else came, to the millisecond; not the window.
//   - One atomic step on one key, by the store's clock: processes with wrong clocks or races do not let more through.
//
// # Cost
//
// Allow is one round trip. Its work is O(log n) for n requests in the window. The log takes 12 bytes for each
// millisecond in which something passed, up to twice that while old entries wait to be cut off: at most 24 bytes *
// min(Limit, Window in ms) per key, and nothing for a key that has been idle for a Window.
//
// # When the store fails
//
// The store has Options.Timeout to answer. When it fails, requests pass (the default: a broken limiter should not take
// the service down) or are denied (FailClosed: for limits that protect, such as log-ins). Either is counted in Stats
// and told to Options.OnError.
package ratelimit
