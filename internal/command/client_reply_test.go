package command_test

import (
	"bytes"
	"testing"
)

// TestClientReply: what is answered to each command, "" for nothing.
func TestClientReply(t *testing.T) {
	r := newRig(t)
	c := r.dial(1)
	for _, step := range [][2]string{
		{"CLIENT REPLY OFF", ""}, {"PING", ""}, {"NOSUCH", ""}, {"SET k v", ""}, {"MULTI", ""}, {"PING", ""}, {"EXEC", ""},
		{"CLIENT REPLY SKIP", ""}, {"CLIENT REPLY nonsense", ""}, {"PING", ""},
		{"CLIENT REPLY ON", "+OK\r\n"}, {"PING", "+PONG\r\n"}, {"GET k", "$1\r\nv\r\n"},
		{"CLIENT REPLY SKIP", ""}, {"PING", ""}, {"PING", "+PONG\r\n"},
		{"CLIENT REPLY SKIP", ""}, {"CLIENT REPLY SKIP", ""}, {"PING", ""}, {"PING", "+PONG\r\n"},
		{"CLIENT REPLY SKIP", ""}, {"CLIENT REPLY ON", "+OK\r\n"}, {"PING", "+PONG\r\n"},
		{"MULTI", "+OK\r\n"}, {"CLIENT REPLY OFF", "+QUEUED\r\n"}, {"EXEC", "*1\r\n+OK\r\n"}, {"PING", ""},
		{"RESET", "+RESET\r\n"}, {"PING", "+PONG\r\n"}, {"CLIENT REPLY nonsense", "-ERR syntax error\r\n"},
	} {
		c.w.Truncate(0)
		c.exec(step[0])
		if got := string(c.w.Bytes()); got != step[1] {
			t.Fatalf("%s: %q, want %q", step[0], got, step[1])
		}
	}
	r.main.want("ERR syntax error", "CLIENT REPLY OFF") // who has no connection cannot do without replies
}

func TestBlockedWithoutReply(t *testing.T) {
	r := newRig(t)
	c := r.dial(1)
	c.exec("CLIENT REPLY SKIP")
	c.exec("BLPOP k 0")
	r.main.want("(1)", "RPUSH k v")
	c.wantPushed()
	c.w.Truncate(0)
	c.want("PONG", "PING")
}

func TestKillNobody(t *testing.T) {
	r := newRig(t)
	c := r.dial(1)
	r.main.want("(0)", "CLIENT", "KILL", "ADDR", "")
	r.main.want("(0)", "CLIENT", "KILL", "LADDR", "", "SKIPME", "no")
	r.main.want("ERR No such client", "CLIENT", "KILL", "")
	if c.closed != "" {
		t.Error("nobody is at no address")
	}
	r.main.want("(1)", "CLIENT", "KILL", "ADDR", c.addr, "LADDR", "127.0.0.1:6379")
	if c.closed == "" {
		t.Error("still there")
	}
}

// exec runs a line and leaves what is replied in c.w.
func (c *client) exec(line string) {
	words := bytes.Fields([]byte(line))
	c.s.Exec(words, c.w)
}
