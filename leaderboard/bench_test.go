package leaderboard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/leaderboard"
)

// filled is a board of n members on an embedded store.
func filled(tb testing.TB, n int, o leaderboard.Options) (*larder.DB, *leaderboard.Board) {
	tb.Helper()
	db, err := larder.Open(larder.Options{})
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	o.TTL = leaderboard.NoTTL
	b := board(tb, db, o)
	for i := 0; i < n; {
		var batch leaderboard.Batch
		for range min(leaderboard.MaxBatch, n-i) {
			batch.Set(b, name(i), rand.Int64N(1e9))
			i++
		}
		if _, err := batch.Run(context.Background()); err != nil {
			tb.Fatal(err)
		}
	}
	return db, b
}

func name(i int) string { return "player:" + strconv.Itoa(i) }

// operations are what a game does, by name.
func operations(b *leaderboard.Board, n int) map[string]func() error {
	ctx := context.Background()
	some := func() string { return name(rand.IntN(n)) }
	return map[string]func() error{
		"add":    func() error { _, err := b.Add(ctx, some(), 1); return err },
		"best":   func() error { _, err := b.Best(ctx, some(), rand.Int64N(1e9)); return err },
		"top10":  func() error { _, err := b.Top(ctx, 10); return err },
		"around": func() error { _, err := b.Around(ctx, some(), 5); return err },
		"rank":   func() error { _, _, err := b.Rank(ctx, some()); return err },
		"among10": func() error {
			_, err := b.Among(ctx, some(), some(), some(), some(), some(), some(), some(), some(), some(), some())
			return err
		},
		"page": func() error { _, _, err := b.Page(ctx, rand.IntN(n), 10); return err },
	}
}

func BenchmarkBoard(b *testing.B) {
	const n = 100_000
	for kind, o := range map[string]leaderboard.Options{"first": {}, "by member": {Ties: leaderboard.ByMember}, "dense": {Ranking: leaderboard.Dense}} {
		_, board := filled(b, n, o)
		for op, do := range operations(board, n) {
			b.Run(kind+"/"+op, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestBig fills a board with LARDER_BIG members (10000000, say) and reports memory and times.
func TestBig(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("LARDER_BIG"))
	if err != nil || n < 1 {
		t.Skip("LARDER_BIG is not set: the number of members, such as 10000000")
	}
	for _, kind := range []struct {
		name string
		o    leaderboard.Options
	}{{"first to reach", leaderboard.Options{}}, {"by member", leaderboard.Options{Ties: leaderboard.ByMember}}, {"dense", leaderboard.Options{Ranking: leaderboard.Dense}}} {
		t.Run(kind.name, func(t *testing.T) {
			start := time.Now()
			db, b := filled(t, n, kind.o)
			took := time.Since(start)
			if size, err := b.Size(t.Context()); size != n || err != nil {
				t.Fatal(size, err)
			}
			info, err := db.Do(t.Context(), "INFO", "memory").Text()
			must(t, err)
			var used int64
			fmt.Sscanf(info[len("# Memory\r\n"):], "used_memory:%d", &used)
			runtime.GC()
			var goHeap runtime.MemStats
			runtime.ReadMemStats(&goHeap)
			t.Logf("%d members: filled in %v, %.0f ns each; %.1f bytes per member in the store, %d MB of Go heap",
				n, took.Round(time.Millisecond), float64(took.Nanoseconds())/float64(n), float64(used)/float64(n), goHeap.HeapAlloc>>20)
			for op, do := range operations(b, n) {
				const times = 20_000
				start := time.Now()
				for range times {
					must(t, do())
				}
				t.Logf("%8s %6d ns", op, time.Since(start).Nanoseconds()/times)
			}
			must(t, db.Close())
		})
	}
}
