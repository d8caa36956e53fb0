package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/larderdb/larder/internal/info"
)

// at is the clock of the servers in these tests.
var testTime = time.Unix(1_800_000_000, 0)

// told makes a server out of what INFO and CONFIG GET answer: name:value lines, and name=value words.
func told(infoText, config string) *Server {
	s := &Server{
		Name: "one:1", Info: info.Parse(infoText), Missing: map[source]error{}, Config: map[string]string{}, Clients: &Clients{}, Now: testTime, reachable: true,
	}
	for word := range strings.FieldsSeq(config) {
		name, value, _ := strings.Cut(word, "=")
		s.Config[name] = value
	}
	return s
}

// on makes facts of servers.
func on(servers ...*Server) *Facts {
	return &Facts{Servers: servers, Keys: newKeyspace(":"), Target: TargetFacts{Local: true, Credentials: true}, Host: &Host{}}
}

// with is told and on, with a change to both.
func with(infoText, config string, change func(*Facts)) *Facts {
	f := on(told(infoText, config))
	if change != nil {
		change(f)
	}
	return f
}

// seen puts keys into a keyspace as the scan does.
func seen(fill func(add func(k key))) *Facts {
	f := on(told("maxmemory:100\nmaxmemory_policy:allkeys-lru", ""))
	ks := f.Keys
	fill(func(k key) {
		k.space = ks.space(spaceOf(k.name, ":", 1))
		ks.add(&k, ":", 0)
	})
	ks.Keys, ks.examined = ks.Seen, ks.Seen
	return f
}

// strings makes n strings of a namespace; readings are what was found in the first of them.
func stringsOf(n int, name string, bytes int64, ttl time.Duration, f form) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			add(key{name: fmt.Sprintf("%s:%d", name, i), bytes: bytes, ttl: ttl + jitter(i, ttl)})
		}
	}).reading(name, aString, 20, func(ns *Namespace) { ns.forms[f] = 20 })
}

func jitter(i int, ttl time.Duration) time.Duration {
	if ttl < 0 {
		return 0
	}
	return time.Duration(i%1000) * time.Minute
}

func (f *Facts) reading(name string, k kind, n int64, change func(*Namespace)) *Facts {
	ns := f.Keys.space(name)
	ns.read[k] = n
	change(ns)
	return f
}

// bigKey is a keyspace of one key.
func bigKey(k key) *Facts {
	return seen(func(add func(k key)) { add(k) }).long(k)
}

func (f *Facts) long(k key) *Facts {
	f.Keys.Long.add(k.elements, &k)
	return f
}

const (
	hour = time.Hour
	gib  = 1 << 30
)

