package command

import (
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/engine"
)

func clientRows() []Command {
	const group = "connection"
	row := func(name string, arity int, flags Flag, since, cost, summary string, run func(*Ctx)) Command {
		return Command{Name: name, Arity: arity, Flags: NoScript | Loading | Stale | flags, ACL: CatConnection,
			Group: group, Since: since, Cost: cost, Summary: summary, Run: run}
	}
	rows := []Command{
		row("id", 2, 0, "5.0.0", "O(1)", "Tells the connection's number.", clientID),
		row("info", 2, 0, "6.2.0", "O(1)", "Describes the connection.", clientInfo),
		row("list", -2, Admin, "2.4.0", "O(N) where N is the number of connections", "Describes all connections.", clientList),
		row("kill", -3, Admin, "2.4.0", "O(N) where N is the number of connections", "Closes connections.", clientKill),
		row("getname", 2, 0, "2.6.9", "O(1)", "Tells the connection's name.", clientGetName),
		row("setname", 3, 0, "2.6.9", "O(1)", "Names the connection.", clientSetName),
		row("unblock", -3, Admin, "5.0.0", "O(N) where N is the number of connections", "Ends the wait of another connection's blocking command.", clientUnblock),
		row("setinfo", 4, 0, "7.2.0", "O(1)", "Tells the name and version of the client library.", clientSetInfo),
		row("pause", -3, Admin, "3.0.0", "O(1)", "Lets commands wait for a time.", clientPause),
		row("unpause", 2, Admin, "6.2.0", "O(N) where N is the number of connections that wait", "Ends CLIENT PAUSE.", clientUnpause),
		row("tracking", -3, 0, "6.0.0", "O(1), or O(N) where N is the number of prefixes", "Has the connection told when keys change that it has read.", clientTracking),
		row("caching", 3, 0, "6.0.0", "O(1)", "Says whether the keys of the next command are tracked.", clientCaching),
		row("getredir", 2, 0, "6.0.0", "O(1)", "Tells which connection gets the invalidations.", clientGetRedir),
		row("trackinginfo", 2, 0, "6.2.0", "O(1)", "Describes the connection's tracking.", clientTrackingInfo),
		row("no-evict", 3, Admin, "7.0.0", "O(1)", "Spares the connection when clients are evicted.", clientNoEvict),
		row("no-touch", 3, 0, "7.2.0", "O(1)", "Lets the connection's commands leave no trace in access times.", clientNoTouch),
		row("capa", -3, 0, "8.0.0", "O(1)", "Tells what the client can do: nothing that this server asks for.", (*Ctx).OK),
		row("reply", 3, 0, "3.2.0", "O(1)", "Says whether the connection wants replies.", clientReply),
		row("help", 2, 0, "5.0.0", "O(1)", "Explains the subcommands.", clientHelp),
	}
	rows[len(rows)-1].Flags = Loading | Stale
	for i := range rows {
		if n := rows[i].Name; n == "info" || n == "list" {
			rows[i].Tips = []string{"nondeterministic_output"}
		}
		if n := rows[i].Name; n == "setname" || n == "setinfo" {
			rows[i].Tips = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
		}
	}
	return rows
}

func clientID(c *Ctx) { c.Out.Int(c.Session.ID) }

func clientInfo(c *Ctx) {
	c.Session.show(c.Row)
	c.Out.Verbatim("txt", c.Session.describe()+"\n")
}

