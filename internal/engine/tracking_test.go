package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// mailbox is a client of tracking: what it was told since it was last asked.
type mailbox struct {
	Tracker
	told []string
}

func (m *mailbox) Invalidate(keys [][]byte) {
	if keys == nil {
		m.told = append(m.told, "*")
	}
	for _, k := range keys {
		m.told = append(m.told, string(k))
	}
}

func (m *mailbox) take() string {
	slices.Sort(m.told)
	told := strings.Join(m.told, " ")
	m.told = nil
	return told
}

// TestTrackingAgainstAModel: random reads, writes, comings and goings of clients; each is told exactly what the rules say.
func TestTrackingAgainstAModel(t *testing.T) {
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	const clients, keys = 40, 30
	boxes := make([]*mailbox, clients)
	read := make([]map[string]bool, clients) // what each is to be told of
	want := make([][]string, clients)
	for i := range boxes {
		boxes[i], read[i] = new(mailbox), make(map[string]bool)
	}
	key := func() string { return fmt.Sprintf("%c:%d", 'a'+rnd.IntN(2), rnd.IntN(keys)) }
	write := func(k string, by int) {
		for i, m := range boxes {
			mode := m.Mode()
			mine := read[i][k]
			if mode&TrackBroadcast != 0 {
				mine = strings.HasPrefix(k, m.Prefixes()[0])
			}
			delete(read[i], k)
			if mode != 0 && mine && (i != by || mode&TrackNoLoop == 0) {
				want[i] = append(want[i], k)
			}
		}
	}
	for range 20_000 {
		i := rnd.IntN(clients)
		m := boxes[i]
		switch op := rnd.IntN(100); {
		case op < 3:
			b.Untrack(&m.Tracker)
			clear(read[i])
		case op < 10:
			if m.Mode() == 0 {
				m.id = 0 // a new number, as what it read before is not what it holds now
				b.enter(m, rnd)
			}
		case op < 11:
			b.do(0, nil, func(tx *Tx) { tx.LockAll(); tx.Flush(-1) })
			for j, o := range boxes {
				clear(read[j])
				if o.Mode() != 0 {
					want[j] = append(want[j], "*")
				}
			}
		case op < 60:
			k := key()
			b.do(0, []string{k}, func(tx *Tx) { tx.Remember(&m.Tracker, []byte(k)) })
			read[i][k] = m.Mode()&TrackOn != 0 && m.Mode()&TrackBroadcast == 0
		default:
			k, l := key(), key()
			b.do(0, []string{k, l}, func(tx *Tx) {
				tx.By = &m.Tracker
				put(tx, k, "v", 0)
				put(tx, l, "v", 0)
			})
			write(k, i)
			if l != k {
				write(l, i)
			}
		}
		for j, o := range boxes {
			slices.Sort(want[j])
			if got := o.take(); got != strings.Join(want[j], " ") {
				t.Fatalf("client %d (mode %b) was told %q, want %q", j, o.Mode(), got, want[j])
			}
			want[j] = nil
		}
	}
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
}

// enter turns a client on in a random mode.
func (b *bench) enter(m *mailbox, rnd *rand.Rand) {
	mode, prefixes := TrackOn, []string(nil)
	if rnd.IntN(2) == 0 {
		mode |= TrackNoLoop
	}
	if rnd.IntN(3) == 0 {
		mode |= TrackBroadcast
		prefixes = []string{[]string{"", "a:", "b:1"}[rnd.IntN(3)]}
	}
	b.Track(&m.Tracker, m, mode, prefixes...)
}

