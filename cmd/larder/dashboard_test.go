package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
)

// The dashboard of a server asks for requirepass where it has no password of its own, and goes with the server.
func TestDashboard(t *testing.T) {
	leaktest.Check(t)
	for _, c := range []struct {
		args []string
		want string // of api/me
	}{
		{nil, `"in":true,"login":false,"writable":false`},
		{[]string{"--requirepass", "secret"}, `"in":false,"login":true,"writable":false`},
		{[]string{"--dashboard-password", "own", "--dashboard-writable", "yes"}, `"in":false,"login":true,"writable":true`},
	} {
		conf := settings(t, append([]string{"--dashboard", "127.0.0.1:0"}, c.args...)...)
		db, err := larder.Open(larder.Options{Config: conf})
		if err != nil {
			t.Fatal(err)
		}
		sites, err := openSites(t.Context(), slog.New(slog.DiscardHandler), conf.Settings(), db)
		if err != nil || len(sites) != 1 {
			t.Fatal(sites, err)
		}
		sites[0].start(func(err error) { t.Error(err) })
		resp, err := http.Get("http://" + sites[0].listener.Addr().String() + "/api/me") //nolint:noctx // of this machine
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), c.want) {
			t.Errorf("%q: %s %v", c.args, body, err)
		}
		_ = resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		closeSites(sites)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDashboardRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--dashboard", "0.0.0.0:0"}, "set dashboard-password"},
		{[]string{"--dashboard", "0.0.0.0:0", "--protected-mode", "no"}, "set dashboard-password"},
		{[]string{"--dashboard", "127.0.0.1:0", "--dashboard-tls-cert-file", "x"}, "go together"},
	} {
		conf := settings(t, c.args...)
		if _, err := openSites(t.Context(), slog.New(slog.DiscardHandler), conf.Settings(), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}

// Who may not enter the store does not enter it by the dashboard, also where an ACL asks for the log-in and not requirepass.
func TestDashboardOfAnACL(t *testing.T) {
	for _, c := range []struct {
		user string
		free bool
	}{
		{"on nopass ~* &* +@all", true}, {"on >secret ~* &* +@all", false}, {"off nopass ~* &* +@all", false},
		{"on nopass ~app:* &* +@all", false}, {"on nopass ~* &* +@read", false},
	} {
		acl := filepath.Join(t.TempDir(), "users.acl")
		if err := os.WriteFile(acl, []byte("user default "+c.user+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, own := range []string{"", "own"} {
			args := []string{"--dashboard", "127.0.0.1:0", "--aclfile", acl}
			if own != "" {
				args = append(args, "--dashboard-password", own)
			}
			conf := settings(t, args...)
			db, err := larder.Open(larder.Options{Config: conf})
			if err != nil {
				t.Fatal(err)
			}
			sites, err := openSites(t.Context(), slog.New(slog.DiscardHandler), conf.Settings(), db)
			if (err == nil) != (c.free || own != "") || err != nil && !strings.Contains(err.Error(), "set dashboard-password") {
				t.Errorf("%q %q: %v", c.user, own, err)
			}
			closeSites(sites)
			_ = db.Close()
		}
	}
}
