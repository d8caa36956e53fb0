package main

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/config"
)

// TestPortAndBindChange: CONFIG SET opens and closes sockets, or changes nothing; connections live on.
func TestPortAndBindChange(t *testing.T) {
	first, second := freePort(t), freePort(t)
	c := settings(t, "--port", first, "--bind", "127.0.0.1")
	db, err := larder.Open(larder.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen(t.Context(), c.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSockets(db, listeners, nil)
	c.OnChange(s.follow, "bind", "port")
	s.start()
	defer s.wait()
	defer db.Close()
	old, err := net.Dial("tcp", "127.0.0.1:"+first)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	set := func(want string, pairs ...config.Pair) {
		t.Helper()
		got := ""
		if err := c.Set(config.Remote, pairs...); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Fatalf("%v: %q, want %q", pairs, got, want)
		}
	}
	listening := func(want ...string) {
		t.Helper()
		var got []string
		for _, k := range s.open {
			got = append(got, k.addr)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("listening at %q, want %q", got, want)
		}
	}

	set("", config.Pair{Name: "port", Value: second})
	listening("127.0.0.1:" + second)
	exchange(t, "127.0.0.1:"+second, "PING", "+PONG")
	if conn, err := net.Dial("tcp", "127.0.0.1:"+first); err == nil {
		conn.Close()
		t.Error("the old port is still open")
	}
	converse(t, old, "PING", "+PONG")

	set("", config.Pair{Name: "bind", Value: "127.0.0.1 127.0.0.2"})
	listening("127.0.0.1:"+second, "127.0.0.2:"+second)
	set("", config.Pair{Name: "bind", Value: "*"}) // the old ones stand in its way
	listening("0.0.0.0:" + second)
	exchange(t, "127.0.0.3:"+second, "PING", "+PONG")
	set("", config.Pair{Name: "bind", Value: "127.0.0.1 -203.0.113.1"})
	listening("127.0.0.1:" + second)

	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	taken := strconv.Itoa(other.Addr().(*net.TCPAddr).Port)
	set("ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
		config.Pair{Name: "hz", Value: "20"}, config.Pair{Name: "port", Value: taken})
	set("ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.",
		config.Pair{Name: "bind", Value: "203.0.113.1"})
	listening("127.0.0.1:" + second)
	if got, _ := c.Value("hz"); got != "10" {
		t.Errorf("hz is %s after a refusal", got)
	}
	set("", config.Pair{Name: "port", Value: "0"})
	listening()
	converse(t, old, "PING", "+PONG")
	set("", config.Pair{Name: "port", Value: first})
	exchange(t, "127.0.0.1:"+first, "PING", "+PONG")
}
