package kvstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// An error within an array is text that is not in base64. It is an error there, and harms nobody whose commands went along.
func TestErrorsWithinArrays(t *testing.T) {
	_, st := served(t, kvstore.Options{})
	replies := st.Pipe(t.Context(),
		store.Cmd{"SET", "a", "1"},
		store.Cmd{"EVAL", "return {1, redis.pcall('LPUSH', 'a', 'x'), 'two'}", "0"},
		store.Cmd{"GET", "a"})
	list, err := replies[1].Array()
	if err != nil || len(list) != 3 {
		t.Fatalf("%v %v", list, err)
	}
	if err := list[1].Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE ") {
		t.Error(err)
	}
	if two, err := list[2].Text(); two != "two" {
		t.Error(two, err)
	}
	if a, err := replies[2].Text(); a != "1" {
		t.Error(a, err)
	}
}

// Names may be empty, and hold whatever a URL is made of.
func TestOddChannels(t *testing.T) {
	for _, names := range [][]string{{""}, {"a", ""}, {"", "a"}, {"/", "..", "?x=y", "#", "%2F", "a,b", "\xff\x00\n"}} {
		db, st := served(t, kvstore.Options{})
		ready, got := make(chan bool, 1), make(chan store.Message, len(names))
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Second)
		ended := make(chan error, 1)
		go func() {
			ended <- st.Subscribe(ctx, store.Subscription{Channels: names, OnReady: func(bool) { ready <- true }, OnMessage: func(m store.Message) { got <- m }})
		}()
		for _, name := range names {
			select {
			case <-ready:
				ready <- true
			case <-ctx.Done():
				t.Fatalf("%q are not confirmed", names)
			}
			if err := db.Do(ctx, "PUBLISH", name, "x"+name).Err(); err != nil {
				t.Fatal(err)
			}
			select {
			case m := <-got:
				if m.Channel != name || m.Payload != "x"+name {
					t.Errorf("%q: %+v", name, m)
				}
			case <-ctx.Done():
				t.Fatalf("nothing came to %q", name)
			}
		}
		leave()
		<-ended
	}
}

// Scripts and JSON nest arrays deeper than people do.
func TestDeepArrays(t *testing.T) {
	db, st := served(t, kvstore.Options{})
	const deep = "local t = {} for i = 1, 150 do t = {t} end return t"
	if err := db.Do(t.Context(), "EVAL", deep, "0").Err(); err != nil {
		t.Skip(err)
	}
	r := st.Do(t.Context(), "EVAL", deep, "0")
	for range 150 {
		list, err := r.Array()
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		r = list[0]
	}
	if list, err := r.Array(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}
