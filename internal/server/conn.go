package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/resp"
)

const (
	readSize   = 64 << 10 // bytes one read may bring
	batchCmds  = 1024     // commands of one batch
	sendAt     = 64 << 10 // bytes of output at which a batch sends on the way
	smallRest  = 1 << 10  // a rest up to this moves in front of the next read; a larger one is read onto
	keepWriter = 1 << 20  // bytes of output buffer kept from batch to batch
)

// Flags of a conn, for the question that is asked after each command: is there anything special? Set by anybody.
const (
	flagInbox     uint32 = 1 << iota // the inbox is not empty
	flagBlocked                      // commands wait for Resume
	flagPostponed                    // the command that blocked is to be executed again
	flagClosing                      // nothing more runs; ends when the output is sent
	flagKilled                       // ends now
	flagDrain                        // the server shuts down: ends when there is nothing left to run
	flagWoken                        // the owner knows already
	flagPubSub                       // has subscriptions
	flagReplica                      // follows the stream of replication
)

// stopped are the flags with which no command runs.
const stopped = flagBlocked | flagClosing | flagKilled

// transport moves the bytes of a conn.
type transport interface {
	// send sends the output in s.w, or keeps what the peer does not take in conn.out, and empties s.w. Called by the
	// owner. Errors become flagKilled.
	send(s *scratch)
	// wake makes the owner call serve soon. Any goroutine may call it.
	wake()
	// interrupt makes a killed connection's pending reads and writes return. Any goroutine may call it.
	interrupt()
	// fd is the file descriptor, or -1.
	fd() int
}

// scratch is the memory for one turn of a connection. It belongs to a loop, or to a stream for the turn.
type scratch struct {
	buf   []byte // read buffer of readSize bytes
	batch resp.Batch
	w     resp.Writer
	bytes *traffic
}

// traffic counts bytes and the calls that moved them, separately for each loop so that loops do not contend.
type traffic struct {
	in, out, reads, writes atomic.Int64
	_                      [32]byte // a cache line of its own
}

func (t *traffic) read(n int) {
	t.in.Add(int64(n))
	t.reads.Add(1)
}

func (t *traffic) wrote(n int) {
	t.out.Add(int64(n))
	t.writes.Add(1)
}

// addTo adds to the counters of a Stats.
func (t *traffic) addTo(st *Stats) {
	st.BytesIn += t.in.Load()
	st.BytesOut += t.out.Load()
	st.Reads += t.reads.Load()
	st.Writes += t.writes.Load()
}

func newScratch(bytes *traffic) *scratch {
	return &scratch{buf: make([]byte, readSize), bytes: bytes}
}

// conn is the state machine of one connection. It does no I/O.
type conn struct {
	// Immutable.
	srv           *Server
	id            uint64
	remote, local string
	tr            transport
	sess          Session

	// The owner's.
	parser resp.Parser
	rest   []byte       // input that has not become commands yet
	out    output       // output that the peer has not taken
	w      *resp.Writer // the current turn's, nil between turns
	proto  int          // what the session speaks
	paused bool         // owed too much: nothing runs
	eof    bool         // the peer sends no more
	ended  bool         // finish was called

	// What other goroutines use.
	flags    atomic.Uint32
	lastSeen atomic.Int64 // clock.Monotonic when bytes moved last, but for replies that went at once
	held     atomic.Int64 // bytes of unsent output, the inbox included
	chunks   atomic.Int32 // len(out.chunks)
	query    atomic.Int64 // len(rest)
	queryCap atomic.Int64 // cap(rest)
	waiting  atomic.Int64 // bytes of commands that wait for EXEC
	totalIn  atomic.Int64 // bytes read, ever
	totalOut atomic.Int64 // bytes written, ever

	mu        sync.Mutex
	inbox     resp.Writer
	reason    string        // why it was killed
	softSince time.Duration // since when the soft output limit is passed; 0 = it is not
	snapshot  int64         // bytes of a replica's snapshot, which the output limit does not count
}

func (c *conn) has(flags uint32) bool { return c.flags.Load()&flags != 0 }

// ready reports whether commands may run.
func (c *conn) ready() bool { return !c.has(stopped) && !c.paused }

