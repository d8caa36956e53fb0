package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func mustSet(t *testing.T, c *Config, pairs ...Pair) {
	t.Helper()
	if err := c.Set(Remote, pairs...); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, c *Config, name, want string) {
	t.Helper()
	if got, ok := c.Value(name); !ok || got != want {
		t.Errorf("%s = %q, %v; want %q", name, got, ok, want)
	}
}

func TestSetValues(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"maxmemory", "1gb", "1073741824"},
		{"maxmemory", "100MB", "104857600"},
		{"maxmemory", "2k", "2000"},
		{"maxmemory", "18446744073709551615", "18446744073709551615"},
		{"maxmemory-clients", "5%", "5%"},
		{"maxmemory-clients", "10mb", "10485760"},
		{"MaxMemory-Policy", "AllKeys-LRU", "allkeys-lru"},
		{"hz", "0", "1"},
		{"hz", "100000", "500"},
		{"protected-mode", "NO", "no"},
		{"list-max-listpack-size", "-5", "-5"},
		{"hash-max-ziplist-entries", "7", "7"},
		{"save", "60 1 300 10", "60 1 300 10"},
		{"save", "", ""},
		{"client-output-buffer-limit", "pubsub 1mb 2k 3", "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2000 3"},
		{"client-output-buffer-limit", "replica 1 2 3", "normal 0 0 0 slave 1 2 3 pubsub 33554432 8388608 60"},
		{"notify-keyspace-events", "KA", "AK"},
		{"notify-keyspace-events", "Elg", "glE"},
		{"notify-keyspace-events", "g$lshzxetd", "A"},
		{"notify-keyspace-events", "mnK", "nKm"},
		{"shutdown-on-sigterm", "force save", "save force"},
		{"shutdown-on-sigterm", "default", "default"},
		{"oom-score-adj", "relative", "yes"},
		{"oom-score-adj-values", "-5 0 10", "-5 0 10"},
		{"latency-tracking-info-percentiles", "50 99.900", "50 99.9"},
		{"latency-tracking-info-percentiles", "", ""},
		{"bind", "127.0.0.1 -::1", "127.0.0.1 -::1"},
		{"bind", "", ""},
	} {
		c := New()
		mustSet(t, c, Pair{tc.name, tc.in})
		wantValue(t, c, tc.name, tc.want)
	}
}

func TestSetErrors(t *testing.T) {
	const failed = "ERR CONFIG SET failed (possibly related to argument '%') - "
	for _, tc := range []struct{ name, in, want string }{
		{"maxmemory", "abc", failed + "argument must be a memory value"},
		{"maxmemory", "-1", failed + "argument must be a memory value"},
		{"maxmemory", "1.5gb", failed + "argument must be a memory value"},
		{"maxmemory", "99999999999gb", failed + "argument must be a memory value"},
		{"maxmemory-clients", "101%", failed + "percentage argument must be less or equal to 100"},
		{"maxmemory-clients", "x%", failed + "argument must be a memory or percent value"},
		{"proto-max-bulk-len", "1", failed + "argument must be between 1048576 and 9223372036854775807 inclusive"},
		{"port", "99999", failed + "argument must be between 0 and 65535 inclusive"},
		{"port", "+1", failed + "argument couldn't be parsed into an integer"},
		{"port", "01", failed + "argument couldn't be parsed into an integer"},
		{"port", "", failed + "argument couldn't be parsed into an integer"},
		{"hz", "99999999999999999999", failed + "argument couldn't be parsed into an integer"},
		{"appendonly", "maybe", failed + "argument must be 'yes' or 'no'"},
		{"loglevel", "x", failed + "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"},
		{"oom-score-adj", "x", failed + "argument(s) must be one of the following: no, yes, relative, absolute"},
		{"shutdown-on-sigterm", "save nosave", failed + "shutdown options SAVE and NOSAVE can't be used simultaneously"},
		{"databases", "4", failed + "can't set immutable config"},
		{"rest", "127.0.0.1:1", failed + "can't set immutable config"},
		{"dashboard-writable", "yes", failed + "can't set immutable config"},
		{"dbfilename", "x", failed + "can't set protected config"},
		{"no-such", "x", "ERR Unknown option or number of arguments for CONFIG SET - '%'"},
	} {
		c := New()
		before := c.Get("*")
		err := c.Set(Remote, Pair{"timeout", "5"}, Pair{tc.name, tc.in})
		if want := strings.Replace(tc.want, "%", tc.name, 1); err == nil || err.Error() != want {
			t.Errorf("%s %q: %v\nwant %s", tc.name, tc.in, err, want)
		}
		if !slices.Equal(before, c.Get("*")) {
			t.Errorf("%s %q: a refused change left something behind", tc.name, tc.in)
		}
	}
}

