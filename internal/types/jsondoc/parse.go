package jsondoc

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Parsing gives the errors of the library that RedisJSON parses with (serde_json), texts and positions alike, since that is
// what clients get to see. Some errors are at the byte read last, and some at the byte looked at next: fail and failNext.

// Error is what is wrong with a text, a path or a document, as it is told to clients, code included where there is one.
type Error string

func (e Error) Error() string { return string(e) }

// Errors of documents.
const (
	ErrUTF8  Error = "Couldn't parse as UTF-8 string"
	ErrLarge Error = "ERR JSON document exceeds maximum allowed size (512MB)"
	ErrDeep  Error = "ERR JSON document exceeds maximum allowed depth (1024)"
)

// The ways in which a text is no JSON.
const (
	eofValue   = "EOF while parsing a value"
	eofString  = "EOF while parsing a string"
	eofList    = "EOF while parsing a list"
	eofObject  = "EOF while parsing an object"
	wantValue  = "expected value"
	wantIdent  = "expected ident"
	wantColon  = "expected `:`"
	wantList   = "expected `,` or `]`"
	wantObject = "expected `,` or `}`"
	notKey     = "key must be a string"
	comma      = "trailing comma"
	trailing   = "trailing characters"
	notNumber  = "invalid number"
	tooGreat   = "number out of range"
	notEscape  = "invalid escape"
	control    = "control character (\\u0000-\\u001F) found while parsing a string"
	lone       = "lone leading surrogate in hex escape"
	halfEscape = "unexpected end of hex escape"
	tooDeep    = "recursion limit exceeded"
)

// Parse is the encoding of a JSON text; it appends to dst[:0]. A text may nest 127 deep, as RedisJSON has it. The error is an
// Error. O(text).
func Parse(dst, text []byte) ([]byte, error) { return parse(dst, text, maxTextDepth) }

// ParseStored is Parse of the text of a document that was stored, which may nest as deep as any document.
func ParseStored(dst, text []byte) ([]byte, error) { return parse(dst, text, MaxDepth) }

func parse(dst, text []byte, depth int) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, ErrUTF8
	}
	p := parser{s: text, b: newBuilder(dst[:0]), depth: depth}
	ok := p.value()
	if ok && p.space() {
		ok = p.failNext(trailing)
	}
	switch {
	case !ok:
		return nil, p.error()
	case p.b.over:
		return nil, ErrLarge
	}
	return p.b.buf, nil
}

type parser struct {
	s       []byte
	at      int
	b       builder
	depth   int    // that is left
	scratch []byte // a string with escapes
	msg     string
	pos     int // of the error: bytes before it
}

// fail is an error at the byte read last, failNext at the next one.
func (p *parser) fail(msg string) bool {
	p.msg, p.pos = msg, p.at
	return false
}

func (p *parser) failNext(msg string) bool {
	p.msg, p.pos = msg, min(p.at+1, len(p.s))
	return false
}

func (p *parser) error() error {
	line, column := 1, 0
	for _, c := range p.s[:p.pos] {
		column++
		if c == '\n' {
			line, column = line+1, 0
		}
	}
	return Error(p.msg + " at line " + strconv.Itoa(line) + " column " + strconv.Itoa(column))
}

// space passes over blanks; false at the end.
func (p *parser) space() bool {
	for ; p.at < len(p.s); p.at++ {
		switch p.s[p.at] {
		case ' ', '\n', '\t', '\r':
		default:
			return true
		}
	}
	return false
}

// peek is the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *parser) value() bool {
	if !p.space() {
		return p.failNext(eofValue)
	}
	switch c := p.s[p.at]; {
	case c == 'n':
		return p.word("null", tagNull)
	case c == 't':
		return p.word("true", tagTrue)
	case c == 'f':
		return p.word("false", tagFalse)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == '"':
		s, ok := p.string()
		if ok {
			p.b.string(s)
		}
		return ok
	case c == '[' || c == '{':
		return p.nested(c)
	}
	return p.failNext(wantValue)
}

