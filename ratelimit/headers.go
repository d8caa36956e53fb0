package ratelimit

import (
	"net/http"
	"strconv"
	"time"
)

// Headers says how a Middleware tells limits to clients. Retry-After is always told.
type Headers uint8

const (
	BothHeaders  Headers = iota // X-RateLimit-* and the draft's
	XHeaders                    // X-RateLimit-* alone
	DraftHeaders                // RateLimit-Policy and RateLimit alone
	NoHeaders                   // neither
)

// defaultPolicy names the one rule of Options.Limit and Window.
const defaultPolicy = "default"

// set tells a result. fields gives the draft's two.
func (o Headers) set(h http.Header, res Result, fields func() (policy, limit string)) {
	if o == BothHeaders || o == XHeaders {
		h.Set("X-RateLimit-Limit", strconv.Itoa(res.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(res.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(seconds(res.ResetAfter), 10))
	}
	if o == BothHeaders || o == DraftHeaders {
		policy, limit := fields()
		h.Set("RateLimit-Policy", policy)
		h.Set("RateLimit", limit)
	}
	if !res.Allowed {
		h.Set("Retry-After", strconv.FormatInt(seconds(res.RetryAfter), 10))
	}
}

// fields are the draft's two: lists of strings with parameters. A window of no whole number of seconds cannot be told and
// is left out; t is the same moment as Retry-After where a rule denied.
func (r Result) fields(l *Limiter) (policy, limit string) {
	each := r.Each()
	if each == nil {
		plan := r.of
		if plan == nil {
			plan = l.plan
		}
		rule := plan.rules[0]
		if plan.plain {
			rule.Name = defaultPolicy
		}
		rule.Limit = r.Limit // a share of it, in an outage
		each = []RuleResult{{rule, r.Remaining, r.RetryAfter, r.ResetAfter}}
	}
	var p, q []byte
	for i, one := range each {
		if i > 0 {
			p, q = append(p, ", "...), append(q, ", "...)
		}
		p = append(appendString(p, one.Rule.Name), ";q="...)
		p = strconv.AppendInt(p, int64(one.Rule.Limit), 10)
		if w := one.Rule.Window; w%time.Second == 0 {
			p = strconv.AppendInt(append(p, ";w="...), int64(w/time.Second), 10)
		}
		t := one.ResetAfter
		if one.RetryAfter > 0 {
			t = one.RetryAfter
		}
		q = append(appendString(q, one.Rule.Name), ";r="...)
		q = strconv.AppendInt(q, int64(one.Remaining), 10)
		q = strconv.AppendInt(append(q, ";t="...), seconds(t), 10)
	}
	return string(p), string(q)
}

// appendString writes printable ASCII as a structured field's string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// seconds rounds up: whoever comes back then passes.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
