package command

import (
	"fmt"
	"sync"
	"time"
)

// slowlog keeps the latest commands that took long: a ring, the newest of which overwrites the oldest.
type slowlog struct {
	mu      sync.Mutex
	entries []slowEntry // in order of id
	next    int64       // id of the next entry; never set back
}

// slowEntry is a command that took long. Its words are copies, cut to what a log should keep.
type slowEntry struct {
	id, unix, micros int64
	words            []string
	addr, name       string
}

// Of a command at most so many words, and of a word so many bytes, are kept.
const (
	slowWords = 32
	slowBytes = 128
)

// push adds a command, and drops the oldest beyond the most that are to be kept.
func (l *slowlog) push(c *Ctx, row *Command, args [][]byte, took time.Duration, most int) {
	e := slowEntry{unix: c.clock.Now().Unix(), micros: took.Microseconds(), words: c.loggedWords(row, args)}
	e.addr, e.name = c.Session.identity()
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.next
	l.next++
	l.entries = append(l.entries, e)
	l.cut(most)
}

// cut drops the oldest entries beyond the most that are to be kept.
func (l *slowlog) cut(most int) {
	if over := len(l.entries) - most; over > 0 {
		clear(l.entries[:over]) // their words are garbage from now on
		l.entries = l.entries[over:]
	}
}

// loggedWords copies a command's words for a log: secrets hidden, long ones and long lists cut.
func (c *Ctx) loggedWords(row *Command, args [][]byte) []string {
	shown := args
	if len(args) > slowWords {
		shown = args[:slowWords-1]
	}
	words := make([]string, len(shown), len(shown)+1)
	for i, a := range shown {
		switch {
		case c.isSecret(row, args, i):
			words[i] = "(redacted)"
		case len(a) > slowBytes:
			words[i] = fmt.Sprintf("%s... (%d more bytes)", a[:slowBytes], len(a)-slowBytes)
		default:
			words[i] = string(a)
		}
	}
	if left := len(args) - len(shown); left > 0 {
		words = append(words, fmt.Sprintf("... (%d more arguments)", left))
	}
	return words
}

// isSecret tells whether a word of a command must not be written down anywhere.
func (c *Ctx) isSecret(row *Command, args [][]byte, i int) bool {
	if row.full == "config|set" {
		return i > 2 && i%2 == 1 && c.Config.Sensitive(string(args[i-1]))
	}
	return row.Secret != nil && row.Secret(args, i)
}

// identity is the address and the name of the session's client.
func (s *Session) identity() (addr, name string) {
	if s.client != nil {
		addr = s.client.RemoteAddr()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return addr, s.name
}

func slowlogRow() Command {
	const group = "server"
	sub := func(name string, arity int, flags Flag, since, cost, summary string, tips []string, run func(*Ctx)) Command {
		return Command{Name: name, Arity: arity, Flags: Loading | Stale | flags, Group: group, Since: since,
			Cost: cost, Summary: summary, Tips: tips, Run: run}
	}
	return Command{Name: "slowlog", Arity: -2, Group: group, Since: "2.2.12", Cost: "depends on the subcommand",
		Summary: "Looks at the commands that took long.", Subs: []Command{
			sub("get", -2, Admin, "2.2.12", "O(N) where N is the number of entries", "Lists the latest commands that took long.",
				[]string{"request_policy:all_nodes", "nondeterministic_output"}, slowlogGet),
			sub("len", 2, Admin, "2.2.12", "O(1)", "Counts the entries of the slow log.",
				[]string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"}, slowlogLen),
			sub("reset", 2, Admin, "2.2.12", "O(N) where N is the number of entries", "Empties the slow log.",
				[]string{"request_policy:all_nodes", "response_policy:all_succeeded"}, slowlogReset),
			sub("help", 2, 0, "6.2.0", "O(1)", "Explains the subcommands.", nil, slowlogHelp),
		}}
}

func slowlogGet(c *Ctx) {
	if len(c.Args) > 3 {
		c.wrongSub()
		return
	}
	count := int64(10)
	if len(c.Args) == 3 {
		n, err := c.IntArg(2)
		if count = n; err != nil || count < -1 {
			c.FailText("ERR count should be greater than or equal to -1")
			return
		}
	}
	l := &c.slowlog
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut(c.Config.Settings().SlowlogMaxLen)
	if count < 0 || count > int64(len(l.entries)) {
		count = int64(len(l.entries))
	}
	c.Out.Array(int(count))
	for i := range int(count) {
		l.entries[len(l.entries)-1-i].reply(c.Out)
	}
}

func (e *slowEntry) reply(out Sink) {
	out.Array(6)
	out.Int(e.id)
	out.Int(e.unix)
	out.Int(e.micros)
	out.Array(len(e.words))
	for _, w := range e.words {
		out.BulkString(w)
	}
	out.BulkString(e.addr)
	out.BulkString(e.name)
}

func slowlogLen(c *Ctx) {
	l := &c.slowlog
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Out.Int(int64(len(l.entries)))
}

func slowlogReset(c *Ctx) {
	l := &c.slowlog
	l.mu.Lock()
	l.entries = nil
	l.mu.Unlock()
	c.OK()
}

func slowlogHelp(c *Ctx) {
	c.help("SLOWLOG", "GET [<count>]", "    The latest commands that took long, 10 if no count is given, all with -1:",
		"    id, Unix time, microseconds, words, address and name of the client.",
		"LEN", "    How many there are.", "RESET", "    Forget them.")
}
