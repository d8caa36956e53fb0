package script

import (
	lua "github.com/yuin/gopher-lua"
)

// Lua's patterns, matched by backtracking. Recursion is bounded, and so is the time without a breath.

const (
	maxCaptures   = 32
	maxMatchDepth = 200 // of recursion: "pattern too complex" beyond
	matchBreath   = 1 << 14

	capUnfinished = -1
	capPosition   = -2
)

type capture struct{ start, size int }

type matcher struct {
	l        *lua.LState
	src, pat string
	depth    int
	steps    int
	level    int // number of captures
	captures [maxCaptures]capture
}

// match tries the pattern from p on at s and returns where the match ends, or -1.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.l.RaiseError("pattern too complex")
	}
	e := m.tail(s, p)
	m.depth--
	return e
}

// tail is match without counting its depth.
func (m *matcher) tail(s, p int) int {
	for {
		if m.steps++; m.steps%matchBreath == 0 {
			runOf(m.l).breathe(m.l)
		}
		if p >= len(m.pat) {
			return s
		}
		switch c := m.pat[p]; {
		case c == '(' && p+1 < len(m.pat) && m.pat[p+1] == ')':
			return m.open(s, p+2, capPosition)
		case c == '(':
			return m.open(s, p+1, capUnfinished)
		case c == ')':
			return m.close(s, p+1)
		case c == '$' && p+1 == len(m.pat):
			if s == len(m.src) {
				return s
			}
			return -1
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'b':
			if s = m.balance(s, p+2); s < 0 {
				return -1
			}
			p += 4
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'f':
			if p = m.frontier(s, p+2); p < 0 {
				return -1
			}
			continue
		case c == '%' && p+1 < len(m.pat) && isDigit(m.pat[p+1]):
			if s = m.backReference(s, m.pat[p+1]); s < 0 {
				return -1
			}
			p += 2
			continue
		}
		end, next, done := m.item(s, p)
		if done {
			return end
		}
		s, p = end, next
	}
}

// item matches one class with what follows it. done: the match has ended at end, or failed.
func (m *matcher) item(s, p int) (end, next int, done bool) {
	ep := m.classEnd(p)
	hit := s < len(m.src) && m.single(m.src[s], p, ep)
	var suffix byte
	if ep < len(m.pat) {
		suffix = m.pat[ep]
	}
	switch suffix {
	case '?':
		if hit {
			if e := m.match(s+1, ep+1); e >= 0 {
				return e, 0, true
			}
		}
		return s, ep + 1, false
	case '*':
		return m.most(s, p, ep), 0, true
	case '+':
		if !hit {
			return -1, 0, true
		}
		return m.most(s+1, p, ep), 0, true
	case '-':
		return m.least(s, p, ep), 0, true
	}
	if !hit {
		return -1, 0, true
	}
	return s + 1, ep, false
}

func (m *matcher) most(s, p, ep int) int {
	n := 0
	for s+n < len(m.src) && m.single(m.src[s+n], p, ep) {
		n++
	}
	for ; n >= 0; n-- {
		if e := m.match(s+n, ep+1); e >= 0 {
			return e
		}
	}
	return -1
}

func (m *matcher) least(s, p, ep int) int {
	for {
		if e := m.match(s, ep+1); e >= 0 {
			return e
		}
		if s >= len(m.src) || !m.single(m.src[s], p, ep) {
			return -1
		}
		s++
	}
}

func (m *matcher) open(s, p, what int) int {
	if m.level >= maxCaptures {
		m.l.RaiseError("too many captures")
	}
	m.captures[m.level] = capture{s, what}
	m.level++
	e := m.match(s, p)
	if e < 0 {
		m.level--
	}
	return e
}

func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for ; i >= 0 && m.captures[i].size != capUnfinished; i-- {
	}
	if i < 0 {
		m.l.RaiseError("invalid pattern capture")
	}
	m.captures[i].size = s - m.captures[i].start
	e := m.match(s, p)
	if e < 0 {
		m.captures[i].size = capUnfinished
	}
	return e
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.l.RaiseError("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	open, shut, depth := m.pat[p], m.pat[p+1], 1
	for i := s + 1; i < len(m.src); i++ {
		switch m.src[i] {
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

func (m *matcher) frontier(s, p int) int {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.l.RaiseError("%s", "missing '[' after '%f' in pattern")
	}
	ep := m.classEnd(p)
	var before, here byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		here = m.src[s]
	}
	if m.set(before, p, ep-1) || !m.set(here, p, ep-1) {
		return -1
	}
	return ep
}

func (m *matcher) backReference(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.captures[i].size == capUnfinished {
		m.l.RaiseError("invalid capture index")
	}
	c := m.captures[i]
	if c.size < 0 || len(m.src)-s < c.size || m.src[s:s+c.size] != m.src[c.start:c.start+c.size] {
		return -1
	}
	return s + c.size
}

// classEnd is the place behind the class that begins at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			m.l.RaiseError("%s", "malformed pattern (ends with '%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
			if p >= len(m.pat) {
				m.l.RaiseError("malformed pattern (missing ']')")
			}
			if p++; m.pat[p-1] == '%' && p < len(m.pat) {
				p++
			}
		}
		return p + 1
	}
	return p
}

// single tells whether a byte is in the class from p to ep.
func (m *matcher) single(c byte, p, ep int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.set(c, p, ep-1)
	}
	return m.pat[p] == c
}

// set tells whether a byte is in the set whose brackets are at p and end.
func (m *matcher) set(c byte, p, end int) bool {
	want := true
	if p+1 < end && m.pat[p+1] == '^' {
		want = false
		p++
	}
	for p++; p < end; p++ {
		switch {
		case m.pat[p] == '%' && p+1 < end:
			if p++; inClass(c, m.pat[p]) {
				return want
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return want
			}
			p += 2
		case m.pat[p] == c:
			return want
		}
	}
	return !want
}

// inClass tells whether a byte is in the class of a letter: of an upper case letter, whether it is not.
func inClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isLetter(c)
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = isDigit(c)
	case 'l':
		in = 'a' <= c && c <= 'z'
	case 'p':
		in = 32 < c && c < 127 && !isLetter(c) && !isDigit(c)
	case 's':
		in = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		in = 'A' <= c && c <= 'Z'
	case 'w':
		in = isLetter(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isLetter(class) {
		return class == c
	}
	return in == (class&0x20 != 0)
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// capture is capture i, or the whole match where the pattern has none.
func (m *matcher) capture(i, start, end int) lua.LValue {
	if i >= m.level {
		if i != 0 {
			m.l.RaiseError("invalid capture index")
		}
		return lua.LString(m.src[start:end])
	}
	c := m.captures[i]
	switch c.size {
	case capUnfinished:
		m.l.RaiseError("unfinished capture")
	case capPosition:
		return lua.LNumber(c.start + 1)
	}
	return lua.LString(m.src[c.start : c.start+c.size])
}

// pushCaptures pushes all captures, or the whole match where there are none and whole is wanted.
func (m *matcher) pushCaptures(start, end int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.l.Push(m.capture(i, start, end))
	}
	return n
}
