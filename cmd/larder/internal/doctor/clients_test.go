package doctor

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// connect makes a connection that says something and hears the first line of the answer, if there is one to be heard.
func connect(t *testing.T, s *redistest.Server, hear bool, commands ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte(strings.Join(commands, "\r\n") + "\r\n")); err != nil {
		t.Fatal(err)
	}
	if hear {
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

// What clients do wrong, by real ones.
func TestFindsMistakesOfClients(t *testing.T) {
	s := redistest.Start(t, "--maxclients", "10", "--save", "3600 1")
	st := fill(t, s.URL())
	do := func(args ...string) {
		t.Helper()
		if err := st.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	do("SET", "big", strings.Repeat("x", 4<<20))
	connect(t, s, true, "MONITOR")
	connect(t, s, false, strings.Split(strings.Repeat("GET big\n", 20), "\n")...) // and reads nothing of it
	fleet.Eventually(t, "a client that does not read", func() bool {
		text, _ := st.Do(t.Context(), "CLIENT", "LIST").Text()
		return parseClients(text).Output > 10<<20
	})
	for range 4 {
		connect(t, s, true, "PING")
	}
	var machine int64
	text, _ := st.Do(t.Context(), "INFO", "memory").Text()
	_, after, _ := strings.Cut(text, "total_system_memory:")
	if _, err := fmt.Sscan(after, &machine); err != nil {
		t.Fatal(err)
	}
	do("CONFIG", "SET", "maxmemory", fmt.Sprint(machine/10*7))
	target := open(t, s.URL())
	r := examineAll(t, target, func(o *Options) {
		o.Host = fstest.MapFS{"proc/sys/vm/overcommit_memory": {Data: []byte("0\n")}, "sys/kernel/mm/transparent_hugepage/enabled": {Data: []byte("[always] madvise never\n")}}
	})
	for _, check := range []string{"monitor", "output-buffers", "maxclients", "fork-headroom"} {
		mustFind(t, r, check, "")
	}
	mustFind(t, r, "kernel", "vm.overcommit_memory")
	mustFind(t, r, "kernel", "transparent_hugepage")
	for range 5 { // some of them find no place, and are told so, or cut off
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("PING\r\n")); err == nil {
			_, _ = bufio.NewReader(conn).ReadString('\n')
		}
	}
	mustFind(t, examineAll(t, target, nil), "rejected-connections", "")
}

// Larder counts what Redis does not: keys that are missed after they were evicted, by namespace.
func TestFindsRegret(t *testing.T) {
	db, err := larder.Open(larder.Options{MaxMemory: 2 << 20, Policy: "allkeys-lru", Settings: map[string]string{"namespaces": "depth 1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		for i := range 10_000 {
			k := fmt.Sprintf("page:%d", i)
			if db.Do(t.Context(), "GET", k).IsNil() {
				pipe(t, db, store.Cmd{"SET", k, strings.Repeat("x", 300), "EX", "3600"})
			}
		}
	}
	target := &Target{Name: "mem://", Nodes: []Node{{Name: "embedded", Store: db}}, Facts: TargetFacts{InProcess: true, Local: true}}
	mustFind(t, examineAll(t, target, nil), "regret", `"page"`)
}

// Services that took commands away get a report of what is left.
func TestCommandsTakenAway(t *testing.T) {
	s := redistest.Start(t, "--rename-command", "CONFIG", "", "--rename-command", "MEMORY", "", "--rename-command", "SLOWLOG", "", "--rename-command", "ACL", "")
	mistakes(t, fill(t, s.URL()), 11)
	r := examineAll(t, open(t, s.URL()), nil)
	for _, check := range []string{"missing-ttl", "expiry-herd", "json-strings", "hash-as-namespace", "maxmemory", "no-password"} {
		mustFind(t, r, check, "")
	}
	for _, want := range []string{"big-keys, tiny-keys, because MEMORY USAGE: ERR unknown command", "because CONFIG GET: ERR unknown command", "slow-commands, because SLOWLOG GET: ERR unknown command"} {
		if text := strings.Join(strings.Fields(shows(t, r)), " "); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, shows(t, r))
		}
	}
}
