package doctor

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are facts with a finding of each severity, several servers, names that are no text, and what could not be read.
func golden() *Report {
	f := seen(func(add func(k key)) {
		for i := range 2000 {
			k := key{name: fmt.Sprintf("user\x1b[31m:%d", i), bytes: 200, ttl: hour + time.Duration(i)*time.Minute}
			if i%2 == 0 {
				k.ttl = -1
			}
			add(k)
		}
		add(key{name: "big \"one\"\n", bytes: 300 << 20, ttl: -1, kind: aHash, elements: 150_000, encoding: "hashtable", server: "10.0.0.2:6379"})
	})
	a := told("redis_version:7.0.15\nredis_mode:cluster\nrole:master\nuptime_in_seconds:90061\nused_memory:5368709120\nmaxmemory:6442450944\n"+
		"total_system_memory:8589934592\nmaxmemory_policy:noeviction\n# Persistence\nrdb_last_bgsave_status:err\n# Keyspace\ndb0:keys=20000,expires=1000",
		"save=3600 protected-mode=no")
	b := told("redis_version:7.0.15\nredis_mode:cluster\nrole:master\nuptime_in_seconds:60\nused_memory:536870912\nmaxmemory:6442450944\n"+
		"maxmemory_policy:noeviction", "save= protected-mode=no")
	a.Name, b.Name = "10.0.0.1:6379", "10.0.0.2:6379"
	for _, s := range []*Server{a, b} {
		for _, from := range []source{fromUsers, fromSlowlog, fromLatency, fromClients} {
			s.Missing[from] = errors.New("NOPERM User guest has no permissions to run the '\x1b[31macl|list' command")
		}
	}
	f.Servers = []*Server{a, b}
	f.Target = TargetFacts{Credentials: true, Cluster: true, TLS: true}
	f.Host = nil
	ks := f.Keys
	ks.Keys, ks.Estimated, ks.Stopped, ks.Seconds, ks.Touched, ks.Elsewhere = 20_010, true, "interrupted", 1.25, 41, 7
	ks.Missing[fromFreq] = errors.New("no LFU")
	r := examine(f, []string{"cluster-state"})
	r.Target, r.Started, r.Seconds = "rediss+cluster://10.0.0.1:6379", testTime.UTC(), 1.5
	return r
}

func TestGolden(t *testing.T) {
	var text, coloured, js bytes.Buffer
	r := golden()
	if err := errors.Join(r.WriteText(&text, false), r.WriteText(&coloured, true), r.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"report.txt": text.Bytes(), "report-colour.txt": coloured.Bytes(), "report.json": js.Bytes()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs (go test -update writes it anew):\n%s", name, got)
		}
	}
}