// Every row is a side of a threshold: what is found, the gravest first, nothing for all is well.
var checkCases = []struct {
	check string
	facts *Facts
	want  string
}{
	{"no-password", with("redis_version:7.0.15", "protected-mode=no", func(f *Facts) { f.Target.Credentials = false }), "critical"},
	{"no-password", with("redis_version:7.0.15", "protected-mode=no bind=127.0.0.1", func(f *Facts) { f.Target.Credentials = false }), "warning"},
	{"no-password", with("redis_version:7.0.15", "protected-mode=yes bind=*", func(f *Facts) { f.Target.Credentials = false }), "notice"},
	{"no-password", with("redis_version:7.0.15", "protected-mode=no", nil), ""},
	{"no-password", with("redis_version:7.0.15", "protected-mode=no", func(f *Facts) { f.Servers[0].Users = []User{{Name: "default", On: true, NoPass: true}} }), "critical"},
	{"no-password", with("redis_version:7.0.15", "protected-mode=no", func(f *Facts) { f.Servers[0].Users = []User{{Name: "default", NoPass: true}} }), ""},
	{"open-users", with("", "", func(f *Facts) {
		f.Servers[0].Users = []User{{Name: "a", On: true, NoPass: true}, {Name: "b", On: true, AllCommands: true, AllKeys: true}, {Name: "c", On: true, Dangerous: true}, {Name: "d", On: true}, {Name: "e", NoPass: true}}
	}), "critical notice notice"},
	{"plain-text", with("", "", func(f *Facts) { f.Target.Local = false }), "notice"},
	{"plain-text", with("", "", func(f *Facts) { f.Target.Local, f.Target.TLS = false, true }), ""},
	{"plain-text", with("", "", nil), ""},
	{"unsafe-directives", with("", "protected-mode=yes enable-debug-command=yes enable-module-command=local", nil), "warning"},
	{"unsafe-directives", with("", "protected-mode=yes enable-debug-command=no", nil), ""},
	{"old-version", with("redis_version:5.0.14", "", nil), "warning"},
	{"old-version", with("redis_version:6.2.14", "", nil), "notice"},
	{"old-version", with("redis_version:7.0.15", "", nil), ""},
	{"old-version", with("redis_version:7.2.4\nvalkey_version:8.0.1", "", nil), ""},
	{"old-version", with("redis_version:255.255.255", "", nil), ""},

	{"unreachable", with("", "", func(f *Facts) { f.Servers[0].reachable, f.Servers[0].failure = false, errors.New("no route to host") }), "critical"},
	{"unreachable", with("", "", nil), ""},
	{"persistence-failing", with("# Persistence\nrdb_last_bgsave_status:err", "", nil), "critical"},
	{"persistence-failing", with("# Persistence\nrdb_last_bgsave_status:ok\naof_enabled:0\naof_last_write_status:err", "", nil), ""},
	{"persistence-failing", with("# Persistence\nrdb_last_bgsave_status:ok\naof_enabled:1\naof_last_write_status:err", "", nil), "critical"},
	{"no-persistence", with("# Keyspace\ndb0:keys=1000,expires=0", "save=", nil), "notice"},
	{"no-persistence", with("# Keyspace\ndb0:keys=999,expires=0", "save=", nil), ""},
	{"no-persistence", with("# Keyspace\ndb0:keys=100000,expires=0", "save=", nil), "warning"},
	{"no-persistence", with("# Keyspace\ndb0:keys=100000,expires=0", "save= appendonly=yes", nil), ""},
	{"no-persistence", with("# Keyspace\ndb0:keys=100000,expires=95000", "save=", nil), ""},
	{"no-persistence", with("connected_slaves:1\n# Keyspace\ndb0:keys=100000,expires=0", "save=", nil), ""},
	{"slow-fork", with("latest_fork_usec:99999", "", nil), ""},
	{"slow-fork", with("latest_fork_usec:100000", "", nil), "notice"},
	{"slow-fork", with("latest_fork_usec:1000000", "", nil), "warning"},
	{"replication", with("# Replication\nrole:slave\nmaster_link_status:down", "", nil), "critical"},
	{"replication", with("# Replication\nrole:slave\nmaster_link_status:up", "", nil), ""},
	{"replication", with("# Replication\nrole:master\nslave0:ip=10.0.0.1,port=1,state=online,offset=1000,lag=1\nmaster_repl_offset:2000", "", nil), ""},
	{"replication", with("# Replication\nrole:master\nslave0:ip=10.0.0.1,port=1,state=online,offset=1000,lag=1\nmaster_repl_offset:1049576", "", nil), "notice"},
	{"replication", with("# Replication\nrole:master\nslave0:ip=10.0.0.1,port=1,state=online,offset=1000,lag=1\nmaster_repl_offset:17000000", "", nil), "warning"},
	{"replication", with("# Replication\nrole:master\nslave0:ip=10.0.0.1,port=1,state=online,offset=1000,lag=9\nslave1:ip=10.0.0.2,port=1,state=online,offset=1000,lag=30\nslave2:ip=10.0.0.3,port=1,state=send_bulk,offset=0,lag=0\nmaster_repl_offset:1000", "", nil), "warning warning"},
	{"cluster-state", with("", "", func(f *Facts) {
		f.Servers[0].Cluster = info.Parse("cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:0\r\n")
	}), ""},
	{"cluster-state", with("", "", func(f *Facts) {
		f.Servers[0].Cluster = info.Parse("cluster_state:ok\r\ncluster_slots_assigned:16383\r\ncluster_slots_fail:0\r\n")
	}), "critical"},
	{"cluster-balance", on(told("used_memory:300000000", ""), told("used_memory:100000000", "")), "notice"},
	{"cluster-balance", on(told("used_memory:290000000", ""), told("used_memory:110000000", "")), ""},
	{"cluster-balance", on(told("used_memory:900000000", ""), told("used_memory:1000000", ""), told("used_memory:1000000", "")), "warning"},
	{"kernel", with("", "save=3600", func(f *Facts) { f.Host = &Host{Overcommit: "0", HugePages: "always"} }), "notice notice"},
	{"kernel", with("", "save=3600", func(f *Facts) { f.Host = &Host{Overcommit: "1", HugePages: "madvise"} }), ""},
	{"kernel", with("", "save=", func(f *Facts) { f.Host = &Host{Overcommit: "0"} }), ""},

	{"maxmemory", with("maxmemory:0\nused_memory:79\ntotal_system_memory:100", "", nil), "warning"},
	{"maxmemory", with("maxmemory:0\nused_memory:80\ntotal_system_memory:100", "", nil), "critical"},
	{"maxmemory", with("maxmemory:0\nused_memory:80", "", nil), "warning"},
	{"maxmemory", with("maxmemory:89\ntotal_system_memory:100", "", nil), ""},
	{"maxmemory", with("maxmemory:90\ntotal_system_memory:100", "", nil), "warning"},
	{"maxmemory", with("maxmemory:100\ntotal_system_memory:100", "", nil), "critical"},
	{"fork-headroom", with("maxmemory:64\ntotal_system_memory:100", "save=3600", nil), ""},
	{"fork-headroom", with("maxmemory:65\ntotal_system_memory:100", "save=3600", nil), "notice"},
	{"fork-headroom", with("maxmemory:80\ntotal_system_memory:100", "save= appendonly=yes", nil), "warning"},
	{"fork-headroom", with("maxmemory:80\ntotal_system_memory:100", "save=", nil), ""},
	{"memory-full", with("maxmemory:1000\nused_memory:749\nmaxmemory_policy:noeviction", "", nil), ""},
	{"memory-full", with("maxmemory:1000\nused_memory:750\nmaxmemory_policy:noeviction", "", nil), "notice"},
	{"memory-full", with("maxmemory:1000\nused_memory:850\nmaxmemory_policy:noeviction", "", nil), "warning"},
	{"memory-full", with("maxmemory:1000\nused_memory:950\nmaxmemory_policy:noeviction", "", nil), "critical"},
	{"memory-full", with("maxmemory:1000\nused_memory:950\nmaxmemory_policy:volatile-lru", "", nil), "notice"},
	{"memory-full", with("maxmemory:1000\nused_memory:999\nmaxmemory_policy:allkeys-lru", "", nil), ""},
	{"cache-noeviction", with("maxmemory:1\nmaxmemory_policy:noeviction\n# Keyspace\ndb0:keys=1000,expires=500", "", nil), "warning"},
	{"cache-noeviction", with("maxmemory:1\nmaxmemory_policy:noeviction\n# Keyspace\ndb0:keys=1000,expires=499", "", nil), ""},
	{"cache-noeviction", with("maxmemory:1\nmaxmemory_policy:allkeys-lru\n# Keyspace\ndb0:keys=1000,expires=900", "", nil), ""},
	{"volatile-without-ttl", with("maxmemory:1\nmaxmemory_policy:volatile-lru\n# Keyspace\ndb0:keys=1000,expires=0", "", nil), "critical"},
	{"volatile-without-ttl", with("maxmemory:1\nmaxmemory_policy:volatile-lru\n# Keyspace\ndb0:keys=500,expires=100\ndb1:keys=500,expires=99", "", nil), "warning"},
	{"volatile-without-ttl", with("maxmemory:1\nmaxmemory_policy:volatile-lru\n# Keyspace\ndb0:keys=1000,expires=200", "", nil), ""},
	{"mixed-use", with("maxmemory:1\nmaxmemory_policy:allkeys-lru\n# Keyspace\ndb0:keys=1000,expires=899", "save=", nil), "notice"},
	{"mixed-use", with("maxmemory:1\nmaxmemory_policy:allkeys-lru\n# Keyspace\ndb0:keys=1000,expires=899", "save=3600", nil), "warning"},
	{"mixed-use", with("maxmemory:1\nmaxmemory_policy:allkeys-lru\n# Keyspace\ndb0:keys=1000,expires=901", "save=3600", nil), ""},
	{"mixed-use", with("maxmemory:1\nmaxmemory_policy:allkeys-lru\n# Keyspace\ndb0:keys=1000,expires=99", "save=3600", nil), ""},
	{"evictions", with("evicted_keys:9999\nuptime_in_seconds:86400\n# Keyspace\ndb0:keys=10000,expires=0", "", nil), ""},
	{"evictions", with("evicted_keys:10000\nuptime_in_seconds:86400\n# Keyspace\ndb0:keys=10000,expires=0", "", nil), "notice"},
	{"evictions", with("evicted_keys:240000\nuptime_in_seconds:86400\n# Keyspace\ndb0:keys=10000,expires=0", "", nil), "warning"},
	{"regret", with("# Namespaces\nns0:name=\"a\\x1b\",keys=1,evicted_maxmemory=20001,regret=1000\nns1:name=\"b\",evicted_maxmemory=10,regret=9", "", nil), ""},
	{"regret", with("# Namespaces\nns0:name=\"a\\x1b\",keys=1,evicted_maxmemory=20000,regret=1000\nns1:name=\"b\",evicted_maxmemory=4000,regret=1000", "", nil), "warning notice"},
	{"swapping", with("used_memory:1073741824\nused_memory_rss:1073741824", "", nil), ""},
	{"swapping", with("used_memory:1073741824\nused_memory_rss:900000000", "", nil), "warning"},
	{"swapping", with("used_memory:1073741824\nused_memory_rss:500000000", "", nil), "critical"},
	{"fragmentation", with("mem_fragmentation_ratio:1.49\nused_memory:1073741824\nused_memory_rss:1600000000", "", nil), ""},
	{"fragmentation", with("mem_fragmentation_ratio:1.50\nused_memory:1073741824\nused_memory_rss:1610612736", "", nil), "notice"},
	{"fragmentation", with("mem_fragmentation_ratio:2.00\nused_memory:1073741824\nused_memory_rss:2147483648", "", nil), "warning"},
	{"fragmentation", with("mem_fragmentation_ratio:20.00\nused_memory:1000000\nused_memory_rss:20000000", "", nil), ""},
	{"hit-ratio", with("keyspace_hits:8001\nkeyspace_misses:1999", "", nil), ""},
	{"hit-ratio", with("keyspace_hits:8000\nkeyspace_misses:2000", "", nil), "notice"},
	{"hit-ratio", with("keyspace_hits:5000\nkeyspace_misses:5000", "", nil), "warning"},
	{"hit-ratio", with("keyspace_hits:0\nkeyspace_misses:9999", "", nil), ""},
	{"hit-ratio", with("keyspace_hits:12000\nkeyspace_misses:2000\n# Commandstats\ncmdstat_type:calls=2000,usec=1\ncmdstat_object|idletime:calls=2000,usec=1", "", nil), "notice"},
	{"expired-present", with("expired_stale_perc:9.99\n# Keyspace\ndb0:keys=1000,expires=1000", "", nil), ""},
	{"expired-present", with("expired_stale_perc:10.00\n# Keyspace\ndb0:keys=1000,expires=1000", "", nil), "notice"},
	{"expired-present", with("expired_stale_perc:25.00\n# Keyspace\ndb0:keys=1000,expires=1000", "", nil), "warning"},

	{"missing-ttl", stringsOf(1000, "a", 100, -1, formPlain), "notice"},
	{"missing-ttl", stringsOf(999, "a", 100, -1, formPlain), ""},
	{"missing-ttl", stringsOf(5000, "a", 100, hour, formPlain), ""},
	{"missing-ttl", mixedTTL(5000, 1000), "warning"},
	{"missing-ttl", mixedTTL(5000, 999), ""},
	{"expiry-herd", steady(20_000, 10*time.Second, 0), ""}, // limiters of ten seconds, of a minute
	{"expiry-herd", steady(20_000, time.Minute, 0), ""},
	{"expiry-herd", steady(20_000, time.Minute, 15_000), "warning"},
	{"expiry-herd", seen(func(add func(k key)) { // of thousands of years, see questions
		for i := range 2000 {
			add(key{name: fmt.Sprintf("a:%d", i), bytes: 200, ttl: ttlMost * time.Millisecond})
		}
	}), ""},
	{"expiry-herd", herd(10_000, 999), ""},
	{"expiry-herd", herd(10_000, 1000), "notice"},
	{"expiry-herd", herd(10_000, 3000), "warning"},
	{"expiry-herd", herd(100, 100), ""},
	{"cold-data", cold(299), ""},
	{"cold-data", cold(300), "notice"},
	{"cold-data", cold(800), "warning"},
	{"big-keys", bigKey(key{name: "k", bytes: 512<<10 - 1, elements: -1}), ""},
	{"big-keys", bigKey(key{name: "k", bytes: 512 << 10, elements: -1}), "notice"},
	{"big-keys", bigKey(key{name: "k", bytes: 5 << 20, elements: -1}), "warning"},
	{"big-keys", bigKey(key{name: "k", bytes: 100 << 20, elements: -1}), "critical"},
	{"big-keys", bigKey(key{name: "k", kind: aSet, bytes: 1<<20 - 1, elements: -1}), ""},
	{"big-keys", bigKey(key{name: "k", kind: aSet, bytes: 1 << 20, elements: -1}), "notice"},
	{"big-keys", bigKey(key{name: "k", kind: aZSet, bytes: 10 << 20, elements: 7}), "warning"},
	{"big-keys", bigKey(key{name: "k", kind: aModule, bytes: 256 << 20, elements: -1}), "critical"},
	{"long-keys", bigKey(key{name: "k", kind: aList, elements: 19_999}), ""},
	{"long-keys", bigKey(key{name: "k", kind: aList, elements: 20_000}), "notice"},
	{"long-keys", bigKey(key{name: "k", kind: aStream, elements: 500_000}), "warning"},
	{"long-keys", bigKey(key{name: "k", kind: aZSet, elements: 10_000_000}), "critical"},
	{"long-keys", bigKey(key{name: "k", kind: aHash, elements: 100_000}), ""}, // the next check's
	{"hash-as-namespace", bigKey(key{name: "k", kind: aHash, elements: 99_999}), ""},
	{"hash-as-namespace", bigKey(key{name: "k", kind: aHash, elements: 100_000, fields: []string{"a\x1b", "b"}}), "notice"},
	{"hash-as-namespace", bigKey(key{name: "k", kind: aHash, elements: 1_000_000}), "warning"},
	{"hot-keys", bigKey(key{name: "k", freq: 64}), ""},
	{"hot-keys", bigKey(key{name: "k", freq: 65}), "notice"},
	{"hot-keys", bigKey(key{name: "k", freq: 250}), "warning"},
	{"hot-keys", bigKey(key{name: "k", freq: -1}), ""},
	{"json-strings", stringsOf(100, "a", 300, hour, formFlat), "notice"},
	{"json-strings", stringsOf(99, "a", 300, hour, formFlat), ""},
	{"json-strings", stringsOf(10_000, "a", 300, hour, formFlat), "warning"},
	{"json-strings", stringsOf(10_000, "a", 300, hour, formNested), ""},
	{"json-strings", stringsOf(10_000, "a", 300, -1, formNested), "notice"},
	{"json-strings", stringsOf(10_000, "a", 300, hour, formPlain), ""},
	{"serialized-lists", stringsOf(100, "a", 300, hour, formList), "notice"},
	{"serialized-lists", stringsOf(100, "a", 300, hour, formFlat), ""},
	{"serialized-objects", stringsOf(100, "a", 300, hour, formObject), "warning"},
	{"serialized-objects", stringsOf(100, "a", 300, hour, formObject).reading("a", aString, 26, func(*Namespace) {}), ""}, // 20 of 26
	{"single-element", singles(100, 16), "notice"},
	{"single-element", singles(100, 15), ""},
	{"single-element", singles(99, 20), ""},
	{"tiny-keys", fieldsOf(250, 4), "notice"},
	{"tiny-keys", fieldsOf(249, 4), ""},
	{"tiny-keys", fieldsOf(25_000, 4), "warning"},
	{"tiny-keys", fieldsOf(100, 33), ""},
	{"tiny-keys", stringsOf(10_000, "n", 72, -1, formPlain), "notice"},
	{"tiny-keys", stringsOf(9_999, "n", 72, -1, formPlain), ""},
	{"tiny-keys", stringsOf(10_000, "n", 129, -1, formPlain), ""},
	{"tiny-keys", stringsOf(10_000, "n", 72, hour, formPlain), ""},
	{"key-names", stringsOf(1000, "n"+strings.Repeat("x", 94), 200, hour, formPlain), ""},
	{"key-names", stringsOf(1000, "n"+strings.Repeat("x", 96), 200, hour, formPlain), "notice"},
	{"key-names", stringsOf(1000, "n"+strings.Repeat("x", 250), 200, hour, formPlain), "warning"},
	{"key-names", plainNames(1000, 499), ""},
	{"key-names", plainNames(1000, 500), "notice"},

	{"keys-command", with("# Commandstats\ncmdstat_keys:calls=9,usec=9", "", nil), ""},
	{"keys-command", with("# Commandstats\ncmdstat_keys:calls=10,usec=9", "", nil), "notice"},
	{"keys-command", with("# Commandstats\ncmdstat_keys:calls=1,usec=50000", "", nil), "warning"},
	{"keys-command", with("# Commandstats\ncmdstat_keys:calls=1,usec=1000000", "", nil), "critical"},
	{"whole-reads", with("# Commandstats\ncmdstat_smembers:calls=1000,usec=499000\ncmdstat_get:calls=1,usec=100000000", "", nil), ""},
	{"whole-reads", with("# Commandstats\ncmdstat_smembers:calls=1000,usec=500000\ncmdstat_get:calls=1,usec=100000000", "", nil), "notice"},
	{"whole-reads", with("# Commandstats\ncmdstat_hgetall:calls=1000,usec=5000000\ncmdstat_smembers:calls=999,usec=5000000", "", nil), "warning"},
	{"whole-reads", with("# Commandstats\ncmdstat_hgetall:calls=1000000,usec=1000000", "", nil), ""},
	{"list-scans", with("# Commandstats\ncmdstat_lindex:calls=1000,usec=200000\ncmdstat_get:calls=1,usec=100000000", "", nil), "notice"},
	{"list-scans", with("# Commandstats\ncmdstat_lindex:calls=1000,usec=19000", "", nil), ""},
	{"list-scans", with("# Commandstats\ncmdstat_lrange:calls=1000,usec=30000\ncmdstat_get:calls=1,usec=70000", "", nil), "warning"},
	{"polled-queues", with("# Commandstats\ncmdstat_lpop:calls=10000,usec=1\ncmdstat_rpush:calls=3333,usec=1", "", nil), "notice"},
	{"polled-queues", with("# Commandstats\ncmdstat_lpop:calls=10000,usec=1\ncmdstat_rpush:calls=3334,usec=1", "", nil), ""},
	{"polled-queues", with("# Commandstats\ncmdstat_lpop:calls=9999,usec=1\ncmdstat_rpush:calls=1,usec=1", "", nil), ""},
	{"polled-queues", with("# Commandstats\ncmdstat_zrangebyscore:calls=20000,usec=1\ncmdstat_zrem:calls=1000,usec=1", "", nil), "warning"},
	{"scripts", with("# Commandstats\ncmdstat_eval:calls=1000,usec=1\ncmdstat_evalsha:calls=4000,usec=1", "", nil), "notice"},
	{"scripts", with("# Commandstats\ncmdstat_eval:calls=1000,usec=1\ncmdstat_evalsha:calls=4001,usec=1", "", nil), ""},
	{"scripts", with("number_of_cached_scripts:499\n# Commandstats", "", nil), ""},
	{"scripts", with("number_of_cached_scripts:500\n# Commandstats", "", nil), "notice"},
	{"scripts", with("number_of_cached_scripts:5000\n# Commandstats", "", nil), "warning"},
	{"no-pipelining", with("total_reads_processed:1000000\ntotal_commands_processed:1499999\nuptime_in_seconds:100", "", nil), "notice"},
	{"no-pipelining", with("total_reads_processed:1000000\ntotal_commands_processed:1500000\nuptime_in_seconds:100", "", nil), ""},
	{"no-pipelining", with("total_reads_processed:1000000\ntotal_commands_processed:1000000\nuptime_in_seconds:100000", "", nil), ""},
	{"no-pipelining", with("total_reads_processed:1000000\ntotal_commands_processed:1000000\nuptime_in_seconds:100000\ninstantaneous_ops_per_sec:20000", "", nil), "warning"},

	{"rejected-connections", with("rejected_connections:0", "", nil), ""},
	{"rejected-connections", with("rejected_connections:1", "", nil), "warning"},
	{"rejected-connections", with("rejected_connections:1", "", func(f *Facts) {
		f.Servers[0].Window = info.Between(f.Servers[0].Info, info.Parse("rejected_connections:2"), time.Second)
	}), "critical"},
	{"maxclients", with("connected_clients:59\nmaxclients:100", "", nil), ""},
	{"maxclients", with("connected_clients:60\nmaxclients:100", "", nil), "notice"},
	{"maxclients", with("connected_clients:80", "maxclients=100", nil), "warning"},
	{"maxclients", with("connected_clients:95\nmaxclients:100", "", nil), "critical"},
	{"connection-churn", with("total_connections_received:5999\nuptime_in_seconds:6000\ntotal_commands_processed:6000", "", nil), ""},
	{"connection-churn", with("total_connections_received:6000\nuptime_in_seconds:6000\ntotal_commands_processed:6000", "", nil), "notice"},
	{"connection-churn", with("total_connections_received:120000\nuptime_in_seconds:6000\ntotal_commands_processed:6000", "", nil), "warning"},
	{"connection-churn", with("total_connections_received:120000\nuptime_in_seconds:6000\ntotal_commands_processed:12000000", "", nil), ""},
	{"idle-clients", with("", "timeout=0", func(f *Facts) { f.Servers[0].Clients = &Clients{Count: 100, Idle: 50} }), "notice"},
	{"idle-clients", with("", "timeout=0", func(f *Facts) { f.Servers[0].Clients = &Clients{Count: 100, Idle: 49} }), ""},
	{"idle-clients", with("", "timeout=300", func(f *Facts) { f.Servers[0].Clients = &Clients{Count: 100, Idle: 90} }), ""},
	{"blocked-clients", with("blocked_clients:100\nconnected_clients:125", "", nil), "notice"},
	{"blocked-clients", with("blocked_clients:99\nconnected_clients:99", "", nil), ""},
	{"blocked-clients", with("blocked_clients:100\nconnected_clients:126", "", nil), ""},
	{"output-buffers", with("", "", func(f *Facts) { f.Servers[0].Clients.Output = 1<<20 - 1 }), ""},
	{"output-buffers", with("", "", func(f *Facts) { f.Servers[0].Clients.Output = 1 << 20 }), "notice"},
	{"output-buffers", with("", "", func(f *Facts) { f.Servers[0].Clients.Output = 100 << 20 }), "critical"},
	{"output-buffers", with("mem_clients_normal:20000000\nused_memory:200000000", "", nil), "notice"},
	{"output-buffers", with("mem_clients_normal:20000000\nused_memory:200000001", "", nil), ""},
	{"monitor", with("", "", func(f *Facts) { f.Servers[0].Clients.Monitors = 1 }), "warning"},
	{"monitor", with("", "", nil), ""},

	{"slow-commands", slowlog(SlowEntry{testTime, 20 * time.Millisecond, "GET", "k"}, SlowEntry{testTime, 30 * time.Millisecond, "GET", "k"}), "notice"},
	{"slow-commands", slowlog(SlowEntry{testTime, 100 * time.Millisecond, "GET", "k"}), "warning"},
	{"slow-commands", slowlog(SlowEntry{testTime, time.Second, "KEYS", ""}, SlowEntry{testTime, time.Millisecond, "DEL", "k"}), "critical notice"},
	{"slow-commands", slowlog(SlowEntry{testTime.Add(-slowWindow - 1), time.Second, "KEYS", ""}), ""},
	{"slow-commands", slowlog(SlowEntry{testTime, 50 * time.Microsecond, "SET", "k"}), ""}, // slowlog-log-slower-than is 0
	{"slowlog-off", with("", "slowlog-log-slower-than=-1", nil), "notice"},
	{"slowlog-off", with("", "slowlog-log-slower-than=10000 slowlog-max-len=0", nil), "notice"},
	{"slowlog-off", with("", "slowlog-log-slower-than=10000 slowlog-max-len=128", nil), ""},
	{"latency-percentiles", percentile("get", 1000, "999.9"), ""},
	{"latency-percentiles", percentile("get", 1000, "1000"), "notice"},
	{"latency-percentiles", percentile("get", 1000, "10000"), "warning"},
	{"latency-percentiles", percentile("get", 1000, "100000"), "critical"},
	{"latency-percentiles", percentile("get", 999, "100000"), ""},
	{"latency-percentiles", percentile("blpop", 1000, "100000"), ""},
	{"latency-events", events(LatencyEvent{"fork", testTime, time.Millisecond, 49 * time.Millisecond}), ""},
	{"latency-events", events(LatencyEvent{"fork", testTime, time.Millisecond, 50 * time.Millisecond}), "notice"},
	{"latency-events", events(LatencyEvent{"fork", testTime, time.Millisecond, 250 * time.Millisecond}), "warning"},
	{"latency-events", events(LatencyEvent{"fork", testTime, time.Millisecond, 2 * time.Second}), "critical"},
	{"latency-events", events(LatencyEvent{"fork", testTime.Add(-slowWindow - 1), time.Millisecond, 2 * time.Second}), ""},
}

