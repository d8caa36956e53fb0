package jsondoc

import (
	"slices"
	"strconv"
	"strings"
)

// grammar reads a path by RedisJSON's grammar, alternatives in the same order, so that it takes what RedisJSON takes. It
// also notes what would have been fitting at the farthest place that it came to, in the way of the parser generator that
// RedisJSON uses (pest), because the error that clients see lists that.
//
// A method is a rule or part of one: it reads and returns true, or returns false and leaves the position where it was.
type grammar struct {
	s       string
	at      int
	far     int    // the farthest place at which a rule failed
	tried   []rule // what failed there
	filters int    // open ones
	deep    bool

	programs int64 // instructions of expressions
	costly   bool
}

// rule is a rule that errors name, in the order in which they name them.
type rule uint8

const (
	ruleEnd rule = iota
	ruleLiteral
	rulePositive
	ruleNumber
	ruleDecimal
	ruleNumbers
	ruleRange
	ruleRightRange
	ruleAllRange
	ruleLeftRange
	ruleFullRange
	ruleCurrent
	ruleRoot
	ruleGE
	ruleGT
	ruleLE
	ruleLT
	ruleEQ
	ruleNE
	ruleRE
	ruleTrue
	ruleFalse
	ruleNull
	ruleSingle
	ruleAnd
	ruleOr
	ruleFilter
	ruleAll
	ruleScan
	ruleSteps
	ruleStrings
)

var ruleNames = [...]string{
	ruleEnd: "EOI", ruleLiteral: "<string>", rulePositive: "pos_number", ruleNumber: "'<number>'", ruleDecimal: "decimal",
	ruleNumbers: "'<number>[,<number>,...]'", ruleRange: "['start:end:steps']", ruleRightRange: "right_range",
	ruleAllRange: "all_range", ruleLeftRange: "left_range", ruleFullRange: "full_range", ruleCurrent: "from_current",
	ruleRoot: "from_root", ruleGE: "ge", ruleGT: "gt", ruleLE: "le", ruleLT: "lt", ruleEQ: "eq", ruleNE: "ne", ruleRE: "re",
	ruleTrue: "boolean_true", ruleFalse: "boolean_false", ruleNull: "null", ruleSingle: "single_filter", ruleAnd: "and",
	ruleOr: "or", ruleFilter: "'[?(filter_expression)]'", ruleAll: "'*'", ruleScan: "'..'", ruleSteps: "root",
	ruleStrings: "'<string>[,<string>,...]'",
}

// order is the place of a rule in errors, where that is not its number.
func (r rule) order() int {
	if r == ruleStrings {
		return 2*int(ruleLiteral) + 1 // right behind it
	}
	return 2 * int(r)
}

func (g *grammar) error() error {
	slices.SortFunc(g.tried, func(a, b rule) int { return a.order() - b.order() })
	var names []string
	for _, r := range slices.Compact(g.tried) {
		names = append(names, ruleNames[r])
	}
	what := "parsing error"
	if names != nil {
		what = "expected one of the following: " + strings.Join(names, ", ")
	}
	at := strconv.Itoa(g.far)
	return Error("Error occurred at position " + at + ", Error at position " + at + ": " + what)
}

// rule reads by f, and notes the rule where that fails, unless f came farther or notes just one that says more.
func (g *grammar) rule(r rule, f func() bool) bool {
	at, had := g.at, 0
	if at == g.far {
		had = len(g.tried)
	}
	if f() {
		return true
	}
	g.at = at
	if at < g.far || at == g.far && len(g.tried) == had+1 {
		return false
	}
	if at > g.far {
		g.far = at
	}
	g.tried = append(g.tried[:had], r)
	return false
}

// seq reads all parts with blanks between them, or nothing.
func (g *grammar) seq(parts ...func() bool) bool {
	at := g.at
	for i, f := range parts {
		if i > 0 {
			g.blanks()
		}
		if !f() {
			g.at = at
			return false
		}
	}
	return true
}

func (g *grammar) blanks() {
	for g.at < len(g.s) && g.s[g.at] == ' ' {
		g.at++
	}
}

func (g *grammar) text(s string) bool {
	if strings.HasPrefix(g.s[g.at:], s) {
		g.at += len(s)
		return true
	}
	return false
}

// lit is text as a part of a sequence.
func (g *grammar) lit(s string) func() bool { return func() bool { return g.text(s) } }

func (g *grammar) query() (steps []step, ok bool) {
	ok = g.seq(g.lit("$"), func() bool { steps, _ = g.steps(); return true },
		func() bool { return g.rule(ruleEnd, func() bool { return g.at == len(g.s) }) })
	return steps, ok
}

// steps reads the rule root.
func (g *grammar) steps() (list []step, ok bool) {
	ok = g.rule(ruleSteps, func() bool {
		if !g.element(&list) && !g.first(&list) {
			return false
		}
		for {
			at := g.at
			g.blanks()
			if !g.element(&list) {
				g.at = at
				return true
			}
		}
	})
	return list, ok
}

// first reads a step without a dot in front.
func (g *grammar) first(list *[]step) bool { return g.literal(list) || g.all(list) }

func (g *grammar) element(list *[]step) bool {
	n := len(*list)
	back := func() bool { *list = (*list)[:n]; return false }
	lit := func() bool { return g.literal(list) }
	all := func() bool { return g.all(list) }
	bracket := func() bool { return g.bracket(list) }
	square := func() bool { return g.seq(g.lit("["), bracket, g.lit("]")) || back() }
	scan := func() bool {
		if !g.rule(ruleScan, g.lit("..")) {
			return false
		}
		*list = append(*list, step{kind: stepScan})
		return true
	}
	what := func() bool {
		n := len(*list)
		return lit() || all() || g.seq(g.lit("["), bracket, g.lit("]")) || func() bool { *list = (*list)[:n]; return false }()
	}
	return g.seq(g.lit("."), lit) || back() ||
		g.seq(scan, what) || back() ||
		g.seq(g.lit("."), all) || back() ||
		g.seq(g.lit("."), square) || square()
}

