package redistest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// nodeTimeout is the cluster-node-timeout: long enough that a server which stands still for two seconds, or a busy
// machine, is not taken for a dead one. A test that wants a failover asks for it instead of waiting.
const nodeTimeout = "5000" // ms

// StartSentinel runs a sentinel that watches primary under the name mymaster, with a quorum of one. It takes a primary
// that has not answered for two seconds for dead.
func StartSentinel(t testing.TB, primary *Server) *Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	conf := fmt.Sprintf("sentinel monitor mymaster 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds mymaster 2000\nsentinel failover-timeout mymaster 3000\n", primary.Port)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return Start(t, file, "--sentinel")
}

// StartReplica runs a server that follows primary, and waits until it has all its data.
func StartReplica(t testing.TB, primary *Server) *Server {
	t.Helper()
	s := Start(t, ReplicaOf(primary)...)
	s.WaitSynced()
	return s
}

// ReplicaOf is the arguments of a server that follows primary.
func ReplicaOf(primary *Server) []string {
	return []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.Port)}
}

// WaitSynced waits until the server follows its primary.
func (s *Server) WaitSynced() {
	s.t.Helper()
	Eventually(s.t, "the replica to follow", func() bool {
		info, err := s.Try("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

// Cluster is a running Redis Cluster.
type Cluster struct {
	// Nodes are the primaries, as many as asked for, then their replicas in the same order. A failover changes roles, not
	// places.
	Nodes []*Server
	ids   []string
}

// StartCluster runs a cluster of n primaries that share the slots and waits until all agree.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	return startCluster(t, n, false).Nodes
}

// StartReplicatedCluster runs a cluster of n primaries with a replica each and waits until all agree.
func StartReplicatedCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	return startCluster(t, n, true)
}

// startCluster writes down the finished cluster in every node's nodes.conf, so that nobody needs to meet or to vote.
// What remains are the two seconds that a primary waits after its start before it dares to serve.
func startCluster(t testing.TB, n int, replicas bool) *Cluster {
	t.Helper()
	total := n
	if replicas {
		total = 2 * n
	}
	c := &Cluster{Nodes: make([]*Server, total), ids: make([]string, total)}
	for i := range c.Nodes {
		id := make([]byte, 20)
		_, _ = rand.Read(id) // never fails
		c.ids[i] = hex.EncodeToString(id)
		c.Nodes[i] = prepare(t)
	}
	for attempt := 1; ; attempt++ {
		err := c.launch(t, n)
		if err == nil {
			break
		}
		// Somebody else may have taken one of the ports in between.
		if attempt == 5 {
			t.Fatalf("redistest: %v", err)
		}
	}
	c.WaitReady()
	return c
}

// launch starts all nodes at new ports.
func (c *Cluster) launch(t testing.TB, primaries int) error {
	bus := make([]int, len(c.Nodes))
	for i, node := range c.Nodes {
		node.Stop()
		node.listenAt(FreePort(t))
		bus[i] = FreePort(t)
		node.args = []string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus[i]), "--cluster-node-timeout", nodeTimeout}
	}
	for self, node := range c.Nodes {
		var conf strings.Builder
		for i := range c.Nodes {
			c.describe(&conf, i, primaries, bus[i], i == self)
		}
		fmt.Fprintf(&conf, "vars currentEpoch %d lastVoteEpoch 0\n", primaries)
		if err := os.WriteFile(filepath.Join(node.dir, "nodes.conf"), []byte(conf.String()), 0o600); err != nil {
			return err
		}
		if err := node.launch(); err != nil {
			return err
		}
	}
	return nil
}

// describe writes a node's line of nodes.conf.
func (c *Cluster) describe(conf *strings.Builder, i, primaries, bus int, self bool) {
	const slots = 16384
	myself := ""
	if self {
		myself = "myself,"
	}
	of := i % primaries
	role, owned := "master -", fmt.Sprintf(" %d-%d", of*slots/primaries, (of+1)*slots/primaries-1)
	if i >= primaries {
		role, owned = "slave "+c.ids[of], ""
	}
	fmt.Fprintf(conf, "%s %s@%d %s%s 0 0 %d connected%s\n", c.ids[i], c.Nodes[i].Addr, bus, myself, role, of+1, owned)
}

// WaitReady waits until all nodes that run serve, agree on who owns the slots, and replicas follow.
func (c *Cluster) WaitReady() {
	for _, node := range c.Nodes {
		if node.proc == nil {
			continue
		}
		node.t.Helper()
		Eventually(node.t, "the cluster to form", func() bool {
			info, err := node.Try("CLUSTER", "INFO")
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384")
		})
		if role, _ := node.Try("ROLE"); !strings.HasPrefix(role, "master") {
			node.WaitSynced()
		}
	}
}

// Settled waits until replica has received all that primary has done so far.
func Settled(primary, replica *Server) {
	primary.t.Helper()
	offset := func(s *Server) string {
		info, _ := s.Try("INFO", "replication")
		_, after, _ := strings.Cut(info, "master_repl_offset:")
		number, _, _ := strings.Cut(after, "\r")
		return number
	}
	Eventually(primary.t, "the replica to catch up", func() bool { return offset(replica) == offset(primary) })
}