func mixedTTL(n, without int) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			k := key{name: fmt.Sprintf("a:%d", i), bytes: 200, ttl: hour + jitter(i, 0)}
			if i < without {
				k.ttl = -1
			}
			add(k)
		}
	})
}

func herd(n, together int) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			k := key{name: fmt.Sprintf("a:%d", i), bytes: 200, ttl: hour + time.Duration(i)*time.Minute}
			if i < together {
				k.ttl = time.Minute
			}
			add(k)
		}
	})
}

// cold is 1000 MiB of which some were not used.
// steady makes n keys that are written all the time with a TTL, and some that were written at once an hour ago.
func steady(n int, ttl time.Duration, together int) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			add(key{name: fmt.Sprintf("limit:%d", i), bytes: 200, ttl: ttl * time.Duration(i) / time.Duration(n)})
		}
		for i := range together {
			add(key{name: fmt.Sprintf("page:%d", i), bytes: 200, ttl: time.Hour})
		}
	})
}

func cold(mib int) *Facts {
	return seen(func(add func(k key)) {
		for i := range 1000 {
			k := key{name: fmt.Sprintf("a:%d", i), bytes: 1 << 20, ttl: hour}
			if i < mib {
				k.idle = coldAfter
			}
			add(k)
		}
	})
}