func clientList(c *Ctx) {
	keep := func(*Session) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 4 && c.Is(2, "TYPE"):
		kind, ok := clientType(c.Args[3])
		if !ok {
			c.FailText("ERR Unknown client type '" + string(c.Args[3]) + "'")
			return
		}
		keep = func(s *Session) bool { return s.kind() == kind }
	case len(c.Args) > 3 && c.Is(2, "ID"):
		ids := make(map[int64]bool)
		for i := 3; i < len(c.Args); i++ {
			id, err := c.IntArg(i)
			if err != nil {
				c.FailText("ERR Invalid client ID")
				return
			}
			ids[id] = true
		}
		keep = func(s *Session) bool { return ids[s.ID] }
	default:
		c.Fail(errSyntax)
		return
	}
	c.Session.show(c.Row)
	var b strings.Builder
	c.eachSession(func(s *Session) {
		if keep(s) {
			b.WriteString(s.describe())
			b.WriteByte('\n')
		}
	})
	c.Out.Verbatim("txt", b.String())
}

// clientType reads the name of a class of clients.
func clientType(name []byte) (string, bool) {
	switch t := string(lower(nil, name)); t {
	case "normal", "pubsub", "replica", "primary":
		return t, true
	case "slave":
		return "replica", true
	case "master":
		return "primary", true
	}
	return "", false
}

// kind is the session's class of clients.
func (s *Session) kind() string {
	switch {
	case s.follows.Load():
		return "replica"
	case s.shown.Load().listens():
		return "pubsub"
	}
	return "normal"
}

// describe is the session's line of CLIENT LIST.
func (s *Session) describe() string {
	sh := s.shown.Load()
	now := s.p.clock.Now().Unix()
	s.mu.Lock()
	name, lib, ver, noEvict, blocked := s.name, s.libName, s.libVer, s.noEvict, s.blocked != nil || s.p.pause.holds(s)
	s.mu.Unlock()
	flags := ""
	for _, f := range [...]struct {
		on     bool
		letter string
	}{{s.follows.Load(), "S"}, {sh.monitors, "O"}, {sh.listens(), "P"}, {sh.multi >= 0, "x"}, {blocked, "b"}, {sh.track.on(), "t"},
		{sh.track.on() && sh.track.broken.Load(), "R"}, {sh.track.mode(engine.TrackBroadcast), "B"}, {noEvict, "e"}, {s.noTouch.Load(), "T"}} {
		if f.on {
			flags += f.letter
		}
	}
	if flags == "" {
		flags = "N"
	}
	var b Buffers
	remote, local := "", ""
	if s.client != nil {
		b, remote, local = s.client.Buffers(), s.client.RemoteAddr(), s.client.LocalAddr()
	}
	last := "NULL"
	if sh.last != nil {
		last = sh.last.full
	}
	var out strings.Builder
	text := func(k, v string) { out.WriteString(k + "=" + v + " ") }
	num := func(k string, v int64) { text(k, strconv.FormatInt(v, 10)) }
	num("id", s.ID)
	text("addr", remote)
	text("laddr", local)
	num("fd", int64(b.FD))
	text("name", name)
	num("age", max(now-s.born.Unix(), 0))
	num("idle", int64(s.p.clock.Monotonic()-time.Duration(s.lastSeen.Load()))/int64(time.Second))
	text("flags", flags)
	num("db", int64(sh.db))
	num("sub", int64(sh.subs))
	num("psub", int64(sh.psubs))
	num("ssub", int64(sh.ssubs))
	num("multi", int64(sh.multi))
	num("watch", int64(sh.watching))
	num("qbuf", int64(b.Query))
	num("qbuf-free", int64(b.QueryFree))
	num("argv-mem", int64(b.ArgvMem))
	num("multi-mem", int64(sh.queued))
	num("rbs", int64(b.OutputFixed))
	num("rbp", int64(b.OutputFixed))
	num("obl", int64(b.OutputFixed))
	num("oll", int64(b.OutputList))
	num("omem", int64(b.OutputMem))
	num("tot-mem", int64(b.Sum+sh.queued))
	text("events", "r")
	text("cmd", last)
	text("user", s.account.Load().Name())
	num("redir", sh.track.redirected())
	num("resp", int64(sh.proto))
	text("lib-name", lib)
	text("lib-ver", ver)
	num("tot-net-in", b.TotalIn)
	num("tot-net-out", b.TotalOut)
	num("tot-cmds", s.commands.Load())
	return strings.TrimSuffix(out.String(), " ")
}

