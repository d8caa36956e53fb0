package config

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/glob"
)

// These tests hold this package against a real redis-server, where there is one.

// oracle is a connection to a redis-server that lives as long as the test.
type oracle struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func startRedis(t *testing.T, file ...string) *oracle {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a redis-server")
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server here")
	}
	cmd := exec.Command(path, append(file, "-")...)
	socket := t.TempDir() + "/redis.sock"
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader("port 0\nunixsocket " + socket)
	if len(file) == 0 {
		cmd.Stdin = strings.NewReader("port 0\nsave \"\"\nunixsocket " + socket)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(strings.ToLower(lines.Text()), "ready to accept connections") {
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &oracle{t, conn, bufio.NewReader(conn)}
}

// do sends a command and returns a simple reply, an error's text, or the elements of an array.
func (o *oracle) do(args ...string) (reply string, elems []string) {
	o.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(o.conn, b.String()); err != nil {
		o.t.Fatal(err)
	}
	line := o.line()
	if line[0] != '*' {
		return line[1:], nil
	}
	n, _ := strconv.Atoi(line[1:])
	for range n {
		size, _ := strconv.Atoi(o.line()[1:])
		bulk := make([]byte, size+2)
		if _, err := io.ReadFull(o.in, bulk); err != nil {
			o.t.Fatal(err)
		}
		elems = append(elems, string(bulk[:size]))
	}
	return "", elems
}

func (o *oracle) line() string {
	s, err := o.in.ReadString('\n')
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

func (o *oracle) get(patterns ...string) map[string]string {
	_, elems := o.do(append([]string{"CONFIG", "GET"}, patterns...)...)
	got := map[string]string{}
	for i := 0; i+1 < len(elems); i += 2 {
		got[elems[i]] = elems[i+1]
	}
	return got
}

// ours are the directives where Larder answers on purpose not what redis-server 7.0 answers.
func ours(name string) bool {
	switch name {
	case "bind", "save", "dir", "port", "unixsocket", // settled by the test's server or by us
		"aof-disable-auto-gc",                                                                           // hidden since 7.2
		"proc-title-template",                                                                           //
		"activedefrag",                                                                                  // needs no special allocator
		"maxclients",                                                                                    // asks the system for its limit on open files
		"appendonly",                                                                                    // starts a rewrite
		"oom-score-adj",                                                                                 // asks the kernel
		"oom-score-adj-values",                                                                          //
		"loglevel",                                                                                      // 7.2 has "nothing"
		"repl-diskless-load",                                                                            // 7.2 words
		"maxmemory-samples", "cluster-announce-human-nodename", "cluster-blacklist-ttl", "syslog-ident", // Valkey 8's bounds
		"lazyfree-lazy-eviction", "lazyfree-lazy-expire", "lazyfree-lazy-server-del", "lazyfree-lazy-user-del", // Valkey 8's
		"lazyfree-lazy-user-flush", "replica-lazy-flush", "slave-lazy-flush", "repl-backlog-size", "io-threads-do-reads": // defaults
		return true
	}
	return false
}

func TestDefaultsAreRedis(t *testing.T) {
	o := startRedis(t)
	c := New()
	redis := o.get("*")
	if len(redis) < 180 {
		t.Fatalf("only %d directives", len(redis))
	}
	for name, want := range redis {
		if got, ok := c.Value(name); !ok || got != want && !ours(name) {
			t.Errorf("%s = %q, %v; redis has %q", name, got, ok, want)
		}
	}
}

func TestSetIsRedis(t *testing.T) {
	o := startRedis(t)
	c := New()
	tries := []string{"", "0", "1", "-1", "5", "100", "01", "+1", "1.5", " 1", "1 ", "1kb", "2MB", "1gb", "kb", "5%", "101%", "-5%",
		"yes", "No", "no", "everysec", "allkeys-lru", "local", "x", "1 2", "60 1", "1 1 1", "60  1", "abc def", "KEA", "KEAm", "gKx",
		"normal 1 2 3", "pubsub 1mb 1k 5 slave 1 2 3", "master 1 2 3", "normal 1 2 -3", "nosave now", "save nosave", "default",
		"50", "50 99.9 100", "101", "nan", "9223372036854775807", "9223372036854775808", "99999999999999999999", "a/b",
		"notice", "hostname", "always", "clients", "{title}", "{", "{{x", "{nope}", "0x10", "1e3", "host-1.example", "host_1"}
	compared := 0
	for _, p := range c.Get("*") {
		if _, known := o.get(p.Name)[p.Name]; !known || ours(p.Name) || strings.HasPrefix(p.Name, "tls-") {
			continue
		}
		for _, in := range tries {
			if p.Name == "locale-collate" || unlike(p.Name, in) {
				continue
			}
			want, _ := o.do("CONFIG", "SET", p.Name, in)
			got := "OK"
			if err := c.Set(Remote, Pair{p.Name, in}); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s %q: %s\nredis: %s", p.Name, in, got, want)
				continue
			}
			compared++
			if value, _ := c.Value(p.Name); value != o.get(p.Name)[p.Name] {
				t.Errorf("%s %q became %q, in redis %q", p.Name, in, value, o.get(p.Name)[p.Name])
			}
		}
	}
	if compared < 5000 {
		t.Errorf("only %d comparisons", compared)
	}
}

// unlike are the inputs on which Larder is stricter than redis-server on purpose.
func unlike(name, in string) bool {
	switch in {
	case "99999999999999999999": // more memory than 64 bits can count is refused, not cut
		return true
	case "0x10": // C's strtod reads it
		return name == "latency-tracking-info-percentiles"
	}
	return false
}

func TestSetSeveralIsRedis(t *testing.T) {
	o := startRedis(t)
	c := New()
	for _, words := range [][]string{
		{"timeout", "1", "hz", "20"},
		{"timeout", "2", "hz", "x"},
		{"timeout", "x", "nope", "1"},
		{"databases", "1", "nope", "1"},
		{"nope", "1", "databases", "1"},
		{"timeout", "3", "TIMEOUT", "4"},
		{"timeout", "3", "timeout", "4", "nope", "1"},
		{"hash-max-ziplist-value", "3", "hash-max-listpack-value", "4"},
		{"DATABASES", "3"},
		{"NOPE", "3"},
		{"TimeOut", "x"},
		{"slave-priority", "x"},
		{"dir", "/"},
	} {
		want, _ := o.do(append([]string{"CONFIG", "SET"}, words...)...)
		var pairs []Pair
		for i := 0; i < len(words); i += 2 {
			pairs = append(pairs, Pair{words[i], words[i+1]})
		}
		got := "OK"
		if err := c.Set(Remote, pairs...); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s\nredis: %s", words, got, want)
		}
		for i := 0; i < len(words); i += 2 {
			if value, _ := c.Value(words[i]); words[i] != "dir" && value != o.get(words[i])[words[i]] {
				t.Errorf("%q: %s is %q, in redis %q", words, words[i], value, o.get(words[i])[words[i]])
			}
		}
	}
}

