package dump_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/jsondoc"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/stream"
	"github.com/larderdb/larder/internal/types/zset"
)

const limit = 64 << 20

// open returns a keyspace that is checked when the test ends.
func open(t testing.TB) *engine.Engine {
	e := engine.New(engine.Options{Clock: clock.NewFake(time.UnixMilli(1_700_000_000_000)), Seed: 42})
	t.Cleanup(func() {
		if err := e.Check(); err != nil {
			t.Errorf("after the test: %v", err)
		}
		e.Close()
	})
	return e
}

// word is a string of one of many kinds.
func word(rng *rand.Rand) []byte {
	switch rng.IntN(8) {
	case 0:
		return strconv.AppendInt(nil, int64(rng.Uint64())>>rng.IntN(64), 10)
	case 1:
		return bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(200))
	case 2:
		return bytes.Repeat([]byte("ab"), rng.IntN(3000))
	}
	return fmt.Appendf(nil, "word:%d", rng.IntN(1000))
}

// build fills a fresh record of a kind.
func build(tx *engine.Tx, key []byte, k engine.Kind, n int, rng *rand.Rand) *table.Entry {
	lim := tx.Engine().Limits()
	switch k {
	case engine.List:
		e := tx.Create(key, k, list.InitLen, 0)
		list.Init(e)
		for range n {
			list.Push(e, lim.List, false, word(rng))
		}
		return e
	case engine.Set:
		first := word(rng)
		if rng.IntN(2) == 0 {
			first = []byte("5")
		}
		e := tx.Create(key, k, set.InitLen, 0)
		set.Init(e, lim.Set, first, 1)
		set.Add(e, lim.Set, first)
		for i := range n {
			if m := word(rng); set.Encoding(e) == "intset" {
				set.Add(e, lim.Set, strconv.AppendInt(nil, int64(i*i*i*rng.IntN(50)), 10))
			} else {
				set.Add(e, lim.Set, m)
			}
		}
		return e
	case engine.ZSet:
		e := tx.Create(key, k, zset.InitLen, 0)
		zset.Init(e)
		scores := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1.1, 3, 1e300, math.MaxInt64, 5e-324}
		for i := range n {
			score := rng.NormFloat64()
			if i < len(scores) {
				score = scores[i]
			}
			if _, _, err := zset.Add(e, lim.ZSet, zset.Options{}, score, word(rng)); err != nil {
				panic(err)
			}
		}
		return e
	case engine.Hash:
		e := tx.Create(key, k, hash.InitLen, 0)
		hash.Init(e)
		for i := range n {
			f := word(rng)
			hash.Set(e, lim.Hash, f, word(rng))
			if n%3 == 0 && i%4 == 1 {
				hash.SetExpiry(e, f, 1_700_000_000_000+rng.Int64N(1<<40)+1)
			}
		}
		return e
	case engine.JSON:
		v, err := jsondoc.Parse(nil, document(n, rng))
		if err != nil {
			panic(err)
		}
		e := tx.Create(key, k, len(v), 0)
		copy(e.Value(), v)
		return e
	case engine.Stream:
		e := tx.Create(key, k, stream.InitLen, 0)
		stream.Init(e)
		buildStream(e, lim.Stream, n, rng)
		return e
	}
	s := word(rng)
	e := tx.Create(key, engine.String, len(s), 0)
	copy(e.Value(), s)
	return e
}

