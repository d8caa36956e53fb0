package command_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/vfs"
	"github.com/larderdb/larder/store"
)

func TestWhatUsersMayDo(t *testing.T) {
	const noKey, noChannel = "NOPERM No permissions to access a key", "NOPERM No permissions to access a channel"
	for _, tc := range []struct{ rules, line, reply string }{
		{"", "GET k", "NOPERM User bob has no permissions to run the 'get' command"},
		{"", "CONFIG GET port", "NOPERM User bob has no permissions to run the 'config|get' command"},
		{"", "HELLO 9", "NOPROTO unsupported protocol version"}, // needs no permission
		{"+@all ~a*", "GET abc", "(nil)"},
		{"+@all ~a*", "GET k", noKey},
		{"+@all ~a*", "MSET a 1 b 2", noKey},
		{"+@all ~a*", "ZUNIONSTORE a 1 b", noKey},
		{"+@all ~a*", "ZUNIONSTORE a x b", "ERR value is not an integer or out of range"},
		{"+@all ~a*", "DBSIZE", "(0)"},
		{"+@all %R~a* %W~b*", "COPY a b", "(0)"},
		{"+@all %R~a* %W~b*", "COPY b a", noKey},
		{"+@all %R~a* %W~b*", "EXISTS b", "(0)"},
		{"+@all %R~a* %W~b*", "GET b", noKey},
		{"+@all %R~a* %W~b*", "SET a 1", noKey},
		{"+@all %R~a* %W~b*", "SET b 1", "OK"},
		{"+@all %R~a* %W~b*", "SET b 1 GET", noKey},
		{"+@all %R~a* %W~b*", "OBJECT ENCODING b", "(nil)"},
		{"+@all ~a*", "GEORADIUS a 0 0 1 m STORE ab", "(0)"},
		{"+@all ~a*", "GEORADIUS a 0 0 1 m STORE ab STORE b", noKey},
		{"+select|0", "SELECT 0", "OK"},
		{"+select|0", "SELECT 1", "NOPERM User bob has no permissions to run the 'select' command"},
		{"+@all -config|set ~* &*", "CONFIG SET port 1", "NOPERM User bob has no permissions to run the 'config|set' command"},
		{"+@read ~*", "SET a 1", "NOPERM User bob has no permissions to run the 'set' command"},
		{"+@all ~* &a*", "PUBLISH ab x", "(0)"},
		{"+@all ~* &a*", "PUBLISH b x", noChannel},
		{"+@all ~* &a*", "SPUBLISH b x", noChannel},
		{"+@all ~* &a*", "SSUBSCRIBE b", noChannel},
		{"+@all ~* &a*", "SUBSCRIBE a b", noChannel},
		{"+@all ~* &a*", "PSUBSCRIBE ab*", noChannel},
		{"+@all ~* &a*", "UNSUBSCRIBE b", "[unsubscribe b (0)]"},
		{"+@all ~* &a*", "ACL WHOAMI", "bob"},
	} {
		r := newRig(t)
		r.main.want("OK", append([]string{"ACL", "SETUSER", "bob", "on", ">pw"}, strings.Fields(tc.rules)...)...)
		bob := r.dial(1)
		bob.want("OK", "AUTH bob pw")
		if got := bob.do(tc.line); got != tc.reply {
			t.Errorf("%s: %s answered %q, want %q", tc.rules, tc.line, got, tc.reply)
		}
	}
}

// TestKeysOfMigrate: those that it will take, whatever other words say KEYS.
func TestKeysOfMigrate(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER bob +@all ~a*")
	const no = "User bob has no permissions to access the 'b' key"
	for words, want := range map[string]string{
		"a 0 5": "OK", "b 0 5": no, "- 0 5 KEYS a ab": "OK", "- 0 5 KEYS a b": no, "- 0 5 KEYS b KEYS a": no,
		"- 0 5 AUTH KEYS KEYS b": no, "- 0 5 AUTH KEYS KEYS a": "OK", "- 0 5 AUTH2 KEYS x KEYS a": "OK", "- 0 5 AUTH2 x KEYS KEYS b": no,
		"- 0 5 COPY": "User bob has no permissions to access the '' key",
	} {
		line := []string{"ACL", "DRYRUN", "bob", "MIGRATE", "host", "1"}
		for _, w := range strings.Fields(words) {
			line = append(line, strings.TrimPrefix(w, "-"))
		}
		if got := r.main.do(line...); got != want {
			t.Errorf("%s: %s", words, got)
		}
	}
}

