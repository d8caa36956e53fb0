package difftest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// replyTimeout bounds the wait for one reply: a server that stays silent is a difference, not a hang.
const replyTimeout = 10 * time.Second

// Reply is one answer as it stood on the wire, and the same decoded.
type Reply struct {
	Raw []byte
	Value
}

// Value is a decoded reply.
type Value struct {
	Kind  byte    // the RESP type byte: + - : $ * _ , # ( ! = % ~ >
	Null  bool    // $-1, *-1 or _
	Text  string  // everything that is not an aggregate; a number keeps its wire form
	Elems []Value // aggregates; a map holds key, value, key, value...
}

// client is a raw RESP connection. It is not safe for concurrent use.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	raw  bytes.Buffer // wire bytes of the reply being read
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

// encodeCommand gives the wire form of a command: an array of bulk strings.
func encodeCommand(args []string) []byte {
	out := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return out
}

func (c *client) send(wire []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(replyTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(wire)
	return err
}

// read takes exactly one reply off the connection.
func (c *client) read() (Reply, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(replyTimeout)); err != nil {
		return Reply{}, err
	}
	c.raw.Reset()
	v, err := c.value()
	return Reply{Raw: bytes.Clone(c.raw.Bytes()), Value: v}, err
}

func (c *client) do(args ...string) (Reply, error) {
	if err := c.send(encodeCommand(args)); err != nil {
		return Reply{}, err
	}
	return c.read()
}

func (c *client) line() (string, error) {
	s, err := c.in.ReadString('\n')
	c.raw.WriteString(s)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(s, "\r\n") || len(s) < 3 {
		return "", fmt.Errorf("malformed reply line %q", s)
	}
	return s[:len(s)-2], nil
}

func (c *client) value() (Value, error) {
	head, err := c.line()
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: head[0], Text: head[1:]}
	switch v.Kind {
	case '+', '-', ':', ',', '#', '(':
		return v, nil
	case '_':
		v.Null = true
		return v, nil
	case '$', '!', '=':
		return c.blob(v)
	case '*', '%', '~', '>':
		return c.aggregate(v)
	}
	return v, fmt.Errorf("unknown reply type in %q", head)
}

func (c *client) blob(v Value) (Value, error) {
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < -1 {
		return v, fmt.Errorf("malformed length %q", v.Text)
	}
	v.Text = ""
	if n == -1 {
		v.Null = true
		return v, nil
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return v, err
	}
	c.raw.Write(body)
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		return v, errors.New("bulk string without its CRLF")
	}
	v.Text = string(body[:n])
	return v, nil
}

func (c *client) aggregate(v Value) (Value, error) {
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < -1 {
		return v, fmt.Errorf("malformed length %q", v.Text)
	}
	v.Text = ""
	if n == -1 {
		v.Null = true
		return v, nil
	}
	if v.Kind == '%' {
		n *= 2
	}
	for range n {
		e, err := c.value()
		if err != nil {
			return v, err
		}
		v.Elems = append(v.Elems, e)
	}
	return v, nil
}

// String renders a value on one line: the form of expectations in scripts and of failure messages.
func (v Value) String() string {
	switch {
	case v.Null && v.Kind == '*':
		return "nil*"
	case v.Null:
		return "nil"
	}
	switch v.Kind {
	case '$':
		return strconv.Quote(v.Text)
	case ':':
		return v.Text
	case '=', '!':
		return string(v.Kind) + strconv.Quote(v.Text)
	case '*', '%', '~', '>':
		parts := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			parts[i] = e.String()
		}
		kind := string(v.Kind)
		if v.Kind == '*' {
			kind = ""
		}
		return kind + "[" + strings.Join(parts, " ") + "]"
	}
	return string(v.Kind) + v.Text
}

func (v Value) isError() bool { return v.Kind == '-' || v.Kind == '!' }

func (v Value) isAggregate() bool { return strings.IndexByte("*%~>", v.Kind) >= 0 }
