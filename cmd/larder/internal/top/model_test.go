package top

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// reading is a server after so many seconds; more are further fields, "# section" lines included.
func reading(second int, counters map[string]int, more ...string) Sample {
	base := map[string]int{
		"uptime_in_seconds": 100 + second, "total_commands_processed": 1000, "keyspace_hits": 500, "keyspace_misses": 100, "evicted_keys": 0, "expired_keys": 0,
		"total_net_input_bytes": 10_000, "total_net_output_bytes": 20_000, "connected_clients": 5, "maxclients": 100, "used_memory": 50 << 20,
		"used_memory_rss": 60 << 20, "maxmemory": 100 << 20, "total_connections_received": 10, "rejected_connections": 0, "total_error_replies": 0,
	}
	for name, v := range counters {
		base[name] = v
	}
	var b strings.Builder
	b.WriteString("# Server\r\nredis_version:7.0.15\r\nrun_id:a\r\nmaxmemory_policy:allkeys-lru\r\n")
	for name, v := range base {
		if v >= 0 { // less is: not offered
			fmt.Fprintf(&b, "%s:%d\r\n", name, v)
		}
	}
	for _, m := range more {
		b.WriteString(m + "\r\n")
	}
	return Sample{At: time.Duration(second) * time.Second, Name: "a:1", Nodes: 1, Info: info.Parse(b.String())}
}

func same(a, b Num) bool { return a.OK == b.OK && math.Abs(a.V-b.V) < 1e-9 }

func TestOverviewRates(t *testing.T) {
	first := reading(0, nil)
	later := map[string]int{"total_commands_processed": 3000, "keyspace_hits": 590, "keyspace_misses": 110, "evicted_keys": 20, "expired_keys": 4, "total_net_input_bytes": 12_000, "total_net_output_bytes": 30_000}
	none := Num{}
	for _, c := range []struct {
		name string
		prev Sample
		cur  Sample
		ops  Num
		hits Num
		evic Num
		in   Num
	}{
		{"two seconds", first, reading(2, later), num(1000), num(0.9), num(10), num(1000)},
		{"the first reading", Sample{}, reading(2, later), none, none, none, none},
		{"a restart", first, reading(2, later, "run_id:b"), num(1000), num(0.9), num(10), num(1000)}, // the first run_id counts
		{"fewer commands than before", reading(0, map[string]int{"total_commands_processed": 1 << 30}), reading(2, later), none, none, none, none},
		{"quiet", first, reading(2, nil), num(0), none, num(0), num(0)},
		{"no evicted_keys", first, reading(2, map[string]int{"evicted_keys": -1}), num(0), none, none, num(0)},
		{"two readings at once", first, Sample{Info: reading(2, later).Info}, none, num(0.9), none, none},
	} {
		o := overviewOf(c.prev, c.cur)
		for _, f := range []struct {
			what      string
			got, want Num
		}{{"commands/s", o.Ops, c.ops}, {"hit ratio", o.HitRatio, c.hits}, {"evictions/s", o.Evictions, c.evic}, {"network in", o.NetIn, c.in}} {
			if !same(f.got, f.want) {
				t.Errorf("%s: %s is %v, want %v", c.name, f.what, f.got, f.want)
			}
		}
	}
	restarted := reading(2, later)
	restarted.Info = info.Parse("# Server\nrun_id:b\ntotal_commands_processed:9999\n")
	if o := overviewOf(first, restarted); !o.Reset || o.Ops.OK {
		t.Errorf("a restart: reset %v, commands/s %v", o.Reset, o.Ops)
	}
}

// Whatever counters do, no figure is negative.
func TestNoNegativeFigure(t *testing.T) {
	values := []int{0, 7, 100, 5000, math.MaxInt32}
	for i := range 200 {
		at := func(second int) Sample {
			c := map[string]int{}
			for k, name := range []string{"total_commands_processed", "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys", "used_memory", "used_memory_rss", "maxmemory"} {
				c[name] = values[(i*(k+3)+second*(i+k)+k)%len(values)]
			}
			return reading(second, c, "# Keyspace", "db0:keys=5,expires=9")
		}
		o := overviewOf(at(1), at(2))
		v := reflect.ValueOf(o)
		for f := range v.NumField() {
			if n, ok := v.Field(f).Interface().(Num); ok && n.V < 0 {
				t.Fatalf("%s is %v", v.Type().Field(f).Name, n.V)
			}
		}
		for _, c := range o.Causes {
			if c.Bytes.V < 0 {
				t.Fatalf("%s is %v", c.Name, c.Bytes.V)
			}
		}
	}
}

