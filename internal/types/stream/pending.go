package stream

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
)

// Pending is an entry that was handed out and not acknowledged.
type Pending struct {
	ID        ID
	Delivered int64 // when it was last handed out, Unix milliseconds
	Count     int64 // how often it was handed out
	owner     arena.Ref
}

// consumerLen is the length in bytes of the reference that a pending item begins with.
const consumerLen = 4

func (n *Pending) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n.owner))
	dst = binary.AppendUvarint(dst, uint64(n.Delivered))
	return binary.AppendUvarint(dst, uint64(n.Count))
}

// maxPending is the longest that append appends, in bytes.
const maxPending = consumerLen + 2*binary.MaxVarintLen64

func (p *place) pending() Pending {
	b := p.leaf[p.body:p.end]
	owner := arena.Ref(binary.LittleEndian.Uint32(b))
	delivered, n := binary.Uvarint(b[consumerLen:])
	count, _ := binary.Uvarint(b[consumerLen+n:])
	return Pending{p.id, int64(delivered), int64(count), owner}
}

// setOwner writes who has the entry into the leaf.
func (p *place) setOwner(ref arena.Ref) { binary.LittleEndian.PutUint32(p.leaf[p.body:], uint32(ref)) }

// Pending returns how many entries the group's consumers have not acknowledged. O(1).
func (g *Group) Pending() int { return g.pel.len() }

// PendingRange gives fn what is pending from one ID to another, both included, in order, until it returns false.
// O(log n + entries).
func (g *Group) PendingRange(from, to ID, fn func(n *Pending) bool) {
	g.pel.walk(from, to, false, func(p *place) bool {
		n := p.pending()
		return fn(&n)
	})
}

// PendingOf is PendingRange of one consumer. O(entries * log n).
func (g *Group) PendingOf(c *Consumer, from, to ID, fn func(n *Pending) bool) {
	c.ids.walk(from, to, false, func(p *place) bool {
		n, ok := g.PendingEntry(p.id)
		return !ok || fn(&n)
	})
}

// PendingEntry returns what is known of a pending entry; false if it is not pending. O(log n) and a leaf.
func (g *Group) PendingEntry(id ID) (Pending, bool) {
	var p place
	if !g.pel.find(&p, id) {
		return Pending{}, false
	}
	return p.pending(), true
}

// PendingCount returns how many entries are pending from one ID to another, both included. O(log n) and two leaves.
func (g *Group) PendingCount(from, to ID) int { return g.pel.count(from, to) }

// PendingCount returns how many entries are pending for the consumer from one ID to another, both included. O(log n) and
// two leaves.
func (c *Consumer) PendingCount(from, to ID) int { return c.ids.count(from, to) }

// PendingFrom returns the first pending entry that does not precede an ID; false if there is none. O(log n) and a leaf.
func (g *Group) PendingFrom(id ID) (Pending, bool) {
	var p place
	if !g.pel.seek(&p, id) {
		return Pending{}, false
	}
	return p.pending(), true
}

// PendingSpan returns the IDs of the first and the last pending entry; there is one.
func (g *Group) PendingSpan() (first, last ID) {
	var p, q place
	g.pel.first(&p)
	g.pel.last(&q)
	return p.id, q.id
}

// Owner returns the name of the consumer that a pending entry was handed to.
func (g *Group) Owner(n *Pending) []byte { return g.consumers.name(n.owner) }

// OwnedBy tells whether a pending entry was handed to a consumer.
func (n *Pending) OwnedBy(c *Consumer) bool { return n.owner == c.ref }

// Assign makes an entry pending for a consumer, whoever had it, as delivered then and so often. Group and consumer are
// up to date then but not saved. O(log n) and two leaves, four if it moves from one consumer to another.
func (g *Group) Assign(c *Consumer, n Pending) {
	n.owner = c.ref
	var buf [maxPending]byte
	body := n.append(buf[:0])
	if g.pel.insert(n.ID, body) {
		c.ids.insert(n.ID, nil)
		return
	}
	var p place
	g.pel.find(&p, n.ID)
	old := p.pending()
	g.pel.update(&p, body)
	if old.owner == c.ref {
		return
	}
	before := g.consumer(old.owner)
	before.forget(n.ID)
	c.ids.insert(n.ID, nil)
}

// forget takes an ID off the consumer's list, and saves that.
func (c *Consumer) forget(id ID) {
	var p place
	if c.ids.find(&p, id) {
		c.ids.remove(&p)
		c.Save()
	}
}

// Ack makes an entry pending no longer; false if it was not. The group is up to date then but not saved; a Consumer that
// is open for work must be opened anew. O(log n) and two leaves.
func (g *Group) Ack(id ID) bool {
	var p place
	if !g.pel.find(&p, id) {
		return false
	}
	c := g.consumer(p.pending().owner)
	g.pel.remove(&p)
	c.forget(id)
	return true
}
