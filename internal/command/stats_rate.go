package command

import "time"

// rateMeter turns a growing counter into a rate over the last moments.
type rateMeter struct {
	last  int64
	at    time.Duration
	value int64
}

// rateWindow is the shortest time a rate is taken over.
const rateWindow = 100 * time.Millisecond

// sample is called some ten times a second by Processor.Tick.
func (m *rateMeter) sample(now time.Duration, total int64) {
	if d := now - m.at; d >= rateWindow {
		m.value = int64(float64(total-m.last) / d.Seconds())
		m.last, m.at = total, now
	}
}

// rate is the number of commands in a second, of late.
func (s *stats) rate() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter.value
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
	p.stats.mu.Lock()
	p.stats.meter.sample(p.clock.Monotonic(), p.stats.total.Load())
	p.stats.mu.Unlock()
	p.Engine.Tick(budget)
}
