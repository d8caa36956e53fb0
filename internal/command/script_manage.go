package command

import (
	"strconv"
	"strings"
)

func scriptSubs() []Command {
	const group, since = "scripting", "2.6.0"
	everywhere := []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	return []Command{
		{Name: "debug", Arity: 3, Flags: NoScript, ACL: CatScripting, Group: group, Since: "3.2.0", Cost: "O(1)",
			Summary: "Would make EVAL run scripts in a debugger.", Run: scriptDebug},
		{Name: "exists", Arity: -3, Flags: NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of scripts asked for", Summary: "Tells which scripts are loaded.",
			Tips: []string{"request_policy:all_shards", "response_policy:agg_logical_and"}, Run: scriptExists},
		{Name: "flush", Arity: -2, Flags: NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of scripts", Summary: "Forgets all loaded scripts.", Tips: everywhere, Run: scriptFlush},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatScripting, Group: group, Since: "5.0.0", Cost: "O(1)",
			Summary: "Tells what the subcommands do.", Run: scriptHelp},
		{Name: "kill", Arity: 2, Flags: NoScript | AllowBusy, ACL: CatScripting, Group: group, Since: since, Cost: "O(1)",
			Summary: "Ends the script that runs, if it has not written.",
			Tips:    []string{"request_policy:all_shards", "response_policy:one_succeeded"}, Run: scriptKill},
		{Name: "load", Arity: 3, Flags: NoScript | Stale, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the length of the text", Summary: "Loads a script and answers its SHA-1.", Tips: everywhere, Run: scriptLoad},
		{Name: "show", Arity: 3, Flags: NoScript, ACL: CatScripting, Group: group, Since: "8.0.0", Cost: "O(1)",
			Summary: "Answers the text of a script.", Run: scriptShow},
	}
}

func scriptLoad(c *Ctx) {
	e, err := c.scripts.load(c.Args[2], true)
	if err != nil {
		c.FailText("ERR " + err.Error())
		return
	}
	c.Out.BulkString(e.sha)
}

func scriptShow(c *Ctx) {
	e := c.scripts.find(c.Args[2])
	if e == nil {
		c.Fail(errNoScript)
		return
	}
	c.Out.BulkString(e.text)
}

func scriptExists(c *Ctx) {
	c.Out.Array(len(c.Args) - 2)
	for _, sha := range c.Args[2:] {
		c.Bool(c.scripts.find(sha) != nil)
	}
}

func scriptFlush(c *Ctx) {
	if len(c.Args) > 3 || len(c.Args) == 3 && !c.Is(2, "SYNC") && !c.Is(2, "ASYNC") {
		c.FailText("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	c.scripts.flush()
	c.OK()
}

func scriptKill(c *Ctx) {
	if why := c.scripts.slow.kill(true); why != "" {
		c.FailText(why)
		return
	}
	c.OK()
}

// scriptDebug knows the modes but has no debugger: scripts run as ever.
func scriptDebug(c *Ctx) {
	switch {
	case c.Is(2, "NO"):
		c.OK()
	case c.Is(2, "YES"), c.Is(2, "SYNC"):
		c.FailText("ERR SCRIPT DEBUG is not supported: there is no debugger")
	default:
		c.FailText("ERR Use SCRIPT DEBUG YES/SYNC/NO")
	}
}

func scriptHelp(c *Ctx) {
	c.help("SCRIPT", "DEBUG (YES|SYNC|NO)", "    Set the debug mode: there is no debugger, so only NO is taken.",
		"EXISTS <sha1> [<sha1> ...]", "    Tell which scripts are loaded.",
		"FLUSH [ASYNC|SYNC]", "    Forget all loaded scripts, in either mode before the reply.",
		"KILL", "    End the script that runs, if it has not written.",
		"LOAD <script>", "    Load a script without running it.",
		"SHOW <sha1>", "    Answer the text of a loaded script.")
}

// versionNumber is a version such as 7.2.4 as scripts compare it: 0x00070204.
func versionNumber(v string) (n int) {
	for part := range strings.SplitSeq(v, ".") {
		i, _ := strconv.Atoi(part)
		n = n<<8 | i&0xff
	}
	return n
}
