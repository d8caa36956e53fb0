package difftest

// The grammar: every command that is compared at random, with what its arguments may be. Weights only say how often.

func stringGrammar() []production {
	k := key("string")
	ttl := maybe(expiryOption)
	return []production{
		{12, "SET", []arg{k, value, shuffled(maybe(words("NX", "XX")), maybe(oneOf(expiryOption, word("KEEPTTL"))), maybe(word("GET")))}},
		{10, "SET", []arg{k, value}},
		{4, "SET", []arg{k, exactly("0", "10", "-5", "1.5", "9223372036854775807")}},
		{8, "GET", []arg{k}},
		{4, "GETEX", []arg{k, maybe(oneOf(expiryOption, word("PERSIST"), seq(words("EXAT", "PXAT"), exactly("1"))))}},
		{2, "GETEX", []arg{k, ttl}},
		{3, "GETDEL", []arg{k}},
		{3, "GETSET", []arg{k, value}},
		{3, "SETNX", []arg{k, value}},
		{2, "SETEX", []arg{k, longSeconds, value}},
		{2, "PSETEX", []arg{k, longMillis, value}},
		{4, "MGET", []arg{some(k)}},
		{4, "MSET", []arg{some(k, value)}},
		{3, "MSETNX", []arg{some(k, value)}},
		{4, "INCR", []arg{k}},
		{3, "DECR", []arg{k}},
		{4, "INCRBY", []arg{k, increment}},
		{3, "DECRBY", []arg{k, increment}},
		{4, "INCRBYFLOAT", []arg{k, float}},
		{5, "APPEND", []arg{k, value}},
		{3, "STRLEN", []arg{k}},
		{4, "GETRANGE", []arg{k, index, index}},
		{2, "SUBSTR", []arg{k, index, index}},
		{4, "SETRANGE", []arg{k, integer(-1, 40), value}},
		{2, "SET", []arg{lcsKey, element("abcab", 40)}},
		{3, "LCS", []arg{lcsKey, lcsKey, shuffled(maybe(words("LEN", "IDX")), maybe(word("MINMATCHLEN"), integer(-1, 5)), maybe(word("WITHMATCHLEN")))}},
	}
}

func hashGrammar() []production {
	k := key("hash")
	return []production{
		{12, "HSET", []arg{k, some(field, value)}},
		{3, "HSET", []arg{k, bulk(wideField, value)}},
		{3, "HMSET", []arg{k, some(field, value)}},
		{4, "HSETNX", []arg{k, field, value}},
		{8, "HGET", []arg{k, field}},
		{5, "HMGET", []arg{k, some(field)}},
		{4, "HGETALL", []arg{k}},
		{3, "HKEYS", []arg{k}},
		{3, "HVALS", []arg{k}},
		{3, "HLEN", []arg{k}},
		{3, "HSTRLEN", []arg{k, field}},
		{4, "HEXISTS", []arg{k, field}},
		{8, "HDEL", []arg{k, some(field)}},
		{1, "HDEL", []arg{k, bulk(wideField)}},
		{5, "HINCRBY", []arg{k, field, increment}},
		{4, "HINCRBYFLOAT", []arg{k, field, float}},
		{3, "HSCAN", []arg{k, exactly("0", "0", "0", "x"), scanOptions}},
		{3, "HRANDFIELD", []arg{k, maybe(integer(-5, 12), maybe(word("WITHVALUES")))}},
	}
}

