// Package rdb reads and writes the format in which Redis keeps values outside its memory: the payloads of DUMP and the
// files that SAVE writes. It knows bytes and values, nothing of how Larder keeps them: a [Writer] is told a value piece
// by piece, and a [Reader] tells what it finds to a [Visitor]. Neither holds a value as a whole.
//
// # The format
//
// A value is a byte that says its [Type], and a body. Bodies are made of two things:
//
//	length    00llllll                      0 to 63
//	          01llllll l                    0 to 16383, high bits first
//	          10000000 and four bytes       big endian
//	          10000001 and eight bytes      big endian
//	          11eeeeee                      no length: the string that follows is encoded in way e
//	string    length and bytes, or
//	          e=0, 1, 2                     the decimal digits of an integer of 1, 2, 4 bytes, little endian
//	          e=3                           length packed, length unpacked, and LZF (see lzf.go)
//
// In the plain types a collection is its number of elements and their strings. In the compact ones it is a single string,
// which holds the structure that Redis keeps small collections in: a listpack (Redis 7), a ziplist (before), a zipmap
// (before 2.6), an intset. Lists are several such strings. Redis has written 24 types over the years, and reads all of
// them still; so does this package. It writes those that Redis 7.0 reads, unless a value needs a later one.
//
// A payload of DUMP is a value and a footer: the version of the format in two bytes, and the CRC-64 of all before in
// eight. A file is the word REDIS and the version in four digits, then opcodes: databases, expiries, keys and values,
// and a CRC-64.
//
// # Bytes from strangers
//
// RESTORE lets any client bring bytes along. So nothing here trusts a number before the bytes are there: memory grows
// with what was read, not with what was announced, and LZF cannot promise more than its packed bytes can hold. Every
// structure is walked entry by entry with all its redundant fields checked (lengths, back lengths, offsets of the end,
// counts); duplicates are the visitor's to find, since it has the value at hand. [Reader.Limit] bounds what one
// value may come to, in bytes and elements together.
package rdb
