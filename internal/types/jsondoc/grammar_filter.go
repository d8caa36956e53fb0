package jsondoc

import "strconv"

// filter reads conditions with && and || between them; && binds more tightly.
func (g *grammar) filter() (f *filter, ok bool) {
	if g.filters == maxFilters {
		g.deep = true
		return nil, false
	}
	g.filters++
	defer func() { g.filters-- }()
	f = &filter{}
	ok = g.rule(ruleFilter, func() bool {
		c, ok := g.condition()
		if !ok {
			return false
		}
		f.any = [][]condition{{c}}
		for {
			at := g.at
			g.blanks()
			or := false
			more := g.seq(func() bool {
				or = !g.rule(ruleAnd, g.lit("&&"))
				return !or || g.rule(ruleOr, g.lit("||"))
			}, func() bool { c, ok = g.condition(); return ok })
			if !more {
				g.at = at
				return true
			}
			if or {
				f.any = append(f.any, nil)
			}
			last := &f.any[len(f.any)-1]
			*last = append(*last, c)
		}
	})
	return f, ok
}

// condition reads a comparison, or a filter in parentheses; ! in front, which is more than RedisJSON has, negates it.
func (g *grammar) condition() (c condition, ok bool) {
	at := g.at
	for g.text("!") {
		c.not = !c.not
		g.blanks()
	}
	if g.single(&c) {
		return c, true
	}
	ok = g.seq(g.lit("("), func() (ok bool) { c.inner, ok = g.filter(); return ok }, g.lit(")"))
	if !ok {
		g.at = at
	}
	return c, ok
}

// single reads a term, and what it is compared with if an operator and a term follow. The term is read once, not again for
// the case that nothing follows: terms have filters in them, and so on.
func (g *grammar) single(c *condition) bool {
	return g.rule(ruleSingle, func() bool {
		if !g.term(&c.left) {
			return false
		}
		at := g.at
		g.blanks()
		compared := g.seq(func() (ok bool) { c.op, ok = g.operator(); return ok }, func() bool { return g.term(&c.right) })
		if !compared {
			g.at, c.op, c.right = at, opNone, operand{}
		}
		if !g.compileExpression(c) {
			g.costly = true
		}
		return true
	})
}

func (g *grammar) operator() (op operator, ok bool) {
	for _, o := range [...]struct {
		r    rule
		text string
		op   operator
	}{
		{ruleGE, ">=", opGreaterEqual}, {ruleGT, ">", opGreater}, {ruleLE, "<=", opLessEqual}, {ruleLT, "<", opLess},
		{ruleEQ, "==", opEqual}, {ruleNE, "!=", opNotEqual}, {ruleRE, "=~", opMatch},
	} {
		if g.rule(o.r, g.lit(o.text)) {
			return o.op, true
		}
	}
	return opNone, false
}

// term reads an operand.
func (g *grammar) term(o *operand) bool {
	*o = operand{}
	return g.place(ruleCurrent, "@", o) || g.place(ruleRoot, "$", o) || g.constant(o)
}

func (g *grammar) place(r rule, mark string, o *operand) bool {
	ok := g.rule(r, func() bool {
		return g.seq(g.lit(mark), func() bool { o.steps, _ = g.steps(); return true })
	})
	o.fromRoot = ok && r == ruleRoot
	return ok
}

func (g *grammar) constant(o *operand) bool {
	if g.decimal(o) {
		return true
	}
	b := newBuilder(nil)
	if s, ok := g.string(); ok {
		b.string(s)
		o.constant = b.buf
		return true
	}
	for _, w := range [...]struct {
		r    rule
		text string
		tag  byte
	}{{ruleTrue, "true", tagTrue}, {ruleFalse, "false", tagFalse}, {ruleNull, "null", tagNull}} {
		if g.rule(w.r, g.lit(w.text)) {
			o.constant = []byte{w.tag}
			return true
		}
	}
	return false
}

// decimal reads a number, which may have a fraction but no exponent.
func (g *grammar) decimal(o *operand) bool {
	from := g.at
	return g.rule(ruleDecimal, func() bool {
		if !g.digits(true) {
			return false
		}
		if end := g.at; g.text(".") {
			if !g.fraction() {
				g.at = end
			}
		}
		text := g.s[from:g.at]
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			o.constant = appendInt(nil, n)
			return true
		}
		f, err := strconv.ParseFloat(text, 64)
		o.constant = appendFloat(nil, f) // out of range: infinite, which compares as it should
		return err == nil || f != 0
	})
}

func (g *grammar) fraction() bool {
	from := g.at
	for g.at < len(g.s) && '0' <= g.s[g.at] && g.s[g.at] <= '9' {
		g.at++
	}
	return g.at > from
}
