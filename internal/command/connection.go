package command

import (
	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
)

// Version is the version of Redis whose commands and replies these are: what
// HELLO and INFO tell clients that look for features.
const Version = "7.2.4"

// valkeyVersion is the same in the counting of Valkey.
const valkeyVersion = "8.0.1"

func connectionRows() []Command {
	const (
		group = "connection"
		base  = NoScript | Loading | Stale | Fast
	)
	return []Command{
		{Name: "ping", Arity: -1, Flags: Fast | InSubscribe, ACL: CatConnection, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Answers PONG, or the argument.", Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Run: ping},
		{Name: "echo", Arity: 2, Flags: Loading | Stale | Fast, ACL: CatConnection, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Answers its argument.", Run: echo},
		{Name: "select", Arity: 2, Flags: Loading | Stale | Fast, ACL: CatConnection, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Chooses the database of the connection.", Run: selectDB},
		{Name: "auth", Arity: -2, Flags: base | NoAuth | AllowBusy, ACL: CatConnection, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Proves who the client is.", Secret: afterName, Run: auth},
		{Name: "hello", Arity: -1, Flags: base | NoAuth | AllowBusy, ACL: CatConnection, Group: group, Since: "6.0.0",
			Cost: "O(1)", Summary: "Chooses the protocol and tells about the server.", Secret: helloSecret, Run: hello},
		{Name: "quit", Arity: -1, Flags: base | NoAuth | AllowBusy | InSubscribe | Immediate, ACL: CatConnection, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Ends the connection.", Outdated: "7.2.0", Instead: "just closing the connection", Run: quit},
		{Name: "reset", Arity: 1, Flags: base | NoAuth | AllowBusy | InSubscribe | Immediate, ACL: CatConnection, Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Puts the connection in the state of a new one.", Run: reset},
		{Name: "client", Arity: -2, Group: group, Since: "2.4.0", Cost: "depends on the subcommand",
			Summary: "Looks at and manages connections.", Subs: clientRows()},
		aclRows(),
	}
}

func ping(c *Ctx) {
	if len(c.Args) > 2 {
		c.FailText("ERR wrong number of arguments for 'ping' command")
		return
	}
	if c.Session.Subscribed() && c.Session.proto == 2 { // a subscriber of RESP2 gets arrays only
		c.Out.Array(2)
		c.Out.BulkString("pong")
		if len(c.Args) == 2 {
			c.Out.Bulk(c.Args[1])
		} else {
			c.Out.BulkString("")
		}
		return
	}
	if len(c.Args) == 2 {
		c.Out.Bulk(c.Args[1])
		return
	}
	c.Out.Simple("PONG")
}

func echo(c *Ctx) { c.Out.Bulk(c.Args[1]) }

func selectDB(c *Ctx) {
	db, err := c.dbArg(1, errNotInteger)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Session.db = db
	c.Tx.Use(db) // for what follows in a transaction or script
	c.OK()
}

const (
	errWrongPass engine.Error = "WRONGPASS invalid username-password pair or user is disabled."
	errNoPass    engine.Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	errNoAuth    engine.Error = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
)

// authenticate makes the session that of a user who proves to know the password.
func (c *Ctx) authenticate(user, password []byte) error {
	s := c.Session
	if a := c.users.Authenticate(user, password); a != nil {
		before := s.account.Swap(a)
		if !a.Gone() { // who removed it meanwhile has looked for its sessions without finding this one
			s.authed = true
			return nil
		}
		s.account.Store(before)
	}
	in := acl.TopLevel
	if s.multi != nil || !c.alone {
		in = acl.InMulti
	}
	s.top = c.Row
	s.noteDenial(acl.Entry{Reason: acl.DeniedAuth, Context: in, Object: string(c.Args[0]), User: string(user)})
	return errWrongPass
}

func auth(c *Ctx) {
	if len(c.Args) > 3 {
		c.Fail(errSyntax)
		return
	}
	user, password := []byte(acl.Default), c.Args[len(c.Args)-1]
	if len(c.Args) == 3 {
		user = c.Args[1]
	} else if c.users.Default().User().NoPass() {
		c.Fail(errNoPass)
		return
	}
	if err := c.authenticate(user, password); err != nil {
		c.Fail(err)
		return
	}
	c.OK()
}

// greeting is what HELLO was asked for.
type greeting struct {
	proto          int
	user, password []byte
	name           []byte
	auth, setName  bool
}

func (c *Ctx) greeting() (g greeting, err error) {
	if len(c.Args) > 1 {
		n, err := c.IntArg(1)
		if err != nil {
			return g, engine.Error("ERR Protocol version is not an integer or out of range")
		}
		if n < 2 || n > 3 {
			return g, engine.Error("NOPROTO unsupported protocol version")
		}
		g.proto = int(n)
	}
	for i := 2; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "AUTH") && i+2 < len(c.Args):
			g.auth, g.user, g.password = true, c.Args[i+1], c.Args[i+2]
			i += 2
		case c.Is(i, "SETNAME") && i+1 < len(c.Args):
			g.setName, g.name = true, c.Args[i+1]
			if err := checkName(g.name); err != nil {
				return g, err
			}
			i++
		default:
			return g, engine.Error("ERR Syntax error in HELLO option '" + string(c.Args[i]) + "'")
		}
	}
	return g, nil
}

func hello(c *Ctx) {
	s := c.Session
	g, err := c.greeting()
	if err == nil && g.auth {
		err = c.authenticate(g.user, g.password)
	}
	if err == nil && !s.authed {
		err = errNoAuth
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if g.setName {
		s.setName(g.name)
	}
	if g.proto != 0 {
		s.setProto(g.proto)
	}
	c.Out.Map(7)
	c.Out.BulkString("server")
	c.Out.BulkString("redis")
	c.Out.BulkString("version")
	c.Out.BulkString(Version)
	c.Out.BulkString("proto")
	c.Out.Int(int64(s.proto))
	c.Out.BulkString("id")
	c.Out.Int(s.ID)
	c.Out.BulkString("mode")
	c.Out.BulkString("standalone")
	c.Out.BulkString("role")
	c.Out.BulkString("master")
	c.Out.BulkString("modules")
	c.Out.Array(0)
}

func (s *Session) setProto(v int) {
	s.proto = v
	if s.client != nil {
		s.client.SetProto(v)
	}
}

func quit(c *Ctx) {
	c.OK()
	c.Session.end("QUIT")
}

// end closes the connection after the reply.
func (s *Session) end(reason string) {
	s.closing = true
	if s.client != nil {
		s.client.Close(true, reason)
	}
}

// Closing tells that no more commands of the session are to be run.
func (s *Session) Closing() bool { return s.closing }

func reset(c *Ctx) {
	s := c.Session
	s.discard()
	s.stopMonitor()
	s.Untrack()
	s.subs.dropAll()
	s.db = 0
	s.setProto(2)
	s.setName(nil)
	s.noTouch.Store(false)
	s.replies, s.hushed = speaks, false
	s.beStranger()
	c.Out.Simple("RESET")
}
