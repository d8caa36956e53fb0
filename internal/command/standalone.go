package command

import (
	"strings"
)

// What a single server answers to commands about replicas, clusters and modules, of which it has none.

func standaloneRows() []Command {
	const group = "server"
	return []Command{
		{Name: "replicaof", Arity: 3, Flags: Admin | NoScript | Stale | NoAsyncLoading, Group: group, Since: "5.0.0",
			Cost: "O(1)", Summary: "Makes the server a primary; following another is not there yet.", Run: replicaOf},
		{Name: "slaveof", Arity: 3, Flags: Admin | NoScript | Stale | NoAsyncLoading, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Makes the server a primary; following another is not there yet.", Outdated: "5.0.0", Instead: "`REPLICAOF`", Run: replicaOf},
		{Name: "failover", Arity: -1, Flags: Admin | NoScript | Stale, Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Hands over to a replica, of which there is none.", Run: failover},
		{Name: "readonly", Arity: 1, Flags: Loading | Stale | Fast, ACL: CatConnection, Group: "cluster", Since: "3.0.0",
			Cost: "O(1)", Summary: "Allows reading from a replica of a cluster.", Run: (*Ctx).OK},
		{Name: "readwrite", Arity: 1, Flags: Loading | Stale | Fast, ACL: CatConnection, Group: "cluster", Since: "3.0.0",
			Cost: "O(1)", Summary: "Takes READONLY back.", Run: (*Ctx).OK},
		{Name: "asking", Arity: 1, Flags: Fast, ACL: CatConnection, Group: "cluster", Since: "3.0.0",
			Cost: "O(1)", Summary: "Follows a redirection of a cluster.", Run: noCluster},
		clusterRow(), moduleRow(), migrateRow(),
	}
}

// failover reads its options as Redis does, and finds no replica.
func failover(c *Ctx) {
	abort, target, force, timeout := false, false, false, false
	for i := 1; i < len(c.Args); i++ {
		left := len(c.Args) - 1 - i
		switch {
		case c.Is(i, "ABORT") && len(c.Args) == 2:
			abort = true
		case c.Is(i, "TIMEOUT") && left >= 1 && !timeout:
			timeout = true
			i++
			n, err := c.IntArg(i)
			if err != nil {
				c.Fail(err)
				return
			}
			if n <= 0 {
				c.FailText("ERR FAILOVER timeout must be greater than 0")
				return
			}
		case c.Is(i, "TO") && left >= 2 && !target:
			target = true
			if _, err := c.IntArg(i + 2); err != nil {
				c.Fail(err)
				return
			}
			i += 2
		case c.Is(i, "FORCE") && !force:
			force = true
		default:
			c.Fail(errSyntax)
			return
		}
	}
	switch {
	case abort:
		c.FailText("ERR No failover in progress.")
	case force && (!target || !timeout):
		c.FailText("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
	default:
		c.FailText("ERR FAILOVER requires connected replicas.")
	}
}

func noCluster(c *Ctx) { c.FailText("ERR This instance has cluster support disabled") }

func clusterRow() Command {
	const (
		group  = "cluster"
		change = Admin | Stale | NoAsyncLoading
		show   = Loading | Stale
	)
	varying := []string{"nondeterministic_output"}
	row := Command{Name: "cluster", Arity: -2, Group: group, Since: "3.0.0", Cost: "depends on the subcommand",
		Summary: "Looks at and manages a cluster, of which this server is none."}
	for _, s := range []struct {
		name    string
		arity   int
		flags   Flag
		since   string
		tips    []string
		summary string
	}{
		{"addslots", -3, change, "3.0.0", nil, "Gives slots to a node."},
		{"addslotsrange", -4, change, "7.0.0", nil, "Gives ranges of slots to a node."},
		{"bumpepoch", 2, change, "3.0.0", varying, "Advances the configuration epoch."},
		{"count-failure-reports", 3, Admin | Stale, "3.0.0", varying, "Counts the reports that a node has failed."},
		{"countkeysinslot", 3, Stale, "3.0.0", nil, "Counts the keys of a slot."},
		{"delslots", -3, change, "3.0.0", nil, "Takes slots from a node."},
		{"delslotsrange", -4, change, "7.0.0", nil, "Takes ranges of slots from a node."},
		{"failover", -2, change, "3.0.0", nil, "Makes a replica the primary of its shard."},
		{"flushslots", 2, change, "3.0.0", nil, "Takes all slots from a node."},
		{"forget", 3, change, "3.0.0", nil, "Removes a node."},
		{"getkeysinslot", 4, Stale, "3.0.0", varying, "Lists keys of a slot."},
		{"help", 2, show, "5.0.0", nil, "Explains the subcommands."},
		{"info", 2, show, "3.0.0", varying, "Tells the state of the cluster."},
		{"keyslot", 3, Stale, "3.0.0", nil, "Computes the slot of a key."},
		{"links", 2, Stale, "7.0.0", varying, "Lists the connections between nodes."},
		{"meet", -4, change, "3.0.0", nil, "Joins two nodes."},
		{"myid", 2, show, "3.0.0", nil, "Tells the node's number."},
		{"myshardid", 2, show, "7.2.0", varying, "Tells the number of the node's shard."},
		{"nodes", 2, show, "3.0.0", varying, "Lists the nodes."},
		{"replicas", 3, Admin | Stale, "5.0.0", varying, "Lists the replicas of a node."},
		{"replicate", 3, change, "3.0.0", nil, "Makes a node the replica of another."},
		{"reset", -2, Admin | NoScript | Stale, "3.0.0", nil, "Makes a node forget the cluster."},
		{"saveconfig", 2, change, "3.0.0", nil, "Writes the node's configuration to its file."},
		{"set-config-epoch", 3, change, "3.0.0", nil, "Sets the configuration epoch of a new node."},
		{"setslot", -4, change, "3.0.0", nil, "Moves a slot between nodes."},
		{"shards", 2, show, "7.0.0", varying, "Lists the shards and their slots."},
		{"slaves", 3, Admin | Stale, "3.0.0", varying, "Lists the replicas of a node."},
		{"slot-stats", -4, show, "8.0.0", []string{"nondeterministic_output", "request_policy:all_shards"}, "Counts what slots are used for."},
		{"slots", 2, show, "3.0.0", varying, "Lists the slots and who has them."},
	} {
		sub := Command{Name: s.name, Arity: s.arity, Flags: s.flags, Group: group, Since: s.since, Cost: "O(1)", Summary: s.summary,
			Tips: s.tips, Run: noCluster}
		if s.name == "slaves" {
			sub.Outdated, sub.Instead = "5.0.0", "`CLUSTER REPLICAS`"
		}
		row.Subs = append(row.Subs, sub)
	}
	return row
}

func moduleRow() Command {
	const (
		group  = "server"
		change = Admin | NoScript | NoAsyncLoading
	)
	return Command{Name: "module", Arity: -2, Group: group, Since: "4.0.0", Cost: "depends on the subcommand",
		Summary: "Looks at modules, of which there are none.", Subs: []Command{
			{Name: "help", Arity: 2, Flags: Loading | Stale, Group: group, Since: "5.0.0", Cost: "O(1)", Summary: "Explains the subcommands.", Run: moduleHelp},
			{Name: "list", Arity: 2, Flags: Admin | NoScript, Group: group, Since: "4.0.0", Cost: "O(1)",
				Tips: []string{"nondeterministic_output_order"}, Summary: "Lists the modules.", Run: func(c *Ctx) { c.Out.Array(0) }},
			{Name: "load", Arity: -3, Flags: change, Group: group, Since: "4.0.0", Cost: "O(1)", Summary: "Loads a module, which is refused.", Run: moduleLoad},
			{Name: "loadex", Arity: -3, Flags: change, Group: group, Since: "7.0.0", Cost: "O(1)", Summary: "Loads a module, which is refused.", Run: moduleLoad},
			{Name: "unload", Arity: 3, Flags: change, Group: group, Since: "4.0.0", Cost: "O(1)", Summary: "Unloads a module, of which there are none.", Run: moduleUnload},
		}}
}

func moduleHelp(c *Ctx) {
	c.help("MODULE", "LIST", "    The modules: none.", "LOAD <path> [<arg> ...]", "    Refused: this server takes no modules.",
		"LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]", "    The same.", "UNLOAD <name>", "    There are none to be unloaded.")
}

// moduleLoad refuses as Redis does where enable-module-command is off, and as it does where the file is no module.
func moduleLoad(c *Ctx) {
	if c.modulesAllowed() {
		c.FailText("ERR Error loading the extension. Please check the server logs.")
	}
}

func moduleUnload(c *Ctx) {
	if c.modulesAllowed() {
		c.FailText("ERR Error unloading module: no such module with that name")
	}
}

func (c *Ctx) modulesAllowed() bool {
	allowed, _ := c.Config.Value("enable-module-command")
	if strings.EqualFold(allowed, "yes") || allowed == "local" && c.isLocal() {
		return true
	}
	c.FailText("ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local " +
		"connection, otherwise you need to set this option in the configuration file, and then restart the server.")
	return false
}

// isLocal tells whether the client is on this machine.
func (c *Ctx) isLocal() bool {
	return c.Session.client == nil || isLoopback(c.Session.client.RemoteAddr())
}
