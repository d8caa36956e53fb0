package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/resp"
)

// Server serves connections from any number of listeners. Its methods are safe for concurrent use.
type Server struct {
	// Immutable.
	newSession    func(Client) Session
	needsPassword func() bool
	clock         clock.Clock
	log           *slog.Logger
	numLoops      int

	limits atomic.Pointer[limits]
	bytes  traffic      // of streams; loops have their own
	held   atomic.Int64 // unsent output of all connections, bytes

	active    atomic.Int32 // how many loops are in use
	spreading              // of connections over them

	nextID, accepted, refused, outputKilled, queryKilled atomic.Int64

	wg sync.WaitGroup // the goroutines that a Close waits for

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[*endpoint]struct{}
	loops     []*loop       // all of them from the first listener on
	started   bool          // the watch runs
	closing   bool          // no new connections
	stop      chan struct{} // closed with the last connection after closing
	stopped   bool
}

// limits are Limits with what is derived from them.
type limits struct {
	Limits
	parse, parseStranger resp.Limits
}

// New makes a server. It does nothing until Serve, ServeConn or Dial is called.
func New(o Options) *Server {
	s := &Server{
		newSession: o.NewSession, needsPassword: o.NeedsPassword, clock: o.Clock, log: o.Logger, numLoops: o.Loops,
		conns: make(map[*conn]struct{}), listeners: make(map[*endpoint]struct{}), stop: make(chan struct{}),
	}
	if s.needsPassword == nil {
		s.needsPassword = func() bool { return false }
	}
	if s.clock == nil {
		s.clock = clock.System()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.numLoops <= 0 {
		s.numLoops = runtime.GOMAXPROCS(0)
	}
	l := DefaultLimits()
	if o.Limits != nil {
		l = *o.Limits
	}
	s.SetLimits(l)
	return s
}

// Limits returns the limits in force.
func (s *Server) Limits() Limits { return s.limits.Load().Limits }

// SetLimits replaces the limits. Connections beyond a smaller MaxClients stay; KeepAlive holds for new connections, the rest
// at once.
func (s *Server) SetLimits(l Limits) {
	parse := resp.Limits{MaxBulk: l.MaxBulk, MaxArgs: l.MaxArgs}
	stranger := parse
	stranger.Unauthenticated = true
	old := s.limits.Swap(&limits{l, parse, stranger})
	if old == nil || old.KeepAlive == l.KeepAlive {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, loop := range s.loops {
		loop.setKeepAlive(l.KeepAlive)
	}
}

// endpoint is a listener that is being served.
type endpoint struct {
	ln   net.Listener
	once sync.Once
	done chan struct{} // closed by end
	err  error         // why it ended; read it after done

	released chan struct{} // closed when no loop listens to it any more
}

func (e *endpoint) end(err error) {
	e.once.Do(func() {
		e.err = err
		_ = e.ln.Close()
		close(e.done)
	})
}

// Serve accepts connections from ln until ctx is done, or Shutdown or Close is called, and then returns nil, with ln closed.
// Connections live on, on Linux also those that nobody had accepted yet. It returns an error when ln fails or somebody else closes it. On Linux, connections of a
// *net.TCPListener or *net.UnixListener are served by event loops; wrap a listener to avoid that.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	e := &endpoint{ln: ln, done: make(chan struct{}), released: make(chan struct{})}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		_ = ln.Close()
		return net.ErrClosed
	}
	s.start()
	s.listeners[e] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	s.log.Info("listening", "addr", ln.Addr().String())
	served, err := s.serveLoops(e)
	stop := context.AfterFunc(ctx, func() { e.end(nil) }) // not before the loops know of those who wait
	defer stop()
	switch {
	case err != nil:
		e.end(err)
	case served:
		<-e.released // before that the address is in use
	default:
		s.acceptAll(e)
	}
	<-e.done
	s.mu.Lock()
	delete(s.listeners, e)
	s.mu.Unlock()
	s.log.Info("stopped listening", "addr", ln.Addr().String())
	return e.err
}

// start begins to watch the connections. mu is held.
func (s *Server) start() {
	if s.started {
		return
	}
	s.started = true
	ticker := s.clock.NewTicker(time.Second)
	s.wg.Add(1)
	go s.watch(ticker)
}

// watch looks once a second for connections and listeners whose time has come.
func (s *Server) watch(ticker clock.Ticker) {
	defer s.wg.Done()
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C():
		}
		now, lim := s.clock.Monotonic(), s.limits.Load()
		for _, c := range s.snapshot() {
			c.check(now, lim)
		}
		s.balance(now)
		s.mu.Lock()
		for e := range s.listeners {
			if closed(e.ln) {
				e.end(net.ErrClosed)
			}
		}
		s.mu.Unlock()
	}
}

