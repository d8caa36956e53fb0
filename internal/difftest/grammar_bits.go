package difftest

import "strconv"

// bitmapGrammar works on the strings that the string commands make, too.
func bitmapGrammar() []production {
	k := oneOf(key("bitmap"), key("string"))
	bitRange := maybe(index, index, maybe(words("BIT", "BYTE", "BITS")))
	fieldOp := oneOf(
		seq(word("GET"), fieldType, bitOffset),
		seq(word("SET"), fieldType, bitOffset, increment),
		seq(word("INCRBY"), fieldType, bitOffset, increment),
		seq(word("OVERFLOW"), words("WRAP", "SAT", "FAIL", "FAIL")),
	)
	return []production{
		{10, "SETBIT", []arg{k, integer(-1, 300), oneOf(exactly("0", "1"), integer(0, 2))}},
		{2, "SETBIT", []arg{k, exactly("5000", "12345"), exactly("0", "1")}},
		{5, "GETBIT", []arg{k, integer(-1, 300)}},
		{6, "BITCOUNT", []arg{k, bitRange}},
		{6, "BITPOS", []arg{k, integer(0, 1), maybe(index), maybe(index, maybe(words("BIT", "BYTE")))}},
		{4, "BITPOS", []arg{k, integer(0, 1), integer(-100, 100), integer(-100, 100), word("BIT")}},
		{8, "BITOP", []arg{words("AND", "OR", "XOR"), k, some(k)}},
		{3, "BITOP", []arg{words("NOT"), k, k, maybe(k)}},
		{10, "BITFIELD", []arg{k, some(fieldOp)}},
		{4, "BITFIELD_RO", []arg{k, some(word("GET"), fieldType, bitOffset)}},
		{2, "BITFIELD_RO", []arg{k, some(fieldOp)}},
		{3, "GET", []arg{k}},
		{3, "STRLEN", []arg{k}},
		{3, "SETRANGE", []arg{k, integer(0, 40), value}},
	}
}

// fieldType is the type of an integer of BITFIELD.
func fieldType(g *gen) {
	if g.IntN(15) == 0 {
		exactly("u64", "i65", "u0", "i0", "u", "x8", "8", "U8", "i-1")(g)
		return
	}
	sign := []string{"u", "i"}[g.IntN(2)]
	width := 1 + g.IntN(63)
	if g.IntN(2) == 0 {
		width = []int{1, 2, 4, 8, 16, 32, 63}[g.IntN(7)]
	}
	if sign == "i" && g.IntN(8) == 0 {
		width = 64
	}
	g.args = append(g.args, sign+strconv.Itoa(width))
}

func bitOffset(g *gen) {
	if g.IntN(3) == 0 {
		g.args = append(g.args, "#"+strconv.Itoa(g.IntN(20)))
		return
	}
	integer(-1, 300)(g)
}

// hllGrammar compares estimates and, by GET and the comparison of what is stored, the bytes.
func hllGrammar() []production {
	k := key("hll")
	return []production{
		{12, "PFADD", []arg{k, some(member)}},
		{4, "PFADD", []arg{k, bulk(wideMember)}},
		{1, "PFADD", []arg{k}},
		{6, "PFCOUNT", []arg{k}},
		{5, "PFCOUNT", []arg{some(k)}},
		{6, "PFMERGE", []arg{some(k)}},
		{4, "GET", []arg{k}},
		{2, "STRLEN", []arg{k}},
		{2, "PFDEBUG", []arg{words("ENCODING", "DECODE"), k}},
		{1, "PFDEBUG", []arg{words("TODENSE"), k}},
	}
}
