package command_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/engine"
)

// track is a RESP3 connection with CLIENT TRACKING ON.
func (r *rig) track(id uint64, options string) *link {
	l := r.dial(id)
	l.do("HELLO 3")
	l.want("OK", "CLIENT TRACKING ON "+options)
	return l
}

func TestTrackingTellsOnceWhenWhatWasReadChanges(t *testing.T) {
	r := newRig(t)
	a, b := r.track(1, ""), r.dial(2)
	b.want("OK", "SET x 1")
	a.want("1", "GET x")
	a.do("MGET x y")
	b.want("OK", "SET x 2")
	b.want("OK", "SET x 3")
	b.want("OK", "SET y 1")
	b.want("OK", "SET z 1")
	a.wantPushed("[invalidate [x]]", "[invalidate [y]]")
	a.do("GET x")
	a.want("(1)", "DEL x") // its own change, too
	a.wantPushed("[invalidate [x]]")
	a.do("GET x")
	b.want("OK", "SELECT 5")
	b.want("OK", "SET x other") // databases are one space of names here, as in Redis
	a.wantPushed("[invalidate [x]]")
	a.want("OK", "CLIENT TRACKING OFF")
	a.do("GET x")
	b.want("OK", "SET x 4")
	a.wantPushed()
}

func TestTrackingHearsOfKeysThatVanish(t *testing.T) {
	r := newRig(t)
	a, b := r.track(1, ""), r.dial(2)
	b.want("OK", "SET lazy 1 PX 10")
	b.want("OK", "SET active 1 PX 10")
	a.do("MGET lazy active")
	r.clock.Advance(time.Second)
	b.want("(nil)", "GET lazy")
	a.wantPushed("[invalidate [lazy]]")
	r.Tick(time.Second)
	a.wantPushed("[invalidate [active]]")
	a.do("GET x")
	b.want("OK", "FLUSHDB")
	a.wantPushed("[invalidate (nil)]")
	if n := r.Engine.Tracking().Keys; n != 0 {
		t.Fatalf("%d keys are tracked after FLUSHDB", n)
	}
	b.want("OK", "SWAPDB 0 1")
	a.wantPushed("[invalidate (nil)]")
}

func TestTrackingWithoutLoop(t *testing.T) {
	r := newRig(t)
	a, b := r.track(1, "NOLOOP"), r.track(2, "BCAST NOLOOP")
	a.do("MGET x y")
	a.want("OK", "SET x 1")
	b.want("OK", "SET y 1")
	a.wantPushed("[invalidate [y]]")
	b.wantPushed("[invalidate [x]]")
	// What a transaction reads after its own write outlives that write.
	a.want("OK", "MULTI")
	a.do("SET k 1")
	a.do("GET k")
	a.want("[OK 1]", "EXEC")
	b.want("OK", "SET k 2")
	a.wantPushed("[invalidate [k]]")
	b.wantPushed("[invalidate [k]]")
}

func TestTrackingBroadcast(t *testing.T) {
	r := newRig(t)
	a, b := r.track(1, "BCAST PREFIX a: PREFIX b:"), r.dial(2)
	a.do("GET c:1")
	b.want("OK", "MSET b:2 1 a:1 1 c:1 1 a:2 1 a:1 2")
	a.wantPushed("[invalidate [a:1 a:2]]", "[invalidate [b:2]]")
	a.want("OK", "CLIENT TRACKING ON BCAST PREFIX c:")
	b.want("OK", "SET c:1 2")
	a.wantPushed("[invalidate [c:1]]")
	a.want("[flags [on bcast] redirect (0) prefixes [a: b: c:]]", "CLIENT TRACKINGINFO")
	if n := r.Engine.Tracking(); n.Prefixes != 3 || n.Keys != 0 || n.Clients != 1 {
		t.Fatalf("%+v", n)
	}
	a.s.Close()
	if n := r.Engine.Tracking(); n.Prefixes != 0 || n.Clients != 0 {
		t.Fatalf("%+v after Close", n)
	}
}

