package list

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

func discard(packed.Value) {}

// million is a list of 1,000,000 elements of 16 bytes.
func million(b *testing.B) (*keyspace, *table.Entry) {
	k := newKeyspace()
	e := k.list("list")
	for i := range 1_000_000 {
		Push(e, DefaultLimits(), false, fmt.Appendf(nil, "element:%08d", i))
	}
	resident := float64(k.a.Stats().Resident) / float64(Len(e))
	b.Cleanup(func() { b.ReportMetric(resident, "B/element") })
	return k, e
}

func BenchmarkPush(b *testing.B) {
	lim, v := DefaultLimits(), []byte("element:00000000")
	for _, front := range []bool{true, false} {
		b.Run(fmt.Sprintf("front=%v", front), func(b *testing.B) {
			_, e := million(b)
			for b.Loop() {
				Push(e, lim, front, v)
			}
		})
	}
	b.Run("small", func(b *testing.B) {
		e := newKeyspace().list("list")
		for range 20 {
			Push(e, lim, false, v)
		}
		for b.Loop() {
			Push(e, lim, false, v)
			Pop(e, lim, true, 1, discard)
		}
	})
}

func BenchmarkPop(b *testing.B) {
	lim, v := DefaultLimits(), []byte("element:00000000")
	for _, front := range []bool{true, false} {
		b.Run(fmt.Sprintf("front=%v", front), func(b *testing.B) {
			_, e := million(b)
			for b.Loop() {
				if Pop(e, lim, front, 1, discard) == 0 {
					b.StopTimer()
					for range 1_000_000 {
						Push(e, lim, false, v)
					}
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkInside(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	lim, v := DefaultLimits(), []byte("element:00000000")
	b.Run("index", func(b *testing.B) {
		_, e := million(b)
		for b.Loop() {
			Index(e, rng.IntN(1_000_000))
		}
	})
	b.Run("set", func(b *testing.B) {
		_, e := million(b)
		for b.Loop() {
			Set(e, lim, rng.IntN(1_000_000), v)
		}
	})
	b.Run("range100", func(b *testing.B) {
		_, e := million(b)
		for b.Loop() {
			Range(e, rng.IntN(999_900), 100, false, func(packed.Value) bool { return true })
		}
	})
}
