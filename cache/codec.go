package cache

import "github.com/larderdb/larder/codec"

// A Codec is the format of the values in the store: [MsgPack] unless Options name another, [Raw] for strings and []byte.
// Entries of a codec with another name are misses.
type (
	Codec   = codec.Codec
	MsgPack = codec.MsgPack // compact and fast
	JSON    = codec.JSON    // for people and other languages, after the 15 bytes of an entry's head
	Raw     = codec.Raw     // strings and []byte as they are
)