func isLiteral(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_`~+#%$^/:", c) >= 0
}

func (g *grammar) literal(list *[]step) bool {
	from := g.at
	return g.rule(ruleLiteral, func() bool {
		for g.at < len(g.s) && isLiteral(g.s[g.at]) {
			g.at++
		}
		if g.at == from {
			return false
		}
		*list = append(*list, step{kind: stepNames, names: [][]byte{[]byte(g.s[from:g.at])}})
		return true
	})
}

func (g *grammar) all(list *[]step) bool {
	if !g.rule(ruleAll, g.lit("*")) {
		return false
	}
	*list = append(*list, step{kind: stepAll})
	return true
}

func (g *grammar) bracket(list *[]step) bool {
	return g.slice(list) || g.numbers(list) || g.strings(list) || g.all(list) || g.question(list)
}

func (g *grammar) question(list *[]step) bool {
	var f *filter
	ok := g.seq(g.lit("?"), func() (ok bool) { f, ok = g.filter(); return ok })
	if ok {
		*list = append(*list, step{kind: stepFilter, filter: f})
	}
	return ok
}

// number reads an integer. One that is too great for any position is as good as the greatest.
func (g *grammar) number(n *int) bool {
	from := g.at
	return g.rule(ruleNumber, func() bool {
		if !g.digits(true) {
			return false
		}
		*n = toInt(g.s[from:g.at])
		return true
	})
}

// digits reads a number without leading zeros.
func (g *grammar) digits(sign bool) bool {
	at := g.at
	if sign {
		g.text("-")
	}
	switch {
	case g.at == len(g.s) || g.s[g.at] < '0' || g.s[g.at] > '9':
		g.at = at
		return false
	case g.s[g.at] == '0':
		g.at++
	default:
		for g.at < len(g.s) && '0' <= g.s[g.at] && g.s[g.at] <= '9' {
			g.at++
		}
	}
	return true
}

const farIndex = 1 << 30 // no array has so many elements

func toInt(s string) int {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && s[0] == '-' || n < -farIndex:
		return -farIndex
	case err != nil || n > farIndex:
		return farIndex
	}
	return int(n)
}

func (g *grammar) positive(n *int) bool {
	from := g.at
	return g.rule(rulePositive, func() bool {
		if g.at == len(g.s) || g.s[g.at] == '0' || !g.digits(false) {
			return false
		}
		*n = toInt(g.s[from:g.at])
		return true
	})
}

func (g *grammar) slice(list *[]step) bool {
	s := step{kind: stepSlice}
	colon := g.lit(":")
	from := func() bool { s.from.given = true; return g.number(&s.from.at) }
	to := func() bool { s.to.given = true; return g.number(&s.to.at) }
	stride := func() bool {
		if !g.seq(colon, func() bool { return g.positive(&s.stride) }) {
			g.text(":")
		}
		return true
	}
	one := func(r rule, parts ...func() bool) bool {
		s = step{kind: stepSlice, stride: 1}
		return g.rule(r, func() bool { return g.seq(append(parts, stride)...) })
	}
	ok := g.rule(ruleRange, func() bool {
		return one(ruleFullRange, from, colon, to) || one(ruleRightRange, colon, to) || one(ruleAllRange, colon) ||
			one(ruleLeftRange, from, colon)
	})
	if ok {
		*list = append(*list, s)
	}
	return ok
}

func (g *grammar) numbers(list *[]step) bool {
	s := step{kind: stepIndexes}
	next := func() bool {
		var n int
		if !g.number(&n) {
			return false
		}
		s.indexes = append(s.indexes, n)
		return true
	}
	ok := g.rule(ruleNumbers, func() bool { return g.separated(next) })
	if ok {
		*list = append(*list, s)
	}
	return ok
}

// separated reads one or more, with commas between.
func (g *grammar) separated(next func() bool) bool {
	if !next() {
		return false
	}
	for {
		at := g.at
		g.blanks()
		if !g.seq(g.lit(","), next) {
			g.at = at
			return true
		}
	}
}

func (g *grammar) strings(list *[]step) bool {
	s := step{kind: stepNames}
	next := func() bool {
		v, ok := g.string()
		if ok {
			s.names = append(s.names, v)
		}
		return ok
	}
	ok := g.rule(ruleStrings, func() bool { return g.separated(next) })
	if ok {
		*list = append(*list, s)
	}
	return ok
}

// string reads a string in quotes of either kind; a backslash takes the same quote or a backslash.
func (g *grammar) string() (v []byte, ok bool) {
	at := g.at
	if at == len(g.s) || g.s[at] != '\'' && g.s[at] != '"' {
		return nil, false
	}
	quote := g.s[at]
	g.at++
	for ; g.at < len(g.s); g.at++ {
		switch c := g.s[g.at]; {
		case c == quote:
			g.at++
			return v, true
		case c == '\\':
			g.at++
			if g.at == len(g.s) || g.s[g.at] != quote && g.s[g.at] != '\\' {
				g.at = at
				return nil, false
			}
			v = append(v, g.s[g.at])
		default:
			v = append(v, c)
		}
	}
	g.at = at
	return nil, false
}
