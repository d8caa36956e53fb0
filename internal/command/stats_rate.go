package command

import "time"

// rateMeter turns a growing counter into a rate: the average of the last samples, which come some ten times a second.
type rateMeter struct {
	last    int64
	at      time.Duration
	samples [16]float64
	next    int
}

// rateWindow is the shortest time a sample is taken over.
const rateWindow = 50 * time.Millisecond

func (m *rateMeter) sample(now time.Duration, total int64) {
	if d := now - m.at; d >= rateWindow {
		m.samples[m.next] = float64(total-m.last) / d.Seconds()
		m.next = (m.next + 1) % len(m.samples)
		m.last, m.at = total, now
	}
}

// value is the rate in a second, of late.
func (m *rateMeter) value() float64 {
	sum := 0.0
	for _, v := range m.samples {
		sum += max(v, 0) // CONFIG RESETSTAT sets counters back
	}
	return sum / float64(len(m.samples))
}

// rates are the meters that INFO shows.
type rates struct{ ops, in, out, replicated, cycles, busy rateMeter }

// sample brings all meters up to date.
func (s *stats) sample(now time.Duration, n NetworkStats) {
	busy := int64(s.commandTime()) + s.tickTime.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meters.ops.sample(now, s.total.Load())
	s.meters.in.sample(now, n.BytesIn)
	s.meters.out.sample(now, n.BytesOut)
	s.meters.replicated.sample(now, s.replicated.Load())
	s.meters.cycles.sample(now, n.Reads+s.ticks.Load())
	s.meters.busy.sample(now, busy)
}

// rates copies the meters.
func (s *stats) rates() rates {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meters
}

// commandTime is the time spent in commands. O(commands).
func (s *stats) commandTime() time.Duration {
	var sum int64
	for i := range s.commands {
		sum += s.commands[i].nanos.Load()
	}
	return time.Duration(sum)
}

// totalErrors is the number of error replies.
func (s *stats) totalErrors() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.errors {
		n += c
	}
	return n
}

// Tick does the periodic work of the processor and its engine.
func (p *Processor) Tick(budget time.Duration) {
	began := p.clock.Monotonic()
	p.stats.sample(began, p.network())
	expiring := p.Engine.ExpireTime()
	p.Engine.Tick(budget)
	p.evictClients()
	p.latency.note(p.clock.Now(), "expire-cycle", p.Engine.ExpireTime()-expiring, p.Config.Settings().LatencyMonitorThreshold)
	p.pingReplicas(began)
	p.saveWhenDue()
	took := int64(p.clock.Monotonic() - began)
	p.stats.ticks.Add(1)
	p.stats.tickTime.Add(took)
	p.stats.longest.Store(max(p.stats.longest.Load(), took)) // nobody else writes it
}
