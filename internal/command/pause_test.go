package command_test

import (
	"strings"
	"testing"
	"time"
)

// again runs a line that was put off, once its connection goes on.
func (l *link) again(line, reply string) {
	l.t.Helper()
	if l.postponed {
		l.t.Fatalf("%q still waits", line)
	}
	l.want(reply, line)
}

// putOff runs a line that has to wait.
func (l *link) putOff(line string) {
	l.t.Helper()
	words := strings.Fields(line)
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	l.w.Truncate(0)
	l.s.Exec(args, l.w)
	if !l.postponed || l.w.Len() != 0 {
		l.t.Fatalf("%q was not put off: %q", line, l.w.Bytes())
	}
}

func TestPauseOfWrites(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "SET k v")
	a.want("OK", "CLIENT PAUSE 1000 WRITE")
	b.want("v", "GET k")
	b.want("ERR wrong number of arguments for 'set' command", "SET k")
	b.putOff("SET k w")
	if info := a.do("INFO clients"); !strings.Contains(info, "\r\nblocked_clients:1\r\n") {
		t.Fatal(info)
	}
	if list := a.do("CLIENT LIST ID 2"); !strings.Contains(list, " flags=b ") {
		t.Fatal(list)
	}
	r.main.want("OK", "SET k embedded") // the program itself does not wait
	a.want("OK", "CLIENT PAUSE 10 WRITE")
	r.clock.Advance(999 * time.Millisecond) // the longer pause counts
	if !b.postponed {
		t.Fatal("the pause ended too early")
	}
	a.want("embedded", "GET k")
	r.clock.Advance(time.Millisecond)
	b.again("SET k w", "OK")

	a.want("OK", "CLIENT PAUSE 1000")
	b.putOff("GET k")
	b.s.Close()
	a.putOff("CLIENT UNPAUSE") // as in Redis
	r.clock.Advance(time.Second)
	a.again("CLIENT UNPAUSE", "OK")
	if info := a.do("INFO clients"); !strings.Contains(info, "\r\nblocked_clients:0\r\n") {
		t.Fatal(info)
	}
}

func TestPauseAndTransactions(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "MULTI")
	a.do("SET x 1")
	a.do("CLIENT PAUSE 1000 WRITE")
	a.do("SET y 1")
	b.want("OK", "MULTI")
	b.do("SET x 2")
	a.want("[OK OK OK]", "EXEC") // it begins when the transaction is over
	b.putOff("EXEC")
	a.want("OK", "MULTI")
	a.do("GET x")
	a.want("[1]", "EXEC")
	a.putOff("PUBLISH c m")
	r.clock.Advance(time.Second)
	b.again("EXEC", "[OK]")
	a.again("PUBLISH c m", "(0)")
	a.want("OK", "CLIENT PAUSE 1000 WRITE")
	a.want("OK", "CLIENT UNPAUSE")
	a.want("OK", "SET x 3")
}

func TestNothingVanishesDuringAPause(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "SET k v PX 10")
	a.want("OK", "MULTI")
	a.do("CLIENT PAUSE 1000 WRITE")
	a.do("EXEC")
	r.clock.Advance(500 * time.Millisecond)
	r.Tick(time.Second)
	a.want("(nil)", "GET k")
	a.want("(0)", "EXISTS k")
	a.want("(nil)", "RANDOMKEY")
	a.want("[0 []]", "SCAN 0")
	a.want("(1)", "DBSIZE")
	r.main.want("OK", "SET k w NX") // a write removes it, wherever it comes from
	a.want("w", "GET k")
	b.putOff("DEL k")
	a.want("OK", "CLIENT UNPAUSE")
	b.again("DEL k", "(1)")
}

func TestPauseRefusals(t *testing.T) {
	a := newRig(t).dial(1)
	for _, c := range [][2]string{
		{"CLIENT PAUSE x", "ERR timeout is not an integer or out of range"},
		{"CLIENT PAUSE -1", "ERR timeout is negative"},
		{"CLIENT PAUSE 9223372036854775807", "ERR timeout is out of range"},
		{"CLIENT PAUSE 1000 SOME", "ERR CLIENT PAUSE mode must be WRITE or ALL"},
		{"CLIENT PAUSE 0", "OK"},
		{"CLIENT UNPAUSE", "OK"},
	} {
		a.want(c[1], c[0])
	}
}