func TestChannelUse(t *testing.T) {
	want := map[string]command.ChannelUse{
		"publish": command.Publishes, "spublish": command.Publishes, "subscribe": command.Subscribes,
		"ssubscribe": command.Subscribes, "psubscribe": command.SubscribesPatterns,
	}
	command.NewTable().Visit(func(full string, r *command.Command) {
		if r.Channels != want[full] {
			t.Errorf("%s: %d, want %d", full, r.Channels, want[full])
		}
	})
}

func TestPermissionsInTransactions(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER bob on nopass +@all ~*")
	bob := r.dial(1)
	bob.want("OK", "AUTH bob x")
	const changed = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: "
	for _, tc := range []struct{ rules, line, why string }{
		{"resetkeys", "SET k v", "no permission to touch the specified keys"},
		{"-set", "SET k v", "no permission to execute the command or subcommand"},
		{"resetchannels", "PUBLISH c x", "no permission to access one of the channels used as arguments"},
	} {
		r.main.want("OK", "ACL SETUSER bob +@all allkeys allchannels")
		bob.want("OK", "MULTI")
		bob.want("QUEUED", tc.line)
		bob.want("QUEUED", "PING")
		r.main.want("OK", "ACL SETUSER bob "+tc.rules)
		bob.want("["+changed+tc.why+" PONG]", "EXEC")
	}
	r.main.want("OK", "ACL SETUSER bob +@all allkeys -get -exec")
	bob.want("OK", "MULTI")
	bob.want("NOPERM User bob has no permissions to run the 'get' command", "GET k")
	bob.want("EXECABORT Transaction discarded because of: NOPERM User bob has no permissions to run the 'exec' command", "EXEC")
	bob.want("ERR DISCARD without MULTI", "DISCARD")
	r.main.want("(0)", "EXISTS k")
}

func TestPermissionsInScripts(t *testing.T) {
	r := newRig(t)
	sc := r.script("set", func(tx store.Tx, keys, _ []string) store.Reply { return tx.Do("SET", keys[0], "v") })
	r.main.want("OK", "ACL SETUSER bob on nopass +eval ~*")
	bob := r.dial(1)
	bob.want("OK", "AUTH bob x")
	bob.want("ERR ACL failure in script: User bob has no permissions to run the 'set' command", "EVAL", sc.Lua, "1", "k")
	r.main.want("OK", "ACL SETUSER bob +set")
	bob.want("OK", "EVAL", sc.Lua, "1", "k")
	log := r.main.do("ACL LOG")
	for _, part := range []string{"context lua", "object set", "cmd=eval", "username bob", "reason command"} {
		if !strings.Contains(log, part) {
			t.Errorf("no %q in %s", part, log)
		}
	}
}

func TestAuthentication(t *testing.T) {
	r := newRig(t)
	const wrong = "WRONGPASS invalid username-password pair or user is disabled."
	c := r.dial(1)
	c.want("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", "AUTH x")
	r.main.want("OK", "ACL SETUSER bob on >pw +@all")
	c.want(wrong, "AUTH bob x")
	c.want("default", "ACL WHOAMI")
	c.want("OK", "AUTH bob pw")
	c.want("bob", "ACL WHOAMI")
	c.want(wrong, "AUTH ann pw")
	c.want("bob", "ACL WHOAMI")
	c.want(wrong, "HELLO", "3", "SETNAME", "me", "AUTH", "bob", "x")
	c.want("(nil)", "CLIENT GETNAME")
	r.main.want("OK", "ACL SETUSER bob off")
	c.want("bob", "ACL WHOAMI") // who is in stays in
	c.want("RESET", "RESET")
	c.want("default", "ACL WHOAMI")
	c.want(wrong, "AUTH bob pw")

	r.main.want("OK", "CONFIG SET requirepass secret")
	c.want("default", "ACL WHOAMI")
	d := r.dial(2)
	d.want("NOAUTH Authentication required.", "PING")
	d.want(wrong, "AUTH x")
	d.want("OK", "AUTH secret")
	d.want("PONG", "PING")
	e := r.dial(3)
	r.main.want("OK", "ACL SETUSER default nopass")
	e.want("PONG", "PING") // nobody needs to say who he is any more
	r.main.want("OK", "ACL SETUSER default off")
	e.want("NOAUTH Authentication required.", "PING")
	d.want("PONG", "PING")
	if got := r.main.do("INFO stats"); !strings.Contains(got, "acl_access_denied_auth:5\r\n") {
		t.Error(got)
	}
}

