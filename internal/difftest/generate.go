package difftest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The generator makes random command sequences from a grammar that is data: for every command, what its arguments
// may be. Keys come from a small pool, so that commands meet each other's data; most keys a command draws hold the
// type it wants and some do not. A few words in a hundred are spoilt on purpose: an argument dropped, added,
// repeated or replaced by garbage.

// gen is the state of one sequence being made.
type gen struct {
	*rand.Rand
	args  []string // the command being made
	multi int      // commands left until EXEC or DISCARD; 0 outside MULTI
}

// arg appends zero or more words to g.args.
type arg func(g *gen)

// production is one command of the grammar. A command may have several.
type production struct {
	weight int // how often, relative to its neighbours
	name   string
	args   []arg
}

// A family is a set of productions that share their keys' type.
type family struct {
	name        string
	productions []production
}

func families() []family {
	return []family{
		{"string", stringGrammar()},
		{"hash", hashGrammar()},
		{"list", listGrammar()},
		{"set", setGrammar()},
		{"zset", zsetGrammar()},
		{"stream", streamGrammar()},
		{"lex", lexGrammar()},
		{"bitmap", bitmapGrammar()},
		{"hll", hllGrammar()},
		{"geo", geoGrammar()},
		{"sort", sortGrammar()},
		{"script", scriptGrammar()},
		{"key", keyGrammar()},
	}
}

// Combinators.

func word(s string) arg { return func(g *gen) { g.args = append(g.args, g.anyCase(s)) } }

func words(ss ...string) arg {
	return func(g *gen) { g.args = append(g.args, g.anyCase(ss[g.IntN(len(ss))])) }
}

func exactly(ss ...string) arg { return func(g *gen) { g.args = append(g.args, ss[g.IntN(len(ss))]) } }

func seq(as ...arg) arg {
	return func(g *gen) {
		for _, a := range as {
			a(g)
		}
	}
}

func oneOf(as ...arg) arg { return func(g *gen) { as[g.IntN(len(as))](g) } }

// maybe is there four times in ten.
func maybe(as ...arg) arg {
	return func(g *gen) {
		if g.IntN(10) < 4 {
			seq(as...)(g)
		}
	}
}

// shuffled gives its parts, each already a maybe, in any order.
func shuffled(as ...arg) arg {
	return func(g *gen) {
		for _, i := range g.Perm(len(as)) {
			as[i](g)
		}
	}
}

// some repeats 1 to 4 times.
func some(as ...arg) arg {
	return func(g *gen) {
		for range 1 + g.IntN(4) {
			seq(as...)(g)
		}
	}
}

// bulk repeats often enough, some of the time, to push a collection from its small encoding into its large one. The
// numbers stay away from 128 and 512: 7.2 chooses a new collection's encoding by the number of words in the command,
// 7.0 by that of different ones.
func bulk(as ...arg) arg {
	return func(g *gen) {
		n := 20 + g.IntN(30)
		if g.IntN(4) == 0 {
			n = 220 + g.IntN(280)
		}
		for range n {
			seq(as...)(g)
		}
	}
}

// counted gives a number of keys and, mostly, as many.
func counted(a arg) arg {
	return func(g *gen) {
		n := 1 + g.IntN(3)
		say := n
		if g.IntN(15) == 0 {
			say = g.IntN(5) - 1
		}
		g.args = append(g.args, strconv.Itoa(say))
		for range n {
			a(g)
		}
	}
}

// Keys. kindPools are the key names that usually hold one type.

func key(kind string) arg {
	return func(g *gen) {
		if g.IntN(12) == 0 {
			kind := exactly("string", "hash", "list", "set", "zset", "missing")
			kind(g)
			k := g.args[len(g.args)-1]
			g.args[len(g.args)-1] = k + ":1"
			return
		}
		g.args = append(g.args, fmt.Sprintf("%s:%d", kind, 1+g.IntN(3)))
	}
}

func anyKey(g *gen) { key([]string{"string", "hash", "list", "set", "zset"}[g.IntN(5)])(g) }

// lexKey holds a sorted set of one score, or now and then a string.
func lexKey(g *gen) { exactly("lex:1", "lex:1", "lex:2", "lex:2", "lex:3", "lex:text")(g) }

// lcsKey holds a short string: LCS takes four bytes for every pair of characters, and Redis allocates them.
func lcsKey(g *gen) { exactly("lcs:1", "lcs:2", "lcs:3", "hash:1")(g) }

// Elements. Small ranges, so that removals hit; integers often, for the encodings that like them; now and then one
// that no small encoding takes.

func element(prefix string, pool int) arg {
	return func(g *gen) {
		switch n := g.IntN(40); {
		case n < 16:
			g.args = append(g.args, strconv.Itoa(g.IntN(pool)-pool/8))
		case n < 36:
			g.args = append(g.args, prefix+strconv.Itoa(g.IntN(pool)))
		case n == 36:
			g.args = append(g.args, strings.Repeat(prefix, 20+g.IntN(60)))
		case n == 37:
			g.args = append(g.args, "")
		case n == 38:
			g.args = append(g.args, exactString(g))
		default:
			g.args = append(g.args, strconv.FormatInt(int64(g.Uint64())>>g.IntN(64), 10))
		}
	}
}

