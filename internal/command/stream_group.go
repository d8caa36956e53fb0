package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

func streamGroupRows() []Command {
	const (
		acl   = CatStream
		group = "stream"
	)
	key := func(f KeyFlag) []KeySpec { return []KeySpec{KeyAt(f, 2)} }
	help := func(run func(c *Ctx)) Command {
		return Command{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: acl, Group: group, Since: "5.0.0", Cost: "O(1)",
			Summary: "Explains the subcommands.", Run: run}
	}
	return []Command{
		{Name: "xgroup", Arity: -2, Group: group, Since: "5.0.0", Cost: "Depends on subcommand.", Summary: "A container of commands about consumer groups.", Subs: []Command{
			{Name: "create", Arity: -5, Flags: Write | DenyOOM, ACL: acl, Keys: key(RW | Insert), Group: group, Since: "5.0.0",
				Cost: "O(log G) where G is the number of groups", Summary: "Makes a consumer group.", Run: xgroupCreate},
			{Name: "setid", Arity: -5, Flags: Write, ACL: acl, Keys: key(RW | Update), Group: group, Since: "5.0.0",
				Cost: "O(log G)", Summary: "Sets the ID behind which a group goes on.", Run: xgroupSetID},
			{Name: "destroy", Arity: 4, Flags: Write, ACL: acl, Keys: key(RW | Delete), Group: group, Since: "5.0.0",
				Cost: "O(N) where N is the number of pending entries", Summary: "Removes a consumer group.", Run: xgroupDestroy},
			{Name: "createconsumer", Arity: 5, Flags: Write | DenyOOM, ACL: acl, Keys: key(RW | Insert), Group: group, Since: "6.2.0",
				Cost: "O(log C) where C is the number of consumers", Summary: "Makes a consumer.", Run: xgroupCreateConsumer},
			{Name: "delconsumer", Arity: 5, Flags: Write, ACL: acl, Keys: key(RW | Delete), Group: group, Since: "5.0.0",
				Cost: "O(N log N) where N is the number of entries pending for it", Summary: "Removes a consumer.", Run: xgroupDelConsumer},
			help(xgroupHelp),
		}},
		{Name: "xinfo", Arity: -2, Group: group, Since: "5.0.0", Cost: "Depends on subcommand.", Summary: "A container of commands that describe streams.", Subs: []Command{
			{Name: "consumers", Arity: 4, Flags: ReadOnly, ACL: acl, Keys: key(RO | Access), Group: group, Since: "5.0.0",
				Cost: "O(C) where C is the number of consumers", Summary: "Lists the consumers of a group.", Tips: []string{"nondeterministic_output"}, Run: xinfoConsumers},
			{Name: "groups", Arity: 3, Flags: ReadOnly, ACL: acl, Keys: key(RO | Access), Group: group, Since: "5.0.0",
				Cost: "O(G log N) where G is the number of groups", Summary: "Lists the consumer groups.", Run: xinfoGroups},
			{Name: "stream", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: key(RO | Access), Group: group, Since: "5.0.0",
				Cost: "O(log N), and O(N) for its leaves", Summary: "Describes a stream.", Run: xinfoStream},
			help(xinfoHelp),
		}},
		{Name: "xack", Arity: -4, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "5.0.0",
			Cost: "O(log N) for each ID", Summary: "Acknowledges entries: they are pending no longer.", Run: xack},
		{Name: "xackdel", Arity: -6, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "8.2.0",
			Cost:    "O(G log N) for each ID, where G is the number of groups",
			Summary: "Acknowledges entries and removes them from the stream.", Run: xackDel},
	}
}

const (
	errReadCounter engine.Error = "ERR value for ENTRIESREAD must be positive or -1"
	errBusyGroup   engine.Error = "BUSYGROUP Consumer Group name already exists"
	errGroupNoKey  engine.Error = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM " +
		"option to create an empty stream automatically."
)

// noGroupOf refuses a group that is not there.
func noGroupOf(group, key []byte) engine.Error {
	return engine.Error("NOGROUP No such consumer group '" + cText(group) + "' for key name '" + cText(key) + "'")
}

// noGroup refuses a group of which the key may be missing, too.
func noGroup(key, group []byte) engine.Error {
	return engine.Error("NOGROUP No such key '" + cText(key) + "' or consumer group '" + cText(group) + "'")
}

// groupArgs are the options of XGROUP CREATE and SETID.
type groupArgs struct {
	mkStream bool
	read     int64
}

// groupArgs reads [MKSTREAM] [ENTRIESREAD n]; ok is false when the refusal is replied.
func (c *Ctx) groupArgs(create bool) (a groupArgs, ok bool) {
	a.read = stream.Unknown
	for i := 5; i < len(c.Args); i++ {
		switch {
		case create && c.Is(i, "MKSTREAM"):
			a.mkStream = true
		case i+1 < len(c.Args) && c.Is(i, "ENTRIESREAD"):
			i++
			n, err := c.IntArg(i)
			if err == nil && n < 0 && n != stream.Unknown {
				err = errReadCounter
			}
			if err != nil {
				c.Fail(err)
				return a, false
			}
			a.read = n
		default:
			c.wrongSub()
			return a, false
		}
	}
	return a, true
}

