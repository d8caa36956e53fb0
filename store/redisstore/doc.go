// Package redisstore is a store.Store over Redis, Valkey or a Larder server: one server, Sentinel, or Cluster. It
// adapts the rueidis client, which sends the commands of concurrent callers as one pipeline over few connections.
//
//	cfg, err := store.ParseURL("redis://localhost:6379")
//	st, err := redisstore.Open(cfg, redisstore.Options{Logger: slog.Default()})
//	defer st.Close()
//
// # Connections
//
// Open does not connect: the first command does, so a service starts while its store is still down. One connection,
// or two or four where there are many processors, to each server are shared by all callers; a blocking command and each
// subscription have one of their own. A connection that was lost is made anew by the next command.
//
// RESP3 is spoken where the server knows it (Redis 6 and later), else RESP2.
//
// # Retries
//
// A request is tried once and, when that failed for a passing reason, again after pauses of 50, 100, 150, ... ms, never
// more than 2 s, as long as its ctx lives: with a single server at most Config.Retries times (default 3); under Sentinel and
// on a Cluster until Config.Timeout (3 s) has passed since the first failure, so that requests wait for a failover or a
// slot that moves instead of failing. Retries of -1 turns that off for all. What may be tried again depends on what is known:
//
//   - The command was certainly not run, as no connection could be made, or nobody answered the greeting on it, or the
//     server refused the command for its state (LOADING, TRYAGAIN, CLUSTERDOWN, MASTERDOWN; READONLY under Sentinel and
//     Cluster): any command is.
//   - The connection broke after the command was sent, so it may have run: only commands that only read are, and
//     scripts marked ReadOnly. Anything else fails with store.ErrUnavailable and is the caller's decision. That
//     includes SET: made twice, it could bring back a value that somebody deleted in between.
//   - No answer came in time (Config.Timeout, 3 s): nothing is. A slow server is not helped by more work.
//
// While a single server cannot be reached, one request at a time probes it, at the same growing pauses; the others
// fail at once with the last reason instead of queueing. A pattern on top falls back to its source without delay. Under Sentinel
// the same begins when there has been no primary for Config.Timeout; until then requests whose ctx allows it wait.
//
// # Time
//
// A command without a deadline gets Config.Timeout. Blocking commands have only the caller's deadline and their own
// timeout argument. Every call ends soon after its ctx, whatever its connection does, and takes nothing from the others that
// share it. A silent connection is asked for a sign of life each third of Config.Timeout (1 s), and given up when none
// has come for Config.Timeout.
package redisstore
