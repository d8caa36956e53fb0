package geo

import "math"

// Shape is an area to search: a circle, or a box whose sides follow the meridians and parallels.
type Shape struct {
	Center Place
	Box    bool

	Radius        float64 // of a circle, in units
	Width, Height float64 // of a box, in units
	Unit          float64 // metres
}

// Range is the scores from Min up to, not including, Max.
type Range struct{ Min, Max uint64 }

// Distance is that of a place from the centre, in metres; false if it is outside of the area.
func (s *Shape) Distance(p Place) (metres float64, inside bool) {
	if !s.Box {
		metres = Distance(s.Center, p)
		return metres, !(metres > s.Radius*s.Unit)
	}
	if meridianDistance(p.Latitude, s.Center.Latitude) > s.Height*s.Unit/2 {
		return 0, false
	}
	if Distance(p, Place{s.Center.Longitude, p.Latitude}) > s.Width*s.Unit/2 {
		return 0, false
	}
	return Distance(s.Center, p), true
}

// reach is the distance of the farthest place of the area, in metres.
func (s *Shape) reach() float64 {
	if s.Box {
		w, h := s.Width/2, s.Height/2
		return math.Sqrt(float64(w*w)+float64(h*h)) * s.Unit
	}
	return s.Radius * s.Unit
}

// bounds are the outermost longitudes and latitudes of the area; they may lie beyond the limits,
// and around the poles be no numbers.
func (s *Shape) bounds() (low, high Place) {
	height, width := s.Unit*s.Radius, s.Unit*s.Radius
	if s.Box {
		height, width = s.Unit*(s.Height/2), s.Unit*(s.Width/2)
	}
	c := s.Center
	north := height / earthRadius / degree
	widest := c.Latitude + north // the parallel on which the width spans most degrees
	if c.Latitude < 0 {
		widest = c.Latitude - north
	}
	east := width / earthRadius / math.Cos(widest*degree) / degree
	return Place{c.Longitude - east, c.Latitude - north}, Place{c.Longitude + east, c.Latitude + north}
}

// step estimates the greatest step at which nine cells cover the area: cells become smaller
// towards the poles.
func (s *Shape) step() uint {
	reach := s.reach()
	if reach == 0 {
		return maxStep
	}
	step := -1
	for ; reach < mercatorMax; reach *= 2 {
		step++
	}
	if north := math.Abs(s.Center.Latitude); north > 80 {
		step -= 2
	} else if north > 66 {
		step--
	}
	return uint(max(1, min(maxStep, step)))
}

// around are the cells around one in the order in which Redis looks at them, which the order of
// a reply without a sorting shows: columns to the east, rows to the north.
func around() [9][2]int {
	return [9][2]int{{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}}
}

// Ranges appends to dst ranges of scores, at most nine, that have all places of the area, and
// others. O(1).
func (s *Shape) Ranges(dst []Range) []Range {
	low, high := s.bounds()
	center := cellOf(s.Center, s.step())
	if center.step > 1 && !center.reaches(low, high) {
		center = cellOf(s.Center, center.step-1)
	}
	cellLow, cellHigh := center.corners()
	last, have := cell{}, false
	for i, d := range around() {
		if center.step >= 2 && // the area does not go beyond the cell on that side
			(d[0] < 0 && cellLow.Longitude < low.Longitude || d[0] > 0 && cellHigh.Longitude > high.Longitude ||
				d[1] < 0 && cellLow.Latitude < low.Latitude || d[1] > 0 && cellHigh.Latitude > high.Latitude) {
			continue
		}
		c := center.moved(d[0], d[1])
		if have && c == last { // cells of half the world are their own neighbours
			continue
		}
		last, have = c, i > 0
		dst = append(dst, c.scores())
	}
	return dst
}

// reaches tells whether the cell and its neighbours extend to the bounds.
func (c cell) reaches(low, high Place) bool {
	_, north := c.moved(0, 1).corners()
	south, _ := c.moved(0, -1).corners()
	_, east := c.moved(1, 0).corners()
	west, _ := c.moved(-1, 0).corners()
	return !(north.Latitude < high.Latitude || south.Latitude > low.Latitude ||
		east.Longitude < high.Longitude || west.Longitude > low.Longitude)
}
