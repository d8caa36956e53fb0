package compat

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// caching is a client that keeps copies, and what it has been told to forget: nil stands for everything.
type caching struct {
	rueidis.Client
	forgets chan []string
}

func newCaching(t *testing.T, to target, tracking ...string) caching {
	t.Helper()
	c := caching{forgets: make(chan []string, 1000)}
	var err error
	c.Client, err = rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{to.addr}, ForceSingleClient: true, ClientTrackingOptions: tracking,
		PipelineMultiplex: -1, // one connection, so that one message is one message
		DialCtxFn:         func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) { return to.dial() },
		OnInvalidations: func(keys []rueidis.RedisMessage) {
			var names []string
			for _, k := range keys {
				name, _ := k.ToString()
				names = append(names, name)
			}
			c.forgets <- names
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// get reads a key through the cache.
func (c caching) get(t *testing.T, key, want string, hit bool) rueidis.RedisResult {
	t.Helper()
	r := c.DoCache(t.Context(), c.B().Get().Key(key).Cache(), time.Minute)
	if got, err := r.ToString(); got != want || err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%s: %q, %v, want %q", key, got, err, want)
	}
	if r.IsCacheHit() != hit {
		t.Fatalf("%s: hit is %v, want %v", key, r.IsCacheHit(), hit)
	}
	return r
}

func (c caching) waitForget(t *testing.T, keys ...string) {
	t.Helper()
	select {
	case got := <-c.forgets:
		if !slices.Equal(got, keys) {
			t.Fatalf("told to forget %q, want %q", got, keys)
		}
	case <-time.After(wait):
		t.Fatalf("not told to forget %q", keys)
	}
}

func (c caching) set(t *testing.T, key, value string) {
	t.Helper()
	if err := c.Do(t.Context(), c.B().Set().Key(key).Value(value).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func (c caching) flush(t *testing.T) {
	t.Helper()
	if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func TestRueidisCache(t *testing.T) {
	onAll(t, func(t *testing.T, to target) {
		t.Run("hits until somebody else writes", func(t *testing.T) {
			other := newCaching(t, to)
			other.flush(t)
			c := newCaching(t, to)
			c.get(t, "k", "", false)
			c.get(t, "k", "", true) // that there is nothing is kept, too
			other.set(t, "k", "1")
			c.waitForget(t, "k")
			c.get(t, "k", "1", false)
			c.get(t, "k", "1", true)
			c.set(t, "k", "2") // its own write
			c.waitForget(t, "k")
			c.get(t, "k", "2", false)
			other.set(t, "unread", "1")
			other.flush(t)
			c.waitForget(t)
			c.get(t, "k", "", false)
		})
		t.Run("a copy lives no longer than its key", func(t *testing.T) {
			c := newCaching(t, to)
			c.flush(t)
			if err := c.Do(t.Context(), c.B().Set().Key("k").Value("v").PxMilliseconds(200).Build()).Error(); err != nil {
				t.Fatal(err)
			}
			c.get(t, "k", "v", false)
			if ttl := c.get(t, "k", "v", true).CachePTTL(); ttl <= 0 || ttl > 200 {
				t.Errorf("the copy lives for %d ms, the key for at most 200", ttl)
			}
			c.waitForget(t) // of FLUSHALL, which came before it read anything
			c.waitForget(t, "k")
			c.get(t, "k", "", false)
		})
		t.Run("several at once", func(t *testing.T) {
			other := newCaching(t, to)
			other.flush(t)
			for _, k := range []string{"a", "b", "c"} {
				other.set(t, k, k)
			}
			c := newCaching(t, to)
			read := func(hits ...bool) {
				t.Helper()
				var commands []rueidis.CacheableTTL
				for _, k := range []string{"a", "b", "c"} {
					commands = append(commands, rueidis.CT(c.B().Get().Key(k).Cache(), time.Minute))
				}
				for i, r := range c.DoMultiCache(t.Context(), commands...) {
					if got, err := r.ToString(); got == "" || err != nil || r.IsCacheHit() != hits[i] {
						t.Fatalf("%d: %q, %v, hit %v", i, got, err, r.IsCacheHit())
					}
				}
			}
			read(false, false, false)
			read(true, true, true)
			other.set(t, "b", "new")
			c.waitForget(t, "b")
			read(true, false, true)
		})
		t.Run("by prefix", func(t *testing.T) {
			other := newCaching(t, to)
			other.flush(t)
			c := newCaching(t, to, "PREFIX", "a:", "PREFIX", "b:", "BCAST")
			c.get(t, "a:1", "", false)
			c.get(t, "a:1", "", true)
			other.set(t, "c:1", "1")
			other.set(t, "b:1", "1")
			c.waitForget(t, "b:1")
			other.set(t, "a:1", "1")
			c.waitForget(t, "a:1")
			c.get(t, "a:1", "1", false)
		})
	})
}
