package server

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/redistest"
)

// Whatever a client sends, right or wrong, the bytes that come back are those that redis-server sends.
func TestProtocolAgainstRedis(t *testing.T) {
	redis := redistest.Start(t)
	ours := newRig(t, "tcp", nil)
	answer := func(dial func() (net.Conn, error), in string) string {
		t.Helper()
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, in) // a refused request may be cut off on the way
		_ = c.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(c)
		return string(all)
	}
	for _, in := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "PING\n", "'PI'NG\r\n", "\"\\x50ING\" \r\n", "ECHO \"a b\\n\\t\\\"\"\r\n", "ECHO 'a\\'b\\n'\r\n",
		"\r\n\n  \r\n*0\r\n*-1\r\n*-10\r\n*-9223372036854775808\r\nPING\r\n", "*1\rx$4\rxPINGxx*1\r\n$4\r\nPING\r\n", "QUIT\r\nPING\r\n",
		"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "*2\r\n$4\r\nECHO\r\n$6\r\n\r\n\x00\xff\r\n\r\n", "PING\r\n*2\r\n$4\r\nECHO\r\n$10\r\nhalf", "ECHO " + strings.Repeat("x", 60_000) + "\r\n",
		"*2\r\n$4\r\nECHO\r\n$100000\r\n" + strings.Repeat("x", 100_000) + "\r\nPING\r\n",
		"*x\r\n", "*\r\n", "*01\r\n", "*+1\r\n", "* 1\r\n", "*2147483648\r\n", "*9223372036854775808\r\n", "*1x\r\nPING\r\n",
		"*1\r\n$-1\r\n", "*1\r\n$-0\r\n", "*1\r\n$\r\n", "*1\r\n$4x\r\n", "*1\r\n$ 4\r\n", "*1\r\n$536870913\r\n", "*1\r\n$9223372036854775808\r\n",
		"PING\r\n*1\r\nx3\r\n", "*1\r\n\r\n", "*1\r\n:4\r\n", "*1\r\n*1\r\n$4\r\nPING\r\n", "*1\r\nPING\r\n", "*1\r\n\x01\r\n",
		"*" + strings.Repeat("1", 70_000), "*1\r\n$" + strings.Repeat("1", 70_000), strings.Repeat("a", 70_000),
		"ECHO \"a b\r\n", "PING\nECHO 'a'b\n", "ECHO \"a\"b\n", "ECHO 'a\r\n", "POST / HTTP/1.0\r\n\r\n", "Host: x\r\n", "*2\r\n$4\r\npOsT\r\n$1\r\n/\r\nPING\r\n",
	} {
		want := answer(func() (net.Conn, error) { return net.Dial("tcp", redis.Addr) }, in)
		if got := answer(ours.dial, in); got != want {
			t.Errorf("%.60q: %.100q, redis-server says %.100q", in, got, want)
		}
	}
}
