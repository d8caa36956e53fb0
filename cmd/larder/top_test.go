package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/larderdb/larder"
)

func TestTopOnce(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- db.Serve(l) }()
	defer func() { db.Close(); <-served }()
	url := "redis://" + l.Addr().String()
	out, err := command(t, "top", "--once", "--json", "--interval", "100ms", url)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Overview struct {
			Server string  `json:"server"`
			Ops    float64 `json:"ops_per_second"`
		} `json:"overview"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || !strings.HasPrefix(report.Overview.Server, "larder ") || report.Overview.Ops <= 0 {
		t.Errorf("%v in %s", err, out)
	}
	if out, err = command(t, "top", "--once", "--interval", "100ms", url); err != nil || !strings.Contains(out, "commands/s") {
		t.Errorf("%v in %s", err, out)
	}
}

func TestTopRefuses(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--interval", "1ms"}, "too short"}, {[]string{"--scan-rate", "-1"}, "keys a second"}, {[]string{"--separator", ""}, "want a separator"}, {[]string{"--depth", "0"}, "a depth of 1"},
		{[]string{"--json"}, "--once"}, {[]string{"a", "b"}, "at most 1 arg"}, {[]string{"mem://"}, "another process"}, {[]string{"--once", "redis://127.0.0.1:1"}, "cannot connect"},
	} {
		if _, err := command(t, append([]string{"top"}, tc.args...)...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v", tc.args, err)
		}
	}
}

func TestUnicodeTerminal(t *testing.T) {
	for want, envs := range map[bool][]map[string]string{
		true:  {{"LANG": "en_US.UTF-8"}, {"LANG": "C", "LC_ALL": "C.utf8"}, {"LC_CTYPE": "UTF-8"}},
		false: {{}, {"LANG": "C"}, {"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}},
	} {
		for _, env := range envs {
			if got := unicodeTerminal(func(name string) string { return env[name] }); got != want {
				t.Errorf("%v: %v", env, got)
			}
		}
	}
}
