package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
)

// A Sentinel answers INFO, so that a check-up of it would find next to nothing wrong. It is refused, with the address to use.
func TestSentinelIsNoServer(t *testing.T) {
	primary := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, primary)
	r, err := Run(t.Context(), open(t, sentinel.URL()), Options{})
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "redis+sentinel://"+sentinel.Addr+"/") {
		t.Error(r, err)
	}
}

// A replica in a Cluster names its keys to SCAN and answers nothing about them: that is no empty server without faults.
func TestReplicaOfACluster(t *testing.T) {
	c := redistest.StartReplicatedCluster(t, 3)
	st := fill(t, c.Nodes[0].URL())
	for i := range 3000 { // whatever its slots are, each primary gets some
		_ = st.Do(t.Context(), "SET", "k:"+number(int64(i)), "v").Err()
	}
	c.Settle()
	for _, node := range c.Nodes {
		if !strings.Contains(node.Do("INFO", "replication"), "role:slave") || node.Do("DBSIZE") == ":0" {
			continue
		}
		r := examineAll(t, open(t, node.URL()), nil)
		if r.Scan.Complete || r.Scan.Cancelled || !strings.Contains(r.Scan.Stopped, "redis+cluster://") {
			t.Errorf("%+v", r.Scan)
		}
		for _, s := range r.Skipped {
			if s.Check == "missing-ttl" {
				return
			}
		}
		t.Fatal(shows(t, r))
	}
	t.Fatal("no replica has keys")
}

// Where a primary is decides whether the network is crossed, not how one asked for it.
func TestPrimaryOnThisMachine(t *testing.T) {
	s := fleet.Start(t, fleet.Sentinel)
	target := open(t, clusterURL(t, s.Open(t)))
	if !target.Facts.Local {
		t.Errorf("%+v", target.Facts)
	}
}

// Larder's own policies neither count accesses as LFU does nor remember the last one. The report says so, and the server is
// not asked.
func TestOwnPolicies(t *testing.T) {
	for _, policy := range []string{"allkeys-s3fifo", "allkeys-wtinylfu"} {
		db, err := larder.Open(larder.Options{MaxMemory: 64 << 20, Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		pipe(t, db, store.Cmd{"SET", "a:1", "x"}, store.Cmd{"SET", "a:2", "x"})
		target := &Target{Name: "mem://", Nodes: []Node{{Name: "embedded", Store: db}}, Facts: TargetFacts{InProcess: true, Local: true}}
		recorders := recorded(target)
		text := strings.Join(strings.Fields(shows(t, examineAll(t, target, nil))), " ")
		for _, want := range []string{"under " + policy + " the server does not remember the last access", "under " + policy + " the server does not count all accesses"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if sent := strings.Join(recorders[0].commands(t), " "); strings.Contains(sent, "OBJECT IDLETIME") || strings.Contains(sent, "OBJECT FREQ") {
			t.Error(sent)
		}
	}
}

// What INFO would have told is not zero where it may not be asked.
func TestUnknownIsNotZero(t *testing.T) {
	s := redistest.Start(t)
	s.Do("ACL", "SETUSER", "few", "on", ">x", "~*", "-@all", "+scan")
	text := shows(t, examineAll(t, open(t, "redis://few:x@"+s.Addr), nil))
	if strings.Contains(text, "0 keys, 0 bytes") || !strings.Contains(text, "memory unknown") {
		t.Error(text)
	}
}
