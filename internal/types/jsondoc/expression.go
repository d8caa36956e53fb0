package jsondoc

import (
	"regexp"
	"regexp/syntax"
)

// Regular expressions take linear time, but in the product of text and program, and a{1000} is seven bytes and a long
// program. So a program is measured before it is compiled; to compile it and to run it counts as looks at values.
const (
	maxProgram     = 1 << 15 // instructions of one expression
	maxPrograms    = 1 << 16 // and of all that a path names
	looksToCompile = 16      // for an instruction
	stepsALook     = 8       // bytes of text times instructions
)

// expression is a regular expression. One that cannot be read has no re and matches nothing.
type expression struct {
	text string
	re   *regexp.Regexp
	size int64 // about how many instructions
}

// readExpression measures an expression. O(text).
func readExpression(text string) expression {
	x := expression{text: text}
	if parsed, err := syntax.Parse(text, syntax.Perl); err == nil {
		x.size = programSize(parsed)
	}
	return x
}

func (x *expression) compile() { x.re, _ = regexp.Compile(x.text) }

// programSize is about how many instructions an expression becomes; a large class of characters counts as several.
func programSize(x *syntax.Regexp) int64 {
	n := int64(1)
	switch x.Op {
	case syntax.OpLiteral:
		n += int64(len(x.Rune))
	case syntax.OpCharClass:
		n += int64(len(x.Rune) / 32)
	}
	for _, sub := range x.Sub {
		n += 1 + programSize(sub)
	}
	if x.Op == syntax.OpRepeat {
		n *= int64(max(x.Min+1, x.Max)) // of {n,} the last is a loop
	}
	return n
}

// compileExpression is for a condition whose right side is a string; false: it is too large, or all of them are.
func (g *grammar) compileExpression(c *condition) bool {
	if c.op != opMatch || c.right.constant == nil {
		return true
	}
	n := Root(c.right.constant)
	if n.Type() != String {
		return true
	}
	c.re = readExpression(string(n.Bytes()))
	if g.programs += c.re.size; c.re.size > maxProgram || g.programs > maxPrograms {
		return false
	}
	c.re.compile()
	return true
}

// matches tells whether the string a has a match of the expression b somewhere.
func (m *matcher) matches(c *condition, a, b Node) bool {
	if a.Type() != String || b.Type() != String {
		return false
	}
	x := &c.re
	if c.right.constant == nil {
		x = m.expression(b.Bytes())
	}
	if x.re == nil {
		return false
	}
	m.looks -= int64(len(a.Bytes())) * x.size / stepsALook
	return m.looks >= 0 && x.re.Match(a.Bytes())
}

// expression is one that comes from the document: the last, if it is the same.
func (m *matcher) expression(text []byte) *expression {
	x := &m.last
	if string(text) == x.text {
		return x
	}
	*x = readExpression(string(text))
	m.looks -= int64(len(text)) + looksToCompile*x.size
	if x.size > maxProgram {
		m.looks = spent
	}
	if m.looks >= 0 {
		x.compile()
	}
	return x
}