func listGrammar() []production {
	k := key("list")
	return []production{
		{8, "RPUSH", []arg{k, some(member)}},
		{8, "LPUSH", []arg{k, some(member)}},
		{2, "RPUSH", []arg{k, bulk(wideMember)}},
		{2, "LPUSH", []arg{k, bulk(value)}},
		{2, "LPUSHX", []arg{k, some(member)}},
		{2, "RPUSHX", []arg{k, some(member)}},
		{5, "LPOP", []arg{k, maybe(count)}},
		{5, "RPOP", []arg{k, maybe(count)}},
		{1, "LPOP", []arg{k, integer(50, 200)}},
		{6, "LRANGE", []arg{k, index, index}},
		{2, "LRANGE", []arg{k, exactly("0"), exactly("-1")}},
		{4, "LINDEX", []arg{k, integer(-300, 300)}},
		{4, "LINDEX", []arg{k, index}},
		{3, "LLEN", []arg{k}},
		{6, "LINSERT", []arg{k, words("BEFORE", "AFTER"), member, member}},
		{5, "LSET", []arg{k, index, value}},
		{2, "LSET", []arg{k, integer(-300, 300), value}},
		{5, "LREM", []arg{k, integer(-3, 3), member}},
		{2, "LTRIM", []arg{k, integer(-300, 300), integer(-300, 300)}},
		{2, "LTRIM", []arg{k, index, index}},
		{5, "LPOS", []arg{k, member, shuffled(maybe(word("RANK"), integer(-4, 4)), maybe(word("COUNT"), integer(-1, 5)), maybe(word("MAXLEN"), integer(-1, 50)))}},
		{3, "RPOPLPUSH", []arg{k, k}},
		{4, "LMOVE", []arg{k, k, words("LEFT", "RIGHT"), words("LEFT", "RIGHT", "UP")}},
		{4, "LMPOP", []arg{counted(k), words("LEFT", "RIGHT"), maybe(word("COUNT"), integer(0, 8))}},
	}
}

func setGrammar() []production {
	k := key("set")
	return []production{
		{12, "SADD", []arg{k, some(member)}},
		{4, "SADD", []arg{k, some(wideInteger)}},
		{2, "SADD", []arg{k, bulk(wideInteger)}},
		{2, "SADD", []arg{k, bulk(wideMember)}},
		{8, "SREM", []arg{k, some(member)}},
		{1, "SREM", []arg{k, bulk(wideInteger)}},
		{4, "SISMEMBER", []arg{k, member}},
		{4, "SMISMEMBER", []arg{k, some(member)}},
		{3, "SCARD", []arg{k}},
		{4, "SMEMBERS", []arg{k}},
		{4, "SMOVE", []arg{k, k, member}},
		{3, "SPOP", []arg{k, maybe(integer(-1, 8))}},
		{3, "SRANDMEMBER", []arg{k, maybe(integer(-6, 10))}},
		{3, "SUNION", []arg{some(k)}},
		{3, "SINTER", []arg{some(k)}},
		{3, "SDIFF", []arg{some(k)}},
		{3, "SUNIONSTORE", []arg{k, some(k)}},
		{3, "SINTERSTORE", []arg{k, some(k)}},
		{3, "SDIFFSTORE", []arg{k, some(k)}},
		{3, "SINTERCARD", []arg{counted(k), maybe(word("LIMIT"), integer(-1, 5))}},
		{3, "SSCAN", []arg{k, exactly("0", "0", "0", "x"), scanOptions}},
	}
}

