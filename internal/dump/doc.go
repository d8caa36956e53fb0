// Package dump turns values of the keyspace into what package rdb writes and back: it is where the types and the format
// meet, so that neither knows the other. DUMP, RESTORE and DEBUG RELOAD are made of it, and snapshots are to be.
//
// A value is written in the types that Redis 7.0 reads, unless the version asked for allows later ones or only those
// can hold it (fields that expire). It is read into an [engine.Draft] through the same functions by which commands build
// values, so that the encoding comes out as if commands had built it, whatever the bytes were.
package dump