// TestRefusedPassword: a requirepass that is refused with something else does not touch the password there is.
func TestRefusedPassword(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER default resetpass >mine")
	r.Config.OnChange(func(s *config.Settings) error {
		if s.Hz == 77 {
			return errors.New("no")
		}
		return nil
	}, "hz")
	r.main.want("ERR CONFIG SET failed (possibly related to argument 'hz') - no", "CONFIG SET requirepass other hz 77")
	c := r.dial(1)
	c.want("NOAUTH Authentication required.", "PING")
	c.want("OK", "AUTH mine")
	r.main.want("OK", "CONFIG SET requirepass other hz 78")
	c.want("OK", "AUTH other")
}

func TestDeletedUsersAreDisconnected(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER bob on nopass +@all ~* &*")
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "AUTH bob x")
	b.want("OK", "AUTH bob x")
	a.want("(1)", "ACL DELUSER bob nobody")
	if !a.s.Closing() || a.closed == "" || b.closed == "" {
		t.Errorf("%q %q", a.closed, b.closed)
	}
	if list := r.main.do("CLIENT LIST"); strings.Contains(list, "id=2 ") {
		t.Errorf("who was thrown out is still on the list: %s", list)
	}
	b.want("NOPERM User bob has no permissions to run the 'ping' command", "PING")
	r.main.want("OK", "ACL SETUSER bob on nopass +@all")
	b.want("NOPERM User bob has no permissions to run the 'ping' command", "PING") // another bob
}

func TestRevokedChannels(t *testing.T) {
	for _, tc := range []struct {
		rules, line, change string
		stays               bool
	}{
		{"&a*", "SUBSCRIBE ab", "resetchannels", false},
		{"&a*", "SSUBSCRIBE ab", "resetchannels", false},
		{"&a*", "PSUBSCRIBE a*", "resetchannels &a", false},
		{"&a*", "SUBSCRIBE a", "resetchannels &a", true},
		{"&a*", "SUBSCRIBE a", "resetchannels &a* &b", true},
		{"allchannels", "PSUBSCRIBE x*", "resetchannels &x", false},
		{"allchannels", "PSUBSCRIBE x*", "resetchannels &x*", true},
		{"&a", "SUBSCRIBE a", "allchannels", true},
		{"&a", "SUBSCRIBE a", "-@all off resetkeys", true},
	} {
		r := newRig(t)
		r.main.want("OK", "ACL SETUSER bob on nopass +@all "+tc.rules)
		bob, other := r.dial(1), r.dial(2)
		bob.want("OK", "AUTH bob x")
		bob.do(tc.line)
		other.do(tc.line)
		r.main.want("OK", "ACL SETUSER bob "+tc.change)
		if (bob.closed == "") != tc.stays || other.closed != "" {
			t.Errorf("%s, %s, %s: closed for %q, another user's for %q", tc.rules, tc.line, tc.change, bob.closed, other.closed)
		}
	}
}

func TestBlockedIsAskedAgain(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER bob on nopass +@all ~*")
	c := r.dial(1)
	c.want("OK", "AUTH bob x")
	c.s.Exec([][]byte{[]byte("BLPOP"), []byte("k"), []byte("0")}, c.w)
	r.main.want("OK", "ACL SETUSER bob resetkeys")
	r.main.want("(1)", "RPUSH k v")
	c.wantPushed("NOPERM No permissions to access a key")
	r.main.want("[v]", "LRANGE k 0 -1")
}

