package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits of what is stored. A response beyond one passes through.
const (
	maxHeaderBytes = 64 << 10
	maxGroups      = 64
	maxGroupBytes  = 256
	maxListed      = 64  // fields named by Connection, no-cache and private
	maxHost        = 512 // bytes
	mostHeuristic  = 24 * time.Hour
)

// asked is what of a request decides whether, and which, stored response answers it.
type asked struct {
	method     string
	cc         directives
	authorized bool // it has Authorization
	cookies    bool
}

func (c *Cache) ask(r *http.Request, obey bool) asked {
	a := asked{method: r.Method, authorized: len(r.Header["Authorization"]) > 0, cookies: len(r.Header["Cookie"]) > 0}
	if lines := r.Header["Cache-Control"]; obey && len(lines) > 0 {
		a.cc = parseDirectives(lines)
	} else {
		a.cc = directives{maxAge: absent, maxStale: absent, minFresh: absent}
	}
	return a
}

// received is a response's head, when it came.
type received struct {
	status    int
	header    http.Header
	requested time.Time // when the request was sent
	at        time.Time // when the head came
}

// judge decides whether a response may be stored (RFC 9111, 3) and for how long it is fresh (4.2). nil: it may not. The
// entry lacks its body and the nonces. share is the heuristic's.
func (c *Cache) judge(a *asked, r received, share float64) *entry {
	h := r.header
	cc := parseDirectives(h["Cache-Control"])
	if !c.storable(a, r, &cc) {
		return nil
	}
	e := &entry{status: r.status, received: r.at.UnixMilli(), age: initialAge(r).Milliseconds()}
	lifetime, explicit := c.lifetime(r, &cc)
	if !explicit {
		if !heuristic(r.status) && !cc.public {
			return nil
		}
		if cc.noCache { // stored to be validated, if that is possible
			lifetime = 0
		} else if lifetime = c.guess(a, r, share); lifetime <= 0 && (share <= 0 || !validatable(h)) {
			return nil
		}
		e.flags |= flagHeuristic
	}
	e.lifetime = lifetime.Milliseconds()
	c.conditions(e, &cc, a)
	if !c.keepFor(e, h, r.at) {
		return nil
	}
	var ok bool
	if e.spec, ok = specOf(h["Vary"]); !ok {
		return nil
	}
	if e.groups, ok = parseGroups(h["Cache-Groups"]); !ok {
		return nil
	}
	strip := append(slices.Clone(cc.noCacheFields), cc.privateFields...)
	if e.header, ok = storedHeader(h, strip, r.at); !ok {
		return nil
	}
	return e
}

// storable is RFC 9111, 3, but for the question of freshness.
func (c *Cache) storable(a *asked, r received, cc *directives) bool {
	h := r.header
	noStore := cc.noStore
	if cc.mustUnderstand {
		if !understood(r.status) {
			return false
		}
		noStore = false
	}
	switch {
	case a.method != http.MethodGet, r.status < 200, r.status > 999:
		return false
	case r.status == http.StatusPartialContent, r.status == http.StatusNotModified, len(h["Content-Range"]) > 0:
		return false
	case noStore, a.cc.noStore:
		return false
	case len(h["Set-Cookie"]) > 0 && !slices.Contains(cc.noCacheFields, "Set-Cookie") && !slices.Contains(cc.privateFields, "Set-Cookie"):
		return false
	case !c.Private && cc.private:
		return false
	case !c.Private && a.authorized && !cc.public && !cc.mustRevalidate && cc.sMaxAge == absent:
		return false
	}
	return len(h["Trailer"]) == 0
}

// lifetime is how long a response is fresh by what it says itself.
func (c *Cache) lifetime(r received, cc *directives) (d time.Duration, explicit bool) {
	switch {
	case !c.Private && cc.sMaxAge != absent:
		return cc.sMaxAge, true
	case cc.maxAge != absent:
		return cc.maxAge, true
	case len(r.header["Expires"]) == 0:
		return 0, false
	}
	expires, ok := dateOf(r.header, "Expires")
	if !ok {
		return 0, true
	}
	date, ok := dateOf(r.header, "Date")
	if !ok {
		date = r.at
	}
	return min(max(expires.Sub(date), 0), forever), true
}

