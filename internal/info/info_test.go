package info

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

const sample = "# Server\r\nredis_version:7.2.4\r\nrun_id:abc\r\nuptime_in_seconds:10\r\nlistener0:name=tcp,bind=127.0.0.1,bind=-::1,port=6379\r\n" +
	"executable:/a:b/c\r\nconfig_file:\r\n\r\n# Memory\r\nused_memory:155616\r\nused_memory_dataset_perc:93.75%\r\nodd_line\r\n" +
	"mem_fragmentation_ratio:-nan\r\n\r\n# Modules\r\n\r\n# Commandstats\r\ncmdstat_get:calls=7,usec=21,usec_per_call=3.00,rejected_calls=0,failed_calls=0\r\n" +
	"# Namespaces\r\nns0:name=\"a\\x2cb=\\n\\xff\\\"\",keys=12,no_ttl=3\r\nns1:name=\"broken,keys=1\r\n"

func TestParse(t *testing.T) {
	for _, text := range []string{sample, strings.ReplaceAll(sample, "\r\n", "\n")} {
		in := Parse(text)
		var names []string
		for _, s := range in.Sections {
			names = append(names, fmt.Sprint(s.Name, len(s.Fields)))
		}
		if want := []string{"Server6", "Memory3", "Modules0", "Commandstats1", "Namespaces2"}; !reflect.DeepEqual(names, want) {
			t.Errorf("sections and fields: %v, want %v", names, want)
		}
		if v, ok := in.Text("executable"); v != "/a:b/c" || !ok {
			t.Errorf("executable %q %v", v, ok)
		}
		if v, ok := in.Text("config_file"); v != "" || !ok {
			t.Errorf("config_file %q %v", v, ok)
		}
		if n, ok := in.Int("used_memory"); n != 155616 || !ok {
			t.Errorf("used_memory %d %v", n, ok)
		}
		if f, ok := in.Float("used_memory_dataset_perc"); f != 93.75 || !ok {
			t.Errorf("percentage %v %v", f, ok)
		}
		for _, missing := range []string{"mem_fragmentation_ratio", "no_such", "redis_version", "odd_line", "config_file"} {
			if f, ok := in.Float(missing); ok {
				t.Errorf("%s is the number %v", missing, f)
			}
			if n, ok := in.Int(missing); ok {
				t.Errorf("%s is the number %v", missing, n)
			}
		}
		if !in.Has("modules") || in.Has("latencystats") || in.Section("MEMORY").Name != "Memory" || in.Empty() || !Parse("").Empty() {
			t.Error("which sections there are")
		}
	}
}

func TestParts(t *testing.T) {
	in := Parse(sample)
	if n, ok := in.Parts("cmdstat_get").Int("calls"); n != 7 || !ok {
		t.Errorf("calls %d %v", n, ok)
	}
	if f, ok := in.Parts("cmdstat_get").Float("usec_per_call"); f != 3 || !ok {
		t.Errorf("usec_per_call %v %v", f, ok)
	}
	for _, c := range []struct {
		value string
		want  Parts
	}{
		{`name=tcp,bind=127.0.0.1,bind=-::1`, Parts{{"name", "tcp"}, {"bind", "127.0.0.1"}, {"bind", "-::1"}}},
		{`name="a\x2cb=\n\xff\"",keys=12`, Parts{{"name", "a,b=\n\xff\""}, {"keys", "12"}}},
		{`name="a,b",keys=12`, Parts{{"name", "a,b"}, {"keys", "12"}}}, // also where somebody left the comma alone
		{`name="broken,keys=1`, Parts{{"name", `"broken`}, {"keys", "1"}}},
		{`name="a"b,keys=1`, Parts{{"name", `"a"b`}, {"keys", "1"}}},
		{`name='a',keys=1`, Parts{{"name", `'a'`}, {"keys", "1"}}},
		{`name="",keys=`, Parts{{"name", ""}, {"keys", ""}}},
		{`flag,a=1,,=2,`, Parts{{"a", "1"}, {"", "2"}}},
		{`a=b=c`, Parts{{"a", "b=c"}}},
		{`standalone`, nil}, {``, nil},
	} {
		if got := (Field{"f", c.value}).Parts(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("parts of %s: %q, want %q", c.value, got, c.want)
		}
	}
	if p := in.Parts("no_such"); p != nil {
		t.Errorf("parts of nothing: %v", p)
	}
}

