package compat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestGoRedis(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("resp%d", protocol), func(t *testing.T) {
			onAll(t, func(t *testing.T, to target) {
				for name, flow := range map[string]func(*testing.T, *redis.Client){
					"strings": goRedisStrings, "keys": goRedisKeys, "hashes": goRedisHashes, "lists": goRedisLists, "sets": goRedisSets,
					"zsets": goRedisZSets, "pipelines": goRedisPipelines, "transactions": goRedisTransactions, "pubsub": goRedisPubSub,
					"scan": goRedisScan, "errors": goRedisErrors, "concurrency": goRedisConcurrency,
				} {
					t.Run(name, func(t *testing.T) {
						c := newGoRedis(t, to, protocol)
						if err := c.FlushAll(t.Context()).Err(); err != nil {
							t.Fatal(err)
						}
						flow(t, c)
					})
				}
			})
		})
	}
}

func newGoRedis(t *testing.T, to target, protocol int) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: to.addr, Protocol: protocol, ClientName: "compat",
		Dialer: func(context.Context, string, string) (net.Conn, error) { return to.dial() },
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// want compares what a command gave, and says which command.
func want[T any](t *testing.T, cmd interface {
	Result() (T, error)
	String() string
}, want T) {
	t.Helper()
	got, err := cmd.Result()
	if err != nil && !errors.Is(err, redis.Nil) || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, %v; want %v", cmd, got, err, want)
	}
}

func goRedisStrings(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	want(t, c.Set(ctx, "k", "v", time.Hour), "OK")
	want(t, c.Get(ctx, "k"), "v")
	if ttl := c.TTL(ctx, "k").Val(); !near(ttl, time.Hour) {
		t.Errorf("TTL is %v", ttl)
	}
	if err := c.Get(ctx, "none").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of a missing key: %v", err)
	}
	want(t, c.SetNX(ctx, "k", "w", 0), false)
	want(t, c.SetArgs(ctx, "k", "w", redis.SetArgs{Mode: "XX", Get: true, KeepTTL: true}), "v")
	want(t, c.GetEx(ctx, "k", time.Minute), "w")
	want(t, c.GetDel(ctx, "k"), "w")
	want(t, c.Incr(ctx, "n"), int64(1))
	want(t, c.IncrBy(ctx, "n", 41), int64(42))
	want(t, c.IncrByFloat(ctx, "n", 0.5), 42.5)
	want(t, c.MSet(ctx, "a", 1, "b", "two"), "OK")
	want(t, c.MGet(ctx, "a", "none", "b"), []any{"1", nil, "two"})
	want(t, c.Append(ctx, "b", "!"), int64(4))
	want(t, c.GetRange(ctx, "b", 0, 2), "two")
	want(t, c.SetRange(ctx, "b", 3, "?"), int64(4))
	want(t, c.StrLen(ctx, "b"), int64(4))
	want(t, c.LCS(ctx, &redis.LCSQuery{Key1: "a", Key2: "b"}), &redis.LCSMatch{})
	big := strings.Repeat("0123456789", 200_000)
	want(t, c.Set(ctx, "big", big, 0), "OK")
	want(t, c.Get(ctx, "big"), big)
}

func goRedisKeys(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	c.MSet(ctx, "a", 1, "b", 2)
	c.RPush(ctx, "l", 1)
	want(t, c.Exists(ctx, "a", "b", "none"), int64(2))
	want(t, c.Type(ctx, "l"), "list")
	want(t, c.Rename(ctx, "a", "c"), "OK")
	want(t, c.RenameNX(ctx, "b", "c"), false)
	want(t, c.Copy(ctx, "b", "d", 0, false), int64(1))
	want(t, c.Expire(ctx, "b", time.Hour), true)
	want(t, c.ExpireGT(ctx, "b", time.Minute), false)
	want(t, c.Persist(ctx, "b"), true)
	want(t, c.TTL(ctx, "b"), time.Duration(-1))
	want(t, c.TTL(ctx, "none"), time.Duration(-2))
	at := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	want(t, c.ExpireAt(ctx, "b", at), true)
	want(t, c.ExpireTime(ctx, "b"), time.Duration(at.Unix())*time.Second)
	want(t, c.ObjectEncoding(ctx, "b"), "int")
	want(t, c.Del(ctx, "b", "none"), int64(1))
	want(t, c.Unlink(ctx, "c", "d"), int64(2))
	want(t, c.DBSize(ctx), int64(1))
	if now, err := c.Time(ctx).Result(); err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("TIME: %v, %v", now, err)
	}
	if n, err := c.MemoryUsage(ctx, "l").Result(); err != nil || n <= 0 {
		t.Errorf("MEMORY USAGE: %d, %v", n, err)
	}
}

