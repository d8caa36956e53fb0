package command

import (
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/glob"
)

func debugRow() Command {
	return Command{Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading | Stale | SysCmd, Group: "server", Since: "1.0.0",
		Cost: "depends on the subcommand", Summary: "Things for tests.", Lock: LockWalk, Strays: debugLocks, Run: debug}
}

// debugCommand is a subcommand of DEBUG: they are no subcommands of the table.
type debugCommand struct {
	name     string // upper case
	min, max int    // words, DEBUG and its own name included
	run      func(c *Ctx)
	locks    bool // it works with the whole keyspace locked
}

// debugCommands are what tests can do to a server, by topic.
func debugCommands() []debugCommand {
	const any = 1 << 30
	ok := (*Ctx).OK
	number := debugNumber
	return []debugCommand{
		{"HELP", 2, 2, debugHelp, false},

		{"OBJECT", 3, 4, debugObject, true},
		{"LISTPACK", 3, 3, debugListpack, true},
		{"QUICKLIST", 3, 4, debugQuicklist, true},
		{"SDSLEN", 3, 3, debugStringLen, true},
		{"HTSTATS", 3, 4, debugTableStats, false},
		{"HTSTATS-KEY", 3, 4, debugKeyStats, true},

		{"DIGEST", 2, 2, debugDigest, true},
		{"DIGEST-VALUE", 2, any, debugDigestValue, true},
		{"POPULATE", 3, 5, debugPopulate, true},
		{"RELOAD", 2, any, debugReload, true},
		{"LOADAOF", 2, 2, debugLoadAOF, true},

		{"PROTOCOL", 3, 3, debugProtocol, false},
		{"ERROR", 3, 3, debugError, false},
		{"SLEEP", 3, 3, debugSleep, true},
		{"LOG", 3, 3, debugLog, false},
		{"STRINGMATCH-TEST", 2, 2, debugMatchTest, false},
		{"STRINGMATCH-LEN", 4, 4, debugMatch, false},

		{"SET-ACTIVE-EXPIRE", 3, 3, func(c *Ctx) { c.Engine.SetActiveExpire(leadingInt(c.Args[2]) != 0); c.OK() }, false},
		{"SET-SKIP-CHECKSUM-VALIDATION", 3, 3, func(c *Ctx) { c.debug.skipChecksum.Store(leadingInt(c.Args[2]) != 0); c.OK() }, false},
		{"SET-DISABLE-DENY-SCRIPTS", 3, 3, func(c *Ctx) { c.scripts.anything.Store(leadingInt(c.Args[2]) != 0); c.OK() }, false},
		{"QUICKLIST-PACKED-THRESHOLD", 3, 3, debugThreshold, false},
		{"REPLYBUFFER", 4, 4, debugReplyBuffer, false},

		// What these change in Redis there is not here: they only answer.
		{"CHANGE-REPL-ID", 2, 2, ok, false}, {"REPLICATE", 3, any, ok, false}, {"AOF-FLUSH-SLEEP", 3, 3, ok, false},
		{"PAUSE-CRON", 3, 3, ok, false}, {"PAUSE-AFTER-FORK", 3, 3, ok, false}, {"DELAY-RDB-CLIENT-FREE-SECONDS", 3, 3, ok, false},
		{"DICT-RESIZING", 3, 3, ok, false}, {"DROP-CLUSTER-PACKET-FILTER", 3, 3, number, false}, {"CLOSE-CLUSTER-LINK-ON-PACKET-DROP", 3, 3, ok, false},
		{"CONFIG-REWRITE-FORCE-ALL", 2, 2, ok, false}, {"STRUCTSIZE", 2, 2, func(c *Ctx) { c.Out.BulkString("bits:64 ") }, false},
	}
}

const errDebug = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."

// debug stands behind enable-debug-command.
func debug(c *Ctx) {
	if !c.debugAllowed() {
		c.FailText(errDebug)
		return
	}
	if d := findDebug(c.Args); d != nil {
		d.run(c)
		return
	}
	c.wrongSub()
}

// findDebug is the subcommand that fits the words, or nil.
func findDebug(args [][]byte) *debugCommand {
	for _, d := range debugCommands() {
		if len(args) >= d.min && len(args) <= d.max && isWord(args[1], d.name) {
			return &d
		}
	}
	return nil
}

// debugLocks tells whether a subcommand wants the whole keyspace locked.
func debugLocks(args [][]byte) bool {
	d := findDebug(args)
	return d != nil && d.locks
}

func (c *Ctx) debugAllowed() bool {
	allowed := c.Config.Settings().EnableDebugCommand
	return c.Session.client == nil || allowed == config.AllowEverybody ||
		allowed == config.AllowLoopback && isLoopback(c.Session.client.RemoteAddr())
}

func isLoopback(addr string) bool {
	return len(addr) >= 4 && addr[:4] == "127." || len(addr) >= 5 && addr[:5] == "[::1]" || len(addr) > 0 && addr[0] == '/'
}

// leadingInt reads the integer that a word begins with, 0 if there is none, as C's atoi does.
func leadingInt(b []byte) (n int) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	for _, d := range b {
		if d < '0' || d > '9' || n > 1<<30 {
			break
		}
		n = 10*n + int(d-'0')
	}
	if negative {
		return -n
	}
	return n
}

