package server

import (
	"log/slog"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/resp"
)

// Session executes the commands of one connection. The connection's owner alone uses it, one call at a time, though not
// always from the same goroutine.
type Session interface {
	// Prefetch tells what Exec will be called with next, in this order; it may warm caches and change nothing. It
	// is not called for a single command, and later commands of the batch may never come.
	Prefetch(cmds [][][]byte)
	// Exec runs one command and writes its reply to w. args, at least one, are borrowed until it returns.
	Exec(args [][]byte, w *resp.Writer)
	// EndBatch is called when the commands of one read, or as many as could run, are done.
	EndBatch()
	// Queued is the memory of commands that it has put off (MULTI), in bytes: they count as input not yet executed.
	Queued() int
	// Authenticated tells whether the peer has proved who it is; until then it may only send small requests.
	Authenticated() bool
	// Close is called once, when the connection has ended. No other method is called after it.
	Close()
}

// Client is what a session may ask of its connection.
type Client interface {
	// ID numbers the connections of a server from 1.
	ID() uint64
	// RemoteAddr and LocalAddr are "host:port", "[host]:port", or "path:0" for a unix socket. Any goroutine may ask.
	RemoteAddr() string
	LocalAddr() string
	// Buffers tells how large the connection's buffers are at about this time. Any goroutine may ask.
	Buffers() Buffers

	// Push sends a message out of turn, from any goroutine. encode runs before Push returns, with a writer that
	// speaks the connection's protocol; it must not call the Client.
	Push(encode func(w *resp.Writer))
	// Close ends the connection, from any goroutine: at once, or (called by the session, inside Exec) after the
	// replies so far have been sent. Commands behind the current one do not run. The reason goes to the log.
	Close(afterReply bool, reason string)

	// Block, called inside Exec, keeps the commands behind the current one waiting until Resume. Exec should write
	// no reply. A connection that its peer closes while it waits is closed.
	Block()
	// Postpone is Block for a command that has not run: after Resume, Exec is called with it again.
	Postpone()
	// Resume ends Block or Postpone, from any goroutine; encode, unless nil, writes the late reply. It may come
	// before the Exec that called Block has returned, and is a no-op when the connection is not blocked.
	Resume(encode func(w *resp.Writer))

	// SetProto, called inside Exec, changes the protocol version from the next value on, for pushes too.
	SetProto(version int)
	// SetPubSub tells whether the client has subscriptions: other limits apply to its output, and it may idle.
	SetPubSub(on bool)
	// SetReplica, called inside Exec, tells that the client follows the stream of replication, which begins with a
	// snapshot of so many bytes: the output limit of replicas applies, to what comes beside the snapshot.
	SetReplica(snapshot int)
	// FlushPushes, called inside Exec, writes the messages pushed so far to the current output. An unsubscription
	// calls it between leaving the channel and confirming, so that no message follows the confirmation.
	FlushPushes()
}

// Buffers are the sizes of a connection's buffers in bytes, as CLIENT LIST shows them.
type Buffers struct {
	FD                                      int // -1 without one
	Query, QueryFree, ArgvMem, MultiMem     int
	OutputFixed, OutputList, OutputMem, Sum int   // OutputList is a count
	TotalIn, TotalOut                       int64 // read and written since the connection began
}

// Class is a kind of client with its own output limits.
type Class int

// The classes of client-output-buffer-limit.
const (
	ClassNormal Class = iota
	ClassReplica
	ClassPubSub
	numClasses
)

// OutputLimit says when a client that does not read is disconnected: at once when it is owed Hard bytes, or when it is
// owed Soft bytes for longer than SoftFor. 0 bytes mean no limit.
type OutputLimit struct {
	Hard, Soft int64
	SoftFor    time.Duration
}

// Limits are the directives of redis.conf about connections. They may change while a server runs.
type Limits struct {
	MaxClients  int                     // maxclients
	Timeout     time.Duration           // timeout: an idle client is disconnected after it; 0 = never
	KeepAlive   time.Duration           // tcp-keepalive; 0 = off
	QueryBuffer int64                   // client-query-buffer-limit, bytes
	Output      [numClasses]OutputLimit // client-output-buffer-limit
	MaxBulk     int                     // proto-max-bulk-len, bytes
	MaxArgs     int                     // most words of a command
	MaxReply    int                     // longest reply to one command, bytes: who asks for more is disconnected

	// Protected refuses all but local clients while Options.NeedsPassword says no: protected-mode.
	Protected bool
}

// DefaultLimits are those of an unconfigured Redis; protected mode is off.
func DefaultLimits() Limits {
	parse := resp.DefaultLimits()
	return Limits{
		MaxClients:  10000,
		KeepAlive:   300 * time.Second,
		QueryBuffer: 1 << 30,
		Output: [numClasses]OutputLimit{
			ClassReplica: {Hard: 256 << 20, Soft: 64 << 20, SoftFor: 60 * time.Second},
			ClassPubSub:  {Hard: 32 << 20, Soft: 8 << 20, SoftFor: 60 * time.Second},
		},
		MaxBulk: parse.MaxBulk,
		MaxArgs: parse.MaxArgs,
		// Redis has no such bound: MGET of one long string a thousand times ends it.
		MaxReply: 1 << 30,
	}
}

// Options are what a Server is made of.
type Options struct {
	// NewSession makes the session of a new connection. It must not call the Client, except to keep it.
	NewSession func(Client) Session
	// NeedsPassword tells whether clients must say who they are; nil = they need not.
	NeedsPassword func() bool
	// Limits to begin with; nil = DefaultLimits.
	Limits *Limits
	// Clock; nil = the system's.
	Clock clock.Clock
	// Logger gets one line per event: connections on level debug, those that the server closes or refuses on info
	// or warn, with the reason. nil = nothing is logged.
	Logger *slog.Logger
	// Loops is the number of event loops on Linux; 0 = one for each processor that Go uses.
	Loops int
}

// Stats are a server's counters since its start, and its present state.
type Stats struct {
	Accepted, Refused   int64
	BytesIn, BytesOut   int64
	Reads, Writes       int64 // calls that moved bytes
	OutputLimitKilled   int64 // clients closed for client-output-buffer-limit
	QueryLimitKilled    int64 // clients closed for client-query-buffer-limit
	Connected           int
	InputBuf, OutputBuf int64 // bytes held for clients
}
