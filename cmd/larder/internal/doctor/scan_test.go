package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// examineAll looks at all keys as fast as it goes.
func examineAll(t testing.TB, target *Target, change func(*Options)) *Report {
	t.Helper()
	o := Options{Rate: -1, Sample: -1}
	if change != nil {
		change(&o)
	}
	r, err := Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shows is the report as text, for messages.
func shows(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// finding is the gravest of a check about a subject, which may be empty for any.
func (r *Report) finding(check, subject string) (Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Check == check && strings.HasPrefix(f.Subject, subject) })
	if i < 0 {
		return Finding{}, false
	}
	return r.Findings[i], true
}

func mustFind(t testing.TB, r *Report, check, subject string) {
	t.Helper()
	if _, ok := r.finding(check, subject); !ok {
		t.Errorf("%s did not find %s:\n%s", check, subject, shows(t, r))
	}
}

// wellKept are the arguments of a server about which there is nothing to say.
var wellKept = []string{"--requirepass", "secret-word", "--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru", "--save", "", "--slowlog-log-slower-than", "1000000"}

func withPassword(s *redistest.Server) string {
	return strings.Replace(s.URL(), "redis://", "redis://:secret-word@", 1)
}

func TestFindsMistakesOfKeys(t *testing.T) {
	leaktest.Check(t)
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 1)
	target := open(t, s.URL())
	recorders := recorded(target)
	r := examineAll(t, target, nil)
	for _, m := range keyMistakes {
		mustFind(t, r, m.check, m.subject)
	}
	mustFind(t, r, "no-password", "")
	mustFind(t, r, "maxmemory", "")
	if !r.Scan.Complete || r.Scan.Seen != r.Scan.Keys || r.Scan.Estimated || r.Scan.Touched == 0 || r.Scan.Touched > readsMost {
		t.Errorf("%+v", r.Scan)
	}
	sent := recorders[0].commands(t)
	for _, a := range []string{"HSCAN", "GETRANGE", "MEMORY USAGE", "OBJECT ENCODING", "SCARD"} {
		if !slices.Contains(sent, a) {
			t.Errorf("the list of what is sent is not what is tested: no %s in %v", a, sent)
		}
	}
	text := shows(t, r)
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unsafe(r) }) {
		t.Errorf("names of keys reach the terminal: %q", text)
	}
}

func TestSampleEstimates(t *testing.T) {
	s := redistest.Start(t)
	mistakes(t, fill(t, s.URL()), 2)
	r := examineAll(t, open(t, s.URL()), func(o *Options) { o.Sample = 3000 })
	if r.Scan.Complete || !r.Scan.Estimated || r.Scan.Seen < 3000 || r.Scan.Seen > 3000+pageMost {
		t.Fatalf("%+v", r.Scan)
	}
	for _, check := range []string{"missing-ttl", "json-strings", "tiny-keys", "single-element"} {
		mustFind(t, r, check, "")
	}
	f, _ := r.finding("missing-ttl", `"forgotten:*"`)
	if n := f.Values["no_ttl"]; n < 1000 || n > 2000 { // 1500 are; a sample of a fifth is off by some 6 %
		t.Errorf("%+v", f)
	}
	i := slices.IndexFunc(r.Namespaces, func(n SpaceLine) bool { return n.Name == `"forgotten"` })
	if n := r.Namespaces[i]; n.Keys < 2500 || n.Keys > 3500 || n.NoTTL < 1000 || n.NoTTL > 2000 { // 3000 and 1500 are
		t.Errorf("%+v", r.Namespaces)
	}
}

func TestNothingToSay(t *testing.T) {
	s := redistest.Start(t, wellKept...)
	tidy(t, fill(t, withPassword(s)), 1)
	r := examineAll(t, open(t, withPassword(s)), func(o *Options) {
		o.Host = fstest.MapFS{"proc/sys/vm/overcommit_memory": {Data: []byte("1\n")}, "sys/kernel/mm/transparent_hugepage/enabled": {Data: []byte("always [madvise] never\n")}}
	})
	if len(r.Findings) > 0 || len(r.Skipped) != 1 || r.Worst() != OK { // hot-keys needs LFU
		t.Error(shows(t, r))
	}
	if strings.Contains(shows(t, r), "secret-word") {
		t.Error("the password is in the report")
	}
}