func TestOverviewOfUs(t *testing.T) {
	prev, cur := reading(0, nil), reading(1, map[string]int{"keyspace_hits": 1400, "keyspace_misses": 200})
	cur.OwnHits = 800
	if o := overviewOf(prev, cur); !same(o.HitRatio, num(0.5)) {
		t.Errorf("hit ratio %v: our own 800 lookups are in it", o.HitRatio)
	}
}

func TestCauses(t *testing.T) {
	larder := info.Parse("# Memory\nused_memory:1000\nused_memory_rss:1500\nlarder_mem_keys:100\nlarder_mem_values:600\nlarder_mem_tables:50\nlarder_mem_free:20\nmem_clients_normal:7\nused_memory_startup:30\n")
	redis := info.Parse("# Memory\nused_memory:1000\nused_memory_rss:900\nused_memory_dataset:700\nused_memory_overhead:300\nused_memory_startup:100\nmem_clients_normal:40\nmem_clients_slaves:10\nused_memory_scripts:20\n")
	for _, c := range []struct {
		in   info.Info
		want string
	}{
		{larder, "[{keys 100} {values 600} {tables 50} {clients 7} {server itself 30} {free in slabs 20} {fragmentation 480}]"},
		{redis, "[{data 700} {tables 130} {clients 50} {scripts 20} {server itself 100} {fragmentation 0}]"},
		{info.Parse(""), "[]"},
	} {
		var got []string
		for _, x := range causesOf(c.in) {
			got = append(got, fmt.Sprintf("{%s %v}", x.Name, x.Bytes.V))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("causes %v, want %s", got, c.want)
		}
	}
}

func TestAlerts(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		name  string
		prev  map[string]int
		cur   map[string]int
		more  []string
		want  string // of an alert; "" is none at all
		never string
	}{
		{name: "all well", cur: nil},
		{name: "near maxmemory", cur: map[string]int{"used_memory": 95 << 20}, want: "evictions by allkeys-lru are near"},
		{name: "eviction", cur: map[string]int{"used_memory": 100 << 20, "evicted_keys": 50}, want: "evict", never: "are near"},
		{name: "no maxmemory, plenty of memory", cur: map[string]int{"maxmemory": 0, "total_system_memory": 8 * gb}},
		{name: "no maxmemory, little memory", cur: map[string]int{"maxmemory": 0, "total_system_memory": 55 << 20}, want: "there is no maxmemory, and 90.9%"},
		{name: "fragmentation", cur: map[string]int{"used_memory": gb, "used_memory_rss": 2 * gb, "maxmemory": 0}, want: "fragmentation: the process holds 2.00G"},
		{name: "fragmentation of little", cur: map[string]int{"used_memory": 1 << 20, "used_memory_rss": 50 << 20}},
		{name: "swap", cur: map[string]int{"used_memory": 2 * gb, "used_memory_rss": gb, "maxmemory": 0}, want: "the machine swaps"},
		{name: "clients", cur: map[string]int{"connected_clients": 95}, want: "95 of 100 possible connections"},
		{name: "rejected", cur: map[string]int{"rejected_connections": 3}, want: "3 connections/s are rejected"},
		{name: "errors", cur: map[string]int{"total_commands_processed": 2000, "total_error_replies": 100}, want: "10.0% of the commands fail"},
		{name: "churn", cur: map[string]int{"total_connections_received": 700}, want: "690 new connections/s"},
		{name: "loading", more: []string{"loading:1"}, want: "loading"},
		{name: "snapshot", more: []string{"rdb_last_bgsave_status:err"}, want: "snapshot failed"},
		{name: "replication", more: []string{"master_link_status:down"}, want: "the primary is down"},
		{name: "reset", prev: map[string]int{"total_commands_processed": 1 << 30}, want: "counters began anew"},
		{name: "hostile text", more: []string{"loading:\x1b[2J"}},
	} {
		cur := reading(1, c.cur, c.more...)
		o := overviewOf(reading(0, c.prev), cur)
		h := newHistory()
		h.push(o)
		check(t, c.name, alertsOf(o, cur.Info, h), c.want, c.never)
	}
}

func check(t *testing.T, name string, alerts []Alert, want, never string) {
	t.Helper()
	if want == "" && len(alerts) > 0 {
		t.Errorf("%s: alerts %v", name, alerts)
	}
	if want != "" && !slices.ContainsFunc(alerts, func(a Alert) bool { return strings.Contains(a.Text, want) }) {
		t.Errorf("%s: no alert with %q in %v", name, want, alerts)
	}
	if never != "" && slices.ContainsFunc(alerts, func(a Alert) bool { return strings.Contains(a.Text, never) }) {
		t.Errorf("%s: alerts %v", name, alerts)
	}
}

