package command

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/repl"
	"github.com/larderdb/larder/internal/resp"
)

// Replicas
//
// A connection that sends PSYNC or SYNC becomes a replica's: it gets a snapshot, taken with the whole keyspace locked,
// and then the stream of repl.Feed, all as pushes. The feed is the engine's journal as long as there is a replica;
// without one nothing is journaled.

func replicateRows() []Command {
	const group = "server"
	return []Command{
		{Name: "sync", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading | NoMulti, Lock: LockWalk, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the size of the keyspace", Summary: "Begins to replicate, as old replicas ask for it.", Run: syncReplica},
		{Name: "psync", Arity: -3, Flags: Admin | NoScript | NoAsyncLoading | NoMulti, Lock: LockWalk, Group: group, Since: "2.8.0",
			Cost: "O(N) where N is the size of the keyspace", Summary: "Begins to replicate.", Run: syncReplica},
		{Name: "role", Arity: 1, Flags: NoScript | Loading | Stale | Fast, ACL: CatAdmin | CatDangerous, Group: group, Since: "2.8.12",
			Cost: "O(1)", Summary: "Tells that this is a primary, and of its replicas.", Run: role},
		{Name: "replconf", Arity: -1, Flags: Admin | NoScript | Loading | Stale | AllowBusy | SysCmd, Group: group, Since: "3.0.0",
			Cost: "O(1)", Summary: "Configures the connection of a replica, which says here how far it is, too.", Run: replConf},
	}
}

// syncReplica is SYNC and PSYNC: always a whole snapshot.
func syncReplica(c *Ctx) {
	s := c.Session
	switch {
	case s.client == nil:
		c.FailText("ERR replication needs a connection")
		return
	case s.follows.Load():
		return // as Redis does
	}
	if !c.Tx.LockAll() {
		return // refused: see Session.run
	}
	r := s.asReplica()
	c.feeding.Lock() // no other replica's end stops the journal in between
	defer c.feeding.Unlock()
	c.Engine.SetJournal(c.feed)
	var snapshot bytes.Buffer
	compress := c.Config.Settings().RDBCompression
	if err := dump.Save(&snapshot, c.Tx, dump.Snapshot{Server: c.Info.Version, Functions: c.libraryTexts(), Compress: compress,
		NoKeys: r.FunctionsOnly, Version: rdb.Version7}); err != nil { // which a Redis 7.0 loads, too
		c.Fail(err)
		return
	}
	head := "$" + strconv.Itoa(snapshot.Len()) + "\r\n"
	if c.Row.Name == "psync" {
		head = "+FULLRESYNC " + c.feed.ID() + " " + strconv.FormatInt(c.feed.Offset(), 10) + "\r\n" + head
	}
	r.Name = s.client.RemoteAddr()
	s.follows.Store(true)
	r.Send = func(b []byte) {
		s.p.stats.replicated.Add(int64(len(b)))
		s.client.Push(func(w *resp.Writer) { w.Raw(b) })
	}
	s.client.SetReplica(snapshot.Len())
	r.Send([]byte(head))
	r.Send(snapshot.Bytes())
	c.feed.Attach(r)
	c.stats.fullSyncs.Add(1)
}

// libraryTexts are the libraries of functions, for a snapshot.
func (p *Processor) libraryTexts() (texts [][]byte) {
	for _, l := range p.scripts.libs.list() {
		texts = append(texts, []byte(l.code))
	}
	return texts
}

// leaveFeed ends a replica's part, when its connection ends.
func (s *Session) leaveFeed() {
	if !s.follows.Load() {
		return
	}
	s.p.feeding.Lock()
	defer s.p.feeding.Unlock()
	if s.p.feed.Detach(s.replica) == 0 {
		s.p.Engine.SetJournal(nil)
	}
}

// pingReplicas sends what tells replicas that the primary lives. now is monotonic.
func (p *Processor) pingReplicas(now time.Duration) {
	p.feed.Tick(now, p.Config.Settings().ReplPingPeriod)
}

// replConf is REPLCONF: what a replica tells about itself. ACK gets no reply.
func replConf(c *Ctx) {
	s := c.Session
	if len(c.Args)%2 == 0 {
		c.Fail(errSyntax)
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		value := c.Args[i+1]
		switch name := string(lower(nil, c.Args[i])); name {
		case "listening-port":
			if _, err := c.IntArg(i + 1); err != nil {
				c.Fail(err)
				return
			}
			s.asReplica().Port = string(value)
		case "rdb-filter-only":
			s.asReplica().FunctionsOnly = string(value) == "functions"
		case "ip-address", "capa", "version", "rdb-only", "rdb-channel", "set-rdb-client-id":
		case "ack":
			if n, err := c.IntArg(i + 1); err == nil && s.follows.Load() {
				c.feed.Acked(s.replica, n, c.clock.Monotonic())
				c.answerWaits()
			}
			return
		case "getack":
			return
		default:
			c.FailText("ERR Unrecognized REPLCONF option: " + clip(string(c.Args[i]), 128))
			return
		}
	}
	c.OK()
}

func (s *Session) asReplica() *repl.Replica {
	if s.replica == nil {
		s.replica = new(repl.Replica)
	}
	return s.replica
}

// ackWait is a WAIT that waits for replicas.
type ackWait struct {
	session  *Session
	blocked  *blocking
	replicas int
	offset   int64
}

// wait is WAIT.
func wait(c *Ctx) {
	n, err := c.IntArg(1)
	if err != nil {
		c.Fail(err)
		return
	}
	timeout, err := c.millisArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	feed := c.feed // not c: it is another command's when the time is up
	offset := feed.Offset()
	reached := func(out Sink) { out.Int(int64(feed.Reached(offset))) }
	if feed.Reached(offset) >= int(n) || !c.alone {
		reached(c.Out)
		return
	}
	c.block(waiting{timeout: timeout, timedOut: reached})
	c.acks.add(ackWait{c.Session, c.Session.waits(), int(n), offset})
	feed.AskAcks()
}

// ackWaits are the WAITs that wait.
type ackWaits struct {
	mu   sync.Mutex
	list []ackWait
}

// add adds one, and forgets those that have ended otherwise.
func (a *ackWaits) add(w ackWait) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(a.list, func(o ackWait) bool { return o.session.waits() != o.blocked })
	a.list = append(a.list, w)
}

