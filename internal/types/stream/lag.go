package stream

// How far behind is a group? The group counts the entries that it came past, and the stream those it ever added; the
// difference is the lag, unless entries were deleted by name ahead of the group, of which only the greatest ID is kept.
// These are Redis's rules for when that can be told.

// Lag returns how many entries the group has still to be given; false if that cannot be told. O(log n).
func (g *Group) Lag() (int64, bool) {
	s := g.s
	if s.Added == 0 {
		return 0, true
	}
	if g.Read != Unknown && !s.deletedFrom(g.LastID) {
		return s.Added - g.Read, true
	}
	read := s.Distance(g.LastID)
	return s.Added - read, read != Unknown
}

// Advance notes that the group was given an entry.
func (g *Group) Advance(id ID) {
	if g.Read != Unknown && !g.s.deletedFrom(id) {
		g.Read++
	} else if g.s.Added != 0 {
		g.Read = g.s.Distance(id)
	}
	g.LastID = id
}

// deletedFrom tells whether an entry from id on may have been deleted by name.
func (s *Stream) deletedFrom(id ID) bool {
	return s.Len() > 0 && !s.MaxDeletedID.IsZero() && s.FirstID().Compare(s.MaxDeletedID) <= 0 && id.Compare(s.MaxDeletedID) <= 0
}

// Distance returns how many entries were added up to an ID, or Unknown. O(log n).
func (s *Stream) Distance(id ID) int64 {
	last := id.Compare(s.LastID)
	switch {
	case s.Added == 0:
		return 0
	case s.Len() == 0 && last <= 0, last == 0:
		return s.Added
	case last > 0:
		return Unknown
	}
	first := s.FirstID()
	if !s.MaxDeletedID.IsZero() && s.MaxDeletedID.Compare(first) >= 0 {
		return Unknown
	}
	switch before := s.Added - int64(s.Len()); id.Compare(first) {
	case -1:
		return before
	case 0:
		return before + 1
	}
	return Unknown
}
