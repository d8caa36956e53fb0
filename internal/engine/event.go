package engine

// Event says what happened to a key, in the words of Redis's keyspace
// notifications. Events are rows of a table, so that a change cannot be told
// without its class and its name.
type Event uint8

// EventClass is a letter of notify-keyspace-events.
type EventClass byte

// The events, named after the notification that Redis sends for each.
const (
	EventNone Event = iota
	EventSet
	EventAppend
	EventSetRange
	EventSetBit
	EventPFAdd
	EventIncrBy
	EventIncrByFloat
	EventDel
	EventExpire
	EventPersist
	EventExpired
	EventEvicted
	EventRenameFrom
	EventRenameTo
	EventMoveFrom
	EventMoveTo
	EventCopyTo
	EventRestore
	EventHSet
	EventHDel
	EventHIncrBy
	EventHIncrByFloat
	EventHExpire
	EventHPersist
	EventHExpired
	EventLPush
	EventRPush
	EventLPop
	EventRPop
	EventLInsert
	EventLSet
	EventLRem
	EventLTrim
	EventSortStore
	EventSAdd
	EventSRem
	EventSPop
	EventSInterStore
	EventSUnionStore
	EventSDiffStore
	EventZAdd
	EventZIncr
	EventZRem
	EventZRemRangeByRank
	EventZRemRangeByScore
	EventZRemRangeByLex
	EventZPopMin
	EventZPopMax
	EventZRangeStore
	EventZUnionStore
	EventZInterStore
	EventZDiffStore
	EventGeoRadiusStore
	EventGeoSearchStore
	EventXAdd
	EventXDel
	EventXTrim
	EventXSetID
	EventXGroupCreate
	EventXConsumerCreate
	EventXConsumerDelete
	EventXGroupDestroy
	EventXGroupSetID
	EventJSONSet
	EventJSONMSet
	EventJSONMerge
	EventJSONDel
	EventJSONNumIncrBy
	EventJSONNumMultBy
	EventJSONNumPowBy
	EventJSONToggle
	EventJSONStrAppend
	EventJSONArrAppend
	EventJSONArrInsert
	EventJSONArrPop
	EventJSONArrTrim
	EventJSONClear
	EventNew     // a hint: before the event that tells why
	EventKeyMiss // a hint
	EventFlush   // of a database
	EventSwap    // of a database
)

var eventRows = [...]struct {
	class EventClass
	name  string
}{
	EventNone:             {0, ""},
	EventSet:              {'$', "set"},
	EventAppend:           {'$', "append"},
	EventSetRange:         {'$', "setrange"},
	EventSetBit:           {'$', "setbit"},
	EventPFAdd:            {'$', "pfadd"},
	EventIncrBy:           {'$', "incrby"},
	EventIncrByFloat:      {'$', "incrbyfloat"},
	EventDel:              {'g', "del"},
	EventExpire:           {'g', "expire"},
	EventPersist:          {'g', "persist"},
	EventExpired:          {'x', "expired"},
	EventEvicted:          {'e', "evicted"},
	EventRenameFrom:       {'g', "rename_from"},
	EventRenameTo:         {'g', "rename_to"},
	EventMoveFrom:         {'g', "move_from"},
	EventMoveTo:           {'g', "move_to"},
	EventCopyTo:           {'g', "copy_to"},
	EventRestore:          {'g', "restore"},
	EventHSet:             {'h', "hset"},
	EventHDel:             {'h', "hdel"},
	EventHIncrBy:          {'h', "hincrby"},
	EventHIncrByFloat:     {'h', "hincrbyfloat"},
	EventHExpire:          {'h', "hexpire"},
	EventHPersist:         {'h', "hpersist"},
	EventHExpired:         {'h', "hexpired"},
	EventLPush:            {'l', "lpush"},
	EventRPush:            {'l', "rpush"},
	EventLPop:             {'l', "lpop"},
	EventRPop:             {'l', "rpop"},
	EventLInsert:          {'l', "linsert"},
	EventLSet:             {'l', "lset"},
	EventLRem:             {'l', "lrem"},
	EventLTrim:            {'l', "ltrim"},
	EventSortStore:        {'l', "sortstore"},
	EventSAdd:             {'s', "sadd"},
	EventSRem:             {'s', "srem"},
	EventSPop:             {'s', "spop"},
	EventSInterStore:      {'s', "sinterstore"},
	EventSUnionStore:      {'s', "sunionstore"},
	EventSDiffStore:       {'s', "sdiffstore"},
	EventZAdd:             {'z', "zadd"},
	EventZIncr:            {'z', "zincr"},
	EventZRem:             {'z', "zrem"},
	EventZRemRangeByRank:  {'z', "zremrangebyrank"},
	EventZRemRangeByScore: {'z', "zremrangebyscore"},
	EventZRemRangeByLex:   {'z', "zremrangebylex"},
	EventZPopMin:          {'z', "zpopmin"},
	EventZPopMax:          {'z', "zpopmax"},
	EventZRangeStore:      {'z', "zrangestore"},
	EventZUnionStore:      {'z', "zunionstore"},
	EventZInterStore:      {'z', "zinterstore"},
	EventZDiffStore:       {'z', "zdiffstore"},
	EventGeoRadiusStore:   {'z', "georadiusstore"},
	EventGeoSearchStore:   {'z', "geosearchstore"},
	EventXAdd:             {'t', "xadd"},
	EventXDel:             {'t', "xdel"},
	EventXTrim:            {'t', "xtrim"},
	EventXSetID:           {'t', "xsetid"},
	EventXGroupCreate:     {'t', "xgroup-create"},
	EventXConsumerCreate:  {'t', "xgroup-createconsumer"},
	EventXConsumerDelete:  {'t', "xgroup-delconsumer"},
	EventXGroupDestroy:    {'t', "xgroup-destroy"},
	EventXGroupSetID:      {'t', "xgroup-setid"},
	EventJSONSet:          {'d', "json.set"},
	EventJSONMSet:         {'d', "json.mset"},
	EventJSONMerge:        {'d', "json.merge"},
	EventJSONDel:          {'d', "json.del"},
	EventJSONNumIncrBy:    {'d', "json.numincrby"},
	EventJSONNumMultBy:    {'d', "json.nummultby"},
	EventJSONNumPowBy:     {'d', "json.numpowby"},
	EventJSONToggle:       {'d', "json.toggle"},
	EventJSONStrAppend:    {'d', "json.strappend"},
	EventJSONArrAppend:    {'d', "json.arrappend"},
	EventJSONArrInsert:    {'d', "json.arrinsert"},
	EventJSONArrPop:       {'d', "json.arrpop"},
	EventJSONArrTrim:      {'d', "json.arrtrim"},
	EventJSONClear:        {'d', "json.clear"},
	EventNew:              {'n', "new"},
	EventKeyMiss:          {'m', "keymiss"},
	EventFlush:            {0, "flush"},
	EventSwap:             {0, "swap"},
}

// Class is the event's letter in notify-keyspace-events; 0 for what is not notified.
func (v Event) Class() EventClass { return eventRows[v].class }

// String is the event's name.
func (v Event) String() string { return eventRows[v].name }
