package config

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/vfs"
)

const rewriteSample = `# A comment that stays

port 0


Timeout 30
hash-max-ziplist-entries 20
# another
include none-*.conf
maxmemory 1048576
maxmemory 2097152
save 900 1 300 10
client-output-buffer-limit pubsub 1mb 512k 5
requirepass "two words\x00"
proc-title-template "{title} {listen-addr}"
  notify-keyspace-events   Ex
loglevel notice
lfu-log-factor 10
oom-score-adj-values 1 2 3
repl-backlog-size 20000
latency-tracking-info-percentiles 1 2.50
shutdown-on-sigterm nosave now
`

var rewriteSets = []Pair{
	{"timeout", "60"}, {"maxmemory", "3145728"}, {"maxmemory-policy", "allkeys-lru"}, {"save", "60 1 30 2 10 3"},
	{"hz", "20"}, {"hash-max-listpack-entries", "100"}, {"notify-keyspace-events", ""}, {"lfu-log-factor", "11"},
	{"client-output-buffer-limit", "normal 10mb 1025 3"}, {"maxmemory-clients", "5%"}, {"tracking-table-max-keys", "0"},
	{"masterauth", "pass\"word\n\x01"}, {"latency-tracking", "no"},
}

// TestRewriteIsRedis lets redis-server rewrite the same file after the same changes.
func TestRewriteIsRedis(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "redis.conf")
	sample := rewriteSample + "dir " + dir + "\n"
	rewritten := func(do func()) []string {
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
			t.Fatal(err)
		}
		do()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(b), "\n")
		end := slices.Index(lines, rewriteSignature)
		if end < 0 {
			t.Fatalf("no signature:\n%s", b)
		}
		slices.Sort(lines[end:]) // redis-server appends in no order
		return slices.DeleteFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "user ") || strings.HasPrefix(l, "unixsocket ")
		})
	}
	theirs := rewritten(func() {
		o := startRedis(t, file)
		if reply, _ := o.do("AUTH", "two words\x00"); reply != "OK" {
			t.Fatal(reply)
		}
		for _, p := range rewriteSets {
			if reply, _ := o.do("CONFIG", "SET", p.Name, p.Value); reply != "OK" {
				t.Fatalf("%v: %s", p, reply)
			}
		}
		if reply, _ := o.do("CONFIG", "REWRITE"); reply != "OK" {
			t.Fatal(reply)
		}
	})
	ours := rewritten(func() {
		c := New()
		if err := c.LoadFile(file); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(Remote, rewriteSets...); err != nil {
			t.Fatal(err)
		}
		if err := c.Rewrite(vfs.OS(), nil); err != nil {
			t.Fatal(err)
		}
	})
	for i, line := range theirs {
		theirs[i] = strings.Replace(line, "masterauth", "primaryauth", 1) // its name since Valkey 8
	}
	slices.Sort(theirs[slices.Index(theirs, rewriteSignature):])
	if !slices.Equal(ours, theirs) {
		t.Errorf("ours:\n%s\n\nredis:\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions became %v, %v", info.Mode(), err)
	}
}

// TestRewriteReadsBack: whatever was set, the file says it, and rewriting it again changes nothing.
func TestRewriteReadsBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.conf")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write(rewriteSample)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	c := New()
	if err := c.LoadFile(file); err != nil {
		t.Fatal(err)
	}
	values := []string{"", "0", "1", "7", "2mb", "50%", "yes", "no", "local", "allkeys-lfu", "KEA", "60 1", "a\"b\\ '\xff\n", "1 2 3",
		"normal 1 2 3", "slave 1gb 2 3 pubsub 4 5 6", "nosave now", "99.95", "debug", "always", "127.0.0.1 ::1"}
	accepted := 0
	for range 3000 {
		all := c.Get("*")
		p := Pair{all[rng.IntN(len(all))].Name, values[rng.IntN(len(values))]}
		if p.Name == "dir" || p.Name == "unixsocket" || c.Set(Program, p) != nil {
			continue
		}
		accepted++
		if accepted%20 != 0 {
			continue
		}
		if err := c.Rewrite(vfs.OS(), map[string][]string{"user": {"user x off"}}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "user x off"); n != 1 {
			t.Fatalf("the user stands there %d times", n)
		}
		write(strings.Replace(string(b), "user x off\n", "", 1))
		again := New()
		if err := again.LoadFile(file); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if got, want := again.Get("*"), c.Get("*"); !slices.Equal(got, want) {
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%q, was %q\n%s", got[i], want[i], b)
				}
			}
			t.FailNow()
		}
	}
	if accepted < 500 {
		t.Errorf("only %d changes", accepted)
	}
}

// TestRewriteFails: whichever step fails, the old file is there, whole.
func TestRewriteFails(t *testing.T) {
	if err := New().Rewrite(vfs.NewMem(), nil); !errors.Is(err, ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
	boom := errors.New("boom")
	for _, op := range []vfs.Op{vfs.OpOpen, vfs.OpRead, vfs.OpCreate, vfs.OpChmod, vfs.OpWrite, vfs.OpSync, vfs.OpClose, vfs.OpRename} {
		mem := vfs.NewMem()
		c := New()
		c.file = "/x.conf"
		f, err := mem.Create(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "hz 10\n"); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(Program, Pair{"hz", "20"}); err != nil {
			t.Fatal(err)
		}
		faulty := vfs.WithFaults(mem, func(o vfs.Op, name string) error {
			if o == op && (name != c.file || op == vfs.OpOpen || op == vfs.OpRead) {
				return boom
			}
			return nil
		})
		if err := c.Rewrite(faulty, nil); !errors.Is(err, boom) {
			t.Errorf("%s: %v", op, err)
		}
		if got := readAll(t, mem, c.file); got != "hz 10\n" {
			t.Errorf("%s left %q", op, got)
		}
		if _, err := mem.Stat(c.file + ".rewrite"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s left its new file", op)
		}
		if err := c.Rewrite(mem, nil); err != nil {
			t.Errorf("after %s: %v", op, err)
		}
		if got := readAll(t, mem.CrashClone(rand.New(rand.NewPCG(1, 2)), 0), c.file); got != "hz 20\n\n" {
			t.Errorf("after %s and a crash: %q", op, got)
		}
	}
}

func readAll(t *testing.T, files vfs.FS, name string) string {
	t.Helper()
	f, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
