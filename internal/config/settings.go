package config

import (
	"io/fs"
	"time"
)

// Settings is what the rest of the program reads of the configuration: all values of one moment, already parsed.
// It never changes; a CONFIG SET makes a new one, which Config.Settings then returns. Reading it costs one atomic load.
type Settings struct {
	// Network.
	Bind             []string
	Port             int // 0: no TCP
	TLS              TLSSettings
	UnixSocket       string      // path; empty: none
	UnixSocketPerm   fs.FileMode // 0: as the process's umask leaves it
	ProtectedMode    bool
	RequirePass      string // empty: no password
	MaxClients       int
	Timeout          int64 // seconds a client may be idle; 0: for ever
	TCPKeepalive     int64 // seconds; 0: off
	TCPBacklog       int
	ProtoMaxBulkLen  int64 // bytes
	QueryBufferLimit int64 // bytes

	// What clients track: keys, and bytes of the tables; 0: no bound.
	TrackingTableMaxKeys   int64
	TrackingTableMaxMemory int64
	OutputLimits           [numClientClasses]OutputLimit

	// The keyspace.
	Databases          int
	MaxMemory          uint64 // bytes; 0: no limit
	MaxMemoryPolicy    Policy
	MaxMemorySamples   int
	MaxMemoryTenacity  int
	MaxMemoryClients   int64 // bytes; if negative, minus the percentage of MaxMemory
	LFULogFactor       int
	LFUDecayTime       int // minutes
	Hz                 int
	ActiveExpireEffort int // 1 to 10
	ActiveDefrag       bool
	NotifyEvents       NotifyFlags
	Namespaces         Namespaces
	NamespacesMax      int
	LazyUserDel        bool
	LazyServerDel      bool // SPOP of all is journaled as UNLINK
	LazyUserFlush      bool

	// Where a collection goes from its small to its large encoding.
	HashMaxListpackEntries int
	HashMaxListpackValue   int // bytes
	ListMaxListpackSize    int // entries; if negative, -1 to -5 for 4 to 64 KiB a node
	ListCompressDepth      int
	SetMaxIntsetEntries    int
	SetMaxListpackEntries  int
	SetMaxListpackValue    int // bytes
	ZSetMaxListpackEntries int
	ZSetMaxListpackValue   int // bytes
	HLLSparseMaxBytes      int
	StreamNodeMaxBytes     int
	StreamNodeMaxEntries   int

	// Watching.
	SlowlogLogSlowerThan    int64 // microseconds; 0: everything, negative: nothing
	SlowlogMaxLen           int
	LatencyMonitorThreshold int64 // milliseconds; 0: off
	LatencyTracking         bool
	LatencyPercentiles      []float64
	LogLevel                string // debug, verbose, notice, warning, nothing
	BusyReplyThreshold      int64  // milliseconds

	// Files.
	Dir             string // absolute
	Save            []SavePoint
	AppendOnly      bool
	DBFilename      string
	RDBCompression  bool // strings of dumps and snapshots are packed
	RDBChecksum     bool
	RDBKeySaveDelay int64  // microseconds for each key of a snapshot in the background; tests set it
	LogFile         string // empty: standard error
	PidFile         string // empty: none
	ShutdownTimeout int    // seconds; 0: what is at work is not waited for

	// Replication.
	ReplicaReadOnly    bool
	ReplicaServeStale  bool
	ReplicaPriority    int
	MinReplicasToWrite int
	MinReplicasMaxLag  int // seconds
	ReplPingPeriod     time.Duration
	ReplTimeout        time.Duration

	// What is served over HTTP, and where; empty: nowhere.
	REST              string
	RESTToken         string
	RESTReadOnlyToken string
	RESTOrigins       []string
	RESTCertFile      string // PEM; empty: no TLS
	RESTKeyFile       string
	Metrics           string
	MetricsToken      string // empty: whoever reaches it
	Dashboard         string
	DashboardPassword string // empty: requirepass
	DashboardWritable bool
	DashboardCertFile string // PEM; empty: no TLS
	DashboardKeyFile  string

	// Who may.
	ACLFile                string // as given: relative to Dir; empty: none
	ACLLogMaxLen           int
	ACLAllChannels         bool // new users may use all channels
	EnableDebugCommand     Allowed
	EnableProtectedConfigs Allowed
}

