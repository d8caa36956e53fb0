package difftest

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed scripts/*.txt
var scriptFiles embed.FS

// A scriptCase is one case of a script file: fresh connections, empty databases.
//
//	# a comment
//	== the case's name             [resp2] or [resp3] after it keeps it to one protocol
//	SET key "va\x00lue"            words as redis-cli takes them; {x*100} is a hundred x
//	*300 HSET h f%i v%i            three hundred times, %i counting from 1
//	2> WATCH key                   on a second, third... connection, opened when first named
//	2<                             take one message that no command asked for, on that connection
//	2<<                            take all messages up to now
//	2! BLPOP key 0                 a command that blocks: goes on once both sides say that it waits; its reply comes by 2<
//	raw 1 "*1\r\n$-5\r\n"          send bytes as they are, expect so many replies
//	eof                            the server has hung up
//	until 0 EXISTS key             ask both again and again until both say so
//	~7.2 ZRANK z a WITHSCORE => [1 "2"]
//
// The last form needs an oracle of that version; with an older one the oracle is left alone, the target asked, and
// its reply held against the text behind "=>" (as [Value.String] renders it; "=>2" and "=>3" for one protocol). A
// target that is itself older is not asked.
type scriptCase struct {
	name   string
	proto  int // 0 both
	line   int // where it starts
	orders []order
}

type order struct {
	line   int
	text   string
	conn   int // 1 is the first
	verb   string
	count  int
	words  []string
	since  version
	expect map[int]string // by protocol
}

func parseScript(text string) ([]scriptCase, error) {
	var cases []scriptCase
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "== "); ok {
			c := scriptCase{name: name, line: number}
			for proto := 2; proto <= 3; proto++ {
				if cut, ok := strings.CutSuffix(c.name, fmt.Sprintf(" [resp%d]", proto)); ok {
					c.name, c.proto = cut, proto
				}
			}
			cases = append(cases, c)
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("line %d: a command before the first case", number)
		}
		o, err := parseOrder(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		o.line = number
		c := &cases[len(cases)-1]
		c.orders = append(c.orders, o)
	}
	return cases, nil
}

func parseOrder(line string) (order, error) {
	o := order{text: line, conn: 1, verb: "do", count: 1}
	if head, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(head, "~") {
		v, err := parseVersion(head[1:])
		if err != nil {
			return o, err
		}
		o.since, line = v, rest
	}
	if at := strings.LastIndex(line, "=>"); at > 0 && o.since != 0 {
		if err := o.parseExpectations(line); err != nil {
			return o, err
		}
		line = line[:strings.Index(line, "=>")]
	}
	if len(line) > 1 && line[0] >= '1' && line[0] <= '9' {
		switch rest := line[1:]; {
		case rest == "<":
			o.conn, o.verb = int(line[0]-'0'), "message"
			return o, nil
		case rest == "<<":
			o.conn, o.verb = int(line[0]-'0'), "drain"
			return o, nil
		case strings.HasPrefix(rest, "> "):
			o.conn, line = int(line[0]-'0'), rest[2:]
		case strings.HasPrefix(rest, "! "):
			o.conn, o.verb, line = int(line[0]-'0'), "block", rest[2:]
		}
	}
	if head, rest, ok := strings.Cut(line, " "); ok && len(head) > 1 && head[0] == '*' {
		n, err := strconv.Atoi(head[1:])
		if err != nil {
			return o, err
		}
		o.count, line = n, rest
	}
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return o, fmt.Errorf("%q: %w", line, err)
	}
	o.words = words
	switch words[0] {
	case "raw":
		if len(words) != 3 {
			return o, fmt.Errorf("raw wants a count and the bytes")
		}
		o.verb = "raw"
		o.count, err = strconv.Atoi(words[1])
	case "eof":
		o.verb = "eof"
	case "until":
		if len(words) < 3 {
			return o, fmt.Errorf("until wants a reply and a command")
		}
		o.verb = "until"
	}
	return o, err
}

func (o *order) parseExpectations(line string) error {
	o.expect = map[int]string{}
	for _, part := range strings.Split(line, "=>")[1:] {
		text := strings.TrimSpace(part)
		switch {
		case strings.HasPrefix(part, "2 "):
			o.expect[2] = text[2:]
		case strings.HasPrefix(part, "3 "):
			o.expect[3] = text[2:]
		default:
			o.expect[2], o.expect[3] = text, text
		}
	}
	return nil
}

// Scripts runs the hand-written cases against both sides, in both protocols.
func Scripts(t *testing.T, oracle, target Dialer) {
	entries, err := scriptFiles.ReadDir("scripts")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := scriptFiles.ReadFile(path.Join("scripts", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseScript(string(text))
		if err != nil {
			t.Fatalf("%s: %v", entry.Name(), err)
		}
		t.Run(strings.TrimSuffix(entry.Name(), ".txt"), func(t *testing.T) {
			for _, c := range cases {
				for proto := 2; proto <= 3; proto++ {
					if c.proto != 0 && c.proto != proto {
						continue
					}
					t.Run(fmt.Sprintf("%s/resp%d", c.name, proto), func(t *testing.T) {
						runCase(t, entry.Name(), c, proto, &arena{oracle: oracle, target: target})
					})
				}
			}
		})
	}
}

// arena opens sessions to the two sides as a case or a sequence needs them.
type arena struct {
	oracle, target Dialer
	versions       [2]version // the oracle's, the target's
	proto          int
	sessions       map[int]*session
}

// reset empties both sides and forgets all connections.
func (a *arena) reset(tb testing.TB) error {
	a.close()
	a.sessions = map[int]*session{}
	for i, dial := range []Dialer{a.oracle, a.target} {
		side := []string{"oracle", "target"}[i]
		c := newClient(dial(tb))
		r, err := c.do("FLUSHALL")
		if err == nil && a.versions[i] == 0 {
			a.versions[i], err = serverVersion(c)
		}
		_ = c.conn.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
		if r.Text != "OK" {
			return fmt.Errorf("%s: FLUSHALL: %s", side, r)
		}
	}
	return nil
}

func (a *arena) session(tb testing.TB, n int) (*session, error) {
	if s := a.sessions[n]; s != nil {
		return s, nil
	}
	s, err := newSession(a.oracle(tb), a.target(tb), a.proto, a.versions)
	a.sessions[n] = s
	return s, err
}

func (a *arena) close() {
	for _, s := range a.sessions {
		s.close()
	}
	a.sessions = nil
}

func runCase(t *testing.T, file string, c scriptCase, proto int, a *arena) {
	a.proto = proto
	if err := a.reset(t); err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for _, o := range c.orders {
		s, err := a.session(t, o.conn)
		if err != nil {
			t.Fatalf("scripts/%s:%d: %v", file, o.line, err)
		}
		if o.verb == "block" {
			err = a.block(t, s, o.words)
		} else {
			err = s.run(o, proto)
		}
		if err != nil {
			t.Errorf("scripts/%s:%d: %v", file, o.line, err)
			if _, ok := errors.AsType[*Difference](err); !ok { // the connection is of no more use
				return
			}
		}
	}
	if err := compareKeyspaces(t, a); err != nil {
		t.Errorf("scripts/%s:%d: after the case: %v", file, c.line, err)
	}
}

func (s *session) run(o order, proto int) error {
	switch {
	case o.verb == "message":
		return s.message()
	case o.verb == "drain":
		return s.drain()
	case o.verb == "eof":
		return s.closed()
	case o.verb == "until":
		return s.until(o.words[1], o.words[2:])
	case o.verb == "raw":
		if err := s.send([]byte(o.words[2])); err != nil {
			return err
		}
		for range o.count {
			if err := s.readAndCompare([]string{"(raw)"}); err != nil {
				return err
			}
		}
		return nil
	case s.oracleVersion.before(o.since):
		if s.targetVersion.before(o.since) {
			return nil
		}
		return s.expect(o, proto)
	}
	for i := range o.count {
		args := make([]string, len(o.words))
		for j, w := range o.words {
			args[j] = strings.ReplaceAll(w, "%i", strconv.Itoa(i+1))
		}
		if isSubscription(args[0]) {
			if err := s.send(encodeCommand(args)); err != nil {
				return err
			}
			if err := s.drain(); err != nil {
				return err
			}
			continue
		}
		if err := s.step(args); err != nil {
			return err
		}
	}
	return nil
}

// block sends a command that blocks and waits until one more client waits on either side.
func (a *arena) block(tb testing.TB, s *session, args []string) error {
	for i, dial := range []Dialer{a.oracle, a.target} {
		control := newClient(dial(tb))
		before, err := control.blockedClients()
		if err == nil {
			err = []*client{s.oracle, s.target}[i].send(encodeCommand(args))
		}
		for deadline := time.Now().Add(replyTimeout); err == nil; {
			var now int
			if now, err = control.blockedClients(); now > before {
				break
			}
			if time.Now().After(deadline) {
				err = fmt.Errorf("%s does not block", quoteCommand(args))
			}
		}
		_ = control.conn.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// blockedClients is the figure of INFO.
func (c *client) blockedClients() (int, error) {
	r, err := c.do("INFO", "clients")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(r.Text, "blocked_clients:")
	n, _, _ := strings.Cut(rest, "\r\n")
	return strconv.Atoi(n)
}

// until asks both sides, each until it gives the reply: for what time changes.
func (s *session) until(reply string, args []string) error {
	for _, c := range []*client{s.oracle, s.target} {
		for deadline := time.Now().Add(replyTimeout); ; {
			r, err := c.do(args...)
			if err != nil {
				return err
			}
			if r.String() == reply {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s stays %s, does not become %s", quoteCommand(args), clip(r.String()), reply)
			}
		}
	}
	return nil
}

func isSubscription(name string) bool {
	switch strings.ToUpper(name) {
	case "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE":
		return true
	}
	return false
}

// expect asks the target alone: the oracle is too old to know.
func (s *session) expect(o order, proto int) error {
	text, ok := o.expect[proto]
	if !ok {
		return nil
	}
	got, err := s.target.do(o.words...)
	if err != nil {
		return fmt.Errorf("%s: target: %w", o.text, err)
	}
	if got.String() != text {
		return fmt.Errorf("%s\n  got  %s", o.text, clip(got.String()))
	}
	return nil
}
