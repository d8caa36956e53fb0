package larder_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// want runs a command and compares its reply, as text.
func want(t *testing.T, st store.Store, reply string, words ...string) {
	t.Helper()
	got, err := st.Do(t.Context(), words...).Text()
	if errors.Is(err, store.ErrNil) {
		got, err = "nil", nil
	}
	if err != nil || got != reply {
		t.Errorf("%q: %q, %v; want %q", words, got, err, reply)
	}
}

// A store with a folder is there again after a restart: every type, TTLs, databases, functions.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	db, err := larder.Open(larder.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want(t, db, "OK", "SET", "k", "v", "EX", "1000")
	for _, words := range [][]string{
		{"HSET", "h", "f", "1"}, {"RPUSH", "l", "a", "b"}, {"SADD", "s", "m"}, {"ZADD", "z", "1.5", "m"}, {"XADD", "x", "1-1", "f", "v"},
		{"FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('one', function() return 1 end)"},
	} {
		if err := db.Do(t.Context(), words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := larder.Connect(t.Context(), "mem://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	want(t, again, "v", "GET", "k")
	want(t, again, "1000", "TTL", "k")
	want(t, again, "1", "HGET", "h", "f")
	want(t, again, "b", "LINDEX", "l", "1")
	want(t, again, "1", "SISMEMBER", "s", "m")
	want(t, again, "1.5", "ZSCORE", "z", "m")
	want(t, again, "1", "XLEN", "x")
	want(t, again, "1", "FCALL", "one", "0")
	want(t, again, "0", "EXISTS", "none")
	before, err := os.Stat(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil { // nothing has changed: nothing is written
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(dir, "dump.rdb")); err != nil || !os.SameFile(before, after) {
		t.Errorf("the snapshot was written again, %v", err)
	}
}

// What is no snapshot is refused, named, and left alone.
func TestDirIsNotSound(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "dump.rdb")
	for _, junk := range []string{"", "REDIS0011", "nonsense", "REDIS0011\x00\x01k\x01v\xff12345678"} {
		if err := os.WriteFile(name, []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := larder.Open(larder.Options{Dir: dir})
		if err == nil {
			_ = db.Close()
			t.Errorf("%q was loaded", junk)
			continue
		}
		if !strings.Contains(err.Error(), "dump.rdb") || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%q: %v", junk, err)
		}
		if left, err := os.ReadFile(name); err != nil || string(left) != junk {
			t.Errorf("the file is %q now, %v", left, err)
		}
	}
	if _, err := larder.Open(larder.Options{Dir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a folder that is not there")
	}
}

// Snapshots are written by themselves when enough has changed for long enough.
func TestSavePoints(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "dump.rdb")
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	db := open(t, larder.Options{Dir: dir, Clock: fake, Settings: map[string]string{"save": "100 2"}})
	written := func() bool { _, err := os.Stat(name); return err == nil }
	pass := func(d time.Duration) {
		for range 3 { // a tick for the clock to move on, one that decides, and one after it
			fake.BlockUntilWaiters(1)
			fake.Advance(d / 3)
		}
	}
	ctx := context.Background()
	for i := range 2 {
		if written() {
			t.Fatal("written too early")
		}
		if err := db.Do(ctx, "SET", fmt.Sprint("k", i), "v").Err(); err != nil {
			t.Fatal(err)
		}
		pass(60 * time.Second)
	}
	for at := time.Now(); !written(); pass(3 * time.Second) {
		if time.Since(at) > 10*time.Second {
			t.Fatal("never written")
		}
	}
	for {
		info, err := db.Do(ctx, "INFO", "persistence").Text()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "rdb_bgsave_in_progress:0") {
			if !strings.Contains(info, "rdb_changes_since_last_save:0\r\n") || !strings.Contains(info, "rdb_last_bgsave_status:ok") {
				t.Error(info)
			}
			break
		}
	}
	other, err := larder.Open(larder.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	want(t, other, "2", "DBSIZE")
}
