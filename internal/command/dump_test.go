package command_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/internal/vfs"
)

// memoryFor is a file system in memory with the folder that the configuration names.
func memoryFor(t testing.TB, cfg *config.Config) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll(cfg.Settings().Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestRestoreExpires(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET k value")
	payload := c.do("DUMP k")
	now := r.clock.Now().UnixMilli()
	c.want("OK", "RESTORE", "relative", "5000", payload)
	c.want(fmt.Sprintf("(%d)", now+5000), "PEXPIRETIME relative")
	c.want("OK", "RESTORE", "absolute", fmt.Sprint(now+7000), payload, "ABSTTL")
	c.want(fmt.Sprintf("(%d)", now+7000), "PEXPIRETIME absolute")
	c.want("OK", "RESTORE", "never", "0", payload)
	c.want("(-1)", "PTTL never")
	c.want("OK", "RESTORE", "past", fmt.Sprint(now-1), payload, "ABSTTL")
	c.want("(0)", "EXISTS past")
	c.want("OK", "RESTORE", "never", "1", payload, "ABSTTL", "REPLACE")
	c.want("(0)", "EXISTS never")
	c.want("OK", "RESTORE", "overflow", "9223372036854775807", payload)
	c.want("(0)", "EXISTS overflow")
	r.clock.Advance(6 * time.Second)
	c.want("(1)", "EXISTS relative absolute")
	c.want("OK", "RESTORE", "relative", "0", payload) // it is gone
	c.want("BUSYKEY Target key name already exists.", "RESTORE", "relative", "0", payload)
}

func TestRestoreTellsAccess(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET k value")
	payload := c.do("DUMP k")
	c.do("CONFIG SET maxmemory-policy allkeys-lru")
	c.want("OK", "RESTORE", "lru", "0", payload, "IDLETIME", "1000")
	c.want("(1000)", "OBJECT IDLETIME lru")
	c.want("OK", "RESTORE", "lru2", "0", payload, "FREQ", "9")
	c.want("(0)", "OBJECT IDLETIME lru2")
	c.do("CONFIG SET maxmemory-policy allkeys-lfu")
	c.want("OK", "RESTORE", "lfu", "0", payload, "FREQ", "100")
	c.want("(100)", "OBJECT FREQ lfu")
}

// What is journaled brings another store to the same state, whatever time it is there.
func TestRestoreJournal(t *testing.T) {
	a, b := newRig(t), newRig(t)
	var j recorder
	a.Engine.SetJournal(&j)
	c := a.main
	c.do("RPUSH list a b 3 c")
	payload := c.do("DUMP list")
	c.do("RESTORE", "copy", "10000", payload)
	c.do("RESTORE", "copy", "20000", payload, "REPLACE", "IDLETIME", "5")
	c.do("RESTORE", "forever", "0", payload)
	c.do("SET gone x")
	c.do("RESTORE", "gone", "1", payload, "ABSTTL", "REPLACE")
	c.do("RESTORE", "never", "1", payload, "ABSTTL", "REPLACE")
	c.do("RESTORE", "refused", "0", payload+"x")
	b.clock.Advance(-time.Hour)
	j.replay(t, b)
	if a, b := a.dump(), b.dump(); a != b {
		t.Errorf("replayed\n%s\nwas\n%s", b, a)
	}
	for _, e := range j.effects {
		if string(e.Args[0]) == "RESTORE" && string(e.Args[2]) != "0" && !strings.Contains(fmt.Sprintf("%q", e.Args), "ABSTTL") {
			t.Errorf("a relative time in the journal: %q", e.Args)
		}
	}
}

func TestRestoreWakes(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET k value")
	payload := c.do("DUMP k")
	watcher := r.connect()
	watcher.do("WATCH other")
	c.want("OK", "RESTORE", "other", "0", payload)
	watcher.do("MULTI")
	watcher.do("PING")
	watcher.want("(nil)", "EXEC")
}

// A payload of few bytes cannot make the store allocate much, nor stay long.
func TestRestoreOfClaims(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1")
	before := r.Engine.Memory().Mapped
	for _, body := range []string{
		"\x00\x81\x00\x00\x00\xff\xff\xff\xff\xff", "\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff", "\x02\x80\xff\xff\xff\xff\x01a",
		"\x04\x80\xff\xff\xff\xff\x01a\x01b", "\x05\x80\xff\xff\xff\xff\x01a", "\x00\xc3\x05\x80\xff\xff\xff\xff\x00a\xe0\xff\x00",
		"\x12\x80\xff\xff\xff\xff\x02\x01", "\x0f\x80\xff\xff\xff\xff\x10", "\x18\x00\x00\x00\x00\x00\x00\x00\x00\x80\xff\xff\xff\xff",
	} {
		c.want("ERR Bad data format", "RESTORE", "k", "0", body+"0123456789")
	}
	if after := r.Engine.Memory().Mapped; after-before > 1<<20 {
		t.Errorf("%d bytes mapped before, %d after", before, after)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET s value EX 1000")
	c.do("SET soon value PX 5")
	c.do("HSET h a 1 b 2")
	c.do("HPEXPIRE h 100000 FIELDS 1 a")
	c.do("RPUSH l 1 2 three")
	c.do("SELECT 3")
	c.do("ZADD z 1.5 a -inf b")
	c.do("SADD i 1 2 3")
	c.do("XADD x 1-1 f v")
	c.do("XGROUP CREATE x g 0")
	c.do("XREADGROUP GROUP g alice STREAMS x >")
	r.clock.Advance(10 * time.Millisecond)
	before, digest := r.dump(), c.do("DEBUG DIGEST")
	for _, line := range []string{"DEBUG RELOAD", "DEBUG LOADAOF", "DEBUG RELOAD NOFLUSH MERGE", "DEBUG RELOAD NOSAVE"} {
		c.want("OK", line)
		c.want(digest, "DEBUG DIGEST")
		if after := r.dump(); after != before {
			t.Errorf("after %s\n%s\nbefore\n%s", line, after, before)
		}
	}
	c.want("[[name g consumers (1) pending (1) last-delivered-id 1-1 entries-read (1) lag (0)]]", "XINFO GROUPS x")
	c.want("ERR Error trying to load the RDB dump, check server logs.", "DEBUG RELOAD NOFLUSH")
	c.do("SET new 1")
	c.want("OK", "DEBUG RELOAD NOSAVE")
	c.want("(0)", "EXISTS new")
	c.want("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.", "DEBUG RELOAD x")
}

func TestSave(t *testing.T) {
	r := newRig(t)
	c := r.main
	started := r.clock.Now().Unix()
	c.want(fmt.Sprintf("(%d)", started), "LASTSAVE")
	c.do("SET k v")
	r.clock.Advance(time.Hour)
	c.want("OK", "SAVE")
	c.want(fmt.Sprintf("(%d)", started+3600), "LASTSAVE")
	if info := c.do("INFO persistence"); !strings.Contains(info, "rdb_changes_since_last_save:0\r\n") || !strings.Contains(info, "rdb_last_bgsave_status:ok\r\n") {
		t.Error(info)
	}
	for i := range 3 {
		c.do("SET", "k", fmt.Sprint(i))
		if i == 2 {
			c.do("MULTI")
			c.do("BGSAVE")
			c.want("[Background saving scheduled]", "EXEC")
		} else {
			c.want("Background saving started", "BGSAVE")
		}
		c.do("SET k later")
		for strings.Contains(c.do("INFO persistence"), "rdb_bgsave_in_progress:1\r\n") {
			runtime.Gosched()
		}
		if info := c.do("INFO persistence"); !strings.Contains(info, "rdb_changes_since_last_save:1\r\n") {
			t.Error(info)
		}
		c.want("OK", "DEBUG RELOAD NOSAVE")
		c.want(fmt.Sprint(i), "GET k")
	}
	c.want("Background append only file rewriting started", "BGREWRITEAOF")
}

// A snapshot that cannot be written leaves the one before as it is.
func TestSaveFails(t *testing.T) {
	cfg := config.New()
	mem := memoryFor(t, cfg)
	name := filepath.Join(cfg.Settings().Dir, "dump.rdb")
	for _, op := range []string{"create", "write", "sync", "rename"} {
		r := newRig(t)
		files := vfs.WithFaults(mem, func(o vfs.Op, _ string) error {
			if string(o) == op {
				return errors.New("no")
			}
			return nil
		})
		r.Processor = command.NewProcessor(r.Engine, cfg, command.Info{Files: files})
		c := r.connect()
		c.do("SET k v")
		c.want("ERR", "SAVE")
		if info := c.do("INFO persistence"); !strings.Contains(info, "rdb_last_bgsave_status:err\r\n") {
			t.Errorf("%s: %s", op, info)
		}
		if _, err := mem.Stat(name); err == nil {
			t.Errorf("%s: there is a snapshot", op)
		}
		if _, err := mem.Stat(name + ".temp"); err == nil {
			t.Errorf("%s: the temporary file is left", op)
		}
	}
}

func TestDebugIsGated(t *testing.T) {
	for setting, want := range map[string]string{"no": "ERR DEBUG command not allowed", "local": "+OK", "yes": "+OK"} {
		r := newRig(t, "enable-debug-command", setting)
		client := &fuzzClient{id: 9, w: resp.NewWriter(nil)}
		s := r.NewSession(client)
		for _, word := range []string{"0", "1"} {
			client.w.Truncate(0)
			s.Exec([][]byte{[]byte("DEBUG"), []byte("SET-ACTIVE-EXPIRE"), []byte(word)}, client.w)
			if got := strings.TrimPrefix(string(client.w.Bytes()), "-"); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q", setting, got)
			}
		}
		s.Close()
	}
	r := newRig(t)
	r.main.want("ERR unknown subcommand or wrong number of arguments for 'nonsense'. Try DEBUG HELP.", "DEBUG nonsense")
}

func TestLolwut(t *testing.T) {
	r := newRig(t)
	for _, words := range []string{"LOLWUT", "LOLWUT VERSION 5", "LOLWUT VERSION 6 3 2", "LOLWUT 1000000 1000000", "LOLWUT -5 0"} {
		if text := r.main.do(words); !strings.HasSuffix(text, "Redis ver. "+command.Version+"\n") || len(text) > 100_000 {
			t.Errorf("%s: %d bytes, %.80q", words, len(text), text)
		}
	}
	r.main.want("ERR value is not an integer or out of range", "LOLWUT VERSION x")
	r.main.want("ERR value is not an integer or out of range", "LOLWUT x")
}
