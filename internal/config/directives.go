package config

import "math"

// A directive is one row of the table below: a fact sheet, no behaviour of its own.
type directive struct {
	name  string
	alias string // an older name, which CONFIG GET and SET know as well
	flags flags
	def   string // as it would stand in a configuration file
	kind  kind
}

type flags uint16

const (
	immutable   flags = 1 << iota // at start only, never by CONFIG SET
	fixed                         // at start only, but CONFIG SET of what it is succeeds: who sets all that CONFIG GET shows knows Redis's immutable directives only
	sensitive                     // never shown in slow log, MONITOR or logs
	protected                     // by CONFIG SET only where enable-protected-configs allows it
	multiArg                      // takes several arguments
	hidden                        // CONFIG GET answers the exact name only
	volatile                      // names something outside: setting it again takes effect even if it reads the same
	denyLoading                   // not while a data set is being loaded
	inert                         // taken for compatibility: there is nothing in Larder that it could steer
)

const (
	maxInt   = math.MaxInt32 // Redis's C types, whose limits its errors quote
	minInt   = math.MinInt32
	maxUint  = math.MaxUint32
	maxLong  = math.MaxInt64
	maxULong = math.MaxUint64
)

// directives lists every directive that CONFIG GET answers in Redis 7.2 and Valkey 8.0. Defaults are Valkey's, with three exceptions:
// bind is loopback, save is off (a store inside a program writes no files unasked), and dir is where the process is.
func directives() []directive {
	return concat(network(), general(), memoryLimits(), dataStructures(), persistence(), replication(), security(), encryption(),
		overHTTP(), cluster(), system())
}

func concat(groups ...[]directive) (all []directive) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

