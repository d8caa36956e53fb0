package command

import (
	"strconv"

	"github.com/larderdb/larder/internal/glob"
)

func commandRows() Command {
	const group = "server"
	row := func(name string, arity int, flags Flag, since, cost, summary string, run func(*Ctx)) Command {
		return Command{Name: name, Arity: arity, Flags: Loading | Stale | flags, ACL: CatConnection,
			Group: group, Since: since, Cost: cost, Summary: summary, Run: run}
	}
	list := row("list", -2, 0, "7.0.0", "O(N) where N is the number of commands", "Names the commands.", commandList)
	list.Tips = []string{"nondeterministic_output_order"}
	inf := row("info", -2, 0, "2.8.13", "O(N) where N is the number of commands asked for", "Gives the facts of commands.", commandInfo)
	inf.Tips = []string{"nondeterministic_output_order"}
	docs := row("docs", -2, 0, "7.0.0", "O(N) where N is the number of commands asked for", "Documents commands.", commandDocs)
	docs.Tips = []string{"nondeterministic_output_order"}
	return Command{Name: "command", Arity: -1, Flags: Loading | Stale, ACL: CatConnection, Group: group, Since: "2.8.13",
		Cost: "O(N) where N is the number of commands", Summary: "Gives the facts of all commands.",
		Tips: []string{"nondeterministic_output_order"}, Run: commandAll,
		Subs: []Command{
			row("count", 2, 0, "2.8.13", "O(1)", "Counts the commands.", commandCount),
			list, inf, docs,
			row("getkeys", -3, 0, "2.8.13", "O(N) where N is the number of words", "Finds the keys in a command's words.", commandGetKeys),
			row("getkeysandflags", -3, 0, "7.0.0", "O(N) where N is the number of words", "Finds the keys in a command's words and what is done with them.", commandGetKeysAndFlags),
			row("help", 2, 0, "5.0.0", "O(1)", "Explains the subcommands.", commandHelp),
		}}
}

func commandAll(c *Ctx) {
	c.Out.Array(len(c.Table.rows))
	for _, r := range c.Table.rows {
		c.replyInfo(r)
	}
}

func commandCount(c *Ctx) { c.Out.Int(int64(len(c.Table.rows))) }

// named finds a row by its name or by parent|name.
func (t *Table) named(name []byte) *Command {
	for i, b := range name {
		if b == '|' {
			if parent := t.Find(name[:i]); parent != nil {
				return parent.sub(name[i+1:])
			}
			return nil
		}
	}
	return t.Find(name)
}

func commandInfo(c *Ctx) {
	if len(c.Args) == 2 {
		commandAll(c)
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if r := c.Table.named(name); r != nil {
			c.replyInfo(r)
		} else {
			c.Out.Null()
		}
	}
}

// replyInfo tells a row as COMMAND INFO does.
func (c *Ctx) replyInfo(r *Command) {
	first, last, step, _ := r.legacyRange()
	c.Out.Array(10)
	c.Out.BulkString(r.full)
	c.Out.Int(int64(r.Arity))
	c.replyNames(flagNames[:], "", uint32(r.Flags))
	c.Out.Int(int64(first))
	c.Out.Int(int64(last))
	c.Out.Int(int64(step))
	c.replyNames(categoryNames[:], "@", uint32(r.categories()))
	c.Out.Array(len(r.Tips))
	for _, t := range r.Tips {
		c.Out.BulkString(t)
	}
	c.Out.Array(len(r.Keys))
	for i := range r.Keys {
		c.replySpec(&r.Keys[i])
	}
	c.Out.Array(len(r.Subs))
	for i := range r.Subs {
		c.replyInfo(&r.Subs[i])
	}
}

// replyNames tells the names of the bits that are set.
func (c *Ctx) replyNames(names []string, prefix string, bits uint32) {
	n := 0
	for i := range names {
		if bits&(1<<i) != 0 {
			n++
		}
	}
	c.Out.Set(n)
	for i, name := range names {
		if bits&(1<<i) != 0 {
			c.Out.Simple(prefix + name)
		}
	}
}

