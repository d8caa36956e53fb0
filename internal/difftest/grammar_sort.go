package difftest

// sortGrammar sorts lists, sets and sorted sets by themselves and by the strings and hashes that the elements name, as far
// as there is one right order: Redis leaves open that of equal texts, and of a set in its own order.
func sortGrammar() []production {
	k := oneOf(key("list"), key("list"), key("set"), key("zset"))
	pattern := exactly("w_*", "w_*", "h_*->f", "w_*->f", "*", "nothing_*", "l*")
	options := func(more ...arg) arg {
		return shuffled(append(more, maybe(words("ASC", "DESC")), maybe(limit))...)
	}
	get := some(word("GET"), oneOf(pattern, exactly("#", "plain")))
	return []production{
		{8, "RPUSH", []arg{key("list"), some(sortable)}},
		{4, "SADD", []arg{key("set"), some(sortable)}},
		{3, "ZADD", []arg{key("zset"), some(score, sortable)}},
		{4, "SET", []arg{weightKey, oneOf(float, sortable)}},
		{3, "HSET", []arg{weightHash, exactly("f"), oneOf(float, sortable)}},
		{6, "SORT", []arg{k, options()}},
		{6, "SORT", []arg{k, options(word("ALPHA"), maybe(get))}},
		{6, "SORT", []arg{k, options(maybe(word("BY"), pattern), maybe(get))}},
		{4, "SORT", []arg{oneOf(key("list"), key("zset")), options(seq(word("BY"), exactly("nosort")), maybe(get))}},
		{5, "SORT", []arg{k, options(maybe(word("BY"), pattern), maybe(get)), word("STORE"), key("list")}},
		{3, "SORT", []arg{k, options(word("ALPHA")), word("STORE"), key("list")}},
		{3, "SORT_RO", []arg{k, options(maybe(get))}},
		{3, "LRANGE", []arg{key("list"), exactly("0"), exactly("-1")}},
		{2, "DEL", []arg{k}},
	}
}

// sortable is mostly a number.
func sortable(g *gen) {
	if g.IntN(30) == 0 {
		element("s", 20)(g)
		return
	}
	integer(0, 30)(g)
}

func weightKey(g *gen) {
	integer(0, 30)(g)
	g.args[len(g.args)-1] = "w_" + g.args[len(g.args)-1]
}

func weightHash(g *gen) {
	integer(0, 30)(g)
	g.args[len(g.args)-1] = "h_" + g.args[len(g.args)-1]
}
