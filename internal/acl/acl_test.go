package acl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/config"
)

// testCatalog is a small table: two categories that overlap, a container, plain commands.
func testCatalog() *Catalog {
	const fast, slow, admin = 1, 2, 4
	return NewCatalog([]string{"fast", "slow", "admin"}, []Command{
		{"get", fast}, {"set", slow}, {"config", slow}, {"config|get", slow | admin}, {"config|set", slow | admin},
		{"select", fast}, {"debug", admin}, {"auth", fast}, {"publish", fast},
	})
}

func set(t *testing.T, u *Users, name string, words ...string) *User {
	t.Helper()
	change, err := u.Set(name, words)
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	return change.After
}

func TestRules(t *testing.T) {
	const h = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8" // password
	for _, tc := range []struct{ words, want string }{
		{"", "off sanitize-payload resetchannels -@all"},
		{"on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"},
		{"ON NoPass AllKeys AllChannels AllCommands", "on nopass sanitize-payload ~* &* +@all"},
		{"on >password", "on #" + h + " sanitize-payload resetchannels -@all"},
		{">password >password #" + h, "off sanitize-payload #" + h + " resetchannels -@all"},
		{"nopass >password", "off sanitize-payload #" + h + " resetchannels -@all"},
		{">password <password", "off sanitize-payload resetchannels -@all"},
		{">password !" + h, "off sanitize-payload resetchannels -@all"},
		{">password resetpass", "off sanitize-payload resetchannels -@all"},
		{">password nopass", "off nopass sanitize-payload resetchannels -@all"},
		{"skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
		{"~a %R~b %W~c %rW~d %R~e %W~e ~a", "off sanitize-payload ~a %R~b %W~c ~d ~e resetchannels -@all"},
		{"~a allkeys resetkeys ~b", "off sanitize-payload ~b resetchannels -@all"},
		{"%RW~*", "off sanitize-payload %RW~* resetchannels -@all"},
		{"%RW~* ~b", "off sanitize-payload %RW~* ~b resetchannels -@all"},
		{"%R", "off sanitize-payload %R~ resetchannels -@all"},
		{"&a &b* &a", "off sanitize-payload resetchannels &a &b* -@all"},
		{"+get -get", "off sanitize-payload resetchannels -@all -get"},
		{"+GET +get +gEt", "off sanitize-payload resetchannels -@all +get"},
		{"+@all -@slow +set", "off sanitize-payload resetchannels +@all -@slow +set"},
		{"+@all -@slow +set -@SLOW", "off sanitize-payload resetchannels +@all +set -@slow"},
		{"-@slow +@all", "off sanitize-payload resetchannels +@all"},
		{"+config|get +config", "off sanitize-payload resetchannels -@all +config"},
		{"+config +config|get -config|set +config", "off sanitize-payload resetchannels -@all +config"},
		{"+@all -config|set", "off sanitize-payload resetchannels +@all -config|set"},
		{"+select|0 +SELECT|0 +select|1", "off sanitize-payload resetchannels -@all +select|0 +select|1"},
		{"+select|0 +select|1 -select", "off sanitize-payload resetchannels -@all -select"},
		{"(+get ~a) ( %R~b +set  )", "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) (%R~b resetchannels -@all +set)"},
		{"() (+get) clearselectors", "off sanitize-payload resetchannels -@all"},
		{`("~\"a\\\\") ("~b)" +get)`, `off sanitize-payload resetchannels -@all ("~\"a\\\\" resetchannels -@all) ("~b)" resetchannels -@all +get)`},
		{"on >password ~a &b +get (+set) reset", "off sanitize-payload resetchannels -@all"},
		{"() ()", "off sanitize-payload resetchannels -@all (resetchannels -@all) (resetchannels -@all)"},
	} {
		u := NewUsers(testCatalog())
		got := set(t, u, "bob", strings.Fields(tc.words)...).String()
		if want := normal(tc.want, got); got != want {
			t.Errorf("%s\n got %s\nwant %s", tc.words, got, want)
		}
		again := set(t, NewUsers(testCatalog()), "bob", strings.Fields(got)...)
		if again.String() != got {
			t.Errorf("%s\nread back gives\n%s", got, again)
		}
	}
}

// normal puts passwords behind the switches, where descriptions have them, so that the table above may be read in order.
func normal(want, got string) string {
	a, b := strings.Fields(want), strings.Fields(got)
	slices.Sort(a)
	slices.Sort(b)
	if slices.Equal(a, b) && strings.Contains(want, "#") {
		return got
	}
	return want
}

func TestRefusedRules(t *testing.T) {
	short := strings.Repeat("a", 63)
	for _, tc := range []struct {
		words string
		want  error
	}{
		{"bogus", errSyntax}, {")", errSyntax}, {"%~a", errSyntax}, {"%", errSyntax}, {"%RR~a", errSyntax}, {"%X~a", errSyntax},
		{"~a\tb", errSyntax}, {"~a\x00b", errSyntax}, {"&a\nb", errSyntax}, {"+select|", errSyntax}, {"+select|a\tb", errSyntax},
		{"+nope", errUnknown}, {"-nope", errUnknown}, {"+", errUnknown}, {"-", errUnknown}, {"+@nope", errUnknown}, {"-@", errUnknown},
		{"+config|nope", errUnknown}, {"-config|nope", errUnknown}, {"-select|0", errUnknown}, {"+get|a|b", errUnknown},
		{"+config|get|x", errFirstArgOfSub}, {"#" + short, errHash}, {"#" + short + "A", errHash}, {"!" + short + "g", errHash},
		{"<never", errNoSuchPassword}, {"allkeys ~a", errAfterAllKeys}, {"~* %R~a", errAfterAllKeys},
		{"allchannels &a", errAfterAllChannels}, {"(&* &fail)", errAfterAllChannels}, {"(bogus)", errSyntax}, {"(on)", errSyntax},
		{"\u212a", errSyntax}, {"all\u212aeys", errSyntax},
	} {
		u := NewUsers(testCatalog())
		set(t, u, "bob", "on", "+get", "~x")
		before := u.Lines()
		words := strings.Split(tc.words, " ")
		_, err := u.Set("bob", append([]string{"+set"}, words...))
		if !errors.Is(err, tc.want) {
			t.Errorf("%q: %v, want %v", tc.words, err, tc.want)
		}
		if !slices.Equal(u.Lines(), before) {
			t.Errorf("%q left something behind", tc.words)
		}
	}
}

func TestUnmatchedSelector(t *testing.T) {
	_, err := NewUsers(testCatalog()).Set("bob", []string{"on", "(+get", "(+set"})
	if err == nil || err.Error() != "Unmatched parenthesis in acl selector starting at '(+get'." {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	c := testCatalog()
	number := func(name string) int { i, _ := c.find(name); return i }
	for _, tc := range []struct {
		rules string
		r     Request
		want  Verdict
	}{
		{"+get", Request{Command: number("get")}, Verdict{}},
		{"+get", Request{Command: number("set")}, Verdict{DeniedCommand, 0}},
		{"", Request{Command: number("auth"), Free: true}, Verdict{}},
		{"+select|0", Request{Command: number("select"), FirstArg: []byte("0")}, Verdict{}},
		{"+select|A", Request{Command: number("select"), FirstArg: []byte("a")}, Verdict{}},
		{"+select|0", Request{Command: number("select"), FirstArg: []byte("1")}, Verdict{DeniedCommand, 0}},
		{"+select|0", Request{Command: number("select")}, Verdict{DeniedCommand, 0}},
		{"+@all -select", Request{Command: number("select")}, Verdict{DeniedCommand, 0}},
		{"+@slow", Request{Command: number("config|set")}, Verdict{}},
		{"+@slow -@admin", Request{Command: number("config|set")}, Verdict{DeniedCommand, 0}},
		{"+get ~a*", Request{Command: number("get"), Keys: []Key{{1, []byte("abc"), Read}}}, Verdict{}},
		{"+get %W~a*", Request{Command: number("get"), Keys: []Key{{1, []byte("abc"), Read}}}, Verdict{DeniedKey, 1}},
		{"+get %W~a*", Request{Command: number("get"), Keys: []Key{{1, []byte("abc"), 0}}}, Verdict{}},
		{"+get %R~a %W~a*", Request{Command: number("get"), Keys: []Key{{1, []byte("a"), Read | Write}}}, Verdict{DeniedKey, 1}},
		{"+get ~a (+get ~b)", Request{Command: number("get"), Keys: []Key{{1, []byte("a"), 0}, {2, []byte("b"), 0}}}, Verdict{DeniedKey, 2}},
		{"+get ~a*", Request{Command: number("get"), Hidden: true}, Verdict{DeniedKey, 0}},
		{"+get allkeys", Request{Command: number("get"), Hidden: true}, Verdict{}},
		{"+publish &a*", Request{Command: number("publish"), Channels: [][]byte{[]byte("ab")}, ChannelPos: 1}, Verdict{}},
		{"+publish &a*", Request{Command: number("publish"), Channels: [][]byte{[]byte("a"), []byte("b")}, ChannelPos: 1}, Verdict{DeniedChannel, 2}},
		{"+publish &a*", Request{Command: number("publish"), Channels: [][]byte{[]byte("ab")}, ChannelPos: 1, Patterns: true}, Verdict{DeniedChannel, 1}},
		{"+publish &a*", Request{Command: number("publish"), Channels: [][]byte{[]byte("a*")}, ChannelPos: 1, Patterns: true}, Verdict{}},
	} {
		user := set(t, NewUsers(c), "bob", strings.Fields(tc.rules)...)
		if got := user.Check(&tc.r); got != tc.want {
			t.Errorf("%s: %+v: %v, want %v", tc.rules, tc.r, got, tc.want)
		}
	}
}

func TestCheckReadAll(t *testing.T) {
	for rules, want := range map[string]bool{
		"+get ~*": true, "+get allkeys": true, "+get %R~*": true, "+get %W~*": false, "+get ~a*": false, "-@all ~*": false,
		"+get ~k (~*)": false, "(+get %R~*)": true,
	} {
		user := set(t, NewUsers(testCatalog()), "bob", strings.Fields(rules)...)
		if got := user.CheckReadAll(&Request{Keys: []Key{{1, []byte("k"), Read}}}); got != want {
			t.Errorf("%s: %v", rules, got)
		}
	}
}

func TestUnrestricted(t *testing.T) {
	for rules, want := range map[string]bool{
		"+@all ~* &*": true, "+@all ~*": false, "+@all &*": false, "~* &*": false, "+@all -get +get ~* &*": false,
		"(+@all ~* &*)": true, "+@all ~* (&*)": false,
	} {
		if got := set(t, NewUsers(testCatalog()), "bob", strings.Fields(rules)...).Unrestricted(); got != want {
			t.Errorf("%s: %v", rules, got)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	u := NewUsers(testCatalog())
	set(t, u, "bob", "on", ">one", ">two\x00three")
	set(t, u, "off", "nopass")
	set(t, u, "any", "on", "nopass")
	for _, tc := range []struct {
		name, password string
		ok             bool
	}{
		{"bob", "one", true}, {"bob", "two\x00three", true}, {"bob", "two", false}, {"bob", "", false}, {"BOB", "one", false},
		{"off", "x", false}, {"any", "", true}, {"nobody", "", false}, {"default", "whatever", true},
	} {
		if got := u.Authenticate([]byte(tc.name), []byte(tc.password)); (got != nil) != tc.ok {
			t.Errorf("%s %q: %v", tc.name, tc.password, got)
		}
	}
	u.SetPassword("secret")
	if u.Authenticate([]byte("default"), []byte("x")) != nil || u.Authenticate([]byte("default"), []byte("secret")) == nil {
		t.Error("SetPassword sets no password")
	}
	u.SetPassword("")
	if !u.Default().User().Open() {
		t.Error("an empty password is none")
	}
}

func TestDelete(t *testing.T) {
	u := NewUsers(testCatalog())
	set(t, u, "bob", "on", "nopass", "+@all", "~*", "&*")
	a := u.Get("bob")
	if u.Delete("default") != nil || u.Delete("nobody") != nil || u.Delete("bob") != a || u.Delete("bob") != nil {
		t.Fatal("only accounts other than the default one, once")
	}
	if !a.Gone() || a.User().Check(&Request{}).Reason != DeniedCommand || u.Get("bob") != nil {
		t.Error("a removed account may still do something")
	}
}

func TestRevoked(t *testing.T) {
	for _, tc := range []struct {
		before, after string
		denied        string // of "a", "ab", and the pattern "a*" (written p)
	}{
		{"&*", "&*", "-"}, {"&*", "&a*", ""}, {"&a*", "&*", "-"}, {"&a", "&a &b", "-"}, {"&a*", "&a", "ab p"}, {"&a* &b", "&a*", ""},
		{"&*", "&x", "a ab p"}, {"&a", "&b (&a)", "-"},
	} {
		u := NewUsers(testCatalog())
		before := set(t, u, "x", strings.Fields(tc.before)...)
		after := set(t, u, "y", strings.Fields(tc.after)...)
		r := Revoked(before, after)
		if (r == nil) != (tc.denied == "-") {
			t.Errorf("%s -> %s: %v", tc.before, tc.after, r)
			continue
		}
		if r == nil {
			continue
		}
		var denied []string
		for _, name := range []string{"a", "ab"} {
			if r.Denies([]byte(name), false) {
				denied = append(denied, name)
			}
		}
		if r.Denies([]byte("a*"), true) {
			denied = append(denied, "p")
		}
		if got := strings.Join(denied, " "); got != tc.denied {
			t.Errorf("%s -> %s denies %q, want %q", tc.before, tc.after, got, tc.denied)
		}
	}
}

func TestLoad(t *testing.T) {
	u := NewUsers(testCatalog())
	set(t, u, "old", "on")
	set(t, u, "bob", "on", "+get")
	old, bob := u.Get("old"), u.Get("bob")
	changes, err := u.Load("f", "user bob on +set\r\n\n  user default on nopass ~* &* +@all\nuser ann on (+get ~a) ( +set\t ~b )\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"user ann on sanitize-payload resetchannels -@all (~a resetchannels -@all +get) (~b resetchannels -@all +set)",
		"user bob on sanitize-payload resetchannels -@all +set", "user default on nopass sanitize-payload ~* &* +@all",
	}
	if !slices.Equal(u.Lines(), want) {
		t.Errorf("%q", u.Lines())
	}
	if u.Get("bob") != bob || bob.Gone() || !old.Gone() || len(changes) != 3 {
		t.Errorf("who stays keeps the account, who goes loses it; %d changes", len(changes))
	}
	if _, err := u.Load("f", strings.Join(u.Lines(), "\n")); err != nil || !slices.Equal(u.Lines(), want) {
		t.Errorf("read back: %v, %q", err, u.Lines())
	}
	if _, err := u.Load("f", ""); err != nil || !slices.Equal(u.Lines(), []string{"user default on nopass sanitize-payload ~* &* +@all"}) {
		t.Errorf("%v: %q", err, u.Lines())
	}
}

func TestRefusedFiles(t *testing.T) {
	for text, want := range map[string]string{
		"# comment":                      "f:1 should start with user keyword followed by the username. ",
		"user":                           "f:1 should start with user keyword followed by the username. ",
		"\nUSER bob on":                  "f:2 should start with user keyword followed by the username. ",
		"user a\tb on":                   "'f:1: username 'a\tb' contains invalid characters. ",
		"user bob on\nuser bob off":      "WARNING: Duplicate user 'bob' found on line 2. ",
		"user bob (+get":                 "f:1: Unmatched parenthesis in selector definition.",
		"user bob +nope +@nada":          "f:1: Error in applying operation '+nope': Unknown command or category name in ACL. f:1: Error in applying operation '+@nada': Unknown command or category name in ACL. ",
		"user bob bogus %~ #short +nope": "f:1: Syntax error. f:1: Error in applying operation '+nope': Unknown command or category name in ACL. ",
		"user  bob":                      "f:1: Syntax error. ", // the user of no name
	} {
		u := NewUsers(testCatalog())
		set(t, u, "keep", "on", "+get")
		before := u.Lines()
		_, err := u.Load("f", text)
		if err == nil || err.Error() != want+errUnchanged {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
		if !slices.Equal(u.Lines(), before) {
			t.Errorf("%q left something behind", text)
		}
	}
}

func TestLog(t *testing.T) {
	var l Log
	at := time.Unix(1000, 0)
	add := func(object string, after time.Duration) {
		at = at.Add(after)
		l.Add(Entry{Reason: DeniedKey, Object: object, User: "bob", Client: object + at.String(), Updated: at}, 12)
	}
	add("a", 0)
	add("b", time.Second)
	add("a", 59*time.Second)
	got := l.Last(10)
	if len(got) != 2 || got[0].Object != "a" || got[0].Count != 2 || got[0].ID != 0 || !got[0].Created.Equal(time.Unix(1000, 0)) ||
		got[0].Client != "a"+at.String() {
		t.Errorf("entries a minute apart are one: %+v", got)
	}
	add("a", 60*time.Second+1)
	if got = l.Last(10); len(got) != 3 || got[0].ID != 2 || got[0].Count != 1 {
		t.Errorf("entries more than a minute apart are two: %+v", got)
	}
	for i := range 20 {
		add(fmt.Sprint(i), 0)
	}
	if got = l.Last(100); len(got) != 12 || got[0].Object != "19" || got[11].Object != "8" {
		t.Errorf("%d entries", len(got))
	}
	if add("8", 0); l.Last(1)[0].Count != 1 {
		t.Error("only the ten newest are compared")
	}
	if got = l.Last(0); len(got) != 0 {
		t.Error("none were asked for")
	}
	l.Reset()
	if len(l.Last(10)) != 0 {
		t.Error("Reset keeps entries")
	}
	add("x", 0)
	l.Add(Entry{}, 0)
	if len(l.Last(10)) != 0 {
		t.Error("a log of no length keeps entries")
	}
}

// A model of selectors: what a list of rules says about a command is what the last rule about it says.
func TestCommandRulesAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := testCatalog()
	for range 2000 {
		allowed := make([]bool, len(c.commands))
		var words []string
		for range random.IntN(12) {
			allow, i := random.IntN(2) == 0, random.IntN(len(c.commands))
			sign := map[bool]string{true: "+", false: "-"}[allow]
			switch random.IntN(4) {
			case 0:
				words = append(words, sign+"@all")
				for j := range allowed {
					allowed[j] = allow
				}
			case 1:
				cat := random.IntN(len(c.categories))
				words = append(words, sign+"@"+c.categories[cat])
				for j := range allowed {
					if in := c.commands[j].Categories | parent(c, j); in&(1<<cat) != 0 {
						allowed[j] = allow
					}
				}
			default:
				words = append(words, sign+c.commands[i].Name)
				allowed[i] = allow
				for _, sub := range c.commands[i].subs {
					allowed[sub] = allow
				}
			}
		}
		u := NewUsers(c)
		user := set(t, u, "bob", words...)
		again := set(t, u, "ann", strings.Fields(user.String())...)
		for i := range allowed {
			for _, who := range []*User{user, again} {
				if got := who.Check(&Request{Command: i}).Reason == Allowed; got != allowed[i] {
					t.Fatalf("%q: %s is %v, want %v; described as %s", words, c.commands[i].Name, got, allowed[i], user)
				}
			}
		}
	}
}

// parent is the categories of a subcommand's parent, whose rules are the subcommand's too.
func parent(c *Catalog, i int) uint64 {
	name, _, _ := strings.Cut(c.commands[i].Name, "|")
	p, _ := c.find(name)
	return c.commands[p].Categories
}

func FuzzRules(f *testing.F) {
	for _, s := range []string{"on nopass ~* +@all", "(+get ~a) (", "+select|0 %RW~x", "+get\x00", "(\"", "!#<>", "+config|", "> <", "~\"a ~'b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := NewUsers(testCatalog())
		set(t, u, "bob", "on")
		before := u.Lines()
		_, err := u.Set("bob", strings.Split(text, " "))
		if err != nil {
			if !slices.Equal(u.Lines(), before) {
				t.Fatalf("%q left something behind", text)
			}
			return
		}
		lines := u.Lines()
		again := NewUsers(testCatalog())
		for _, line := range u.ConfigLines() {
			words, err := config.SplitArgs(line)
			if err == nil {
				err = again.Define(words[1], words[2:])
			}
			if err != nil {
				t.Fatalf("%q in a configuration file: %v", line, err)
			}
		}
		if !slices.Equal(again.Lines(), lines) {
			t.Fatalf("%q\nin a configuration file are\n%q", lines, again.Lines())
		}
		if _, err := u.Load("f", strings.Join(lines, "\n")); err != nil || !slices.Equal(u.Lines(), lines) {
			t.Fatalf("%q\nis saved as\n%q\nand loaded as\n%q, %v", text, lines, u.Lines(), err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"user bob on\nuser ann off (+get", "user default\r\n", "# x", "user a ~b\tc +@all", "user  \x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := NewUsers(testCatalog())
		before := u.Lines()
		_, err := u.Load("f", text)
		lines := u.Lines()
		if err != nil && !slices.Equal(lines, before) {
			t.Fatalf("%q left something behind", text)
		}
		if _, err := u.Load("f", strings.Join(lines, "\n")); err != nil || !slices.Equal(u.Lines(), lines) {
			t.Fatalf("%q\nis saved as\n%q\nand loaded as\n%q, %v", text, lines, u.Lines(), err)
		}
	})
}
