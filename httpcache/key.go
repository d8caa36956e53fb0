package httpcache

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Keys
//
// A URL is host, path and query; what of them counts is the KeyPolicy's. Its key in the store is
//
//	Prefix {hash} scheme          the base: an entry, or the index of variants, or a tombstone
//	Prefix {hash} scheme : hash   a variant
//
// with 144 bits of SHA-256 for a hash: a URL can be long, can hold braces, and is the client's to choose. scheme is "s"
// for https, so that both bases of a URL share a slot and one script purges them.
//
// A variant's hash is made of the names that its Vary lists with the request's values, and of the request's values for
// what is implied: the headers that claim another host or scheme, the KeyPolicy's headers, cookies and partition. A
// response without Vary for a request in which nothing is implied lies in the base itself.

// forwarded are headers that frameworks take for host, scheme, path or method, and that any client can send.
var forwarded = []string{
	"Forwarded", "Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server",
	"X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Host", "X-Http-Host-Override", "X-Http-Method", "X-Http-Method-Override",
	"X-Method-Override", "X-Original-Host", "X-Original-Method", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url",
	"X-Url-Scheme",
}

func impliedHeaders(p KeyPolicy) []string {
	var names []string
	if !p.TrustForwarded {
		names = append(names, forwarded...)
	}
	for _, h := range p.Headers {
		names = append(names, http.CanonicalHeaderKey(h))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// target is a request as the cache sees it.
type target struct {
	host    string // as in the key: lower case, without a default port; empty if it does not count
	sent    string // the host that the request names, for a Vary: Host
	base    string // key of the base
	query   string // what counts of the query
	implied string // the implied values, encoded; empty if there are none
}

// target makes the keys of a request. host and secure are the request's own: a server finds them elsewhere than a client.
func (c *Cache) target(r *http.Request, host string, secure bool) target {
	t := target{sent: host, query: c.query(r.URL.RawQuery), implied: c.impliedBy(r)}
	if !c.Key.IgnoreHost {
		t.host = plainHost(host, secure)
	}
	scheme := ""
	if secure {
		scheme = "s"
	}
	t.base = c.schemeKey(t.host, r.URL.EscapedPath(), t.query, scheme)
	return t
}

// urlKey is the key of the base for http.
func (c *Cache) urlKey(host, path, query string) string { return c.schemeKey(host, path, query, "") }

func (c *Cache) schemeKey(host, path, query, scheme string) string {
	if path == "" {
		path = "/"
	}
	parts := appendString(appendString(appendString(make([]byte, 0, 256), host), path), query)
	key := append(append(make([]byte, 0, 128), c.Prefix...), '{')
	key = append(appendHash(key, parts), '}')
	return string(append(key, scheme...))
}

const hashBytes = 18

// appendHash appends the hash of strings that cannot be mistaken for others: their lengths are in parts too.
func appendHash(dst, parts []byte) []byte {
	sum := sha256.Sum256(parts)
	return base64.RawURLEncoding.AppendEncode(dst, sum[:hashBytes])
}

func plainHost(host string, secure bool) string {
	port := ":80"
	if secure {
		port = ":443"
	}
	return strings.ToLower(strings.TrimSuffix(host, port))
}

// query is what counts of a raw query, sorted by name unless the policy keeps the order. Parameters of one name keep
// theirs.
func (c *Cache) query(raw string) string {
	if raw == "" {
		return ""
	}
	p := &c.Key
	if p.KeepOrder && p.Query == nil && len(p.QueryExcept) == 0 || !strings.Contains(raw, "&") && p.Query == nil && len(p.QueryExcept) == 0 {
		return raw
	}
	pairs := strings.Split(raw, "&")
	pairs = slices.DeleteFunc(pairs, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		return p.Query != nil && !matchesAny(p.Query, name) || matchesAny(p.QueryExcept, name)
	})
	if !p.KeepOrder {
		slices.SortStableFunc(pairs, func(a, b string) int {
			a, _, _ = strings.Cut(a, "=")
			b, _, _ = strings.Cut(b, "=")
			return strings.Compare(a, b)
		})
	}
	return strings.Join(pairs, "&")
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, open := strings.CutSuffix(p, "*"); open {
			return strings.HasPrefix(name, prefix)
		}
		return p == name
	})
}

// impliedBy collects the request's values for what counts without a Vary.
func (c *Cache) impliedBy(r *http.Request) string {
	var buf []byte
	for _, name := range c.implied {
		values := r.Header[name]
		if len(values) == 0 {
			continue
		}
		value := strings.Join(values, ",")
		if name == "Forwarded" && !slices.Contains(c.Key.Headers, name) {
			if value = claims(value); value == "" {
				continue
			}
		}
		buf = appendString(appendString(buf, name), value)
	}
	if len(c.Key.Cookies) > 0 {
		for _, cookie := range r.Cookies() {
			if slices.Contains(c.Key.Cookies, cookie.Name) {
				buf = appendString(appendString(buf, "\x00"+cookie.Name), cookie.Value)
			}
		}
	}
	if c.Key.Partition != nil {
		if p := c.Key.Partition(r); p != "" {
			buf = appendString(appendString(buf, "\x01"), p)
		}
	}
	return string(buf)
}

// claims is what a Forwarded field says about host and scheme; the client's address does not count.
func claims(value string) string {
	var kept []string
	for part := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ',' || c == ';' }) {
		part = strings.ToLower(strings.Trim(part, " \t"))
		if strings.HasPrefix(part, "host") || strings.HasPrefix(part, "proto") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ";")
}

// Limits of Vary. A response that lists more is not stored.
const (
	maxVaryNames = 16
	maxVaryBytes = 512
	maxSpecs     = 4 // Vary lists remembered per URL
)

// specOf is the names of a Vary field, canonical, sorted and joined by commas. ok is false for * and for a list that is
// too long.
func specOf(lines []string) (spec string, ok bool) {
	names := listOf(lines...)
	if len(names) == 0 {
		return "", true
	}
	if len(names) > 4*maxVaryNames {
		return "", false
	}
	for i, n := range names {
		if !isToken(n) || n == "*" {
			return "", false
		}
		names[i] = http.CanonicalHeaderKey(n)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	spec = strings.Join(names, ",")
	return spec, len(names) <= maxVaryNames && len(spec) <= maxVaryBytes
}

// variantKey is where the response for a request lies if the responses vary by spec.
func (t *target) variantKey(spec string, h http.Header) string {
	parts := appendString(make([]byte, 0, 256), spec)
	for rest, more := spec, spec != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, ",")
		values, present := h[name]
		if name == "Host" {
			values, present = []string{t.sent}, true
		}
		if !present {
			parts = append(parts, 0)
			continue
		}
		parts = appendString(append(parts, 1), normal(name, values))
	}
	parts = append(parts, t.implied...) // the names say how many values come before it
	key := append(append(make([]byte, 0, 128), t.base...), ':')
	return string(appendHash(key, parts))
}

// normal makes values alike that mean the same. Case and spaces do not count in what a client accepts; the order counts,
// since handlers take the first of equals, but for encodings. Of other fields only the lines are joined.
func normal(name string, values []string) string {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		list := listOf(values...)
		for i, v := range list {
			list[i] = strings.ToLower(strings.Map(dropSpace, v))
		}
		if name == "Accept-Encoding" {
			slices.Sort(list)
			list = slices.Compact(list)
		}
		return strings.Join(list, ",")
	}
	return strings.Join(values, ", ")
}

func dropSpace(r rune) rune {
	if r == ' ' || r == '\t' {
		return -1
	}
	return r
}
