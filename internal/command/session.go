package command

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/repl"
	"github.com/larderdb/larder/internal/resp"
)

// Client is what the command layer needs of a connection. A session without
// one (the embedded store's) has no address and gets no messages.
type Client interface {
	ID() uint64
	RemoteAddr() string
	LocalAddr() string
	// Push sends a message out of turn, from any goroutine, in order with other pushes.
	Push(encode func(w *resp.Writer))
	// Block, inside Exec, keeps what comes behind the running command waiting until Resume, which may come before Exec
	// has returned, from any goroutine, and writes the late reply. Postpone is Block for a command that is to run again
	// after Resume. Nil: no reply.
	Block()
	Postpone()
	Resume(encode func(w *resp.Writer))
	// SetReplica tells that the client is a replica, which gets a snapshot of so many bytes: another output limit applies.
	SetReplica(snapshot int)
	// FlushPushes writes what was pushed so far in front of what is replied next.
	FlushPushes()
	// Close ends the connection, after what is buffered was sent or at once.
	Close(afterReply bool, reason string)
	// Buffers tells the sizes of the connection's buffers.
	Buffers() Buffers
	// SetProto tells the protocol of later replies and pushes.
	SetProto(version int)
	// SetPubSub tells whether the client has subscriptions: another output limit applies.
	SetPubSub(on bool)
}

// Buffers are sizes in bytes, named as in CLIENT LIST.
type Buffers struct {
	FD                                      int
	Query, QueryFree, ArgvMem, MultiMem     int
	OutputFixed, OutputList, OutputMem, Sum int
	TotalIn, TotalOut                       int64 // read and written since the connection began
}

// Session is the state of one client: its database, its transaction, its
// subscriptions. One goroutine uses it at a time; what CLIENT LIST shows to others is
// guarded by mu or atomic.
type Session struct {
	p      *Processor
	client Client
	ID     int64
	born   time.Time

	// Used by the owner only.
	tx       *engine.Tx
	ctx      Ctx
	db       int
	proto    int
	authed   bool
	closing  bool
	full     bool // memory was over its limit, and nothing could go, when the running command came
	multi    *multi
	watch    *engine.Watch
	subs     subscriptions
	monitors bool      // MONITOR: it is fed all commands
	primary  bool      // runs the commands of the primary that this server follows
	track    *tracking // CLIENT TRACKING; nil while it never was on
	pending  timing
	touched  []uint64 // hashes of a batch's keys
	scratch  scratch
	replica  *repl.Replica // of a connection that replicates, or is about to
	awaited  *blocking     // of an embedded session: what Await is to wait for
	body     scriptTx      // of the script that runs
	lua      *luaHost      // of the Lua script that runs; nil: none ever has
	aside    *aside        // where commands run that may take long; nil: none ever has

	// What other sessions may ask.
	mu       sync.Mutex
	name     string
	libName  string
	libVer   string
	blocked  *blocking
	noEvict  bool
	noTouch  atomic.Bool
	gone     atomic.Bool // the connection has ended
	follows  atomic.Bool // the connection is a replica's
	shown    atomic.Pointer[shown]
	commands atomic.Int64 // that have run
	lastSeen atomic.Int64 // monotonic time of the last command, nanoseconds

	// CLIENT REPLY; of the owner only.
	replies replyMode
	hushed  bool // the reply to the running command is dropped

	// Who it is, and what that allows: see permit.
	account atomic.Pointer[acl.Account] // others may ask, and change what the account allows
	killed  atomic.Bool                 // somebody has closed its connection
	wanted  acl.Request                 // scratch
	top     *Command                    // what was denied or contains it
}

// shown is a snapshot of the owner's state for CLIENT LIST, replaced when it changes.
type shown struct {
	db, proto   int
	multi       int // queued commands, -1 outside MULTI
	queued      int // their memory, bytes
	watching    int
	subs, psubs int
	ssubs       int
	monitors    bool
	track       *tracking
	last        *Command
}

// NewSession returns the session of a new connection, or with a nil client
// one for the embedded store, which needs no AUTH.
func (p *Processor) NewSession(client Client) *Session {
	s := &Session{
		p: p, client: client, born: p.clock.Now(), proto: 2,
		tx: p.Engine.NewTx(), watch: new(engine.Watch),
	}
	s.tx.Impatient = client != nil
	s.beStranger()
	s.subs.init(s)
	s.pending.timed = client != nil
	s.ctx = Ctx{Processor: p, Session: s, Tx: s.tx}
	s.lastSeen.Store(int64(p.clock.Monotonic()))
	s.show(nil)
	if client != nil {
		s.ID = int64(client.ID())
		p.mu.Lock()
		p.sessions[s] = struct{}{}
		p.mu.Unlock()
	}
	return s
}

// Close forgets the session: its watches, its subscriptions, its place in CLIENT LIST. A script that it runs goes on.
func (s *Session) Close() {
	if !s.closeLater() {
		s.close()
	}
}

func (s *Session) close() {
	if b := s.waits(); b != nil && s.p.Engine.Cancel(&b.waiter) {
		b.end()
	}
	s.leaveFeed()
	s.discard()
	s.subs.dropAll()
	s.stopMonitor()
	s.Untrack()
	s.p.pause.stopWaiting(s)
	s.gone.Store(true)
	s.pending.flush(&s.ctx)
	s.p.mu.Lock()
	delete(s.p.sessions, s)
	s.p.mu.Unlock()
}

// Authenticated tells whether the client has proved who it is, or need not.
func (s *Session) Authenticated() bool { return s.authed || s.p.users.Default().User().Open() }

// beStranger makes the session that of somebody who has just connected.
func (s *Session) beStranger() {
	if s.client == nil {
		s.account.Store(s.p.superuser)
		s.authed = true
		return
	}
	s.account.Store(s.p.users.Default())
	s.authed = s.p.users.Default().User().Open()
}

// Proto is the protocol version of the session's replies, 2 or 3.
func (s *Session) Proto() int { return s.proto }

// Subscribed tells whether the session has subscriptions.
func (s *Session) Subscribed() bool { return s.subs.any() }

// show makes the owner's state visible to CLIENT LIST, if it differs.
func (s *Session) show(last *Command) {
	now := shown{db: s.db, proto: s.proto, multi: -1, watching: s.watch.Len(), last: last,
		subs: len(s.subs.channels), psubs: len(s.subs.patterns), ssubs: len(s.subs.sharded.channels), monitors: s.monitors, track: s.track}
	if s.multi != nil {
		now.multi, now.queued = len(s.multi.queue), s.multi.held
	}
	if old := s.shown.Load(); old == nil || *old != now {
		next := new(shown) // only here: now itself stays on the stack
		*next = now
		s.shown.Store(next)
	}
}

// EndBatch is called when the commands of one read are done: what is counted
// per batch rather than per command is brought up to date.
func (s *Session) EndBatch() {
	if !s.isAway() {
		s.flushBatch()
	}
}

func (s *Session) flushBatch() {
	if now := s.pending.flush(&s.ctx); now != 0 {
		s.lastSeen.Store(int64(now))
	}
	s.show(s.pending.last)
}

// listens tells whether the client had subscriptions when it was last looked at.
func (sh *shown) listens() bool { return sh.subs+sh.psubs+sh.ssubs > 0 }

func sortSessions(list []*Session) {
	slices.SortFunc(list, func(a, b *Session) int { return int(a.ID - b.ID) })
}
