// Package repl is replication. So far it has the primary's side: a Feed turns the journal's effects into the stream of
// commands that replicas follow, of any kind that speaks Redis's protocol.
//
// # The stream
//
// A replica asks with PSYNC or SYNC, gets a snapshot of the whole keyspace, and from then on every effect as the command
// it is, in RESP, with SELECT where the database changes, MULTI and EXEC around what belongs together, and a PING
// now and then so that a dead primary shows. The stream is numbered in bytes: a replica says with REPLCONF ACK how far it
// has come. It begins anew for each set of replicas, as nothing is kept for one that was away: that takes a new snapshot.
package repl

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// Feed is the stream of a primary. It is an engine.Journal. Its methods are safe for concurrent use.
type Feed struct {
	mu       sync.Mutex
	id       string
	offset   int64
	db       int // that the stream has selected; -1: none yet
	replicas []*Replica
	w        resp.Writer   // what is to be sent next
	pinged   time.Duration // when the last PING was sent
}

// Replica is one that follows a Feed.
type Replica struct {
	Name string // address, for INFO and ROLE
	Port string // that it listens on, as it says

	FunctionsOnly bool // wants no keys in its snapshot

	// Send takes bytes of the stream: it copies what it keeps, and does not block.
	Send func(b []byte)

	acked   int64
	ackedAt time.Duration
}

// Host is the replica's address without the port that it connects from.
func (r *Replica) Host() string { return r.Name[:max(0, strings.LastIndexByte(r.Name, ':'))] }

// NewFeed returns a feed without replicas, with a fresh replication ID.
func NewFeed() *Feed {
	return &Feed{id: fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32()), db: -1}
}

// ID is the replication ID: forty hexadecimal digits.
func (f *Feed) ID() string { return f.id }

// Offset is the length of the stream so far, in bytes.
func (f *Feed) Offset() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offset
}

// Attach lets a replica follow from now on: the keyspace must not change between its snapshot and this call.
func (f *Feed) Attach(r *Replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.acked = f.offset
	f.replicas = append(f.replicas, r)
	f.db = -1 // it knows of no SELECT before
}

// Detach ends that; no-op for one that does not follow. It returns how many are left.
func (f *Feed) Detach(r *Replica) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, o := range f.replicas {
		if o == r {
			f.replicas = append(f.replicas[:i:i], f.replicas[i+1:]...)
			break
		}
	}
	return len(f.replicas)
}

// Append implements engine.Journal: one group of effects. Cost: O(bytes) and O(replicas).
func (f *Feed) Append(effects []engine.Effect) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 {
		return
	}
	group := engine.Grouped(effects)
	if group {
		f.command("MULTI")
	}
	for i := range effects {
		e := &effects[i]
		if e.DB != f.db {
			f.command("SELECT", strconv.Itoa(e.DB))
			f.db = e.DB
		}
		f.w.Array(len(e.Args))
		for _, a := range e.Args {
			f.w.Bulk(a)
		}
	}
	if group {
		f.command("EXEC")
	}
	f.send()
}

func (f *Feed) command(words ...string) {
	f.w.Array(len(words))
	for _, word := range words {
		f.w.BulkString(word)
	}
}

// keptBuffer is how much of a large effect's buffer is kept for the next one, in bytes.
const keptBuffer = 1 << 20

func (f *Feed) send() {
	f.offset += int64(f.w.Len())
	for _, r := range f.replicas {
		r.Send(f.w.Bytes())
	}
	f.w.Reset(keptBuffer)
}

// Tick sends a PING if none was sent for so long. now is monotonic.
func (f *Feed) Tick(now, period time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 || now-f.pinged < period {
		return
	}
	f.pinged = now
	f.command("PING")
	f.send()
}

// AskAcks asks all replicas how far they are.
func (f *Feed) AskAcks() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 {
		return
	}
	f.command("REPLCONF", "GETACK", "*")
	f.send()
}

// Acked notes how far a replica says it has come.
func (f *Feed) Acked(r *Replica, offset int64, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.acked, r.ackedAt = max(r.acked, offset), now
}

// Reached is the number of replicas that have come so far.
func (f *Feed) Reached(offset int64) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.replicas {
		if r.acked >= offset {
			n++
		}
	}
	return n
}

// Visit shows the replicas: how far each has come, and when it said so.
func (f *Feed) Visit(fn func(r *Replica, acked int64, at time.Duration)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.replicas {
		fn(r, r.acked, r.ackedAt)
	}
}
