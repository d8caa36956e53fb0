// Package fleet runs a test on every kind of store that Larder's patterns promise to work on, and disturbs those stores
// as life does: killed, failed over, frozen, resharded.
//
//	func TestFleet(t *testing.T) {
//		fleet.Each(t, func(t *testing.T, s *fleet.Store) {
//			suite(t, func(t testing.TB) store.Store { return s.Open(t) })
//		})
//	}
//
// Servers are real processes of redis-server on loopback (see redistest: without the binary these kinds are skipped,
// with CI=true they fail), except Larder's, which serves from this process. They live as long as the subtest of their
// kind. Starting costs some 30 ms, and 2 s for a Cluster, which waits that long before it serves; Each lets it do that while
// the other kinds run. Let one Each run a whole suite.
package fleet

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// Kind is a kind of store. Its text is the name of the subtest.
type Kind string

// The kinds, in the order in which Each runs them.
const (
	Embedded Kind = "embedded" // a larder.DB in this process
	Larder   Kind = "larder"   // a larder.DB served on loopback, over the network
	Redis    Kind = "redis"    // one redis-server
	Sentinel Kind = "sentinel" // a primary, a replica, and a sentinel that watches them
	Cluster  Kind = "cluster"  // three primaries with a replica each

	REST      Kind = "rest"       // a larder.DB behind a REST API, by store/kvstore
	RESTRedis Kind = "rest-redis" // one redis-server behind a REST API, likewise
)

// Ability is something that can be done to some kinds of stores and not to others.
type Ability uint8

const (
	CanRestart  Ability = 1 << iota // Stop, Start, Restart
	CanKeep                         // RestartKeeping
	CanStall                        // Stall
	CanFailover                     // Failover
	CanMove                         // MoveSlot, BeginMove
	CanBlock                        // commands wait at the server, such as BLPOP: Blocked counts them
	CanShard                        // sharded channels
	CanTrack                        // it tells what becomes invalid, and speaks RESP or runs here
)

// abilities are what each kind can.
var abilities = map[Kind]Ability{
	Embedded: CanBlock | CanShard | CanTrack,
	Larder:   CanRestart | CanStall | CanBlock | CanShard | CanTrack,
	Redis:    CanRestart | CanKeep | CanStall | CanBlock | CanShard | CanTrack,
	Sentinel: CanRestart | CanKeep | CanStall | CanFailover | CanBlock | CanShard | CanTrack,
	Cluster:  CanRestart | CanKeep | CanStall | CanFailover | CanMove | CanBlock | CanShard | CanTrack,

	REST:      CanRestart | CanKeep | CanStall,
	RESTRedis: CanRestart | CanKeep | CanStall,
}

// Store is a store that runs, or several servers that make one. Its methods are for one goroutine at a time; what is
// disturbed may be used by others meanwhile.
type Store struct {
	Kind Kind
	t    testing.TB
	servers
}

// servers is what a kind is made of.
type servers interface {
	open(t testing.TB, query string) store.Store // "?timeout=1s", or empty
	stop()
	start()
	stopKeeping() // start then finds the data
	stall(d time.Duration) (over <-chan struct{})
	settle()
	failover(key string)
	switchover(key string)
	beginMove(key string) (finish func())
	flushScripts()
	info() []string // INFO clients of each server
	register(scripts []*store.Script)
}

// Each runs a test on every kind of store, as a subtest named after the kind. Kinds that lack one of the needs are
// left out: Each(t, run, fleet.CanFailover) is for Sentinel and Cluster. Where there are needs REST is left out, too: what is done to
// it is done to RESTRedis.
func Each(t *testing.T, run func(t *testing.T, s *Store), needs ...Ability) {
	t.Helper()
	begun := begin(t, Cluster)
	defer func() { <-begun }() // also if the subtest is not asked for
	for _, kind := range kinds(needs) {
		if kind == REST && len(needs) > 0 {
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			if kind != Cluster {
				run(t, Start(t, kind))
			} else if s := <-begun; s != nil {
				s.t = t
				run(t, s)
			} else {
				run(t, Start(t, kind)) // and fail or skip for the same reason
			}
		})
	}
}

// EachBut is Each on all kinds but one, which is not even started: a Cluster would take 2 s.
func EachBut(t *testing.T, not Kind, run func(t *testing.T, s *Store)) {
	t.Helper()
	for _, kind := range kinds(nil) {
		if kind != not {
			t.Run(string(kind), func(t *testing.T) { run(t, Start(t, kind)) })
		}
	}
}

// Together is Each with all kinds at the same time: for tests that mostly wait, and do not mind how long for.
func Together(t *testing.T, run func(t *testing.T, s *Store), needs ...Ability) {
	t.Helper()
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, kind := range kinds(needs) {
		wait.Go(func() {
			t.Run(string(kind), func(t *testing.T) { run(t, Start(t, kind)) })
		})
	}
}

// kinds are those that can do what is needed.
func kinds(needs []Ability) []Kind {
	all := []Kind{Embedded, Larder, Redis, Sentinel, REST, RESTRedis, Cluster}
	if testing.Short() { // with the race detector: the ways to Larder and Sentinel through this process are that to Redis
		all = []Kind{Embedded, Redis, RESTRedis, Cluster}
	}
	return slices.DeleteFunc(all, func(k Kind) bool { return !can(k, needs) })
}

// begin starts a kind in the background. The channel gives the Store, and is closed then; nil means that it did not start.
func begin(t *testing.T, kind Kind) <-chan *Store {
	begun := make(chan *Store, 1)
	if !redistest.Found() {
		close(begun)
		return begun
	}
	go func() {
		defer close(begun) // also when Start ends the test, and with it this goroutine
		begun <- Start(t, kind)
	}()
	return begun
}

