// Package store is the seam between Larder's patterns (cache, object, ratelimit, ...) and whatever keeps the data:
// the embedded store, a Larder server, Redis or Valkey (standalone, Sentinel, Cluster), or a REST service.
//
// A pattern is written once against [Store]. An application seldom calls it directly, but may: every Redis command
// is one Do away.
//
//	n, err := st.Do(ctx, "INCR", "visits").Int64()
//
// # The contract every Store keeps
//
//   - It is safe for concurrent use. One Store per service is right; opening one per request is not.
//   - Words are strings and binary safe. A Store never keeps a slice passed to it after the call has returned.
//   - The ctx bounds the whole call: waiting for a connection, retries and the answer.
//   - Errors are those of errors.go. An error that is [ErrUnavailable] leaves open whether a write was applied.
//   - Replies have the meaning of Redis 7.2. Their shape may be RESP2's or RESP3's (a flat array or a map, a bulk
//     string or a double); the accessors of [Reply] take both.
//   - Connections are shared, so commands that change a connection's state are refused (see [Stateful]): SUBSCRIBE
//     is [Store.Subscribe], MULTI and WATCH are a [Script], SELECT is in the URL.
//
// # Optional interfaces
//
// A Store may also implement [Getter], [Setter] and [Replacer], which move bytes without building a command. Patterns look
// for them once, through [GetterOf], [SetterOf] and [ReplacerOf], and fall back to Do.
package store

import "context"

// A Store runs Redis commands. See the package comment for what every implementation promises.
type Store interface {
	// Do runs one command: its name and arguments, as in redis-cli. The outcome, errors included, is in the Reply.
	// Do without arguments is an error.
	//
	// A blocking command (BLPOP, XREAD BLOCK, ...) waits on a connection of its own and returns early when ctx ends.
	Do(ctx context.Context, args ...string) Reply

	// Pipe runs commands in order in one round trip where the Store has round trips. It is not atomic: another
	// client's command may run in between, and a failing command does not stop those after it. On a Cluster the
	// order holds per slot. The result has exactly one Reply per command, in the same order.
	Pipe(ctx context.Context, cmds ...Cmd) []Reply

	// Run executes a script atomically: nothing else runs on the store in between (on the keys, in the embedded
	// one). keys are all the keys that the script touches; on a Cluster they must share a slot.
	Run(ctx context.Context, s *Script, keys []string, args ...string) Reply

	// Subscribe delivers messages to sub.OnMessage until ctx ends, then returns ctx's error. It blocks: callers
	// start it in a goroutine. A lost connection is restored and subscribed again; see Subscription.OnReady for how
	// a gap shows. It returns earlier only with ErrClosed, or when the store refuses the subscription.
	Subscribe(ctx context.Context, sub Subscription) error

	// Close releases what the Store holds and makes calls in flight, and later ones, fail with ErrClosed.
	// Closing twice is a no-op and returns nil.
	Close() error
}

// Cmd is one command of a pipeline: name and arguments.
type Cmd []string

// Subscription says what to listen to and what to do with it.
type Subscription struct {
	Channels []string // exact names
	Patterns []string // glob patterns, as PSUBSCRIBE takes them

	// Shards are the names of sharded channels, to which SPUBLISH sends (Redis 7 and later). They are a space of names
	// of their own. On a Cluster a message to one goes only to the servers that hold its slot, where one to an ordinary
	// channel goes to all.
	Shards []string

	// OnMessage is called for one message at a time, in the order of arrival. While it runs nothing else is
	// delivered to this subscription; a consumer that may be slow hands the message on.
	OnMessage func(Message)

	// OnReady, if set, is called each time every channel and pattern is confirmed, before any later message.
	// resumed is false the first time. True means that a connection had been lost, or that a sharded channel's slot
	// moved to another server: messages published meanwhile are lost, and what depends on them (a local cache, say)
	// should be refreshed.
	OnReady func(resumed bool)
}

// Message is what a publisher sent.
type Message struct {
	Channel string
	Pattern string // the pattern that matched; empty for an exact subscription
	Payload string
}