func TestTrackingByChoice(t *testing.T) {
	r := newRig(t)
	in, out, b := r.track(1, "OPTIN"), r.track(2, "OPTOUT"), r.dial(3)
	in.do("GET no")
	in.want("OK", "CLIENT CACHING YES")
	in.want("[flags [on optin caching-yes] redirect (0) prefixes []]", "CLIENT TRACKINGINFO")
	in.do("GET yes")
	in.do("GET no")
	in.want("OK", "CLIENT CACHING YES")
	in.want("OK", "MULTI")
	in.do("GET multi1")
	in.do("GET multi2")
	in.do("EXEC")
	in.do("GET no")
	in.want("OK", "CLIENT CACHING YES")
	in.do("NOSUCH command")
	in.do("GET no")
	in.want("[flags [on optin] redirect (0) prefixes []]", "CLIENT TRACKINGINFO")
	out.do("GET yes")
	out.want("OK", "CLIENT CACHING NO")
	out.do("GET no")
	out.do("GET yes2")
	b.want("OK", "MSET no 1 yes 1 yes2 1 multi1 1 multi2 1")
	in.wantPushed("[invalidate [yes]]", "[invalidate [multi1]]", "[invalidate [multi2]]")
	out.wantPushed("[invalidate [yes]]", "[invalidate [yes2]]")
}

func TestTrackingRedirected(t *testing.T) {
	r := newRig(t)
	to, a, b := r.dial(1), r.dial(2), r.dial(3)
	a.want("OK", "CLIENT TRACKING ON REDIRECT 1")
	a.want("(1)", "CLIENT GETREDIR")
	a.do("GET x")
	b.want("OK", "SET x 1")
	to.wantPushed() // RESP2, and not a subscriber
	to.do("SUBSCRIBE __redis__:invalidate")
	a.do("GET x")
	b.want("OK", "SET x 2")
	b.want("OK", "FLUSHALL")
	to.wantPushed("[message __redis__:invalidate [x]]", "[message __redis__:invalidate (nil)]")
	to.do("RESET")
	to.do("HELLO 3")
	a.do("GET x")
	b.want("OK", "SET x 3")
	to.wantPushed("[invalidate [x]]")
	a.do("HELLO 3")
	a.do("GET x")
	to.s.Close()
	b.want("OK", "SET x 4")
	a.wantPushed("[tracking-redir-broken (1)]")
	a.want("[flags [on broken_redirect] redirect (1) prefixes []]", "CLIENT TRACKINGINFO")
	a.s.EndBatch()
	if list := b.do("CLIENT LIST"); !strings.Contains(list, "flags=tR ") || !strings.Contains(list, " redir=1 ") {
		t.Fatal(list)
	}
	a.want("OK", "CLIENT TRACKING ON")
	a.want("(0)", "CLIENT GETREDIR")
	a.want("OK", "CLIENT TRACKING OFF")
	a.want("(-1)", "CLIENT GETREDIR")
}

func TestTrackingTablesAreBounded(t *testing.T) {
	r := newRig(t, "tracking-table-max-keys", "100")
	a, b := r.track(1, ""), r.track(2, "")
	for i := range 300 {
		a.do(fmt.Sprintf("GET key:%d", i))
	}
	r.Tick(time.Second)
	if n := r.Engine.Tracking().Keys; n != 100 {
		t.Fatalf("%d keys are tracked, the bound is 100", n)
	}
	told := a.pushed()
	if len(told) != 200 {
		t.Fatalf("%d keys were given up, want 200", len(told))
	}
	b.want("OK", "CONFIG SET tracking-table-max-keys 0 tracking-table-max-memory 2000")
	b.do("GET x") // whoever tracks keeps the tables in bounds before its own command
	if n := r.Engine.Tracking(); n.Bytes > 3000 || n.Keys == 0 {
		t.Fatalf("%+v", n)
	}
	if len(a.pushed()) == 0 {
		t.Fatal("nothing was given up for the bound on bytes")
	}
}