// exactString picks something that is nearly a number, or not text at all.
func exactString(g *gen) string {
	odd := []string{" 1", "1 ", "01", "+1", "-0", "1.0", "1e3", "0x10", "\x00", "\xff\xfe", "a\r\nb", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "nan", "inf", "-inf", "*", "$", "é", "4294967296", "-2147483649", "32768"}
	return odd[g.IntN(len(odd))]
}

func field(g *gen)  { element("f", 40)(g) }
func member(g *gen) { element("m", 40)(g) }

// wideField and wideMember have room for hundreds, to outgrow the small encodings.
func wideField(g *gen)  { element("f", 1000)(g) }
func wideMember(g *gen) { element("m", 1000)(g) }

// wideInteger keeps a set an integer set.
func wideInteger(g *gen) { g.args = append(g.args, strconv.Itoa(g.IntN(3000)-1000)) }

func value(g *gen) {
	switch g.IntN(10) {
	case 0:
		g.args = append(g.args, strings.Repeat("v", 30+g.IntN(200)))
	case 1:
		g.args = append(g.args, strconv.FormatFloat(float64(g.IntN(2000)-1000)/8, 'f', -1, 64))
	case 2:
		if g.IntN(10) == 0 {
			g.args = append(g.args, strings.Repeat("long", 1000+g.IntN(5000)))
			return
		}
		g.args = append(g.args, exactString(g))
	default:
		element("v", 100)(g)
	}
}

// Numbers.

func integer(from, to int) arg {
	return func(g *gen) {
		if g.IntN(20) == 0 {
			g.args = append(g.args, exactString(g))
			return
		}
		g.args = append(g.args, strconv.Itoa(from+g.IntN(to-from+1)))
	}
}

func index(g *gen) { integer(-12, 12)(g) }
func count(g *gen) { integer(-3, 10)(g) }
func limit(g *gen) { seq(word("LIMIT"), integer(-1, 6), integer(-1, 10))(g) }

func increment(g *gen) {
	if g.IntN(15) == 0 {
		exactly("9223372036854775807", "-9223372036854775808", "4611686018427387904", "-4611686018427387904")(g)
		return
	}
	integer(-100, 100)(g)
}

// float keeps to eighths, which add up exactly whatever the width of the arithmetic; the rounding of other numbers is
// for the scripts.
func float(g *gen) {
	switch g.IntN(16) {
	case 0:
		g.args = append(g.args, exactString(g))
	case 1:
		exactly("inf", "-inf", "+inf", "nan", "1e10", "-1e10", "0", "-0", "3e300")(g)
	default:
		g.args = append(g.args, strconv.FormatFloat(float64(g.IntN(800)-400)/8, 'f', -1, 64))
	}
}

func score(g *gen) {
	if g.IntN(8) == 0 {
		exactly("inf", "-inf", "+inf", "1e300", "-1e-300", "0.1", "3.3333333333333335", "17179869184", "1e17", "123456789012345678")(g)
		return
	}
	oneOf(integer(-20, 60), float)(g)
}

func scoreBound(g *gen) {
	switch g.IntN(6) {
	case 0:
		exactly("-inf", "+inf", "inf")(g)
	case 1:
		score(g)
		g.args[len(g.args)-1] = "(" + g.args[len(g.args)-1]
	default:
		score(g)
	}
}

func lexBound(g *gen) {
	switch g.IntN(8) {
	case 0:
		exactly("-", "+")(g)
	case 1:
		member(g) // without its bracket: an error
	default:
		member(g)
		g.args[len(g.args)-1] = string("[("[g.IntN(2)]) + g.args[len(g.args)-1]
	}
}

// Expiry: far in the future and exact; nothing that could run out while the sequence runs. Where a past time deletes
// the key at once, the grammar adds it; SET leaves such a key to be found later, which DBSIZE shows.

func farSeconds(g *gen) {
	if g.IntN(10) == 0 {
		exactly("0", "-1", "abc", "9223372036854775807", "9223372036854775", "33177117420")(g)
		return
	}
	g.args = append(g.args, strconv.FormatInt(33177117420+g.Int64N(1000), 10))
}

func farMillis(g *gen) {
	if g.IntN(10) == 0 {
		exactly("0", "-1", "abc", "9223372036854775807", "33177117420000")(g)
		return
	}
	g.args = append(g.args, strconv.FormatInt(33177117420000+g.Int64N(1000), 10))
}

func longSeconds(g *gen) {
	if g.IntN(10) == 0 {
		exactly("0", "-1", "-100", "abc", "9223372036854775807", "1.5")(g)
		return
	}
	g.args = append(g.args, strconv.Itoa(10000+g.IntN(10000)))
}

