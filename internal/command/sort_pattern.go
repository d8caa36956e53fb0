package command

import (
	"bytes"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/hash"
)

// sortPattern is what BY and GET make of an element: the element itself ("#"), the string at
// the key that comes of putting the element in the place of the first "*", the field of a hash
// there ("key_*->field"), or nothing, where there is no "*".
type sortPattern struct {
	self           bool
	refers         bool // to a key
	prefix, suffix []byte
	field          []byte // nil: the key holds a string
}

// parsePattern reads a pattern, whose bytes it keeps. What is special ends with a NUL, as C's strings do.
func parsePattern(word []byte) (p sortPattern) {
	special := untilNUL(word)
	star := bytes.IndexByte(special, '*')
	if star < 0 {
		p.self = string(special) == "#"
		return p
	}
	p.refers, p.prefix, p.suffix = true, word[:star], word[star+1:]
	arrow := bytes.Index(special[star+1:], []byte("->"))
	if arrow >= 0 && len(special) > star+1+arrow+2 {
		p.field = p.suffix[arrow+2:]
		p.suffix = p.suffix[:arrow]
	}
	return p
}

// lookup finds what a pattern makes of an element. The bytes are good until the next call. O(1).
func (s *sorting) lookup(p *sortPattern, element []byte) (value []byte, ok bool) {
	switch {
	case p.self:
		return element, true
	case !p.refers:
		return nil, false
	}
	s.key = append(append(append(s.key[:0], p.prefix...), element...), p.suffix...)
	tx := s.c.Tx
	tx.Step() // the key is another in the same bytes
	e := tx.Find(s.key)
	if e != nil && p.field == nil && engine.Kind(e.Kind()) == engine.String {
		return e.Value(), true
	}
	s.key = nil // it may have gone, or fields of it, and then listeners are told the key by its bytes
	if e != nil && p.field != nil && engine.Kind(e.Kind()) == engine.Hash {
		if v, found := hash.Get(e, p.field); found {
			return s.c.bytes(v), true
		}
	}
	return nil, false
}

// inScript tells whether a Lua script runs the command.
func (c *Ctx) inScript() bool { return c.Session.lua != nil && c.Session.lua.args != nil }
