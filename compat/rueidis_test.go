package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

func TestRueidis(t *testing.T) {
	for _, resp2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "resp3", true: "resp2"}[resp2], func(t *testing.T) {
			onAll(t, func(t *testing.T, to target) {
				for name, flow := range map[string]func(*testing.T, rueidis.Client){
					"types": rueidisTypes, "many": rueidisMany, "transactions": rueidisTransactions, "pubsub": rueidisPubSub,
					"scan": rueidisScan, "errors": rueidisErrors, "concurrency": rueidisConcurrency,
				} {
					t.Run(name, func(t *testing.T) {
						c, err := rueidis.NewClient(rueidis.ClientOption{
							InitAddress: []string{to.addr}, AlwaysRESP2: resp2, ClientName: "compat", ForceSingleClient: true,
							DisableCache: resp2, // which has no messages out of turn
							DialCtxFn:    func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) { return to.dial() },
						})
						if err != nil {
							t.Fatal(err)
						}
						defer c.Close()
						if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
							t.Fatal(err)
						}
						flow(t, c)
					})
				}
			})
		})
	}
}

func rueidisTypes(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	b := c.B
	for _, cmd := range []rueidis.Completed{
		b().Set().Key("k").Value("v").ExSeconds(3600).Build(),
		b().Hset().Key("h").FieldValue().FieldValue("a", "1").FieldValue("b", "2").Build(),
		b().Rpush().Key("l").Element("x", "y", "z").Build(),
		b().Sadd().Key("s").Member("m", "n").Build(),
		b().Zadd().Key("z").ScoreMember().ScoreMember(1.5, "a").ScoreMember(2, "b").Build(),
	} {
		if err := c.Do(ctx, cmd).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Do(ctx, b().Get().Key("k").Build()).ToString(); got != "v" || err != nil {
		t.Errorf("GET: %q, %v", got, err)
	}
	if _, err := c.Do(ctx, b().Get().Key("none").Build()).ToString(); !rueidis.IsRedisNil(err) {
		t.Errorf("GET of a missing key: %v", err)
	}
	if ttl, err := c.Do(ctx, b().Ttl().Key("k").Build()).AsInt64(); !near(time.Duration(ttl)*time.Second, time.Hour) || err != nil {
		t.Errorf("TTL: %d, %v", ttl, err)
	}
	if got, err := c.Do(ctx, b().Hgetall().Key("h").Build()).AsStrMap(); len(got) != 2 || got["b"] != "2" || err != nil {
		t.Errorf("HGETALL: %v, %v", got, err)
	}
	if got, err := c.Do(ctx, b().Lrange().Key("l").Start(0).Stop(-1).Build()).AsStrSlice(); !slices.Equal(got, []string{"x", "y", "z"}) || err != nil {
		t.Errorf("LRANGE: %v, %v", got, err)
	}
	if got, err := c.Do(ctx, b().Sismember().Key("s").Member("m").Build()).AsBool(); !got || err != nil {
		t.Errorf("SISMEMBER: %v, %v", got, err)
	}
	scores, err := c.Do(ctx, b().Zrange().Key("z").Min("0").Max("-1").Withscores().Build()).AsZScores()
	if !slices.Equal(scores, []rueidis.ZScore{{Member: "a", Score: 1.5}, {Member: "b", Score: 2}}) || err != nil {
		t.Errorf("ZRANGE WITHSCORES: %v, %v", scores, err)
	}
	if got, err := c.Do(ctx, b().Zscore().Key("z").Member("a").Build()).AsFloat64(); got != 1.5 || err != nil {
		t.Errorf("ZSCORE: %v, %v", got, err)
	}
	popped, err := c.Do(ctx, b().Lmpop().Numkeys(2).Key("none", "l").Left().Count(2).Build()).AsLMPop()
	if popped.Key != "l" || !slices.Equal(popped.Values, []string{"x", "y"}) || err != nil {
		t.Errorf("LMPOP: %v %v", popped, err)
	}
}

func rueidisMany(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	const n = 1000
	var cmds rueidis.Commands
	for i := range n {
		cmds = append(cmds, c.B().Set().Key(fmt.Sprintf("k%d", i)).Value(fmt.Sprint(i)).Build())
	}
	for i := range n {
		cmds = append(cmds, c.B().Get().Key(fmt.Sprintf("k%d", i)).Build())
	}
	replies := c.DoMulti(ctx, cmds...)
	for i := range n {
		if got, err := replies[n+i].ToString(); got != fmt.Sprint(i) || err != nil {
			t.Fatalf("GET k%d: %q, %v", i, got, err)
		}
	}
}

func rueidisTransactions(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	err := c.Dedicated(func(d rueidis.DedicatedClient) error {
		for _, disturb := range []bool{true, false} {
			if err := d.Do(ctx, d.B().Watch().Key("n").Build()).Error(); err != nil {
				return err
			}
			if disturb {
				if err := c.Do(ctx, c.B().Set().Key("n").Value("7").Build()).Error(); err != nil {
					return err
				}
			}
			replies := d.DoMulti(ctx, d.B().Multi().Build(), d.B().Incr().Key("n").Build(), d.B().Exec().Build())
			results, err := replies[2].ToArray()
			switch {
			case disturb && !rueidis.IsRedisNil(err):
				return fmt.Errorf("WATCH did not notice: %v, %w", results, err)
			case !disturb && err != nil:
				return err
			case !disturb:
				if got, err := results[0].AsInt64(); got != 8 || err != nil {
					return fmt.Errorf("INCR in EXEC: %d, %w", got, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func rueidisPubSub(t *testing.T, c rueidis.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	got := make(chan rueidis.PubSubMessage, 10)
	confirmed := make(chan rueidis.PubSubSubscription, 10)
	ended := make(chan error, 1)
	subscribed := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) { confirmed <- s })
	go func() {
		ended <- c.Receive(subscribed, c.B().Psubscribe().Pattern("n*").Build(), func(m rueidis.PubSubMessage) { got <- m })
	}()
	receive(t, confirmed)
	if n, err := c.Do(ctx, c.B().Publish().Channel("news").Message("hello").Build()).AsInt64(); n != 1 || err != nil {
		t.Errorf("PUBLISH: %d, %v", n, err)
	}
	if m := receive(t, got); m.Channel != "news" || m.Pattern != "n*" || m.Message != "hello" {
		t.Errorf("%v", m)
	}
	if err := c.Do(ctx, c.B().Punsubscribe().Pattern("n*").Build()).Error(); err != nil {
		t.Errorf("PUNSUBSCRIBE: %v", err)
	}
	if err := receive(t, ended); err != nil {
		t.Errorf("Receive ended with %v", err)
	}
}

func rueidisScan(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	var cmds rueidis.Commands
	for i := range 1000 {
		cmds = append(cmds, c.B().Set().Key(fmt.Sprintf("k%d", i)).Value("v").Build())
	}
	c.DoMulti(ctx, cmds...)
	seen := map[string]bool{}
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		page, err := c.Do(ctx, c.B().Scan().Cursor(cursor).Match("k*").Count(37).Build()).AsScanEntry()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Elements {
			seen[k] = true
		}
		cursor = page.Cursor
	}
	if len(seen) != 1000 {
		t.Errorf("SCAN saw %d of 1000", len(seen))
	}
}

func rueidisErrors(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	if err := c.Do(ctx, c.B().Rpush().Key("l").Element("x").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	err := c.Do(ctx, c.B().Get().Key("l").Build()).Error()
	var re *rueidis.RedisError
	if !errors.As(err, &re) || re.Error() != "WRONGTYPE Operation against a key holding the wrong kind of value" {
		t.Errorf("wrong type: %v", err)
	}
	// rueidis takes the ERR away.
	err = c.Do(ctx, c.B().Arbitrary("nosuch").Args("x").Build()).Error()
	if err == nil || err.Error() != "unknown command 'nosuch', with args beginning with: 'x' " {
		t.Errorf("unknown command: %v", err)
	}
}

func rueidisConcurrency(t *testing.T, c rueidis.Client) {
	ctx := t.Context()
	var wg sync.WaitGroup
	const goroutines, each = 50, 200
	for range goroutines {
		wg.Go(func() {
			for range each {
				if err := c.Do(ctx, c.B().Incr().Key("n").Build()).Error(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, err := c.Do(ctx, c.B().Get().Key("n").Build()).AsInt64(); got != goroutines*each || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}
