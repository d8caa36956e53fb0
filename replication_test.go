package larder_test

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

func info(t *testing.T, db *larder.DB, section string) string {
	t.Helper()
	s, err := db.Do(t.Context(), "INFO", section).Text()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writes are commands on keys of every type, some of which expire.
func writes(r *rand.Rand) []string {
	key := strconv.Itoa(r.IntN(40))
	n := strconv.Itoa(r.IntN(100))
	all := [][]string{
		{"SET", "s" + key, n}, {"SET", "s" + key, n, "EX", "1000"}, {"INCRBY", "n" + key, n}, {"APPEND", "a" + key, n},
		{"HSET", "h" + key, n, key}, {"HDEL", "h" + key, n}, {"RPUSH", "l" + key, n, n}, {"LPOP", "l" + key},
		{"SADD", "set" + key, n}, {"SPOP", "set" + key}, {"ZADD", "z" + key, n, "m" + n}, {"ZPOPMIN", "z" + key},
		{"XADD", "x" + key, "*", "f", n}, {"PFADD", "p" + key, n}, {"SETBIT", "b" + key, n, "1"}, {"DEL", "s" + key},
		{"LMOVE", "l" + key, "l0", "LEFT", "RIGHT"}, {"EVAL", "redis.call('incr', KEYS[1]) return redis.call('rpush', KEYS[2], ARGV[1])", "2", "n" + key, "l" + key, n},
	}
	return all[r.IntN(len(all))]
}

// digest is DEBUG DIGEST, which both sides reckon alike.
func digest(do func(args ...string) string) string { return do("DEBUG", "DIGEST") }

func TestFollowsRedisAndIsFollowed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	redis := redistest.Start(t, "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0")
	_, port, err := net.SplitHostPort(redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, larder.Options{Settings: map[string]string{"enable-debug-command": "yes", "dir": t.TempDir()}})
	ask := func(args ...string) string {
		s, err := db.Do(t.Context(), args...).Text()
		if err != nil {
			return err.Error()
		}
		return s
	}
	for range 500 {
		redis.Do(writes(rnd)...)
	}

	if err := db.Do(t.Context(), "REPLICAOF", "127.0.0.1", port).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Larder follows", func() bool { return strings.Contains(info(t, db, "replication"), "master_link_status:up") })
	if err := db.Do(t.Context(), "SET", "mine", "1").Err(); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("a replica writes: %v", err)
	}
	for range 500 {
		redis.Do(writes(rnd)...)
	}
	if got := redis.Do("WAIT", "1", "20000"); got != "1" {
		t.Errorf("WAIT says %s", got)
	}
	if want, got := digest(redis.Do), digest(ask); want != got {
		t.Errorf("Larder, which follows, holds something else: %s, want %s", got, want)
	}

	// The other way round: what follows now is the former primary.
	if err := db.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Serve(l) }()
	_, mine, _ := net.SplitHostPort(l.Addr().String())
	if got := redis.Do("REPLICAOF", "127.0.0.1", mine); got != "OK" {
		t.Fatal(got)
	}
	eventually(t, "Redis follows", func() bool { return strings.Contains(redis.Do("INFO", "replication"), "master_link_status:up") })
	for range 500 {
		if err := db.Do(t.Context(), writes(rnd)...).Err(); err != nil && !isWrongType(err) {
			t.Fatal(err)
		}
	}
	if n, err := db.Do(t.Context(), "WAIT", "1", "20000").Int64(); n != 1 || err != nil {
		t.Errorf("WAIT says %d, %v", n, err)
	}
	if want, got := digest(ask), digest(redis.Do); want != got {
		t.Errorf("Redis, which follows, holds something else: %s, want %s", got, want)
	}
}

func isWrongType(err error) bool { return strings.HasPrefix(err.Error(), "WRONGTYPE") }

func TestFollowsNobodyThere(t *testing.T) {
	port := strconv.Itoa(redistest.FreePort(t))
	db := open(t, larder.Options{})
	ctx := t.Context()
	if err := db.Do(ctx, "SET", "k", "v").Err(); err != nil {
		t.Fatal(err)
	}
	if err := db.Do(ctx, "REPLICAOF", "127.0.0.1", port).Err(); err != nil {
		t.Fatal(err)
	}
	if s := info(t, db, "replication"); !strings.Contains(s, "role:slave") || !strings.Contains(s, "master_link_status:down") {
		t.Error(s)
	}
	if v, err := db.Do(ctx, "GET", "k").Text(); v != "v" || err != nil {
		t.Error("what was there must stay while there is nothing better:", v, err)
	}
	if err := db.Do(ctx, "CONFIG", "SET", "replica-serve-stale-data", "no").Err(); err != nil {
		t.Fatal(err)
	}
	if err := db.Do(ctx, "GET", "k").Err(); err == nil || !strings.HasPrefix(err.Error(), "MASTERDOWN") {
		t.Error(err)
	}
	if err := db.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := db.Do(ctx, "SET", "k", "w").Err(); err != nil {
		t.Error(err)
	}
}
