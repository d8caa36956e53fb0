package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store/storetest"
)

// FuzzClientAddr tries any header. What a trusted proxy appended last decides, whatever the client wrote before it.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", ",,", "[::1]:80, x", "10.0.0.1", "::ffff:10.0.0.1%eth0"} {
		f.Add(s)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forged string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{forged + ",203.0.113.9"}
		if addr, ok := ratelimit.ClientAddr(r, trusted); !ok || addr.String() != "203.0.113.9" {
			t.Errorf("%q: %v, %v", forged, addr, ok)
		}
	})
}

// FuzzLog puts any bytes where a log should be. A decision may fail, but not panic nor promise nonsense.
func FuzzLog(f *testing.F) {
	f.Add([]byte(""), 1)
	f.Add(make([]byte, 18), 3)
	f.Add(make([]byte, 6+12*300), 100)
	f.Fuzz(func(t *testing.T, log []byte, limit int) {
		mem := storetest.NewMemory()
		mem.Do(t.Context(), "SET", "rl:log:a", string(log))
		l, err := ratelimit.New(mem, ratelimit.Options{Limit: limit, Window: time.Minute})
		if err != nil {
			return
		}
		for range 3 {
			res, err := l.Allow(t.Context(), "a")
			if err == nil && (res.Remaining < 0 || res.RetryAfter < 0 || res.ResetAfter < 0 || res.Allowed != (res.RetryAfter == 0)) {
				t.Errorf("log %q: %+v", log, res)
			}
		}
	})
}

// FuzzMeters puts any bytes where meters should be.
func FuzzMeters(f *testing.F) {
	f.Add([]byte(""), uint8(3), uint16(5), uint16(1000))
	f.Add(make([]byte, 28), uint8(2), uint16(1), uint16(1))
	f.Add([]byte("b\x00\x01\x9b\x7c\xa9\x8f\x2e\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"), uint8(3), uint16(2), uint16(60000))
	f.Fuzz(func(t *testing.T, text []byte, algorithm uint8, limit, millis uint16) {
		mem := storetest.NewMemory()
		mem.Do(t.Context(), "SET", "rl:meter:a", string(text))
		rule := ratelimit.Rule{Algorithm: ratelimit.SlidingCounter + ratelimit.Algorithm(algorithm%4), Limit: int(limit), Window: time.Duration(millis) * time.Millisecond}
		l, err := ratelimit.New(mem, ratelimit.Options{Rules: []ratelimit.Rule{rule, rule}})
		if err != nil {
			return
		}
		for range 3 {
			res, err := l.Allow(t.Context(), "a")
			if err == nil && (res.Remaining < 0 || res.Remaining > int(limit) || res.RetryAfter < 0 || res.ResetAfter < 0 || res.Allowed != (res.RetryAfter == 0)) {
				t.Errorf("%+v", res)
			}
			_ = l.Refund(t.Context(), "a", 1)
			_ = l.Block(t.Context(), "a", time.Duration(limit%2)*time.Second)
		}
	})
}

// FuzzLeases puts any bytes where leases should be.
func FuzzLeases(f *testing.F) {
	f.Add(make([]byte, 20), uint16(1))
	f.Add([]byte("01234567\x01\x9b\x7c\xa9\x8f\x2e\xff\xff\xff\xff\xff\xff01234567\x01\x9b\x7c\xa9\x8f\x2e\xff\xff\xff\xff\xff\xff"), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, limit uint16) {
		mem := storetest.NewMemory()
		mem.Do(t.Context(), "SET", "rl:lease:a", string(text))
		c, err := ratelimit.NewConcurrency(mem, ratelimit.ConcurrencyOptions{Limit: int(limit), TTL: time.Second})
		if err != nil {
			return
		}
		lease, res, err := c.Acquire(t.Context(), "a")
		if err != nil {
			return
		}
		if res.Remaining < 0 || res.Remaining > int(limit) || res.RetryAfter < 0 || res.Allowed != (lease != nil) {
			t.Errorf("%+v", res)
		}
		if lease != nil {
			if ok, err := lease.Extend(t.Context()); !ok || err != nil {
				t.Error(ok, err)
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
