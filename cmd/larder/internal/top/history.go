package top

// Series is what a figure was, the newest last, as far back as it has room for.
type Series struct {
	points []Num
	room   int
}

func newSeries(room int) *Series { return &Series{room: room} }

func (s *Series) push(n Num) {
	if len(s.points) == s.room {
		copy(s.points, s.points[1:])
		s.points = s.points[:s.room-1]
	}
	s.points = append(s.points, n)
}

// last are the newest n points, fewer where there are fewer.
func (s *Series) last(n int) []Num { return s.points[max(len(s.points)-n, 0):] }

// mean is of the known ones of the points from old to new, counted back from the newest; unknown if they are fewer than half.
func (s *Series) mean(old, recent int) Num {
	var sum float64
	known := 0
	from, to := max(len(s.points)-old, 0), max(len(s.points)-recent, 0)
	for _, p := range s.points[from:to] {
		if p.OK {
			sum += p.V
			known++
		}
	}
	return maybe(sum/float64(known), known > 0 && known*2 >= old-recent)
}

// History is how the overview's figures went.
type History struct {
	Ops, Hits, Lookups, Used, Evictions, Expirations, P99, Net *Series
}

const historyPoints = 600

func newHistory() *History {
	n := func() *Series { return newSeries(historyPoints) }
	return &History{n(), n(), n(), n(), n(), n(), n(), n()}
}

func (h *History) push(o Overview) {
	h.Ops.push(o.Ops)
	h.Hits.push(o.HitRatio)
	h.Lookups.push(o.Lookups)
	h.Used.push(o.Used)
	h.Evictions.push(o.Evictions)
	h.Expirations.push(o.Expirations)
	h.P99.push(o.P99)
	h.Net.push(plus(o.NetIn, o.NetOut))
}

// lost marks a reading that failed.
func (h *History) lost() { h.push(Overview{}) }

// sparkline draws the newest points in one line of width characters. floor and ceiling fix the scale where they are known;
// otherwise it goes from zero to the highest. An unknown point is a blank.
func sparkline(points []Num, width int, ceiling Num, plain bool) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	if plain {
		bars = []rune("_.-~=*%#")
	}
	if len(points) > width {
		points = points[len(points)-width:]
	}
	top := ceiling.V
	if !ceiling.OK {
		for _, p := range points {
			top = max(top, p.V)
		}
	}
	line := make([]rune, 0, width)
	for range width - len(points) {
		line = append(line, ' ')
	}
	for _, p := range points {
		switch {
		case !p.OK:
			line = append(line, ' ')
		case top <= 0:
			line = append(line, bars[0])
		default:
			line = append(line, bars[min(max(int(p.V/top*float64(len(bars))), 0), len(bars)-1)])
		}
	}
	return string(line)
}
