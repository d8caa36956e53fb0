package dashboard

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/info"
)

// The series that are kept.
const (
	sUsed = iota // bytes
	sRSS
	sMax
	sKeys
	sOps // per second, as the following
	sHits
	sMisses
	sEvicted
	sExpired
	sIn // bytes
	sOut
	sClients
	sBlocked
	sP50 // microseconds, of the commands of the interval
	sP99
	sP999
	seriesCount
)

var seriesNames = [seriesCount]string{
	"used", "rss", "max", "keys", "ops", "hits", "misses", "evicted", "expired", "in", "out", "clients", "blocked", "p50", "p99", "p999",
}

// gauges and rates are fields of INFO: of the moment, and counters whose growth is kept.
var (
	gauges = map[int]string{sUsed: "used_memory", sRSS: "used_memory_rss", sClients: "connected_clients", sBlocked: "blocked_clients"}
	rates  = map[int]string{
		sOps: "total_commands_processed", sHits: "keyspace_hits", sMisses: "keyspace_misses", sEvicted: "evicted_keys", sExpired: "expired_keys",
		sIn: "total_net_input_bytes", sOut: "total_net_output_bytes",
	}
)

// How much is kept. With Options.Every of two seconds that is an hour in full and a day in minutes; with another it is other times,
// but the same memory.
const (
	finePoints   = 1800
	coarsePoints = 1440
	perCoarse    = 30
)

// point is what was known at a time. What the store does not tell is NaN.
type point struct {
	at int64 // Unix ms
	v  [seriesCount]float32
}

// ring keeps the last points.
type ring struct {
	points []point
	most   int
	next   int // where the next one goes, once it is full
}

func (r *ring) add(p point) {
	if len(r.points) < r.most {
		r.points = append(r.points, p)
		return
	}
	r.points[r.next] = p
	r.next = (r.next + 1) % r.most
}

// since copies the points after a time, oldest first.
func (r *ring) since(at int64) []point {
	var out []point
	for i := range r.points {
		if p := r.points[(r.next+i)%len(r.points)]; p.at > at {
			out = append(out, p)
		}
	}
	return out
}

// reading is one answer of the store.
type reading struct {
	at   time.Duration // by the monotonic clock
	info info.Info
	hist info.Histogram
}

// readings are kept for rates that do not jump about: over some ten seconds.
const readings = 6

type history struct {
	every time.Duration

	mu     sync.Mutex
	fine   ring      // guarded by mu
	coarse ring      // guarded by mu
	last   []reading // guarded by mu; oldest first, all of one life of the server
	err    string    // guarded by mu: why the last one failed
	minute mean      // of the sampler
}

func newHistory(every time.Duration) history {
	return history{every: every, fine: ring{most: finePoints}, coarse: ring{most: coarsePoints}}
}

// sample takes figures until ctx ends.
func (d *Dashboard) sample(ctx context.Context) {
	defer close(d.ended)
	tick := d.clock.NewTicker(d.o.Every)
	defer tick.Stop()
	for {
		d.takeSample(ctx)
		select {
		case <-tick.C():
		case <-ctx.Done():
			return
		}
	}
}

// takeSample asks the store once. A store that does not answer leaves a gap.
func (d *Dashboard) takeSample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(d.o.Every, time.Second))
	defer cancel()
	begin := d.clock.Monotonic()
	text, hist, err := d.figures(ctx)
	end := d.clock.Monotonic()
	now := reading{begin + (end-begin)/2, info.Parse(text), hist}
	p := point{at: d.clock.Now().UnixMilli()}
	h := &d.history
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = ""
	if err != nil {
		if ctx.Err() == context.Canceled {
			return // closed
		}
		h.err, h.last = err.Error(), nil
		p.v = unknown()
	} else {
		before := reading{}
		if n := len(h.last); n > 0 {
			before = h.last[n-1]
			if now.at-before.at < d.o.Every/2 { // the last answer was late: too little time for a rate
				return
			}
		}
		p.v = measure(before, now)
		if info.Between(before.info, now.info, now.at-before.at).Reset {
			h.last = nil
		}
		if len(h.last) == readings {
			h.last = append(h.last[:0], h.last[1:]...)
		}
		h.last = append(h.last, now)
	}
	h.fine.add(p)
	if h.minute.add(p); h.minute.n == perCoarse {
		h.coarse.add(h.minute.take())
	}
}

