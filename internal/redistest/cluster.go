package redistest

import (
	"strconv"
	"strings"
	"time"
)

// Failover kills the primary that holds key, lets its replica take over, and starts the killed one again, empty, as a
// replica of it. It returns when all that is done. Writes that the replica had not yet received are lost, as in life.
func (c *Cluster) Failover(key string) {
	slot := c.slot(key)
	old := c.owner(c.any(), slot)
	replica := c.replicaOf(old)
	c.Nodes[old].t.Helper()
	c.Nodes[old].Stop()
	// Neither waiting for the node timeout nor for votes, which are not to be had twice within ten seconds.
	c.elect(replica, slot, "TAKEOVER")
	c.Nodes[old].Restart()
	c.followed(old, replica)
}

// Switch has the primary that holds key and its replica change roles, as before maintenance: nothing is lost. More than two within
// ten seconds, by the same two, wait for each other.
func (c *Cluster) Switch(key string) {
	slot := c.slot(key)
	old := c.owner(c.any(), slot)
	replica := c.replicaOf(old)
	c.elect(replica, slot)
	c.followed(old, replica)
}

// elect makes a replica the owner of slot.
func (c *Cluster) elect(replica, slot int, how ...string) {
	var asked time.Time
	Eventually(c.Nodes[replica].t, "the replica to be elected", func() bool {
		if time.Since(asked) > 5*time.Second {
			asked = time.Now()
			_, _ = c.Nodes[replica].Try(append([]string{"CLUSTER", "FAILOVER"}, how...)...)
		}
		return c.owner(c.Nodes[replica], slot) == replica
	})
	for _, node := range c.Nodes {
		if node.proc != nil {
			Eventually(node.t, "the cluster to learn of the election", func() bool { return c.owner(node, slot) == replica })
		}
	}
}

// followed waits until all nodes know that one of them follows another, and the cluster serves.
func (c *Cluster) followed(replica, primary int) {
	for _, node := range c.Nodes {
		Eventually(node.t, "the former primary to follow", func() bool {
			fields := c.nodes(node)[replica]
			return fields != nil && fields[3] == c.ids[primary] && !strings.Contains(fields[2], "fail")
		})
	}
	c.WaitReady()
}

// BeginMove marks the slot of key as moving to another primary. Until the function that it returns is called, which
// moves the slot's keys and hands it over, what is asked for and not there gets ASK, and commands on several keys of
// which some are there get TRYAGAIN.
func (c *Cluster) BeginMove(key string) (finish func()) {
	slot := c.slot(key)
	text := strconv.Itoa(slot)
	from := c.owner(c.any(), slot)
	source := c.Nodes[from]
	to := c.otherPrimary(from)
	target := c.Nodes[to]
	target.Do("CLUSTER", "SETSLOT", text, "IMPORTING", c.ids[from])
	source.Do("CLUSTER", "SETSLOT", text, "MIGRATING", c.ids[to])
	return func() {
		// One key at a time: a client that is at work in between sees a slot with keys on both sides.
		for source.Do("CLUSTER", "COUNTKEYSINSLOT", text) != "0" {
			source.Do("MIGRATE", "127.0.0.1", strconv.Itoa(target.Port), source.Do("CLUSTER", "GETKEYSINSLOT", text, "1"), "0", "5000")
		}
		target.Do("CLUSTER", "SETSLOT", text, "NODE", c.ids[to])
		source.Do("CLUSTER", "SETSLOT", text, "NODE", c.ids[to])
		for _, node := range c.Nodes {
			Eventually(node.t, "the cluster to learn who owns the slot", func() bool { return c.owner(node, slot) == to })
		}
	}
}

// Owner is the primary that holds key now.
func (c *Cluster) Owner(key string) *Server { return c.Nodes[c.owner(c.any(), c.slot(key))] }

// Restart kills all nodes and starts them again, in the roles that they had.
func (c *Cluster) Restart() {
	c.Stop()
	for _, node := range c.Nodes {
		node.Restart()
	}
	c.WaitReady()
}

// Settle waits until all replicas have received all that their primaries have done so far.
func (c *Cluster) Settle() {
	for i, fields := range c.nodes(c.any()) {
		for p, id := range c.ids {
			if fields[3] == id {
				Settled(c.Nodes[p], c.Nodes[i])
			}
		}
	}
}

// Stop kills all nodes.
func (c *Cluster) Stop() {
	for _, node := range c.Nodes {
		node.Stop()
	}
}

func (c *Cluster) any() *Server {
	for _, node := range c.Nodes {
		if node.proc != nil {
			return node
		}
	}
	c.Nodes[0].t.Fatal("redistest: no node of the cluster runs")
	return nil
}

func (c *Cluster) slot(key string) int {
	n, _ := strconv.Atoi(c.any().Do("CLUSTER", "KEYSLOT", key))
	return n
}

// nodes gives the fields of each line of CLUSTER NODES, as node sees them, by the place of the node that it is about.
func (c *Cluster) nodes(node *Server) map[int][]string {
	text, _ := node.Try("CLUSTER", "NODES")
	found := map[int][]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		for i, id := range c.ids {
			if len(fields) >= 8 && fields[0] == id {
				found[i] = fields
			}
		}
	}
	return found
}

// owner is the place of the node that holds slot in node's view, -1 if nobody does.
func (c *Cluster) owner(node *Server, slot int) int {
	for i, fields := range c.nodes(node) {
		for _, span := range fields[8:] {
			first, last, several := strings.Cut(span, "-")
			if !several {
				last = first
			}
			a, err := strconv.Atoi(first)
			b, err2 := strconv.Atoi(last)
			if err == nil && err2 == nil && a <= slot && slot <= b {
				return i
			}
		}
	}
	return -1
}

func (c *Cluster) replicaOf(primary int) int {
	for i, fields := range c.nodes(c.any()) {
		if fields[3] == c.ids[primary] && c.Nodes[i].proc != nil {
			return i
		}
	}
	c.Nodes[0].t.Fatal("redistest: the primary has no replica")
	return -1
}

func (c *Cluster) otherPrimary(than int) int {
	for i, fields := range c.nodes(c.any()) {
		if i != than && fields[3] == "-" && len(fields) > 8 && c.Nodes[i].proc != nil {
			return i
		}
	}
	c.Nodes[0].t.Fatal("redistest: no other primary")
	return -1
}