func network() []directive {
	return []directive{
		{"bind", "", multiArg, "127.0.0.1 -::1", addresses{}},
		{"bind-source-addr", "", 0, "", text{}},
		{"port", "", 0, "6379", integer{0, 65535}},
		{"protected-mode", "", 0, "yes", boolean{}},
		{"tcp-backlog", "", immutable, "511", integer{0, maxInt}},
		{"tcp-keepalive", "", 0, "300", integer{0, maxInt}},
		{"timeout", "", 0, "0", integer{0, maxInt}},
		{"unixsocket", "", immutable, "", text{}},
		{"unixsocketgroup", "", immutable, "", text{}},
		{"unixsocketperm", "", immutable, "0", octal{0, 0o777}},
		{"socket-mark-id", "", immutable | inert, "0", integer{0, maxUint}},
		{"maxclients", "", 0, "10000", integer{1, maxUint}},
		{"client-output-buffer-limit", "", multiArg, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", outputLimits{}},
		{"client-query-buffer-limit", "", 0, "1gb", memory{1 << 20, maxLong}},
		{"proto-max-bulk-len", "", 0, "512mb", memory{1 << 20, maxLong}},
		{"tracking-table-max-keys", "", 0, "1000000", integer{0, maxLong}},
		{"tracking-table-max-memory", "", 0, "256mb", memory{0, maxLong}}, // of Larder alone
	}
}

func general() []directive {
	return []directive{
		{"databases", "", immutable, "16", integer{1, maxInt}},
		{"hz", "", 0, "10", clamped{integer{0, maxInt}, 1, 500}},
		{"dynamic-hz", "", 0, "yes", boolean{}},
		{"active-expire-effort", "", 0, "1", integer{1, 10}},
		{"loglevel", "", 0, "notice", enum{"debug", "verbose", "notice", "warning", "nothing"}},
		{"logfile", "", immutable, "", text{}},
		{"pidfile", "", immutable, "", text{}},
		{"dir", "", protected | denyLoading, ".", directory{}},
		{"shutdown-timeout", "", 0, "10", integer{0, maxInt}},
		{"shutdown-on-sigint", "", multiArg, "default", shutdownFlags()},
		{"shutdown-on-sigterm", "", multiArg, "default", shutdownFlags()},
		{"busy-reply-threshold", "lua-time-limit", 0, "5000", integer{0, maxLong}}, // milliseconds
		{"slowlog-log-slower-than", "", 0, "10000", integer{-1, maxLong}},          // microseconds
		{"slowlog-max-len", "", 0, "128", integer{0, maxLong}},
		{"latency-monitor-threshold", "", 0, "0", integer{0, maxLong}}, // milliseconds
		{"latency-tracking", "", 0, "yes", boolean{}},
		{"latency-tracking-info-percentiles", "", multiArg, "50 99 99.9", percentiles{}},
		{"notify-keyspace-events", "", 0, "", notifyClasses{}},
		{"namespaces", "", multiArg | volatile, "depth 1", namespaces{}}, // of Larder alone, as is the next
		{"namespaces-max", "", 0, "256", integer{1, 4096}},
		{"propagation-error-behavior", "", 0, "ignore", enum{"ignore", "panic", "panic-on-replicas"}},
	}
}

func shutdownFlags() kind {
	return checked{enumSet{"default", "save", "nosave", "now", "force"}, eitherSave}
}

func memoryLimits() []directive {
	return []directive{
		{"maxmemory", "", 0, "0", memory{0, maxULong}},
		{"maxmemory-policy", "", 0, "noeviction", enumBeyond{enum{"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
			"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
			"volatile-s3fifo", "volatile-wtinylfu", "allkeys-s3fifo", "allkeys-wtinylfu"}, 8}},
		{"maxmemory-samples", "", 0, "5", integer{1, 64}},
		{"maxmemory-eviction-tenacity", "", 0, "10", integer{0, 100}},
		{"maxmemory-clients", "", 0, "0", memoryOrPercent{}},
		{"lfu-log-factor", "", 0, "10", integer{0, maxInt}},
		{"lfu-decay-time", "", 0, "1", integer{0, maxInt}}, // minutes
		{"lazyfree-lazy-eviction", "", inert, "yes", boolean{}},
		{"lazyfree-lazy-expire", "", inert, "yes", boolean{}},
		{"lazyfree-lazy-server-del", "", 0, "yes", boolean{}},
		{"lazyfree-lazy-user-del", "", 0, "yes", boolean{}},
		{"lazyfree-lazy-user-flush", "", 0, "yes", boolean{}},
		{"activedefrag", "", 0, "no", boolean{}},
		{"active-defrag-cycle-min", "", 0, "1", integer{1, 99}},
		{"active-defrag-cycle-max", "", 0, "25", integer{1, 99}},
		{"active-defrag-ignore-bytes", "", 0, "100mb", memory{1, maxLong}},
		{"active-defrag-max-scan-fields", "", 0, "1000", integer{1, maxLong}},
		{"active-defrag-threshold-lower", "", 0, "10", integer{0, 1000}},
		{"active-defrag-threshold-upper", "", 0, "100", integer{0, 1000}},
		{"activerehashing", "", inert, "yes", boolean{}},
		{"jemalloc-bg-thread", "", inert, "yes", boolean{}},
	}
}

func dataStructures() []directive {
	return []directive{
		{"hash-max-listpack-entries", "hash-max-ziplist-entries", 0, "512", integer{0, maxLong}},
		{"hash-max-listpack-value", "hash-max-ziplist-value", 0, "64", memory{0, maxLong}},
		{"list-max-listpack-size", "list-max-ziplist-size", 0, "-2", integer{minInt, maxInt}},
		{"list-compress-depth", "", 0, "0", integer{0, maxInt}},
		{"set-max-intset-entries", "", 0, "512", integer{0, maxLong}},
		{"set-max-listpack-entries", "", 0, "128", integer{0, maxLong}},
		{"set-max-listpack-value", "", 0, "64", integer{0, maxLong}},
		{"zset-max-listpack-entries", "zset-max-ziplist-entries", 0, "128", integer{0, maxLong}},
		{"zset-max-listpack-value", "zset-max-ziplist-value", 0, "64", memory{0, maxLong}},
		{"hll-sparse-max-bytes", "", 0, "3000", memory{0, maxLong}},
		{"stream-node-max-bytes", "", 0, "4096", memory{0, maxLong}},
		{"stream-node-max-entries", "", 0, "100", integer{0, maxLong}},
		{"sanitize-dump-payload", "", 0, "no", enum{"no", "yes", "clients"}},
	}
}

func persistence() []directive {
	return []directive{
		{"save", "", multiArg, `""`, savePoints{}},
		{"dbfilename", "", protected, "dump.rdb", text{fileName("dbfilename", "filename")}},
		{"rdbcompression", "", 0, "yes", boolean{}},
		{"rdbchecksum", "", immutable, "yes", boolean{}},
		{"rdb-del-sync-files", "", 0, "no", boolean{}},
		{"rdb-save-incremental-fsync", "", 0, "yes", boolean{}},
		{"rdb-key-save-delay", "", hidden, "0", integer{minInt, maxInt}},
		{"key-load-delay", "", hidden, "0", integer{minInt, maxInt}},
		{"loading-process-events-interval-bytes", "", hidden, "2mb", memory{1024, maxInt}},
		{"stop-writes-on-bgsave-error", "", 0, "yes", boolean{}},
		{"appendonly", "", denyLoading, "no", boolean{}},
		{"appendfilename", "", immutable, "appendonly.aof", text{fileName("appendfilename", "filename")}},
		{"appenddirname", "", immutable, "appendonlydir", text{fileName("appenddirname", "dirname")}},
		{"appendfsync", "", 0, "everysec", enum{"everysec", "always", "no"}},
		{"no-appendfsync-on-rewrite", "", 0, "no", boolean{}},
		{"auto-aof-rewrite-percentage", "", 0, "100", integer{0, maxInt}},
		{"auto-aof-rewrite-min-size", "", 0, "64mb", memory{0, maxLong}},
		{"aof-load-truncated", "", 0, "yes", boolean{}},
		{"aof-use-rdb-preamble", "", 0, "yes", boolean{}},
		{"aof-timestamp-enabled", "", 0, "no", boolean{}},
		{"aof-rewrite-incremental-fsync", "", 0, "yes", boolean{}},
		{"aof-disable-auto-gc", "", hidden, "no", boolean{}},
	}
}

func replication() []directive {
	return []directive{
		{"replicaof", "slaveof", immutable | multiArg, "", primary{}},
		{"primaryauth", "masterauth", sensitive, "", text{}},
		{"primaryuser", "masteruser", sensitive, "", text{}},
		{"replica-announce-ip", "slave-announce-ip", 0, "", text{}},
		{"replica-announce-port", "slave-announce-port", 0, "0", integer{0, 65535}},
		{"replica-announced", "", 0, "yes", boolean{}},
		{"replica-ignore-disk-write-errors", "", 0, "no", boolean{}},
		{"replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, "yes", boolean{}},
		{"replica-lazy-flush", "slave-lazy-flush", 0, "yes", boolean{}},
		{"replica-priority", "slave-priority", 0, "100", integer{0, maxInt}},
		{"replica-read-only", "slave-read-only", 0, "yes", boolean{}},
		{"replica-serve-stale-data", "slave-serve-stale-data", 0, "yes", boolean{}},
		{"repl-backlog-size", "", 0, "10mb", clamped{memory{1, maxLong}, 16 << 10, maxLong}},
		{"repl-backlog-ttl", "", 0, "3600", integer{0, maxLong}}, // seconds
		{"repl-disable-tcp-nodelay", "", 0, "no", boolean{}},
		{"dual-channel-replication-enabled", "", inert, "no", boolean{}},
		{"repl-diskless-load", "", denyLoading, "disabled", enum{"disabled", "on-empty-db", "swapdb"}},
		{"repl-diskless-sync", "", 0, "yes", boolean{}},
		{"repl-diskless-sync-delay", "", 0, "5", integer{0, maxInt}}, // seconds
		{"repl-diskless-sync-max-replicas", "", 0, "0", integer{0, maxInt}},
		{"repl-ping-replica-period", "repl-ping-slave-period", 0, "10", integer{1, maxInt}}, // seconds
		{"repl-timeout", "", 0, "60", integer{1, maxInt}},                                   // seconds
		{"min-replicas-max-lag", "min-slaves-max-lag", 0, "10", integer{0, maxInt}},         // seconds
		{"min-replicas-to-write", "min-slaves-to-write", 0, "0", integer{0, maxInt}},
	}
}

func security() []directive {
	allowed := enum{"no", "yes", "local"}
	return []directive{
		{"requirepass", "", sensitive, "", text{}},
		{"aclfile", "", immutable, "", text{}},
		{"acllog-max-len", "", 0, "128", integer{0, maxLong}},
		{"acl-pubsub-default", "", 0, "resetchannels", enum{"allchannels", "resetchannels"}},
		{"enable-protected-configs", "", immutable, "no", allowed},
		{"enable-debug-command", "", immutable, "no", allowed},
		{"enable-module-command", "", immutable | inert, "no", allowed},
	}
}

func encryption() []directive {
	return []directive{
		{"tls-port", "", 0, "0", integer{0, 65535}},
		{"tls-cert-file", "", volatile, "", text{}},
		{"tls-key-file", "", volatile, "", text{}},
		{"tls-key-file-pass", "", sensitive, "", text{}},
		{"tls-client-cert-file", "", volatile, "", text{}},
		{"tls-client-key-file", "", volatile, "", text{}},
		{"tls-client-key-file-pass", "", sensitive, "", text{}},
		{"tls-ca-cert-file", "", volatile, "", text{}},
		{"tls-ca-cert-dir", "", volatile, "", text{}},
		{"tls-dh-params-file", "", volatile | inert, "", text{}},
		{"tls-auth-clients", "", 0, "yes", enum{"no", "yes", "optional"}},
		{"tls-protocols", "", 0, "", text{}},
		{"tls-ciphers", "", 0, "", text{}},
		{"tls-ciphersuites", "", 0, "", text{}},
		{"tls-prefer-server-ciphers", "", inert, "no", boolean{}},
		{"tls-session-caching", "", 0, "yes", boolean{}},
		{"tls-session-cache-size", "", inert, "20480", integer{0, maxInt}},
		{"tls-session-cache-timeout", "", inert, "300", integer{0, maxInt}},
		{"tls-cluster", "", inert, "no", boolean{}},
		{"tls-replication", "", 0, "no", boolean{}},
	}
}

// overHTTP is of Larder alone.
func overHTTP() []directive {
	return []directive{
		{"rest", "", fixed, "", text{hostPort}},
		{"rest-token", "", fixed | sensitive | hidden, "", text{}},
		{"rest-readonly-token", "", fixed | sensitive | hidden, "", text{}},
		{"rest-origins", "", fixed | multiArg, "", words{}},
		{"rest-tls-cert-file", "", fixed, "", text{}},
		{"rest-tls-key-file", "", fixed, "", text{}},
		{"metrics", "", fixed, "", text{hostPort}},
		{"metrics-token", "", fixed | sensitive | hidden, "", text{}},
		{"dashboard", "", fixed, "", text{hostPort}},
		{"dashboard-password", "", fixed | sensitive | hidden, "", text{}},
		{"dashboard-writable", "", fixed, "no", boolean{}},
		{"dashboard-tls-cert-file", "", fixed, "", text{}},
		{"dashboard-tls-key-file", "", fixed, "", text{}},
	}
}

// cluster is all for other people's tools: past one machine Larder uses a Redis or Valkey Cluster.
func cluster() []directive {
	return []directive{
		{"cluster-enabled", "", immutable, "no", boolean{}},
		{"cluster-config-file", "", immutable | inert, "nodes.conf", text{notEmpty("cluster-config-file")}},
		{"cluster-node-timeout", "", inert, "15000", integer{0, maxLong}}, // milliseconds
		{"cluster-port", "", immutable | inert, "0", integer{0, 65535}},
		{"cluster-announce-ip", "", inert, "", text{}},
		{"cluster-announce-hostname", "", inert, "", text{hostName}},
		{"cluster-announce-human-nodename", "", inert, "", text{nodeName}},
		{"cluster-announce-client-ipv4", "", inert, "", text{ipv4}},
		{"cluster-announce-client-ipv6", "", inert, "", text{ipv6}},
		{"cluster-announce-port", "", inert, "0", integer{0, 65535}},
		{"cluster-announce-bus-port", "", inert, "0", integer{0, 65535}},
		{"cluster-announce-tls-port", "", inert, "0", integer{0, 65535}},
		{"cluster-preferred-endpoint-type", "", inert, "ip", enum{"ip", "hostname", "unknown-endpoint"}},
		{"cluster-require-full-coverage", "", inert, "yes", boolean{}},
		{"cluster-replica-no-failover", "cluster-slave-no-failover", inert, "no", boolean{}},
		{"cluster-replica-validity-factor", "cluster-slave-validity-factor", inert, "10", integer{0, maxInt}},
		{"cluster-migration-barrier", "", inert, "1", integer{0, maxInt}},
		{"cluster-allow-replica-migration", "", inert, "yes", boolean{}},
		{"cluster-allow-reads-when-down", "", inert, "no", boolean{}},
		{"cluster-allow-pubsubshard-when-down", "", inert, "yes", boolean{}},
		{"cluster-link-sendbuf-limit", "", inert, "0", memory{0, maxULong}},
		{"cluster-blacklist-ttl", "", inert, "60", integer{0, maxLong}}, // seconds
		{"cluster-slot-stats-enabled", "", inert, "no", boolean{}},
		{"cluster-ping-interval", "", hidden | inert, "0", integer{0, maxLong}},
	}
}

// system is what a Go program leaves to the service manager, the kernel or the runtime.
func system() []directive {
	return []directive{
		{"daemonize", "", immutable | inert, "no", boolean{}},
		{"supervised", "", immutable | inert, "no", enum{"upstart", "systemd", "auto", "no"}},
		{"io-threads", "", immutable | inert, "1", integer{1, 128}},
		{"io-threads-do-reads", "", immutable | inert, "yes", boolean{}},
		{"events-per-io-thread", "", inert, "2", integer{0, maxInt}},
		{"prefetch-batch-max-size", "", inert, "16", integer{0, 128}},
		{"max-new-connections-per-cycle", "", inert, "10", integer{1, 1000}},
		{"max-new-tls-connections-per-cycle", "", inert, "1", integer{1, 1000}},
		{"always-show-logo", "", immutable | inert, "no", boolean{}},
		{"set-proc-title", "", immutable | inert, "yes", boolean{}},
		{"proc-title-template", "", inert, `"{title} {listen-addr} {server-mode}"`, text{titleTemplate}},
		{"syslog-enabled", "", immutable | inert, "no", boolean{}},
		{"syslog-ident", "", immutable | inert, "redis", text{}},
		{"syslog-facility", "", immutable | inert, "local0", enum{"user", "local0", "local1", "local2", "local3", "local4",
			"local5", "local6", "local7"}},
		{"hide-user-data-from-log", "", inert, "yes", boolean{}},
		{"crash-log-enabled", "", inert, "yes", boolean{}},
		{"crash-memcheck-enabled", "", inert, "yes", boolean{}},
		{"use-exit-on-panic", "", hidden | inert, "no", boolean{}},
		{"enable-debug-assert", "", immutable | hidden | inert, "no", boolean{}},
		{"watchdog-period", "", hidden | inert, "0", integer{0, maxInt}},
		{"ignore-warnings", "", inert, "", text{}},
		{"disable-thp", "", immutable | inert, "yes", boolean{}},
		{"oom-score-adj", "", inert, "no", enum{"no", "yes=relative", "absolute"}},
		{"oom-score-adj-values", "", multiArg | inert, "0 200 800", oomScores{}},
		{"server-cpulist", "server_cpulist", immutable | inert, "", text{}},
		{"bio-cpulist", "bio_cpulist", immutable | inert, "", text{}},
		{"aof-rewrite-cpulist", "aof_rewrite_cpulist", immutable | inert, "", text{}},
		{"bgsave-cpulist", "bgsave_cpulist", immutable | inert, "", text{}},
		{"locale-collate", "", inert, "", text{}},
		{"availability-zone", "", 0, "", text{}},
		{"extended-redis-compatibility", "", inert, "no", boolean{}},
		{"debug-context", "", hidden | inert, "", text{}},
	}
}