// Start runs a store of one kind until the end of the test.
func Start(t testing.TB, kind Kind) *Store {
	t.Helper()
	s := &Store{Kind: kind, t: t}
	switch kind {
	case Embedded:
		s.servers = &embedded{t: t}
	case Larder:
		s.servers = startLarder(t)
	case Redis:
		s.servers = startSingle(t)
	case Sentinel:
		s.servers = startSentinel(t)
	case Cluster:
		s.servers = startCluster(t)
	case REST:
		s.servers = startSite(t, &behindDB{t: t})
	case RESTRedis:
		s.servers = startSite(t, &behindRedis{t: t, server: redistest.Start(t)})
	default:
		t.Fatalf("fleet: no kind of store is called %q", kind)
	}
	return s
}

// Name is the kind's.
func (s *Store) Name() string { return string(s.Kind) }

// Can tells whether all of this can be done to the store.
func (s *Store) Can(a ...Ability) bool { return can(s.Kind, a) }

func can(k Kind, needs []Ability) bool {
	for _, a := range needs {
		if abilities[k]&a != a {
			return false
		}
	}
	return true
}

// need ends a test that asks for what the kind cannot do.
func (s *Store) need(a Ability, name string) {
	s.t.Helper()
	if !s.Can(a) {
		s.t.Fatalf("fleet: %s cannot %s: name what the test needs in Each, or ask Can", s.Kind, name)
	}
}

// Open gives a new client of the data, which is closed when the test ends. params are of the store's URL
// ("timeout=500ms", see store.ParseURL); the embedded store has none. There everybody gets the same DB, until somebody
// closes it: then the next one gets a new one, empty.
func (s *Store) Open(t testing.TB, params ...string) store.Store {
	t.Helper()
	query := strings.Join(params, "&")
	if query != "" {
		query = "?" + query
	}
	return s.open(t, query)
}

// Stop kills the servers, without a goodbye to their clients.
func (s *Store) Stop() {
	s.t.Helper()
	s.need(CanRestart, "be stopped")
	s.stop()
}

// Start starts stopped servers again at the same addresses, empty and without scripts, and waits until they serve.
func (s *Store) Start() {
	s.t.Helper()
	s.need(CanRestart, "be started again")
	s.start()
}

// Restart is Stop and Start: the servers were killed, and nothing of the data is left.
func (s *Store) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// RestartKeeping ends the servers and starts them again with all that they ever confirmed, as servers whose persistence loses nothing
// do after they were killed. Scripts are forgotten.
func (s *Store) RestartKeeping() {
	s.t.Helper()
	s.need(CanKeep, "keep data over a restart")
	s.stopKeeping()
	s.start()
}

// Stall freezes all servers for d: they accept connections and answer nothing. It returns at once; over is closed when
// they go on. Sentinels are not frozen. Nobody is taken for dead if d is less than 4 s.
func (s *Store) Stall(d time.Duration) (over <-chan struct{}) {
	s.t.Helper()
	s.need(CanStall, "be frozen")
	return s.stall(d)
}

// Failover kills the primary that holds key (under Sentinel there is only one) and returns when its replica has taken
// over and the killed server is back as a replica, and empty until it has synchronized. That takes 1 to 5 s. The last writes
// may be lost, as in life: replication is asynchronous.
func (s *Store) Failover(key string) {
	s.t.Helper()
	s.need(CanFailover, "fail over")
	s.failover(key)
}

// Switchover has the primary that holds key and its replica change roles, both alive, as before maintenance. A Cluster loses nothing
// of that; under Sentinel what a client wrote to the former primary after the other was promoted is lost.
func (s *Store) Switchover(key string) {
	s.t.Helper()
	s.need(CanFailover, "switch roles")
	s.switchover(key)
}

// Settle waits until replicas have received all that was written so far, so that a Failover then loses nothing of it. Where
// there are no replicas it does nothing.
func (s *Store) Settle() {
	s.t.Helper()
	s.settle()
}

// MoveSlot moves the slot of key to another primary, with its keys.
func (s *Store) MoveSlot(key string) {
	s.t.Helper()
	s.BeginMove(key)()
}

// BeginMove leaves the slot of key half moved until finish is called: keys that exist are served where they are; for others the
// client is sent on with ASK; a command on keys of both sides gets TRYAGAIN.
func (s *Store) BeginMove(key string) (finish func()) {
	s.t.Helper()
	s.need(CanMove, "move slots")
	return s.beginMove(key)
}

// FlushScripts makes all servers forget the scripts they know. The embedded store knows none that it could forget.
func (s *Store) FlushScripts() {
	s.t.Helper()
	s.flushScripts()
}

// Blocked is how many clients wait in blocking commands, on all servers together.
func (s *Store) Blocked() (n int) {
	s.t.Helper()
	for _, info := range s.info() {
		_, after, _ := strings.Cut(info, "\nblocked_clients:")
		number, _, _ := strings.Cut(after, "\r")
		blocked, err := strconv.Atoi(number)
		if err != nil {
			s.t.Fatalf("fleet: INFO clients without blocked_clients: %q", info)
		}
		n += blocked
	}
	return n
}

// Register makes a Larder server run the Go bodies of scripts, as larder.Options.Scripts does, also after a restart.
// Without it the server runs their Lua. Other kinds take no notice.
func (s *Store) Register(scripts ...*store.Script) { s.register(scripts) }

// Eventually asks again until ok, and ends the test if that takes more than 20 s. It is for what other processes do, which
// gives no event to wait for: a store that recovers, a replica that follows.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	redistest.Eventually(t, what, ok)
}

// Dial opens a client of a Redis URL, for the length of the test.
func Dial(t testing.TB, url string) store.Store {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}