// checkName refuses a name that would break the lines of CLIENT LIST.
func checkName(name []byte) error {
	if !printable(name) {
		return engine.Error("ERR Client names cannot contain spaces, newlines or special characters.")
	}
	return nil
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func (s *Session) setName(name []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = string(name)
}

func clientSetName(c *Ctx) {
	if err := checkName(c.Args[2]); err != nil {
		c.Fail(err)
		return
	}
	c.Session.setName(c.Args[2])
	c.OK()
}

func clientGetName(c *Ctx) {
	c.Session.mu.Lock()
	name := c.Session.name
	c.Session.mu.Unlock()
	if name == "" {
		c.Out.Null()
		return
	}
	c.Out.BulkString(name)
}

func clientSetInfo(c *Ctx) {
	s, attr := c.Session, string(lower(nil, c.Args[2]))
	if attr != "lib-name" && attr != "lib-ver" {
		c.FailText("ERR Unrecognized option '" + string(c.Args[2]) + "'")
		return
	}
	if !printable(c.Args[3]) {
		c.FailText("ERR " + string(c.Args[2]) + " cannot contain spaces, newlines or special characters.")
		return
	}
	s.mu.Lock()
	if attr == "lib-name" {
		s.libName = string(c.Args[3])
	} else {
		s.libVer = string(c.Args[3])
	}
	s.mu.Unlock()
	c.OK()
}

// onOff reads ON or OFF at an argument.
func (c *Ctx) onOff(i int) (on, ok bool) {
	switch {
	case c.Is(i, "ON"):
		return true, true
	case c.Is(i, "OFF"):
		return false, true
	}
	c.Fail(errSyntax)
	return false, false
}

func clientNoEvict(c *Ctx) {
	on, ok := c.onOff(2)
	if !ok {
		return
	}
	c.Session.mu.Lock()
	c.Session.noEvict = on
	c.Session.mu.Unlock()
	c.OK()
}

func clientNoTouch(c *Ctx) {
	on, ok := c.onOff(2)
	if !ok {
		return
	}
	c.Session.noTouch.Store(on)
	c.OK()
}

func clientHelp(c *Ctx) {
	c.help("CLIENT", "CACHING (YES|NO)", "    Track the keys of the next command, or do not, where OPTIN or OPTOUT left it open.",
		"GETREDIR", "    The number of the connection that gets this one's invalidations.",
		"GETNAME", "    The name of this connection.",
		"ID", "    The number of this connection.",
		"INFO", "    One line about this connection.",
		"KILL <ip:port>", "    Close the connection from that address.",
		"KILL <option> <value> [<option> <value> ...]", "    Close the connections that fit all of ID, TYPE, ADDR, LADDR, USER, MAXAGE;", "    this one only with SKIPME no.",
		"LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> ...]", "    A line about each connection.",
		"NO-EVICT (ON|OFF)", "    Spare this connection when clients are evicted.",
		"NO-TOUCH (ON|OFF)", "    Leave access times alone.",
		"PAUSE <milliseconds> [WRITE|ALL]", "    Let commands wait for a time, those that write or all (default).",
		"REPLY (ON|OFF|SKIP)", "    Whether this connection wants replies.",
		"SETINFO (LIB-NAME|LIB-VER) <value>", "    Tell the client library.",
		"SETNAME <name>", "    Name this connection.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]", "         [OPTIN] [OPTOUT] [NOLOOP]",
		"    Tell this connection when keys change that it has read.",
		"TRACKINGINFO", "    This connection's tracking.",
		"UNPAUSE", "    End PAUSE.",
		"UNBLOCK <id> [TIMEOUT|ERROR]", "    End the wait of that connection's blocking command.")
}