// space returns where the next bytes are to be read to: behind the rest, which a small one follows into the shared buffer.
func (c *conn) space(s *scratch) []byte {
	if len(c.rest) <= smallRest {
		return s.buf[copy(s.buf, c.rest):]
	}
	if cap(c.rest)-len(c.rest) < smallRest {
		c.growRest(2 * smallRest)
	}
	return c.rest[len(c.rest):cap(c.rest)]
}

// growRest makes room behind the rest for at least n bytes. It doubles the rest, or takes what the command still needs if
// that is less: memory follows what was sent, and all the copying adds up to no more than was sent.
func (c *conn) growRest(n int) {
	room := len(c.rest)
	if need := c.parser.Need(room); need > 1 {
		room = min(need, max(room, readSize))
	}
	c.rest = append(make([]byte, 0, len(c.rest)+max(room, n)), c.rest...)
}

// received takes n bytes that were read to where space said, and runs what they complete.
func (c *conn) received(s *scratch, n int) {
	old := len(c.rest)
	c.touch(s, n)
	if old <= smallRest {
		buf := s.buf[:old+n]
		c.keep(buf[c.run(s, buf):], false)
		return
	}
	c.rest = c.rest[:old+n]
	c.runRest(s)
}

// receivedCopy is received for bytes that were read anywhere.
func (c *conn) receivedCopy(s *scratch, b []byte) {
	c.touch(s, len(b))
	if len(c.rest) == 0 {
		c.keep(b[c.run(s, b):], false)
		return
	}
	if cap(c.rest)-len(c.rest) < len(b) {
		c.growRest(len(b))
	}
	c.rest = append(c.rest, b...)
	c.runRest(s)
}

func (c *conn) touch(s *scratch, n int) {
	s.bytes.read(n)
	c.totalIn.Add(int64(n))
	c.seen()
}

// wrote counts bytes that the peer's system took.
func (c *conn) wrote(t *traffic, n int) {
	t.wrote(n)
	c.totalOut.Add(int64(n))
}

func (c *conn) seen() { c.lastSeen.Store(int64(c.srv.clock.Monotonic())) }

// serve does what came from outside the connection: pushes, late replies, the commands that waited for them.
func (c *conn) serve(s *scratch) {
	c.flags.And(^flagWoken)
	c.begin(s)
	c.drainInbox()
	c.tr.send(s)
	if len(c.rest) > 0 && c.ready() {
		c.runRest(s)
	}
	c.end(s)
}

func (c *conn) runRest(s *scratch) {
	c.keep(c.rest[c.run(s, c.rest):], true)
}

// begin points the turn's writer at this connection.
func (c *conn) begin(s *scratch) {
	s.w.Reset(keepWriter)
	s.w.SetProto(c.proto)
	s.w.SetLimit(c.srv.limits.Load().MaxReply)
	c.w = &s.w
}

// end forgets the turn's memory.
func (c *conn) end(s *scratch) {
	c.w = nil
	s.batch.Reset()
}

// run executes the commands in buf, as far as they are complete and may run, sends the replies, and returns how many
// bytes are done with.
func (c *conn) run(s *scratch, buf []byte) (used int) {
	c.begin(s)
	lim := c.srv.limits.Load()
	for used < len(buf) && c.ready() {
		parse, most := &lim.parse, batchCmds
		if !c.sess.Authenticated() {
			parse, most = &lim.parseStranger, 1 // AUTH changes what the next command may be
		}
		s.batch.Reset()
		n, err := c.parser.Parse(buf[used:], &s.batch, parse, most)
		if ran := c.exec(s); ran < len(s.batch.Cmds) || !c.ready() {
			c.parser.Reset() // what is behind is parsed again when its time comes
			if ran > 0 {
				used += s.batch.Ends[ran-1]
			}
			continue
		}
		used += n
		if err != nil {
			c.refuse(err)
		} else if n == 0 {
			break
		}
	}
	c.tr.send(s)
	c.end(s)
	if c.has(flagClosing | flagKilled) {
		return len(buf)
	}
	return used
}