func TestAlertsOfPolicy(t *testing.T) {
	at := func(policy string, used int, more ...string) (Overview, info.Info) {
		cur := reading(1, map[string]int{"used_memory": used}, more...)
		o := overviewOf(reading(0, nil, "# Errorstats"), cur)
		o.Policy = policy
		return o, cur.Info
	}
	o, in := at("noeviction", 100<<20)
	check(t, "noeviction, full", alertsOf(o, in, newHistory()), "writes are refused", "")
	o, in = at("noeviction", 93<<20)
	check(t, "noeviction, nearly full", alertsOf(o, in, newHistory()), "93.0% of maxmemory", "evictions by")
	o, in = at("noeviction", 50<<20, "# Errorstats", "errorstat_OOM:count=40")
	check(t, "refusals", alertsOf(o, in, newHistory()), "40 writes/s are refused", "")
	o, in = at("volatile-lru", 95<<20, "# Keyspace", "db0:keys=100,expires=10", "db3:keys=100,expires=10")
	check(t, "few keys with a TTL", alertsOf(o, in, newHistory()), "only 10.0% of the keys have a TTL", "")
	o, in = at("volatile-lru", 95<<20, "# Keyspace", "db0:keys=100,expires=90")
	check(t, "many keys with a TTL", alertsOf(o, in, newHistory()), "are near", "have a TTL")
}

// Alerts that need a history: how long evictions last, and whether the hit ratio fell.
func TestAlertsOverTime(t *testing.T) {
	h := newHistory()
	push := func(n int, o Overview) {
		for range n {
			h.push(o)
		}
	}
	evicting := Overview{Evictions: num(30), HitRatio: num(0.9), Lookups: num(500), Max: num(100)}
	push(5, Overview{Evictions: num(0), HitRatio: num(0.9), Lookups: num(500)})
	push(2, evicting)
	check(t, "just begun", alertsOf(evicting, info.Info{}, h), "eviction has started: 30 keys/s", "falling")
	push(100, evicting)
	check(t, "for a while", alertsOf(evicting, info.Info{}, h), "evicting 30 keys/s", "started")
	falling := evicting
	falling.HitRatio = num(0.7)
	push(15, falling)
	check(t, "hits fall", alertsOf(falling, info.Info{}, h), "the hit ratio is falling: 70.0%, was 90.0%", "")
	idle := falling
	idle.HitRatio, idle.Lookups = num(0.1), num(2)
	push(15, idle)
	check(t, "hardly any lookups", alertsOf(idle, info.Info{}, h), "evicting", "falling")

	h = newHistory()
	push(3, evicting)
	check(t, "evicting as long as we watch", alertsOf(evicting, info.Info{}, h), "evicting 30", "started")
}

func TestCommands(t *testing.T) {
	at := func(second, calls, usec int, more ...string) Sample {
		return reading(second, nil, append([]string{"# Commandstats", fmt.Sprintf("cmdstat_get:calls=%d,usec=%d,usec_per_call=2.00,rejected_calls=1,failed_calls=2", calls, usec)}, more...)...)
	}
	list, ok := commandsOf(at(0, 100, 200), at(2, 300, 800, "cmdstat_config|get:calls=3,usec=9", "# Latencystats", "latency_percentiles_usec_get:p50=1.003,p99=5.023,p99.9=9.0"))
	if !ok || len(list) != 2 {
		t.Fatalf("%v %v", list, ok)
	}
	c := list[0]
	if c.Name != "get" || !same(c.Calls, num(100)) || !same(c.PerCall, num(3)) || !same(c.Busy, num(0.0003)) || !same(c.Failed, num(0)) || !same(c.P99, num(5.023)) || !same(c.Total, num(300)) {
		t.Errorf("%+v", c)
	}
	if c = list[1]; c.Name != "config|get" || !same(c.Calls, num(1.5)) || c.P99.OK {
		t.Errorf("%+v", c)
	}
	if _, ok := commandsOf(reading(0, nil), reading(1, nil)); ok {
		t.Error("commands of a server without commandstats")
	}
	if list, _ := commandsOf(at(0, 100, 200), at(2, 10, 20)); list[0].Calls.OK || list[0].PerCall.OK {
		t.Errorf("rates after CONFIG RESETSTAT: %+v", list[0])
	}
}

