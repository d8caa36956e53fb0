package main

import (
	"bufio"
	"bytes"
	"net"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/larderdb/larder"
)

// command runs larder in this process.
func command(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(""))
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestVersion(t *testing.T) {
	out, err := command(t, "version")
	if err != nil || !strings.HasPrefix(out, "larder ") || !strings.Contains(out, "go1.") {
		t.Error(out, err)
	}
	info := &debug.BuildInfo{GoVersion: "go1.26", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}
	if got := describeBuild(info); got != "larder "+larder.Version+" go1.26 0123456789ab (modified)" {
		t.Error(got)
	}
	if got := describeBuild(nil); got == "" {
		t.Error("nothing to say without build information")
	}
}

func TestServeRefuses(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--nope", "1"}, "Bad directive or wrong number of arguments"},
		{[]string{"--port", "x"}, "argument couldn't be parsed into an integer"},
		{[]string{"--appendonly", "yes"}, "this version has no append-only file"},
		{[]string{"--tls-port", "6380"}, "tls-port needs tls-cert-file and tls-key-file"},
		{[]string{"--tls-key-file-pass", "secret"}, "this version has no encrypted keys"},
		{[]string{"--port", "0"}, "configured to listen nowhere"},
		{[]string{"/no/such/redis.conf"}, "can't open config file '/no/such/redis.conf'"},
		{[]string{"--logfile", "/no/such/folder/log"}, "logfile: "},
	} {
		if _, err := command(t, append([]string{"serve"}, tc.args...)...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v", tc.args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"serve", "--port", "1", "-h"}} {
		if out, err := command(t, args...); err != nil || !strings.Contains(out, "Usage:") {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
}

// exchange sends an inline command and checks how the answer begins.
func exchange(t *testing.T, addr, command, want string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	converse(t, conn, command, want)
}

// converse sends an inline command and checks how the answer begins.
func converse(t *testing.T, conn net.Conn, command, want string) {
	t.Helper()
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("%s: %q, %v", command, got, err)
	}
}
