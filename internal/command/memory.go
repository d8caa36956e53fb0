package command

import (
	"fmt"
	goruntime "runtime/debug"
	"strings"

	"github.com/larderdb/larder/internal/engine"
)

func memoryRow() Command {
	const group = "server"
	figures := []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}
	return Command{Name: "memory", Arity: -2, Group: group, Since: "4.0.0", Cost: "depends on the subcommand",
		Summary: "Looks at memory.", Subs: []Command{
			{Name: "doctor", Arity: 2, Lock: LockWalk, Group: group, Since: "4.0.0", Cost: "O(1)", Tips: figures,
				Summary: "Explains the figures of memory in words.", Run: memoryDoctor},
			{Name: "help", Arity: 2, Flags: Loading | Stale, Group: group, Since: "4.0.0", Cost: "O(1)", Summary: "Explains the subcommands.", Run: memoryHelp},
			{Name: "malloc-stats", Arity: 2, Lock: LockWalk, Group: group, Since: "4.0.0", Cost: "O(1)", Tips: figures,
				Summary: "Gives the figures of the arenas.", Run: memoryMallocStats},
			{Name: "purge", Arity: 2, Group: group, Since: "4.0.0", Cost: "O(N) where N is the amount of memory that can be given back",
				Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Summary: "Gives memory back to the system.", Run: memoryPurge},
			{Name: "stats", Arity: 2, Lock: LockWalk, Group: group, Since: "4.0.0", Cost: "O(1)", Tips: figures,
				Summary: "Gives the figures of memory.", Run: memoryStats},
			{Name: "usage", Arity: -3, Flags: ReadOnly, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "4.0.0",
				Cost: "O(N) where N is the number of samples", Summary: "Estimates the bytes that a key takes.", Run: memoryUsage},
		}}
}

func memoryUsage(c *Ctx) {
	for i := 3; i < len(c.Args); i += 2 {
		if !c.Is(i, "SAMPLES") || i+1 >= len(c.Args) {
			c.Fail(errSyntax)
			return
		}
		n, err := c.IntArg(i + 1)
		if err == nil && n < 0 {
			err = errSyntax
		}
		if err != nil {
			c.Fail(err)
			return
		}
	}
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch|engine.NoStats)
	if e == nil {
		c.Out.Null()
		return
	}
	c.Out.Int(engine.Bytes(e))
}

func memoryStats(c *Ctx) {
	f := c.memory()
	var fields []func()
	count := func(name string, n int64) {
		fields = append(fields, func() { c.Out.BulkString(name); c.Out.Int(n) })
	}
	share := func(name string, v float64) {
		fields = append(fields, func() { c.Out.BulkString(name); c.Out.Double(v) })
	}
	count("peak.allocated", f.peak)
	count("total.allocated", f.used)
	count("startup.allocated", f.startup)
	count("replication.backlog", 0)
	count("clients.slaves", f.replicas)
	count("clients.normal", f.clients)
	count("cluster.links", 0)
	count("aof.buffer", 0)
	count("lua.caches", f.scripts)
	count("functions.caches", f.functions)
	for _, d := range f.databases {
		fields = append(fields, func() { c.replyDatabaseFigures(d) })
	}
	count("overhead.db.hashtable.lut", f.tables)
	count("overhead.db.hashtable.rehashing", 0)
	count("overhead.total", f.overhead())
	count("db.dict.rehashing.count", 0)
	count("keys.count", int64(f.count()))
	count("keys.bytes-per-key", max(f.used-f.startup, 0)/int64(max(f.count(), 1)))
	count("dataset.bytes", f.dataset())
	share("dataset.percentage", 100*quotient(f.dataset(), f.used-f.startup))
	share("peak.percentage", 100*quotient(f.used, f.peak))
	count("allocator.allocated", f.live)
	count("allocator.active", f.slabs)
	count("allocator.resident", f.resident)
	count("allocator.muzzy", 0)
	share("allocator-fragmentation.ratio", quotient(f.slabs, f.live))
	count("allocator-fragmentation.bytes", f.slabs-f.live)
	share("allocator-rss.ratio", quotient(f.resident, f.slabs))
	count("allocator-rss.bytes", f.resident-f.slabs)
	share("rss-overhead.ratio", quotient(f.rss, f.resident))
	count("rss-overhead.bytes", f.rss-f.resident)
	share("fragmentation", quotient(f.rss, f.used))
	count("fragmentation.bytes", f.rss-f.used)
	c.Out.Map(len(fields))
	for _, tell := range fields {
		tell()
	}
}