func TestRates(t *testing.T) {
	at := func(id string, cmds, hits, misses, calls int, more string) Info {
		return Parse(fmt.Sprintf("# Server\nrun_id:%s\ntotal_commands_processed:%d\nkeyspace_hits:%d\nkeyspace_misses:%d\n# Commandstats\ncmdstat_get:calls=%d\n%s", id, cmds, hits, misses, calls, more))
	}
	first := at("a", 100, 30, 10, 40, "")
	for _, c := range []struct {
		name    string
		after   Info
		elapsed time.Duration
		reset   bool
		rate    float64 // of hits per second; NaN is none
		share   float64
		calls   float64
	}{
		{"two seconds", at("a", 200, 90, 30, 60, ""), 2 * time.Second, false, 30, 0.75, 10},
		{"nothing happened", first, time.Second, false, 0, math.NaN(), 0},
		{"no time", at("a", 200, 90, 30, 60, ""), 0, false, math.NaN(), 0.75, math.NaN()},
		{"a clock went back", at("a", 200, 90, 30, 60, ""), -time.Second, false, math.NaN(), 0.75, math.NaN()},
		{"RESETSTAT", at("a", 1, 0, 0, 0, ""), time.Second, true, math.NaN(), math.NaN(), math.NaN()},
		{"RESETSTAT, and hits were quicker", at("a", 99, 90, 30, 60, ""), time.Second, true, math.NaN(), math.NaN(), math.NaN()},
		{"a restart", at("b", 200, 90, 30, 60, ""), time.Second, true, math.NaN(), math.NaN(), math.NaN()},
		{"only hits shrank", at("a", 200, 9, 30, 60, ""), time.Second, false, math.NaN(), math.NaN(), 20},
		{"nothing came", Parse(""), time.Second, false, math.NaN(), math.NaN(), math.NaN()},
	} {
		ch := Between(first, c.after, c.elapsed)
		if ch.Reset != c.reset {
			t.Errorf("%s: reset is %v", c.name, ch.Reset)
		}
		check := func(what string, want float64, got float64, ok bool) {
			if ok == math.IsNaN(want) || ok && got != want {
				t.Errorf("%s: %s is %v %v, want %v", c.name, what, got, ok, want)
			}
		}
		rate, ok := ch.Rate("keyspace_hits")
		check("hits per second", c.rate, rate, ok)
		share, ok := ch.Share("keyspace_hits", "keyspace_misses")
		check("hit ratio", c.share, share, ok)
		calls, ok := ch.RatePart("commandstats", "cmdstat_get", "calls")
		check("calls per second", c.calls, calls, ok)
	}
	ch := Between(first, at("a", 200, 90, 30, 60, "cmdstat_set:calls=8\n"), time.Second)
	if n, ok := ch.GrownPart("commandstats", "cmdstat_set", "calls"); n != 8 || !ok {
		t.Errorf("a command's first calls: %v %v", n, ok)
	}
	if n, ok := Between(Parse(""), first, time.Second).GrownPart("commandstats", "cmdstat_get", "calls"); ok {
		t.Errorf("calls since an answer without commandstats: %v", n)
	}
}

// Whatever comes, nothing panics, no rate is negative, and a part that was quoted comes back.
func FuzzParse(f *testing.F) {
	f.Add(sample, "user:1")
	f.Add("a:b=\"\\x2c,", "a,b\n\"\x00\xff")
	f.Add("#\n:\n=:=\n,=,", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		in := Parse(text)
		back := Between(in, Parse(text+"\nx:1"), time.Second)
		for _, s := range in.Sections {
			for _, fd := range s.Fields {
				if strings.ContainsAny(fd.Name+fd.Value, "\n") {
					t.Fatalf("a line's end in %q", fd)
				}
				fd.Parts()
				if r, ok := back.Rate(fd.Name); ok && (r < 0 || r-r != 0) {
					t.Fatalf("%s: rate %v", fd.Name, r)
				}
			}
		}
		quoted := strings.ReplaceAll(fmt.Sprintf("%q", name), ",", `\x2c`)
		ns := Parse("# Namespaces\r\nns0:name=" + quoted + ",keys=12\r\n").Parts("ns0")
		if got, ok := ns.Text("name"); !ok || got != name {
			t.Fatalf("name %q came back as %q", name, got)
		}
		if n, ok := ns.Int("keys"); !ok || n != 12 {
			t.Fatalf("keys after the name %q: %d", name, n)
		}
	})
}
