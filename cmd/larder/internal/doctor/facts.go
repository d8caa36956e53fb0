package doctor

import (
	"time"

	"github.com/larderdb/larder/internal/info"
)

// Facts are what checks look at. What could not be read is absent and has its reason in Missing; checks are not run on it.
type Facts struct {
	Target  TargetFacts
	Servers []*Server
	Keys    *Keyspace
	Host    *Host // nil unless the server runs on this machine
}

// TargetFacts are what the address says.
type TargetFacts struct {
	TLS         bool
	Local       bool // a loopback address or a socket
	Credentials bool // a password was sent
	Cluster     bool // all primaries are looked at
	InProcess   bool
	Database    int
}

// Server is one primary, as it was before the scan.
type Server struct {
	Name   string
	Info   info.Info
	Window info.Change // what happened during the scan; the zero Change if it could not be read again

	Config  map[string]string
	Cluster info.Info // CLUSTER INFO, whose lines are like INFO's
	Users   []User
	Slow    []SlowEntry // newest first
	Events  []LatencyEvent
	Clients *Clients
	Now     time.Time // the server's clock

	Missing map[source]error // why a source has nothing

	failure   error // of INFO
	reachable bool
}

// source is where facts come from: a command, in the words of a message to the user.
type source string

const (
	fromInfo    source = "INFO"
	fromConfig  source = "CONFIG GET"
	fromUsers   source = "ACL LIST"
	fromSlowlog source = "SLOWLOG GET"
	fromLatency source = "LATENCY LATEST"
	fromClients source = "CLIENT LIST"
	fromCluster source = "CLUSTER INFO"
	fromScan    source = "SCAN"
	fromUsage   source = "MEMORY USAGE"
	fromTTL     source = "PTTL"
	fromType    source = "TYPE"
	fromFreq    source = "OBJECT FREQ"
	fromIdle    source = "OBJECT IDLETIME"
	fromValues  source = "reading values"
	fromHost    source = "this machine"
)

// User is what ACL LIST says of one.
type User struct {
	Name        string
	On, NoPass  bool
	AllCommands bool // +@all
	AllKeys     bool
	Dangerous   bool // some category of administrators without being AllCommands
}

// SlowEntry is one of SLOWLOG: without arguments other than the first key, as they are data.
type SlowEntry struct {
	At      time.Time
	Took    time.Duration
	Command string
	Key     string
}

// LatencyEvent is one line of LATENCY LATEST.
type LatencyEvent struct {
	Name        string
	At          time.Time
	Latest, Max time.Duration
}

// Clients are the figures of CLIENT LIST.
type Clients struct {
	Count    int
	Idle     int // for an hour or more, subscribers, replicas and blocked ones not counted
	Monitors int
	Output   int64 // bytes of the largest output buffer
	OutputOf string
	Buffers  int64 // bytes of all output buffers
}

// Host is how the server's machine is set up.
type Host struct {
	Overcommit string // vm.overcommit_memory; empty if unknown
	HugePages  string // never, madvise or always; empty if unknown
}

// Software is what the server is: its name and version.
func (s *Server) Software() (name, version string) {
	for _, f := range []struct{ field, name string }{{"larder_version", "Larder"}, {"valkey_version", "Valkey"}, {"redis_version", "Redis"}} {
		if v, ok := s.Info.Text(f.field); ok {
			return f.name, v
		}
	}
	return "server", ""
}

// setting is a directive's value, from CONFIG GET.
func (s *Server) setting(name string) string { return s.Config[name] }

// count is a field of INFO that checks have asked for, so it is there; 0 otherwise.
func (s *Server) count(field string) int64 {
	n, _ := s.Info.Int(field)
	return n
}

func (s *Server) number(field string) float64 {
	f, _ := s.Info.Float(field)
	return f
}

func (s *Server) text(field string) string {
	v, _ := s.Info.Text(field)
	return v
}

// Call is a command's line in commandstats.
type Call struct {
	Calls int64
	Usec  int64
}

// calls is what commandstats says of commands, together. Subcommands are written as config|get.
func (s *Server) calls(names ...string) (sum Call) {
	for _, name := range names {
		parts := s.Info.Parts("cmdstat_" + name)
		calls, _ := parts.Int("calls")
		usec, _ := parts.Int("usec")
		sum.Calls += calls
		sum.Usec += usec
	}
	return sum
}

// busy is the time spent in all commands, in microseconds.
func (s *Server) busy() (usec int64) {
	for _, f := range s.Info.Section("commandstats").Fields {
		n, _ := f.Parts().Int("usec")
		usec += n
	}
	return usec
}

// keyspace sums the databases' lines of INFO: keys, and how many of them have a TTL.
func (s *Server) keyspace() (keys, expires int64) {
	for _, f := range s.Info.Section("keyspace").Fields {
		parts := f.Parts()
		k, _ := parts.Int("keys")
		e, _ := parts.Int("expires")
		keys, expires = keys+k, expires+e
	}
	return keys, expires
}

func (s *Server) uptime() time.Duration {
	return time.Duration(s.count("uptime_in_seconds")) * time.Second
}

// policyKind splits maxmemory_policy into what it evicts: "noeviction", "volatile" or "allkeys".
func (s *Server) policyKind() string {
	policy := s.text("maxmemory_policy")
	for _, kind := range []string{"volatile", "allkeys"} {
		if len(policy) > len(kind) && policy[:len(kind)] == kind {
			return kind
		}
	}
	return policy
}

// keepsData reports whether the server writes its data to disk.
func (s *Server) keepsData() (rdb, aof bool) {
	return s.setting("save") != "", s.setting("appendonly") == "yes"
}