// TestTrackingForgetsWhoHasGone: a key that everybody reads must not keep the number of everybody who ever read it.
func TestTrackingForgetsWhoHasGone(t *testing.T) {
	r := newRig(t)
	for i := range 1000 {
		l := r.track(uint64(i%9+1), "")
		l.do("GET x")
		l.s.Close()
	}
	if n := r.Engine.Tracking().Items; n > 16 {
		t.Fatalf("%d readers are remembered, all have gone", n)
	}
}

func TestTrackingRefusals(t *testing.T) {
	r := newRig(t)
	a := r.dial(1)
	for _, c := range [][2]string{
		{"CLIENT TRACKING MAYBE", "ERR syntax error"},
		{"CLIENT TRACKING ON REDIRECT", "ERR syntax error"},
		{"CLIENT TRACKING ON REDIRECT x", "ERR value is not an integer or out of range"},
		{"CLIENT TRACKING ON REDIRECT 77", "ERR The client ID you want redirect to does not exist"},
		{"CLIENT TRACKING ON REDIRECT 1 REDIRECT 1", "ERR A client can only redirect to a single other client"},
		{"CLIENT TRACKING ON PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"},
		{"CLIENT TRACKING ON BCAST OPTIN", "ERR OPTIN and OPTOUT are not compatible with BCAST"},
		{"CLIENT TRACKING ON OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"},
		{"CLIENT TRACKING ON BCAST PREFIX ab PREFIX a", "ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap."},
		{"CLIENT CACHING YES", "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"},
		{"CLIENT TRACKING OFF", "OK"},
		{"CLIENT TRACKING ON OPTIN", "OK"},
		{"CLIENT TRACKING ON OPTOUT", "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."},
		{"CLIENT TRACKING ON BCAST", "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."},
		{"CLIENT CACHING NO", "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."},
		{"CLIENT CACHING MAYBE", "ERR syntax error"},
		{"CLIENT TRACKING OFF", "OK"},
		{"CLIENT TRACKING ON BCAST PREFIX ab", "OK"},
		{"CLIENT TRACKING ON BCAST PREFIX a", "ERR Prefix 'a' overlaps with an existing prefix 'ab'. Prefixes for a single client must not overlap."},
	} {
		a.want(c[1], c[0])
	}
}

// TestTrackedCopiesAreNeverStale lets clients with caches of their own read while others write: when all is quiet and
// every message has been heeded, each copy is what the server holds.
func TestTrackedCopiesAreNeverStale(t *testing.T) {
	r := newRig(t, "tracking-table-max-keys", "20")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const clients, keys, rounds = 4, 40, 3000
	var links []*link
	for i := range clients {
		options := []string{"", "NOLOOP", "BCAST", "BCAST NOLOOP PREFIX k"}[i]
		links = append(links, r.track(uint64(i+1), options))
	}
	copies := make([]map[string]string, clients)
	var wait sync.WaitGroup
	for i, l := range links {
		copies[i] = make(map[string]string)
		wait.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range rounds {
				key := fmt.Sprintf("k%d", rnd.IntN(keys))
				switch rnd.IntN(6) {
				case 0:
					value := fmt.Sprintf("%d:%d", i, n)
					l.do("SET " + key + " " + value)
					delete(copies[i], key) // what NOLOOP asks of a client
				case 1:
					l.do("MULTI")
					l.do("INCR other" + key)
					l.do("GET " + key)
					l.do("EXEC")
				default:
					copies[i][key] = l.do("GET " + key)
				}
				heed(l, copies[i])
			}
		})
	}
	wait.Wait()
	check := r.dial(99)
	for i, l := range links {
		heed(l, copies[i])
		for key, value := range copies[i] {
			if now := check.do("GET " + key); now != value {
				t.Errorf("client %d holds %s = %q, the server %q", i, key, value, now)
			}
		}
	}
}

// heed drops what the pushed messages name.
func heed(l *link, copies map[string]string) {
	for _, m := range l.pushed() {
		words := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(m))
		if slices.Contains(words, "(nil)") {
			clear(copies)
		}
		for _, key := range words[1:] {
			delete(copies, key)
		}
	}
}

