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