func TestTrackingBoundsHold(t *testing.T) {
	b := newBench(t)
	var m mailbox
	b.Track(&m.Tracker, &m, TrackOn)
	remember := func(n int) {
		for i := range n {
			k := fmt.Sprintf("key:%d", i)
			b.do(0, []string{k}, func(tx *Tx) { tx.Remember(&m.Tracker, []byte(k)) })
		}
	}
	for _, c := range []struct {
		keys, bytes int64
		holds       func(TrackingStats) bool
	}{
		{50, 0, func(s TrackingStats) bool { return s.Keys == 50 }},
		{0, 10_000, func(s TrackingStats) bool { return s.Bytes <= 10_000 && s.Keys > 0 }},
		{0, 1, func(s TrackingStats) bool { return s.Keys == 0 }}, // not even the empty tables fit
		{0, 0, func(s TrackingStats) bool { return s.Keys == 1000 }},
	} {
		l := DefaultLimits()
		l.TrackedKeys, l.TrackedBytes = c.keys, c.bytes
		b.SetLimits(l)
		remember(1000)
		before := b.Tracking()
		m.take()
		b.Tick(time.Hour)
		after := b.Tracking()
		if !c.holds(after) {
			t.Errorf("bounds %d keys, %d bytes: %+v", c.keys, c.bytes, after)
		}
		if told := len(strings.Fields(m.take())); int64(told) != before.Keys-after.Keys {
			t.Errorf("%d keys were given up, the client was told of %d", before.Keys-after.Keys, told)
		}
	}
}

func BenchmarkRemember(b *testing.B) {
	for _, readers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d readers", readers), func(b *testing.B) {
			e := newBench(b)
			boxes := make([]mailbox, readers)
			for i := range boxes {
				e.Track(&boxes[i].Tracker, &boxes[i], TrackOn)
			}
			const keys = 100_000
			names := make([][]byte, keys)
			for i := range names {
				names[i] = fmt.Appendf(nil, "user:%d:profile", i)
			}
			tx := e.NewTx()
			n := 0
			for b.Loop() {
				k := names[n%(keys/readers)]
				tx.Begin(0)
				tx.LockKey(k)
				tx.Remember(&boxes[n/(keys/readers)%readers].Tracker, k)
				tx.End()
				n++
			}
			if s := e.Tracking(); s.Keys > 0 {
				b.ReportMetric(float64(s.Bytes)/float64(s.Keys), "B/key")
				b.ReportMetric(float64(s.Items)/float64(s.Keys), "readers/key")
			}
		})
	}
}

// BenchmarkWriteTracked is a write while somebody tracks: of keys that nobody has read, and of keys that one has.
func BenchmarkWriteTracked(b *testing.B) {
	for _, how := range []string{"nobody tracks", "not read", "read", "broadcast"} {
		b.Run(how, func(b *testing.B) {
			e := newBench(b)
			var m discards
			switch how {
			case "nobody tracks":
			case "broadcast":
				e.Track(&m.Tracker, &m, TrackBroadcast, "user:")
			default:
				e.Track(&m.Tracker, &m, TrackOn)
			}
			names := make([][]byte, 1000)
			for i := range names {
				names[i] = fmt.Appendf(nil, "user:%d:profile", i)
			}
			tx := e.NewTx()
			n := 0
			for b.Loop() {
				k := names[n%len(names)]
				tx.Begin(0)
				tx.LockKey(k)
				if how == "read" {
					tx.Remember(&m.Tracker, k)
				}
				tx.Put(k, 8, 0)
				tx.Changed(k, EventSet)
				tx.End()
				n++
			}
		})
	}
}

type discards struct{ Tracker }

func (*discards) Invalidate([][]byte) {}

func TestMatchingPrefixes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	word := func() string {
		b := make([]byte, rnd.IntN(6))
		for i := range b {
			b[i] = "ab\x00"[rnd.IntN(3)]
		}
		return string(b)
	}
	for range 2000 {
		var names []string
		for range rnd.IntN(12) {
			names = append(names, word())
		}
		slices.Sort(names)
		var list []broadcast
		for _, n := range slices.Compact(names) {
			list = append(list, broadcast{prefix: []byte(n)})
		}
		key := word()
		var want, got []int
		for i := range list {
			if strings.HasPrefix(key, string(list[i].prefix)) {
				want = append(want, i)
			}
		}
		matching(list, []byte(key), func(i int) { got = append(got, i) })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q matches %v of %q, want %v", key, got, names, want)
		}
	}
}
