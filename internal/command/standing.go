package command

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/repl"
)

// A server's standing among others says what it refuses to do: writes with fewer replicas than
// min-replicas-to-write, and as a replica writes, or, while the link to its primary is down, everything but what flags
// call stale.

// standing is looked at for each command: one load while there is nothing to refuse.
type standing struct {
	refuses atomic.Uint32           // refusals together
	primary atomic.Pointer[primary] // nil: this server is one itself
}

// primary is whom REPLICAOF has named, and the link to it.
type primary struct {
	host, port string
	link       *repl.Link
}

// Refusals.
const (
	refuseWrites    = 1 << iota // a replica's
	refuseStale                 // replica-serve-stale-data no, while the link is down
	refuseUnguarded             // min-replicas-to-write
)

// followStanding keeps the refusals in step with the configuration.
func (p *Processor) followStanding() {
	apply := func(s *config.Settings) error {
		p.standing.settle(s)
		return nil
	}
	_ = apply(p.Config.Settings())
	p.Config.OnChange(apply, "replica-read-only", "replica-serve-stale-data", "min-replicas-to-write", "min-replicas-max-lag")
}

// settle finds out what is refused.
func (st *standing) settle(s *config.Settings) {
	refuses := uint32(0)
	if st.primary.Load() != nil {
		if s.ReplicaReadOnly {
			refuses |= refuseWrites
		}
		if !s.ReplicaServeStale {
			refuses |= refuseStale
		}
	}
	if s.MinReplicasToWrite > 0 && s.MinReplicasMaxLag > 0 {
		refuses |= refuseUnguarded
	}
	st.refuses.Store(refuses)
}

// Errors of a server's standing.
const (
	refusalUnguarded = "NOREPLICAS Not enough good replicas to write."
	refusalReadOnly  = "READONLY You can't write against a read only replica."
	refusalStale     = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)

// refusal is why the server's standing forbids a command of these flags, or nothing; stale tells that it may run
// without the primary.
func (p *Processor) refusal(flags Flag, stale bool) string {
	refuses := p.standing.refuses.Load()
	switch write := flags&Write != 0; {
	case refuses == 0:
	case write && refuses&refuseUnguarded != 0 && p.standing.primary.Load() == nil && !p.isGuarded():
		return refusalUnguarded
	case write && refuses&refuseWrites != 0:
		return refusalReadOnly
	case !stale && refuses&refuseStale != 0 && !p.isLinked():
		return refusalStale
	}
	return ""
}

// isLinked tells whether the primary, if there is one, is followed right now.
func (p *Processor) isLinked() bool {
	primary := p.standing.primary.Load()
	return primary == nil || primary.link.Status().State == repl.LinkConnected
}

// isGuarded tells whether enough replicas have been heard of lately.
func (p *Processor) isGuarded() bool {
	s, now := p.Config.Settings(), p.clock.Monotonic()
	good := 0
	p.feed.Visit(func(_ *repl.Replica, _ int64, at time.Duration) {
		if now-at <= time.Duration(s.MinReplicasMaxLag)*time.Second {
			good++
		}
	})
	return good >= s.MinReplicasToWrite
}

// forbidden is refusal for a command of the session, or the transaction that it runs.
func (s *Session) forbidden(row *Command) string {
	if s.p.standing.refuses.Load() == 0 || s.primary {
		return ""
	}
	flags, stale := row.Flags, row.Flags&Stale != 0
	if row.Name == "exec" && s.multi != nil {
		flags, stale = s.multi.flags, !s.multi.fresh
	}
	return s.p.refusal(flags, stale)
}

// replicaOf is REPLICAOF: it ends the link that there is, and begins another.
func replicaOf(c *Ctx) {
	st := &c.standing
	if c.Is(1, "NO") && c.Is(2, "ONE") {
		c.stopFollowing()
		st.settle(c.Config.Settings())
		c.OK()
		return
	}
	port, err := c.IntArg(2)
	if err != nil || port < 0 || port > 65535 {
		c.FailText("ERR Invalid master port")
		return
	}
	host, number := string(c.Args[1]), strconv.FormatInt(port, 10)
	if old := st.primary.Load(); old != nil && old.host == host && old.port == number {
		c.Out.Simple("OK Already connected to specified master")
		return
	}
	c.stopFollowing()
	c.follow(host, number)
	st.settle(c.Config.Settings())
	c.kickReplicas("REPLICAOF")
	c.OK()
}

// replyFollower is ROLE of a replica.
func (c *Ctx) replyFollower(p *primary) {
	port, _ := strconv.ParseInt(p.port, 10, 64) // it was one
	c.Out.Array(5)
	c.Out.BulkString("slave")
	c.Out.BulkString(p.host)
	c.Out.Int(port)
	status := p.link.Status()
	c.Out.BulkString(string(status.State))
	c.Out.Int(status.Offset)
}

// infoFollower is what INFO tells of the primary.
func (p *primary) infoFollower(b *infoText, s *config.Settings) {
	b.add("master_host", p.host)
	b.add("master_port", p.port)
	status := p.link.Status()
	up, silent, down := "down", int64(-1), int64(status.Down/time.Second)
	if status.State == repl.LinkConnected {
		up, silent, down = "up", int64(status.Silent/time.Second), -1
	}
	syncing := 0
	if status.State == repl.LinkSync {
		syncing = 1
	}
	b.add("master_link_status", up)
	b.add("master_last_io_seconds_ago", silent)
	b.add("master_sync_in_progress", syncing)
	b.add("slave_read_repl_offset", status.Offset)
	b.add("slave_repl_offset", status.Offset)
	b.zeros("replicas_repl_buffer_size", "replicas_repl_buffer_peak")
	if down >= 0 {
		b.add("master_link_down_since_seconds", down)
	}
	b.add("slave_priority", s.ReplicaPriority)
	readOnly := 0
	if s.ReplicaReadOnly {
		readOnly = 1
	}
	b.add("slave_read_only", readOnly)
	b.add("replica_announced", 1)
}
