package command

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/internal/resp"
)

// monitors are the sessions that MONITOR feeds with all commands. While there are none, a command pays one atomic load.
type monitors struct {
	count atomic.Int32

	mu       sync.Mutex // also keeps the feeds of all of them in one order
	sessions []*Session
	taps     []Tap
}

// counted is called with mu held after the lists have changed.
func (m *monitors) counted() { m.count.Store(int32(len(m.sessions) + len(m.taps))) }

// monitor makes the session one that is fed. What it does not take in time is bounded as for subscribers
// (client-output-buffer-limit pubsub).
func monitor(c *Ctx) {
	s := c.Session
	switch {
	case s.client == nil || !c.alone:
		c.FailText("ERR MONITOR isn't allowed for DENY BLOCKING client")
		return
	case s.monitors:
		return // as Redis: no reply to the second one
	}
	s.monitors = true
	s.subs.changed()
	m := &c.Processor.monitors
	m.mu.Lock()
	m.sessions = append(m.sessions, s)
	m.counted()
	m.mu.Unlock()
	c.OK()
}

// stopMonitor ends MONITOR.
func (s *Session) stopMonitor() {
	if !s.monitors {
		return
	}
	s.monitors = false
	m := &s.p.monitors
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = slices.DeleteFunc(m.sessions, func(o *Session) bool { return o == s })
	m.counted()
}

// announce tells the monitors of a command before it runs: of one that runs others, as it comes before those, and of one
// that may block, as others may see that it waits as soon as it does.
func (s *Session) announce(c *Ctx) {
	if r := c.Row; r.Flags&SkipMonitor != 0 && r.ACL&CatScripting != 0 || r.Flags&Blocking != 0 {
		s.tellMonitors(c)
	}
}

// observe tells the monitors of a command that has run, with its shards still locked: commands on the same key appear
// in their order. What administrators do is nobody's business.
func (s *Session) observe(c *Ctx) {
	if c.Row.Flags&(SkipMonitor|Admin|Blocking) == 0 {
		s.tellMonitors(c)
	}
}

func (s *Session) tellMonitors(c *Ctx) {
	if s.p.monitors.count.Load() != 0 {
		s.p.monitors.tell(c)
	}
}

func (m *monitors) tell(c *Ctx) {
	line := c.monitorLine()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		s.client.Push(func(out *resp.Writer) { out.Raw(line) })
	}
	for _, t := range m.taps {
		t.Feed(line[1 : len(line)-2])
	}
}

// monitorLine is what MONITOR shows of a command: when, which database, who, and the words.
func (c *Ctx) monitorLine() []byte {
	now := c.clock.Now()
	b := append(strconv.AppendInt(append([]byte(nil), '+'), now.Unix(), 10), '.')
	micros := strconv.Itoa(1_000_000 + now.Nanosecond()/1000)
	b = append(append(b, micros[1:]...), " ["...)
	b = append(strconv.AppendInt(b, int64(c.Session.db), 10), ' ')
	switch {
	case c.lua:
		b = append(b, "lua"...)
	case c.Session.client != nil:
		addr := c.Session.client.RemoteAddr()
		if addr != "" && addr[0] == '/' {
			b = append(b, "unix:"...)
		}
		b = append(b, addr...)
	}
	b = append(b, ']')
	for i, word := range c.Args {
		if c.Row.Secret != nil && c.Row.Secret(c.Args, i) {
			word = []byte("(redacted)")
		}
		b = appendRepr(append(b, ' '), word)
	}
	return append(b, "\r\n"...)
}

// appendRepr appends a string in quotes, with everything but printable ASCII escaped, as Redis shows strings to people.
func appendRepr(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range s {
		switch c {
		case '\\', '"':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\a':
			dst = append(dst, '\\', 'a')
		case '\b':
			dst = append(dst, '\\', 'b')
		default:
			if ' ' <= c && c <= '~' {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(dst, '"')
}

// afterName is the Secret of commands all of whose arguments are.
func afterName(_ [][]byte, i int) bool { return i > 0 }

// helloSecret is the Secret of HELLO: the user and the password after AUTH.
func helloSecret(args [][]byte, i int) bool {
	for at := 2; at < len(args); {
		switch {
		case isWord(args[at], "AUTH") && at+2 < len(args):
			if i == at+1 || i == at+2 {
				return true
			}
			at += 3
		case isWord(args[at], "SETNAME") && at+1 < len(args):
			at += 2
		default:
			return false
		}
	}
	return false
}