func TestNamespacesOfServer(t *testing.T) {
	at := func(second int, lines ...string) Sample {
		return reading(second, nil, append([]string{"# Namespaces"}, lines...)...)
	}
	prev := at(0, `ns0:name="user",keys=10,bytes=1000,hits=10,misses=10,no_ttl=5,evicted_maxmemory=1,evicted_expired=2,regret=0`, `ns1:name="gone",keys=1`)
	cur := at(2, `ns0:name="a\x2cb\x1b[2J",keys=4,bytes=10,new_field=7`, `ns1:name="user",keys=20,bytes=3000,hits=40,misses=20,no_ttl=5,evicted_maxmemory=7,evicted_expired=2,regret=2,ttl_1m=5,ttl_1h=10,ttl_1d=0,ttl_7d=0,ttl_more=0`)
	list, ok := namespacesOf(prev, cur)
	if !ok || len(list) != 2 || list[0].Name != "a,b\x1b[2J" || list[0].HitRatio.OK || list[0].Reads.OK || list[0].NoTTL.OK {
		t.Fatalf("%+v %v", list, ok)
	}
	n := list[1] // it had another number before
	if n.Name != "user" || !same(n.Keys, num(20)) || !same(n.NoTTL, num(0.25)) || !same(n.HitRatio, num(2.0/3)) || !same(n.Reads, num(20)) || !same(n.Evicted, num(3)) ||
		!same(n.Regret, num(1)) || !same(n.TTL[0], num(0.25)) || !same(n.TTL[1], num(0.5)) || n.Estimate {
		t.Errorf("%+v", n)
	}
	if _, ok := namespacesOf(reading(0, nil), reading(1, nil)); ok {
		t.Error("namespaces of a server without")
	}
	if list, ok := namespacesOf(Sample{}, at(1)); !ok || len(list) != 0 {
		t.Error("a server that counts and has none")
	}
}

func TestMerge(t *testing.T) {
	a := reading(1, map[string]int{"evicted_keys": 5}, "# Memory", "used_memory_dataset:10", "mem_fragmentation_ratio:1.5", "# Commandstats", "cmdstat_get:calls=5,usec=10,usec_per_call=2.00",
		"# Keyspace", "db0:keys=5,expires=1,avg_ttl=9", "# Namespaces", `ns0:name="x\x2cy",keys=1,bytes=5`)
	b := reading(2, map[string]int{"evicted_keys": 7, "uptime_in_seconds": 3}, "# Memory", "used_memory_dataset:30", "# Commandstats", "cmdstat_get:calls=1,usec=2,usec_per_call=2.00", "cmdstat_set:calls=4,usec=4",
		"# Keyspace", "db0:keys=10,expires=2", "# Namespaces", `ns0:name="z",keys=2`, `ns1:name="x\x2cy",keys=3,bytes=6`)
	b.Info = info.Parse(strings.Replace(rewrite(b.Info), "run_id:a", "run_id:b", 1))
	down := Sample{Name: "c:1", Err: fmt.Errorf("refused")}
	sum := merge([]Sample{a, b, down})
	if sum.Err != nil || sum.Nodes != 2 {
		t.Fatalf("%+v", sum)
	}
	in := sum.Info
	for field, want := range map[string]float64{"uptime_in_seconds": 3, "used_memory_dataset": 40} {
		if v, ok := in.Float(field); !ok || v != want {
			t.Errorf("%s is %v %v, want %v", field, v, ok, want)
		}
	}
	if v, ok := in.Text("run_id"); v != "a+b" || !ok {
		t.Errorf("run_id %q", v)
	}
	if v, _ := in.Text("maxmemory_policy"); v != "allkeys-lru" {
		t.Errorf("policy %q", v)
	}
	if v, ok := in.Text("mem_fragmentation_ratio"); ok {
		t.Errorf("a ratio was added up: %s", v)
	}
	if n, _ := in.Parts("cmdstat_get").Int("calls"); n != 6 {
		t.Errorf("calls %d", n)
	}
	if keys, noTTL := keysOf(in); !same(keys, num(15)) || !same(noTTL, num(12)) {
		t.Errorf("keys %v, without TTL %v", keys, noTTL)
	}
	list, _ := namespacesOf(sum, sum)
	if len(list) != 2 || list[0].Name != "x,y" || !same(list[0].Keys, num(4)) || !same(list[0].Bytes, num(11)) {
		t.Errorf("namespaces %+v", list)
	}
	if m := merge([]Sample{down, down}); m.Err == nil {
		t.Error("nobody answered, and that is no error")
	}
	// A node that stops answering takes its counters along: a gap, not a dip.
	if o := overviewOf(sum, merge([]Sample{a, down})); o.Ops.OK || !o.Reset {
		t.Errorf("a lost node: commands/s %v, reset %v", o.Ops, o.Reset)
	}
}

