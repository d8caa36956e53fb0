// Package dashboard is a page that shows what goes on in a store: memory and evictions over time, namespaces, throughput,
// latency, the slow log, the keys and their values, and the patterns that lie in them.
//
//	board, err := dashboard.Handler(st, dashboard.Options{Password: os.Getenv("DASHBOARD_PASSWORD")})
//	...
//	defer board.Close()
//	mux.Handle("/larder/", http.StripPrefix("/larder", board))
//
// The store may be any: embedded in this process, a Larder server, Redis or Valkey. What a store does not tell is a dash on
// the page, never a zero. All of the page is in the binary: it loads nothing from elsewhere.
//
// # Who gets in
//
// With Options.Password whoever knows it, by a cookie that lasts twelve hours. Without one only requests from this machine,
// sent to localhost or to an address by its number. Options.NoLogin is for programs that ask for a log-in of their own.
//
// # What it may change
//
// Nothing, unless Options.Writable. Then keys can be deleted and given another TTL, and with Options.Queue and
// Options.Sessions dead letters be replayed and deleted, queues paused, and users logged out. Each change asks on the page, and wants
// a header that other sites' pages cannot send.
//
// # How patterns are found
//
// By how they lie in the store, which is the same for every process: a queue by its key PREFIX{NAME}:meta, a leaderboard by
// PREFIX{NAME}s:, a user's sessions by PREFIX{..}user:NAME, locks by lock:{NAME}, limits by rl:, cache entries by their first two
// bytes. The page's filter takes other prefixes. What is not in the store, such as the limit of a limiter and the hits of a cache
// in this process, comes from Options.Limiters and Options.Counters.
//
// # Cost
//
// While the handler is open a goroutine asks the store for INFO and LATENCY HISTOGRAM every Options.Every, two seconds, and
// keeps an hour of it, and a day at one point a minute, in some 250 KB. A view asks for what it shows: a page of keys is SCAN,
// bounded in time and steps, and values come in pieces of at most 64 KB, however long they are. Reading a value on the page counts
// as a read of the key.
package dashboard
