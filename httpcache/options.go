package httpcache

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultMaxBody   = 1 << 20 // bytes
	DefaultMaxTTL    = 24 * time.Hour
	DefaultKeepStale = time.Hour
	DefaultTimeout   = 100 * time.Millisecond
	DefaultName      = "larder"
)

// Options of a Cache. Only Prefix is required. Caches that share a store and a Prefix share their responses; they should
// have the same Options.
type Options struct {
	// Prefix begins every key in the store: "http:".
	Prefix string

	// MaxBody is the most bytes of a body that is stored; default DefaultMaxBody. Larger ones pass through as they come.
	MaxBody int

	// MaxTTL is the longest that a response lies in the store, stale or fresh; default DefaultMaxTTL. At most a year.
	MaxTTL time.Duration

	// KeepStale is how long a response that can be validated (it has an ETag or Last-Modified) is kept after it has
	// become stale, so that a 304 renews it; default DefaultKeepStale, negative for not at all.
	KeepStale time.Duration

	// DefaultTTL is for how long a response without Cache-Control max-age, s-maxage, and Expires is fresh, if it answers a
	// request without Cookie and Authorization with a status that RFC 9110 calls cacheable. Default 0: it is not stored.
	DefaultTTL time.Duration

	// Heuristic is the share of its age (Date less Last-Modified) for which such a response is fresh instead, for at most
	// a day. Default 0: none in a Handler, where the origin is yours and can say; a tenth in a Transport. Negative: never.
	Heuristic float64

	// StaleWhileRevalidate and StaleIfError are for responses that do not say themselves: for how long after its time a
	// response may be served while another is fetched in the background, and when the origin fails. Default 0.
	StaleWhileRevalidate, StaleIfError time.Duration

	// Private makes this the cache of one user: what is private, and what answers a request with Authorization, is
	// stored too, and what only concerns shared caches is ignored.
	Private bool

	// StoreFlushed stores also bodies of unknown length whose handler flushes while it writes. By default those are
	// streams, and nothing is kept of them. httputil.ReverseProxy flushes whatever came without a Content-Length; bodies
	// still pass through as they come.
	StoreFlushed bool

	// IgnoreRequests makes a Handler ignore the Cache-Control of requests, by which anybody can go past the cache.
	IgnoreRequests bool

	// Skip, if set, says which requests the cache leaves alone.
	Skip func(*http.Request) bool

	// Key says what of a request makes its key. The zero value is right for most.
	Key KeyPolicy

	// Name is this cache in Cache-Status; default DefaultName. "-" adds no Cache-Status.
	Name string

	// Timeout is how long one call to the store may take; default DefaultTimeout, negative for no limit but the ctx's.
	// After three calls in a row that took longer only one request in five Timeouts asks the store, until it answers.
	// A store in this process needs none and gets none.
	Timeout time.Duration

	// OnError, if set, hears of what goes wrong without a caller to tell: a store that fails, a handler that panics in
	// the background.
	OnError func(ctx context.Context, err error)

	// Observer, if set, hears of requests ("get": hit, miss, stale, revalidated, bypass), of purges and of failures.
	Observer observe.Observer

	// Clock, if set, is where time comes from, for tests of this module.
	Clock clock.Clock
}

// KeyPolicy says what of a request makes its key. Always part of it are the path as it was sent, and the scheme. What is
// not part of the key is not shown to the handler either where it could change the answer: query parameters that do not
// count are removed from the request.
type KeyPolicy struct {
	// IgnoreHost leaves the host out: for a service with one site behind many names.
	IgnoreHost bool

	// KeepOrder tells ?a=1&b=2 from ?b=2&a=1. By default parameters are sorted by name.
	KeepOrder bool

	// Query, if not nil, lists the parameters that count; a * at the end stands for any rest. QueryExcept lists ones that
	// do not: "utm_*".
	Query, QueryExcept []string

	// Headers and Cookies are further names whose values count. Cookies do not count otherwise, unless a response says
	// Vary: Cookie.
	Headers, Cookies []string

	// Partition, if set, divides the cache further: by tenant, by role. It must not depend on anything the client can
	// choose freely.
	Partition func(*http.Request) string

	// TrustForwarded leaves out the headers by which a client or a proxy claims another host, scheme, path or method than
	// the request has (X-Forwarded-Host, X-Forwarded-Proto, X-Original-Url, ...). By default they count, since
	// a handler that believes them would otherwise answer one client with what another one forged.
	TrustForwarded bool
}

// config is Options with the defaults in place.
type config struct {
	Options
	timeout *store.CallTimeout
	implied []string // canonical names of headers that count for every response
}

const year = 365 * 24 * time.Hour

func newConfig(st store.Store, o Options) (config, error) {
	bad := func(format string, args ...any) (config, error) {
		return config{}, fmt.Errorf("httpcache: %w: %s", store.ErrInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case st == nil:
		return bad("no store")
	case o.Prefix == "":
		return bad("no Prefix; choose one such as \"http:\"")
	case o.MaxBody < 0:
		return bad("MaxBody %d", o.MaxBody)
	case o.MaxTTL < 0 || o.MaxTTL > year:
		return bad("MaxTTL %v, want at most a year", o.MaxTTL)
	case o.Heuristic > 1 || math.IsNaN(o.Heuristic):
		return bad("Heuristic %v, want at most 1: a share of a response's age", o.Heuristic)
	case o.DefaultTTL < 0 || o.StaleWhileRevalidate < 0 || o.StaleIfError < 0:
		return bad("a negative duration")
	case o.Name != "" && o.Name != "-" && !isToken(o.Name):
		return bad("Name %q is not a token", o.Name)
	}
	c := config{Options: o}
	c.MaxBody = or(o.MaxBody, DefaultMaxBody)
	c.MaxTTL = or(o.MaxTTL, DefaultMaxTTL)
	c.KeepStale = max(or(o.KeepStale, DefaultKeepStale), 0)
	c.Name = or(o.Name, DefaultName)
	c.timeout = store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	for _, name := range append(append([]string{}, o.Key.Headers...), o.Key.Cookies...) {
		if !isToken(name) {
			return bad("%q is no name of a header or cookie", name)
		}
	}
	c.implied = impliedHeaders(o.Key)
	return c, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