// snapshot is the connections of this moment.
func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// acceptAll accepts connections through net, each for a goroutine of its own.
func (s *Server) acceptAll(e *endpoint) {
	for {
		nc, err := e.ln.Accept()
		switch {
		case err == nil:
			if !s.tooLate() {
				go s.ServeConn(nc)
				continue
			}
			_ = nc.Close()
		case errors.Is(err, net.ErrClosed):
			e.end(err) // without effect when we closed it
			return
		default:
			s.log.Warn("cannot accept", "addr", e.ln.Addr().String(), "error", err)
			retry := s.clock.NewTimer(acceptRetry)
			select {
			case <-retry.C():
			case <-e.done:
				retry.Stop()
			}
		}
	}
}

// acceptRetry is the pause after a connection could not be accepted, most likely for lack of file descriptors.
const acceptRetry = 50 * time.Millisecond

func (s *Server) tooLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Messages for connections that are turned away, RESP-encoded. Clients know them by their beginnings.
const (
	tooManyClients = "-ERR max number of clients reached\r\n"
	denied         = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for " +
		"the default user. Connections are accepted from the loopback interface only. To connect from elsewhere, set a " +
		"password: start the server with --requirepass, or send CONFIG SET requirepass from the host it runs on. " +
		"To go without one, on a network where everybody may read and change everything, turn protected mode off: " +
		"--protected-mode no, or CONFIG SET protected-mode no from the host it runs on.\r\n"
)

// admit registers a new connection, or returns the message with which it is turned away.
func (s *Server) admit(c *conn, local bool) (refusal string) {
	reason, refusal := s.register(c, local)
	if reason != "" {
		s.refused.Add(1)
		s.log.Warn("connection refused", "addr", c.remote, "reason", reason)
		return refusal
	}
	s.accepted.Add(1)
	s.log.Debug("connection accepted", "id", c.id, "addr", c.remote, "local", c.local)
	return ""
}

func (s *Server) register(c *conn, local bool) (reason, refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lim := s.limits.Load()
	switch {
	case s.closing:
		return reasonShutdown, "-ERR server is shutting down\r\n"
	case len(s.conns) >= lim.MaxClients:
		return "maxclients", tooManyClients
	case lim.Protected && !local && !s.needsPassword():
		return "protected mode", denied
	}
	s.start()
	c.id = uint64(s.nextID.Add(1))
	c.srv, c.proto = s, 2
	c.seen()
	c.sess = s.newSession(client{c})
	s.conns[c] = struct{}{}
	return "", ""
}

// forget takes an ended connection off the books.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.stopIfIdle()
}

// stopIfIdle ends the server's goroutines once it is closing and no connection is left. mu is held.
func (s *Server) stopIfIdle() {
	if s.closing && len(s.conns) == 0 && !s.stopped {
		s.stopped = true
		close(s.stop)
		for _, l := range s.loops {
			l.stop()
		}
	}
}

// Shutdown stops accepting, lets every connection finish the commands that it has received and send the replies, and
// closes it. Connections that are idle or blocked close at once. When ctx is done the rest is cut off. It returns when
// everything has ended: nil, or ctx's error if something was cut off. Calling it again waits again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for e := range s.listeners {
		e.end(nil)
	}
	s.stopIfIdle()
	s.mu.Unlock()
	for _, c := range s.snapshot() {
		c.drain()
	}
	var err error
	select {
	case <-s.stop:
	case <-ctx.Done():
		select {
		case <-s.stop:
		default:
			err = ctx.Err()
			for _, c := range s.snapshot() {
				c.Close(false, reasonShutdown)
			}
		}
	}
	s.wg.Wait()
	return err
}

// Close cuts off all connections and returns when everything has ended.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx)
	return nil
}

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	st := Stats{
		Accepted: s.accepted.Load(), Refused: s.refused.Load(),
		OutputLimitKilled: s.outputKilled.Load(), QueryLimitKilled: s.queryKilled.Load(),
		OutputBuf: s.held.Load(),
	}
	s.bytes.addTo(&st)
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Connected = len(s.conns)
	for c := range s.conns {
		st.InputBuf += c.queryCap.Load() + c.waiting.Load()
	}
	for _, l := range s.loops {
		l.bytes.addTo(&st)
	}
	return st
}

// isLocal reports whether an address can only be of this machine.
func isLocal(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		return ip.Unmap().IsLoopback()
	case *net.UnixAddr, pipeAddr:
		return true
	}
	return false
}

// addrText is how Redis writes an address; of a unix socket both ends have the server's path.
func addrText(addr, server net.Addr) string {
	if u, ok := server.(*net.UnixAddr); ok {
		return u.Name + ":0"
	}
	if a, ok := addr.(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
	}
	return addr.String()
}
