package command

import (
	"strconv"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
)

func serverRows() []Command {
	const group = "server"
	rows := []Command{
		{Name: "dbsize", Arity: 1, Flags: ReadOnly | Fast, ACL: CatKeyspace, Lock: LockWalk, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Counts the keys of the database.", Tips: []string{"request_policy:all_shards", "response_policy:agg_sum"}, Run: dbSize},
		{Name: "flushdb", Arity: -1, Flags: Write, ACL: CatKeyspace | CatDangerous, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Empties the database.",
			Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Run: flush},
		{Name: "flushall", Arity: -1, Flags: Write, ACL: CatKeyspace | CatDangerous, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(1) for each chunk of memory", Summary: "Empties all databases.",
			Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Run: flush},
		{Name: "swapdb", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace | CatDangerous, Lock: LockAll, Group: group, Since: "4.0.0",
			Cost: "O(N) where N is the number of clients that watch keys", Summary: "Exchanges two databases.", Run: swapDB},
		{Name: "time", Arity: 1, Flags: Loading | Stale | Fast, Group: group, Since: "2.6.0",
			Cost: "O(1)", Summary: "Tells the time in Unix seconds and microseconds.", Tips: []string{"nondeterministic_output"}, Run: timeNow},
		{Name: "info", Arity: -1, Flags: Loading | Stale, ACL: CatDangerous, Lock: LockWalk, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Describes the server and its figures.",
			Tips: []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}, Run: info},
		{Name: "lolwut", Arity: -1, Flags: ReadOnly | Fast, Group: group, Since: "5.0.0",
			Cost: "O(1)", Summary: "Shows a piece of art and the version.", Run: lolwut},
		{Name: "shutdown", Arity: -1, Flags: Admin | NoScript | Loading | Stale | NoMulti | AllowBusy, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Ends the server.", Run: shutdown},
		{Name: "config", Arity: -2, Group: group, Since: "2.0.0", Cost: "depends on the subcommand",
			Summary: "Reads and changes the configuration.", Subs: []Command{
				{Name: "get", Arity: -3, Flags: Admin | NoScript | Loading | Stale, Group: group, Since: "2.0.0",
					Cost: "O(N) where N is the number of directives", Summary: "Reads the directives that match patterns.", Run: configGet},
				{Name: "set", Arity: -4, Flags: Admin | NoScript | Loading | Stale, Group: group, Since: "2.0.0",
					Cost: "O(N) where N is the number of directives given", Summary: "Changes directives, all or none.",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}, Run: configSet},
				{Name: "resetstat", Arity: 2, Flags: Admin | NoScript | Loading | Stale, Lock: LockWalk, Group: group, Since: "2.0.0",
					Cost: "O(1)", Summary: "Sets the counters of INFO to zero.",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}, Run: configResetStat},
				{Name: "help", Arity: 2, Flags: Loading | Stale, Group: group, Since: "5.0.0", Cost: "O(1)", Summary: "Explains the subcommands.", Run: configHelp},
			}},
		{Name: "memory", Arity: -2, Group: group, Since: "4.0.0", Cost: "depends on the subcommand",
			Summary: "Looks at memory.", Subs: []Command{
				{Name: "usage", Arity: -3, Flags: ReadOnly, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "4.0.0",
					Cost: "O(N) where N is the number of samples", Summary: "Estimates the bytes that a key takes.", Run: memoryUsage},
				{Name: "help", Arity: 2, Flags: Loading | Stale, Group: group, Since: "4.0.0", Cost: "O(1)", Summary: "Explains the subcommands.", Run: memoryHelp},
			}},
		{Name: "monitor", Arity: 1, Flags: Admin | NoScript | Loading | Stale, Group: group, Since: "1.0.0",
			Summary: "Listens to all commands as they are executed.", Run: monitor},
		{Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading | Stale, Group: group, Since: "1.0.0", Cost: "depends on the subcommand",
			Summary: "Things for tests.", Lock: LockWalk, Run: debug},
	}
	return append(rows, commandRows(), slowlogRow(), latencyRow())
}

