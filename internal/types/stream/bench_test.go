package stream

import (
	"strconv"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

func BenchmarkAppend(b *testing.B) {
	for _, same := range []bool{true, false} {
		b.Run("same="+strconv.FormatBool(same), func(b *testing.B) {
			_, e := newRecord(arena.New())
			pairs := [][]byte{[]byte("name"), []byte("user1234"), []byte("score"), []byte("77")}
			other := [][]byte{[]byte("other"), []byte("user1234"), []byte("score"), []byte("77")}
			b.ReportAllocs()
			for i := range b.N {
				s := Edit(e)
				if same || i%2 == 0 {
					s.Append(DefaultLimits(), ID{1700000000000 + uint64(i)/3, uint64(i) % 3}, pairs)
				} else {
					s.Append(DefaultLimits(), ID{1700000000000 + uint64(i)/3, uint64(i) % 3}, other)
				}
				s.Save()
			}
			b.ReportMetric(float64(Bytes(e))/float64(b.N), "B/entry")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	const n = 1 << 18
	_, e := newRecord(arena.New())
	pairs := [][]byte{[]byte("name"), []byte("user1234"), []byte("score"), []byte("77")}
	s := Edit(e)
	for i := range uint64(n) {
		s.Append(DefaultLimits(), ID{i + 1, 0}, pairs)
	}
	s.Save()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := Open(e)
		s.Get(ID{uint64(i*7919)%n + 1, 0}, func(*Entry) {})
	}
}

// BenchmarkWork is a message's life: handed out, acknowledged.
func BenchmarkWork(b *testing.B) {
	_, e := newRecord(arena.New())
	s := Edit(e)
	s.CreateGroup([]byte("group"), ID{}, 0)
	g, _ := s.Group([]byte("group"))
	g.CreateConsumer([]byte("consumer"), 0)
	s.Save()
	const backlog = 1000
	b.ReportAllocs()
	for i := range b.N {
		s := Edit(e)
		g, _ := s.Group([]byte("group"))
		c, _ := g.Consumer([]byte("consumer"))
		g.Assign(&c, Pending{ID: ID{uint64(i) + 1, 0}, Delivered: 1700000000000, Count: 1})
		c.Save()
		if i >= backlog {
			g.Ack(ID{uint64(i-backlog) + 1, 0})
		}
		g.Save()
		s.Save()
	}
}