// answerWaits ends the WAITs that enough replicas have answered.
func (p *Processor) answerWaits() {
	p.acks.mu.Lock()
	list := slices.Clone(p.acks.list)
	p.acks.mu.Unlock()
	for _, w := range list {
		if p.feed.Reached(w.offset) >= w.replicas {
			w.session.giveUp(w.blocked, "")
		}
	}
}

func infoReplication(c *Ctx, b *infoText) {
	if p := c.standing.primary.Load(); p == nil {
		b.add("role", "master")
	} else {
		b.add("role", "slave")
		p.infoFollower(b, c.Config.Settings())
	}
	now := c.clock.Monotonic()
	var lines strings.Builder
	n := 0
	c.feed.Visit(func(r *repl.Replica, acked int64, at time.Duration) {
		lines.WriteString("slave" + strconv.Itoa(n) + ":ip=" + r.Host() + ",port=" + orZero(r.Port) + ",state=online,offset=" +
			strconv.FormatInt(acked, 10) + ",lag=" + strconv.FormatInt(int64((now-at)/time.Second), 10) + "\r\n")
		n++
	})
	b.add("connected_slaves", n)
	b.WriteString(lines.String())
	b.add("replicas_waiting_psync", 0)
	b.add("master_failover_state", "no-failover")
	b.add("master_replid", c.feed.ID())
	b.add("master_replid2", strings.Repeat("0", 40))
	b.add("master_repl_offset", c.feed.Offset())
	b.add("second_repl_offset", -1)
	b.add("repl_backlog_active", 0)
	size, _ := c.Config.Value("repl-backlog-size")
	b.add("repl_backlog_size", size)
	b.add("repl_backlog_first_byte_offset", 0)
	b.add("repl_backlog_histlen", 0)
}

func orZero(port string) string {
	if port == "" {
		return "0"
	}
	return port
}

// role is ROLE.
func role(c *Ctx) {
	if p := c.standing.primary.Load(); p != nil {
		c.replyFollower(p)
		return
	}
	type at struct {
		host, port string
		offset     int64
	}
	var list []at
	c.feed.Visit(func(r *repl.Replica, acked int64, _ time.Duration) {
		list = append(list, at{r.Host(), orZero(r.Port), acked})
	})
	c.Out.Array(3)
	c.Out.BulkString("master")
	c.Out.Int(c.feed.Offset())
	c.Out.Array(len(list))
	for _, r := range list {
		c.Out.Array(3)
		c.Out.BulkString(r.host)
		c.Out.BulkString(r.port)
		c.Out.BulkString(strconv.FormatInt(r.offset, 10))
	}
}

var _ engine.Journal = (*repl.Feed)(nil)
