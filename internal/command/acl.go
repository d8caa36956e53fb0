package command

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
)

func aclRows() Command {
	const (
		group = "server"
		open  = NoScript | Loading | Stale
		users = "O(N) where N is the number of users"
	)
	row := func(name string, arity int, flags Flag, since, cost, summary string, run func(*Ctx)) Command {
		return Command{Name: name, Arity: arity, Flags: flags, Group: group, Since: since, Cost: cost, Summary: summary, Run: run}
	}
	setUser := row("setuser", -3, Admin|open, "6.0.0", "O(N) where N is the number of rules given", "Makes a user, or changes one's rights.", aclSetUser)
	delUser := row("deluser", -3, Admin|open, "6.0.0", "O(N) where N is the number of connections", "Removes users and closes their connections.", aclDelUser)
	getUser := row("getuser", 3, Admin|open, "6.0.0", "O(N) where N is the number of the user's rules", "Tells a user's rights.", aclGetUser)
	save := row("save", 2, Admin|open, "6.0.0", users, "Writes all users to the ACL file.", aclSave)
	for _, r := range []*Command{&setUser, &delUser, &save} {
		r.Tips = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	}
	for _, r := range []*Command{&setUser, &delUser, &getUser} {
		r.Secret = afterSubcommand
	}
	return Command{Name: "acl", Arity: -2, Group: group, Since: "6.0.0", Cost: "depends on the subcommand",
		Summary: "Looks at and manages users and their rights.", Subs: []Command{
			row("cat", -2, open, "6.0.0", "O(N) where N is the number of commands", "Lists the categories, or the commands of one.", aclCat),
			delUser,
			row("dryrun", -4, Admin|open, "7.0.0", "O(1)", "Tells whether a user may run a command, without running it.", aclDryRun),
			row("genpass", -2, open, "6.0.0", "O(1)", "Makes up a password that nobody can guess.", aclGenPass),
			getUser,
			row("list", 2, Admin|open, "6.0.0", users, "Lists all users as lines of an ACL file.", aclList),
			row("load", 2, Admin|open, "6.0.0", users, "Replaces all users by those of the ACL file.", aclLoad),
			row("log", -2, Admin|open, "6.0.0", "O(N) where N is the number of entries shown", "Lists what was denied of late.", aclLog),
			save,
			setUser,
			row("users", 2, Admin|open, "6.0.0", users, "Lists the names of all users.", aclUsers),
			row("whoami", 2, open, "6.0.0", "O(1)", "Tells the name of the connection's user.", aclWhoAmI),
			row("help", 2, Loading|Stale, "6.0.0", "O(1)", "Explains the subcommands.", aclHelp),
		}}
}

// afterSubcommand is the Secret of subcommands all of whose arguments are.
func afterSubcommand(_ [][]byte, i int) bool { return i > 1 }

func aclWhoAmI(c *Ctx) { c.Out.BulkString(c.Session.account.Load().Name()) }

func aclUsers(c *Ctx) { c.replyStrings(c.users.Names()) }

func aclList(c *Ctx) { c.replyStrings(c.users.Lines()) }

// replyStrings replies an array of strings.
func (c *Ctx) replyStrings(list []string) {
	c.Out.Array(len(list))
	for _, s := range list {
		c.Out.BulkString(s)
	}
}

func aclSetUser(c *Ctx) {
	words := make([]string, 0, len(c.Args)-3)
	for _, a := range c.Args[3:] {
		words = append(words, string(a))
	}
	change, err := c.users.Set(string(c.Args[2]), words)
	if err != nil {
		c.Fail(err)
		return
	}
	c.disconnect(change)
	c.OK()
}

func aclDelUser(c *Ctx) {
	for _, name := range c.Args[2:] {
		if string(name) == acl.Default {
			c.FailText("ERR The 'default' user cannot be removed")
			return
		}
	}
	deleted := 0
	for _, name := range c.Args[2:] {
		if a := c.users.Delete(string(name)); a != nil {
			c.disconnect(acl.Change{Account: a})
			deleted++
		}
	}
	c.Out.Int(int64(deleted))
}

func aclGetUser(c *Ctx) {
	a := c.users.Get(string(c.Args[2]))
	if a == nil {
		c.Out.Null()
		return
	}
	user := a.User()
	selectors := user.Selectors()
	c.Out.Map(6)
	c.Out.BulkString("flags")
	flags := user.Flags()
	c.Out.Set(len(flags))
	for _, f := range flags {
		c.Out.BulkString(f)
	}
	c.Out.BulkString("passwords")
	c.replyStrings(user.Passwords())
	c.replySelector(selectors[0])
	c.Out.BulkString("selectors")
	c.Out.Array(len(selectors) - 1)
	for _, s := range selectors[1:] {
		c.Out.Map(3)
		c.replySelector(s)
	}
}

// replySelector tells three pairs of a map.
func (c *Ctx) replySelector(d acl.Description) {
	c.Out.BulkString("commands")
	c.Out.BulkString(d.Commands)
	c.Out.BulkString("keys")
	c.Out.BulkString(d.Keys)
	c.Out.BulkString("channels")
	c.Out.BulkString(d.Channels)
}

func aclCat(c *Ctx) {
	catalog := c.users.Catalog()
	switch len(c.Args) {
	case 2:
		c.replyStrings(catalog.Categories())
	case 3:
		category := catalog.Category(string(c.Args[2]))
		if category == 0 {
			c.FailText("ERR Unknown category '" + clip(string(c.Args[2]), 128) + "'")
			return
		}
		var names []string
		catalog.In(category, func(name string) { names = append(names, name) })
		c.replyStrings(names)
	default:
		c.wrongSub()
	}
}

