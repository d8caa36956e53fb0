package store

import "context"

// A Transactor is a Store that runs commands as one transaction: MULTI, the commands, EXEC.
//
// A [Script] is the better way for code of one's own, since it may decide by what it reads. This is for those who hand on
// commands that they do not know.
type Transactor interface {
	// Transaction runs all commands with nothing in between, or none: err tells why none ran (one was refused as it
	// was queued, EXECABORT). Else there is one Reply per command, in order; an error among them does not stop the
	// rest, as in Redis. On a Cluster the keys must share a slot.
	Transaction(ctx context.Context, cmds ...Cmd) ([]Reply, error)
}

// A Monitor is a Store that shows the commands which its server runs: MONITOR.
type Monitor interface {
	// Monitor calls fn with OK once it has begun and then with one line per command, as MONITOR words it, until ctx ends; it
	// returns ctx's error, or why it could not begin or go on. A lost connection ends it: the lines meanwhile are lost. fn is
	// called from one goroutine.
	Monitor(ctx context.Context, fn func(line string)) error
}
