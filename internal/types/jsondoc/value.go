package jsondoc

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/larderdb/larder/internal/mem/table"
)

// What the engine does with a document. It refers to no memory outside its record.

// Encoding is what OBJECT ENCODING says of a document.
func Encoding(*table.Entry) string { return "raw" }

// Len is 1: a document is not empty, whatever it is.
func Len(*table.Entry) int { return 1 }

// Clone makes dst's value a copy of src's document. O(document).
func Clone(src, dst *table.Entry) { copy(dst.SetLen(len(src.Value())), src.Value()) }

// Bytes is the memory outside the record: none.
func Bytes(*table.Entry) int { return 0 }

// Check checks that e holds a document. O(document), of objects O(members²).
func Check(e *table.Entry) error { return Valid(e.Value()) }

// Refusals of Valid.
var (
	errTag    = errors.New("jsondoc: unknown tag")
	errEnd    = errors.New("jsondoc: a value does not end where it should")
	errNames  = errors.New("jsondoc: a name that is no string")
	errTwice  = errors.New("jsondoc: a name twice")
	errText   = errors.New("jsondoc: a string that is not UTF-8")
	errNested = errors.New("jsondoc: too deep")
)

// Valid checks that bytes are one value, no more and no less.
func Valid(b []byte) error {
	end, err := validAt(b, 0, 0)
	if err == nil && end != len(b) {
		err = errEnd
	}
	return err
}

func validAt(b []byte, at, depth int) (end int, err error) {
	if at >= len(b) {
		return 0, errEnd
	}
	n := Node{b, at}
	t := n.tag()
	if t > tagObject32 && t < tagString {
		return 0, errTag
	}
	if head := headLen(t); len(b)-at < head {
		return 0, errEnd
	}
	if end = n.end(); end > len(b) {
		return 0, errEnd
	}
	switch n.Type() {
	case String:
		if !utf8.Valid(n.Bytes()) {
			return 0, errText
		}
	case Array, Object:
		if depth == MaxDepth {
			return 0, errNested
		}
		return end, n.validContents(end, depth+1)
	}
	return end, nil
}

// headLen are the bytes that tell where a value ends.
func headLen(t byte) int {
	switch {
	case t >= tagArray8 && t <= tagObject32:
		return 1 + 2*widths[t]
	case t >= tagString8 && t <= tagString32:
		return 1 + widths[t]
	}
	return 1
}

func (n Node) validContents(end, depth int) (err error) {
	at := n.body()
	var names []string
	for range n.Len() {
		if n.Type() == Object {
			key := Node{n.b, at}
			if at, err = validAt(n.b[:end], at, depth); err != nil {
				return err
			}
			if key.Type() != String {
				return errNames
			}
			names = append(names, string(key.Bytes()))
		}
		if at, err = validAt(n.b[:end], at, depth); err != nil {
			return err
		}
	}
	if at != end {
		return errEnd
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != n.Len() && n.Type() == Object {
		return errTwice
	}
	return nil
}

func sortedByPlace(found []Node) []Node {
	sorted := slices.Clone(found)
	slices.SortStableFunc(sorted, func(a, b Node) int { return a.at - b.at })
	return sorted
}
