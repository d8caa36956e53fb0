package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/vfs"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadFile(t *testing.T) {
	more := write(t, "more.conf", "timeout 30\nhz 20\n")
	c := New()
	err := c.LoadFile(write(t, "redis.conf", strings.Join([]string{
		"# a comment",
		"",
		"  PORT   7000  \r",
		`requirepass "two words \x41\n"`,
		"bind 127.0.0.1 ::1",
		`bind "10.0.0.1 10.0.0.2"`,
		"timeout 5",
		"include " + more,
		"include " + filepath.Join(t.TempDir(), "*.conf"), // matches nothing, which is no fault
		"hz 30",
		"save 900 1",
		"save 300 10 60 10000",
		"client-output-buffer-limit pubsub 1mb 1kb 1",
		"lua-replicate-commands yes",
		"databases 4",
		"dbfilename it.rdb",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"port": "7000", "requirepass": "two words A\n", "bind": "10.0.0.1 10.0.0.2", "timeout": "30", "hz": "30",
		"save": "900 1 300 10 60 10000", "databases": "4", "dbfilename": "it.rdb",
		"client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1024 1",
	} {
		wantValue(t, c, name, want)
	}
	if s := c.Settings(); s.Port != 7000 || len(s.Save) != 3 || !slices.Equal(s.Bind, []string{"10.0.0.1", "10.0.0.2"}) {
		t.Errorf("%+v", s)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, tc := range []struct {
		content, text, reason string
		line                  int
	}{
		{"port 1\nfoo bar", "foo bar", "Bad directive or wrong number of arguments", 2},
		{"port", "port", "wrong number of arguments", 1},
		{"port 1 2", "port 1 2", "wrong number of arguments", 1},
		{"\n#\nport x", "port x", "argument couldn't be parsed into an integer", 3},
		{`logfile "x`, `logfile "x`, "Unbalanced quotes in configuration line", 1},
		{`logfile "x"y`, `logfile "x"y`, "Unbalanced quotes in configuration line", 1},
		{"save 1", "save 1", "Invalid save parameters", 1},
		{"requirepass a b", "requirepass ***", "wrong number of arguments", 1},
		{"user bob on\nuser ann on\nuser bob off", "user ***", "Error in user declaration 'bob': Duplicate user found. A user can only be defined once in config files", 3},
		{"user", "user ***", "Bad directive or wrong number of arguments", 1},
		{"sentinel monitor x", "sentinel monitor x", "sentinel directive while not in sentinel mode", 1},
	} {
		c := New()
		err := c.LoadFile(write(t, "redis.conf", "timeout 9\n"+tc.content))
		var at *LoadError
		if !errors.As(err, &at) || at.Line != tc.line+1 || at.Text != tc.text || at.Reason != tc.reason {
			t.Errorf("%q: %v", tc.content, err)
		}
		if changed := c.Changed(); len(changed) != 0 {
			t.Errorf("%q: a refused file changed %v", tc.content, changed)
		}
	}
}

func TestLoadUsers(t *testing.T) {
	c := New()
	path := write(t, "redis.conf", "user bob on >secret\nport 7000\nuser ann\n")
	if err := c.LoadArgs([]string{path, "--user", "eve", "on", "~a b", "--timeout", "5"}, nil); err != nil {
		t.Fatal(err)
	}
	want := []User{{"bob", []string{"on", ">secret"}}, {"ann", []string{}}, {"eve", []string{"on", "~a b"}}}
	if got := c.Users(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if err := c.LoadArgs([]string{"--user", "new", "--user", "bob"}, nil); err == nil || len(c.Users()) != 3 {
		t.Errorf("%v, %q: a user twice, or half of a refused command line", err, c.Users())
	}
}

func TestLoadErrorText(t *testing.T) {
	err := New().LoadFile(write(t, "redis.conf", "\nfoo bar"))
	if err == nil || !strings.HasSuffix(err.Error(), "redis.conf, at line 2\n>>> 'foo bar'\nBad directive or wrong number of arguments") {
		t.Fatal(err)
	}
}

func TestLoadMissingFile(t *testing.T) {
	if err := New().LoadFile("/no/such.conf"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/no/such.conf") {
		t.Fatal(err)
	}
	if err := New().LoadFile(t.TempDir()); err == nil {
		t.Fatal("a folder was read as a file")
	}
	err := New().LoadFile(write(t, "redis.conf", "include /no/such.conf"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestIncludeOfItselfEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.conf")
	if err := os.WriteFile(path, []byte("include "+path), 0o600); err != nil {
		t.Fatal(err)
	}
	err := New().LoadFile(path)
	if err == nil || !strings.Contains(err.Error(), "more than 16 levels of include") {
		t.Fatal(err)
	}
}

func TestLoadArgs(t *testing.T) {
	file := write(t, "redis.conf", "port 7000\ntimeout 5\n")
	for _, tc := range []struct {
		args  []string
		stdin string
		want  map[string]string
	}{
		{[]string{file, "--port", "7001"}, "", map[string]string{"port": "7001", "timeout": "5"}},
		{[]string{"--port", "7001", "--bind", "127.0.0.1", "::1"}, "", map[string]string{"port": "7001", "bind": "127.0.0.1 ::1"}},
		{[]string{"--port=7001", "--requirepass=a=b"}, "", map[string]string{"port": "7001", "requirepass": "a=b"}},
		{[]string{"--port 7001", "--hz", "20"}, "", map[string]string{"port": "7001", "hz": "20"}},
		{[]string{"--save", "60", "1", "--port", "7001"}, "", map[string]string{"port": "7001", "save": "60 1"}},
		{[]string{"--save", "60 1"}, "", map[string]string{"save": "60 1"}},
		{[]string{"--save", "60 1", "--save", "", "--port", "1"}, "", map[string]string{"save": "", "port": "1"}},
		{[]string{"--save", "--port", "1"}, "", map[string]string{"save": "", "port": "1"}},
		{[]string{"--port", "1", "--save"}, "", map[string]string{"save": "", "port": "1"}},
		{[]string{"--requirepass", "--secret"}, "", map[string]string{"requirepass": "--secret"}},
		{[]string{"--list-max-listpack-size", "-5"}, "", map[string]string{"list-max-listpack-size": "-5"}},
		{[]string{"-", "--port", "7002"}, "hz 50\nport 1\n", map[string]string{"hz": "50", "port": "7002"}},
		{[]string{file, "-"}, "port 7003\n", map[string]string{"port": "7003", "timeout": "5"}},
		{nil, "port 1\n", map[string]string{"port": "6379"}},
	} {
		c := New()
		if err := c.LoadArgs(tc.args, strings.NewReader(tc.stdin)); err != nil {
			t.Errorf("%q: %v", tc.args, err)
			continue
		}
		for name, want := range tc.want {
			wantValue(t, c, name, want)
		}
	}
}

func TestLoadArgsErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--port", "x"}, "Reading the command line\n>>> 'port x'\nargument couldn't be parsed into an integer"},
		{[]string{"--nope", "1"}, "Reading the command line\n>>> 'nope 1'\nBad directive or wrong number of arguments"},
		{[]string{"--port"}, "Reading the command line\n>>> 'port'\nwrong number of arguments"},
		{[]string{"--requirepass", "a", "b"}, "Reading the command line\n>>> 'requirepass ***'\nwrong number of arguments"},
		{[]string{"-p", "1"}, "Reading the command line\n>>> '-p'\noptions are written --name value"},
	} {
		if err := New().LoadArgs(tc.args, strings.NewReader("")); err == nil || err.Error() != tc.want {
			t.Errorf("%q: %v", tc.args, err)
		}
	}
}

func TestLoadAsksHooks(t *testing.T) {
	c := New()
	c.OnChange(func(*Settings) error { return errors.New("no") }, "port")
	if err := c.LoadArgs([]string{"--port", "1", "--hz", "20"}, nil); err == nil {
		t.Fatal("the hook was not asked")
	}
	wantValue(t, c, "hz", "10")
}

func TestSplitArgs(t *testing.T) {
	for line, want := range map[string][]string{
		"":                              nil,
		"   ":                           nil,
		"a b\tc":                        {"a", "b", "c"},
		`a "b c" 'd e'`:                 {"a", "b c", "d e"},
		`"\n\r\t\b\a\x41\q\"\\" '\'\n'`: {"\n\r\t\b\aAq\"\\", `'\n`},
		`a"b" c`:                        {"ab", "c"},
		`"" ''`:                         {"", ""},
		`"\xzz"`:                        {"xzz"},
	} {
		if got, err := SplitArgs(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`"`, `'`, `"a`, `a "b"c`, `'a'b`, `"\`} {
		if got, err := SplitArgs(line); err == nil {
			t.Errorf("%q was taken as %q", line, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("port 7000\nsave 1 2\nbind a b\n")
	f.Add("requirepass \"\\x4\n'")
	f.Add("client-output-buffer-limit normal 0 0\nlatency-tracking-info-percentiles nan")
	f.Fuzz(func(t *testing.T, content string) {
		if strings.Contains(strings.ToLower(content), "include") {
			return // reads files
		}
		_ = New().LoadArgs([]string{"-"}, strings.NewReader(content))
	})
}

// TestStockFilesLoad: the configuration that a distribution installs is one of ours.
func TestStockFilesLoad(t *testing.T) {
	found := false
	for _, path := range []string{"/etc/redis/redis.conf", "/etc/redis.conf", "/etc/valkey/valkey.conf", "/etc/valkey/redis.conf"} {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // not installed, or not ours to read
		}
		found = true
		copied := filepath.Join(t.TempDir(), "stock.conf")
		if err := os.WriteFile(copied, append(content, "\ndir "+t.TempDir()+"\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		c := New()
		if err := c.LoadFile(copied); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := c.Rewrite(vfs.OS(), nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		again := New()
		if err := again.LoadFile(copied); err != nil || !slices.Equal(again.Get("*"), c.Get("*")) {
			t.Errorf("%s reads otherwise after a rewrite: %v", path, err)
		}
	}
	if !found {
		t.Skip("no Redis or Valkey is installed here")
	}
}
