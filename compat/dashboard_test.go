package compat

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/store"
)

// TestDashboard opens every view of the dashboard in Chromium: browser/dashboard.mjs says what must hold.
//
// LARDER_SCREENSHOTS names a folder for pictures of the views. LARDER_DASHBOARD_HOLD=1 leaves the dashboard open until the test
// is interrupted, to look at it oneself.
func TestDashboard(t *testing.T) {
	home := modulesOf(t, "browser")
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && chromium == "" {
			chromium = path
		}
	}
	if chromium == "" {
		missing(t, "chromium is not installed")
	}
	st := server(t)
	o := shop(t, st)
	o.Password, o.Writable, o.Every = "correct horse", true, 500*time.Millisecond
	site := serveDashboard(t, st, o)
	o.Password, o.Writable = "", false
	open := serveDashboard(t, st, o)
	go traffic(t.Context(), st)
	if os.Getenv("LARDER_DASHBOARD_HOLD") != "" {
		t.Logf("%s (password: correct horse) and %s", site.URL, open.URL)
		<-t.Context().Done()
	}
	copyFile(t, "browser/dashboard.mjs", filepath.Join(home, "dashboard.mjs"))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=tap", filepath.Join(home, "dashboard.mjs"))
	cmd.Env = append(os.Environ(), "CHROMIUM="+chromium, "SITE="+site.URL, "OPEN="+open.URL, "PASSWORD=correct horse")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// server is a Larder server behind a connection, which has figures of the network and of latency that an embedded store
// does not have.
func server(t *testing.T) store.Store {
	t.Helper()
	db, err := larder.Open(larder.Options{
		MaxMemory: 64 << 20, Policy: "allkeys-lru", Settings: map[string]string{"slowlog-log-slower-than": "300"},
	})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = db.ServeContext(context.Background(), l) }() // until Close
	st, err := larder.Connect(t.Context(), "redis://"+l.Addr().String())
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

func serveDashboard(t *testing.T, st store.Store, o dashboard.Options) *httptest.Server {
	t.Helper()
	d, err := dashboard.Handler(st, o)
	must(t, err)
	site := httptest.NewServer(d)
	t.Cleanup(func() {
		site.Close()
		must(t, d.Close())
	})
	return site
}

// traffic gives the charts something to draw until ctx ends.
func traffic(ctx context.Context, st store.Store) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for j := range 40 + 20*(i/50%3) {
			st.Do(ctx, "GET", fmt.Sprint("page:", (i+j)%14))
		}
		st.Do(ctx, "SET", "blink", "x", "PX", "30")
		st.Do(ctx, "HGETALL", "stock")
		st.Do(ctx, "SET", fmt.Sprint("visit:", i), strings.Repeat("v", 20_000), "EX", "10")
	}
}
