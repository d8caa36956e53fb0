package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	base := Config{DialTimeout: 5 * time.Second, Timeout: 3 * time.Second, KeepAlive: 30 * time.Second, Retries: 3}
	with := func(change func(*Config)) Config {
		c := base
		change(&c)
		return c
	}
	tests := []struct {
		url, shown string
		want       Config
	}{
		{"redis://", "redis://localhost:6379", with(func(c *Config) { c.Target, c.Addrs = Single, []string{"localhost:6379"} })},
		{"valkey://h/3", "redis://h:6379/3", with(func(c *Config) { c.Target, c.Addrs, c.DB = Single, []string{"h:6379"}, 3 })},
		{"rediss://u:p%40s@[::1]:7000/?db=2&timeout=1s", "rediss://[::1]:7000/2", with(func(c *Config) {
			c.Target, c.Addrs, c.TLS, c.Username, c.Password, c.DB, c.Timeout = Single, []string{"[::1]:7000"}, true, "u", "p@s", 2, time.Second
		})},
		{"redis://:p:w@h?retries=0&protocol=2", "redis://h:6379", with(func(c *Config) {
			c.Target, c.Addrs, c.Password, c.Retries, c.Protocol = Single, []string{"h:6379"}, "p:w", -1, 2
		})},
		{"redis+unix:///run/r.sock?db=1", "redis+unix:///run/r.sock?db=1", with(func(c *Config) {
			c.Target, c.Addrs, c.Unix, c.DB = Single, []string{"/run/r.sock"}, true, 1
		})},
		{"redis+sentinel://a,b:1/main/4?sentinel_password=s", "redis+sentinel://a:26379,b:1/main/4", with(func(c *Config) {
			c.Target, c.Addrs, c.Master, c.DB, c.SentinelPassword = Sentinel, []string{"a:26379", "b:1"}, "main", 4, "s"
		})},
		{"rediss+cluster://a,[::1]?skip_verify=true", "rediss+cluster://a:6379,[::1]:6379", with(func(c *Config) {
			c.Target, c.Addrs, c.TLS, c.InsecureSkipVerify = Cluster, []string{"a:6379", "[::1]:6379"}, true, true
		})},
	}
	for _, test := range tests {
		got, err := ParseURL(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.url, got, test.want)
		}
		if got.String() != test.shown {
			t.Errorf("%s: shown as %s, want %s", test.url, got, test.shown)
		}
	}
}

func TestParseURLLeavesForeignParameters(t *testing.T) {
	c, err := ParseURL("mem:///var/lib/x?maxmemory=64mb")
	if err != nil || c.Target != Embedded || c.Path != "/var/lib/x" || c.Params.Get("maxmemory") != "64mb" {
		t.Errorf("mem: %+v, %v", c, err)
	}
	c, err = ParseURL("https://tok@kv.example.com/base?timeout=2s&retries=0&token=t")
	if err != nil || c.Target != REST || c.Username != "tok" || c.Addrs[0] != "kv.example.com" || c.Path != "/base" || !c.TLS ||
		c.Timeout != 2*time.Second || c.Retries != -1 || c.Params.Encode() != "token=t" {
		t.Errorf("https: %+v, %v", c, err)
	}
	if s := c.String(); strings.Contains(s, "tok") {
		t.Errorf("String shows the token: %s", s)
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, s := range []string{
		"", "localhost:6379", "ftp://h", "redis+://h", "redis+ring://h", "redis://h:0", "redis://h:99999", "redis://h:x",
		"redis://::1", "redis://h/one", "redis://h/1/2", "redis://h/-1", "redis://h/1?db=1", "redis://a,b", "redis://h?typo=1",
		"redis://h?db=1&db=2", "redis://h?timeout=5", "redis://h?timeout=-5s", "redis://h?protocol=4", "redis://h?retries=-1",
		"redis://h?skip_verify=maybe", "redis://%zz@h", "redis+sentinel://h", "redis+sentinel://h/m/0/0", "redis+cluster://h/1",
		"redis+unix://host/path", "redis+unix://", "mem://host", "https://", "https://t@h?x=1", "https://t@h?timeout=0", "https://t@h?token=a&token=b", "redis://h?%zz", "redis://h#frag", "redis://[::1",
	} {
		if c, err := ParseURL(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %+v, %v; want ErrInvalid", s, c, err)
		}
	}
}

func TestErrorsShowNoPassword(t *testing.T) {
	for _, s := range []string{"redis://u:hunter2@h:bad", "redis://h?timeout=hunter2", "redis://u:hunter2%zz@h", "redis+cluster://:hunter2@h/3"} {
		if _, err := ParseURL(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{}
	read := func(name string) string { return env[name] }
	if _, ok, err := FromEnv(read); ok || err != nil {
		t.Errorf("empty environment: %v, %v", ok, err)
	}
	env["REDIS_PASSWORD"] = "s:e/c@r?t"
	if c, ok, err := FromEnv(read); !ok || err != nil || c.Addrs[0] != "localhost:6379" || c.Password != "s:e/c@r?t" {
		t.Errorf("password alone: %+v, %v, %v", c, ok, err)
	}
	env["REDIS_HOST"], env["REDIS_PORT"] = "::1", "7"
	if c, ok, err := FromEnv(read); !ok || err != nil || c.Addrs[0] != "[::1]:7" {
		t.Errorf("host and port: %+v, %v, %v", c, ok, err)
	}
	env["REDIS_PORT"] = "seven"
	if _, _, err := FromEnv(read); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "REDIS_PORT") {
		t.Errorf("bad port: %v", err)
	}
	env["LARDER_URL"] = "mem://"
	if c, ok, err := FromEnv(read); !ok || err != nil || c.Target != Embedded {
		t.Errorf("LARDER_URL: %+v, %v, %v", c, ok, err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"redis://u:p@h:1/2?db=3", "redis+sentinel://a,b/m/1", "mem://?x=y", "https://t@h/p", "redis+unix:///s", "redis+sentinel:///%00", "redis+sentinel://h/a%2Fb%3F%25"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseURL(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v is no ErrInvalid", s, err)
			}
			return
		}
		if c.Target == Embedded || c.Target == REST || c.Unix {
			return
		}
		again, err := ParseURL(c.String())
		if err != nil && !strings.ContainsAny(strings.Join(c.Addrs, ""), "?#%@/") {
			t.Errorf("%q is shown as %q, which is refused: %v", s, c, err)
		}
		if err == nil && (again.DB != c.DB || again.Master != c.Master || !reflect.DeepEqual(again.Addrs, c.Addrs)) {
			t.Errorf("%q is shown as %q, which differs", s, c)
		}
	})
}
