package redisstore

import (
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// traits is what the adapter must know of a command. It is not a command table: an unknown command is taken as a
// write whose first key is its first argument, which is right for most and harmless for the rest except on a Cluster.
type traits struct {
	key    int  // index of the first key among the words; 0 if there is none
	blocks bool // may wait on the server
	repeat bool // it only reads
}

// traitsOf looks a command up. words is not empty.
func traitsOf(words []string) traits {
	switch name := strings.ToUpper(words[0]); name {
	case "GET", "MGET", "EXISTS", "TYPE", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "STRLEN", "GETRANGE", "SUBSTR", "LCS", "GETBIT",
		"BITCOUNT", "BITPOS", "BITFIELD_RO", "DUMP", "TOUCH", "SORT_RO",
		"HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HSTRLEN", "HEXISTS", "HSCAN", "HRANDFIELD", "HTTL", "HPTTL",
		"LLEN", "LRANGE", "LINDEX", "LPOS", "SCARD", "SISMEMBER", "SMISMEMBER", "SMEMBERS", "SRANDMEMBER", "SSCAN", "SINTER", "SUNION", "SDIFF",
		"ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZREVRANGEBYLEX",
		"ZRANK", "ZREVRANK", "ZSCORE", "ZMSCORE", "ZSCAN", "ZRANDMEMBER", "GEODIST", "GEOHASH", "GEOPOS", "GEOSEARCH",
		"XLEN", "XRANGE", "XREVRANGE", "XPENDING", "PFCOUNT":
		return traits{key: 1, repeat: true}
	case "PING", "ECHO", "TIME", "DBSIZE", "KEYS", "SCAN", "RANDOMKEY", "INFO", "LASTSAVE", "COMMAND", "PUBSUB":
		return traits{repeat: true}
	case "CONFIG", "CLIENT", "SCRIPT", "FUNCTION", "FLUSHALL", "FLUSHDB", "CLUSTER", "DEBUG", "ACL", "SLOWLOG", "LATENCY",
		"SAVE", "BGSAVE", "BGREWRITEAOF", "SWAPDB", "WAIT", "WAITAOF", "ROLE", "MODULE", "SHUTDOWN", "FAILOVER", "REPLICAOF", "SLAVEOF":
		return traits{blocks: name == "WAIT" || name == "WAITAOF"}
	case "PUBLISH", "SPUBLISH": // by the channel's slot: one publisher's messages on a channel take one way and keep their order
		return traits{key: 1}
	case "OBJECT", "MEMORY", "XINFO":
		return traits{key: 2, repeat: true}
	case "BITOP", "XGROUP":
		return traits{key: 2}
	case "EVAL", "EVALSHA", "FCALL":
		return traits{key: counted(words, 2)}
	case "EVAL_RO", "EVALSHA_RO", "FCALL_RO":
		return traits{key: counted(words, 2), repeat: true}
	case "ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "SINTERCARD":
		return traits{key: counted(words, 1), repeat: true}
	case "LMPOP", "ZMPOP":
		return traits{key: counted(words, 1)}
	case "BLMPOP", "BZMPOP":
		return traits{key: counted(words, 2), blocks: true}
	case "BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX":
		return traits{key: 1, blocks: true}
	case "XREAD", "XREADGROUP":
		return traits{key: streamKey(words), blocks: hasWord(words, "BLOCK")}
	}
	return traits{key: 1}
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

// build makes rueidis's form of a command. It copies words, so that a caller whose ctx ended may reuse its slice.
// Built commands go back to a pool when they are done: one is never sent twice.
func build(b rueidis.Builder, words []string, tr traits) rueidis.Completed {
	var c rueidis.Completed
	if tr.key > 0 && tr.key < len(words) {
		a := b.Arbitrary(words[:tr.key]...).Keys(words[tr.key]).Args(words[tr.key+1:]...)
		if tr.blocks {
			return a.Blocking().UnblockOnCancel()
		}
		c = a.Build()
	} else {
		a := b.Arbitrary(words...)
		if tr.blocks {
			return a.Blocking().UnblockOnCancel()
		}
		c = a.Build()
	}
	return c
}

// check refuses what must not reach a shared connection.
func check(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errNoCommand
	}
	if store.Stateful(words) {
		return &refused{strings.ToUpper(words[0])}
	}
	return nil
}

// refused is an ErrUnsupported that names the command.
type refused struct{ name string }

func (e *refused) Error() string {
	return "redisstore: " + e.name + " changes the state of a connection that all callers share: use a Script, Subscribe, or the URL"
}

func (e *refused) Unwrap() error { return store.ErrUnsupported }
