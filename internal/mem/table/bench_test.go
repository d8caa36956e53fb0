package table

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/mem/arena"
)

const benchShards = 64

// shards is a keyspace as the engine cuts it, without its locks.
type shards struct {
	arenas [benchShards]*arena.Arena
	tables [benchShards]Table
}

func newShards() *shards {
	s := &shards{}
	for i := range s.tables {
		s.arenas[i] = arena.New()
		s.tables[i] = New(s.arenas[i], Options{Keyspace: true, Seed: 42, Stagger: i})
	}
	return s
}

func (s *shards) reset() {
	for _, a := range s.arenas {
		a.Reset()
	}
}

// table is the shard's of a hash.
func (s *shards) table(h uint64) *Table { return &s.tables[h%benchShards] }

func (s *shards) set(key, value []byte, e *Entry) {
	h := Hash(42, key)
	t := s.table(h)
	if t.Find(h, key, e) {
		copy(e.SetLen(len(value)), value)
		return
	}
	t.Insert(h, key, len(value), 0, 0, e)
	copy(e.Value(), value)
}

// benchKey is the key of number i, n bytes long.
func benchKey(buf []byte, n, i int) []byte {
	buf = append(buf[:0], "key:0000000000000000"[:n]...)
	for at := n - 1; i > 0; at-- {
		buf[at] = byte('0' + i%10)
		i /= 10
	}
	return buf
}

// residentBytes is what the process occupies; 0 where /proc does not tell.
func residentBytes() int {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	pages, _ := strconv.Atoi(string(fields[1]))
	return pages * os.Getpagesize()
}

// load inserts n keys and reports memory, rate and the longest insertion.
func (s *shards) load(b *testing.B, n, keyLen, valueLen int) {
	before := residentBytes()
	value := bytes.Repeat([]byte{'v'}, valueLen)
	var e Entry
	var key []byte
	longest := time.Duration(0)
	long := 0
	begin := time.Now()
	for i := range n {
		key = benchKey(key, keyLen, i)
		at := time.Now()
		s.set(key, value, &e)
		if d := time.Since(at); d > longest {
			longest = d
		} else if d > 200*time.Microsecond {
			long++
		}
	}
	took := time.Since(begin)
	var live, buckets int64
	for i := range s.tables {
		live += s.arenas[i].Stats().Live
		s.tables[i].walk(func(_ position, w word) bool {
			buckets += int64(s.arenas[i].Size(w.ref()))
			return true
		})
	}
	b.ReportMetric(float64(residentBytes()-before)/float64(n), "B/key")
	b.ReportMetric(float64(live)/float64(n), "live-B/key")
	b.ReportMetric(float64(buckets)/float64(n), "buckets-B/key")
	b.ReportMetric(float64(n)/took.Seconds()/1e6, "Mload/s")
	b.ReportMetric(float64(longest.Microseconds()), "longest-us")
	b.ReportMetric(float64(long), "over-200us")
}

// BenchmarkMemory loads keyspaces and reports bytes per key and the longest insertion.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct{ n, key, value int }{
		{100_000, 11, 32}, {5_000_000, 11, 32}, {5_000_000, 16, 8}, {500_000, 20, 1024},
	} {
		b.Run(fmt.Sprintf("%dx%d+%d", c.n, c.key, c.value), func(b *testing.B) {
			for range b.N {
				s := newShards()
				s.load(b, c.n, c.key, c.value)
				s.reset()
			}
		})
	}
}

// Benchmark5M runs the operations on 5 million keys of 11 bytes with values of 32.
func Benchmark5M(b *testing.B) {
	const n = 5_000_000
	s := newShards()
	defer s.reset()
	value := bytes.Repeat([]byte{'v'}, 32)
	var e Entry
	var key []byte
	for i := range n {
		key = benchKey(key, 11, i)
		s.set(key, value, &e)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	b.Run("Get", func(b *testing.B) {
		sum := 0
		for b.Loop() {
			key = benchKey(key, 11, rnd.IntN(n))
			h := Hash(42, key)
			if !s.table(h).Find(h, key, &e) {
				b.Fatal("missing")
			}
			sum += int(e.Value()[0])
		}
	})
	b.Run("GetMissing", func(b *testing.B) {
		for b.Loop() {
			key = benchKey(key, 11, n+rnd.IntN(n))
			h := Hash(42, key)
			if s.table(h).Find(h, key, &e) {
				b.Fatal("found")
			}
		}
	})
	b.Run("GetBatch16", func(b *testing.B) { benchBatch(b, s, n, rnd) })
	b.Run("Set", func(b *testing.B) {
		for b.Loop() {
			s.set(benchKey(key, 11, rnd.IntN(n)), value, &e)
		}
	})
	b.Run("DeleteInsert", func(b *testing.B) {
		for b.Loop() {
			key = benchKey(key, 11, rnd.IntN(n))
			h := Hash(42, key)
			t := s.table(h)
			if !t.Find(h, key, &e) {
				b.Fatal("missing")
			}
			e.Delete()
			t.Insert(h, key, len(value), 0, 0, &e)
			copy(e.Value(), value)
		}
	})
}

// benchBatch counts single look-ups, made sixteen at a time.
func benchBatch(b *testing.B, s *shards, n int, rnd *rand.Rand) {
	const batch = 16
	var keys [batch][]byte
	var hashes [batch]uint64
	var e Entry
	sum := 0
	i := batch
	for b.Loop() {
		if i == batch {
			for j := range keys {
				keys[j] = benchKey(keys[j], 11, rnd.IntN(n))
				hashes[j] = Hash(42, keys[j])
				s.table(hashes[j]).Touch1(hashes[j])
			}
			for _, h := range hashes {
				s.table(h).Touch2(h)
			}
			i = 0
		}
		if !s.table(hashes[i]).Find(hashes[i], keys[i], &e) {
			b.Fatal("missing")
		}
		sum += int(e.Value()[0])
		i++
	}
}

// BenchmarkSmall is what a look-up costs when all is in the caches.
func BenchmarkSmall(b *testing.B) {
	s := newShards()
	defer s.reset()
	value := bytes.Repeat([]byte{'v'}, 32)
	var e Entry
	var keys [1000][]byte
	for i := range keys {
		keys[i] = benchKey(nil, 11, i)
		s.set(keys[i], value, &e)
	}
	b.Run("Get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			key := keys[i%1000]
			h := Hash(42, key)
			if !s.table(h).Find(h, key, &e) {
				b.Fatal("missing")
			}
		}
	})
	b.Run("Set", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.set(keys[i%1000], value, &e)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	for _, n := range []int{4, 8, 11, 16, 24, 32, 64, 256} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			key := bytes.Repeat([]byte{'k'}, n)
			sum := uint64(0)
			for b.Loop() {
				sum += Hash(42, key)
			}
			b.ReportMetric(float64(sum&1), "bit")
		})
	}
}