// debugNumber takes a number and does nothing with it.
func debugNumber(c *Ctx) {
	if _, err := c.IntArg(2); err != nil {
		c.Fail(err)
		return
	}
	c.OK()
}

// debugSleep holds the whole keyspace, as Redis's does by having one thread.
func debugSleep(c *Ctx) {
	seconds, err := c.FloatArg(2)
	if err != nil || seconds < 0 {
		seconds = 0 // as strtod does
	}
	seconds = min(seconds, 3600)
	timer := c.clock.NewTimer(time.Duration(seconds * float64(time.Second)))
	<-timer.C()
	c.OK()
}

// debugLog writes a line to the server's log.
func debugLog(c *Ctx) {
	if c.Info.Log != nil {
		const warning = 3
		c.Info.Log(warning, "DEBUG LOG: "+string(c.Args[2]))
	}
	c.OK()
}

// debugThreshold checks its argument: elements of all sizes stand in packed leaves here.
func debugThreshold(c *Ctx) {
	n, err := config.ParseMemory(string(c.Args[2]))
	if err != nil || n > 1<<32-1<<20 {
		c.FailText("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	c.OK()
}

func debugReplyBuffer(c *Ctx) {
	switch {
	case c.Is(2, "RESIZING"), c.Is(2, "PEAK-RESET-TIME") && (c.Is(3, "NEVER") || c.Is(3, "RESET")):
		c.OK()
	case c.Is(2, "PEAK-RESET-TIME"):
		if _, err := c.IntArg(3); err != nil {
			c.Fail(err)
			return
		}
		c.OK()
	default:
		c.wrongSub()
	}
}

// debugMatch tells whether a string matches a pattern.
func debugMatch(c *Ctx) { c.Bool(glob.Match(c.Args[2], c.Args[3], false)) }

// debugMatchTest matches random patterns with random strings.
func debugMatchTest(c *Ctx) {
	const alphabet = "ab[]^-*?\\!"
	word := func() []byte {
		b := make([]byte, c.Engine.Random()%32)
		for i := range b {
			b[i] = alphabet[c.Engine.Random()%uint64(len(alphabet))]
		}
		return b
	}
	for range 1000 {
		glob.Match(word(), word(), false)
	}
	c.Out.Simple("Apparently the server did not crash: test passed")
}

func debugHelp(c *Ctx) {
	c.help("DEBUG",
		"CHANGE-REPL-ID, PAUSE-CRON (0|1), DICT-RESIZING (0|1), REPLICATE <word> ..., AOF-FLUSH-SLEEP <microseconds>,",
		"PAUSE-AFTER-FORK (0|1), DELAY-RDB-CLIENT-FREE-SECONDS <seconds>, DROP-CLUSTER-PACKET-FILTER <type>",
		"    Answer OK: what they change in Redis there is not here.",
		"DIGEST", "    A fingerprint of the whole data.",
		"DIGEST-VALUE <key> [<key> ...]", "    A fingerprint of each of the values.",
		"ERROR <text>", "    Answer this error.",
		"HTSTATS <database> [FULL]", "    Figures of a database's tables.",
		"HTSTATS-KEY <key> [FULL]", "    Figures of the table that holds a large value.",
		"LISTPACK <key>", "    Check that a value is kept packed.",
		"LOADAOF", "    Write the data in Redis's format and read it back; there is no append-only file.",
		"LOG <text>", "    Write a line to the server's log.",
		"OBJECT <key> [FAST]", "    How a value is kept.",
		"POPULATE <count> [<prefix>] [<size>]", "    Make that many strings.",
		"PROTOCOL <type>", "    Answer a value of a type: string, integer, double, bignum, null, array, set, map,",
		"    attrib, push, verbatim, true, false.",
		"QUICKLIST <key> [(0|1)]", "    Check that a list is kept in leaves.",
		"QUICKLIST-PACKED-THRESHOLD <size>", "    Answers OK: elements of all sizes stand in leaves.",
		"RELOAD [NOSAVE] [NOFLUSH] [MERGE]", "    Write the data to the snapshot file, empty the keyspace and read the file back; or leave out",
		"    the first or the second, and let keys of the file replace those that are there.",
		"REPLYBUFFER (PEAK-RESET-TIME (NEVER|RESET|<milliseconds>) | RESIZING (0|1))", "    Answers OK.",
		"SDSLEN <key>", "    The lengths of a key and of its string.",
		"SET-ACTIVE-EXPIRE (0|1)", "    Stop or start the removal of expired keys that nobody asks for.",
		"SET-DISABLE-DENY-SCRIPTS (0|1)", "    Let scripts call what they may not, or no longer.",
		"SET-SKIP-CHECKSUM-VALIDATION (0|1)", "    Let RESTORE take payloads with any checksum, or no longer.",
		"SLEEP <seconds>", "    Let nothing run for a while.",
		"STRINGMATCH-LEN <pattern> <string>", "    Whether the string matches the pattern.",
		"STRINGMATCH-TEST", "    Match random strings with random patterns.")
}