func goRedisHashes(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	type user struct {
		Name string `redis:"name"`
		Age  int    `redis:"age"`
	}
	want(t, c.HSet(ctx, "u", user{"Ada", 36}), int64(2))
	var u user
	if err := c.HGetAll(ctx, "u").Scan(&u); err != nil || u != (user{"Ada", 36}) {
		t.Errorf("HGETALL into a struct: %v, %v", u, err)
	}
	want(t, c.HGetAll(ctx, "u"), map[string]string{"name": "Ada", "age": "36"})
	want(t, c.HGetAll(ctx, "none"), map[string]string{})
	want(t, c.HGet(ctx, "u", "name"), "Ada")
	want(t, c.HMGet(ctx, "u", "age", "none"), []any{"36", nil})
	want(t, c.HIncrBy(ctx, "u", "age", 1), int64(37))
	want(t, c.HIncrByFloat(ctx, "u", "score", 1.5), 1.5)
	want(t, c.HExists(ctx, "u", "age"), true)
	want(t, c.HSetNX(ctx, "u", "age", 1), false)
	want(t, c.HLen(ctx, "u"), int64(3))
	want(t, c.HKeys(ctx, "u"), []string{"name", "age", "score"})
	want(t, c.HVals(ctx, "u"), []string{"Ada", "37", "1.5"})
	want(t, c.HDel(ctx, "u", "age", "none"), int64(1))
	if kv, err := c.HRandFieldWithValues(ctx, "u", 5).Result(); err != nil || len(kv) != 2 {
		t.Errorf("HRANDFIELD WITHVALUES: %v, %v", kv, err)
	}
}

func goRedisLists(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	want(t, c.RPush(ctx, "l", "a", "b", "c", "b"), int64(4))
	want(t, c.LPush(ctx, "l", "z"), int64(5))
	want(t, c.LRange(ctx, "l", 0, -1), []string{"z", "a", "b", "c", "b"})
	want(t, c.LIndex(ctx, "l", -2), "c")
	want(t, c.LInsertBefore(ctx, "l", "c", "x"), int64(6))
	want(t, c.LPos(ctx, "l", "b", redis.LPosArgs{Rank: 2}), int64(5))
	want(t, c.LPosCount(ctx, "l", "b", 0, redis.LPosArgs{}), []int64{2, 5})
	want(t, c.LRem(ctx, "l", 1, "b"), int64(1))
	want(t, c.LSet(ctx, "l", 0, "Z"), "OK")
	want(t, c.LMove(ctx, "l", "m", "LEFT", "RIGHT"), "Z")
	want(t, c.LPopCount(ctx, "l", 2), []string{"a", "x"})
	want(t, c.RPop(ctx, "l"), "b")
	want(t, c.LTrim(ctx, "l", 1, 0), "OK")
	want(t, c.Exists(ctx, "l"), int64(0))
	if err := c.LPop(ctx, "l").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("LPOP of a missing key: %v", err)
	}
	if key, elems, err := c.LMPop(ctx, "left", 5, "l", "m").Result(); err != nil || key != "m" || !slices.Equal(elems, []string{"Z"}) {
		t.Errorf("LMPOP: %s %v %v", key, elems, err)
	}
}