// What a server is told to do wrong by directives and clients, one after the other on the same server.
func TestFindsMistakesOfServers(t *testing.T) {
	s := redistest.Start(t, append(wellKept, "--enable-debug-command", "yes")...)
	st := fill(t, withPassword(s))
	do := func(args ...string) {
		t.Helper()
		if err := st.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	many := func(n int, args ...string) {
		t.Helper()
		cmds := make([]store.Cmd, n)
		for i := range cmds {
			cmds[i] = args
		}
		pipe(t, st, cmds...)
	}
	tidy(t, st, 1)
	examineNow := func() *Report { return examineAll(t, open(t, withPassword(s)), nil) }
	if r := examineNow(); len(r.Findings) != 1 || r.Findings[0].Check != "unsafe-directives" {
		t.Fatal(shows(t, r))
	}
	// Each makes a mistake; the next one's server has it still, unless undo is given.
	for _, m := range []struct {
		check, subject string
		make, undo     func()
	}{
		{"cache-noeviction", "", func() { do("CONFIG", "SET", "maxmemory-policy", "noeviction") }, func() { do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru") }},
		{"memory-full", "", func() {
			do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", fmt.Sprint(usedMemory(t, st)*101/100))
		}, func() { do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "200mb") }},
		{"maxmemory", "", func() { do("CONFIG", "SET", "maxmemory", "1000gb") }, func() { do("CONFIG", "SET", "maxmemory", "200mb") }},
		{"slowlog-off", "", func() { do("CONFIG", "SET", "slowlog-log-slower-than", "-1") }, func() { do("CONFIG", "SET", "slowlog-log-slower-than", "1000000") }},
		{"open-users", `"guest"`, func() { do("ACL", "SETUSER", "guest", "on", "nopass", "~*", "+get") }, nil},
		{"open-users", `"root"`, func() { do("ACL", "SETUSER", "root", "on", ">x", "~*", "+@all") }, nil},
		{"keys-command", "", func() { many(20, "KEYS", "nothing") }, nil},
		{"hit-ratio", "", func() { many(20_000, "GET", "nothing") }, nil},
		{"scripts", "EVAL", func() { many(2000, "EVAL", "return 1", "0") }, nil},
		{"scripts", "SCRIPT", func() {
			for i := range 600 {
				do("SCRIPT", "LOAD", fmt.Sprintf("return %d", i))
			}
		}, nil},
		{"polled-queues", "a list", func() { do("RPUSH", "work", "1"); many(10_000, "LPOP", "work") }, nil},
		{"whole-reads", "SMEMBERS", func() {
			members := []string{"SADD", "friends"}
			for i := range 5000 {
				members = append(members, fmt.Sprintf("member-%d-%s", i, strings.Repeat("x", 50)))
			}
			do(members...)
			for range 100 {
				many(10, "SMEMBERS", "friends")
			}
		}, nil},
		{"list-scans", "LPOS", func() {
			members := []string{"RPUSH", "timeline"}
			for i := range 50_000 {
				members = append(members, fmt.Sprintf("entry-%d-%s", i, strings.Repeat("x", 200)))
			}
			do(members...)
			many(1000, "LPOS", "timeline", "nothing", "MAXLEN", "10000")
		}, nil},
		{"slow-commands", "DEBUG", func() { do("CONFIG", "SET", "slowlog-log-slower-than", "10000"); do("DEBUG", "SLEEP", "0.02") }, nil},
		{"latency-events", "command", func() { do("CONFIG", "SET", "latency-monitor-threshold", "1"); do("DEBUG", "SLEEP", "0.06") }, nil},
		{"no-persistence", "", func() {
			for i := range 2000 {
				do("SET", fmt.Sprintf("kept:%d", i), strings.Repeat("v", 100))
			}
		}, nil},
		{"mixed-use", "", func() {}, nil},
		{"persistence-failing", "rdb_last_bgsave_status", func() {
			folder, err := st.Do(t.Context(), "CONFIG", "GET", "dir").Map()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(folder["dir"]); err != nil { // the test's own
				t.Fatal(err)
			}
			st.Do(t.Context(), "BGSAVE")
			fleet.Eventually(t, "the snapshot that fails", func() bool {
				text, _ := st.Do(t.Context(), "INFO", "persistence").Text()
				return strings.Contains(text, "rdb_last_bgsave_status:err")
			})
		}, nil},
		{"volatile-without-ttl", "", func() {
			do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no", "maxmemory-policy", "volatile-lru")
			persistAll(t, st)
		}, nil},
		{"evictions", "", func() {
			do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", fmt.Sprint(usedMemory(t, st)))
			for i := range 20 {
				var cmds []store.Cmd
				for j := range 1000 {
					cmds = append(cmds, store.Cmd{"SET", fmt.Sprintf("more:%d", 1000*i+j), strings.Repeat("v", 1000)})
				}
				pipe(t, st, cmds...)
			}
		}, func() { do("CONFIG", "SET", "maxmemory", "200mb") }},
		{"hot-keys", `"favourite"`, func() {
			do("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0")
			do("SET", "favourite", "x")
			many(1000, "GET", "favourite")
		}, nil},
		{"replication", "master_link_status", func() { do("REPLICAOF", "127.0.0.1", "1") }, func() { do("REPLICAOF", "NO", "ONE") }},
	} {
		m.make()
		r := examineNow()
		mustFind(t, r, m.check, m.subject)
		if m.undo != nil {
			m.undo()
		}
	}
}

func usedMemory(t testing.TB, st store.Store) int64 {
	t.Helper()
	text, err := st.Do(t.Context(), "INFO", "memory").Text()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "used_memory:")
	var n int64
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func persistAll(t testing.TB, st store.Store) {
	t.Helper()
	names, err := st.Do(t.Context(), "KEYS", "*").Strings()
	if err != nil {
		t.Fatal(err)
	}
	var cmds []store.Cmd
	for _, name := range names {
		cmds = append(cmds, store.Cmd{"PERSIST", name})
	}
	pipe(t, st, cmds...)
}

func TestEveryPrimaryOfACluster(t *testing.T) {
	s := fleet.Start(t, fleet.Cluster)
	st := s.Open(t)
	var cmds []store.Cmd
	for i := range 3000 {
		cmds = append(cmds, store.Cmd{"SET", fmt.Sprintf("json:%d", i), fmt.Sprintf(`{"id":%d,"name":"n"}`, i)})
	}
	pipe(t, st, cmds...)
	target := open(t, clusterURL(t, st))
	if len(target.Nodes) != 3 {
		t.Fatalf("%d nodes: %+v", len(target.Nodes), target.Nodes)
	}
	recorders := recorded(target)
	r := examineAll(t, target, nil)
	if r.Scan.Seen != 3000 || !r.Scan.Complete || len(r.Servers) != 3 {
		t.Errorf("%+v %+v", r.Scan, r.Servers)
	}
	mustFind(t, r, "json-strings", `"json:*"`)
	for i, rec := range recorders {
		if sent := rec.commands(t); !slices.Contains(sent, "SCAN") || !slices.Contains(sent, "CLUSTER INFO") {
			t.Errorf("node %d was not examined: %v", i, sent)
		}
	}
	if f, ok := r.finding("maxmemory", ""); !ok || f.Server == "" {
		t.Errorf("%+v", f)
	}
	if _, ok := r.finding("cluster-state", ""); ok {
		t.Error(shows(t, r))
	}
	// One that does not answer is a finding; the others are examined nevertheless.
	lost := open(t, clusterURL(t, st))
	recorded(lost)[1].refuse = func([]string) error { return store.Unavailable(errors.New("no route to host")) }
	part := examineAll(t, lost, nil)
	if part.Scan.Seen < 1500 || part.Scan.Seen > 2500 || !part.Scan.Cancelled || part.Scan.Complete {
		t.Errorf("%+v", part.Scan)
	}
	mustFind(t, part, "unreachable", lost.Nodes[1].Name)
	mustFind(t, part, "json-strings", `"json:*"`)
	half := examineAll(t, open(t, clusterURL(t, st)), func(o *Options) { o.Sample = 1500 })
	if half.Scan.Seen < 1200 || half.Scan.Seen > 1500+3*pageMost || !half.Scan.Estimated {
		t.Errorf("%+v", half.Scan)
	}
}

// clusterURL is the address of a cluster that a fleet runs.
func clusterURL(t testing.TB, st store.Store) string {
	t.Helper()
	named, ok := st.(fmt.Stringer)
	if !ok {
		t.Fatalf("%T has no address", st)
	}
	return named.String()
}

func TestEmbedded(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mistakes(t, db, 3)
	r := examineAll(t, &Target{Name: "mem://", Nodes: []Node{{Name: "embedded", Store: db}}, Facts: TargetFacts{InProcess: true, Local: true}}, nil)
	for _, m := range keyMistakes {
		mustFind(t, r, m.check, m.subject)
	}
	if _, ok := r.finding("no-password", ""); ok {
		t.Error("nobody can connect to a store in this process")
	}
	if r.Servers[0].Software != "Larder" {
		t.Errorf("%+v", r.Servers)
	}
}

// A user who may do little gets a report on what he may see.
func TestRestrictedUser(t *testing.T) {
	s := redistest.Start(t)
	st := fill(t, s.URL())
	mistakes(t, st, 4)
	for _, tc := range []struct {
		rights []string
		seen   bool
		missed []string // checks that cannot be made
		found  []string
	}{
		{[]string{"~*", "+info", "+ping", "+hello"}, false, []string{"missing-ttl", "slow-commands", "slowlog-off", "big-keys", "output-buffers"}, []string{"maxmemory"}},
		{[]string{"~*", "+scan", "+dbsize", "+type", "+pttl", "+hello", "+ping"}, true, []string{"big-keys", "maxmemory", "json-strings", "cold-data"}, []string{"missing-ttl", "expiry-herd"}},
		{[]string{"~*", "+scan", "+type", "+pttl", "+hello", "+ping"}, true, []string{"big-keys"}, []string{"missing-ttl"}},
		{[]string{"~json:*", "+@all"}, true, nil, []string{"json-strings"}},
	} {
		words := append([]string{"ACL", "SETUSER", "guest", "reset", "on", ">pw"}, tc.rights...)
		if err := st.Do(t.Context(), words...).Err(); err != nil {
			t.Fatal(err)
		}
		r := examineAll(t, open(t, strings.Replace(s.URL(), "redis://", "redis://guest:pw@", 1)), nil)
		for _, id := range tc.missed {
			i := slices.IndexFunc(r.Skipped, func(s Skip) bool { return s.Check == id })
			if i < 0 || r.Skipped[i].Reason == "" {
				t.Errorf("%v: %s was not skipped:\n%s", tc.rights, id, shows(t, r))
			}
		}
		for _, id := range tc.found {
			mustFind(t, r, id, "")
		}
		if r.Scan.Seen > 0 != tc.seen || r.Scan.Cancelled {
			t.Errorf("%v: %+v", tc.rights, r.Scan)
		}
	}
	// Who may do nothing gets an error, and nobody's log is filled: one refusal for each kind of command.
	text, err := st.Do(t.Context(), "INFO", "errorstats").Text()
	if err != nil || !strings.Contains(text, "NOPERM") {
		t.Fatal(text, err)
	}
	r, err := Run(t.Context(), open(t, strings.Replace(s.URL(), "redis://", "redis://guest:wrong@", 1)), Options{})
	if err == nil || !errors.Is(err, store.ErrDenied) || strings.Contains(err.Error(), "wrong@") {
		t.Error(r, err)
	}
}

func TestNothingThere(t *testing.T) {
	cfg, _ := store.ParseURL("redis://:secret-word@127.0.0.1:1?retries=0")
	target, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := Run(t.Context(), target, Options{}); !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), "secret-word") {
		t.Error(err)
	}
	for _, url := range []string{"mem://", "redis+cluster://127.0.0.1:1?retries=0"} {
		cfg, _ := store.ParseURL(url)
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Error(url)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Depth: -1}, {Depth: 17}, {Timeout: -time.Second}, {Ignore: []string{"no-such-check"}}, {Rate: 1e9}} {
		if _, err := Run(t.Context(), &Target{}, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := Run(t.Context(), &Target{}, Options{}); err == nil {
		t.Error("a target without servers was examined")
	}
}

func TestJSONForm(t *testing.T) {
	s := redistest.Start(t)
	r := examineAll(t, open(t, s.URL()), func(o *Options) { o.Ignore = []string{"maxmemory"} })
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte(": null")) {
		t.Errorf("lists are never null:\n%s", b.String())
	}
	var back Report
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.Schema != Schema || len(back.Findings) != len(r.Findings) || back.Worst() != r.Worst() || !slices.Equal(back.Ignored, []string{"maxmemory"}) {
		t.Errorf("%+v", back)
	}
}