// guess is the lifetime of a response that does not say.
func (c *Cache) guess(a *asked, r received, share float64) time.Duration {
	if c.DefaultTTL > 0 && !a.authorized && !a.cookies {
		return c.DefaultTTL
	}
	modified, ok := dateOf(r.header, "Last-Modified")
	if share <= 0 || !ok {
		return 0
	}
	date, ok := dateOf(r.header, "Date")
	if !ok {
		date = r.at
	}
	return min(time.Duration(share*float64(max(date.Sub(modified), 0))), mostHeuristic)
}

// conditions sets what limits the use of an entry when it is not, or no longer, fresh.
func (c *Cache) conditions(e *entry, cc *directives, a *asked) {
	if cc.noCache {
		e.flags |= flagNoCache
	}
	if cc.mustRevalidate || !c.Private && cc.proxyRevalidate {
		e.flags |= flagMustRevalidate
	}
	if cc.immutable {
		e.flags |= flagImmutable
	}
	if a.authorized {
		e.flags |= flagAuthorized
	}
	e.whileStale, e.onError = c.StaleWhileRevalidate.Milliseconds(), c.StaleIfError.Milliseconds()
	if !c.Private && cc.sMaxAge != absent { // s-maxage forbids stale answers, unless the response itself allows them
		e.whileStale, e.onError = 0, 0
		if cc.staleWhileRevalidate <= 0 && cc.staleIfError <= 0 {
			e.flags |= flagMustRevalidate
		}
	}
	if cc.staleWhileRevalidate != absent {
		e.whileStale = cc.staleWhileRevalidate.Milliseconds()
	}
	if cc.staleIfError != absent {
		e.onError = cc.staleIfError.Milliseconds()
	}
	if e.flags&flagMustRevalidate != 0 || cc.noCache {
		e.whileStale, e.onError = 0, 0
	}
}

// keepFor sets until when an entry is of use; false if it is of none.
func (c *Cache) keepFor(e *entry, h http.Header, now time.Time) bool {
	fresh := max(e.lifetime-e.age, 0)
	if e.flags&flagNoCache != 0 {
		fresh = 0
	}
	beyond := max(e.whileStale, e.onError)
	if validatable(h) {
		beyond = max(beyond, c.KeepStale.Milliseconds())
	}
	if fresh > 0 && e.flags&flagMustRevalidate == 0 {
		beyond = max(beyond, min(fresh, c.KeepStale.Milliseconds())) // for requests with max-stale
	}
	if e.age > e.lifetime { // long stale already: of use to who allows it
		beyond = max(beyond, c.KeepStale.Milliseconds())
	}
	keep := min(fresh+beyond, c.MaxTTL.Milliseconds())
	e.until = now.UnixMilli() + keep
	return keep > 0
}

func validatable(h http.Header) bool {
	return len(h["Etag"]) > 0 || len(h["Last-Modified"]) > 0
}

// initialAge is how old a response was when it came (RFC 9111, 4.2.3).
func initialAge(r received) time.Duration {
	var apparent time.Duration
	if date, ok := dateOf(r.header, "Date"); ok {
		apparent = max(r.at.Truncate(time.Second).Sub(date), 0)
	}
	var age time.Duration
	if lines := r.header["Age"]; len(lines) > 0 {
		first, _, _ := strings.Cut(lines[0], ",")
		age, _ = digits(strings.Trim(first, " \t"))
	}
	if r.at.After(r.requested) {
		age += r.at.Sub(r.requested)
	}
	return min(max(apparent, age), forever)
}

// understood tells whether this cache knows what a status means for caching.
func understood(status int) bool {
	return heuristic(status) || slices.Contains([]int{302, 303, 307, 400, 401, 403, 406, 409, 412, 415, 421, 422, 429, 500, 502, 503, 504}, status)
}