func TestDenialsAreLogged(t *testing.T) {
	r := newRig(t, "acllog-max-len", "3")
	r.main.want("OK", "ACL SETUSER bob on >pw +get +acl|whoami ~k")
	c := r.dial(1)
	c.want("OK", "AUTH bob pw")
	c.do("GET other")
	c.do("GET other")
	c.do("SET k v")
	c.do("AUTH", "eve", "x")
	want := []string{
		"count (1) reason auth context toplevel object AUTH username eve age-seconds 0 client-info",
		"count (1) reason command context toplevel object set username bob age-seconds 0 client-info",
		"count (2) reason key context toplevel object other username bob age-seconds 0 client-info",
	}
	log := r.main.do("ACL LOG")
	at := 0
	for _, w := range want {
		i := strings.Index(log[at:], w)
		if i < 0 {
			t.Fatalf("no %q, in this order, in\n%s", w, log)
		}
		at += i
	}
	if !strings.HasSuffix(log, "entry-id (0) timestamp-created (1700000000000) timestamp-last-updated (1700000000000)]]") {
		t.Error(log)
	}
	r.clock.Advance(1500 * time.Millisecond)
	if log := r.main.do("ACL LOG 1"); !strings.Contains(log, "age-seconds 1.5 ") || strings.Contains(log, "bob age") {
		t.Error(log)
	}
	c.do("GET fourth")
	if log := r.main.do("ACL LOG 100"); strings.Contains(log, "object other") || !strings.Contains(log, "object fourth") {
		t.Error(log)
	}
	r.main.want("OK", "ACL LOG RESET")
	r.main.want("[]", "ACL LOG")
}

// fileRig is a processor whose ACL file is in a file system of the test.
func fileRig(t *testing.T, files vfs.FS, lines ...string) (*rig, error) {
	t.Helper()
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	cfg := config.New()
	if err := cfg.LoadArgs([]string{"-"}, strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Clock: fake, Seed: 42})
	t.Cleanup(func() { e.Close() })
	r := &rig{t: t, clock: fake, Processor: command.NewProcessor(e, cfg, command.Info{Files: files})}
	r.main = r.connect()
	return r, r.LoadUsers()
}

func writeFile(t *testing.T, files vfs.FS, name, text string) {
	t.Helper()
	f, err := files.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, files vfs.FS, name string) string {
	t.Helper()
	f, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestACLFile(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, mem, "/etc/users", "user bob on nopass +@all ~*\nuser default on nopass ~* &* +@all\n")
	r, err := fileRig(t, mem, "aclfile /etc/users", "requirepass forgotten")
	if err != nil {
		t.Fatal(err)
	}
	r.main.want("[bob default]", "ACL USERS")
	bob, ann := r.dial(1), r.dial(2)
	bob.want("OK", "AUTH bob x")
	r.main.want("OK", "ACL SETUSER ann on nopass +@all ~* &c")
	ann.want("OK", "AUTH ann x")
	saved := "user ann on nopass sanitize-payload ~* resetchannels &c +@all\nuser bob on nopass sanitize-payload ~* resetchannels +@all\n" +
		"user default on nopass sanitize-payload ~* &* +@all\n"
	r.main.want("OK", "ACL SAVE")
	if got := readFile(t, mem, "/etc/users"); got != saved {
		t.Errorf("%q", got)
	}
	ann.want("[subscribe c (1)]", "SUBSCRIBE c")
	r.main.want("OK", "ACL LOAD")
	if bob.closed != "" || ann.closed != "" {
		t.Error("nothing changed, and clients were thrown out")
	}
	writeFile(t, mem, "/etc/users", "user ann on nopass +@all ~*\nuser eve on bogus\n")
	r.main.want("ERR /etc/users:2: Syntax error. WARNING: ACL errors detected, no change to the previously active ACL rules was performed", "ACL LOAD")
	r.main.want("[ann bob default]", "ACL USERS")
	writeFile(t, mem, "/etc/users", "user ann on nopass +@all ~*\n")
	r.main.want("OK", "ACL LOAD")
	if bob.closed == "" || ann.closed == "" {
		t.Errorf("the one is gone, the other may not listen any more: closed %q, %q", bob.closed, ann.closed)
	}
	r.main.want("[ann default]", "ACL USERS")
	if err := mem.Remove("/etc/users"); err != nil {
		t.Fatal(err)
	}
	r.main.want("ERR Error loading ACLs, opening file '/etc/users': No such file or directory", "ACL LOAD")
}

