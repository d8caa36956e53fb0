package fleet

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// group is what the kinds made of redis-server have in common.
type group struct {
	unable
	t   testing.TB
	url string
	all func() []*redistest.Server // without sentinels
}

func (g *group) open(t testing.TB, query string) store.Store {
	t.Helper()
	return Dial(t, g.url+query)
}

func (g *group) stopKeeping() {
	for _, s := range g.all() {
		s.StopKeeping()
	}
}

func (g *group) stop() {
	for _, s := range g.all() {
		s.Stop()
	}
}

func (g *group) stall(d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	for _, s := range g.all() {
		s.Pause()
	}
	time.AfterFunc(d, func() {
		for _, s := range g.all() {
			s.Resume()
		}
		close(over)
	})
	g.t.Cleanup(func() { <-over })
	return over
}

func (g *group) flushScripts() {
	for _, s := range g.all() {
		s.Do("SCRIPT", "FLUSH")
	}
}

func (g *group) info() []string {
	var all []string
	for _, s := range g.all() {
		all = append(all, s.Do("INFO", "clients"))
	}
	return all
}

// single is one redis-server.
type single struct {
	group
	server *redistest.Server
}

func startSingle(t testing.TB) *single {
	t.Helper()
	server := redistest.Start(t)
	s := &single{server: server}
	s.group = group{t: t, url: server.URL(), all: func() []*redistest.Server { return []*redistest.Server{server} }}
	return s
}

func (s *single) start() { s.server.Restart() }

// watched is a primary and a replica that a sentinel watches.
type watched struct {
	group
	primary, replica, sentinel *redistest.Server
}

func startSentinel(t testing.TB) *watched {
	t.Helper()
	w := &watched{primary: redistest.Start(t)}
	w.replica = redistest.StartReplica(t, w.primary)
	w.sentinel = redistest.StartSentinel(t, w.primary)
	w.group = group{t: t, url: "redis+sentinel://" + w.sentinel.Addr + "/mymaster", all: func() []*redistest.Server {
		return []*redistest.Server{w.primary, w.replica}
	}}
	w.notice(patient)
	w.waitKnown()
	return w
}

// waitKnown waits until the sentinel could promote the replica.
func (w *watched) waitKnown() {
	w.t.Helper()
	redistest.Eventually(w.t, "the sentinel to know both servers", func() bool {
		w.level()
		reply, err := w.sentinel.Try("SENTINEL", "REPLICAS", "mymaster")
		list := strings.Split(reply, "\n")
		return err == nil && field(list, "flags") == "slave" && field(list, "master-link-status") == "ok" &&
			field(list, "port") == strconv.Itoa(w.replica.Port) && w.primaryPort() == strconv.Itoa(w.primary.Port)
	})
}

// level restarts a sentinel that is in tilt: one that has itself been held up for two seconds, as by a slow disk on which it notes
// what it knows, watches without concluding anything for thirty.
func (w *watched) level() {
	if info, err := w.sentinel.Try("INFO", "sentinel"); err == nil && strings.Contains(info, "sentinel_tilt:1") {
		w.sentinel.Restart()
	}
}

// field is the value that follows a name.
func field(list []string, name string) string {
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			return list[i+1]
		}
	}
	return ""
}

// primaryPort is the port of the server that the sentinel takes for the primary.
func (w *watched) primaryPort() string {
	reply, _ := w.sentinel.Try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
	_, port, _ := strings.Cut(reply, "\n")
	return port
}

func (w *watched) start() {
	w.t.Helper()
	w.primary.RestartAs()
	w.replica.RestartAs(redistest.ReplicaOf(w.primary)...)
	w.replica.WaitSynced()
	w.waitKnown()
}

// The sentinel takes a server that does not answer for dead only after a time that no test waits out, except during a failover:
// a stall, or a busy machine, is none.
const (
	patient = "60000" // ms
	hasty   = "500"   // ms
)

func (w *watched) notice(after string) {
	w.sentinel.Do("SENTINEL", "SET", "mymaster", "down-after-milliseconds", after)
}

func (w *watched) failover(string) {
	w.t.Helper()
	w.notice(hasty)
	w.primary.Stop()
	w.promoted()
	w.notice(patient) // at once, or it may take the new primary for dead, too
	w.replica.RestartAs(redistest.ReplicaOf(w.primary)...)
	w.replica.WaitSynced()
	w.waitKnown()
}

// promoted waits until the replica is the primary, for itself and for the sentinel.
func (w *watched) promoted() {
	w.t.Helper()
	redistest.Eventually(w.t, "the sentinel to promote the replica", func() bool {
		w.level()
		role, err := w.replica.Try("ROLE")
		return err == nil && strings.HasPrefix(role, "master") && w.primaryPort() == strconv.Itoa(w.replica.Port)
	})
	w.primary, w.replica = w.replica, w.primary
}

func (w *watched) switchover(string) {
	w.t.Helper()
	redistest.Eventually(w.t, "the sentinel to agree to a failover", func() bool {
		_, err := w.sentinel.Try("SENTINEL", "FAILOVER", "mymaster")
		return err == nil
	})
	w.promoted()
	// The sentinel itself takes eight seconds to tell the former primary.
	w.replica.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(w.primary.Port))
	w.replica.WaitSynced()
	w.waitKnown()
}

func (w *watched) settle() { redistest.Settled(w.primary, w.replica) }

// cluster is three primaries with a replica each.
type cluster struct {
	group
	c *redistest.Cluster
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := redistest.StartReplicatedCluster(t, 3)
	addrs := make([]string, 3)
	for i := range addrs {
		addrs[i] = c.Nodes[i].Addr
	}
	all := func() []*redistest.Server { return c.Nodes }
	return &cluster{group{t: t, url: "redis+cluster://" + strings.Join(addrs, ","), all: all}, c}
}

func (c *cluster) settle()                     { c.c.Settle() }
func (c *cluster) start()                      { c.c.Restart() }
func (c *cluster) switchover(key string)       { c.c.Switch(key) }
func (c *cluster) failover(key string)         { c.c.Failover(key) }
func (c *cluster) beginMove(key string) func() { return c.c.BeginMove(key) }
