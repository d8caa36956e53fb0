package larder_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// waitFor waits until so many commands block.
func waitFor(t *testing.T, db *larder.DB, n int) {
	t.Helper()
	want := fmt.Sprintf("\nblocked_clients:%d\r", n)
	eventually(t, want, func() bool { return strings.Contains(info(t, db, "clients"), want) })
}

// Elements go through two queues, taken by blocking moves whose keys are in different shards, and each arrives once.
func TestBlockedConsumersShareTheElements(t *testing.T) {
	const producers, perProducer, workers = 4, 200, 4
	ctx := t.Context()
	db := open(t, larder.Options{})
	var wg sync.WaitGroup
	got := make(chan string, producers*perProducer)
	stop, cancel := context.WithCancel(ctx)
	for w := range workers {
		wg.Go(func() { // from in to one of several middle queues
			for {
				r := db.Do(stop, "BLMOVE", "in", "middle:"+strconv.Itoa(w%3), "LEFT", "RIGHT", "0")
				if r.Err() != nil {
					return
				}
			}
		})
		wg.Go(func() {
			for {
				r := db.Do(stop, "BLPOP", "middle:0", "middle:1", "middle:2", "0")
				if r.Err() != nil {
					return
				}
				pair, err := r.Strings()
				if err != nil {
					t.Error(err)
					return
				}
				got <- pair[1]
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			for i := range perProducer {
				if err := db.Do(ctx, "RPUSH", "in", fmt.Sprintf("%d:%d", p, i)).Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := make(map[string]bool)
	for range producers * perProducer {
		select {
		case e := <-got:
			if seen[e] {
				t.Errorf("%s came twice", e)
			}
			seen[e] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("only %d of %d came", len(seen), producers*perProducer)
		}
	}
	cancel()
	wg.Wait()
	if n, err := db.Do(ctx, "DBSIZE").Int64(); n != 0 || err != nil {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

func TestBlockedCallEndsWithItsContext(t *testing.T) {
	db := open(t, larder.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- db.Do(ctx, "BLPOP", "k", "0").Err() }()
	waitFor(t, db, 1)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	waitFor(t, db, 0)
	if n, err := db.Do(t.Context(), "RPUSH", "k", "v").Int64(); n != 1 || err != nil {
		t.Error("nobody waits any more, but the element is gone:", n, err)
	}
}

func TestBlockedCallEndsWithTheStore(t *testing.T) {
	db := open(t, larder.Options{})
	ended := make(chan error)
	go func() { ended <- db.Do(t.Context(), "BLPOP", "k", "0").Err() }()
	waitFor(t, db, 1)
	_ = db.Close()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

func TestBlockedCallTimesOut(t *testing.T) {
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	db := open(t, larder.Options{Clock: fake})
	ended := make(chan store.Reply)
	go func() { ended <- db.Do(t.Context(), "BLPOP", "k", "7.5") }()
	waitFor(t, db, 1)
	fake.Advance(7499 * time.Millisecond)
	select {
	case r := <-ended:
		t.Fatal("too early:", r)
	default:
	}
	fake.Advance(time.Millisecond)
	if r := <-ended; !r.IsNil() {
		t.Error(r)
	}
}

func TestBlockingCommandsInAPipe(t *testing.T) {
	db := open(t, larder.Options{})
	ended := make(chan []store.Reply)
	go func() {
		ended <- db.Pipe(t.Context(), store.Cmd{"SET", "a", "1"}, store.Cmd{"BLPOP", "k", "0"}, store.Cmd{"GET", "a"})
	}()
	waitFor(t, db, 1)
	db.Do(t.Context(), "SET", "a", "2")
	db.Do(t.Context(), "RPUSH", "k", "v")
	r := <-ended
	if pair, err := r[1].Strings(); err != nil || pair[1] != "v" {
		t.Error(pair, err)
	}
	if s, err := r[2].Text(); s != "2" || err != nil {
		t.Error(s, err)
	}
}