// groupStream opens the stream of an XGROUP subcommand to change it, with the group if it has to be there; ok is false
// when a refusal is replied.
func (c *Ctx) groupStream(group bool) (s *stream.Stream, g stream.Group, ok bool) {
	e, ok := c.Edit(2, engine.Stream)
	if !ok {
		return nil, g, false
	}
	if e == nil {
		c.Fail(errGroupNoKey)
		return nil, g, false
	}
	opened := stream.Edit(e)
	if g, ok = opened.Group(c.Args[3]); group && !ok {
		c.Fail(noGroupOf(c.Args[3], c.Args[2]))
		return nil, g, false
	}
	return &opened, g, true
}

func xgroupCreate(c *Ctx) {
	a, ok := c.groupArgs(true)
	if !ok {
		return
	}
	e, ok := c.Edit(2, engine.Stream)
	if !ok {
		return
	}
	var s stream.Stream
	switch {
	case e != nil:
		s = stream.Edit(e)
	case !a.mkStream:
		c.Fail(errGroupNoKey)
		return
	}
	if len(c.Args) > 8 {
		c.wrongSub()
		return
	}
	last := s.LastID
	if string(c.Args[4]) != "$" {
		var err error
		if last, err = c.streamID(4, 0); err != nil {
			c.Fail(err)
			return
		}
	}
	if e == nil {
		s = stream.Edit(c.newStream(2))
	}
	if !s.CreateGroup(c.Args[3], last, a.read) {
		c.Fail(errBusyGroup)
		return
	}
	s.Save()
	c.Tx.Changed(c.Args[2], engine.EventXGroupCreate)
	c.OK()
}

func xgroupSetID(c *Ctx) {
	a, ok := c.groupArgs(false)
	if !ok {
		return
	}
	s, g, ok := c.groupStream(true)
	switch {
	case !ok:
		return
	case len(c.Args) != 5 && len(c.Args) != 7:
		c.wrongSub()
		return
	}
	last := s.LastID
	if string(c.Args[4]) != "$" {
		if last, ok = stream.ParseBound(c.Args[4], 0); !ok {
			c.Fail(errStreamID)
			return
		}
	}
	g.LastID, g.Read = last, a.read
	g.Save()
	c.Tx.Changed(c.Args[2], engine.EventXGroupSetID)
	c.OK()
}

func xgroupDestroy(c *Ctx) {
	s, _, ok := c.groupStream(false)
	if !ok {
		return
	}
	gone := s.DestroyGroup(c.Args[3])
	if gone {
		s.Save()
		c.Tx.Changed(c.Args[2], engine.EventXGroupDestroy)
	}
	c.Bool(gone)
}

func xgroupCreateConsumer(c *Ctx) {
	s, g, ok := c.groupStream(true)
	if !ok {
		return
	}
	_, created := g.CreateConsumer(c.Args[4], c.Tx.Now())
	if created {
		s.Save()
		c.Tx.Changed(c.Args[2], engine.EventXConsumerCreate)
	}
	c.Bool(created)
}

func xgroupDelConsumer(c *Ctx) {
	s, g, ok := c.groupStream(true)
	if !ok {
		return
	}
	n, ok := g.DeleteConsumer(c.Args[4])
	if ok {
		s.Save()
		c.Tx.Changed(c.Args[2], engine.EventXConsumerDelete)
	}
	c.Out.Int(int64(n))
}

func xgroupHelp(c *Ctx) {
	c.help("XGROUP", "CREATE <key> <groupname> <id|$> [option]",
		"    Make a consumer group. Options are:",
		"    * MKSTREAM",
		"      Make an empty stream where there is none.",
		"    * ENTRIESREAD entries_read",
		"      How many entries the group has come past.",
		"CREATECONSUMER <key> <groupname> <consumer>",
		"    Make a consumer.",
		"DELCONSUMER <key> <groupname> <consumer>",
		"    Remove a consumer and what is pending for it.",
		"DESTROY <key> <groupname>",
		"    Remove a consumer group.",
		"SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
		"    Set the ID behind which a group goes on.")
}

func xack(c *Ctx) {
	s, g, ok := c.readGroupAt(1)
	if !ok {
		return
	}
	if s == nil {
		c.Out.Int(0)
		return
	}
	ids, err := c.streamIDs(3)
	if err != nil {
		c.Fail(err)
		return
	}
	n := int64(0)
	for _, id := range ids {
		if g.Ack(id) {
			n++
			c.Tx.Remembered()
		}
	}
	g.Save()
	c.Out.Int(n)
}

// readGroupAt opens the stream of an argument and the group of the next one, to change the group; s is nil if one of them
// is missing, ok false if the type was wrong and the error is replied.
func (c *Ctx) readGroupAt(i int) (s *stream.Stream, g *stream.Group, ok bool) {
	e, ok := c.Read(i, engine.Stream)
	if !ok || e == nil {
		return nil, nil, ok
	}
	opened := stream.Edit(e)
	group, found := opened.Group(c.Args[i+1])
	if !found {
		return nil, nil, true
	}
	return &opened, &group, true
}