// TestSetWhatIsThere: tools set all that they read but what they know to be immutable, and none of them knows Larder's own directives.
func TestSetWhatIsThere(t *testing.T) {
	c := New()
	for _, p := range [][]Pair{{{"rest", "127.0.0.1:1"}}, {{"rest-origins", "https://a.example https://b.example"}}, {{"metrics-token", "t"}}} {
		if err := c.Set(Program, p...); err != nil {
			t.Fatal(err)
		}
	}
	list := c.Get("rest*")
	list = append(list, c.Get("metrics*")...)
	list = append(list, c.Get("dashboard*")...)
	list = append(list, c.Get("metrics-token")...)
	if len(list) < 8 {
		t.Fatal(list)
	}
	for _, p := range list {
		if err := c.Set(Remote, p); err != nil {
			t.Errorf("%s %q: %v", p.Name, p.Value, err)
		}
	}
}

func TestSetRefusesDuplicates(t *testing.T) {
	c := New()
	err := c.Set(Remote, Pair{"maxmemory", "1"}, Pair{"MAXMEMORY", "2"})
	if err == nil || err.Error() != "ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate parameter" {
		t.Fatal(err)
	}
	// As in Redis an older name is no duplicate; the later one wins.
	mustSet(t, c, Pair{"hash-max-listpack-entries", "1"}, Pair{"hash-max-ziplist-entries", "2"})
	wantValue(t, c, "hash-max-listpack-entries", "2")
}

func TestFaultyNamesComeBeforeFaultyValues(t *testing.T) {
	err := New().Set(Remote, Pair{"port", "x"}, Pair{"nope", "1"})
	if err == nil || !strings.Contains(err.Error(), "'nope'") {
		t.Fatal(err)
	}
}

func TestProtectedDirectives(t *testing.T) {
	for _, tc := range []struct {
		allowed string
		from    Origin
		ok      bool
	}{
		{"no", Loopback, false}, {"local", Loopback, true}, {"local", Remote, false}, {"yes", Remote, true}, {"no", Program, true},
	} {
		c := New()
		if err := c.Set(Program, Pair{"enable-protected-configs", tc.allowed}); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(tc.from, Pair{"dbfilename", "other.rdb"}); (err == nil) != tc.ok {
			t.Errorf("allowed %s, origin %d: %v", tc.allowed, tc.from, err)
		}
	}
}

func TestGet(t *testing.T) {
	c := New()
	if got := c.Get("MaxMemory"); !slices.Equal(got, []Pair{{"MaxMemory", "0"}}) {
		t.Errorf("a name comes back as it was spelt, not %v", got)
	}
	if got := c.Get("nope", "no*such"); len(got) != 0 {
		t.Errorf("unknown names gave %v", got)
	}
	if got := c.Get("hash-*-entries", "hash-max-listpack-entries"); !slices.Equal(got, []Pair{
		{"hash-max-listpack-entries", "512"}, {"hash-max-ziplist-entries", "512"}}) {
		t.Errorf("older names, each once: %v", got)
	}
	if got := c.Get("watchdog*"); len(got) != 0 {
		t.Errorf("a pattern found a hidden directive: %v", got)
	}
	if got := c.Get("watchdog-period"); len(got) != 1 {
		t.Errorf("a hidden directive does not answer to its name")
	}
}