func (p *parser) nested(c byte) bool {
	if p.depth == 0 {
		return p.failNext(tooDeep)
	}
	p.depth--
	p.at++
	var ok bool
	if c == '[' {
		p.b.open(false)
		if ok = p.elements(); ok {
			p.b.close()
		}
	} else {
		p.b.open(true)
		if ok = p.members(); ok {
			p.b.closeParsed()
		}
	}
	p.depth++
	return ok
}

// word reads what must come next, whose first byte is there.
func (p *parser) word(w string, tag byte) bool {
	p.at++
	for i := 1; i < len(w); i++ {
		if p.at == len(p.s) {
			return p.fail(eofValue)
		}
		p.at++
		if p.s[p.at-1] != w[i] {
			return p.fail(wantIdent)
		}
	}
	p.b.tag(tag)
	return true
}

func (p *parser) elements() bool {
	for first := true; ; first = false {
		switch {
		case !p.space():
			return p.failNext(eofList)
		case p.s[p.at] == ']':
			p.at++
			return true
		case p.s[p.at] == ',' && !first:
			p.at++
			switch {
			case !p.space():
				return p.failNext(eofValue)
			case p.s[p.at] == ']':
				return p.failNext(comma)
			}
		case !first:
			return p.failNext(wantList)
		}
		if !p.value() {
			return false
		}
	}
}

func (p *parser) members() bool {
	for first := true; ; first = false {
		switch {
		case !p.space():
			return p.failNext(eofObject)
		case p.s[p.at] == '}':
			p.at++
			return true
		case p.s[p.at] == ',' && !first:
			p.at++
			switch {
			case !p.space():
				return p.failNext(eofValue)
			case p.s[p.at] == '}':
				return p.failNext(comma)
			}
		case !first:
			return p.failNext(wantObject)
		}
		if !p.member() {
			return false
		}
	}
}

func (p *parser) member() bool {
	if p.s[p.at] != '"' {
		return p.failNext(notKey)
	}
	name, ok := p.string()
	if !ok {
		return false
	}
	p.b.key(name)
	p.b.hashes = append(p.b.hashes, hashOf(name))
	switch {
	case !p.space():
		return p.failNext(eofObject)
	case p.s[p.at] != ':':
		return p.failNext(wantColon)
	}
	p.at++
	return p.value()
}

// hashOf is FNV-1a: who makes names collide makes the parser compare names, no more.
func hashOf(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range name {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (p *parser) number() bool {
	from := p.at
	minus := p.s[p.at] == '-'
	if minus {
		p.at++
	}
	if p.at == len(p.s) {
		return p.fail(eofValue)
	}
	c := p.s[p.at]
	p.at++
	switch {
	case c == '0':
		if d := p.peek(); '0' <= d && d <= '9' {
			return p.failNext(notNumber)
		}
	case '1' <= c && c <= '9':
		p.digits()
	default:
		return p.fail(notNumber)
	}
	whole := p.at
	if p.peek() == '.' {
		p.at++
		if p.digits() == 0 {
			if p.at == len(p.s) {
				return p.failNext(eofValue)
			}
			return p.failNext(notNumber)
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		if !p.exponent() {
			return false
		}
	}
	return p.putNumber(string(p.s[from:p.at]), minus, p.at == whole)
}

func (p *parser) digits() (n int) {
	for ; p.at < len(p.s) && '0' <= p.s[p.at] && p.s[p.at] <= '9'; p.at++ {
		n++
	}
	return n
}

func (p *parser) exponent() bool {
	p.at++
	if c := p.peek(); c == '+' || c == '-' {
		p.at++
	}
	if p.at == len(p.s) {
		return p.fail(eofValue)
	}
	if p.digits() == 0 {
		p.at++
		return p.fail(notNumber)
	}
	return true
}

// putNumber writes an integer as such where it is one and has the bits, but for minus zero.
func (p *parser) putNumber(text string, minus, whole bool) bool {
	if whole && text != "-0" {
		if minus {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				p.b.int(n)
				return true
			}
		} else if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			if n <= math.MaxInt64 {
				p.b.int(int64(n))
			} else {
				p.b.uint(n)
			}
			return true
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil { // out of range; a number too small is zero, without an error
		return p.fail(tooGreat)
	}
	p.b.float(f)
	return true
}
