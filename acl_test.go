package larder_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/resp"
)

func configure(t *testing.T, args ...string) *config.Config {
	t.Helper()
	c := config.New()
	if err := c.LoadArgs(args, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBrokenUsersAreNoStore: a store whose users are not what somebody meant must not open.
func TestBrokenUsersAreNoStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, []byte("user bob on +@all\nuser bob off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--user", "bob", "on", "+nosuch"}, {"--aclfile", path}, {"--aclfile", path + ".none"}, {"--aclfile", path, "--user", "ann", "on"},
	} {
		if db, err := larder.Open(larder.Options{Config: configure(t, args...)}); err == nil {
			_ = db.Close()
			t.Errorf("%q opens", args)
		}
	}
}

// TestUsersOverTheNetwork: a removed user's connection ends, with the reply to the command that removed it.
func TestUsersOverTheNetwork(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(path, []byte("user bob on >pw ~b:* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, larder.Options{Config: configure(t, "--dir", dir, "--aclfile", "users.acl")})
	addr := serve(t, db)
	dial := func() (net.Conn, error) { return net.Dial("tcp", addr) }
	admin, bob, self := &peer{dial: dial}, &peer{dial: db.Dial}, &peer{dial: dial}
	defer admin.close()
	defer bob.close()
	defer self.close()
	want := func(p *peer, cmd, reply string) {
		t.Helper()
		got, err := p.pipe(cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		if text := text(got[0]); text != reply {
			t.Fatalf("%s: %q, want %q", cmd, text, reply)
		}
	}
	want(bob, "AUTH bob pw", "OK")
	want(bob, "SET b:1 x", "OK")
	want(bob, "SET a:1 x", "NOPERM No permissions to access a key")
	want(self, "AUTH bob pw", "OK")
	want(admin, "ACL SETUSER ann on", "OK")
	want(admin, "ACL SAVE", "OK")
	want(self, "ACL DELUSER bob", "1")
	for _, p := range []*peer{bob, self} {
		if _, err := p.pipe("PING"); err == nil {
			t.Error("a removed user is still connected")
		}
	}
	want(admin, "ACL LOAD", "OK")
	saved, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(saved), "user ann on") || !strings.Contains(string(saved), "user bob on") {
		t.Errorf("%v: %s", err, saved)
	}
}

func text(v resp.Value) string {
	if v.Kind == resp.Int {
		return map[int64]string{0: "0", 1: "1"}[v.Int]
	}
	return v.Text()
}
