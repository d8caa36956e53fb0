package difftest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// session is one connection to each side, kept in step: every command goes to both before the next one.
type session struct {
	oracle, target *client
	oracleVersion  version
	targetVersion  version

	multi  bool       // the oracle answered MULTI with OK
	queued [][]string // commands it has queued since
	pings  int        // sentinels sent so far
}

// Difference is a command whose two replies are not the same, and not legitimately different.
type Difference struct {
	Command   []string
	Want, Got Reply // the oracle's, the target's
	Reason    error // what the comparison held against it
}

func (d *Difference) Error() string {
	s := fmt.Sprintf("%s\n  want %s\n  got  %s", quoteCommand(d.Command), clip(d.Want.String()), clip(d.Got.String()))
	if !errors.Is(d.Reason, errBytes) {
		s += "\n  " + d.Reason.Error()
	} else if d.Want.String() == d.Got.String() {
		s += fmt.Sprintf("\n  on the wire %s\n  against     %s", clip(fmt.Sprintf("%q", d.Want.Raw)), clip(fmt.Sprintf("%q", d.Got.Raw)))
	}
	return s
}

func clip(s string) string {
	const most = 600 // bytes shown of a reply
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s ... (%d bytes)", s[:most], len(s))
}

// newSession speaks RESP2 or RESP3 from the start, on both sides.
func newSession(oracle, target net.Conn, proto int, v [2]version) (*session, error) {
	s := &session{oracle: newClient(oracle), target: newClient(target), oracleVersion: v[0], targetVersion: v[1]}
	if proto == 3 {
		if err := s.step([]string{"HELLO", "3"}); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *session) close() {
	_ = s.oracle.conn.Close()
	_ = s.target.conn.Close()
}

// step runs one command on both sides and compares the replies.
func (s *session) step(args []string) error { return s.pipeline([][]string{args}) }

// pipeline sends all commands before it reads the first reply. Only commands whose comparison asks nothing more
// of the servers may share a pipeline: see [follows].
func (s *session) pipeline(commands [][]string) error {
	var wire []byte
	for _, args := range commands {
		wire = append(wire, encodeCommand(args)...)
	}
	if err := s.send(wire); err != nil {
		return fmt.Errorf("%s: %w", quoteCommand(commands[0]), err)
	}
	for _, args := range commands {
		if err := s.readAndCompare(args); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) send(wire []byte) error {
	if err := s.oracle.send(wire); err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	if err := s.target.send(wire); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	return nil
}

func (s *session) readAndCompare(args []string) error {
	want, err := s.oracle.read()
	if err != nil {
		return fmt.Errorf("%s: oracle: %w", quoteCommand(args), err)
	}
	got, err := s.target.read()
	if err != nil {
		return fmt.Errorf("%s: target: %w\n  want %s", quoteCommand(args), err, clip(want.String()))
	}
	reason := s.compare(args, want, got)
	s.track(args, want)
	if reason != nil {
		return &Difference{Command: args, Want: want, Got: got, Reason: reason}
	}
	return nil
}

// track follows MULTI so that EXEC's elements can each be compared as their own command.
func (s *session) track(args []string, want Reply) {
	switch name := strings.ToUpper(args[0]); {
	case name == "MULTI" && want.Text == "OK":
		s.multi, s.queued = true, nil
	case want.Kind == '+' && want.Text == "QUEUED":
		s.queued = append(s.queued, args)
	case (name == "EXEC" || name == "DISCARD") && s.multi && len(args) == 1, name == "RESET":
		s.multi, s.queued = false, nil
	}
}

// drain sends a PING with a fresh text and collects what arrives before its answer: published messages and the
// several confirmations of one SUBSCRIBE.
func (s *session) drain() error {
	s.pings++
	text := fmt.Sprintf("sentinel:%d", s.pings)
	if err := s.send(encodeCommand([]string{"PING", text})); err != nil {
		return err
	}
	want, err := s.oracle.until(text)
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	got, err := s.target.until(text)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !slices.EqualFunc(want, got, func(a, b Reply) bool { return bytes.Equal(a.Raw, b.Raw) }) {
		return &Difference{Command: []string{"(messages)"}, Want: gather(want), Got: gather(got), Reason: errBytes}
	}
	return nil
}

func (c *client) until(sentinel string) ([]Reply, error) {
	var all []Reply
	for {
		r, err := c.read()
		if err != nil {
			return all, err
		}
		all = append(all, r)
		pong := r.Kind == '*' && len(r.Elems) == 2 && r.Elems[1].Text == sentinel // RESP2 in subscribed mode
		if pong || r.Text == sentinel {
			return all, nil
		}
	}
}

func gather(rs []Reply) Reply {
	all := Reply{Value: Value{Kind: '*'}}
	for _, r := range rs {
		all.Elems = append(all.Elems, r.Value)
		all.Raw = append(all.Raw, r.Raw...)
	}
	return all
}

// message reads one reply that no command asked for.
func (s *session) message() error { return s.readAndCompare([]string{"(message)"}) }

// closed says nil when both sides have hung up.
func (s *session) closed() error {
	for side, c := range map[string]*client{"oracle": s.oracle, "target": s.target} {
		r, err := c.read()
		if err == nil {
			return fmt.Errorf("%s: connection is open and says %s", side, r)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return fmt.Errorf("%s: connection is still open", side)
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	return nil
}
