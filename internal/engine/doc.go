// Package engine is the keyspace: sixteen numbered databases cut in sixty-four
// shards, with expiry, eviction, transactions, watches and the publish hub.
//
// # How a command runs
//
// A caller owns a Tx. It names the keys it will touch (LockKey, LockKeys or
// LockAll), the engine locks their shards in ascending order, the caller finds
// and changes records through the Tx, and End commits and unlocks. A command
// of one key costs one uncontended mutex.
//
// # One door in, one door out
//
// Records are only reached through Find (to read), Edit (to change) and Create.
// Every change of a bucket passes the table's BeforeChange hook, where
// snapshots will hang, and every change is told to Changed, from where End hands the keys and
// their effects to whoever listens: the journal, watches, and later blocked
// clients, tracking and keyspace events. Where nobody listens a change costs
// one comparison.
//
// # Time
//
// The engine never asks the system for the time. A Tx reads the clock once,
// when it first needs it, and keeps that instant: within one transaction a key
// is either expired or not.
package engine
