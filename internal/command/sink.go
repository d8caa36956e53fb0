package command

// Sink takes one reply, told piece by piece: the header of an aggregate first,
// then its elements. Bytes are copied before a method returns.
type Sink interface {
	Simple(s string)   // a status such as OK
	Error(text string) // the whole text, code first: "ERR syntax error"
	Int(n int64)
	Bulk(b []byte)
	BulkString(s string)
	Null()      // RESP2: a nil bulk
	NullArray() // RESP2: a nil array; RESP3: the same as Null
	Array(n int)
	Map(n int) // n pairs; RESP2: an array of 2n
	Set(n int)
	Push(n int)
	Double(f float64) // RESP2: a bulk
	Bool(b bool)      // RESP2: 1 or 0
	BigNumber(s string)
	Verbatim(format, s string)
	Proto() int // 2 or 3
}
