package server

import (
	"time"

	"github.com/larderdb/larder/internal/resp"
)

// reasonQuit is a Close reason that is no event worth a line by default.
const reasonQuit = "QUIT"

// reasonShutdown is given by Shutdown.
const reasonShutdown = "server shutdown"

// client is the face of a conn that sessions see.
type client struct{ c *conn }

var _ Client = client{}

func (cl client) ID() uint64         { return cl.c.id }
func (cl client) RemoteAddr() string { return cl.c.remote }
func (cl client) LocalAddr() string  { return cl.c.local }

func (cl client) Push(encode func(w *resp.Writer))     { cl.c.push(encode, 0) }
func (cl client) Close(afterReply bool, reason string) { cl.c.Close(afterReply, reason) }

func (cl client) Block()    { cl.c.flags.Or(flagBlocked) }
func (cl client) Postpone() { cl.c.flags.Or(flagBlocked | flagPostponed) }

func (cl client) Resume(encode func(w *resp.Writer)) {
	if cl.c.has(flagBlocked) {
		cl.c.push(encode, flagBlocked)
	}
}

func (cl client) SetProto(version int) {
	c := cl.c
	c.proto = version
	c.w.SetProto(version)
	c.mu.Lock()
	c.inbox.SetProto(version)
	c.mu.Unlock()
}

func (cl client) SetPubSub(on bool) {
	if on {
		cl.c.flags.Or(flagPubSub)
		return
	}
	cl.c.flags.And(^flagPubSub)
}

func (cl client) SetReplica(snapshot int) {
	cl.c.mu.Lock()
	cl.c.snapshot = int64(snapshot)
	cl.c.mu.Unlock()
	cl.c.flags.Or(flagReplica)
}

func (cl client) FlushPushes() { cl.c.drainInbox() }

func (cl client) Buffers() Buffers {
	c := cl.c
	b := Buffers{FD: c.tr.fd(), Query: int(c.query.Load()), OutputList: int(c.chunks.Load()), OutputMem: int(c.held.Load())}
	b.TotalIn, b.TotalOut = c.totalIn.Load(), c.totalOut.Load()
	b.QueryFree = int(c.queryCap.Load()) - b.Query
	b.Sum = b.Query + b.QueryFree + b.OutputMem + connSize
	return b
}

// connSize is about what a connection costs besides its buffers, in bytes: the conn, its session, its place in tables.
const connSize = 1 << 10

// push appends to the inbox, clears flags, and wakes the owner.
func (c *conn) push(encode func(w *resp.Writer), clear uint32) {
	c.mu.Lock()
	if c.flags.Load()&clear != clear || c.has(flagKilled) {
		c.mu.Unlock()
		return
	}
	reason := ""
	if encode != nil {
		before := c.inbox.Len()
		encode(&c.inbox)
		reason = c.overLimit(c.hold(c.inbox.Len() - before))
		c.flags.Or(flagInbox)
	}
	c.flags.And(^clear)
	c.mu.Unlock()
	if reason != "" {
		c.Close(false, reason)
		return
	}
	c.wake()
}

// wake tells the owner that there is something to serve, unless it knows.
func (c *conn) wake() {
	if c.flags.Or(flagWoken)&flagWoken == 0 {
		c.tr.wake()
	}
}

// Close ends the connection now or after the reply. Any goroutine may ask for the former.
func (c *conn) Close(afterReply bool, reason string) {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reason
	}
	c.mu.Unlock()
	if afterReply {
		c.flags.Or(flagClosing)
	} else {
		c.flags.Or(flagKilled)
		c.tr.interrupt()
	}
	c.wake()
}

// drain lets the connection end once it has nothing left to do.
func (c *conn) drain() {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reasonShutdown
	}
	c.mu.Unlock()
	c.flags.Or(flagDrain)
	c.wake()
}

// check enforces what depends on time alone: the idle timeout and the soft output limit. Called every second from the
// server's own goroutine.
func (c *conn) check(now time.Duration, lim *limits) {
	if lim.Timeout > 0 && !c.has(flagBlocked|flagPubSub|flagReplica) && now-time.Duration(c.lastSeen.Load()) > lim.Timeout {
		c.Close(false, "idle timeout")
		return
	}
	c.mu.Lock()
	reason := c.overLimit(c.held.Load())
	c.mu.Unlock()
	if reason != "" {
		c.Close(false, reason)
	}
}
