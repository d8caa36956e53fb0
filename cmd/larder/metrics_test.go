package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
)

// sitesOf are the sites that the arguments ask for, served until the test ends, by name.
func sitesOf(t *testing.T, args ...string) map[string]*site {
	t.Helper()
	leaktest.Check(t, "larder/cmd/larder")
	c := settings(t, args...)
	db, err := larder.Open(larder.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	list, err := openSites(t.Context(), slog.New(slog.DiscardHandler), c.Settings(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSites(list) })
	byName := make(map[string]*site)
	for _, s := range list {
		s.start(func(err error) { t.Error(err) })
		byName[s.name] = s
	}
	return byName
}

func TestServeMetrics(t *testing.T) {
	sites := sitesOf(t, "--metrics", "127.0.0.1:0", "--rest", "127.0.0.1:0", "--rest-token", "secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if status, answer := ask(t, client, "http://"+sites["rest"].listener.Addr().String()+"/set/user:1/ada", "secret"); status != 200 {
		t.Fatal(status, answer)
	}
	status, page := ask(t, client, "http://"+sites["metrics"].listener.Addr().String()+"/metrics", "")
	for _, line := range []string{"redis_up 1\n", "larder_namespace_keys{namespace=\"user\"} 1\n", "larder_rest_requests_total 1\n"} {
		if status != 200 || !strings.Contains(page, line) {
			t.Errorf("%d: no %q in\n%s", status, line, page)
		}
	}
}

func TestServeMetricsWithAToken(t *testing.T) {
	w := sitesOf(t, "--metrics", "127.0.0.1:0", "--metrics-token", "figures")["metrics"]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for token, want := range map[string]int{"figures": 200, "": 401, "figure": 401, "figures ": 200} { // a header's end is trimmed
		if status, _ := ask(t, client, "http://"+w.listener.Addr().String()+"/", token); status != want {
			t.Errorf("%q: %d, want %d", token, status, want)
		}
	}
}

func TestServeMetricsRefuses(t *testing.T) {
	c := settings(t, "--metrics", "203.0.113.1:0", "--requirepass", "secret") // which /metrics does not ask for
	db, err := larder.Open(larder.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := openSites(t.Context(), slog.New(slog.DiscardHandler), c.Settings(), db); err == nil || !strings.Contains(err.Error(), "set metrics-token") {
		t.Errorf("an address that others reach, without a token: %v", err)
	}
}

// 0.0.0.0 is all of IPv4, and not of IPv6 besides.
func TestServeAllOfIPv4(t *testing.T) {
	w := sitesOf(t, "--metrics", "0.0.0.0:0", "--metrics-token", "figures")["metrics"]
	if addr := w.listener.Addr().String(); !strings.HasPrefix(addr, "0.0.0.0:") {
		t.Errorf("listening at %s", addr)
	}
}
