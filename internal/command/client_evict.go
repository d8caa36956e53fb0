package command

import "slices"

// maxmemory-clients bounds what connections hold in buffers, together. Ten times a second those that hold
// most are closed until the others are within the bound, except for those with CLIENT NO-EVICT.

// evictClients closes connections that hold too much. O(connections), and nothing where there is no bound.
func (p *Processor) evictClients() {
	bound := p.clientBound()
	if bound == 0 {
		return
	}
	type holder struct {
		session *Session
		bytes   int64
	}
	var holders []holder
	total := int64(0)
	p.eachSession(func(s *Session) {
		h := holder{s, int64(s.client.Buffers().Sum + s.shown.Load().queued)}
		s.mu.Lock()
		spared := s.noEvict
		s.mu.Unlock()
		if !spared {
			total += h.bytes
			holders = append(holders, h)
		}
	})
	if total <= bound {
		return
	}
	slices.SortFunc(holders, func(a, b holder) int { return int(b.bytes - a.bytes) })
	for _, h := range holders {
		if total <= bound {
			return
		}
		total -= h.bytes
		if !h.session.killed.Swap(true) {
			p.stats.evictedClients.Add(1)
			h.session.client.Close(false, "maxmemory-clients")
		}
	}
}

// clientBound is maxmemory-clients in bytes; 0: none.
func (p *Processor) clientBound() int64 {
	s := p.Config.Settings()
	if s.MaxMemoryClients >= 0 {
		return s.MaxMemoryClients
	}
	return int64(float64(s.MaxMemory) * float64(-s.MaxMemoryClients) / 100)
}