func zsetGrammar() []production {
	k := key("zset")
	either := oneOf(k, k, k, key("set"))
	combine := shuffled(maybe(word("WEIGHTS"), score, score), maybe(word("AGGREGATE"), words("SUM", "MIN", "MAX", "AVG")))
	combineShow := seq(combine, maybe(word("WITHSCORES")))
	withScores := maybe(word("WITHSCORES"))
	rangeBy := oneOf(
		seq(index, index, shuffled(maybe(word("REV")), withScores)),
		seq(scoreBound, scoreBound, shuffled(word("BYSCORE"), maybe(word("REV")), maybe(limit), withScores)),
	)
	return []production{
		{10, "ZADD", []arg{k, shuffled(maybe(words("NX", "XX")), maybe(words("GT", "LT")), maybe(word("CH"))), some(score, member)}},
		{10, "ZADD", []arg{k, some(score, member)}},
		{3, "ZADD", []arg{k, bulk(integer(-50, 50), wideMember)}},
		{3, "ZADD", []arg{k, maybe(words("NX", "XX", "GT", "LT")), word("INCR"), score, member}},
		{5, "ZINCRBY", []arg{k, score, member}},
		{6, "ZREM", []arg{k, some(member)}},
		{1, "ZREM", []arg{k, bulk(wideMember)}},
		{5, "ZSCORE", []arg{k, member}},
		{3, "ZMSCORE", []arg{k, some(member)}},
		{3, "ZCARD", []arg{k}},
		{5, "ZRANK", []arg{k, member, maybe(word("WITHSCORE"))}},
		{4, "ZREVRANK", []arg{k, member, maybe(word("WITHSCORE"))}},
		{4, "ZCOUNT", []arg{k, scoreBound, scoreBound}},
		{8, "ZRANGE", []arg{k, rangeBy}},
		{4, "ZRANGESTORE", []arg{k, k, rangeBy}},
		{3, "ZREVRANGE", []arg{k, index, index, withScores}},
		{4, "ZRANGEBYSCORE", []arg{k, scoreBound, scoreBound, shuffled(withScores, maybe(limit))}},
		{4, "ZREVRANGEBYSCORE", []arg{k, scoreBound, scoreBound, shuffled(withScores, maybe(limit))}},
		{2, "ZREMRANGEBYRANK", []arg{k, index, index}},
		{2, "ZREMRANGEBYSCORE", []arg{k, scoreBound, scoreBound}},
		{3, "ZPOPMIN", []arg{k, maybe(count)}},
		{3, "ZPOPMAX", []arg{k, maybe(count)}},
		{3, "ZMPOP", []arg{counted(k), words("MIN", "MAX"), maybe(word("COUNT"), integer(0, 8))}},
		{3, "ZRANDMEMBER", []arg{k, maybe(integer(-5, 12), withScores)}},
		{3, "ZUNION", []arg{exactly("2"), either, either, combineShow}},
		{3, "ZINTER", []arg{exactly("2"), either, either, combineShow}},
		{3, "ZDIFF", []arg{counted(either), withScores}},
		{3, "ZUNIONSTORE", []arg{k, exactly("2"), either, either, combine}},
		{3, "ZINTERSTORE", []arg{k, exactly("2"), either, either, combine}},
		{3, "ZDIFFSTORE", []arg{k, counted(either)}},
		{3, "ZINTERCARD", []arg{counted(either), maybe(word("LIMIT"), integer(-1, 5))}},
		{3, "ZSCAN", []arg{k, exactly("0", "0", "0", "x"), scanOptions}},
	}
}

// lexGrammar has the ranges by member. They mean something only where all scores are equal, and Redis's own answer
// otherwise depends on the random levels of its skip list; so these keys are written with one score and by no other
// command.
func lexGrammar() []production {
	k := lexKey
	options := shuffled(word("BYLEX"), maybe(word("REV")), maybe(limit))
	return []production{
		{12, "ZADD", []arg{k, some(exactly("7"), member)}},
		{3, "ZADD", []arg{k, bulk(exactly("7"), wideMember)}},
		{5, "ZREM", []arg{k, some(member)}},
		{5, "ZLEXCOUNT", []arg{k, lexBound, lexBound}},
		{8, "ZRANGE", []arg{k, lexBound, lexBound, options}},
		{4, "ZRANGESTORE", []arg{k, k, lexBound, lexBound, options}},
		{5, "ZRANGEBYLEX", []arg{k, lexBound, lexBound, maybe(limit)}},
		{5, "ZREVRANGEBYLEX", []arg{k, lexBound, lexBound, maybe(limit)}},
		{4, "ZREMRANGEBYLEX", []arg{k, lexBound, lexBound}},
		{3, "ZRANK", []arg{k, member}},
		{3, "ZRANGE", []arg{k, index, index}},
		{2, "ZPOPMIN", []arg{k, integer(1, 4)}},
		{2, "ZPOPMAX", []arg{k, integer(1, 4)}},
		{1, "SET", []arg{exactly("lex:text"), value}},
	}
}

