package command_test

import (
	"strings"
	"testing"
)

// TestStanding: what a server refuses as a replica without its primary, and as a primary without replicas.
func TestStanding(t *testing.T) {
	const (
		readOnly = "READONLY You can't write against a read only replica."
		stale    = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
		lonely   = "NOREPLICAS Not enough good replicas to write."
		abort    = "EXECABORT Transaction discarded because of: "
	)
	r := newRig(t)
	t.Cleanup(r.Stop)
	c, other := r.main, r.connect()
	for _, step := range []struct{ line, want string }{
		{"REPLICAOF localhost 99999", "ERR Invalid master port"},
		{"SET k v", "OK"},
		{"REPLICAOF localhost 7", "OK"},
		{"REPLICAOF localhost 7", "OK Already connected to specified master"},
		{"SET k w", readOnly},
		{"GET k", "v"},
		{"CONFIG SET replica-serve-stale-data no", "OK"},
		{"GET k", stale},
		{"CONFIG SET replica-serve-stale-data yes replica-read-only no", "OK"},
		{"SET k w", "OK"},
		{"CONFIG SET replica-read-only yes min-replicas-to-write 1", "OK"},
		{"SET k x", readOnly},
		{"REPLICAOF NO ONE", "OK"},
		{"SET k x", lonely},
		{"GET k", "w"},
		{"CONFIG SET min-replicas-to-write 0", "OK"},
		{"SET k x", "OK"},
	} {
		c.want(step.want, step.line)
	}
	other.do("REPLICAOF localhost 7") // where nobody listens
	if role := c.do("ROLE"); !strings.HasPrefix(role, "[slave localhost (7) connect") || !strings.HasSuffix(role, " (-1)]") {
		t.Errorf("ROLE says %s", role)
	}
	other.do("REPLICAOF NO ONE")
	for _, step := range []struct{ queued, meanwhile, want string }{
		{"GET k", "REPLICAOF localhost 7", "[x]"},
		{"SET k y", "REPLICAOF localhost 7", abort + readOnly},
		{"SET k y", "CONFIG SET min-replicas-to-write 2", abort + lonely},
		{"PING", "CONFIG SET replica-serve-stale-data no", "[PONG]"},
	} {
		c.want("OK", "MULTI")
		c.want("QUEUED", step.queued)
		other.do(step.meanwhile)
		c.want(step.want, "EXEC")
		other.do("REPLICAOF NO ONE")
		other.do("CONFIG SET min-replicas-to-write 0")
	}
	other.do("REPLICAOF localhost 7")
	c.want("OK", "CONFIG SET replica-serve-stale-data yes")
	if got := c.do("EVAL", "return redis.call('SET', 'k', 'z')", "1", "k"); !strings.HasPrefix(got, readOnly) {
		t.Errorf("a script writes: %q", got)
	}
	other.do("REPLICAOF NO ONE")
	c.want("OK", "CONFIG SET replica-serve-stale-data no")
	c.want("OK", "MULTI")
	c.want("QUEUED", "PING")
	other.do("REPLICAOF localhost 7")
	c.want(abort+stale, "EXEC")
	if info := c.do("INFO replication"); !strings.Contains(info, "role:slave\r\nmaster_host:localhost\r\n") {
		t.Errorf("INFO says %s", info)
	}
}
