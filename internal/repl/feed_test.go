package repl

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/engine"
)

func words(s ...string) [][]byte {
	w := make([][]byte, len(s))
	for i := range s {
		w[i] = []byte(s[i])
	}
	return w
}

// follow attaches a replica that keeps what it is sent.
func follow(f *Feed) (*Replica, *bytes.Buffer) {
	var got bytes.Buffer
	r := &Replica{Send: func(b []byte) { got.Write(b) }}
	f.Attach(r)
	return r, &got
}

// commands are those of a stream, a line each.
func commands(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	for s := newStream(bytes.NewReader(b)); ; {
		args, err := s.command()
		if err != nil {
			return out.String()
		}
		out.WriteString(string(bytes.Join(args, []byte(" "))) + "\n")
	}
}

func TestStreamSelectsAndGroups(t *testing.T) {
	f := NewFeed()
	f.Append([]engine.Effect{{DB: 0, Args: words("SET", "lost", "1")}}) // nobody listens
	_, got := follow(f)
	f.Append([]engine.Effect{{DB: 0, Args: words("SET", "a", "1")}})
	f.Append([]engine.Effect{{DB: 0, Args: words("INCR", "a")}})
	f.Append([]engine.Effect{{DB: 2, Args: words("SET", "b", "\x00\r\n")}, {DB: 2, Args: words("DEL", "b")}})
	f.Append([]engine.Effect{{DB: 2, Args: words("UNLINK", "x"), Alone: true}, {DB: 2, Args: words("UNLINK", "y"), Alone: true}})
	want := "SELECT 0\nSET a 1\nINCR a\nMULTI\nSELECT 2\nSET b \x00\r\n\nDEL b\nEXEC\nUNLINK x\nUNLINK y\n"
	if s := commands(t, got.Bytes()); s != want {
		t.Errorf("%q, want %q", s, want)
	}
	if f.Offset() != int64(got.Len()) {
		t.Errorf("offset %d after %d bytes", f.Offset(), got.Len())
	}
	_, late := follow(f)
	f.Append([]engine.Effect{{DB: 2, Args: words("SET", "c", "1")}})
	if s := commands(t, late.Bytes()); s != "SELECT 2\nSET c 1\n" {
		t.Errorf("a late replica gets %q", s)
	}
}

func TestAcknowledgements(t *testing.T) {
	f := NewFeed()
	a, _ := follow(f)
	b, got := follow(f)
	f.Append([]engine.Effect{{Args: words("SET", "a", "1")}})
	if n := f.Reached(f.Offset()); n != 0 {
		t.Errorf("%d have reached what none has acknowledged", n)
	}
	f.Acked(a, f.Offset(), time.Second)
	f.Acked(b, f.Offset()-1, time.Second)
	if n := f.Reached(f.Offset()); n != 1 {
		t.Errorf("%d have reached it, want 1", n)
	}
	f.Acked(a, 1, 2*time.Second) // late news takes nothing back
	if n := f.Reached(f.Offset()); n != 1 {
		t.Errorf("%d have reached it, want 1", n)
	}
	got.Reset()
	f.AskAcks()
	f.Tick(20*time.Second, 10*time.Second)
	f.Tick(25*time.Second, 10*time.Second)
	if s := commands(t, got.Bytes()); s != "REPLCONF GETACK *\nPING\n" {
		t.Errorf("%q", s)
	}
	for i, left := range []int{f.Detach(a), f.Detach(a), f.Detach(b)} {
		if want := []int{1, 1, 0}[i]; left != want {
			t.Errorf("detaching, step %d: %d are left, want %d", i, left, want)
		}
	}
}

// FuzzStream holds that no bytes of a primary panic, or take memory that they do not bring.
func FuzzStream(f *testing.F) {
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n\r\n*1\r\n$4\r\nPING\r\n"))
	f.Add([]byte("*1048576\r\n$536870912\r\nx"))
	f.Add([]byte("*-1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStream(bytes.NewReader(b))
		for {
			args, err := s.command()
			if err != nil {
				break
			}
			total := 0
			for _, a := range args {
				total += len(a)
			}
			if total > len(b) {
				t.Fatalf("%d bytes of words from %d", total, len(b))
			}
		}
		if s.bytes > int64(len(b)) {
			t.Fatalf("read %d of %d", s.bytes, len(b))
		}
	})
}