// OutputLimit is the limit of one class of clients.
func (s *Settings) OutputLimit(class ClientClass) OutputLimit { return s.OutputLimits[class] }

// Policy says which keys go when memory is full.
type Policy uint8

// The policies, in the order of Redis's error text; the last four are not Redis's.
const (
	VolatileLRU Policy = iota
	VolatileLFU
	VolatileRandom
	VolatileTTL
	AllKeysLRU
	AllKeysLFU
	AllKeysRandom
	NoEviction
	VolatileS3FIFO
	VolatileTinyLFU
	AllKeysS3FIFO
	AllKeysTinyLFU
)

// Random reports whether any key may go as well as another.
func (p Policy) Random() bool { return p == VolatileRandom || p == AllKeysRandom }

// LRU reports whether keys count when they were last used.
func (p Policy) LRU() bool { return p == VolatileLRU || p == AllKeysLRU }

// LFU reports whether keys count how often, not when, they were last used.
func (p Policy) LFU() bool { return p == VolatileLFU || p == AllKeysLFU }

// Volatile reports whether only keys with a time to live may go.
func (p Policy) Volatile() bool {
	return p <= VolatileTTL || p == VolatileS3FIFO || p == VolatileTinyLFU
}

// Queued reports whether new keys wait in a queue until they are used again: S3-FIFO and W-TinyLFU.
func (p Policy) Queued() bool { return p > NoEviction }

// TinyLFU reports whether the policy is W-TinyLFU.
func (p Policy) TinyLFU() bool { return p == VolatileTinyLFU || p == AllKeysTinyLFU }

// Counts reports whether records have a counter of accesses in the place of an access time.
func (p Policy) Counts() bool { return p.LFU() || p.Queued() }

// String is the policy's name in redis.conf.
func (p Policy) String() string {
	return [...]string{"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu",
		"allkeys-random", "noeviction", "volatile-s3fifo", "volatile-wtinylfu", "allkeys-s3fifo", "allkeys-wtinylfu"}[p]
}

// Allowed says from where a dangerous command may come.
type Allowed uint8

// In the order of the directive's words.
const (
	AllowNobody Allowed = iota
	AllowEverybody
	AllowLoopback
)

// To reports whether a client may, given whether it is on this machine.
func (a Allowed) To(loopback bool) bool {
	return a == AllowEverybody || a == AllowLoopback && loopback
}

