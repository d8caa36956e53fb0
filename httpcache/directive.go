package httpcache

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// directives are a Cache-Control field, of a request or of a response. Durations are absent when negative.
type directives struct {
	noCache, noStore, onlyIfCached, public, private            bool
	mustRevalidate, proxyRevalidate, mustUnderstand, immutable bool
	maxAge, sMaxAge, maxStale, minFresh                        time.Duration
	staleWhileRevalidate, staleIfError                         time.Duration
	noCacheFields, privateFields                               []string // no-cache="a, b": canonical names
}

const (
	absent  = time.Duration(-1)
	forever = time.Duration(math.MaxInt32) * time.Second // what RFC 9111 makes of numbers too large
)

// parseDirectives reads all lines of the field. A directive that comes twice with different numbers counts with the
// smaller one, a number that is none counts as 0: in doubt a response is stale (RFC 9111, 4.2.1).
func parseDirectives(lines []string) directives {
	d := directives{maxAge: absent, sMaxAge: absent, maxStale: absent, minFresh: absent, staleWhileRevalidate: absent, staleIfError: absent}
	for _, line := range lines {
		for line != "" {
			var name, value string
			var valued bool
			name, value, valued, line = nextDirective(line)
			if name != "" {
				d.set(strings.ToLower(name), value, valued)
			}
		}
	}
	return d
}

func (d *directives) set(name, value string, valued bool) {
	switch name {
	case "no-cache":
		d.noCache, d.noCacheFields = qualified(d.noCache, d.noCacheFields, value, valued)
	case "private":
		d.private, d.privateFields = qualified(d.private, d.privateFields, value, valued)
	case "no-store":
		d.noStore = true
	case "only-if-cached":
		d.onlyIfCached = true
	case "public":
		d.public = true
	case "must-revalidate":
		d.mustRevalidate = true
	case "proxy-revalidate":
		d.proxyRevalidate = true
	case "must-understand":
		d.mustUnderstand = true
	case "immutable":
		d.immutable = true
	case "max-age":
		d.maxAge = smaller(d.maxAge, seconds(value))
	case "s-maxage":
		d.sMaxAge = smaller(d.sMaxAge, seconds(value))
	case "min-fresh":
		d.minFresh = max(d.minFresh, seconds(value))
	case "max-stale":
		if !valued {
			value = "2147483647"
		}
		d.maxStale = smaller(d.maxStale, seconds(value))
	case "stale-while-revalidate":
		d.staleWhileRevalidate = smaller(d.staleWhileRevalidate, seconds(value))
	case "stale-if-error":
		d.staleIfError = smaller(d.staleIfError, seconds(value))
	}
}

// qualified reads no-cache and private: without a value they mean the response, with one only the fields it lists. A
// value without a field's name means the response.
func qualified(whole bool, fields []string, value string, valued bool) (all bool, list []string) {
	named := listOf(value)
	if !valued || len(named) == 0 {
		return true, fields
	}
	for _, f := range named {
		fields = append(fields, http.CanonicalHeaderKey(f))
	}
	return whole, fields
}

// nextDirective cuts the first directive off a field line. Commas in quoted strings do not separate.
func nextDirective(line string) (name, value string, valued bool, rest string) {
	end, quoted := 0, false
	for ; end < len(line) && (quoted || line[end] != ','); end++ {
		switch line[end] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				end++
			}
		}
	}
	end = min(end, len(line))
	one := strings.Trim(line[:end], " \t")
	rest = strings.TrimPrefix(line[end:], ",")
	name, value, valued = strings.Cut(one, "=")
	if !isToken(name) {
		return "", "", false, rest // "max-age =5" is none of ours
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = unescape(value[1 : n-1])
	}
	return name, value, valued, rest
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// seconds reads delta-seconds. What is no number is 0, what is too large is 2^31-1.
func seconds(s string) time.Duration {
	n, ok := digits(s)
	if !ok {
		return 0
	}
	return n
}

// digits reads a number of seconds.
func digits(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), math.MaxInt32)
	}
	return time.Duration(n) * time.Second, true
}

func smaller(have, next time.Duration) time.Duration {
	if have == absent {
		return next
	}
	return min(have, next)
}

// listOf splits a comma-separated list of tokens and leaves out what is empty.
func listOf(lines ...string) []string {
	most := 0
	for _, line := range lines {
		most += 1 + strings.Count(line, ",")
	}
	if most == 0 {
		return nil
	}
	out := make([]string, 0, min(most, 16)) // a hostile line has nothing between its commas
	for _, line := range lines {
		for more := true; more; {
			var s string
			s, line, more = strings.Cut(line, ",")
			if s = strings.Trim(s, " \t"); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// isToken tells whether s can be a field's or a directive's name.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// parseDate reads the three forms of an HTTP date, and no other: what looks alike is invalid, and an invalid Expires is
// in the past. Names may be in any case.
func parseDate(s string) (time.Time, bool) {
	const imf, asctime = 29, 24 // characters
	if len(s) == asctime {
		t, err := time.Parse(time.ANSIC, s)
		return t, err == nil
	}
	if len(s) < 4 || !strings.EqualFold(s[len(s)-4:], " GMT") {
		return time.Time{}, false
	}
	s = s[:len(s)-4] + " GMT"
	if len(s) == imf {
		t, err := time.Parse(http.TimeFormat, s)
		return t, err == nil
	}
	if _, after, ok := strings.Cut(s, ", "); !ok || len(after) != len("02-Jan-06 15:04:05 GMT") {
		return time.Time{}, false
	}
	t, err := time.Parse("Monday, 02-Jan-06 15:04:05 GMT", s)
	return t, err == nil
}

// dateOf is a header field that is a date. Of several lines the first counts.
func dateOf(h http.Header, name string) (t time.Time, ok bool) {
	lines := h[name]
	if len(lines) == 0 {
		return time.Time{}, false
	}
	return parseDate(strings.Trim(lines[0], " \t"))
}