// document is a JSON text with n members.
func document(n int, rng *rand.Rand) []byte {
	b := []byte{'{'}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"name%d":[%d,%g,"%x",true,null,{"inner":[%d]}]`, i, int64(rng.Uint64())>>rng.IntN(64), rng.NormFloat64(),
			bytes.Repeat([]byte{byte(i)}, rng.IntN(90)), i)
	}
	return append(b, '}')
}

func buildStream(e *table.Entry, lim stream.Limits, n int, rng *rand.Rand) {
	s := stream.Edit(e)
	defer s.Save()
	id := stream.ID{Ms: 5}
	for i := range n {
		id.Ms += uint64(rng.IntN(3))
		id.Seq += uint64(rng.IntN(1000)) + 1
		fields := [][]byte{[]byte("name"), word(rng), []byte("7"), word(rng)}
		if i%5 == 4 {
			fields = fields[:2]
		}
		s.Append(lim, id, fields)
	}
	if n > 3 {
		s.Delete(s.FirstID())
	}
	for g := range rng.IntN(3) {
		name := fmt.Appendf(nil, "group%d", g)
		s.CreateGroup(name, id, stream.Unknown)
		group, _ := s.Group(name)
		for i := range rng.IntN(4) {
			c, _ := group.CreateConsumer(fmt.Appendf(nil, "consumer%d", i), 1000)
			for range rng.IntN(20) {
				group.Assign(&c, stream.Pending{
					ID: stream.ID{Ms: uint64(rng.IntN(30)), Seq: uint64(rng.IntN(5))}, Delivered: 99, Count: 2})
			}
			c.Save()
		}
		group.Save()
	}
}

// describe is all there is of a value, as far as its package tells.
func describe(e *table.Entry) string {
	d := fmt.Sprintf("%s %s %x", engine.Kind(e.Kind()), engine.Encoding(e), dump.ValueDigest(e))
	if engine.Kind(e.Kind()) != engine.Stream {
		return d
	}
	s := stream.Open(e)
	d += fmt.Sprintf(" %v %v %v %d %d", s.FirstID(), s.LastID, s.MaxDeletedID, s.Added, s.Len())
	s.EachGroup(func(name []byte, g *stream.Group) {
		d += fmt.Sprintf("\n%s %v %d", name, g.LastID, g.Read)
		g.PendingRange(stream.ID{}, stream.MaxID(), func(n *stream.Pending) bool {
			d += fmt.Sprintf(" %v(%d %d %s)", n.ID, n.Delivered, n.Count, g.Owner(n))
			return true
		})
		g.EachConsumer(func(name []byte, c *stream.Consumer) { d += fmt.Sprintf(" %s %d %d", name, c.Seen, c.Pending()) })
	})
	return d
}

func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	e := open(t)
	tx := e.NewTx()
	for i := range 300 {
		k := []engine.Kind{engine.String, engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream, engine.JSON}[i%7]
		key := fmt.Appendf(nil, "key%d", i)
		tx.Begin(0)
		tx.LockAll()
		defer tx.End() // also when the test ends early; a second End does nothing
		r := build(tx, key, k, 1+rng.IntN([]int{5, 100, 1500}[i/6%3]), rng)
		want := describe(r)
		payload := dump.Payload(r, i%2 == 0)
		for _, restored := range []string{"another", string(key)} {
			d, err := dump.Restore(tx, []byte(restored), payload, limit)
			if err != nil {
				t.Fatalf("seed %d, %s %d: %v", seed, k, i, err)
			}
			if got := describe(d.Keep(0)); got != want {
				t.Fatalf("seed %d: %s %d: restored\n%s\nwas\n%s", seed, k, i, got, want)
			}
		}
		d, err := dump.Restore(tx, key, payload, limit)
		if err != nil {
			t.Fatal(err)
		}
		d.Drop()
		tx.Delete([]byte("another"))
		tx.End()
	}
}

// Nothing is left of what was refused, and what the key had stays.
func TestRefusedLeavesNothing(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	e := open(t)
	tx := e.NewTx()
	key := []byte("key")
	tx.Begin(0)
	tx.LockAll()
	old := tx.Create(key, engine.String, 3, 0)
	copy(old.Value(), "old")
	defer tx.End()
	before := tx.Memories().Live
	refused := 0
	for i := range 400 {
		k := []engine.Kind{engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream, engine.JSON}[i%6]
		made := build(tx, []byte("made"), k, 1+rng.IntN(300), rng)
		payload := bytes.Clone(dump.Payload(made, i%2 == 0))
		tx.Delete([]byte("made"))
		body := payload[:len(payload)-rdb.FooterLen]
		switch rng.IntN(3) {
		case 0:
			body = body[:rng.IntN(len(body))]
		case 1:
			body[rng.IntN(len(body))] ^= 1 << rng.IntN(8)
		case 2:
			body[0] = byte(rng.IntN(30))
		}
		if d, err := dump.Restore(tx, key, seal(body), limit); err == nil {
			if k, ok := rdb.Type(body[0]).Kind(); !ok {
				t.Fatalf("seed %d: a value of kind %d", seed, k)
			}
			d.Drop()
		} else {
			refused++
		}
		for e.PendingFrees() > 0 {
			tx.End()
			e.Tick(time.Second)
			tx.Begin(0)
			tx.LockAll()
		}
		if live := tx.Memories().Live; live != before {
			t.Fatalf("seed %d: %d bytes before, %d after %s %d", seed, before, live, k, i)
		}
	}
	if r := tx.Find(key); r == nil || string(r.Value()) != "old" || refused < 100 {
		t.Errorf("seed %d: %v, %d refused", seed, r, refused)
	}
}

// seal gives a body the footer that it should have.
func seal(body []byte) []byte {
	w := rdb.NewWriter(nil)
	w.Raw(body)
	return w.Seal(rdb.Version7)
}

// FuzzRestore restores any body under a footer that is right. What is accepted must be sound, and the same after a trip.
func FuzzRestore(f *testing.F) {
	e := open(f)
	tx := e.NewTx()
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 30 {
		k := []engine.Kind{engine.String, engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream, engine.JSON}[i%7]
		tx.Begin(0)
		tx.LockAll()
		p := dump.Payload(build(tx, fmt.Appendf(nil, "seed%d", i), k, 1+rng.IntN(12), rng), i%2 == 0)
		f.Add(bytes.Clone(p[:len(p)-rdb.FooterLen]))
		tx.Delete(fmt.Appendf(nil, "seed%d", i))
		tx.End()
	}
	key := []byte("key")
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		tx.Begin(0)
		tx.LockAll()
		defer tx.End()
		d, err := dump.Restore(tx, key, seal(body), limit)
		if err != nil {
			return
		}
		r := d.Keep(0)
		defer tx.Delete(key)
		if err := engine.CheckValue(r); err != nil {
			t.Fatal(err)
		}
		want := describe(r)
		d, err = dump.Restore(tx, []byte("again"), dump.Payload(r, true), limit)
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		again := d.Keep(0)
		defer tx.Delete([]byte("again"))
		if got := describe(again); got != want {
			t.Fatalf("was\n%s\nis\n%s", want, got)
		}
	})
}
