package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is what the cache knows of a request besides its keys.
type request struct {
	asked
	header http.Header
	began  time.Time
}

func (c *Cache) request(r *http.Request, obey bool) *request {
	return &request{asked: c.ask(r, obey), header: r.Header, began: c.Clock.Now()}
}

// leftAlone tells whether a request is none that a cache answers.
func (c *Cache) leftAlone(r *http.Request, q *request) bool {
	switch {
	case c.Skip != nil && c.Skip(r):
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0: // a body may change the answer and is not in the key
	case len(r.Header["If-Match"]) > 0 || len(r.Header["If-Unmodified-Since"]) > 0: // for the origin (RFC 9111, 4.3.2)
	case len(r.Header["Upgrade"]) > 0:
	case len(r.Host) > maxHost || len(r.URL.Host) > maxHost: // no name is that long: nothing shall remember it
	case q.cc.noStore:
	default:
		return false
	}
	return true
}

// single tells whether a request's response could be of no use to others: a part, or no body.
func (q *request) single() bool {
	return q.method == http.MethodHead || len(q.header["Range"]) > 0
}

// answer is a response made of an entry.
type answer struct {
	status int
	header http.Header // the entry's own: not to be changed
	drop   []string    // what to leave out of it
	part   string      // Content-Range, or nothing
	ranges bool        // it could have been a part
	body   string
	length int // Content-Length; negative for none
}

// answer makes the response for a request: all of the entry, 304, or a part.
func (c *Cache) answer(q *request, e *entry) answer {
	a := answer{status: e.status, header: e.header, body: e.body, length: len(e.body)}
	if !bodyAllowed(e.status) {
		a.body, a.length = "", -1
		return a
	}
	if e.status == http.StatusOK {
		if notModified(q.header, e) {
			a.status, a.body, a.length = http.StatusNotModified, "", -1
			a.drop = []string{"Content-Length", "Content-Encoding", "Content-Type", "Content-Range"}
			return a
		}
		q.part(&a, e)
	}
	if q.method == http.MethodHead {
		a.body = ""
	}
	return a
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// notModified evaluates If-None-Match, or without it If-Modified-Since (RFC 9110, 13.2.2).
func notModified(h http.Header, e *entry) bool {
	if lines := h["If-None-Match"]; len(lines) > 0 {
		etag := e.header.Get("Etag")
		return slices.ContainsFunc(tagsOf(lines), func(tag string) bool {
			return tag == "*" || etag != "" && opaque(tag) == opaque(etag)
		})
	}
	since, ok := dateOf(h, "If-Modified-Since")
	if !ok || len(h["If-Modified-Since"]) > 1 {
		return false
	}
	modified, ok := dateOf(e.header, "Last-Modified")
	if !ok {
		modified, ok = dateOf(e.header, "Date")
	}
	return ok && !modified.After(since)
}

// tagsOf splits a list of entity tags. Commas within quotes do not separate.
func tagsOf(lines []string) []string {
	var tags []string
	for _, line := range lines {
		start, quoted := 0, false
		for i := 0; i <= len(line); i++ {
			if i < len(line) && line[i] == '"' {
				quoted = !quoted
			}
			if i == len(line) || line[i] == ',' && !quoted {
				if tag := strings.Trim(line[start:i], " \t"); tag != "" {
					tags = append(tags, tag)
				}
				start = i + 1
			}
		}
	}
	return tags
}

// opaque is an entity tag for the weak comparison.
func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }

// part narrows an answer to the range that the request asks for, if it asks for one range of bytes. Several ranges are
// answered with the whole, as anything else that cannot be read.
func (q *request) part(a *answer, e *entry) {
	a.ranges = true
	lines := q.header["Range"]
	if len(lines) != 1 || q.method != http.MethodGet || !rangeStillApplies(q.header, e) {
		return
	}
	from, to, ok, beyond := parseRange(lines[0], len(e.body))
	switch {
	case beyond:
		a.status, a.body, a.length = http.StatusRequestedRangeNotSatisfiable, "", 0
		a.part = "bytes */" + strconv.Itoa(len(e.body))
		a.drop = []string{"Content-Length", "Content-Encoding", "Content-Type", "Etag", "Last-Modified"}
	case ok:
		a.status, a.body, a.length = http.StatusPartialContent, e.body[from:to], to-from
		a.part = "bytes " + strconv.Itoa(from) + "-" + strconv.Itoa(to-1) + "/" + strconv.Itoa(len(e.body))
	}
}

