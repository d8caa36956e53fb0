package command

// Command is one row of the command table.
type Command struct {
	Name     string // lower case; of a subcommand without its parent's
	Arity    int    // words, the name included; -n: n or more
	Flags    Flag
	ACL      Category // besides those that flags imply
	Keys     []KeySpec
	KeysAt   func(args [][]byte) (first, n int) // where the n keys are, of a command whose specs may be misled
	KeyUse   func(args [][]byte) KeyFlag        // of specs with VariableFlags: what these words do with the keys
	Channels ChannelUse
	Lock     Lock
	KeyMore  func(args [][]byte) (at int, f KeyFlag) // one key more, which no spec can tell; 0: there is none
	Strays   func(args [][]byte) bool                // these words lead to keys that Keys does not tell: all shards are locked
	Group    string                                  // of COMMAND DOCS: string, list, ...
	Since    string
	Cost     string   // in O()
	Summary  string   // one sentence
	Tips     []string // of COMMAND INFO
	Instead  string   // what to use instead of a deprecated command
	Outdated string   // since when it is deprecated
	Subs     []Command

	// Secret tells which words nobody may see who looks at other clients' commands (MONITOR, SLOWLOG); nil: none.
	Secret func(args [][]byte, i int) bool

	Run func(c *Ctx)

	full  string // parent|name, or name
	index int    // into the counters
	brief bool   // its work is bounded: see timing
	plain bool   // one key, the first argument: most commands
}

// Flag is a set of properties, in the order COMMAND INFO lists them.
type Flag uint32

// Properties of commands.
const (
	Write Flag = 1 << iota
	ReadOnly
	DenyOOM // refused while memory is over the limit
	Module
	Admin
	PubSub
	NoScript // not from a script
	Blocking
	Loading // allowed while a snapshot is loaded
	Stale   // allowed on a replica that lost its primary
	SkipMonitor
	SkipSlowlog
	Asking
	Fast   // no more than O(log n)
	NoAuth // allowed before authentication
	NoMandatoryKeys
	NoAsyncLoading
	NoMulti // not between MULTI and EXEC
	MovableKeys
	AllowBusy

	// Not listed by COMMAND INFO.
	InSubscribe // allowed to a RESP2 client that has subscriptions
	Immediate   // runs at once between MULTI and EXEC: EXEC, DISCARD, WATCH, ...
	SysCmd      // documentation flag

	Scripted     // runs a script, which says what it locks
	MayReplicate // may change more than the keyspace: waits during CLIENT PAUSE WRITE
)

var flagNames = [...]string{
	"write", "readonly", "denyoom", "module", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
	"skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "no_mandatory_keys", "no_async_loading", "no_multi",
	"movablekeys", "allow_busy",
}

// Category is a set of ACL categories, in the order of ACL CAT.
type Category uint32

// The categories.
const (
	CatKeyspace Category = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
	CatJSON // a module's category, in Redis
)

var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
	"pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting", "json",
}

// categories are those of the row and those that its flags imply.
func (r *Command) categories() Category {
	c := r.ACL
	if r.Flags&Write != 0 {
		c |= CatWrite
	}
	if r.Flags&ReadOnly != 0 && c&CatScripting == 0 {
		c |= CatRead
	}
	if r.Flags&Admin != 0 {
		c |= CatAdmin | CatDangerous
	}
	if r.Flags&PubSub != 0 {
		c |= CatPubSub
	}
	if r.Flags&Fast != 0 {
		c |= CatFast
	} else {
		c |= CatSlow
	}
	if r.Flags&Blocking != 0 {
		c |= CatBlocking
	}
	return c
}

// Lock says which shards a command wants locked when it runs alone.
type Lock uint8

// The ways of locking.
const (
	LockKeys Lock = iota // the shards of its keys; none where it has none
	LockWalk             // it walks the keyspace and locks shard by shard; all in a transaction
	LockAll              // the whole keyspace
)

// lock is how the command with these words is locked.
func (r *Command) lock(args [][]byte) Lock {
	if r.Strays != nil && r.Strays(args) {
		return LockAll
	}
	return r.Lock
}

// KeySpec says where keys are in the arguments and what is done with them.
type KeySpec struct {
	Flags KeyFlag
	Notes string

	// The search begins at argument Begin, or after the word Keyword, looked for from argument Begin on
	// (backwards from the end when Begin is negative).
	Begin   int
	Keyword string

	// A range: Last counts from the first key, or from the end when negative; every Step-th argument is a key. With
	// Last -1, Limit n > 1 takes only the first n-th part of what is left.
	Last, Step, Limit int

	// Unknown: which keys these are shows only when the command runs.
	Unknown bool

	// NumKeys: the argument at Begin+NumIdx says how many keys there are, from Begin+First on, Step apart.
	NumKeys       bool
	NumIdx, First int
}

// ChannelUse is what a command does with the channels in its words.
type ChannelUse uint8

// What is done with channels.
const (
	Publishes          ChannelUse = iota + 1 // on the first argument
	Subscribes                               // to all arguments
	SubscribesPatterns                       // to what matches them
)

// KeyFlag is what a command does with a key, as COMMAND INFO tells it.
type KeyFlag uint16

// What is done with a key: one of the first four, and perhaps some of the others.
const (
	RO KeyFlag = 1 << iota
	RW
	OW
	RM
	Access
	Update
	Insert
	Delete
	NotKey
	Incomplete
	VariableFlags
)

var keyFlagNames = [...]string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

// Key is the spec of a command with one key, the first argument.
func Key(f KeyFlag) []KeySpec { return []KeySpec{{Flags: f, Begin: 1, Step: 1}} }

// KeysToEnd is the spec of a command all of whose arguments, or every step-th, are keys.
func KeysToEnd(f KeyFlag, step int) []KeySpec {
	return []KeySpec{{Flags: f, Begin: 1, Last: -1, Step: step}}
}

// keysButLast is the spec of a command all of whose arguments but the last are keys.
func keysButLast(f KeyFlag) []KeySpec { return []KeySpec{{Flags: f, Begin: 1, Last: -2, Step: 1}} }

// KeyAt is the spec of one key at an argument.
func KeyAt(f KeyFlag, i int) KeySpec { return KeySpec{Flags: f, Begin: i, Step: 1} }

// KeyCount is the spec of a count at an argument and as many keys after it.
func KeyCount(f KeyFlag, i int) KeySpec {
	return KeySpec{Flags: f, Begin: i, NumKeys: true, First: 1, Step: 1}
}
