package doctor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// allowed are all commands that doctor may send, by their first words. They read, and change nothing but access clocks.
var allowed = []string{
	"INFO", "CONFIG GET", "ACL LIST", "SLOWLOG GET", "LATENCY LATEST", "CLIENT LIST", "CLUSTER INFO", "CLUSTER SLOTS", "DBSIZE", "PING",
	"SCAN", "TYPE", "PTTL", "MEMORY USAGE", "OBJECT FREQ", "OBJECT IDLETIME", "OBJECT ENCODING",
	"GETRANGE", "LLEN", "SCARD", "ZCARD", "HLEN", "XLEN", "HSCAN",
}

// recorder is a Store that remembers what it was asked, and may refuse.
type recorder struct {
	store.Store
	refuse func(words []string) error // nil for nothing

	mu   sync.Mutex
	sent [][]string // guarded by mu
}

func (r *recorder) note(words []string) error {
	r.mu.Lock()
	r.sent = append(r.sent, slices.Clone(words))
	r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse(words)
	}
	return nil
}

func (r *recorder) Do(ctx context.Context, args ...string) store.Reply {
	if err := r.note(args); err != nil {
		return store.Fail(err)
	}
	return r.Store.Do(ctx, args...)
}

func (r *recorder) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	replies := make([]store.Reply, len(cmds))
	var pass []store.Cmd
	var at []int
	for i, c := range cmds {
		if err := r.note(c); err != nil {
			replies[i] = store.Fail(err)
			continue
		}
		pass, at = append(pass, c), append(at, i)
	}
	if len(pass) > 0 {
		for i, reply := range r.Store.Pipe(ctx, pass...) {
			replies[at[i]] = reply
		}
	}
	return replies
}

// commands are the different ones that were sent, by their first words as allowed has them.
func (r *recorder) commands(t testing.TB) []string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for _, words := range r.sent {
		i := slices.IndexFunc(allowed, func(a string) bool {
			names := strings.Fields(a)
			return len(words) >= len(names) && slices.EqualFunc(names, words[:len(names)], strings.EqualFold)
		})
		if i < 0 {
			t.Errorf("doctor sent %q, which is not allowed", words)
			continue
		}
		if words[0] == "CONFIG" && (len(words) != 3 || strings.ContainsAny(words[2], "*?[") || strings.Contains(words[2], "pass") || strings.Contains(words[2], "auth")) {
			t.Errorf("doctor sent %q, which may bring passwords", words)
		}
		found = append(found, allowed[i])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// recorded puts recorders in front of a target's stores.
func recorded(target *Target) []*recorder {
	var all []*recorder
	for i := range target.Nodes {
		r := &recorder{Store: target.Nodes[i].Store}
		target.Nodes[i].Store = r
		all = append(all, r)
	}
	return all
}

// patience is for servers on a machine that does much besides.
const patience = time.Minute

// open connects doctor to a URL for the length of the test.
func open(t testing.TB, url string) *Target {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(url, "timeout=") {
		cfg.Timeout = patience
	}
	target, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

// fill opens a store to put data into a server.
func fill(t testing.TB, url string) store.Store {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Timeout = patience
	st, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// pipe sends commands in pages and fails the test on the first error.
func pipe(t testing.TB, st store.Store, cmds ...store.Cmd) {
	t.Helper()
	for page := range slices.Chunk(cmds, 1000) {
		for i, r := range st.Pipe(t.Context(), page...) {
			if err := r.Err(); err != nil {
				t.Fatalf("%.40q: %v", page[i][:2], err)
			}
		}
	}
}

// The commands of the list are marked as reads, or as those of an administrator, by the server itself, and never as writes.
func TestAllowedOnlyRead(t *testing.T) {
	s := redistest.Start(t)
	st := fill(t, s.URL())
	for _, a := range allowed {
		name := strings.ToLower(strings.ReplaceAll(a, " ", "|"))
		info, err := st.Do(t.Context(), "COMMAND", "INFO", name).Array()
		if err != nil || len(info) != 1 || info[0].IsNil() {
			t.Fatal(name, info, err)
		}
		parts, _ := info[0].Array()
		flags, err := parts[2].Strings()
		if err != nil || slices.Contains(flags, "write") {
			t.Error(name, flags, err)
		}
		if strings.HasPrefix(a, "GET") && !slices.Contains(flags, "readonly") {
			t.Error(name, flags)
		}
	}
}