func singles(n int, single int64) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			add(key{name: fmt.Sprintf("s:%d", i), kind: aSet, bytes: 200, ttl: hour})
		}
	}).reading("s", aSet, 20, func(ns *Namespace) { ns.single[aSet] = single })
}

// fieldsOf is objects spread over a key for each field.
func fieldsOf(objects, fields int) *Facts {
	return seen(func(add func(k key)) {
		for i := range objects {
			for j := range fields {
				add(key{name: fmt.Sprintf("user:%d:%c%c", i, 'g'+j%20, 'g'+j/20), bytes: 72, ttl: -1})
			}
		}
	})
}

func plainNames(n, plain int) *Facts {
	return seen(func(add func(k key)) {
		for i := range n {
			k := key{name: fmt.Sprintf("a:%d", i), bytes: 200, ttl: hour}
			if i < plain {
				k.name = fmt.Sprintf("plain%d", i)
			}
			add(k)
		}
	})
}

func slowlog(entries ...SlowEntry) *Facts {
	return with("", "", func(f *Facts) { f.Servers[0].Slow = entries })
}

func events(e ...LatencyEvent) *Facts {
	return with("", "", func(f *Facts) { f.Servers[0].Events = e })
}

func percentile(command string, calls int, p99 string) *Facts {
	return with(fmt.Sprintf("# Commandstats\ncmdstat_%s:calls=%d,usec=1\n# Latencystats\nlatency_percentiles_usec_%s:p50=1.0,p99=%s,p99.9=%s", command, calls, command, p99, p99), "", nil)
}