// legacyRange is the first key, last key and step of COMMAND INFO before key
// specs. movable tells that there are keys which they do not find.
func (r *Command) legacyRange() (first, last, step int, movable bool) {
	for _, s := range r.Keys {
		goesOn := first == 0 || step == 1 && s.Step == 1 && last >= 0 && s.Begin == last+1
		if s.Keyword != "" || s.NumKeys || s.Unknown || !goesOn {
			movable = true
			continue
		}
		if first == 0 {
			first, step = s.Begin, max(s.Step, 1)
		}
		if last = s.Last; last >= 0 {
			last += s.Begin
		}
		movable = movable || s.Flags&Incomplete != 0
	}
	return first, last, step, movable
}

func (c *Ctx) replySpec(s *KeySpec) {
	n := 3
	if s.Notes != "" {
		n = 4
	}
	c.Out.Map(n)
	if s.Notes != "" {
		c.Out.BulkString("notes")
		c.Out.BulkString(s.Notes)
	}
	c.Out.BulkString("flags")
	c.replyNames(keyFlagNames[:], "", uint32(s.Flags))
	c.Out.BulkString("begin_search")
	if s.Unknown {
		c.replyKeyed("unknown")
		c.Out.BulkString("find_keys")
		c.replyKeyed("unknown")
		return
	}
	if s.Keyword == "" {
		c.replyKeyed("index", "index", s.Begin)
	} else {
		c.Out.Map(2)
		c.Out.BulkString("type")
		c.Out.BulkString("keyword")
		c.Out.BulkString("spec")
		c.Out.Map(2)
		c.Out.BulkString("keyword")
		c.Out.BulkString(s.Keyword)
		c.Out.BulkString("startfrom")
		c.Out.Int(int64(s.Begin))
	}
	c.Out.BulkString("find_keys")
	if s.NumKeys {
		c.replyKeyed("keynum", "keynumidx", s.NumIdx, "firstkey", s.First, "keystep", s.Step)
	} else {
		c.replyKeyed("range", "lastkey", s.Last, "keystep", s.Step, "limit", s.Limit)
	}
}

// replyKeyed tells {type: kind, spec: {name: number, ...}}.
func (c *Ctx) replyKeyed(kind string, pairs ...any) {
	c.Out.Map(2)
	c.Out.BulkString("type")
	c.Out.BulkString(kind)
	c.Out.BulkString("spec")
	c.Out.Map(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		n, _ := pairs[i+1].(int)
		c.Out.BulkString(name)
		c.Out.Int(int64(n))
	}
}

func commandList(c *Ctx) {
	keep := func(*Command) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 5 && c.Is(2, "FILTERBY") && c.Is(3, "MODULE"):
		keep = func(*Command) bool { return false }
	case len(c.Args) == 5 && c.Is(2, "FILTERBY") && c.Is(3, "ACLCAT"):
		want := categoryOf(string(lower(nil, c.Args[4])))
		keep = func(r *Command) bool { return r.categories()&want != 0 }
	case len(c.Args) == 5 && c.Is(2, "FILTERBY") && c.Is(3, "PATTERN"):
		pattern := c.Args[4]
		keep = func(r *Command) bool { return glob.Match(pattern, []byte(r.full), true) }
	default:
		c.Fail(errSyntax)
		return
	}
	var names []string
	c.Table.Visit(func(full string, r *Command) {
		if keep(r) {
			names = append(names, full)
		}
	})
	c.Out.Array(len(names))
	for _, n := range names {
		c.Out.BulkString(n)
	}
}

