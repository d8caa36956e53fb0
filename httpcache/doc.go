// Package httpcache keeps HTTP responses in a store: in front of a service's handlers, and behind its client.
//
//	pages, err := httpcache.New(st, httpcache.Options{Prefix: "http:"})
//	...
//	http.ListenAndServe(addr, pages.Handler(mux))
//
// That is all of the common case: what a handler marks by Cache-Control (or Expires) as storable by a shared cache is
// stored, and served until it is stale; then it is validated, or fetched anew. A client's side is as short:
//
//	client := &http.Client{Transport: pages.Transport(http.DefaultTransport)}
//
// After a change, purge what shows it, by URL or by the groups that responses named in Cache-Groups:
//
//	err := pages.Purge(ctx, "https://shop.example/products/7")
//	err := pages.PurgeGroups(ctx, "shop.example", "product-7")
//
// # What it promises
//
//   - RFC 9111 and the parts of RFC 9110 that belong to it: Vary, ETag and Last-Modified, conditional requests from
//     clients and to the origin, Cache-Control of requests and responses, Expires, Age, ranges and HEAD from a stored
//     response, invalidation by unsafe methods. RFC 5861: stale-while-revalidate and stale-if-error. RFC 9211:
//     Cache-Status. RFC 9875: Cache-Groups and Cache-Group-Invalidation.
//   - Never stored, unless Options say otherwise: what sets cookies, is private or no-store, is partial, varies by *, has
//     trailers, or answers a request with Authorization without being marked for it.
//   - One fetch for many that miss one key. A leader whose client leaves fetches on for those who wait.
//   - A purge wins: once it has returned, nothing older is served by any process, and what was being fetched meanwhile is
//     not stored.
//   - What is not stored passes through as it comes: streams, flushes, trailers, 1xx, hijacked connections. The wrapped
//     writer works with http.ResponseController.
//   - A store that is down does not take the service down: the handler answers, and Stats.StoreErrors counts. A network
//     store has Options.Timeout per call, and while it hangs only one request in a while waits that long.
//   - Everything stored has a TTL, of at most Options.MaxTTL.
//
// # Cost
//
// A hit is one round trip: two GETs and an HGET in one pipeline (one GET less for a response without Vary). It is two
// the first time that this process meets a URL that varies, or a response's groups after any group was purged. Storing
// is one script. A purge is one script per URL, or one for all groups named, O(1) however many responses they have.
//
// Several processes compare each other's times of reception: their clocks should agree to within a second or so.
package httpcache
