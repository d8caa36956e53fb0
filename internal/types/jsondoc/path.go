package jsondoc

import (
	"unicode/utf8"
)

// Path is a compiled path. It never changes, so that any number of goroutines may use it.
//
// A path that begins with $, alone or before a dot or a bracket, is a JSONPath and gives any number of values; any other
// is of the legacy dialect, whose . is the root and whose commands give one value. Both have the same steps.
type Path struct {
	text   string // as it was given
	steps  []step
	legacy bool
}

// step leads from a value to others.
type step struct {
	kind    stepKind
	names   [][]byte
	indexes []int
	from    bound
	to      bound
	stride  int
	filter  *filter
}

type stepKind uint8

const (
	stepNames stepKind = iota
	stepIndexes
	stepSlice
	stepAll
	stepScan // the value itself and everything within
	stepFilter
)

// bound is an end of a slice.
type bound struct {
	at    int
	given bool
}

// filter is what holds of an element: one of the alternatives, all of whose conditions hold.
type filter struct{ any [][]condition }

// condition is a filter in parentheses, or a comparison, or with opNone that there is such a value.
type condition struct {
	not         bool
	inner       *filter
	op          operator
	left, right operand
	re          expression // right, if it is a string
}

type operator uint8

const (
	opNone operator = iota
	opEqual
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opMatch
)

// operand is a constant, encoded like a value of a document, or steps from the element (@) or from the root ($).
type operand struct {
	constant []byte
	fromRoot bool
	steps    []step
}

// maxPath is how long a path may be, in bytes; maxFilters how deep filters may lie in each other.
const (
	maxPath    = 1 << 16
	maxFilters = 64
)

// Errors of paths.
const (
	errLongPath Error = "ERR path is too long"
	errDeepPath Error = "ERR path has too many filters within each other"

	errLargeExpression Error = "ERR regular expression is too large"
)

// Compile reads a path. The error is an Error, in the words of RedisJSON. O(path).
func Compile(text []byte) (*Path, error) {
	switch {
	case len(text) > maxPath:
		return nil, errLongPath
	case !utf8.Valid(text):
		return nil, ErrUTF8
	}
	p := &Path{text: string(text)}
	source := p.text
	if p.legacy = IsLegacy(text); p.legacy {
		switch {
		case source == ".":
			source = "$"
		case source != "" && source[0] == '.':
			source = "$" + source
		default:
			source = "$." + source
		}
	}
	g := grammar{s: source}
	steps, ok := g.query()
	switch {
	case g.deep:
		return nil, errDeepPath
	case g.costly:
		return nil, errLargeExpression
	case !ok:
		return nil, g.error()
	}
	p.steps = steps
	return p, nil
}

// IsLegacy tells whether a text would be a path of the legacy dialect.
func IsLegacy(text []byte) bool {
	return len(text) == 0 || text[0] != '$' || len(text) > 1 && text[1] != '.' && text[1] != '['
}

// Legacy tells whether the path is of the legacy dialect.
func (p *Path) Legacy() bool { return p.legacy }

// Text is the path as it was given.
func (p *Path) Text() string { return p.text }

// Root tells whether the path is that of the whole document.
func (p *Path) Root() bool { return len(p.steps) == 0 }

// static tells whether the path leads to one value at the most, whatever the document.
func (p *Path) static() bool {
	for _, s := range p.steps {
		if s.kind > stepIndexes || len(s.names)+len(s.indexes) > 1 {
			return false
		}
	}
	return true
}

// ParentAndName splits the last step off a path that can say where a new member goes: the path of the object, and the
// name. index tells that the last step is a position in an array. The error is an Error, in the words of RedisJSON.
func (p *Path) ParentAndName() (parent *Path, name []byte, index bool, err error) {
	switch {
	case !p.static():
		return nil, nil, false, errNotStatic
	case len(p.steps) == 0:
		return nil, nil, false, errNoMember
	}
	last := p.steps[len(p.steps)-1]
	if last.kind == stepIndexes {
		return nil, nil, true, nil
	}
	return &Path{text: p.text, steps: p.steps[:len(p.steps)-1], legacy: p.legacy}, last.names[0], false, nil
}

// Refusals of ParentAndName.
const (
	errNotStatic Error = "Err wrong static path"
	errNoMember  Error = "Err path must end with object key to set"
)
