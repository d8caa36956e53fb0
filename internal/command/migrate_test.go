package command_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// target answers each command with the next of its lines, and tells the words' first two.
func target(t *testing.T, lines ...string) (addr string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 100)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := resp.NewReader(bufio.NewReader(conn))
		for _, line := range lines {
			v, err := r.Read()
			if err != nil {
				return
			}
			got <- v.Elems[0].Text() + " " + v.Elems[1].Text()
			if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
				return
			}
		}
	}()
	return strings.Replace(l.Addr().String(), ":", " ", 1), got
}

func TestMigrate(t *testing.T) {
	e := engine.New(engine.Options{Clock: clock.System()})
	t.Cleanup(e.Close)
	p := command.NewProcessor(e, config.New(), command.Info{})
	c := &client{t, p.NewSession(nil), resp.NewWriter(nil)}
	for _, step := range []struct {
		answers          []string
		words, want      string
		commands, remain string
	}{
		{nil, "nokey 0 100", "NOKEY", "", "[a b c]"},
		{[]string{"+OK", "+OK"}, "a 3 100 COPY", "OK", "SELECT 3; RESTORE a", "[a b c]"},
		{[]string{"+OK", "+OK"}, "a 3 100", "OK", "SELECT 3; RESTORE a", "[(nil) b c]"},
		{[]string{"+OK", "+OK", "-BUSYKEY there", "+OK"}, "  0 100 AUTH pw KEYS b x c", "ERR Target instance replied with error: BUSYKEY there",
			"AUTH pw; SELECT 0; RESTORE b; RESTORE c", "[(nil) b (nil)]"},
		{[]string{"-NOAUTH no", "+OK"}, "b 0 100", "ERR Target instance replied with error: NOAUTH no", "SELECT 0; RESTORE b", "[(nil) b (nil)]"},
		{[]string{"+OK"}, "b 0 100", "IOERR error or timeout reading from target instance", "SELECT 0", "[(nil) b (nil)]"},
	} {
		if step.remain == "[a b c]" {
			c.want("OK", "MSET a a b b c c")
		}
		addr, got := target(t, step.answers...)
		words := append([]string{"MIGRATE"}, strings.Fields(addr)...)
		for _, w := range strings.Split(step.words, " ") {
			if len(words) == 4 && w == "" {
				continue
			}
			words = append(words, w)
		}
		if reply := c.do(words...); reply != step.want {
			t.Errorf("%q: %s, want %s", words, reply, step.want)
		}
		var commands []string
		for len(got) > 0 {
			commands = append(commands, <-got)
		}
		if said := strings.Join(commands, "; "); said != step.commands {
			t.Errorf("%q sent %q, want %q", words, said, step.commands)
		}
		c.want(step.remain, "MGET a b c")
	}
	c.want("IOERR error or timeout connecting to the client", "MIGRATE 127.0.0.1 1 b 0 100")
}