// rangeStillApplies evaluates If-Range: a strong entity tag, or a date.
func rangeStillApplies(h http.Header, e *entry) bool {
	lines := h["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if strings.HasPrefix(lines[0], `"`) {
		return lines[0] == e.header.Get("Etag")
	}
	since, ok := dateOf(h, "If-Range")
	modified, ok2 := dateOf(e.header, "Last-Modified")
	return ok && ok2 && since.Equal(modified)
}

// parseRange reads one range of a body of size bytes: from inclusive, to exclusive. beyond: it lies after the end.
func parseRange(s string, size int) (from, to int, ok, beyond bool) {
	const unit = "bytes="
	if len(s) < len(unit) || !strings.EqualFold(s[:len(unit)], unit) || strings.Contains(s, ",") {
		return 0, 0, false, false
	}
	first, last, found := strings.Cut(strings.Trim(s[len(unit):], " \t"), "-")
	if !found {
		return 0, 0, false, false
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 62)
		if err != nil {
			return 0, 0, false, false
		}
		from = size - int(min(n, uint64(size)))
		return from, size, n > 0 && size > 0, n == 0 || size == 0
	}
	n, err := strconv.ParseUint(first, 10, 62)
	if err != nil {
		return 0, 0, false, false
	}
	end := uint64(size)
	if last != "" {
		m, err := strconv.ParseUint(last, 10, 62)
		if err != nil || m < n {
			return 0, 0, false, false
		}
		end = min(m+1, end)
	}
	if n >= uint64(size) {
		return 0, 0, false, true
	}
	return int(n), int(end), true, false
}

// into writes an answer's header over another one, which may do with it what it likes: others may have the entry too.
func (a *answer) into(dst http.Header) {
	lines := make([]string, 0, len(a.header)+8) // one piece of memory for all
	set := func(name string, values ...string) {
		from := len(lines)
		lines = append(lines, values...)
		dst[name] = lines[from:len(lines):len(lines)]
	}
	for name, values := range a.header {
		if !slices.Contains(a.drop, name) {
			set(name, values...)
		}
	}
	if a.ranges && len(dst["Accept-Ranges"]) == 0 {
		set("Accept-Ranges", "bytes")
	}
	if a.part != "" {
		set("Content-Range", a.part)
	}
	if a.length >= 0 {
		set("Content-Length", strconv.Itoa(a.length))
	} else {
		delete(dst, "Content-Length")
	}
}

// validators sets the conditions by which a stored response is validated, in place of the request's own. False if it
// has none.
func (e *entry) validators(h http.Header) bool {
	if e == nil || !validatable(e.header) {
		return false
	}
	unconditional(h)
	if tag := e.header.Get("Etag"); tag != "" {
		h["If-None-Match"] = []string{tag}
	}
	if modified := e.header.Get("Last-Modified"); modified != "" {
		h["If-Modified-Since"] = []string{modified}
	}
	return true
}

// unconditional drops a request's own conditions, in whatever case they are written.
func unconditional(h http.Header) {
	for name := range h {
		switch http.CanonicalHeaderKey(name) {
		case "If-None-Match", "If-Modified-Since", "If-Range", "Range":
			delete(h, name)
		}
	}
}

// freshen makes of a stored response and a 304 the response as it is now (RFC 9111, 4.3.4). storable tells whether it
// may take the stored one's place.
func (c *Cache) freshen(a *asked, old *entry, r received, share float64) (e *entry, storable bool) {
	if tag := r.header.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") && opaque(old.header.Get("Etag")) != tag && len(old.header["Etag"]) > 0 {
		return old, false // of some other response
	}
	merged := old.header.Clone()
	delete(merged, "Date")
	listed := listOf(r.header["Connection"]...)
	if len(listed) > maxListed {
		return old, false
	}
	for name, values := range r.header {
		switch {
		case name == "Content-Length", name == "Content-Encoding", name == "Content-Range", name == "Content-Type" && len(values) == 0:
		case hopByHop(name), slices.ContainsFunc(listed, func(l string) bool { return strings.EqualFold(l, name) }):
		default:
			merged[name] = values
		}
	}
	r.status, r.header = old.status, merged
	if e := c.judge(a, r, share); e != nil {
		e.body = old.body
		return e, true
	}
	own, ok := storedHeader(merged, nil, r.at)
	if !ok {
		return old, false
	}
	return &entry{status: old.status, header: own, body: old.body, received: r.at.UnixMilli()}, false
}
