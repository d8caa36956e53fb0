package command

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/repl"
	"github.com/larderdb/larder/internal/script"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/stream"
	"github.com/larderdb/larder/internal/types/zset"
	"github.com/larderdb/larder/internal/vfs"
	"github.com/larderdb/larder/store"
)

// Processor runs commands for all sessions. Its methods are safe for concurrent use.
type Processor struct {
	// Immutable.
	Engine *engine.Engine
	Config *config.Config
	Table  *Table
	Info   Info
	clock  clock.Clock
	start  time.Time

	rows struct{ get, set, evalSHA *Command } // of calls that name no command

	users     *acl.Users
	superuser *acl.Account // of embedded sessions, whom no rule binds
	files     vfs.FS
	denied    denials

	scripts    scripts
	coroutines coroutines // for commands that may take long
	stats      stats
	standing   standing
	watch      watchpoints
	slowlog    slowlog
	latency    latencyEvents
	monitors   monitors
	paths      jsonPaths
	pause      pause

	blocked atomic.Int64 // sessions that wait

	feed    *repl.Feed
	feeding sync.Mutex // held while the feed begins or ceases to be the engine's journal
	acks    ackWaits

	mu       sync.Mutex // guards sessions
	sessions map[*Session]struct{}

	saves saves
	debug debugSwitches
}

// Info is what INFO says of the program around the processor. Funcs may be nil.
type Info struct {
	Version  string
	RunID    string
	Port     int
	File     string              // configuration file
	Binary   string              // the program's file
	Network  func() NetworkStats // the server's counters
	Memory   func() (rss, heap, peak int64)
	Shutdown func()                       // SHUTDOWN; nil: refused
	Log      func(level int, text string) // what scripts log, from 0 (debug) to 3 (warning)
	Files    vfs.FS                       // nil: the machine's
}

// NetworkStats are a server's counters.
type NetworkStats struct {
	Accepted, Refused   int64
	BytesIn, BytesOut   int64
	Reads, Writes       int64 // calls that moved bytes
	OutputLimitKilled   int64 // clients closed for client-output-buffer-limit
	QueryLimitKilled    int64
	Connected           int
	InputBuf, OutputBuf int64 // bytes held for clients
}

// NewProcessor returns a processor over an engine and a configuration.
func NewProcessor(e *engine.Engine, cfg *config.Config, info Info) *Processor {
	p := &Processor{
		Engine: e, Config: cfg, Table: NewTable(), Info: info,
		clock: e.Clock(), start: e.Clock().Now(),
		sessions: make(map[*Session]struct{}), feed: repl.NewFeed(),
	}
	p.scripts.lua = script.New(script.Options{
		Clock: p.clock.Monotonic, Random: e.Random, ServerName: "larder",
		Version: Version, VersionNum: versionNumber(Version), ValkeyVersion: valkeyVersion, ValkeyVersionNum: versionNumber(valkeyVersion),
	})
	p.users, p.files = acl.NewUsers(p.Table.catalog()), info.Files
	if p.files == nil {
		p.files = vfs.OS()
	}
	p.superuser = p.users.Superuser()
	p.stats.init(len(p.Table.all))
	p.rows.get, p.rows.set, p.rows.evalSHA = p.Table.byName["get"], p.Table.byName["set"], p.Table.byName["evalsha"]
	p.followConfig()
	p.followUsers()
	p.followStanding()
	return p
}

// followConfig keeps the engine's limits in step with CONFIG SET.
func (p *Processor) followConfig() {
	apply := func(s *config.Settings) error {
		p.Engine.SetLimits(engineLimits(s))
		return nil
	}
	_ = apply(p.Config.Settings())
	p.watch.set(p.Config.Settings())
	p.Config.OnChange(func(s *config.Settings) error {
		p.watch.set(s)
		return nil
	}, "slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold", "latency-tracking")
	count := func(s *config.Settings) error {
		n := s.Namespaces
		p.Engine.SetNaming(engine.Naming{Depth: n.Depth, Separator: n.Separator, Patterns: n.Patterns, Max: s.NamespacesMax})
		return nil
	}
	_ = count(p.Config.Settings())
	p.Engine.Recount() // there are no keys yet: all shards begin with it
	p.Config.OnChange(count, "namespaces", "namespaces-max")
	p.Config.OnChange(apply, "maxmemory", "maxmemory-policy", "maxmemory-samples", "lfu-log-factor", "lfu-decay-time",
		"hash-max-listpack-entries", "hash-max-listpack-value", "list-max-listpack-size", "set-max-intset-entries",
		"set-max-listpack-entries", "set-max-listpack-value", "zset-max-listpack-entries", "zset-max-listpack-value",
		"stream-node-max-bytes", "stream-node-max-entries",
		"notify-keyspace-events", "tracking-table-max-keys", "tracking-table-max-memory")
}

// Register makes two-body scripts known, so that EVAL and EVALSHA of their Lua
// text run their Go bodies. A script registers itself on its first Run.
func (p *Processor) Register(list ...*store.Script) {
	for _, s := range list {
		p.scripts.add(s)
	}
}

// eachSession visits the sessions with a connection, oldest first.
func (p *Processor) eachSession(fn func(s *Session)) {
	p.mu.Lock()
	list := make([]*Session, 0, len(p.sessions))
	for s := range p.sessions {
		if !s.killed.Load() {
			list = append(list, s)
		}
	}
	p.mu.Unlock()
	sortSessions(list)
	for _, s := range list {
		fn(s)
	}
}

// session is the session of a connection, by its number; nil where there is none.
func (p *Processor) session(id int64) (found *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// engineLimits are the settings that the engine goes by.
func engineLimits(s *config.Settings) *engine.Limits {
	return &engine.Limits{
		Hash: hash.Limits{Entries: s.HashMaxListpackEntries, Value: s.HashMaxListpackValue},
		List: list.Limits{MaxListpackSize: s.ListMaxListpackSize},
		Set:  set.Limits{Ints: s.SetMaxIntsetEntries, Entries: s.SetMaxListpackEntries, Value: s.SetMaxListpackValue},
		ZSet: zset.Limits{Entries: s.ZSetMaxListpackEntries, Value: s.ZSetMaxListpackValue},

		Stream: stream.Limits{NodeBytes: s.StreamNodeMaxBytes, NodeEntries: s.StreamNodeMaxEntries},

		MaxMemory: int64(s.MaxMemory), Policy: s.MaxMemoryPolicy, Samples: min(s.MaxMemorySamples, maxSamples),
		LFULog: s.LFULogFactor, LFUDecay: s.LFUDecayTime,

		Notify: s.NotifyEvents, TrackedKeys: s.TrackingTableMaxKeys, TrackedBytes: s.TrackingTableMaxMemory,
	}
}

// maxSamples bounds what one eviction looks at under a shard's lock: more than a few dozen gain nothing.
const maxSamples = 64
