package httpcache

import (
	"net/http"
	"strconv"
	"time"
)

// outcome is what Cache-Status (RFC 9211) says about a request.
type outcome struct {
	forward   string // why the origin was asked: "uri-miss"; empty for a hit
	status    int    // the origin's, if it is not the response's
	stored    bool
	collapsed bool
	detail    string // a token
}

// ways that a request went on to the origin.
const (
	fwdBypass  = "bypass"
	fwdMethod  = "method"
	fwdMiss    = "uri-miss"
	fwdVary    = "vary-miss"
	fwdRequest = "request"
	fwdStale   = "stale"
)

// reason is why a stored response, or its absence, leads to the origin.
func (c *Cache) reason(q *request, v *view, now time.Time) string {
	switch e := v.entry; {
	case e == nil && len(v.specs) > 0:
		return fwdVary
	case e == nil:
		return fwdMiss
	case q.cc.noCache || !e.softPurged && e.flags&flagNoCache == 0 && e.ageAt(now) < e.lifetime:
		return fwdRequest
	}
	return fwdStale
}

// announce adds Cache-Status to a header, behind what others have said.
func (c *Cache) announce(h http.Header, o outcome, e *entry, now time.Time) {
	if c.Name == "-" {
		return
	}
	b := append(make([]byte, 0, 64), c.Name...)
	if o.forward == "" {
		b = append(b, "; hit"...)
	} else {
		b = append(append(b, "; fwd="...), o.forward...)
	}
	if o.status != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(o.status), 10)
	}
	if o.forward == "" && e != nil {
		left := (e.lifetime - e.ageAt(now)) / 1000
		if e.softPurged {
			left = min(left, 0)
		}
		b = strconv.AppendInt(append(b, "; ttl="...), left, 10)
	}
	if o.stored {
		b = append(b, "; stored"...)
	}
	if o.collapsed {
		b = append(b, "; collapsed"...)
	}
	if o.detail != "" {
		b = append(append(b, "; detail="...), o.detail...)
	}
	h["Cache-Status"] = append(h["Cache-Status"], string(b))
}
