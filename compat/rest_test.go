package compat

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// TestNodeREST runs the clients of Vercel KV and Upstash, unmodified, with their main flows in node/rest/*.mjs: against the REST
// API of Larder, and against the same API in front of redis-server.
func TestNodeREST(t *testing.T) {
	home := nodeModules(t)
	for _, path := range nodeScripts(t, home, "rest") {
		t.Run(nameOf(path), func(t *testing.T) {
			t.Run("larder", func(t *testing.T) { nodeREST(t, path, "larder", open(t)) })
			t.Run("redis", func(t *testing.T) {
				st, err := larder.Connect(t.Context(), redistest.Start(t).URL())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = st.Close() })
				nodeREST(t, path, "redis", st)
			})
		})
	}
}

// nodeREST runs a script against a handler for st.
func nodeREST(t *testing.T, script, behind string, st store.Store) {
	h, err := rest.Handler(st, rest.Options{Token: "a-token", ReadOnlyToken: "a-token-to-read"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer func() { _ = h.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=tap", script)
	cmd.Env = append(cmd.Environ(), "KV_REST_API_URL="+server.URL, "KV_REST_API_TOKEN=a-token", "KV_REST_API_READ_ONLY_TOKEN=a-token-to-read",
		"BEHIND="+behind, "UPSTASH_DISABLE_TELEMETRY=1", "NO_PROXY=127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func nameOf(script string) string {
	name := filepath.Base(script)
	return name[:len(name)-len(filepath.Ext(name))]
}
