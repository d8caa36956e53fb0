// Package jsondoc is the JSON document: values that are read and changed in place, found by paths.
//
// # Encoding
//
// A document is one run of bytes, the value of its key's record. A value begins with a tag:
//
//	null, true, false                  the tag alone
//	integers                           0 to 127 in the tag; else 1, 2, 4 or 8 bytes behind it
//	floating-point numbers             4 bytes where a float32 is exact, else 8
//	strings                            up to 63 bytes: the length in the tag; else a length of 1, 2 or 4 bytes
//	arrays, objects                    bytes of the contents, number of elements, contents
//
// Both figures of an array or object are 1, 2 or 4 bytes wide, as the contents demand. A member of an object is its name,
// written like a string, and its value; members stand in the order in which they came. So a value is passed over in O(1),
// and a typical document takes less than its text.
//
// # Cost
//
// To find a member is to pass over those before it, and to find an element likewise: O(length) of each array and object
// on the way, a few nanoseconds each. A change in one place moves the bytes behind it, and corrects the figures of the
// arrays and objects around it: O(document) at the speed of memmove, which for ten megabytes is about a millisecond.
// A change in many places writes the document anew, once: O(document + what is new), however many there are.
//
// # Numbers
//
// Numbers are kept as RedisJSON keeps them: as a signed or unsigned integer of 64 bits where they are spelled as one, else
// as a float64; they come out in the shortest spelling that gives the same number, and one that was a float with a
// fraction or an exponent.
//
// # Ownership of bytes
//
// Text and values are copied in. A Node, and what it gives, aliases the document: it is valid until that changes.
package jsondoc