func goRedisSets(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	want(t, c.SAdd(ctx, "s", 1, 2, 3), int64(3))
	want(t, c.SAdd(ctx, "s2", 3, 4), int64(2))
	want(t, c.SMembersMap(ctx, "s"), map[string]struct{}{"1": {}, "2": {}, "3": {}})
	want(t, c.SIsMember(ctx, "s", 2), true)
	want(t, c.SMIsMember(ctx, "s", 2, 9), []bool{true, false})
	want(t, c.SInter(ctx, "s", "s2"), []string{"3"})
	want(t, c.SInterCard(ctx, 1, "s", "s2"), int64(1))
	want(t, c.SUnionStore(ctx, "u", "s", "s2"), int64(4))
	want(t, c.SDiffStore(ctx, "d", "s", "s2"), int64(2))
	want(t, c.SMove(ctx, "s", "s2", 1), true)
	want(t, c.SRem(ctx, "s", 2, 9), int64(1))
	want(t, c.SCard(ctx, "s"), int64(1))
	want(t, c.SPop(ctx, "s"), "3")
	if got := c.SRandMemberN(ctx, "s2", -5).Val(); len(got) != 5 {
		t.Errorf("SRANDMEMBER -5: %v", got)
	}
}

func goRedisZSets(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	want(t, c.ZAdd(ctx, "z", redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 2.5, Member: "b"}, redis.Z{Score: 3, Member: "c"}), int64(3))
	want(t, c.ZAddArgs(ctx, "z", redis.ZAddArgs{GT: true, Ch: true, Members: []redis.Z{{Score: 0, Member: "a"}, {Score: 9, Member: "c"}}}), int64(1))
	want(t, c.ZIncrBy(ctx, "z", 0.5, "b"), 3.0)
	want(t, c.ZScore(ctx, "z", "b"), 3.0)
	want(t, c.ZMScore(ctx, "z", "a", "none"), []float64{1, 0})
	want(t, c.ZRank(ctx, "z", "c"), int64(2))
	want(t, c.ZRangeWithScores(ctx, "z", 0, 1), []redis.Z{{Score: 1, Member: "a"}, {Score: 3, Member: "b"}})
	want(t, c.ZRangeArgs(ctx, redis.ZRangeArgs{Key: "z", Start: "(9", Stop: "-inf", ByScore: true, Rev: true}), []string{"b", "a"})
	want(t, c.ZRangeByScore(ctx, "z", &redis.ZRangeBy{Min: "(1", Max: "+inf", Count: 1}), []string{"b"})
	want(t, c.ZCount(ctx, "z", "-inf", "(9"), int64(2))
	want(t, c.ZUnionStore(ctx, "u", &redis.ZStore{Keys: []string{"z", "z"}, Weights: []float64{1, 2}}), int64(3))
	want(t, c.ZInterWithScores(ctx, &redis.ZStore{Keys: []string{"z", "u"}, Aggregate: "MAX"}),
		[]redis.Z{{Score: 3, Member: "a"}, {Score: 9, Member: "b"}, {Score: 27, Member: "c"}})
	want(t, c.ZPopMin(ctx, "z"), []redis.Z{{Score: 1, Member: "a"}})
	want(t, c.ZRem(ctx, "z", "b", "none"), int64(1))
	want(t, c.ZCard(ctx, "z"), int64(1))
	if key, zs, err := c.ZMPop(ctx, "max", 1, "none", "u").Result(); err != nil || key != "u" || len(zs) != 1 || zs[0].Score != 27 {
		t.Errorf("ZMPOP: %s %v %v", key, zs, err)
	}
}

func goRedisPipelines(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	const n = 1000
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(ctx, fmt.Sprintf("k%d", i), i, 0)
			p.Get(ctx, fmt.Sprintf("k%d", i))
		}
		return nil
	})
	if err != nil || len(cmds) != 2*n {
		t.Fatalf("%d replies, %v", len(cmds), err)
	}
	for i := range n {
		want(t, cmds[2*i+1].(*redis.StringCmd), fmt.Sprint(i))
	}
}