// settings gathers the parsed values. A misspelt name panics, in New already.
func (c *Config) settings(values []value) *Settings {
	at := func(name string) value { return values[c.index[name].row] }
	num := func(name string) int64 { return at(name).num }
	count := func(name string) int { return int(num(name)) }
	yes := func(name string) bool { return num(name) != 0 }
	s := &Settings{
		Port:             count("port"),
		TLS:              tlsSettings(at),
		UnixSocket:       at("unixsocket").text,
		UnixSocketPerm:   fs.FileMode(num("unixsocketperm")),
		ProtectedMode:    yes("protected-mode"),
		RequirePass:      at("requirepass").text,
		MaxClients:       count("maxclients"),
		Timeout:          num("timeout"),
		TCPKeepalive:     num("tcp-keepalive"),
		TCPBacklog:       count("tcp-backlog"),
		ProtoMaxBulkLen:  num("proto-max-bulk-len"),
		QueryBufferLimit: num("client-query-buffer-limit"),

		TrackingTableMaxKeys:   num("tracking-table-max-keys"),
		TrackingTableMaxMemory: num("tracking-table-max-memory"),

		NamespacesMax:      count("namespaces-max"),
		Databases:          count("databases"),
		MaxMemory:          uint64(num("maxmemory")),
		MaxMemoryPolicy:    Policy(num("maxmemory-policy")),
		MaxMemorySamples:   count("maxmemory-samples"),
		MaxMemoryTenacity:  count("maxmemory-eviction-tenacity"),
		MaxMemoryClients:   num("maxmemory-clients"),
		LFULogFactor:       count("lfu-log-factor"),
		LFUDecayTime:       count("lfu-decay-time"),
		Hz:                 count("hz"),
		ActiveExpireEffort: count("active-expire-effort"),
		ActiveDefrag:       yes("activedefrag"),
		NotifyEvents:       NotifyFlags(num("notify-keyspace-events")),
		LazyUserDel:        yes("lazyfree-lazy-user-del"),
		LazyServerDel:      yes("lazyfree-lazy-server-del"),
		LazyUserFlush:      yes("lazyfree-lazy-user-flush"),

		HashMaxListpackEntries: count("hash-max-listpack-entries"),
		HashMaxListpackValue:   count("hash-max-listpack-value"),
		ListMaxListpackSize:    count("list-max-listpack-size"),
		ListCompressDepth:      count("list-compress-depth"),
		SetMaxIntsetEntries:    count("set-max-intset-entries"),
		SetMaxListpackEntries:  count("set-max-listpack-entries"),
		SetMaxListpackValue:    count("set-max-listpack-value"),
		ZSetMaxListpackEntries: count("zset-max-listpack-entries"),
		ZSetMaxListpackValue:   count("zset-max-listpack-value"),
		HLLSparseMaxBytes:      count("hll-sparse-max-bytes"),
		StreamNodeMaxBytes:     count("stream-node-max-bytes"),
		StreamNodeMaxEntries:   count("stream-node-max-entries"),

		SlowlogLogSlowerThan:    num("slowlog-log-slower-than"),
		SlowlogMaxLen:           count("slowlog-max-len"),
		LatencyMonitorThreshold: num("latency-monitor-threshold"),
		LatencyTracking:         yes("latency-tracking"),
		LogLevel:                at("loglevel").text,
		BusyReplyThreshold:      num("busy-reply-threshold"),

		Dir:             at("dir").text,
		DBFilename:      at("dbfilename").text,
		AppendOnly:      yes("appendonly"),
		RDBCompression:  yes("rdbcompression"),
		RDBChecksum:     yes("rdbchecksum"),
		RDBKeySaveDelay: max(num("rdb-key-save-delay"), 0),
		LogFile:         at("logfile").text,
		PidFile:         at("pidfile").text,
		ShutdownTimeout: count("shutdown-timeout"),

		REST:              at("rest").text,
		RESTToken:         at("rest-token").text,
		RESTReadOnlyToken: at("rest-readonly-token").text,
		RESTCertFile:      at("rest-tls-cert-file").text,
		RESTKeyFile:       at("rest-tls-key-file").text,
		Metrics:           at("metrics").text,
		MetricsToken:      at("metrics-token").text,
		Dashboard:         at("dashboard").text,
		DashboardPassword: at("dashboard-password").text,
		DashboardWritable: yes("dashboard-writable"),
		DashboardCertFile: at("dashboard-tls-cert-file").text,
		DashboardKeyFile:  at("dashboard-tls-key-file").text,

		ACLFile:            at("aclfile").text,
		ACLLogMaxLen:       count("acllog-max-len"),
		ACLAllChannels:     at("acl-pubsub-default").text == "allchannels",
		ReplicaReadOnly:    yes("replica-read-only"),
		ReplicaServeStale:  yes("replica-serve-stale-data"),
		ReplicaPriority:    count("replica-priority"),
		MinReplicasToWrite: count("min-replicas-to-write"),
		MinReplicasMaxLag:  count("min-replicas-max-lag"),
		ReplPingPeriod:     time.Duration(num("repl-ping-replica-period")) * time.Second,
		ReplTimeout:        time.Duration(num("repl-timeout")) * time.Second,

		EnableDebugCommand:     Allowed(num("enable-debug-command")),
		EnableProtectedConfigs: Allowed(num("enable-protected-configs")),
	}
	s.Bind, _ = at("bind").data.([]string)
	s.RESTOrigins, _ = at("rest-origins").data.([]string)
	s.OutputLimits, _ = at("client-output-buffer-limit").data.([numClientClasses]OutputLimit)
	s.LatencyPercentiles, _ = at("latency-tracking-info-percentiles").data.([]float64)
	s.Save, _ = at("save").data.([]SavePoint)
	s.Namespaces, _ = at("namespaces").data.(Namespaces)
	return s
}
