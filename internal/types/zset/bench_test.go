package zset

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

const million = 1_000_000

// names are 1,000,000 members of 14 bytes.
func names() [][]byte {
	out := make([][]byte, million)
	for i := range out {
		out[i] = fmt.Appendf(nil, "member:%07d", i)
	}
	return out
}

// fill adds a million members with scores in random order.
func fill(e *table.Entry, members [][]byte, rng *rand.Rand) {
	for _, i := range rng.Perm(million) {
		Add(e, DefaultLimits(), Options{}, float64(i), members[i])
	}
}

func BenchmarkAddMillion(b *testing.B) {
	members := names()
	for _, c := range []struct {
		name  string
		score func(rng *rand.Rand, i int) float64
	}{
		{"random", func(rng *rand.Rand, _ int) float64 { return rng.Float64() }},
		{"ascending", func(_ *rand.Rand, i int) float64 { return float64(i) }},
		{"equal", func(*rand.Rand, int) float64 { return 0 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			order := rng.Perm(million)
			if c.name == "ascending" {
				for i := range order {
					order[i] = i
				}
			}
			var resident int64
			for b.Loop() {
				k := newKeyspace()
				e := k.zset("zset")
				for _, i := range order {
					Add(e, DefaultLimits(), Options{}, c.score(rng, i), members[i])
				}
				resident = k.a.Stats().Resident
				k.a.Reset()
			}
			b.ReportMetric(float64(resident)/million, "B/member")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/member")
		})
	}
}

func BenchmarkMillion(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	members, k := names(), newKeyspace()
	e := k.zset("zset")
	fill(e, members, rng)
	run := func(name string, fn func(i int)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fn(rng.IntN(million))
			}
		})
	}
	run("score", func(i int) { Score(e, members[i]) })
	run("rank", func(i int) { Rank(e, members[i]) })
	run("span", func(i int) { Span(e, Scores(float64(i), float64(i+1000), false, false)) })
	run("walk100", func(i int) { Walk(e, i, 100, false, func(packed.Value, float64) bool { return true }) })
	run("update-near", func(i int) { Add(e, DefaultLimits(), Options{Incr: true}, 0.25, members[i]) })
	run("update-far", func(i int) { Add(e, DefaultLimits(), Options{}, float64(rng.IntN(million)), members[i]) })
	b.Run("pop", func(b *testing.B) {
		for b.Loop() {
			if Pop(e, false, 1, func(packed.Value, float64) {}) == 0 {
				b.StopTimer()
				fill(e, members, rng)
				b.StartTimer()
			}
		}
		b.ReportMetric(float64(k.a.Stats().Resident), "B-after")
	})
}

func BenchmarkSmall(b *testing.B) {
	e := newKeyspace().zset("zset")
	var members [][]byte
	for i := range 100 {
		members = append(members, fmt.Appendf(nil, "member:%07d", i))
		Add(e, DefaultLimits(), Options{}, float64(i*7%100), members[i])
	}
	i := 0
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			i++
			Add(e, DefaultLimits(), Options{}, float64(i%97), members[i%100])
		}
	})
	b.Run("rank", func(b *testing.B) {
		for b.Loop() {
			i++
			Rank(e, members[i%100])
		}
	})
}