func TestPatternsAreRedis(t *testing.T) {
	o := startRedis(t)
	const letters = "ab\\]-^[*?B\xff\x01"
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	random := func(most int) string {
		b := make([]byte, r.IntN(most)+1)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	keys := map[string]bool{"": true}
	for len(keys) < 300 {
		keys[random(5)] = true
	}
	all := slices.Sorted(maps.Keys(keys))
	for _, key := range all {
		o.do("SET", key, "")
	}
	matches := 0
	for range 3000 {
		pattern := random(7)
		if pattern == "*" {
			continue // KEYS does not ask the matcher then
		}
		_, want := o.do("KEYS", pattern)
		slices.Sort(want)
		var got []string
		for _, key := range all {
			if glob.Match([]byte(pattern), []byte(key), false) {
				got = append(got, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("KEYS %q: %q\nredis: %q", pattern, got, want)
		}
		matches += len(want)
	}
	if matches < 1000 {
		t.Errorf("only %d matches", matches)
	}
}

func TestGetIsRedis(t *testing.T) {
	o := startRedis(t)
	c := New()
	known := o.get("*")
	for _, patterns := range [][]string{{"max*"}, {"MAX*"}, {"m?x*y", "hz"}, {"HZ", "hz"}, {"[a-c]*"}, {"*-ziplist-*"}, {"nope"},
		{"slave*", "replica*"}, {"*listpack*"}} {
		want := o.get(patterns...)
		for _, p := range c.Get(patterns...) {
			if _, both := known[strings.ToLower(p.Name)]; !both {
				continue // newer than the server
			}
			if _, ok := want[p.Name]; !ok {
				t.Errorf("%q: redis does not list %s", patterns, p.Name)
			}
			delete(want, p.Name)
		}
		delete(want, "aof-disable-auto-gc")
		if len(want) != 0 {
			t.Errorf("%q: only redis lists %v", patterns, want)
		}
	}
}
