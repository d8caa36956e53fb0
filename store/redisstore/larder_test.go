package redisstore_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/object"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// TestPatternsOnALarderServer runs the patterns over the wire: the server runs the Go bodies of their scripts by SHA.
func TestPatternsOnALarderServer(t *testing.T) {
	leaktest.Check(t)
	db, err := larder.Open(larder.Options{Scripts: append(ratelimit.Scripts(), object.Scripts()...)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dial := func(context.Context, string) (net.Conn, error) { return db.Dial() }
	for _, query := range []string{"", "?protocol=2"} {
		st := open(t, "redis://larder.test"+query, redisstore.Options{Dial: dial})
		ctx := t.Context()
		if err := st.Do(ctx, "FLUSHALL").Err(); err != nil {
			t.Fatal(err)
		}
		l, err := ratelimit.New(st, ratelimit.Options{Limit: 2, Window: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, true, false} {
			if res, err := l.Allow(ctx, "a"); err != nil || res.Allowed != want {
				t.Errorf("request %d: %+v, %v", i, res, err)
			}
		}
		type user struct{ Name, Plan string }
		users, err := object.New[user](st, object.Options{Prefix: "user:", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := users.Save(ctx, "7", &user{"Ada", "free"}); err != nil {
			t.Error(err)
		}
		if ok, err := users.SaveFields(ctx, "7", &user{Plan: "pro"}, "Plan"); !ok || err != nil {
			t.Errorf("SaveFields: %v, %v", ok, err)
		}
		if u, ok, err := users.Load(ctx, "7"); !ok || err != nil || u != (user{"Ada", "pro"}) {
			t.Errorf("Load: %+v, %v, %v", u, ok, err)
		}
		c, err := cache.New[user](st, cache.Options{Prefix: "cache:", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.GetOrLoadMany(ctx, []string{"x", "y"}, func(_ context.Context, missing []string) (map[string]user, error) {
			return map[string]user{"x": {Name: "x"}}, nil
		})
		if err != nil || len(found) != 1 {
			t.Errorf("GetOrLoadMany: %+v, %v", found, err)
		}
		got, ready, messages := make(chan error, 1), make(chan bool, 1), make(chan store.Message, 1)
		subscribed, cancel := context.WithCancel(ctx)
		go func() {
			got <- st.Subscribe(subscribed, store.Subscription{
				Channels: []string{"c"}, OnMessage: func(m store.Message) { messages <- m }, OnReady: func(r bool) { ready <- r },
			})
		}()
		<-ready
		if err := st.Do(ctx, "PUBLISH", "c", "hello").Err(); err != nil {
			t.Error(err)
		}
		if m := <-messages; m.Payload != "hello" {
			t.Errorf("message: %+v", m)
		}
		cancel()
		<-got
		st.Close()
	}
}
