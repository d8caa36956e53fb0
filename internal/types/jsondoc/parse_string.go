package jsondoc

import (
	"strconv"
	"unicode/utf8"
)

// string reads a string, the opening quote included. What it gives is void after the next call.
func (p *parser) string() ([]byte, bool) {
	p.at++
	from := p.at
	p.scratch = p.scratch[:0]
	for ; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; {
		case c == '"':
			s := p.s[from:p.at]
			if len(p.scratch) > 0 {
				p.scratch = append(p.scratch, s...)
				s = p.scratch
			}
			p.at++
			return s, true
		case c == '\\':
			p.scratch = append(p.scratch, p.s[from:p.at]...)
			p.at++
			if !p.escape() {
				return nil, false
			}
			from = p.at
			p.at--
		case c < 0x20:
			p.at++
			return nil, p.fail(control)
		}
	}
	return nil, p.fail(eofString)
}

// escape reads what follows a backslash.
func (p *parser) escape() bool {
	if p.at == len(p.s) {
		return p.fail(eofString)
	}
	c := p.s[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return p.unicode()
	default:
		return p.fail(notEscape)
	}
	p.scratch = append(p.scratch, c)
	return true
}

func (p *parser) unicode() bool {
	r, ok := p.hex()
	switch {
	case !ok:
		return false
	case r >= 0xdc00 && r <= 0xdfff:
		return p.fail(lone)
	case r >= 0xd800 && r <= 0xdbff:
		for _, c := range []byte("\\u") {
			if p.at == len(p.s) {
				return p.fail(eofString)
			}
			p.at++
			if p.s[p.at-1] != c {
				return p.fail(halfEscape)
			}
		}
		low, ok := p.hex()
		switch {
		case !ok:
			return false
		case low < 0xdc00 || low > 0xdfff:
			return p.fail(lone)
		}
		r = (r-0xd800)<<10 + low - 0xdc00 + 0x10000
	}
	p.scratch = utf8.AppendRune(p.scratch, r)
	return true
}

func (p *parser) hex() (r rune, ok bool) {
	if len(p.s)-p.at < 4 {
		p.at = len(p.s)
		return 0, p.fail(eofString)
	}
	n, err := strconv.ParseUint(string(p.s[p.at:p.at+4]), 16, 16)
	if p.at += 4; err != nil {
		return 0, p.fail(notEscape)
	}
	return rune(n), true
}