// maxPassBits is the longest password of ACL GENPASS.
const maxPassBits = 4096

func aclGenPass(c *Ctx) {
	bits := int64(256)
	if len(c.Args) > 3 {
		c.wrongSub()
		return
	}
	if len(c.Args) == 3 {
		var err error
		if bits, err = c.IntArg(2); err != nil {
			c.Fail(err)
			return
		}
	}
	if bits <= 0 || bits > maxPassBits {
		c.FailText("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
		return
	}
	digits := (bits + 3) / 4
	raw := make([]byte, (digits+1)/2)
	_, _ = rand.Read(raw) // never fails
	c.Out.BulkString(hex.EncodeToString(raw)[:digits])
}

func aclDryRun(c *Ctx) {
	a := c.users.Get(string(c.Args[2]))
	if a == nil {
		c.FailText("ERR User '" + clip(string(c.Args[2]), len(c.Args[2])) + "' not found")
		return
	}
	args := c.Args[3:]
	row := c.Table.Find(args[0])
	if row != nil && row.Subs != nil && len(args) > 1 {
		row = row.sub(args[1])
	}
	switch {
	case row == nil:
		c.FailText("ERR Command '" + clip(string(args[0]), len(args[0])) + "' not found")
		return
	case row.Arity > 0 && row.Arity != len(args) || len(args) < -row.Arity:
		c.FailText("ERR wrong number of arguments for '" + row.full + "' command")
		return
	}
	var r acl.Request
	user := a.User()
	verdict := user.Check(row.request(&r, user, args))
	if verdict.Reason == acl.Allowed {
		c.OK()
		return
	}
	c.Out.BulkString(denial(verdict, a, row, args[verdict.Pos]))
}

// denial says what is denied to a user. Only ACL DRYRUN tells the key or channel.
func denial(v acl.Verdict, a *acl.Account, row *Command, word []byte) string {
	if v.Reason == acl.DeniedCommand {
		return "User " + a.Name() + " has no permissions to run the '" + row.full + "' command"
	}
	return "User " + a.Name() + " has no permissions to access the '" + string(word) + "' " + v.Reason.String()
}

func aclLog(c *Ctx) {
	count := int64(10)
	switch {
	case len(c.Args) > 3:
		c.wrongSub()
		return
	case len(c.Args) == 3 && c.Is(2, "RESET"):
		c.denied.log.Reset()
		c.OK()
		return
	case len(c.Args) == 3:
		var err error
		if count, err = c.IntArg(2); err != nil {
			c.Fail(err)
			return
		}
	}
	entries := c.denied.log.Last(int(max(count, 0)))
	c.Out.Array(len(entries))
	for i := range entries {
		c.replyDenial(&entries[i])
	}
}

func (c *Ctx) replyDenial(e *acl.Entry) {
	c.Out.Map(10)
	c.Out.BulkString("count")
	c.Out.Int(e.Count)
	for _, f := range [...][2]string{
		{"reason", e.Reason.String()}, {"context", e.Context.String()}, {"object", e.Object}, {"username", e.User},
	} {
		c.Out.BulkString(f[0])
		c.Out.BulkString(f[1])
	}
	c.Out.BulkString("age-seconds")
	c.Out.Double(float64(c.clock.Now().UnixMilli()-e.Updated.UnixMilli()) / 1000)
	c.Out.BulkString("client-info")
	c.Out.BulkString(e.Client)
	c.Out.BulkString("entry-id")
	c.Out.Int(e.ID)
	c.Out.BulkString("timestamp-created")
	c.Out.Int(e.Created.UnixMilli())
	c.Out.BulkString("timestamp-last-updated")
	c.Out.Int(e.Updated.UnixMilli())
}

const errNoACLFile engine.Error = "ERR This instance is not configured to use an ACL file. You may want to specify users via the " +
	"ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in " +
	"the configuration."

func aclLoad(c *Ctx) {
	if c.Config.Settings().ACLFile == "" {
		c.Fail(errNoACLFile)
		return
	}
	changes, err := c.loadACLFile()
	if err != nil {
		c.Fail(err)
		return
	}
	c.disconnect(changes...)
	c.OK()
}

func aclSave(c *Ctx) {
	if c.Config.Settings().ACLFile == "" {
		c.Fail(errNoACLFile)
		return
	}
	if err := c.saveACLFile(strings.Join(c.users.Lines(), "\n") + "\n"); err != nil {
		c.FailText("ERR There was an error trying to save the ACLs. Please check the server logs for more information")
		return
	}
	c.OK()
}

func aclHelp(c *Ctx) {
	c.help("ACL", "CAT [<category>]", "    The commands of a category, or all categories.",
		"DELUSER <username> [<username> ...]", "    Remove users and close their connections.",
		"DRYRUN <username> <command> [<arg> ...]", "    Whether the user may run the command, which is not run.",
		"GENPASS [<bits>]", "    A password that nobody can guess, of 256 bits by default.",
		"GETUSER <username>", "    The user's rights.",
		"LIST", "    All users as lines of an ACL file.",
		"LOAD", "    Replace all users by those of the ACL file.",
		"LOG [<count> | RESET]", "    What was denied of late; or forget it.",
		"SAVE", "    Write all users to the ACL file.",
		"SETUSER <username> <attribute> [<attribute> ...]", "    Make a user, or change one's rights.",
		"USERS", "    The names of all users.",
		"WHOAMI", "    The name of this connection's user.")
}