func goRedisTransactions(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	var n *redis.IntCmd
	_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "n", 41, 0)
		n = p.Incr(ctx, "n")
		return nil
	})
	if err != nil || n.Val() != 42 {
		t.Fatalf("MULTI: %v, %v", n, err)
	}
	change := func(disturb bool) error {
		return c.Watch(ctx, func(tx *redis.Tx) error {
			old, err := tx.Get(ctx, "n").Int()
			if err != nil {
				return err
			}
			if disturb {
				c.Set(ctx, "n", 7, 0)
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "n", old+1, 0).Err() })
			return err
		}, "n")
	}
	if err := change(true); !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("WATCH did not notice: %v", err)
	}
	if err := change(false); err != nil {
		t.Errorf("WATCH: %v", err)
	}
	want(t, c.Get(ctx, "n"), "8")
}

func goRedisPubSub(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	sub := c.Subscribe(ctx, "news")
	defer func() { _ = sub.Close() }()
	if err := sub.PSubscribe(ctx, "w*"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // both are confirmed
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want(t, c.Publish(ctx, "news", "hello"), int64(1))
	want(t, c.Publish(ctx, "weather", "rain"), int64(1))
	want(t, c.Publish(ctx, "nobody", "x"), int64(0))
	ch := sub.Channel()
	if m := receive(t, ch); m.Channel != "news" || m.Payload != "hello" {
		t.Errorf("%v", m)
	}
	if m := receive(t, ch); m.Channel != "weather" || m.Pattern != "w*" || m.Payload != "rain" {
		t.Errorf("%v", m)
	}
	want(t, c.PubSubNumSub(ctx, "news"), map[string]int64{"news": 1})
	want(t, c.PubSubChannels(ctx, "*"), []string{"news"})
}

func goRedisScan(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	for i := range 1000 {
		c.Set(ctx, fmt.Sprintf("k%d", i), i, 0)
		c.HSet(ctx, "h", fmt.Sprintf("f%d", i), i)
		c.SAdd(ctx, "s", fmt.Sprintf("m%d", i))
		c.ZAdd(ctx, "z", redis.Z{Score: float64(i), Member: fmt.Sprintf("m%d", i)})
	}
	for name, scan := range map[string]struct {
		it   *redis.ScanIterator
		want int
	}{
		"SCAN":      {c.Scan(ctx, 0, "k*", 50).Iterator(), 1000},
		"SCAN TYPE": {c.ScanType(ctx, 0, "", 50, "hash").Iterator(), 1},
		"HSCAN":     {c.HScan(ctx, "h", 0, "f*", 50).Iterator(), 2000},
		"SSCAN":     {c.SScan(ctx, "s", 0, "", 50).Iterator(), 1000},
		"ZSCAN":     {c.ZScan(ctx, "z", 0, "", 50).Iterator(), 2000},
	} {
		seen := map[string]bool{}
		n := 0
		for scan.it.Next(ctx) {
			n++
			seen[scan.it.Val()] = true
		}
		if err := scan.it.Err(); err != nil || n < scan.want || len(seen) < scan.want/2 {
			t.Errorf("%s gave %d, %d of them different, %v; want %d", name, n, len(seen), err, scan.want)
		}
	}
}

func goRedisErrors(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	c.RPush(ctx, "l", 1)
	for _, e := range []struct {
		err  error
		want string
	}{
		{c.Get(ctx, "l").Err(), "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{c.Do(ctx, "nosuch", "x").Err(), "ERR unknown command 'nosuch', with args beginning with: 'x' "},
		{c.Do(ctx, "get").Err(), "ERR wrong number of arguments for 'get' command"},
		{c.Do(ctx, "incrby", "n", "x").Err(), "ERR value is not an integer or out of range"},
	} {
		if e.err == nil || e.err.Error() != e.want {
			t.Errorf("got %v, want %s", e.err, e.want)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Get(ctx, "x").Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func goRedisConcurrency(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	var wg sync.WaitGroup
	const goroutines, each = 20, 200
	for range goroutines {
		wg.Go(func() {
			for range each {
				if err := c.Incr(ctx, "n").Err(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	want(t, c.Get(ctx, "n"), fmt.Sprint(goroutines*each))
}
