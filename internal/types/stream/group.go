package stream

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
)

// Unknown is the read counter of a group of which it cannot be told.
const Unknown int64 = -1

// A group's cell, behind the length of its name:
const (
	groupLast      = nameLen
	groupRead      = groupLast + idSize
	groupPending   = groupRead + 8
	groupConsumers = groupPending + rootSize
)

// Group is a consumer group that is open for work. Save is due after an edit, and the group is void after the stream's
// groups change.
type Group struct {
	s         *Stream
	ref       arena.Ref
	pel       series
	consumers directory

	// LastID is the ID of the last entry that was handed out.
	LastID ID
	// Read is how many entries of all that were ever added the group has come past; Unknown.
	Read int64
}

func (s *Stream) group(ref arena.Ref) Group {
	a := s.log.a
	b := a.Bytes(ref)
	return Group{
		s: s, ref: ref,
		pel:       load(a, b[groupPending:], pending),
		consumers: loadConsumers(a, b[groupConsumers:]),
		LastID:    idAt(b[groupLast:]),
		Read:      int64(binary.LittleEndian.Uint64(b[groupRead:])),
	}
}

// Save stores the group.
func (g *Group) Save() {
	b := g.pel.a.Bytes(g.ref)
	g.LastID.put(b[groupLast:])
	binary.LittleEndian.PutUint64(b[groupRead:], uint64(g.Read))
	g.pel.save(b[groupPending:])
	g.consumers.save(b[groupConsumers:])
}

// Groups returns the number of consumer groups. O(1).
func (s *Stream) Groups() int { return s.names().len() }

// Group returns the group of a name; false if there is none. O(log n).
func (s *Stream) Group(name []byte) (Group, bool) {
	ref, ok := s.names().get(name)
	if !ok {
		return Group{}, false
	}
	return s.group(ref), true
}

// CreateGroup adds a group; false, and nothing is changed, if there is one of that name. O(log n).
func (s *Stream) CreateGroup(name []byte, last ID, read int64) bool {
	ref, added := s.names().add(name)
	if !added {
		return false
	}
	g := s.group(ref)
	g.LastID, g.Read = last, read
	g.Save()
	return true
}

// DestroyGroup removes a group and all that is pending in it; false if there is none. O(log n), and O(pending).
func (s *Stream) DestroyGroup(name []byte) bool {
	ref, ok := s.names().get(name)
	if !ok {
		return false
	}
	g := s.group(ref)
	g.pel.free()
	g.consumers.each(func(ref arena.Ref) bool {
		c := g.consumer(ref)
		c.ids.free()
		g.pel.a.Free(ref)
		return true
	})
	for !g.consumers.order.FreeStep(1 << 10) {
	}
	s.names().remove(name)
	return true
}

// EachGroup visits the groups in the order of their names. fn may save the group.
func (s *Stream) EachGroup(fn func(name []byte, g *Group)) {
	s.names().each(func(ref arena.Ref) bool {
		g := s.group(ref)
		fn(s.names().name(ref), &g)
		return true
	})
}

// A consumer's cell, behind the length of its name:
const (
	consSeen   = nameLen
	consActive = consSeen + 8
	consIDs    = consActive + 8
)

// Never is the active time of a consumer that was not given any entry yet.
const Never int64 = -1

// Consumer is a consumer of a group that is open for work. Save is due after an edit.
type Consumer struct {
	ref arena.Ref
	ids series

	// Seen is when the consumer last asked for something, Active when it was last given something: Unix milliseconds, or
	// Never.
	Seen, Active int64
}

func (g *Group) consumer(ref arena.Ref) Consumer {
	b := g.pel.a.Bytes(ref)
	return Consumer{
		ref: ref, ids: load(g.pel.a, b[consIDs:], idsOnly),
		Seen:   int64(binary.LittleEndian.Uint64(b[consSeen:])),
		Active: int64(binary.LittleEndian.Uint64(b[consActive:])),
	}
}

// Save stores the consumer.
func (c *Consumer) Save() {
	b := c.ids.a.Bytes(c.ref)
	binary.LittleEndian.PutUint64(b[consSeen:], uint64(c.Seen))
	binary.LittleEndian.PutUint64(b[consActive:], uint64(c.Active))
	c.ids.save(b[consIDs:])
}

// Pending returns how many entries the consumer has not acknowledged. O(1).
func (c *Consumer) Pending() int { return c.ids.len() }

// Consumers returns the number of consumers. O(1).
func (g *Group) Consumers() int { return g.consumers.len() }

// Consumer returns the consumer of a name; false if there is none. O(log n).
func (g *Group) Consumer(name []byte) (Consumer, bool) {
	ref, ok := g.consumers.get(name)
	if !ok {
		return Consumer{}, false
	}
	return g.consumer(ref), true
}

// NameOf returns the name of a consumer.
func (g *Group) NameOf(c *Consumer) []byte { return g.consumers.name(c.ref) }

// CreateConsumer returns the consumer of a name; if there is none, it is added, as seen at the given time and never
// active. O(log n).
func (g *Group) CreateConsumer(name []byte, now int64) (c Consumer, created bool) {
	ref, created := g.consumers.add(name)
	c = g.consumer(ref)
	if created {
		c.Seen, c.Active = now, Never
		c.Save()
		g.Save()
	}
	return c, created
}

// DeleteConsumer removes a consumer and what is pending for it, and returns how many entries that was; false if there is
// no such consumer. O(pending of the consumer * log n).
func (g *Group) DeleteConsumer(name []byte) (dropped int, ok bool) {
	c, ok := g.Consumer(name)
	if !ok {
		return 0, false
	}
	dropped = c.Pending()
	c.ids.walk(ID{}, MaxID(), false, func(p *place) bool {
		var q place
		if g.pel.find(&q, p.id) {
			g.pel.remove(&q)
		}
		return true
	})
	c.ids.free()
	g.consumers.remove(name)
	g.Save()
	return dropped, true
}

// EachConsumer visits the consumers in the order of their names. fn may save the consumer.
func (g *Group) EachConsumer(fn func(name []byte, c *Consumer)) {
	g.consumers.each(func(ref arena.Ref) bool {
		c := g.consumer(ref)
		fn(g.consumers.name(ref), &c)
		return true
	})
}

// Needed tells whether a group still needs an entry: it was not given it yet, or it has it pending.
// O(groups * log n).
func (s *Stream) Needed(id ID) bool {
	needed := false
	s.names().each(func(ref arena.Ref) bool {
		g := s.group(ref)
		_, isPending := g.PendingEntry(id)
		needed = isPending || g.LastID.Less(id)
		return !needed
	})
	return needed
}

// Forget makes an entry pending in no group, and tells fn the names of those where it was. O(groups * log n).
func (s *Stream) Forget(id ID, fn func(group []byte)) {
	s.EachGroup(func(name []byte, g *Group) {
		if g.Ack(id) {
			g.Save()
			fn(name)
		}
	})
}
