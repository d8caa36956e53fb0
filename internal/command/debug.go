package command

import (
	"fmt"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
)

// debug is the part of DEBUG that stands behind enable-debug-command.
func debug(c *Ctx) {
	if c.Is(1, "HELP") && len(c.Args) == 2 {
		c.help("DEBUG", "OBJECT <key>", "    How a value is kept.",
			"PROTOCOL <type>", "    Reply a sample of a kind of reply.",
			"SET-DISABLE-DENY-SCRIPTS (0|1)", "    Let scripts call every command.",
			"SET-ACTIVE-EXPIRE (0|1)", "    Stop or start the removal of expired keys that nobody asks for.",
			"SLEEP <seconds>", "    Let nothing run for a while.")
		return
	}
	if !c.debugAllowed() {
		c.FailText("ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.")
		return
	}
	switch {
	case c.Is(1, "SLEEP") && len(c.Args) == 3:
		debugSleep(c)
	case c.Is(1, "OBJECT") && len(c.Args) >= 3:
		debugObject(c)
	case c.Is(1, "SET-ACTIVE-EXPIRE") && len(c.Args) == 3:
		c.Engine.SetActiveExpire(string(c.Args[2]) != "0")
		c.OK()
	case c.Is(1, "PROTOCOL") && len(c.Args) == 3:
		debugProtocol(c)
	case c.Is(1, "SET-DISABLE-DENY-SCRIPTS") && len(c.Args) == 3:
		c.scripts.anything.Store(string(c.Args[2]) != "0")
		c.OK()
	case c.Is(1, "JMAP"), c.Is(1, "QUICKLIST-PACKED-THRESHOLD"):
		c.OK()
	default:
		c.FailText("ERR unknown subcommand or wrong number of arguments for '" + clip(string(c.Args[1]), 128) + "'. Try DEBUG HELP.")
	}
}

func (c *Ctx) debugAllowed() bool {
	allowed := c.Config.Settings().EnableDebugCommand
	return c.Session.client == nil || allowed == config.AllowEverybody ||
		allowed == config.AllowLoopback && isLoopback(c.Session.client.RemoteAddr())
}

func isLoopback(addr string) bool {
	return len(addr) >= 4 && addr[:4] == "127." || len(addr) >= 5 && addr[:5] == "[::1]" || len(addr) > 0 && addr[0] == '/'
}

// debugSleep holds the whole keyspace, as Redis's does by having one thread.
func debugSleep(c *Ctx) {
	seconds, err := c.FloatArg(2)
	if err != nil || seconds < 0 {
		seconds = 0 // as strtod does
	}
	seconds = min(seconds, 3600)
	c.Tx.LockAll()
	timer := c.clock.NewTimer(time.Duration(seconds * float64(time.Second)))
	<-timer.C()
	c.OK()
}

func debugObject(c *Ctx) {
	key := c.Args[2]
	c.Tx.LockKey(key)
	e := c.Tx.Lookup(key, engine.NoTouch|engine.NoStats)
	if e == nil {
		c.Fail(errNoKey)
		return
	}
	c.Out.Simple(fmt.Sprintf("Value at:0x%x refcount:1 encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d",
		e.Ref(), engine.Encoding(e), engine.Bytes(e), e.Clock(), c.Engine.Idle(e)))
}
