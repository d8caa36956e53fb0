package redistest

import (
	"strings"
	"testing"
)

func TestStartStopRestart(t *testing.T) {
	s := Start(t)
	if got := s.Do("SET", "k", "v"); got != "OK" {
		t.Errorf("SET: %q", got)
	}
	addr := s.Addr
	s.Restart()
	if s.Addr != addr {
		t.Errorf("the address moved from %s to %s", addr, s.Addr)
	}
	if got := s.Do("GET", "k"); got != "" {
		t.Errorf("data survived: %q", got)
	}
	s.Stop()
	s.Stop()
}

func TestStartSentinel(t *testing.T) {
	master := Start(t)
	sentinel := StartSentinel(t, master)
	if got := sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"); !strings.HasPrefix(master.Addr, strings.Split(got, "\n")[0]) {
		t.Errorf("master: %q, want %s", got, master.Addr)
	}
}

func TestStartCluster(t *testing.T) {
	nodes := StartCluster(t, 3)
	if got := nodes[1].Do("CLUSTER", "INFO"); !strings.Contains(got, "cluster_slots_ok:16384") {
		t.Errorf("CLUSTER INFO: %s", got)
	}
}
