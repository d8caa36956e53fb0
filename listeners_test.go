package larder_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
)

// TestListenersComeAndGo: connections that monitor, track, subscribe to keyspace events and redirect their messages come,
// read a little and go without a word, while others write and the server is paused and goes on. Nothing may wait for
// ever, and nothing may be left behind.
func TestListenersComeAndGo(t *testing.T) {
	leaktest.Check(t, "larder/internal/server")
	db := open(t, larder.Options{})
	addr := serve(t, db)
	admin := newCopier(t, addr, "")
	admin.do("CLIENT TRACKING OFF")
	admin.do("CONFIG SET notify-keyspace-events KEAnm")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wait sync.WaitGroup
	for i := range 3 {
		wait.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			c := newCopier(t, addr, []string{"", "BCAST", "NOLOOP"}[i])
			for n := range 400 {
				c.step(rnd, i, n)
				if rnd.IntN(100) == 0 {
					c.do("CLIENT PAUSE 1 WRITE")
				}
			}
			_ = c.conn.Close()
		})
	}
	for i := range 3 {
		wait.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(100+i)))
			for range 15 {
				listenAWhile(t, addr, rnd)
			}
		})
	}
	wait.Wait()
	admin.do("CLIENT UNPAUSE")
	admin.do("CONFIG SET notify-keyspace-events \"\"")
	for strings.Count(admin.do("CLIENT LIST").Text(), "\n") != 1 && !t.Failed() { // that they went is noticed a moment later
	}
	if n := admin.do("PUBSUB NUMPAT").Int; n != 0 {
		t.Errorf("%d patterns are left", n)
	}
	info := admin.do("INFO").Text()
	for _, field := range []string{"tracking_clients", "tracking_total_prefixes", "pubsub_clients", "blocked_clients"} {
		if !strings.Contains(info, field+":0\r\n") {
			t.Errorf("%s is not 0", field)
		}
	}
}

// listenAWhile is one connection that listens in some way, reads some messages and hangs up.
func listenAWhile(t *testing.T, addr string, rnd *rand.Rand) {
	c := newCopier(t, addr, "BCAST")
	switch rnd.IntN(4) {
	case 0:
		c.do("CLIENT TRACKING OFF")
		c.do("MONITOR")
	case 1:
		c.do("CLIENT TRACKING OFF")
		c.send("PSUBSCRIBE __key*")
	case 2:
		other := newCopier(t, addr, "")
		c.do("CLIENT TRACKING OFF")
		c.do(fmt.Sprintf("CLIENT TRACKING ON REDIRECT %d", other.do("CLIENT ID").Int))
		c.do("MGET k1 k2 k3 k4")
		_ = other.conn.Close()
	}
	c.do("MGET k1 k2 k3 k4 k5")
	for range rnd.IntN(5) {
		c.send("PING")
		if _, err := c.r.Read(); err != nil {
			t.Error(err)
		}
	}
	_ = c.conn.Close()
}
