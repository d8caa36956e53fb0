package command

import (
	"slices"
	"sync/atomic"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// subscriptions are the channels and patterns of one session. It is the
// engine's Subscriber: Deliver may be called from any goroutine.
type subscriptions struct {
	owner    *Session
	channels map[string]struct{}
	patterns map[string]struct{}
	sharded  shardSubscriptions
	listens  atomic.Bool // it has any of them; for whoever sends invalidations to it
}

// shardSubscriptions are the sharded channels of one session, and their Subscriber.
type shardSubscriptions struct {
	owner    *Session
	channels map[string]struct{}
}

func (s *subscriptions) init(owner *Session) { s.owner, s.sharded.owner = owner, owner }

// count is what confirmations tell of channels and patterns; those of sharded channels tell theirs.
func (s *subscriptions) count() int { return len(s.channels) + len(s.patterns) }

func (s *subscriptions) any() bool { return s.count()+len(s.sharded.channels) > 0 }

// listener is a subscriber that is a client.
type listener interface{ session() *Session }

func (s *subscriptions) session() *Session      { return s.owner }
func (s *shardSubscriptions) session() *Session { return s.owner }

// Deliver implements engine.Subscriber: the message goes to the connection's output.
func (s *subscriptions) Deliver(pattern, channel, payload []byte) {
	s.owner.client.Push(func(out *resp.Writer) {
		if pattern == nil {
			out.Push(3)
			out.BulkString("message")
		} else {
			out.Push(4)
			out.BulkString("pmessage")
			out.Bulk(pattern)
		}
		out.Bulk(channel)
		out.Bulk(payload)
	})
}

// Deliver implements engine.Subscriber.
func (s *shardSubscriptions) Deliver(_, channel, payload []byte) {
	s.owner.client.Push(func(out *resp.Writer) {
		out.Push(3)
		out.BulkString("smessage")
		out.Bulk(channel)
		out.Bulk(payload)
	})
}

// dropAll leaves everything without a word to the client.
func (s *subscriptions) dropAll() {
	hub := &s.owner.p.Engine.Hub
	for c := range s.channels {
		hub.Unsubscribe(s, c)
	}
	for p := range s.patterns {
		hub.PUnsubscribe(s, p)
	}
	for c := range s.sharded.channels {
		hub.SUnsubscribe(&s.sharded, c)
	}
	s.channels, s.patterns, s.sharded.channels = nil, nil, nil
	s.changed()
}

// changed tells the connection whether it has subscriptions.
func (s *subscriptions) changed() {
	on := s.any()
	s.listens.Store(on)
	if s.owner.client != nil {
		s.owner.client.SetPubSub(on || s.owner.monitors)
	}
}

func pubsubRows() []Command {
	const quiet = NoScript | Loading | Stale | PubSub
	return []Command{
		{Name: "subscribe", Arity: -2, Flags: quiet | InSubscribe, Channels: Subscribes, Group: "pubsub", Since: "2.0.0",
			Cost: "O(N) where N is the number of channels", Summary: "Listens to channels.", Run: subscribe},
		{Name: "unsubscribe", Arity: -1, Flags: quiet | InSubscribe, Group: "pubsub", Since: "2.0.0",
			Cost: "O(N) where N is the number of channels", Summary: "Stops listening to channels.", Run: unsubscribe},
		{Name: "psubscribe", Arity: -2, Flags: quiet | InSubscribe, Channels: SubscribesPatterns, Group: "pubsub", Since: "2.0.0",
			Cost: "O(N) where N is the number of patterns", Summary: "Listens to the channels that match patterns.", Run: psubscribe},
		{Name: "punsubscribe", Arity: -1, Flags: quiet | InSubscribe, Group: "pubsub", Since: "2.0.0",
			Cost: "O(N) where N is the number of patterns", Summary: "Stops listening to patterns.", Run: punsubscribe},
		{Name: "ssubscribe", Arity: -2, Flags: quiet | InSubscribe, Channels: Subscribes, Keys: KeysToEnd(NotKey, 1), Group: "pubsub", Since: "7.0.0",
			Cost: "O(N) where N is the number of sharded channels", Summary: "Listens to sharded channels.", Run: ssubscribe},
		{Name: "sunsubscribe", Arity: -1, Flags: quiet | InSubscribe, Keys: KeysToEnd(NotKey, 1), Group: "pubsub", Since: "7.0.0",
			Cost: "O(N) where N is the number of sharded channels", Summary: "Stops listening to sharded channels.", Run: sunsubscribe},
		{Name: "spublish", Arity: 3, Flags: PubSub | Loading | Stale | Fast | MayReplicate, Channels: Publishes, Keys: Key(NotKey), Group: "pubsub", Since: "7.0.0",
			Cost:    "O(N) where N is the number of subscribers of the channel",
			Summary: "Sends a message to a sharded channel.", Run: spublish},
		{Name: "publish", Arity: 3, Flags: PubSub | Loading | Stale | Fast | MayReplicate, Channels: Publishes, Group: "pubsub", Since: "2.0.0",
			Cost:    "O(N+M) where N is the number of subscribers of the channel and M the number of patterns",
			Summary: "Sends a message to a channel.", Run: publish},
		{Name: "pubsub", Arity: -2, Group: "pubsub", Since: "2.8.0", Cost: "depends on the subcommand",
			Summary: "Tells about channels and subscribers.", Subs: []Command{
				{Name: "channels", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
					Cost: "O(N) where N is the number of channels", Summary: "Lists the channels in use.", Run: pubsubChannels},
				{Name: "numsub", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
					Cost: "O(N) where N is the number of channels asked for", Summary: "Counts the subscribers of channels.", Run: pubsubNumsub},
				{Name: "numpat", Arity: 2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
					Cost: "O(1)", Summary: "Counts the patterns in use.", Run: pubsubNumpat},
				{Name: "shardchannels", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "7.0.0",
					Cost: "O(N) where N is the number of sharded channels", Summary: "Lists the sharded channels in use.", Run: pubsubShardChannels},
				{Name: "shardnumsub", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "7.0.0",
					Cost: "O(N) where N is the number of channels asked for", Summary: "Counts the subscribers of sharded channels.", Run: pubsubShardNumsub},
				{Name: "help", Arity: 2, Flags: Loading | Stale, Group: "pubsub", Since: "6.2.0",
					Cost: "O(1)", Summary: "Explains the subcommands.", Run: pubsubHelp},
			}},
	}
}

// confirm tells the client what it now listens to.
func (c *Ctx) confirm(kind string, name []byte, count int) {
	tell := func(out Sink) {
		out.Push(3)
		out.BulkString(kind)
		if name == nil {
			out.Null()
		} else {
			out.Bulk(name)
		}
		out.Int(int64(count))
	}
	if c.Session.hushed { // it wants no replies, but this is a message
		c.Session.client.Push(func(w *resp.Writer) { tell(w) })
		return
	}
	tell(c.Out)
}

// listen adds the named entries to a set, which is made where it is needed.
func (c *Ctx) listen(kind string, to *map[string]struct{}, count func() int, add func(name string)) {
	if c.Session.client == nil { // no message could reach it
		c.FailText("ERR SUBSCRIBE needs a connection; use Store.Subscribe")
		return
	}
	if *to == nil {
		*to = make(map[string]struct{})
	}
	for _, name := range c.Args[1:] {
		(*to)[string(name)] = struct{}{}
		c.confirm(kind, name, count())
		add(string(name))
	}
	c.Session.subs.changed()
	if s := c.Session; !s.MayRun(c.Row, c.Args) { // who took the permission away meanwhile has not seen these subscriptions
		s.end("channel permission revoked")
	}
}

func subscribe(c *Ctx) {
	subs := &c.Session.subs
	c.listen("subscribe", &subs.channels, subs.count, func(name string) { c.Engine.Hub.Subscribe(subs, name) })
}

func psubscribe(c *Ctx) {
	subs := &c.Session.subs
	c.listen("psubscribe", &subs.patterns, subs.count, func(name string) { c.Engine.Hub.PSubscribe(subs, name) })
}

func ssubscribe(c *Ctx) {
	s := &c.Session.subs.sharded
	c.listen("ssubscribe", &s.channels, s.count, func(name string) { c.Engine.Hub.SSubscribe(s, name) })
}

func (s *shardSubscriptions) count() int { return len(s.channels) }

func unsubscribe(c *Ctx) {
	subs := &c.Session.subs
	c.leave("unsubscribe", subs.channels, subs.count, func(name string) { c.Engine.Hub.Unsubscribe(subs, name) })
}

func punsubscribe(c *Ctx) {
	subs := &c.Session.subs
	c.leave("punsubscribe", subs.patterns, subs.count, func(name string) { c.Engine.Hub.PUnsubscribe(subs, name) })
}

func sunsubscribe(c *Ctx) {
	s := &c.Session.subs.sharded
	c.leave("sunsubscribe", s.channels, s.count, func(name string) { c.Engine.Hub.SUnsubscribe(s, name) })
}

// leave drops the named entries of a set, all without names.
func (c *Ctx) leave(kind string, from map[string]struct{}, count func() int, drop func(name string)) {
	names := slices.Clip(c.Args[1:]) // what lies behind may be the words of the next command
	if len(names) == 0 {
		for name := range from {
			names = append(names, []byte(name))
		}
		slices.SortFunc(names, slices.Compare[[]byte])
	}
	for _, name := range names {
		if _, ok := from[string(name)]; ok {
			delete(from, string(name))
			drop(string(name))
		}
		c.Session.flushPushes() // no message may follow the confirmation
		c.confirm(kind, name, count())
	}
	if len(names) == 0 {
		c.confirm(kind, nil, count())
	}
	c.Session.subs.changed()
}

func publish(c *Ctx) {
	c.Out.Int(int64(c.Engine.Hub.Publish(c.Args[1], c.Args[2])))
	c.Tx.Effect(c.Args...) // no change, but replicas' subscribers get it, too
}

func spublish(c *Ctx) {
	c.Out.Int(int64(c.Engine.Hub.SPublish(c.Args[1], c.Args[2])))
	c.Tx.Effect(c.Args...)
}

func pubsubChannels(c *Ctx) { c.replyChannels(c.Engine.Hub.Channels) }

func pubsubShardChannels(c *Ctx) { c.replyChannels(c.Engine.Hub.ShardChannels) }

// replyChannels answers the names that visit shows, all or those that match the pattern given.
func (c *Ctx) replyChannels(visit func(pattern []byte, fn func(string))) {
	if len(c.Args) > 3 {
		c.wrongSub()
		return
	}
	var pattern []byte
	if len(c.Args) == 3 {
		pattern = c.Args[2]
	}
	var names []string
	visit(pattern, func(name string) { names = append(names, name) })
	c.Out.Array(len(names))
	for _, n := range names {
		c.Out.BulkString(n)
	}
}

func pubsubNumsub(c *Ctx) { c.replyCounts(c.Engine.Hub.Subscribers) }

func pubsubShardNumsub(c *Ctx) { c.replyCounts(c.Engine.Hub.ShardSubscribers) }

func (c *Ctx) replyCounts(count func(channel string) int) {
	c.Out.Array(2 * (len(c.Args) - 2)) // flat in RESP3, too
	for _, name := range c.Args[2:] {
		c.Out.Bulk(name)
		c.Out.Int(int64(count(string(name))))
	}
}

func pubsubNumpat(c *Ctx) {
	_, patterns, _ := c.Engine.Hub.Counts()
	c.Out.Int(int64(patterns))
}

func pubsubHelp(c *Ctx) {
	c.help("PUBSUB", "CHANNELS [<pattern>]", "    The channels that have a subscriber and match the pattern (default: all).",
		"NUMPAT", "    The number of patterns that have a subscriber.",
		"NUMSUB [<channel> ...]", "    The number of subscribers by name of each channel.",
		"SHARDCHANNELS [<pattern>]", "    The sharded channels that have a subscriber and match the pattern (default: all).",
		"SHARDNUMSUB [<shardchannel> ...]", "    The number of subscribers of each sharded channel.")
}

// help replies the text of a container's HELP.
func (c *Ctx) help(name string, lines ...string) {
	c.Out.Array(len(lines) + 3)
	c.Out.Simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, l := range lines {
		c.Out.Simple(l)
	}
	c.Out.Simple("HELP")
	c.Out.Simple("    Print this help.")
}

// wrongSub refuses a subcommand whose words do not fit.
func (c *Ctx) wrongSub() {
	c.Fail(engine.Error("ERR unknown subcommand or wrong number of arguments for '" + clip(string(c.Args[1]), 128) + "'. Try " +
		upper(c.Args[0]) + " HELP."))
}

func upper(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		out[i] = c
	}
	return string(out)
}
