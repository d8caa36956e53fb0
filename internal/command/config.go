package command

import (
	"strings"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/vfs"
)

func configRow() Command {
	const (
		group    = "server"
		managing = Admin | NoScript | Loading | Stale
	)
	everywhere := []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	return Command{Name: "config", Arity: -2, Group: group, Since: "2.0.0", Cost: "depends on the subcommand",
		Summary: "Reads and changes the configuration.", Subs: []Command{
			{Name: "get", Arity: -3, Flags: managing, Group: group, Since: "2.0.0",
				Cost: "O(N) where N is the number of directives", Summary: "Reads the directives that match patterns.", Run: configGet},
			{Name: "set", Arity: -4, Flags: managing, Group: group, Since: "2.0.0", Tips: everywhere,
				Cost: "O(N) where N is the number of directives given", Summary: "Changes directives, all or none.", Run: configSet},
			{Name: "resetstat", Arity: 2, Flags: managing, Lock: LockWalk, Group: group, Since: "2.0.0", Tips: everywhere,
				Cost: "O(1)", Summary: "Sets the counters of INFO to zero.", Run: configResetStat},
			{Name: "rewrite", Arity: 2, Flags: managing, Group: group, Since: "2.8.0", Tips: everywhere,
				Cost: "O(N) where N is the number of directives", Summary: "Writes what the settings are to the configuration file.", Run: configRewrite},
			{Name: "help", Arity: 2, Flags: Loading | Stale, Group: group, Since: "5.0.0", Cost: "O(1)", Summary: "Explains the subcommands.", Run: configHelp},
		}}
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
	if err := c.Config.Set(c.origin(), pairs...); err != nil {
		c.FailText(err.Error())
		return
	}
	c.OK()
}

// origin tells how far the client may be trusted with protected directives.
func (c *Ctx) origin() config.Origin {
	if c.isLocal() {
		return config.Loopback
	}
	return config.Remote
}

func configRewrite(c *Ctx) {
	more := map[string][]string{}
	if c.Config.Settings().ACLFile == "" {
		more["user"] = c.userLines()
	}
	switch err := c.Config.Rewrite(vfs.OS(), more); {
	case err == config.ErrNoFile:
		c.Fail(err)
	case err != nil:
		c.FailText("ERR Rewriting config file: " + err.Error())
	default:
		c.OK()
	}
}

// userLines are the users for a configuration file; none while there is only the one whom requirepass describes.
func (c *Ctx) userLines() []string {
	lines := c.users.ConfigLines()
	protected := c.Config.Settings().RequirePass != ""
	if len(lines) == 1 && strings.HasSuffix(lines[0], " ~* &* +@all") && (protected || strings.Contains(lines[0], " nopass ")) {
		return nil
	}
	return lines
}

func configResetStat(c *Ctx) {
	var n NetworkStats
	if c.Info.Network != nil {
		n = c.Info.Network()
	}
	c.stats.reset(n)
	c.Tx.ResetStats()
	c.scripts.evicted.Store(0)
	c.OK()
}

func configHelp(c *Ctx) {
	c.help("CONFIG", "GET <pattern> [<pattern> ...]", "    The directives that match and their values.",
		"SET <directive> <value> [<directive> <value> ...]", "    Change directives, all or none.",
		"RESETSTAT", "    Set the counters of INFO to zero.",
		"REWRITE", "    Write what the settings are to the configuration file, which keeps its comments.")
}
