package server

// When a client is put on hold because it is owed too much (see the package comment), in bytes.
const (
	pauseAt      = 64 << 20
	pauseCrowded = 1 << 20
	crowded      = 256 << 20
)

// outChunk is the size of the pieces in which unsent output is kept. A larger rest of a reply is kept as it is.
const outChunk = 16 << 10

// output is a queue of bytes that the peer has not taken yet. The zero value is empty and holds no memory.
type output struct {
	chunks [][]byte // none of them empty
	size   int
}

// add appends b and reports whether it has kept b itself: the caller must then not use it again.
func (o *output) add(b []byte) (kept bool) {
	o.size += len(b)
	if n := len(o.chunks); n > 0 {
		last := o.chunks[n-1]
		fits := min(cap(last)-len(last), len(b))
		o.chunks[n-1] = append(last, b[:fits]...)
		b = b[fits:]
	}
	switch {
	case len(b) == 0:
		return false
	case len(b) >= outChunk && cap(b) <= 2*len(b):
		o.chunks = append(o.chunks, b)
		return true
	case len(b) >= outChunk:
		o.chunks = append(o.chunks, append([]byte(nil), b...))
		return false
	}
	o.chunks = append(o.chunks, append(make([]byte, 0, outChunk), b...))
	return false
}

// first is the oldest chunk, or nil.
func (o *output) first() []byte {
	if len(o.chunks) == 0 {
		return nil
	}
	return o.chunks[0]
}

// sent takes n bytes off the first chunk.
func (o *output) sent(n int) {
	o.size -= n
	if n < len(o.chunks[0]) {
		o.chunks[0] = o.chunks[0][n:]
		return
	}
	o.chunks[0] = nil
	o.chunks = o.chunks[1:]
	if len(o.chunks) == 0 {
		o.chunks = nil
	}
}

// hold accounts for n more bytes (or less) of unsent output.
func (c *conn) hold(n int) int64 {
	if n == 0 {
		return c.held.Load()
	}
	c.srv.held.Add(int64(n))
	return c.held.Add(int64(n))
}

// queued is called by the transport when the length of c.out has changed by n: it puts the connection on hold, or ends
// that, and enforces the output limits. It reports whether commands may run again that could not before.
func (c *conn) queued(n int) (resumed bool) {
	held := c.hold(n)
	c.chunks.Store(int32(len(c.out.chunks)))
	if n < 0 {
		c.seen()
	}
	c.mu.Lock()
	reason := c.overLimit(held)
	c.mu.Unlock()
	if reason != "" {
		c.Close(false, reason)
	}
	limit := pauseAt
	if c.srv.held.Load() > crowded {
		limit = pauseCrowded
	}
	switch {
	case c.out.size > limit:
		c.paused = true
	case c.paused && c.out.size <= limit/2:
		c.paused = false
		return true
	}
	return false
}

// overLimit compares the bytes of unsent output with the limits of the client's class, and returns why it must go. mu is
// held.
func (c *conn) overLimit(held int64) (reason string) {
	class := ClassNormal
	if c.has(flagPubSub) {
		class = ClassPubSub
	}
	if c.has(flagReplica) {
		class = ClassReplica
		held -= c.snapshot
	}
	lim := c.srv.limits.Load().Output[class]
	if lim.Soft == 0 || held < lim.Soft {
		c.softSince = 0
	}
	switch {
	case lim.Hard > 0 && held >= lim.Hard:
		reason = "client-output-buffer-limit: hard limit"
	case lim.Soft == 0 || held < lim.Soft:
		return ""
	case c.softSince == 0:
		c.softSince = max(1, c.srv.clock.Monotonic())
	case c.srv.clock.Monotonic()-c.softSince > lim.SoftFor:
		reason = "client-output-buffer-limit: soft limit"
	}
	if reason != "" && !c.has(flagKilled) {
		c.srv.outputKilled.Add(1)
	}
	return reason
}