func unknown() (v [seriesCount]float32) {
	for i := range v {
		v[i] = float32(math.NaN())
	}
	return v
}

// measure makes a point of two readings; before may be empty.
func measure(before, now reading) [seriesCount]float32 {
	v := unknown()
	for i, field := range gauges {
		if f, ok := now.info.Float(field); ok {
			v[i] = float32(f)
		}
	}
	if f, ok := now.info.Float("maxmemory"); ok && f > 0 {
		v[sMax] = float32(f)
	}
	if now.info.Has("Keyspace") {
		v[sKeys] = 0
		for _, f := range now.info.Section("Keyspace").Fields {
			if n, ok := f.Parts().Float("keys"); ok {
				v[sKeys] += float32(n)
			}
		}
	}
	change := info.Between(before.info, now.info, now.at-before.at)
	for i, field := range rates {
		if f, ok := change.Rate(field); ok {
			v[i] = float32(f)
		}
	}
	if !change.Reset && !before.info.Empty() {
		grown := now.hist.Since(before.hist)
		for i, share := range map[int]float64{sP50: .5, sP99: .99, sP999: .999} {
			if f, ok := grown.Quantile(share); ok {
				v[i] = float32(f)
			}
		}
	}
	return v
}

// mean gathers points: averages, but the worst of latencies.
type mean struct {
	n    int
	at   int64
	sum  [seriesCount]float64
	seen [seriesCount]int
}

func (m *mean) add(p point) {
	m.n++
	m.at = p.at
	for i, f := range p.v {
		if f != f { // unknown
			continue
		}
		m.seen[i]++
		if i >= sP50 {
			m.sum[i] = max(m.sum[i], float64(f))
		} else {
			m.sum[i] += float64(f)
		}
	}
}

func (m *mean) take() point {
	p := point{m.at, unknown()}
	for i, n := range m.seen {
		if n == 0 {
			continue
		}
		if i >= sP50 {
			n = 1
		}
		p.v[i] = float32(m.sum[i] / float64(n))
	}
	*m = mean{}
	return p
}

// columns are points as the page draws them: a list of times, and one per series.
type columns struct {
	Every  int64  // ms between points
	Now    int64  // Unix ms
	Err    string // why the store does not answer
	points []point
}

// MarshalJSON writes four significant digits, and null for what is not known.
func (c columns) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 64+len(c.points)*seriesCount*5)
	b = strconv.AppendInt(append(b, `{"every":`...), c.Every, 10)
	b = strconv.AppendInt(append(b, `,"now":`...), c.Now, 10)
	if c.Err != "" {
		text, err := json.Marshal(c.Err)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"error":`...), text...)
	}
	b = append(b, `,"t":[`...)
	for i, p := range c.points {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, p.at, 10)
	}
	b = append(b, ']')
	for s, name := range seriesNames {
		b = append(append(append(b, `,"`...), name...), `":[`...)
		for i, p := range c.points {
			if i > 0 {
				b = append(b, ',')
			}
			if f := p.v[s]; f == f {
				b = strconv.AppendFloat(b, float64(f), 'g', precision(s), 32)
			} else {
				b = append(b, "null"...)
			}
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// precision is in digits: keys and bytes want to be seen growing.
func precision(series int) int {
	if series <= sKeys {
		return 7
	}
	return 4
}

// readHistory answers what was taken: span is "hour" (the default) or "day", since a time in Unix ms.
func (d *Dashboard) readHistory(_ context.Context, q *query) (any, error) {
	since, err := q.number("since", 0, math.MaxInt64, 0)
	if err != nil {
		return nil, err
	}
	c := columns{Every: d.o.Every.Milliseconds(), Now: d.clock.Now().UnixMilli()}
	h := &d.history
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Err = h.err
	switch q.text("span") {
	case "", "hour":
		c.points = h.fine.since(since)
	case "day":
		c.Every *= perCoarse
		c.points = h.coarse.since(since)
	default:
		return nil, bad("span: want hour or day")
	}
	return c, nil
}
