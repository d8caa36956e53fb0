package difftest

import "strings"

// scriptGrammar runs commands through scripts: what a reply becomes in Lua, and what that becomes for the client. Commands
// whose replies have no order of their own stay outside.
func scriptGrammar() []production {
	call := func(weight int, body string, words ...arg) production {
		return production{weight, "EVAL", append([]arg{exactly(body), exactly("0")}, words...)}
	}
	const (
		plain     = "return redis.call(unpack(ARGV))"
		caught    = "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and r.err then return {err = r.err} end return {r}"
		resp3     = "redis.setresp(3) return redis.call(unpack(ARGV))"
		described = "local r = redis.pcall(unpack(ARGV)) return {type(r), type(r) == 'table' and #r or tostring(r)}"
		packed    = "return {cmsgpack.unpack(cmsgpack.pack(redis.pcall(unpack(ARGV)), ARGV))}"
		numbers   = "local n = tonumber(ARGV[1]) if not n then return {tostring(n)} end return {n, tostring(n), n .. '', string.format('%d|%g|%.3f|%x', n, n, n, n)}"
		texts     = "return {#ARGV[1], ARGV[1]:upper(), ARGV[1]:rep(2, ''), ARGV[1]:find(ARGV[2], 1, true) or 0, ARGV[1]:sub(2, -2), ARGV[1]:byte(1, 9)}"
		json      = "return cjson.encode({ARGV, cjson.decode(cjson.encode(ARGV))})"
	)
	s, l, z := key("string"), key("list"), key("zset")
	bodies := []string{plain, caught, resp3, described, packed}
	var rows []production
	for i, body := range bodies {
		weight := 3
		if i == 0 {
			weight = 6
		}
		rows = append(rows,
			call(weight, body, word("SET"), s, value), call(weight, body, word("GET"), s), call(weight, body, word("INCRBY"), s, increment),
			call(weight, body, word("MGET"), some(s)), call(weight, body, word("RPUSH"), l, some(value)),
			call(weight, body, word("LRANGE"), l, index, index), call(weight, body, word("LPOP"), l, integer(-1, 4)),
			call(weight, body, word("ZADD"), z, some(score, field)), call(weight, body, word("ZSCORE"), z, field),
			call(weight, body, word("ZRANGE"), z, index, index, maybe(word("WITHSCORES"))), call(weight, body, word("TYPE"), s),
			call(weight, body, word("STRLEN"), oneOf(s, l)), call(weight, body, word("APPEND"), oneOf(s, l, z), value))
	}
	return append(rows,
		call(6, numbers, oneOf(float, increment, value)), call(6, texts, value, value), call(4, json, some(increment)),
		production{2, "DEL", []arg{oneOf(s, l, z)}})
}

// scriptDifferences are what scripts tell differently since later versions.
func scriptDifferences() []VersionDifference {
	old := strings.NewReplacer("calling Redis command from", "calling command from", "Unknown Redis command called", "Unknown command called",
		"Lua redis lib command arguments", "Command arguments", "argument for this redis lib call", "argument for this call")
	return []VersionDifference{{
		Since: 702, Commands: []string{"EVAL"},
		Reason: "Valkey 8 does not call its commands Redis's, and 7.2 writes scores with the fewest digits",
		Same: func(_ *session, _ []string, want, got Value) bool {
			return old.Replace(want.String()) == got.String() || sameNumbers(want, got)
		},
	}, {
		Since: ahead, Commands: []string{"EVAL"},
		Reason: "the parser says what it did not expect in words of its own",
		Same: func(_ *session, _ []string, want, got Value) bool {
			const compiling = "ERR Error compiling script (new function): "
			return strings.HasPrefix(want.Text, compiling) && strings.HasPrefix(got.Text, compiling)
		},
	}}
}