// Whatever fails while saving, the file is there, old or new.
func TestACLSaveFails(t *testing.T) {
	const old = "user default on nopass ~* &* +@all\n"
	broken := errors.New("broken")
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		writeFile(t, mem, "/users", old)
		calls, armed := 0, false
		files := vfs.WithFaults(mem, func(vfs.Op, string) error {
			if calls++; armed && calls == n {
				return broken
			}
			return nil
		})
		r, err := fileRig(t, files, "aclfile /users")
		if err != nil {
			t.Fatal(err)
		}
		calls, armed = 0, true
		r.main.want("OK", "ACL SETUSER bob on")
		reply := r.main.do("ACL SAVE")
		if reply == "OK" && calls < n {
			if n < 4 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		if !strings.HasPrefix(reply, "ERR There was an error trying to save the ACLs.") {
			t.Errorf("operation %d failed: %s", n, reply)
		}
		if got := readFile(t, mem, "/users"); got != old && !strings.HasPrefix(got, "user bob off") && !strings.HasPrefix(got, "user bob on") {
			t.Errorf("operation %d failed: the file is %q", n, got)
		}
		entries, err := mem.ReadDir("/")
		if err != nil || len(entries) != 1 && n > 1 {
			t.Errorf("operation %d failed: %d files, %v", n, len(entries), err)
		}
	}
}

func TestConfiguredUsers(t *testing.T) {
	r, err := fileRig(t, vfs.NewMem(), "requirepass secret", "user bob on >pw +@all ~k (+get ~x)", "user default on nopass ~* +ping")
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial(1)
	c.want("PONG", "PING")
	c.want("NOPERM User default has no permissions to run the 'get' command", "GET k")
	c.want("OK", "AUTH bob pw")
	c.want("(nil)", "GET x")
	for _, tc := range []struct{ lines, want string }{
		{"user bob +nosuch", "Error loading ACL rule '+nosuch' for the user named 'bob': Unknown command or category name in ACL"},
		{"user bob (+get", "Unmatched parenthesis in acl selector starting at '(+get'."},
		{"user 'b b' on", "Usernames can't contain spaces or null characters"},
		{"user bob on\naclfile /x", "users are defined in the configuration and aclfile names a file with users: only one may be"},
		{"aclfile /none", "aclfile: Error loading ACLs, opening file '/none': No such file or directory"},
	} {
		if _, err := fileRig(t, vfs.NewMem(), strings.Split(tc.lines, "\n")...); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v", tc.lines, err)
		}
	}
}

// TestRightsChangeMeanwhile: whatever administrators do meanwhile, what a user is told is what he may do before or after.
func TestRightsChangeMeanwhile(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "ACL SETUSER bob on nopass +@all ~* &*")
	var clients, admins sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		admin := r.dial(uint64(10 + i))
		admins.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				admin.do([]string{"ACL SETUSER bob resetkeys ~a resetchannels &a", "ACL SETUSER bob allkeys allchannels",
					"ACL SETUSER bob -set", "ACL SETUSER bob +@all", "ACL LOG", "ACL LIST", fmt.Sprintf("ACL SETUSER u%d on (+get ~%d)", i, n),
					"ACL GETUSER bob", fmt.Sprintf("ACL DELUSER u%d", i), "CLIENT LIST", "CLIENT KILL USER u0"}[n%11])
			}
		})
	}
	for i := range 2 {
		c := r.dial(uint64(20 + i))
		clients.Go(func() {
			for n := range 3000 {
				c.do("AUTH", "bob", "x")
				for _, line := range []string{"SET a 1", "SET b 1", "PUBLISH a x", "SUBSCRIBE a", "MULTI", "SET a 2", "EXEC", "RESET"} {
					if got := c.do(line); strings.HasPrefix(got, "ERR") && !strings.Contains(got, "only (P|S)SUBSCRIBE") && !strings.Contains(got, "EXEC without") {
						t.Errorf("%d: %s: %s", n, line, got)
					}
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	admins.Wait()
}

// BenchmarkRights is a GET of a key that is not there, by users of whom ever more is to be checked.
func BenchmarkRights(b *testing.B) {
	for _, rules := range []string{"+@all ~* &*", "+@all ~*", "+@read ~*", "+@read ~app:*", "+@read ~a:* ~b:* ~c:* ~app:*", "(+set ~*) (+get ~app:*)"} {
		b.Run(rules, func(b *testing.B) {
			r := newRig(b)
			r.main.want("OK", append([]string{"ACL", "SETUSER", "bob", "on", "nopass"}, strings.Fields(rules)...)...)
			r.main.want("OK", "AUTH bob x")
			args := [][]byte{[]byte("GET"), []byte("app:key")}
			b.ReportAllocs()
			for b.Loop() {
				r.main.w.Truncate(0)
				r.main.s.Exec(args, r.main.w)
			}
		})
	}
}