func longMillis(g *gen) {
	if g.IntN(10) == 0 {
		exactly("0", "-1", "-100", "abc", "9223372036854775807")(g)
		return
	}
	g.args = append(g.args, strconv.Itoa(10000000+g.IntN(10000000)))
}

func expiryOption(g *gen) {
	oneOf(seq(word("EX"), longSeconds), seq(word("PX"), longMillis), seq(word("EXAT"), farSeconds), seq(word("PXAT"), farMillis))(g)
}

func pattern(g *gen) {
	exactly("*", "*:1", "h*", "[sz]*", "?et:*", "f1*", "m?", "*[0-5]", "[^f]*", "\\*", "", "v[", "[a-", "**2*", "1*", "nothing")(g)
}

func scanOptions(g *gen) {
	shuffled(maybe(word("MATCH"), pattern), maybe(word("COUNT"), integer(-1, 30)))(g)
}

// Spoiling.

func (g *gen) anyCase(s string) string {
	switch g.IntN(8) {
	case 0:
		return strings.ToLower(s)
	case 1:
		return strings.ToUpper(s[:1]) + strings.ToLower(s[1:])
	}
	return s
}

// command makes one command of a production.
func (g *gen) command(p production) []string {
	g.args = strings.Fields(g.anyCase(p.name))
	head := len(g.args)
	for _, a := range p.args {
		a(g)
	}
	if g.IntN(25) == 0 && len(g.args) > head {
		at := head + g.IntN(len(g.args)-head)
		switch g.IntN(5) {
		case 0:
			g.args = append(g.args[:at], g.args[at+1:]...)
		case 1:
			g.args = append(g.args, g.args[at])
		case 2:
			g.args[at] = exactString(g)
		case 3:
			g.args = append(g.args, []string{"NX", "XX", "LIMIT", "COUNT", "extra", ""}[g.IntN(6)])
		case 4:
			g.args = g.args[:at]
		}
	}
	return g.args
}

func pick(g *gen, ps []production) production {
	total := 0
	for _, p := range ps {
		total += p.weight
	}
	n := g.IntN(total)
	for _, p := range ps {
		if n -= p.weight; n < 0 {
			return p
		}
	}
	return ps[len(ps)-1]
}

// sequence makes length commands, mostly of one family, some of which stand between MULTI and EXEC.
func (g *gen) sequence(f family, all []family, length int) [][]string {
	commands := make([][]string, 0, length)
	for len(commands) < length {
		if g.multi > 0 {
			if g.multi--; g.multi == 0 {
				commands = append(commands, []string{[]string{"EXEC", "EXEC", "EXEC", "DISCARD"}[g.IntN(4)]})
				continue
			}
		} else if g.IntN(60) == 0 {
			g.multi = 2 + g.IntN(6)
			commands = append(commands, []string{"MULTI"})
		}
		from := f.productions
		switch g.IntN(10) {
		case 0:
			from = all[g.IntN(len(all))].productions
		case 1:
			from = keyGrammar()
		}
		args := g.command(pick(g, from))
		if g.multi > 0 && notInMulti(commandName(args)) {
			continue
		}
		if unanswerable(args) {
			continue
		}
		commands = append(commands, args)
	}
	if g.multi > 0 {
		commands = append(commands, []string{"EXEC"})
		g.multi = 0
	}
	return commands
}

// unanswerable says which commands cannot be compared: a negative count repeats elements that many times, and Redis
// obeys; a cursor means nothing outside the server that gave it.
// A score of its own in a sorted set that is compared by member makes that comparison meaningless.
func unanswerable(args []string) bool {
	if len(args) > 2 && strings.EqualFold(args[0], "ZADD") && strings.HasPrefix(args[1], "lex:") {
		for i := 2; i < len(args); i += 2 {
			if args[i] != "7" {
				return true
			}
		}
	}
	at := map[string]int{"SRANDMEMBER": 2, "HRANDFIELD": 2, "ZRANDMEMBER": 2, "SCAN": 1, "SSCAN": 2, "HSCAN": 2, "ZSCAN": 2}
	name := commandName(args)
	i, ok := at[name]
	if !ok || i >= len(args) {
		return false
	}
	n, err := strconv.ParseFloat(args[i], 64)
	if strings.HasSuffix(name, "SCAN") {
		return args[i] != "0" && args[i] != "x" // 7.0 takes some more for 0 than later versions
	}
	return err == nil && n < -1000
}

// notInMulti: comparing these asks the servers about the state right after them, which EXEC has already left behind.
func notInMulti(name string) bool {
	switch name {
	case "SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY", "SCAN", "SSCAN", "HSCAN", "ZSCAN", "SELECT",
		"HGETALL", "HKEYS", "HVALS", "SMEMBERS", "MULTI", "EXEC", "DISCARD":
		return true
	case "OBJECT ENCODING": // asks for the key's type
		return true
	case "ZRANK", "ZREVRANK": // WITHSCORE, where it is not known, aborts the transaction
		return true
	}
	return false
}
