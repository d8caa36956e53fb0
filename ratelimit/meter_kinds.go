package ratelimit

// What a meter does with the three numbers of its slot. See meter.go.

func (m *meter) windowed() bool { return m.kind == 'f' || m.kind == 's' }

// readWindow takes the window's start in Unix ms, the units in it, and in the one before.
func (m *meter) readWindow(clock, start, cur, prev int64) {
	now := clock
	if start > clock+m.window {
		start, cur, prev = 0, 0, 0
	} else if start > clock {
		now = start
	}
	m.start = now - now%m.window
	m.wait, m.into = now-clock, now-m.start
	if start >= m.start {
		m.cur, m.prev = min(cur, m.limit), min(prev, m.limit)
	} else if start >= m.start-m.window {
		m.prev = min(cur, m.limit)
	}
	if m.kind == 'f' {
		m.prev = 0
	}
}

// readBucket takes a bucket's last change, or GCRA's theoretical arrival time, in Unix ms.
func (m *meter) readBucket(clock, at, units, rest int64) {
	m.now, m.cap = clock, m.burst*m.window
	if m.kind == 'g' {
		if ahead := at - m.now; ahead >= 0 && ahead <= 2*m.cap/m.limit {
			m.level = ahead*m.limit + min(units, m.limit-1)
		}
		return
	}
	full := m.cap/m.limit + 1
	if at > m.now+full {
		return
	}
	if at > m.now {
		m.wait, m.now = at-m.now, at
	}
	level := m.cap
	if units <= m.burst {
		level = min(units*m.window+min(rest, m.window-1), m.cap)
	}
	if passed := m.now - at; passed < full {
		m.level = max(level-passed*m.limit, 0)
	}
}

// free gives the units that are free, and the ms until cost would be; 0 if it is.
func (m *meter) free(cost int64) (units, retry int64) {
	if !m.windowed() {
		units = max(down(m.cap-m.level, m.window), 0)
		if lack := m.level + cost*m.window - m.cap; lack > 0 {
			retry = up(lack, m.limit) + m.wait
		}
		return units, retry
	}
	if m.kind == 'f' {
		if units = m.limit - m.cur; units < cost {
			retry = m.window - m.into + m.wait
		}
		return units, retry
	}
	room := (m.limit-m.cur)*m.window - m.prev*(m.window-m.into)
	units = max(down(room, m.window), 0)
	if cost*m.window <= room {
		return units, 0
	}
	retry = m.window - m.into + m.wait
	if m.cur+cost <= m.limit { // within this window the one before loses weight enough
		return units, retry - (m.limit-m.cur-cost)*m.window/m.prev
	}
	return units, retry + m.window - (m.limit-cost)*m.window/m.cur
}

// reset gives the ms until all is free.
func (m *meter) reset() int64 {
	if !m.windowed() {
		if m.level == 0 {
			return 0
		}
		return up(m.level, m.limit) + m.wait
	}
	rest := m.window - m.into + m.wait
	switch {
	case m.cur > 0 && m.kind == 's':
		return rest + m.window
	case m.cur > 0 || m.prev > 0:
		return rest
	}
	return 0
}

// add counts units, or with a negative number gives them back.
func (m *meter) add(units int64) {
	if !m.windowed() {
		m.level = max(m.level+units*m.window, 0)
		return
	}
	if m.cur += units; m.cur < 0 {
		m.cur, m.prev = 0, max(m.prev+m.cur, 0)
	}
}

// slot appends the meter as it is stored.
func (m *meter) slot(b []byte) []byte {
	switch {
	case m.windowed():
		return packSlot(b, m.kind, m.start, m.cur, m.prev)
	case m.kind == 'g':
		return packSlot(b, m.kind, m.now+m.level/m.limit, m.level%m.limit, 0)
	}
	return packSlot(b, m.kind, m.now, m.level/m.window, m.level%m.window)
}

// up divides and rounds up, down rounds down below 0 too; b is positive.
func up(a, b int64) int64 { return (a + b - 1) / b }

func down(a, b int64) int64 {
	if a < 0 {
		return -up(-a, b)
	}
	return a / b
}