func dbSize(c *Ctx) { c.Out.Int(int64(c.Tx.Len())) }

// flush is FLUSHDB and FLUSHALL. ASYNC is SYNC: memory goes back chunk by chunk either way.
func flush(c *Ctx) {
	if len(c.Args) > 2 || len(c.Args) == 2 && !c.Is(1, "SYNC") && !c.Is(1, "ASYNC") {
		c.Fail(errSyntax)
		return
	}
	db := -1
	if c.Row.Name == "flushdb" {
		db = c.Tx.DB()
	}
	c.Tx.Flush(db)
	c.OK()
}

func swapDB(c *Ctx) {
	a, err := c.dbArg(1, "ERR invalid first DB index")
	b, errB := c.dbArg(2, "ERR invalid second DB index")
	switch { // what is no number comes before what is no database
	case err == errDBRange && errB != nil:
		err = errB
	case err == nil:
		err = errB
	}
	if err != nil {
		c.Fail(err)
		return
	}
	c.Tx.Swap(a, b)
	c.OK()
}

func timeNow(c *Ctx) {
	now := c.clock.Now()
	c.Out.Array(2)
	c.Out.BulkString(strconv.FormatInt(now.Unix(), 10))
	c.Out.BulkString(strconv.FormatInt(int64(now.Nanosecond()/int(time.Microsecond)), 10))
}

func lolwut(c *Ctx) {
	if len(c.Args) > 2 && c.Is(1, "VERSION") {
		if _, err := c.IntArg(2); err != nil {
			c.Fail(err)
			return
		}
	}
	c.Out.Verbatim("txt", "A larder: shelves of jars, each where you left it.\nRedis ver. "+Version+"\n")
}

func shutdown(c *Ctx) {
	for i := 1; i < len(c.Args); i++ {
		if !c.Is(i, "NOSAVE") && !c.Is(i, "SAVE") && !c.Is(i, "NOW") && !c.Is(i, "FORCE") && !c.Is(i, "ABORT") {
			c.Fail(errSyntax)
			return
		}
	}
	if c.Info.Shutdown == nil {
		c.FailText("ERR Errors trying to SHUTDOWN. Check logs.")
		return
	}
	c.Info.Shutdown()
	c.Session.end("SHUTDOWN")
}

func configGet(c *Ctx) {
	patterns := make([]string, len(c.Args)-2)
	for i, a := range c.Args[2:] {
		patterns[i] = string(a)
	}
	pairs := c.Config.Get(patterns...)
	c.Out.Map(len(pairs))
	for _, p := range pairs {
		c.Out.BulkString(p.Name)
		c.Out.BulkString(p.Value)
	}
}

func configSet(c *Ctx) {
	if len(c.Args)%2 != 0 {
		c.FailText("ERR wrong number of arguments for 'config|set' command")
		return
	}
	pairs := make([]config.Pair, 0, len(c.Args)/2-1)
	for i := 2; i < len(c.Args); i += 2 {
		pairs = append(pairs, config.Pair{Name: string(c.Args[i]), Value: string(c.Args[i+1])})
	}
	if err := c.Config.Set(config.Remote, pairs...); err != nil {
		c.FailText(err.Error())
		return
	}
	c.OK()
}

func configResetStat(c *Ctx) {
	c.stats.reset()
	c.Tx.ResetStats()
	c.OK()
}

func configHelp(c *Ctx) {
	c.help("CONFIG", "GET <pattern> [<pattern> ...]", "    The directives that match and their values.",
		"SET <directive> <value> [<directive> <value> ...]", "    Change directives, all or none.",
		"RESETSTAT", "    Set the counters of INFO to zero.")
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
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch)
	if e == nil {
		c.Out.Null()
		return
	}
	c.Out.Int(engine.Bytes(e))
}

func memoryHelp(c *Ctx) {
	c.help("MEMORY", "USAGE <key> [SAMPLES <count>]", "    The bytes that the key, its value and its share of the table take.")
}

// uintText is an unsigned number in decimal.
func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
