package command

import (
	"strconv"
	"time"
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
		debugRow(), lolwutRow(),
		{Name: "shutdown", Arity: -1, Flags: Admin | NoScript | Loading | Stale | NoMulti | AllowBusy, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Ends the server.", Run: shutdown},
		{Name: "monitor", Arity: 1, Flags: Admin | NoScript | Loading | Stale, Group: group, Since: "1.0.0",
			Summary: "Listens to all commands as they are executed.", Run: monitor},
	}
	return append(rows, commandRows(), configRow(), memoryRow(), slowlogRow(), latencyRow())
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
	if !c.alone {
		now = time.UnixMilli(c.Tx.Now()) // time stands still for a script and for EXEC
	}
	c.Out.Array(2)
	c.Out.BulkString(strconv.FormatInt(now.Unix(), 10))
	c.Out.BulkString(strconv.FormatInt(int64(now.Nanosecond()/int(time.Microsecond)), 10))
}

func shutdown(c *Ctx) {
	save, nosave, now, force, abort := false, false, false, false, false
	for i := 1; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "SAVE"):
			save = true
		case c.Is(i, "NOSAVE"):
			nosave = true
		case c.Is(i, "NOW"):
			now = true
		case c.Is(i, "FORCE"):
			force = true
		case c.Is(i, "ABORT"):
			abort = true
		default:
			c.Fail(errSyntax)
			return
		}
	}
	switch {
	case abort && (save || nosave || now || force), save && nosave:
		c.Fail(errSyntax)
		return
	case abort: // what began is over at once: there are no replicas to wait for
		c.FailText("ERR No shutdown in progress.")
		return
	}
	failed := c.Info.Shutdown == nil
	p := c.Processor
	p.saves.unasked.Store(nosave)
	if (save || !nosave && len(p.Config.Settings().Save) > 0) && !failed {
		failed = !c.Tx.LockAll() || c.save(c.Tx) != nil && !force
	}
	if failed {
		c.FailText("ERR Errors trying to SHUTDOWN. Check logs.")
		return
	}
	c.StopScripts()
	c.Info.Shutdown()
	c.Session.end("SHUTDOWN")
}

// uintText is an unsigned number in decimal.
func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