func keyGrammar() []production {
	k := anyKey
	condition := maybe(words("NX", "XX", "GT", "LT"))
	return []production{
		{3, "DEL", []arg{some(k)}},
		{2, "UNLINK", []arg{some(k)}},
		{3, "EXISTS", []arg{some(k)}},
		{2, "TOUCH", []arg{some(k)}},
		{4, "TYPE", []arg{k}},
		{3, "RENAME", []arg{k, k}},
		{2, "RENAMENX", []arg{k, k}},
		{4, "COPY", []arg{k, k, shuffled(maybe(word("DB"), integer(0, 2)), maybe(word("REPLACE")))}},
		{2, "MOVE", []arg{k, integer(0, 2)}},
		{1, "SELECT", []arg{integer(0, 2)}},
		{1, "SWAPDB", []arg{integer(0, 2), integer(0, 2)}},
		{3, "EXPIRE", []arg{k, longSeconds, condition}},
		{3, "PEXPIRE", []arg{k, longMillis, condition}},
		{3, "EXPIREAT", []arg{k, oneOf(farSeconds, farSeconds, exactly("1")), condition}},
		{3, "PEXPIREAT", []arg{k, oneOf(farMillis, farMillis, exactly("1")), condition}},
		{3, "TTL", []arg{k}},
		{2, "PTTL", []arg{k}},
		{3, "EXPIRETIME", []arg{k}},
		{3, "PEXPIRETIME", []arg{k}},
		{3, "PERSIST", []arg{k}},
		{4, "OBJECT ENCODING", []arg{k}},
		{1, "OBJECT REFCOUNT", []arg{k}},
		{1, "OBJECT IDLETIME", []arg{k}},
		{1, "OBJECT FREQ", []arg{k}},
		{1, "MEMORY USAGE", []arg{k}},
		{2, "KEYS", []arg{pattern}},
		{2, "SCAN", []arg{exactly("0", "0", "0", "x"), shuffled(maybe(word("MATCH"), pattern), maybe(word("COUNT"), integer(0, 30)), maybe(word("TYPE"), words("string", "hash", "list", "set", "zset", "none")))}},
		{1, "RANDOMKEY", nil},
		{1, "DBSIZE", nil},
		{1, "FLUSHDB", []arg{maybe(words("SYNC", "ASYNC"))}},
		{3, "RESTORE", []arg{k, oneOf(exactly("0"), longMillis), payloads, shuffled(maybe(word("REPLACE")), maybe(word("IDLETIME"), integer(-1, 100)))}},
	}
}

// payloads are what DUMP of Redis 7.0 writes, of a value of each type and of one that is malformed.
func payloads(g *gen) {
	exactly(
		"\x00\xc1\x00\x80\x0a\x00\xb5\x40\x06\x47\x53\xbb\x1a\xce",                                                                     // string
		"\x12\x01\x02\x0e\x0e\x00\x00\x00\x03\x00\x81\x61\x02\x05\x01\x81\x62\x02\xff\x0a\x00\x01\xc6\x61\x31\xf8\x2e\x14\xeb",         // list
		"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\xfe\xff\x03\x00\x0a\x00\x7e\x3b\x12\x00\xc0\xb7\x22\x61",                             // set
		"\x11\x12\x12\x00\x00\x00\x04\x00\x81\x61\x02\x05\x01\x81\x62\x02\x07\x01\xff\x0a\x00\xd6\x3c\xc0\xa3\x6a\xda\x9f\x46",         // zset
		"\x10\x13\x13\x00\x00\x00\x04\x00\x81\x61\x02\x81\x62\x02\x81\x63\x02\x81\x64\x02\xff\x0a\x00\x5c\x11\xae\x93\x15\x6e\x05\xcb", // hash
		"\x10\x0d\x0e\x00\x00\x00\x02\x00\x81\x61\x02\x81\x62\x02\xff\x0a\x00\x97\x44\x7e\x26\x6a\xce\x3b\x37",                         // malformed
	)(g)
}