// In the sum of a cluster a node that does not answer is an alert, and not a restart.
func TestLostNode(t *testing.T) {
	at := func(second int, name string) Sample {
		s := reading(second, nil)
		s.Name = name
		return s
	}
	lost := Sample{Name: "c:1", Err: fmt.Errorf("refused")}
	b := newBoard()
	b.take([]Sample{at(0, "a:1"), at(0, "c:1")})
	b.take([]Sample{at(1, "a:1"), lost})
	sum, node := b.at(0), b.at(2)
	if sum.err != nil || node.err == nil || sum.over.Ops.OK {
		t.Errorf("sum %v %+v, node %v", sum.err, sum.over, node.err)
	}
	check(t, "sum", sum.alerts, "c:1 does not answer: refused", "began anew")
	b.take([]Sample{lost, lost})
	if b.at(0).err == nil {
		t.Error("nobody answers, and the sum is fine")
	}
	b.take([]Sample{at(3, "a:1"), at(3, "b:1")}) // another node took over
	if len(b.tracks) != 3 || b.at(0).err != nil {
		t.Errorf("%v", b.Names)
	}
}

// rewrite makes text of an Info again.
func rewrite(in info.Info) string {
	var b strings.Builder
	for _, s := range in.Sections {
		b.WriteString("# " + s.Name + "\n")
		for _, f := range s.Fields {
			b.WriteString(f.Name + ":" + f.Value + "\n")
		}
	}
	return b.String()
}

func TestSeries(t *testing.T) {
	s := newSeries(5)
	for i := range 9 {
		s.push(num(float64(i)))
	}
	if p := s.last(99); len(p) != 5 || p[0].V != 4 || p[4].V != 8 {
		t.Errorf("%v", p)
	}
	if m := s.mean(4, 2); !same(m, num(5.5)) { // of 5 and 6
		t.Errorf("mean %v", m)
	}
	if m := s.mean(50, 2); m.OK {
		t.Errorf("mean of three points for 48: %v", m)
	}
	for _, c := range []struct {
		points  []Num
		ceiling Num
		want    string
	}{
		{nil, Num{}, "     "},
		{[]Num{num(0), num(0)}, Num{}, "   ▁▁"},
		{[]Num{num(0), num(4), num(8)}, Num{}, "  ▁▅█"},
		{[]Num{num(1), {}, num(1)}, Num{}, "  █ █"},
		{[]Num{num(0.5), num(1), num(2)}, num(1), "  ▅██"},
		{[]Num{num(1), num(2), num(3), num(4), num(5), num(8)}, Num{}, "▃▄▅▆█"},
	} {
		if got := sparkline(c.points, 5, c.ceiling, false); got != c.want {
			t.Errorf("sparkline of %v: %q, want %q", c.points, got, c.want)
		}
	}
	if got := sparkline([]Num{num(0), num(8)}, 3, Num{}, true); got != " _#" {
		t.Errorf("plain: %q", got)
	}
}

func TestClientsAndSlowLog(t *testing.T) {
	list := parseClients("id=3 addr=127.0.0.1:5 laddr=x name=app age=10 idle=2 db=0 tot-mem=100 omem=7 cmd=client|list user=default lib-name=go lib-ver=1.2 tot-cmds=9\n\nbroken line\n", "n")
	if len(list) != 1 || list[0].Addr != "127.0.0.1:5" || list[0].Library != "go 1.2" || !same(list[0].Memory, num(100)) || !same(list[0].ID, num(3)) || !same(list[0].Calls, num(9)) || list[0].Node != "n" {
		t.Errorf("%+v", list)
	}
	entry := func(words ...string) store.Reply {
		var w []store.Reply
		for _, x := range words {
			w = append(w, store.Bulk(x))
		}
		return store.ArrayOf(store.Int(7), store.Int(1700000000), store.Int(12345), store.ArrayOf(w...), store.Bulk("1.2.3.4:5"), store.Bulk(""))
	}
	calls, err := parseSlowLog(store.ArrayOf(entry("SET", "a b", "\x1b[2J\n", "", `q"`), entry("GET", strings.Repeat("x", 5000))))
	if err != nil || len(calls) != 2 || calls[0].Call != `SET "a b" \x1b[2J\n "" "q\""` || calls[0].Micros != 12345 || calls[0].Client != "1.2.3.4:5" || len(calls[1].Call) > 2*clippedAt {
		t.Errorf("%+v %v", calls, err)
	}
	if _, err := parseSlowLog(store.ArrayOf(store.ArrayOf(store.Int(1)))); err == nil {
		t.Error("an entry of one field")
	}
}
