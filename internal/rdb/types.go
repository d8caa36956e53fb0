package rdb

// Kind is the type of a value as users know it, numbered as in Redis.
type Kind byte

// The kinds.
const (
	String Kind = 0
	List   Kind = 1
	Set    Kind = 2
	ZSet   Kind = 3
	Hash   Kind = 4
	JSON   Kind = 5 // a module's, in Redis
	Stream Kind = 6
)

// Type is how a value is written: the byte in front of it.
type Type byte

// The types, with the version of Redis that wrote them first.
const (
	TypeString         Type = 0
	TypeList           Type = 1
	TypeSet            Type = 2
	TypeZSet           Type = 3 // scores as text
	TypeHash           Type = 4
	TypeZSet2          Type = 5 // scores as doubles; 4.0
	TypeModule         Type = 6
	TypeModule2        Type = 7
	TypeHashZipmap     Type = 9
	TypeListZiplist    Type = 10
	TypeSetIntset      Type = 11
	TypeZSetZiplist    Type = 12
	TypeHashZiplist    Type = 13
	TypeListQuicklist  Type = 14 // ziplists; 3.2
	TypeStream         Type = 15 // 5.0
	TypeHashListpack   Type = 16 // 7.0
	TypeZSetListpack   Type = 17 // 7.0
	TypeListQuicklist2 Type = 18 // listpacks and single elements; 7.0
	TypeStream2        Type = 19 // first and deleted ids, entries ever added; 7.0
	TypeSetListpack    Type = 20 // 7.2
	TypeStream3        Type = 21 // active times of consumers; 7.2
	TypeHashTTLEarly   Type = 22 // fields with absolute expiries; release candidates of 7.4
	TypeHashLPTTLEarly Type = 23 // the same in a listpack
	TypeHashTTL        Type = 24 // fields with expiries relative to the hash's first; 7.4
	TypeHashLPTTL      Type = 25 // a listpack of field, value, expiry; 7.4
)

// kindOf are the kinds of the types that can be read.
var kindOf = map[Type]Kind{
	TypeString: String,
	TypeList:   List, TypeListZiplist: List, TypeListQuicklist: List, TypeListQuicklist2: List,
	TypeSet: Set, TypeSetIntset: Set, TypeSetListpack: Set,
	TypeZSet: ZSet, TypeZSet2: ZSet, TypeZSetZiplist: ZSet, TypeZSetListpack: ZSet,
	TypeHash: Hash, TypeHashZipmap: Hash, TypeHashZiplist: Hash, TypeHashListpack: Hash,
	TypeHashTTLEarly: Hash, TypeHashLPTTLEarly: Hash, TypeHashTTL: Hash, TypeHashLPTTL: Hash,
	TypeModule2: JSON, // of RedisJSON only
	TypeStream:  Stream, TypeStream2: Stream, TypeStream3: Stream,
}

// Kind is what a value of the type is; false for a type that cannot be read.
func (t Type) Kind() (Kind, bool) {
	k, ok := kindOf[t]
	return k, ok
}

// Versions of the format.
const (
	Version7  = 10 // of Redis 7.0
	Version72 = 11 // of Redis 7.2 and Valkey
	Version74 = 12 // of Redis 7.4: fields with expiries

	// MaxVersion is the latest that is read.
	MaxVersion = Version74
)

// Version is the first version of the format that has the type, of those that are written.
func (t Type) Version() int {
	switch {
	case t >= TypeHashTTLEarly:
		return Version74
	case t >= TypeSetListpack:
		return Version72
	}
	return Version7
}

// Error is what is wrong with bytes that were read.
type Error string

func (e Error) Error() string { return "rdb: " + string(e) }

// The ways in which bytes are wrong.
const (
	ErrTruncated Error = "the end came too early"
	ErrTrailing  Error = "bytes are left behind the value"
	ErrLength    Error = "not a length"
	ErrString    Error = "not a string"
	ErrLZF       Error = "malformed LZF"
	ErrType      Error = "unknown type"
	ErrModule    Error = "a value of a module"
	ErrDocument  Error = "malformed JSON"
	ErrEmpty     Error = "an empty collection"
	ErrListpack  Error = "malformed listpack"
	ErrZiplist   Error = "malformed ziplist"
	ErrZipmap    Error = "malformed zipmap"
	ErrIntset    Error = "malformed intset"
	ErrPairs     Error = "a field without a value"
	ErrScore     Error = "not a score"
	ErrQuicklist Error = "unknown kind of list node"
	ErrStream    Error = "malformed stream"
	ErrLimit     Error = "the value is larger than is allowed"
	ErrDuplicate Error = "an element twice"
	ErrVersion   Error = "a later version of the format"
	ErrChecksum  Error = "wrong checksum"
	ErrMagic     Error = "not a snapshot"
	ErrOpcode    Error = "unknown opcode"
)

// Visitor takes a value in as it is read: Kind first, then the elements, in the order in which they stand. Byte slices
// are borrowed: they are void when the call returns. An error ends the reading, and Reader.Value returns it.
//
// A visitor sees a value that turns out to be malformed up to where it is: it must be able to drop what it has.
type Visitor interface {
	// Kind tells what comes. n is the number of elements, where that is known beforehand, or of the parts that a list
	// comes in: a hint, not to be trusted.
	Kind(k Kind, t Type, n int) error
	// String is the whole of a string.
	String(s []byte) error
	// Document is the whole of a JSON document, as text that is perhaps malformed (ErrDocument).
	Document(text []byte) error
	// Element is the next of a list or of a set; in a set the visitor refuses what it has already (ErrDuplicate).
	Element(v []byte) error
	// Field is one of a hash; expiry is Unix time in milliseconds, 0 for none. A field twice is to be refused.
	Field(field, value []byte, expiry int64) error
	// Member is one of a sorted set, not necessarily in order; score is a number. A member twice is to be refused.
	Member(member []byte, score float64) error
	StreamVisitor
}

// StreamID is the id of an entry.
type StreamID struct{ Ms, Seq uint64 }

// Less tells whether an id comes before another.
func (a StreamID) Less(b StreamID) bool { return a.Ms < b.Ms || a.Ms == b.Ms && a.Seq < b.Seq }

// StreamState is what a stream knows beside its entries.
type StreamState struct {
	Length     uint64
	Last       StreamID // greatest id ever
	First      StreamID // of the first entry
	MaxDeleted StreamID
	Added      uint64 // entries ever added
	Legacy     bool   // written before 7.0: MaxDeleted and Added are guesses
}

// UnknownRead is the number of read entries of a group that has lost count.
const UnknownRead = -1

// StreamVisitor takes a stream in: all entries, the state, then group after group: its pending entries, each consumer
// and which of the pending entries are the consumer's.
type StreamVisitor interface {
	// Entry is the next; ids ascend. fields are names and values in turn.
	Entry(id StreamID, fields [][]byte) error
	State(s StreamState) error
	// Group begins a group. read is how many entries it has read, or UnknownRead; of a Legacy stream always UnknownRead.
	Group(name []byte, last StreamID, read int64) error
	// Pending is an entry that was delivered and not acknowledged; ids ascend. delivered is Unix time in milliseconds.
	Pending(id StreamID, delivered int64, count uint64) error
	// Consumer begins a consumer; the times are Unix time in milliseconds. active is -1 where it was never active.
	Consumer(name []byte, seen, active int64) error
	// Owns says that a pending entry of the group is the consumer's.
	Owns(id StreamID) error
	// EndGroup ends a group: every pending entry must have an owner by now.
	EndGroup() error
}