// Every directive keeps its value when it is set to what CONFIG GET says: clients do this to restore settings.
func TestValuesRoundTrip(t *testing.T) {
	c := New()
	for _, p := range c.Get("*") {
		if err := c.Set(Program, p); err != nil {
			t.Errorf("%s %q: %v", p.Name, p.Value, err)
		}
		wantValue(t, c, p.Name, p.Value)
	}
	if changed := c.Changed(); len(changed) != 0 {
		t.Errorf("changed: %v", changed)
	}
}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range directives() {
		for _, name := range []string{row.name, row.alias} {
			if name != "" && (seen[name] || name != strings.ToLower(name)) {
				t.Errorf("%q: twice, or not in lower case", name)
			}
			seen[name] = true
		}
	}
	if len(seen) < 200 {
		t.Errorf("only %d names", len(seen))
	}
}

func TestSettingsFollowSet(t *testing.T) {
	c := New()
	before := c.Settings()
	mustSet(t, c, Pair{"maxmemory", "1mb"}, Pair{"maxmemory-policy", "volatile-ttl"}, Pair{"maxmemory-clients", "7%"},
		Pair{"client-output-buffer-limit", "pubsub 1 2 3"}, Pair{"notify-keyspace-events", "KEA"})
	s := c.Settings()
	if s.MaxMemory != 1<<20 || s.MaxMemoryPolicy != VolatileTTL || s.MaxMemoryPolicy.String() != "volatile-ttl" || s.MaxMemoryClients != -7 {
		t.Errorf("%+v", s)
	}
	if got := s.OutputLimit(PubSubClient); got != (OutputLimit{1, 2, 3}) {
		t.Errorf("pubsub limit %+v", got)
	}
	if s.NotifyEvents != NotifyAll|NotifyKeyspace|NotifyKeyevent {
		t.Errorf("events %v", s.NotifyEvents)
	}
	if before.MaxMemory != 0 || before.OutputLimit(PubSubClient).Hard != 32<<20 {
		t.Error("settings that somebody holds have changed")
	}
}

func TestOnChange(t *testing.T) {
	c := New()
	var log []string
	c.OnChange(func(s *Settings) error {
		log = append(log, "limits")
		return nil
	}, "maxmemory", "timeout")
	c.OnChange(func(s *Settings) error {
		log = append(log, "port")
		if s.Port == 1 {
			return errors.New("Unable to listen on this port. Check server logs.")
		}
		return nil
	}, "port")

	mustSet(t, c, Pair{"maxmemory", "1"}, Pair{"timeout", "2"})
	mustSet(t, c, Pair{"maxmemory", "1"}) // no change, no call
	if !slices.Equal(log, []string{"limits"}) {
		t.Fatalf("calls %v", log)
	}
	log = nil
	err := c.Set(Remote, Pair{"timeout", "9"}, Pair{"port", "1"})
	want := "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
	if err == nil || err.Error() != want {
		t.Fatal(err)
	}
	if !slices.Equal(log, []string{"limits", "port", "limits"}) { // the last one takes it back
		t.Fatalf("calls %v", log)
	}
	wantValue(t, c, "timeout", "2")
	wantValue(t, c, "port", "6379")
}

func TestSensitiveAndInert(t *testing.T) {
	c := New()
	if !c.Sensitive("RequirePass") || c.Sensitive("port") || c.Sensitive("nope") {
		t.Error("Sensitive")
	}
	if !c.Inert("daemonize") || c.Inert("maxmemory") {
		t.Error("Inert")
	}
}

func FuzzSet(f *testing.F) {
	for _, p := range New().Get("*") {
		f.Add(p.Name, p.Value)
	}
	f.Add("client-output-buffer-limit", "normal 1 2")
	f.Add("save", "1")
	f.Fuzz(func(t *testing.T, name, in string) {
		c := New()
		if c.Set(Program, Pair{name, in}) != nil {
			return
		}
		got, _ := c.Value(name)
		if err := c.Set(Program, Pair{name, got}); err != nil && name != "dir" {
			t.Fatalf("%s %q was taken as %q, which is refused: %v", name, in, got, err)
		}
		if again, _ := c.Value(name); again != got {
			t.Fatalf("%s %q became %q, then %q", name, in, got, again)
		}
	})
}

func BenchmarkSettings(b *testing.B) {
	c := New()
	var n uint64
	for b.Loop() {
		n += c.Settings().MaxMemory
	}
	_ = n
}
