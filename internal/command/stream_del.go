package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

// reference is what a removal of an entry does with groups that have it pending.
type reference uint8

const (
	keepRef  reference = iota // nothing
	delRef                    // it is pending no longer
	ackedRef                  // it stays until all groups were given and have acknowledged it
)

// What XDELEX and XACKDEL reply of each ID.
const (
	idMissing = -1
	idDeleted = 1
	idNeeded  = 2 // by a group
)

const (
	errNumIDs   engine.Error = "ERR Number of IDs must be a positive integer"
	errIDsCount engine.Error = "ERR The `numids` parameter must match the number of arguments"
)

// removeArgs reads [KEEPREF|DELREF|ACKED] IDS n id... in any order, from an argument on.
func (c *Ctx) removeArgs(i int) (ref reference, ids []stream.ID, err error) {
	for chosen := false; i < len(c.Args); {
		r, named := c.reference(i)
		switch {
		case named && !chosen:
			ref, chosen = r, true
			i++
		case c.Is(i, "IDS") && ids == nil && i+2 < len(c.Args):
			if ids, err = c.countedIDs(i + 1); err != nil {
				return ref, nil, err
			}
			i += 2 + len(ids)
		default:
			return ref, nil, errSyntax
		}
	}
	if ids == nil {
		err = errSyntax
	}
	return ref, ids, err
}

func (c *Ctx) reference(i int) (ref reference, named bool) {
	switch {
	case c.Is(i, "KEEPREF"):
		return keepRef, true
	case c.Is(i, "DELREF"):
		return delRef, true
	case c.Is(i, "ACKED"):
		return ackedRef, true
	}
	return 0, false
}

// countedIDs reads a number and as many IDs.
func (c *Ctx) countedIDs(i int) ([]stream.ID, error) {
	n, err := c.atLeast(i, 1, errNumIDs)
	if err != nil {
		return nil, err
	}
	if n > len(c.Args)-i-1 {
		return nil, errIDsCount
	}
	ids := make([]stream.ID, n)
	for k := range ids {
		if ids[k], err = c.streamID(i+1+k, 0); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// replyMissing replies that none of n IDs is there.
func (c *Ctx) replyMissing(n int) {
	c.Out.Array(n)
	for range n {
		c.Out.Int(idMissing)
	}
}

// remover removes entries of a stream, heeding its groups. It journals XACK and XDEL, which replicas of any age know.
type remover struct {
	c       *Ctx
	s       *stream.Stream
	ref     reference
	deleted int
}

// remove removes an entry, and says what became of it.
func (r *remover) remove(id stream.ID) int64 {
	switch {
	case r.ref == ackedRef && r.s.Needed(id):
		if r.s.Exists(id) {
			return idNeeded
		}
		return idMissing
	case r.ref == delRef:
		r.s.Forget(id, func(group []byte) { r.acked(group, id) })
	}
	if !r.s.Delete(id) {
		return idMissing
	}
	r.deleted++
	if r.c.Tx.Journaling() {
		r.c.Tx.Effect(words("XDEL"), r.c.Args[1], idWord(id))
	}
	return idDeleted
}

// acked tells that an entry is pending no longer in a group.
func (r *remover) acked(group []byte, id stream.ID) {
	r.c.Tx.Remembered()
	if r.c.Tx.Journaling() {
		r.c.Tx.Effect(words("XACK"), r.c.Args[1], slices.Clone(group), idWord(id))
	}
}

// done saves and tells what was removed.
func (r *remover) done() {
	r.s.Save()
	if r.deleted > 0 {
		r.c.Tx.Changed(r.c.Args[1], engine.EventXDel)
	}
}

func xdelEx(c *Ctx) {
	ref, ids, err := c.removeArgs(2)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.Stream)
	if !ok {
		return
	}
	if e == nil {
		c.replyMissing(len(ids))
		return
	}
	s := stream.Edit(e)
	r := remover{c: c, s: &s, ref: ref}
	c.Out.Array(len(ids))
	for _, id := range ids {
		c.Out.Int(r.remove(id))
	}
	r.done()
}

func xackDel(c *Ctx) {
	ref, ids, err := c.removeArgs(3)
	if err != nil {
		c.Fail(err)
		return
	}
	s, _, ok := c.readGroupAt(1)
	if !ok {
		return
	}
	if s == nil {
		c.replyMissing(len(ids))
		return
	}
	r := remover{c: c, s: s, ref: ref}
	c.Out.Array(len(ids))
	for _, id := range ids {
		g, _ := s.Group(c.Args[2]) // anew: removing an entry may change the groups
		if !g.Ack(id) {
			c.Out.Int(idMissing)
			continue
		}
		g.Save()
		r.acked(c.Args[2], id)
		if r.remove(id) == idNeeded {
			c.Out.Int(idNeeded)
		} else {
			c.Out.Int(idDeleted)
		}
	}
	r.done()
}