// exec runs the batch's commands, until one of them stops the connection, and returns how many are done.
func (c *conn) exec(s *scratch) (ran int) {
	cmds := s.batch.Cmds
	if len(cmds) == 0 {
		return 0
	}
	if len(cmds) > 1 {
		c.sess.Prefetch(cmds)
	}
	c.drainInbox() // a late reply goes before those of the commands behind it
	for ran = 0; ran < len(cmds); ran++ {
		c.sess.Exec(cmds[ran], &s.w)
		if s.w.Overflown() {
			s.w.Reset(0)
			c.Close(false, "reply too long")
		}
		if c.has(stopped|flagInbox|flagPostponed) && !c.proceed() {
			if c.flags.And(^flagPostponed)&flagPostponed == 0 {
				ran++
			}
			break
		}
		if s.w.Len() >= sendAt {
			c.tr.send(s)
			if !c.ready() {
				ran++
				break
			}
		}
	}
	c.sess.EndBatch()
	c.limitQuery()
	return ran
}

// proceed handles what is special after a command, and reports whether the next one may run.
func (c *conn) proceed() bool {
	c.drainInbox()
	return !c.has(stopped | flagPostponed)
}

// refuse answers a protocol error and ends the connection.
func (c *conn) refuse(err error) {
	if !errors.Is(err, resp.ErrHTTP) {
		c.w.Error("ERR " + err.Error())
	}
	c.Close(true, err.Error())
}

// keep stores the input that is left. own says that it is part of c.rest already.
func (c *conn) keep(left []byte, own bool) {
	switch {
	case len(left) == 0:
		c.rest = nil
	case !own:
		c.rest = append(c.rest[:0], left...)
	case len(left) < len(c.rest) && cap(c.rest) > 2*len(left)+smallRest:
		c.rest = append([]byte(nil), left...)
	case len(left) < len(c.rest):
		c.rest = c.rest[:copy(c.rest, left)]
	}
	if n := int64(len(c.rest)); n != c.query.Load() {
		c.query.Store(n)
		c.queryCap.Store(int64(cap(c.rest)))
		c.limitQuery()
	}
}

// limitQuery ends a connection that has sent more than it may and that is not executed yet, and notes how much of it waits
// for EXEC.
func (c *conn) limitQuery() {
	queued := c.sess.Queued()
	if n := int64(queued); n != c.waiting.Load() {
		c.waiting.Store(n)
	}
	held := len(c.rest) + c.parser.Held() + queued
	if int64(held) > c.srv.limits.Load().QueryBuffer && !c.has(flagKilled) {
		c.srv.queryKilled.Add(1)
		c.Close(false, "client-query-buffer-limit")
	}
}

// drainInbox moves the pushes to the current output.
func (c *conn) drainInbox() {
	if !c.has(flagInbox) {
		return
	}
	c.mu.Lock()
	c.flags.And(^flagInbox)
	c.w.Raw(c.inbox.Bytes())
	n := c.inbox.Len()
	c.inbox.Reset(0)
	c.mu.Unlock()
	c.hold(-n)
}

// over reports whether the connection is to be ended now; the owner then calls finish.
func (c *conn) over() bool {
	switch {
	case c.has(flagKilled):
		return true
	case c.out.size > 0 || c.has(flagInbox):
		return false
	}
	return c.eof || c.has(flagClosing|flagDrain)
}

// finish ends the session and gives up what is held. The transport is closed by the caller.
func (c *conn) finish() {
	if c.ended {
		return
	}
	c.ended = true
	c.flags.Or(flagKilled)
	c.sess.Close()
	c.mu.Lock()
	reason := c.reason
	n := c.inbox.Len()
	c.inbox.Reset(0)
	c.flags.And(^flagInbox)
	c.mu.Unlock()
	c.hold(-n - c.out.size)
	c.out, c.rest = output{}, nil
	c.srv.forget(c)
	level := slog.LevelInfo
	if reason == "" || reason == reasonQuit {
		level = slog.LevelDebug
	}
	if reason == "" {
		reason = "closed by the client"
	}
	c.srv.log.Log(context.Background(), level, "connection closed", "id", c.id, "addr", c.remote, "reason", reason)
}
