package compat

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/gomodule/redigo/redis"
)

func TestRedigo(t *testing.T) {
	onAll(t, func(t *testing.T, to target) {
		pool := &redis.Pool{Dial: func() (redis.Conn, error) {
			conn, err := to.dial()
			if err != nil {
				return nil, err
			}
			return redis.NewConn(conn, wait, wait), nil
		}}
		defer func() { _ = pool.Close() }()
		for name, flow := range map[string]func(*testing.T, *redis.Pool){
			"types": redigoTypes, "pipelines": redigoPipelines, "transactions": redigoTransactions, "pubsub": redigoPubSub,
			"scan": redigoScan, "errors": redigoErrors,
		} {
			t.Run(name, func(t *testing.T) {
				c := pool.Get()
				defer func() { _ = c.Close() }()
				if _, err := c.Do("FLUSHALL"); err != nil {
					t.Fatal(err)
				}
				flow(t, pool)
			})
		}
	})
}

func redigoTypes(t *testing.T, pool *redis.Pool) {
	c := pool.Get()
	defer func() { _ = c.Close() }()
	for _, step := range []struct {
		command string
		args    redis.Args
		want    any
	}{
		{"SET", redis.Args{"k", "v", "EX", 3600}, "OK"},
		{"GET", redis.Args{"k"}, []byte("v")},
		{"GET", redis.Args{"none"}, nil},
		{"INCR", redis.Args{"n"}, int64(1)},
		{"MGET", redis.Args{"k", "none"}, []any{[]byte("v"), nil}},
		{"HSET", redis.Args{"h", "a", 1, "b", 2}, int64(2)},
		{"HGETALL", redis.Args{"h"}, []any{[]byte("a"), []byte("1"), []byte("b"), []byte("2")}},
		{"RPUSH", redis.Args{"l", "x", "y"}, int64(2)},
		{"LRANGE", redis.Args{"l", 0, -1}, []any{[]byte("x"), []byte("y")}},
		{"LPOP", redis.Args{"none"}, nil},
		{"SADD", redis.Args{"s", 3, 1, 2}, int64(3)},
		{"SMEMBERS", redis.Args{"s"}, []any{[]byte("1"), []byte("2"), []byte("3")}},
		{"ZADD", redis.Args{"z", 1.5, "a", 2, "b"}, int64(2)},
		{"ZRANGE", redis.Args{"z", 0, -1, "WITHSCORES"}, []any{[]byte("a"), []byte("1.5"), []byte("b"), []byte("2")}},
		{"ZSCORE", redis.Args{"z", "a"}, []byte("1.5")},
		{"EXISTS", redis.Args{"k", "h", "none"}, int64(2)},
		{"DEL", redis.Args{"k", "h"}, int64(2)},
		{"TTL", redis.Args{"l"}, int64(-1)},
	} {
		if got, err := c.Do(step.command, step.args...); err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s %v: got %q, %v; want %q", step.command, step.args, got, err, step.want)
		}
	}
}

func redigoPipelines(t *testing.T, pool *redis.Pool) {
	c := pool.Get()
	defer func() { _ = c.Close() }()
	const n = 500
	for i := range n {
		if err := c.Send("SET", fmt.Sprintf("k%d", i), i); err != nil {
			t.Fatal(err)
		}
		if err := c.Send("GET", fmt.Sprintf("k%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := c.Receive(); err != nil {
			t.Fatal(err)
		}
		if got, err := redis.Int(c.Receive()); got != i || err != nil {
			t.Fatalf("GET k%d: %d, %v", i, got, err)
		}
	}
}

func redigoTransactions(t *testing.T, pool *redis.Pool) {
	c, other := pool.Get(), pool.Get()
	defer func() { _, _ = c.Close(), other.Close() }()
	for _, disturb := range []bool{true, false} {
		if _, err := c.Do("WATCH", "n"); err != nil {
			t.Fatal(err)
		}
		if disturb {
			if _, err := other.Do("SET", "n", 7); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Send("MULTI")
		_ = c.Send("INCR", "n")
		got, err := c.Do("EXEC")
		if err != nil || disturb && got != nil || !disturb && !reflect.DeepEqual(got, []any{int64(8)}) {
			t.Errorf("EXEC, disturbed %t: %v, %v", disturb, got, err)
		}
	}
}

func redigoPubSub(t *testing.T, pool *redis.Pool) {
	sub := redis.PubSubConn{Conn: pool.Get()}
	defer func() { _ = sub.Close() }()
	if err := sub.Subscribe("news", "more"); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"news", "more"} {
		if s, ok := sub.ReceiveWithTimeout(wait).(redis.Subscription); !ok || s.Channel != name || s.Count != i+1 {
			t.Fatalf("confirmation %d: %v", i, s)
		}
	}
	c := pool.Get()
	defer func() { _ = c.Close() }()
	if n, err := redis.Int(c.Do("PUBLISH", "news", "hello")); n != 1 || err != nil {
		t.Errorf("PUBLISH: %d, %v", n, err)
	}
	if m, ok := sub.ReceiveWithTimeout(wait).(redis.Message); !ok || m.Channel != "news" || string(m.Data) != "hello" {
		t.Errorf("message: %v", m)
	}
	if err := sub.Ping("x"); err != nil {
		t.Fatal(err)
	}
	if p, ok := sub.ReceiveWithTimeout(wait).(redis.Pong); !ok || p.Data != "x" {
		t.Errorf("pong: %v", p)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	for left := 1; left >= 0; left-- {
		if s, ok := sub.ReceiveWithTimeout(wait).(redis.Subscription); !ok || s.Kind != "unsubscribe" || s.Count != left {
			t.Errorf("unsubscribe: %v", s)
		}
	}
}

func redigoScan(t *testing.T, pool *redis.Pool) {
	c := pool.Get()
	defer func() { _ = c.Close() }()
	for i := range 300 {
		if _, err := c.Do("SADD", "s", fmt.Sprintf("m%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for cursor, first := 0, true; first || cursor != 0; first = false {
		page, err := redis.Values(c.Do("SSCAN", "s", cursor, "COUNT", 20))
		if err != nil {
			t.Fatal(err)
		}
		var members []string
		if _, err := redis.Scan(page, &cursor, &members); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, members...)
	}
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 300 {
		t.Errorf("SSCAN saw %d of 300", n)
	}
}

func redigoErrors(t *testing.T, pool *redis.Pool) {
	c := pool.Get()
	defer func() { _ = c.Close() }()
	if _, err := c.Do("RPUSH", "l", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do("GET", "l"); err != redis.Error("WRONGTYPE Operation against a key holding the wrong kind of value") {
		t.Errorf("wrong type: %v", err)
	}
	if _, err := c.Do("GET"); err != redis.Error("ERR wrong number of arguments for 'get' command") {
		t.Errorf("arity: %v", err)
	}
	if got, err := redis.String(c.Do("PING")); got != "PONG" || err != nil {
		t.Errorf("the connection is of no more use: %v", err)
	}
}