// heuristic tells whether a status is one that may be stored although the response does not say so.
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// hopByHop are fields that concern one connection.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// storedHeader is what of a header is stored. ok is false if it is too large, or if a line could not be sent.
func storedHeader(h http.Header, strip []string, now time.Time) (out http.Header, ok bool) {
	for _, name := range listOf(h["Connection"]...) {
		strip = append(strip, http.CanonicalHeaderKey(name))
	}
	if len(strip) > maxListed {
		return nil, false
	}
	out = make(http.Header, len(h)+1)
	size := 0
	for name, values := range h {
		if hopByHop(name) || name == "Age" || slices.Contains(strip, name) {
			continue
		}
		if !isToken(name) {
			return nil, false
		}
		for _, v := range values {
			if size += len(name) + len(v) + 4; size > maxHeaderBytes || strings.ContainsAny(v, "\r\n\x00") {
				return nil, false
			}
		}
		out[name] = slices.Clone(values)
	}
	if len(out["Date"]) == 0 {
		out["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	return out, true
}

// parseGroups reads Cache-Groups: a list of strings (RFC 9875). ok is false if there are too many to invalidate by.
func parseGroups(lines []string) (groups []string, ok bool) {
	for _, line := range lines {
		for line != "" {
			line = strings.TrimLeft(line, " \t,")
			if line == "" {
				break
			}
			if line[0] != '"' {
				return nil, true // no list of strings: as if it were not there
			}
			end := 1
			for end < len(line) && line[end] != '"' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(line) {
				return nil, true
			}
			if g := unescape(line[1:end]); g != "" && !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
			if len(groups) > maxGroups || end > maxGroupBytes {
				return nil, false
			}
			_, line, _ = strings.Cut(line[end:], ",") // parameters say nothing
		}
	}
	return groups, true
}

// use is what a stored response is good for, for one request.
type use uint8

const (
	useNot        use = iota // not at all, as far as anybody knows: ask the origin
	useFresh                 // answer with it
	useStale                 // answer with it although it is stale: the request allows it
	useRevalidate            // answer with it and fetch another in the background
)

// decide is RFC 9111, 4.
func (c *Cache) decide(a *asked, e *entry, now time.Time) use {
	if e == nil || a.cc.noCache || e.flags&flagNoCache != 0 {
		return useNot
	}
	age := e.ageAt(now)
	left := e.lifetime - age
	fresh := left > 0 && !e.softPurged
	if fresh {
		tooOld := a.cc.maxAge != absent && age > a.cc.maxAge.Milliseconds() && e.flags&flagImmutable == 0
		tooShort := a.cc.minFresh != absent && left < a.cc.minFresh.Milliseconds()
		if !tooOld && !tooShort {
			return useFresh
		}
		return useNot
	}
	stale := max(-left, 0)
	if e.flags&flagMustRevalidate != 0 || a.cc.minFresh != absent {
		return useNot
	}
	if a.cc.maxStale != absent && stale <= a.cc.maxStale.Milliseconds() && !e.softPurged &&
		(a.cc.maxAge == absent || age <= a.cc.maxAge.Milliseconds()) {
		return useStale
	}
	if stale < e.whileStale && a.cc.maxAge == absent {
		return useRevalidate
	}
	return useNot
}

// mayServeOnError tells whether a stored response may stand in for an origin that fails (RFC 5861, 4).
func (c *Cache) mayServeOnError(a *asked, e *entry, now time.Time) bool {
	if e == nil || isFailure(e.status) || e.flags&(flagNoCache|flagMustRevalidate) != 0 || a.cc.noCache || a.cc.minFresh != absent || a.cc.maxAge != absent {
		return false
	}
	stale := max(e.ageAt(now)-e.lifetime, 0)
	return stale < e.onError
}

// tellsOthers tells whether a response that is not stored says something about the next one's chances: neither a failure
// does, nor the answer to one client's condition.
func tellsOthers(status int) bool {
	return !isFailure(status) && status != http.StatusNotModified
}

func isFailure(status int) bool {
	return status == 500 || status == 502 || status == 503 || status == 504
}