func (c *Ctx) replyDatabaseFigures(d databaseFigures) {
	c.Out.BulkString(fmt.Sprintf("db.%d", d.number))
	c.Out.Map(2)
	c.Out.BulkString("overhead.hashtable.main")
	c.Out.Int(d.main)
	c.Out.BulkString("overhead.hashtable.expires")
	c.Out.Int(d.expires)
}

// From where on the doctor speaks of something.
const (
	doctorLeast  = 5 << 20   // bytes in use: below, ratios say nothing
	doctorWaste  = 10 << 20  // bytes that a ratio must stand for
	doctorClient = 200 << 10 // bytes of buffers for a connection
	doctorScript = 1000
)

func memoryDoctor(c *Ctx) {
	f := c.memory()
	if f.used < doctorLeast {
		c.Out.Verbatim("txt", "There is too little data to tell anything by its figures.\n")
		return
	}
	connected := int64(max(c.network().Connected, 1))
	var b strings.Builder
	for _, finding := range []struct {
		holds bool
		text  string
	}{
		{quotient(f.peak, f.used) > 1.5, "Peak: much more memory was in use once than is now. What became free is used again or goes back to the system " +
			"in time; MEMORY PURGE hurries that."},
		{quotient(f.slabs, f.live) > 1.4 && f.slabs-f.live > doctorWaste, "Holes: deleted values left room that others do not use yet. " +
			"Compaction moves values together a little ten times a second; MEMORY PURGE hurries it."},
		{quotient(f.resident, f.slabs) > 1.4 && f.resident-f.slabs > doctorWaste, "Arenas: more memory is kept for keys to come than in use. It is used next."},
		{quotient(f.rss, f.resident) > 1.4 && f.rss-f.resident > doctorWaste, "Process: memory outside the keyspace is large: connections, scripts, " +
			"and in a program that embeds the store the program itself. GOMEMLIMIT bounds what the collector keeps."},
		{f.clients/connected > doctorClient, "Clients: their buffers are large. CLIENT LIST tells whose (omem, qbuf): " +
			"subscribers that do not keep up, or who asks for large replies."},
		{f.cachedScripts > doctorScript, "Scripts: there are many. Give EVAL what changes as KEYS and ARGV, not as text."},
	} {
		if finding.holds {
			b.WriteString("- " + finding.text + "\n")
		}
	}
	if b.Len() == 0 {
		b.WriteString("Nothing is wrong with memory.\n")
	}
	c.Out.Verbatim("txt", b.String())
}

func memoryMallocStats(c *Ctx) {
	f := c.memory()
	c.Out.Verbatim("txt", fmt.Sprintf("larder-arena: %d bytes in live cells, %d in slabs, %d resident\ngo: %d bytes of heap\n",
		f.live, f.slabs, f.resident, f.heap))
}

// memoryPurge frees what is still to be freed and makes the arenas dense. It locks shards one at a time, never for
// long. Inside a transaction, whose shards are locked already, that waits for the periodic work.
func memoryPurge(c *Ctx) {
	if !c.Tx.Locked() {
		c.Engine.Purge()
	}
	goruntime.FreeOSMemory()
	c.OK()
}

func memoryHelp(c *Ctx) {
	c.help("MEMORY", "DOCTOR", "    What is wrong with memory, in words.",
		"MALLOC-STATS", "    The figures of the arenas.",
		"PURGE", "    Give back to the system what can be given.",
		"STATS", "    The figures of memory.",
		"USAGE <key> [SAMPLES <count>]", "    The bytes that the key, its value and its share of the table take.")
}
