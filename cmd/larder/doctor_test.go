package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/redistest"
)

// doctorRun runs larder doctor in this process and gives what it printed and its exit code.
func doctorRun(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(append([]string{"doctor"}, args...))
	err := root.ExecuteContext(t.Context())
	own := new(exitCode)
	switch {
	case err == nil:
	case errors.As(err, &own):
		code = own.code
		errOut.WriteString(err.Error())
	default:
		t.Fatalf("%q: an error without a code of its own: %v", args, err)
	}
	return out.String(), errOut.String(), code
}

func TestDoctorExitCodes(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "secret-word", "--slowlog-log-slower-than", "1000000")
	url := strings.Replace(s.URL(), "redis://", "redis://:secret-word@", 1)
	for _, tc := range []struct {
		args  []string
		code  int
		shows string // on stdout, or else on stderr
	}{
		{[]string{url, "--no-progress"}, exitFindings, "maxmemory is 0"},
		{[]string{url, "--fail-on", "critical", "--ignore", "kernel"}, 0, "maxmemory is 0"},
		{[]string{url, "--fail-on", "never"}, 0, "maxmemory is 0"},
		{[]string{url, "--ignore", "maxmemory", "--full", "--rate", "0", "--timeout", "1m", "--match", "a*", "--separator", "/", "--depth", "2"}, 0, "Ignored: maxmemory"},
		{[]string{url, "--ignore", "maxmemory", "--fail-on", "warning", "--sample", "5"}, 0, "checks found nothing"},
		{[]string{s.URL()}, exitCouldNot, "NOAUTH"},
		{[]string{strings.Replace(url, "secret-word", "wrong", 1)}, exitCouldNot, "WRONGPASS"},
		{[]string{"redis://:secret-word@127.0.0.1:1?retries=0"}, exitCouldNot, "store unavailable"},
		{[]string{"mem://"}, exitCouldNot, "is no server"},
		{[]string{"nonsense://"}, exitCouldNot, "nonsense"},
		{[]string{url, "and", "more"}, exitCouldNot, "arg"},
		{[]string{url, "--nonsense"}, exitCouldNot, "unknown flag"},
		{[]string{url, "--fail-on", "ok"}, exitCouldNot, "--fail-on"},
		{[]string{url, "--fail-on", "sometimes"}, exitCouldNot, "--fail-on"},
		{[]string{url, "--rate", "-1"}, exitCouldNot, "--rate"},
		{[]string{url, "--sample", "0"}, exitCouldNot, "--sample"},
		{[]string{url, "--depth", "99"}, exitCouldNot, "depth"},
		{[]string{url, "--timeout", "-1s"}, exitCouldNot, "timeout"},
		{[]string{url, "--ignore", "no-such-check"}, exitCouldNot, "no-such-check"},
	} {
		stdout, stderr, code := doctorRun(t, tc.args...)
		if code != tc.code || !strings.Contains(stdout+stderr, tc.shows) {
			t.Errorf("%q: code %d, want %d, and %q\n%s%s", tc.args, code, tc.code, tc.shows, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "secret-word") {
			t.Errorf("%q shows the password:\n%s%s", tc.args, stdout, stderr)
		}
		if code == exitCouldNot && stdout != "" {
			t.Errorf("%q: a report without a check-up: %s", tc.args, stdout)
		}
	}
}

func TestDoctorEnvironment(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "secret-word")
	for _, name := range []string{"LARDER_URL", "REDIS_URL", "KV_REST_API_URL", "UPSTASH_REDIS_REST_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "LARDER_PASSWORD", "REDISCLI_AUTH"} {
		t.Setenv(name, "")
	}
	if _, stderr, code := doctorRun(t); code != exitCouldNot || !strings.Contains(stderr, "which server") {
		t.Error(code, stderr)
	}
	t.Setenv("REDIS_URL", s.URL())
	for _, name := range []string{"LARDER_PASSWORD", "REDISCLI_AUTH"} {
		t.Setenv(name, "secret-word")
		stdout, stderr, code := doctorRun(t, "--json", "--fail-on", "never")
		t.Setenv(name, "")
		if code != 0 || strings.Contains(stdout+stderr, "secret-word") {
			t.Error(name, code, stderr)
		}
		var report struct {
			Schema   int
			Target   string
			Findings []struct{ Check string }
		}
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.Schema != 1 || report.Target != s.URL() || len(report.Findings) == 0 {
			t.Errorf("%v %+v", err, report)
		}
		if stderr != "" {
			t.Errorf("%s: a bar beside JSON: %q", name, fmt.Sprint(stderr))
		}
	}
}
