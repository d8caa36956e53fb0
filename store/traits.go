package store

import (
	"strconv"
	"strings"
)

// Traits is what an adapter must know of a command. It comes from no command table: an unknown command is taken as a
// write whose first key is its first argument, which is right for most and harmless for the rest except on a Cluster.
type Traits struct {
	Key    int  // index of the first key among the words; 0 if there is none
	Blocks bool // may wait on the server
	Reads  bool // it only reads, so it may be repeated
}

// TraitsOf looks a command up. words is not empty.
func TraitsOf(words []string) Traits {
	switch name := strings.ToUpper(words[0]); name {
	case "GET", "MGET", "EXISTS", "TYPE", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "STRLEN", "GETRANGE", "SUBSTR", "LCS", "GETBIT",
		"BITCOUNT", "BITPOS", "BITFIELD_RO", "DUMP", "TOUCH", "SORT_RO",
		"HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HSTRLEN", "HEXISTS", "HSCAN", "HRANDFIELD", "HTTL", "HPTTL",
		"LLEN", "LRANGE", "LINDEX", "LPOS", "SCARD", "SISMEMBER", "SMISMEMBER", "SMEMBERS", "SRANDMEMBER", "SSCAN", "SINTER", "SUNION", "SDIFF",
		"ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZREVRANGEBYLEX",
		"ZRANK", "ZREVRANK", "ZSCORE", "ZMSCORE", "ZSCAN", "ZRANDMEMBER", "GEODIST", "GEOHASH", "GEOPOS", "GEOSEARCH",
		"XLEN", "XRANGE", "XREVRANGE", "XPENDING", "PFCOUNT":
		return Traits{Key: 1, Reads: true}
	case "PING", "ECHO", "TIME", "DBSIZE", "KEYS", "SCAN", "RANDOMKEY", "INFO", "LASTSAVE", "COMMAND", "PUBSUB":
		return Traits{Reads: true}
	case "CONFIG", "CLIENT", "SCRIPT", "FUNCTION", "FLUSHALL", "FLUSHDB", "CLUSTER", "DEBUG", "ACL", "SLOWLOG", "LATENCY",
		"SAVE", "BGSAVE", "BGREWRITEAOF", "SWAPDB", "WAIT", "WAITAOF", "ROLE", "MODULE", "SHUTDOWN", "FAILOVER", "REPLICAOF", "SLAVEOF":
		return Traits{Blocks: name == "WAIT" || name == "WAITAOF"}
	case "PUBLISH", "SPUBLISH": // by the channel's slot: one publisher's messages on a channel take one way and keep their order
		return Traits{Key: 1}
	case "OBJECT", "MEMORY", "XINFO":
		return Traits{Key: 2, Reads: true}
	case "BITOP", "XGROUP":
		return Traits{Key: 2}
	case "EVAL", "EVALSHA", "FCALL":
		return Traits{Key: counted(words, 2)}
	case "EVAL_RO", "EVALSHA_RO", "FCALL_RO":
		return Traits{Key: counted(words, 2), Reads: true}
	case "ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "SINTERCARD":
		return Traits{Key: counted(words, 1), Reads: true}
	case "LMPOP", "ZMPOP":
		return Traits{Key: counted(words, 1)}
	case "BLMPOP", "BZMPOP":
		return Traits{Key: counted(words, 2), Blocks: true}
	case "BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX":
		return Traits{Key: 1, Blocks: true}
	case "XREAD", "XREADGROUP":
		return Traits{Key: streamKey(words), Blocks: hasWord(words, "BLOCK")}
	}
	return Traits{Key: 1}
}

// counted is the index of the first key after a count at words[at], 0 if the count is none or missing.
func counted(words []string, at int) int {
	if len(words) <= at+1 {
		return 0
	}
	if n, err := strconv.Atoi(words[at]); err != nil || n <= 0 {
		return 0
	}
	return at + 1
}

// streamKey is the index of the first stream of XREAD and XREADGROUP.
func streamKey(words []string) int {
	for i, w := range words {
		if strings.EqualFold(w, "STREAMS") {
			return i + 1
		}
	}
	return 0
}

func hasWord(words []string, word string) bool {
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}