func TestChecks(t *testing.T) {
	found, quiet := map[string]bool{}, map[string]bool{}
	for i, tc := range checkCases {
		c, ok := find(tc.check)
		if !ok {
			t.Fatal("no check ", tc.check)
		}
		findings, skipped, made := c.make(tc.facts)
		if !made || len(skipped) > 0 {
			t.Errorf("%d %s: not made, %v", i, tc.check, skipped)
		}
		slices.SortStableFunc(findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
		var got []string
		for _, f := range findings {
			got = append(got, f.Severity.String())
			if f.Figure == "" || f.Why == "" || f.Do == "" || f.Title == "" || f.Check != tc.check {
				t.Errorf("%d %s says too little: %+v", i, tc.check, f)
			}
			for _, text := range []string{f.Subject, f.Figure, f.Why, f.Do} {
				if strings.ContainsFunc(text, unicode.IsControl) {
					t.Errorf("%d %s: control characters in %q", i, tc.check, text)
				}
				if strings.Contains(text, "%!") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
					t.Errorf("%d %s: badly formatted: %q", i, tc.check, text)
				}
			}
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%d %s: found %q, want %q: %+v", i, tc.check, s, tc.want, findings)
		}
		if tc.want == "" {
			quiet[tc.check] = true
		} else {
			found[tc.check] = true
		}
	}
	for _, c := range checks {
		if !found[c.id] || !quiet[c.id] && c.id != "open-users" {
			t.Errorf("%s: a side of its threshold is not tested", c.id)
		}
	}
}

func TestCheckTable(t *testing.T) {
	known := map[string]bool{}
	for _, c := range checks {
		if known[c.id] || c.title == "" || (c.server == nil) == (c.whole == nil) {
			t.Errorf("row %s is twice there, or incomplete", c.id)
		}
		known[c.id] = true
		// Without any facts a check that needs some says what is missing, and none panics.
		f := on(told("", ""))
		for _, from := range []source{fromConfig, fromUsers, fromSlowlog, fromLatency, fromClients, fromCluster} {
			f.Servers[0].Missing[from] = errors.New("NOPERM no")
		}
		f.Keys.Missing[fromScan], f.Host, f.Servers[0].Clients = errors.New("NOPERM no"), nil, nil
		_, skipped, made := c.make(f)
		if c.id == "regret" {
			if made || len(skipped) > 0 {
				t.Error("regret is Larder's own")
			}
			continue
		}
		if made != (len(c.needs) == 0) || len(skipped) != min(1, len(c.needs)) {
			t.Errorf("%s without facts: made %v, %v", c.id, made, skipped)
		}
	}
}
