package compat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestNode runs the clients of the npm registry, each with its main flows in node/*.mjs, against redis-server and against
// Larder.
func TestNode(t *testing.T) {
	home := nodeModules(t)
	for _, copied := range nodeScripts(t, home, ".") {
		t.Run(nameOf(copied), func(t *testing.T) {
			onServers(t, func(t *testing.T, port string) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=tap", copied)
				cmd.Env = append(os.Environ(), "REDIS_PORT="+port)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		})
	}
}

// nodeScripts copies the scripts of a folder to where node finds what they import: below node_modules' parent.
func nodeScripts(t *testing.T, home, folder string) (copies []string) {
	t.Helper()
	scripts, err := filepath.Glob(filepath.Join("node", folder, "*.mjs"))
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	run := filepath.Join(home, "run", folder)
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		copied := filepath.Join(run, filepath.Base(script))
		copyFile(t, script, copied)
		copies = append(copies, copied)
	}
	return copies
}

// nodeModules installs what node/package.json names, once for each version of it, and returns the folder.
func nodeModules(t *testing.T) string { return modulesOf(t, "node") }

// modulesOf installs what a folder's package.json names, once for each version of it, and returns where.
func modulesOf(t *testing.T, folder string) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	list, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(list)
	home := filepath.Join(cache, "larder-compat", hex.EncodeToString(sum[:8]))
	done := filepath.Join(home, "installed")
	if _, err := os.Stat(done); err == nil {
		return home
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(folder, "package.json"), filepath.Join(home, "package.json"))
	var out []byte
	for range 3 { // registries have bad moments
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
		cmd.Dir = home
		if out, err = cmd.CombinedOutput(); err == nil {
			if err := os.WriteFile(done, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return home
		}
	}
	missing(t, "npm install: "+err.Error()+"\n"+string(out))
	return ""
}

// missing skips the test, but not on a build machine.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
