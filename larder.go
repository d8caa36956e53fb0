package larder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/server"
	"github.com/larderdb/larder/store"
)

// Version is the version of Larder.
const Version = "0.1.0"

// Options configure an embedded store. The zero value is a store without a
// bound on memory, which is right for tests and for little data.
type Options struct {
	// MaxMemory bounds the bytes that keys and values take; 0 is no bound. At the
	// bound Policy decides what goes.
	MaxMemory int64

	// Policy is a maxmemory-policy of redis.conf: noeviction (the default: writes fail with
	// store.ErrOutOfMemory), allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-random or
	// volatile-ttl; or one of Larder's, which scans of many keys do not hurt: allkeys-s3fifo, allkeys-wtinylfu,
	// volatile-s3fifo, volatile-wtinylfu. The volatile ones take keys with a TTL only. It can be changed at run time:
	// db.Do(ctx, "CONFIG", "SET", "maxmemory-policy", p). docs/eviction.md says which to take.
	Policy string

	// Password is what clients of Serve and Dial must send with AUTH; empty: none.
	// Without one Serve refuses clients of other machines, as Redis's protected mode does.
	Password string

	// Dir, if set, is a folder in which the store keeps a snapshot of itself, dump.rdb, which Redis reads, too. Open loads it,
	// and Close writes it, as do the save points: after an hour if anything has changed, after 5 minutes if 100 changes
	// were made, after one if 10,000; Settings["save"] says otherwise. While a snapshot is made no call is answered, some 100 ms
	// for a million keys. What changed after the last one is lost with a crash. Two stores must not share a folder.
	Dir string

	// Settings are further directives of redis.conf by name, such as "maxclients"
	// or "hash-max-listpack-entries".
	Settings map[string]string

	// Scripts are known to clients of Serve and Dial from the start, so that other
	// processes may run the same patterns against this store. A script that Run meets is known from then on.
	Scripts []*store.Script

	// OnShutdown is called when a client sends SHUTDOWN, from a goroutine of its own; it should end the program.
	// Without it SHUTDOWN is refused.
	OnShutdown func()

	// Logger gets one line per event; nil: nothing is logged.
	Logger *slog.Logger

	// Config, if set, is used in place of MaxMemory, Policy, Password and Settings;
	// it is how cmd/larder passes what files and flags say.
	Config *config.Config

	// Clock, if set, is where time comes from, for tests of this module.
	Clock clock.Clock
}

// DB is an embedded store. It is a [store.Store], and all its methods are safe for concurrent use.
type DB struct {
	engine *engine.Engine
	proc   *command.Processor
	config *config.Config
	server *server.Server
	clock  clock.Clock
	log    *slog.Logger

	calls  sync.Pool // of *call
	closed atomic.Bool
	stop   chan struct{}
	wg     sync.WaitGroup
	peak   atomic.Int64 // bytes
	subs   listeners
}

var (
	_ store.Store  = (*DB)(nil)
	_ store.Getter = (*DB)(nil)
	_ store.Setter = (*DB)(nil)
)

