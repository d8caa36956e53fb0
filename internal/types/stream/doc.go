// Package stream is the stream: entries, each a sequence of field-value pairs under an ID that is greater than all
// before it, and consumer groups that hand the entries out and remember who has not acknowledged which.
//
// # Entries
//
// Entries stand in the leaves of a counted tree, in the order of their IDs. A leaf is one run of bytes that holds up to
// stream-node-max-entries entries or stream-node-max-bytes bytes. It begins with an ID, its base, and with the fields of
// its first entry, the master fields; so that an entry costs, beside its values,
//
//	one byte for its ID, as long as that is near the entry's before it (see appendHead), and
//	nothing for its fields where they are the master fields.
//
// Values are package packed's: integers in binary, short strings with one byte of length. The key of a leaf in the tree
// is its base, so XRANGE finds an ID in O(log n) and a walk through one leaf.
//
// Deleted entries leave at once: there are no tombstones to be collected. A leaf only counts how many went, because
// where Redis begins a new node depends on that, and how far an approximate trim goes depends on nodes.
//
// # Consumer groups
//
// A group has two kinds of pending lists, both ordered by ID and packed in the same way (see series): its own, whose
// items say to which consumer an entry went, when and how often; and one per consumer with nothing but the IDs. Together
// that is some 16 bytes for a pending entry. Groups and consumers are cells of their own, reached by name through an
// ordered tree (see directory), so that they are listed in the order of their names.
//
// # In memory
//
// The record's value is a root of fixed length (see stream.Save): the trees' roots and the counters. Nothing is a Go
// pointer.
//
// # Ownership of bytes
//
// Fields, values and names are copied in. What is given out aliases the stream: it is valid until the stream changes,
// what is given to a callback during the call only. Callbacks must not change the stream. A Stream is a loan on a record:
// it is void when the shard changes through anything else. Save is due after every edit.
//
// A stream may be empty: its key stays.
package stream