func categoryOf(name string) Category {
	for i, n := range categoryNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

func commandDocs(c *Ctx) {
	var rows []*Command
	if len(c.Args) == 2 {
		rows = c.Table.rows
	}
	for _, name := range c.Args[2:] {
		if r := c.Table.named(name); r != nil {
			rows = append(rows, r)
		}
	}
	c.Out.Map(len(rows))
	for _, r := range rows {
		c.Out.BulkString(r.full)
		c.replyDocs(r)
	}
}

func (c *Ctx) replyDocs(r *Command) {
	facts := [][2]string{{"summary", r.Summary}, {"since", r.Since}, {"group", r.Group}}
	if r.Cost != "" {
		facts = append(facts, [2]string{"complexity", r.Cost})
	}
	var flags []string
	if r.Outdated != "" {
		flags = append(flags, "deprecated")
	}
	if r.Flags&SysCmd != 0 {
		flags = append(flags, "syscmd")
	}
	n := len(facts)
	if flags != nil {
		n++
	}
	if r.Outdated != "" {
		n += 2
	}
	args := c.Table.syntax.arguments(r.full)
	for _, there := range []bool{r.Subs != nil, args != nil} {
		if there {
			n++
		}
	}
	c.Out.Map(n)
	c.bulks(facts)
	if flags != nil {
		c.Out.BulkString("doc_flags")
		c.Out.Set(len(flags))
		for _, f := range flags {
			c.Out.Simple(f)
		}
	}
	if r.Outdated != "" {
		c.Out.BulkString("deprecated_since")
		c.Out.BulkString(r.Outdated)
		c.Out.BulkString("replaced_by")
		c.Out.BulkString(r.Instead)
	}
	if args != nil {
		c.Out.BulkString("arguments")
		c.replyArguments(args)
	}
	if r.Subs != nil {
		c.Out.BulkString("subcommands")
		c.Out.Map(len(r.Subs))
		for i := range r.Subs {
			c.Out.BulkString(r.Subs[i].full)
			c.replyDocs(&r.Subs[i])
		}
	}
}

// keysOf finds the keys in the words from argument 2 on; it replies the error where there are none.
func (c *Ctx) keysOf() (at []int, flags []KeyFlag, ok bool) {
	args := c.Args[2:]
	r := c.Table.Find(args[0])
	if r != nil && r.Subs != nil && len(args) > 1 {
		r = r.sub(args[1])
	}
	switch {
	case r == nil:
		c.FailText("ERR Invalid command specified")
		return nil, nil, false
	case len(r.Keys) == 0:
		c.FailText("ERR The command has no key arguments")
		return nil, nil, false
	case r.Arity >= 0 && len(args) != r.Arity || len(args) < -r.Arity:
		c.FailText("ERR Invalid number of arguments specified for command")
		return nil, nil, false
	}
	ok = r.eachKey(args, func(i int, f KeyFlag) {
		if f&VariableFlags != 0 && r.KeyUse != nil {
			f = r.KeyUse(args)
		}
		if f&NotKey == 0 {
			at, flags = append(at, i+2), append(flags, f)
		}
	})
	if (!ok || len(at) == 0) && r.Flags&NoMandatoryKeys != 0 {
		return nil, nil, true
	}
	if !ok || len(at) == 0 {
		c.FailText("ERR Invalid arguments specified for command")
		return nil, nil, false
	}
	return at, flags, true
}

func commandGetKeys(c *Ctx) {
	at, _, ok := c.keysOf()
	if !ok {
		return
	}
	c.Out.Array(len(at))
	for _, i := range at {
		c.Out.Bulk(c.Args[i])
	}
}

func commandGetKeysAndFlags(c *Ctx) {
	at, flags, ok := c.keysOf()
	if !ok {
		return
	}
	c.Out.Array(len(at))
	for n, i := range at {
		c.Out.Array(2)
		c.Out.Bulk(c.Args[i])
		c.replyNames(keyFlagNames[:], "", uint32(flags[n]))
	}
}

func commandHelp(c *Ctx) {
	c.help("COMMAND", "(no subcommand)", "    The facts of all commands.",
		"COUNT", "    How many there are.",
		"DOCS [<command> ...]", "    Their documentation.",
		"GETKEYS <command> [<arg> ...]", "    The keys in the words of a command.",
		"GETKEYSANDFLAGS <command> [<arg> ...]", "    The same, with what is done with each key.",
		"INFO [<command> ...]", "    The facts of commands.",
		"LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]", "    Their names: "+strconv.Itoa(len(c.Table.rows))+" without subcommands.")
}