// Open starts an embedded store. It is empty, but for what Options.Dir holds. Close gives its memory back.
func Open(o Options) (*DB, error) {
	cfg := o.Config
	if cfg == nil {
		cfg = config.New()
		if err := o.apply(cfg); err != nil {
			return nil, err
		}
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{config: cfg, clock: o.Clock, log: log, stop: make(chan struct{})}
	if db.clock == nil {
		db.clock = clock.System()
	}
	db.engine = engine.New(engine.Options{Clock: db.clock, Databases: cfg.Settings().Databases})
	db.proc = command.NewProcessor(db.engine, cfg, db.info(o.OnShutdown))
	if err := db.proc.LoadUsers(); err != nil {
		db.engine.Close()
		return nil, fmt.Errorf("larder: users: %w", err)
	}
	if err := db.load(o.Dir); err != nil {
		db.engine.Close()
		return nil, fmt.Errorf("larder: %w", err)
	}
	db.proc.Register(o.Scripts...)
	db.calls.New = func() any { return &call{session: db.proc.NewSession(nil)} }
	db.serveClients()
	db.proc.FollowConfigured()
	db.wg.Add(1)
	go db.tick()
	return db, nil
}

// apply tells a configuration what the options say.
func (o Options) apply(cfg *config.Config) error {
	pairs := make([]config.Pair, 0, len(o.Settings)+3)
	if o.MaxMemory < 0 {
		return fmt.Errorf("larder: MaxMemory is %d: %w", o.MaxMemory, store.ErrInvalid)
	}
	if o.MaxMemory > 0 {
		pairs = append(pairs, config.Pair{Name: "maxmemory", Value: strconv.FormatInt(o.MaxMemory, 10)})
	}
	if o.Policy != "" {
		pairs = append(pairs, config.Pair{Name: "maxmemory-policy", Value: o.Policy})
	}
	if o.Password != "" {
		pairs = append(pairs, config.Pair{Name: "requirepass", Value: o.Password})
	}
	if o.Dir != "" {
		pairs = append(pairs, config.Pair{Name: "dir", Value: o.Dir})
		if _, ok := o.Settings["save"]; !ok {
			pairs = append(pairs, config.Pair{Name: "save", Value: savePoints})
		}
	}
	for name, value := range o.Settings {
		pairs = append(pairs, config.Pair{Name: name, Value: value})
	}
	if err := cfg.Set(config.Program, pairs...); err != nil {
		return fmt.Errorf("larder: options: %w: %w", store.ErrInvalid, err)
	}
	return nil
}

// savePoints are Redis's: seconds and changes.
const savePoints = "3600 1 300 100 60 10000"

// load reads the snapshot of a store that has a folder.
func (db *DB) load(dir string) error {
	if dir == "" {
		return nil
	}
	start := db.clock.Monotonic()
	keys, err := db.proc.LoadSnapshot()
	if err == nil && keys > 0 {
		db.log.Info("snapshot loaded", "keys", keys, "took", (db.clock.Monotonic() - start).Round(time.Millisecond).String())
	}
	return err
}

// tickShare bounds the periodic work: a twentieth of one processor.
const tickShare = 20

// tick runs the periodic work, hz times a second.
func (db *DB) tick() {
	defer db.wg.Done()
	period := time.Second / time.Duration(max(db.config.Settings().Hz, 1))
	ticker := db.clock.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-ticker.C():
			db.proc.Tick(period / tickShare)
			db.account()
		}
	}
}

// Close ends connections and subscriptions, writes the last snapshot if there are save points, and gives all memory back. Calls that are
// at work end first, one that has just begun may find the store empty, and later ones fail
// with store.ErrClosed. Closing twice is a no-op.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	close(db.stop)
	db.proc.StopScripts()
	err := db.server.Close()
	db.subs.closeAll()
	db.wg.Wait()
	err = errors.Join(err, db.proc.SaveLast())
	db.proc.Stop()
	db.engine.Close()
	return err
}

// Register makes scripts known to the clients of Serve and Dial, as Options.Scripts does.
func (db *DB) Register(scripts ...*store.Script) { db.proc.Register(scripts...) }

// InProcess tells patterns that calls do not wait for a network.
func (db *DB) InProcess() bool { return true }

// Connect opens the store that a URL leads to; see [store.ParseURL] for all forms.
//
//	mem://?maxmemory=64mb      an embedded store
//	redis://host:6379/0        one Redis, Valkey or Larder server
//	redis+sentinel://host:26379/master, redis+cluster://host:6379
//	https://TOKEN@host         Vercel KV, Upstash, or a Larder server's REST API
//
// An empty URL reads the environment, see [store.FromEnv]: LARDER_URL, REDIS_URL, KV_REST_API_URL, REDIS_HOST, ...;
// where none is set the store is embedded. Connections are made when first
// needed: a wrong address shows with the first command.
func Connect(ctx context.Context, url string) (store.Store, error) {
	return connect(ctx, url, slog.New(slog.DiscardHandler))
}

// Serve answers the Redis clients of a listener until Close, and then returns nil.
func (db *DB) Serve(l net.Listener) error { return db.ServeContext(context.Background(), l) }

// ServeContext is Serve until ctx ends, too: then l is closed, and the connections that it has brought live on.
func (db *DB) ServeContext(ctx context.Context, l net.Listener) error {
	err := db.server.Serve(ctx, l)
	if db.closed.Load() {
		return nil
	}
	return err
}

// Dial gives a connection in memory, so that a Redis client library works on the
// embedded store without a port. It never blocks.
func (db *DB) Dial() (net.Conn, error) { return db.server.Dial() }