func TestTrackingOfScripts(t *testing.T) {
	r := newRig(t)
	a, b := r.track(1, ""), r.dial(2)
	b.want("OK", "SET k 1")
	a.do("EVAL", "return redis.call('set', KEYS[2], 'x')", "2", "k", "other")
	b.want("OK", "MSET k 2 other 2")
	a.wantPushed() // it has read neither
	a.want("2", "EVAL", "return redis.call('get', KEYS[1])", "1", "k")
	b.want("OK", "SET k 3")
	a.wantPushed("[invalidate [k]]")
	a.want("3", "EVAL_RO", "return redis.call('get', KEYS[1])", "2", "k", "other")
	b.want("OK", "MSET k 4 other 4")
	a.wantPushed("[invalidate [k]]")
}

func TestMonitorShowsWhatScriptsCall(t *testing.T) {
	r := newRig(t)
	m, a := r.dial(1), r.dial(2)
	m.want("OK", "MONITOR")
	a.do("EVAL", "return redis.call('set', KEYS[1], ARGV[1])", "1", "k", "v")
	m.wantPushed("1700000000.000000 [0 127.0.0.1:11] "+`"EVAL" "return redis.call('set', KEYS[1], ARGV[1])" "1" "k" "v"`,
		"1700000000.000000 [0 lua] "+`"set" "k" "v"`)
	a.do("GET k")
	m.wantPushed("1700000000.000000 [0 127.0.0.1:11] " + `"GET" "k"`)
}

func TestPauseOfScripts(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "CLIENT PAUSE 1000 WRITE")
	b.want("(1)", "EVAL", "#!lua flags=no-writes\nreturn 1", "0")
	b.want("OK", "MULTI")
	b.want("QUEUED", "EVAL", "#!lua flags=no-writes\nreturn 2", "0")
	b.want("[(2)]", "EXEC")
	b.putOff("EVAL return 0")
}

// noted gathers what an embedded cache is told.
type noted []string

func (n *noted) Invalidate(keys [][]byte) {
	if keys == nil {
		*n = append(*n, "everything")
	}
	for _, k := range keys {
		*n = append(*n, string(k))
	}
}

func TestTrackingOfAnEmbeddedCache(t *testing.T) {
	r := newRig(t)
	cache := r.connect()
	var told noted
	cache.s.Track(&told, engine.TrackNoLoop)
	if _, _, err := cache.s.GetString("a", nil); err != nil {
		t.Fatal(err)
	}
	cache.do("HGETALL h")
	if err := cache.s.SetString("a", []byte("own"), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := cache.s.GetString("a", nil); err != nil {
		t.Fatal(err)
	}
	r.main.want("OK", "SET a 1")
	r.main.want("(1)", "HSET h f v")
	r.main.want("OK", "SET b 1")
	r.main.want("OK", "FLUSHALL")
	if want := []string{"a", "h", "everything"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	cache.s.Untrack()
	r.main.want("OK", "FLUSHALL")
	if len(told) != 3 {
		t.Fatalf("told %q after Untrack", told)
	}
}

func TestTrackingOfManyPrefixes(t *testing.T) {
	r := newRig(t)
	a := r.dial(1)
	a.do("HELLO 3")
	words := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for i := range 100_000 {
		words = append(words, "PREFIX", fmt.Sprintf("%d:", i))
	}
	a.want("OK", words...)
	r.main.want("OK", "MSET 77:a 1 99999:b 1 100000:c 1 7 1")
	a.wantPushed("[invalidate [77:a]]", "[invalidate [99999:b]]")
	if got := a.do("CLIENT TRACKING ON BCAST PREFIX 5:5"); !strings.HasPrefix(got, "ERR Prefix '5:5' overlaps") {
		t.Fatal(got)
	}
	a.want("OK", "CLIENT TRACKING OFF")
	if n := r.Engine.Tracking().Prefixes; n != 0 {
		t.Fatalf("%d prefixes are left", n)
	}
}
