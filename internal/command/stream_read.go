package command

import (
	"slices"
	"time"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

func streamReadRows() []Command {
	const (
		acl   = CatStream
		group = "stream"
	)
	return []Command{
		{Name: "xread", Arity: -4, Flags: Blocking | ReadOnly, ACL: acl, Keys: []KeySpec{{Flags: RO | Access, Begin: 1, Keyword: "STREAMS", Last: -1, Step: 1, Limit: 2}},
			KeysAt: streamKeys, Group: group, Since: "5.0.0", Cost: "O(log N + M) for each stream, where M is the number of entries answered",
			Summary: "Reads entries after given IDs from several streams, or waits for some.", Run: xread},
		{Name: "xreadgroup", Arity: -7, Flags: Blocking | Write, ACL: acl, Keys: []KeySpec{{Flags: RO | Access, Begin: 4, Keyword: "STREAMS", Last: -1, Step: 1, Limit: 2}},
			KeysAt: streamKeys, Group: group, Since: "5.0.0", Cost: "O(log N + M) for each stream, where M is the number of entries answered",
			Summary: "Reads entries for a consumer of a group, new ones or those not acknowledged, or waits for some.", Run: xread},
	}
}

const (
	errGroupOption engine.Error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	errNoAckOption engine.Error = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	errNoGroup     engine.Error = "ERR Missing GROUP option for XREADGROUP"
	errNewInRead   engine.Error = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	errTopIsZero   engine.Error = "ERR the stream last element ID is 0-0"

	meaningless = " ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, " +
		"or use the > ID to get new messages. The "
	errLastInGroup engine.Error = "ERR The $" + meaningless + "$ ID would just return an empty result set."
	errTopInGroup  engine.Error = "ERR The +" + meaningless + "+ ID would just return an empty result set."
)

// streamKeys tells where the keys of XREAD and XREADGROUP are: the word STREAMS may also be the name of a group.
func streamKeys(args [][]byte) (first, n int) {
	for i := 1; i < len(args); i++ {
		switch {
		case isWord(args[i], "BLOCK"), isWord(args[i], "COUNT"):
			i++
		case isWord(args[i], "GROUP"):
			i += 2
		case isWord(args[i], "NOACK"):
		case isWord(args[i], "STREAMS"):
			if rest := len(args) - i - 1; rest%2 == 0 {
				return i + 1, rest / 2
			}
			return 0, 0
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// readArgs are the arguments of XREAD and XREADGROUP.
type readArgs struct {
	blocks          bool
	timeout         time.Duration
	count           int64 // 0: all
	noAck           bool
	grouped         bool
	group, consumer []byte
	keys, ids       [][]byte
}

// readArgs reads [GROUP group consumer] [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...
func (c *Ctx) readArgs() (a readArgs, err error) {
	byGroup := c.Row.Name == "xreadgroup"
	for i := 1; i < len(c.Args) && a.keys == nil && err == nil; i++ {
		switch more := len(c.Args) - i - 1; {
		case more > 0 && c.Is(i, "BLOCK"):
			i++
			a.blocks = true
			a.timeout, err = c.millisArg(i)
		case more > 0 && c.Is(i, "COUNT"):
			i++
			a.count, err = c.IntArg(i)
			a.count = max(a.count, 0)
		case more > 0 && c.Is(i, "STREAMS"):
			if more%2 != 0 {
				return a, c.unbalanced()
			}
			a.keys, a.ids = c.Args[i+1:i+1+more/2], c.Args[i+1+more/2:]
		case more > 1 && c.Is(i, "GROUP"):
			if !byGroup {
				return a, errGroupOption
			}
			a.grouped, a.group, a.consumer = true, c.Args[i+1], c.Args[i+2]
			i += 2
		case c.Is(i, "NOACK"):
			if !byGroup {
				return a, errNoAckOption
			}
			a.noAck = true
		default:
			return a, errSyntax
		}
	}
	switch {
	case err != nil:
	case a.keys == nil:
		err = errSyntax
	case byGroup && !a.grouped:
		err = errNoGroup
	}
	return a, err
}

func (c *Ctx) unbalanced() error {
	symbol := "$"
	if c.Row.Name == "xreadgroup" {
		symbol = ">"
	}
	return engine.Error("ERR Unbalanced '" + c.Row.full + "' list of streams: for each stream key an ID or '" + symbol + "' must be specified.")
}

// xread is XREAD and XREADGROUP.
func xread(c *Ctx) {
	a, err := c.readArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	if !a.blocks {
		if !c.tryRead(&a) {
			c.Out.NullArray()
		}
		return
	}
	c.fixLast(&a)
	c.orWait(waiting{keys: a.keys, kind: engine.Stream, gone: a.grouped, timeout: a.timeout, try: func(c *Ctx) bool {
		a, err := c.readArgs() // again: the words are others after a wait
		if err != nil {
			c.Fail(err)
			return true
		}
		return c.tryRead(&a)
	}})
}

// fixLast puts the last IDs of now in the place of "$", since what comes while the command waits is behind them. What is
// wrong with a key is found out by tryRead.
func (c *Ctx) fixLast(a *readArgs) {
	first := len(c.Args) - len(a.ids)
	copied := false
	for i, word := range a.ids {
		if string(word) != "$" || a.grouped {
			continue
		}
		last := stream.ID{}
		if e := c.Tx.Lookup(a.keys[i], engine.NoStats|engine.NoTouch); e != nil {
			if engine.Kind(e.Kind()) != engine.Stream {
				continue
			}
			s := stream.Open(e)
			last = s.LastID
		}
		if !copied {
			c.Args, copied = slices.Clone(c.Args), true
		}
		c.Args[first+i] = idWord(last)
		c.Tx.Step()
	}
	a.keys = c.Args[first-len(a.ids) : first]
}

// source is one stream of XREAD or XREADGROUP.
type source struct {
	key     []byte
	after   stream.ID // entries behind it are asked for; the greatest ID is ">"
	history bool      // of the consumer, instead of new entries
	serves  bool
}

// tryRead replies what there is to read, and reports whether it has replied.
func (c *Ctx) tryRead(a *readArgs) bool {
	from := make([]source, len(a.keys))
	for i := range from {
		if err := c.source(&from[i], a, i); err != nil {
			c.Fail(err)
			return true
		}
		c.Tx.Step()
	}
	n := c.choose(from, a)
	if n > 0 {
		c.replySources(n)
	}
	for i := range from {
		if a.grouped {
			c.readGroup(&from[i], a)
		} else if from[i].serves {
			c.readEntries(&from[i], a)
		}
		c.Tx.Step()
	}
	return n > 0
}

// replySources begins the reply of n streams.
func (c *Ctx) replySources(n int) {
	if c.Out.Proto() > 2 {
		c.Out.Map(n)
	} else {
		c.Out.Array(n)
	}
}

// replySource begins the reply of one stream.
func (c *Ctx) replySource(key []byte) {
	if c.Out.Proto() == 2 {
		c.Out.Array(2)
	}
	c.Out.Bulk(key)
}

// source finds out what is asked for of the i-th key.
func (c *Ctx) source(from *source, a *readArgs, i int) error {
	from.key = a.keys[i]
	e, err := c.Tx.FindKind(from.key, engine.Stream)
	if err != nil {
		return err
	}
	var s stream.Stream
	if e != nil {
		s = stream.Open(e)
	}
	if _, found := s.Group(a.group); a.grouped && !found {
		return engine.Error("NOGROUP No such key '" + cText(from.key) + "' or consumer group '" + cText(a.group) +
			"' in XREADGROUP with GROUP option")
	}
	var ok bool
	switch string(a.ids[i]) {
	case "$":
		if a.grouped {
			return errLastInGroup
		}
		from.after = s.LastID
	case "+":
		if a.grouped {
			return errTopInGroup
		}
		if e == nil {
			break
		}
		if from.after, ok = s.LastID.Prev(); !ok {
			return errTopIsZero
		}
	case ">":
		if !a.grouped {
			return errNewInRead
		}
		from.after = stream.MaxID()
	default:
		if from.after, ok = stream.ParseID(a.ids[i], 0); !ok {
			return errStreamID
		}
	}
	from.history = a.grouped && from.after != stream.MaxID()
	return nil
}

// choose decides which streams have something to reply, and returns how many.
func (c *Ctx) choose(from []source, a *readArgs) (n int) {
	var named map[string]int64 // how often a key was named, as its new entries go to the first
	if a.grouped && len(from) > 1 {
		named = make(map[string]int64, len(from))
	}
	for i := range from {
		f := &from[i]
		e := c.Tx.Lookup(f.key, engine.NoStats|engine.NoTouch)
		if e == nil {
			continue
		}
		s := stream.Open(e)
		switch {
		case f.history:
			f.serves = true
		case a.grouped:
			g, _ := s.Group(a.group)
			f.serves = s.Len() > 0 && g.LastID.Less(s.TopID()) && !taken(&s, &g, named[string(f.key)], a.count)
			if named != nil {
				named[string(f.key)]++
			}
		default:
			f.serves = s.Len() > 0 && f.after.Less(s.TopID())
		}
		if f.serves {
			n++
		}
		c.Tx.Step()
	}
	return n
}

// taken tells whether all new entries will be gone when the same key was named some times before.
func taken(s *stream.Stream, g *stream.Group, times, count int64) bool {
	if times == 0 || count == 0 {
		return times > 0
	}
	next, _ := g.LastID.Next()
	return count >= (int64(s.Count(next, stream.MaxID()))+times-1)/times
}

func (c *Ctx) readEntries(from *source, a *readArgs) {
	s := stream.Open(c.Tx.Lookup(from.key, engine.NoStats|engine.NoTouch))
	c.replySource(from.key)
	next, _ := from.after.Next()
	c.entries(&s, next, stream.MaxID(), a.count, false)
}

// readGroup gives a consumer what it asks for. The consumer is created, and seen, even if that is nothing.
func (c *Ctx) readGroup(from *source, a *readArgs) {
	s := stream.Edit(c.Tx.Lookup(from.key, engine.NoStats|engine.NoTouch))
	g, _ := s.Group(a.group)
	now := c.Tx.Now()
	m, created := g.CreateConsumer(a.consumer, now)
	if created {
		c.Tx.Changed(from.key, engine.EventXConsumerCreate)
	}
	m.Seen = now
	d := delivery{c: c, s: &s, g: &g, to: &m, key: from.key, group: a.group}
	switch {
	case !from.serves:
	case from.history:
		c.replySource(from.key)
		d.again(from.after, a.count)
	default:
		c.replySource(from.key)
		d.fresh(a.count, a.noAck)
	}
	m.Save()
	g.Save()
	s.Save()
	if from.serves {
		c.Tx.Remembered()
	}
	if claims := from.serves && !from.history && !a.noAck; created && !claims { // XCLAIM makes the consumer, too
		c.Tx.Effect(words("XGROUP"), words("CREATECONSUMER"), from.key, a.group, a.consumer)
	}
}

// consumerCreated tells that a command made a consumer on its way.
func (c *Ctx) consumerCreated(key, group, name []byte) {
	c.Tx.Changed(key, engine.EventXConsumerCreate)
	if c.Tx.Journaling() {
		c.Tx.Effect(words("XGROUP"), words("CREATECONSUMER"), key, group, name)
	}
}
