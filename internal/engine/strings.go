package engine

import (
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
)

// A string is the bytes of its record's value. Redis shows how it would keep
// them (OBJECT ENCODING), and two flags remember what the bytes do not tell.
const (
	flagRaw  = table.FlagA // it was edited in place: raw
	flagText = table.FlagB // it was written as text even where it looks like an integer

	embeddedMax = 44 // bytes that Redis keeps in one allocation with the object's header
)

// MarkRaw notes that a string was edited in place.
func MarkRaw(e *table.Entry) {
	e.SetFlag(flagRaw, true)
	e.SetFlag(flagText, false)
}

// MarkText notes that a string is the text of a number that is no integer to Redis.
func MarkText(e *table.Entry) { e.SetFlag(flagText, true) }

// ClearStringFlags notes that a string was written whole.
func ClearStringFlags(e *table.Entry) {
	e.SetFlag(flagRaw, false)
	e.SetFlag(flagText, false)
}

func stringEncoding(e *table.Entry) string {
	if e.Flag(flagRaw) {
		return "raw"
	}
	if !e.Flag(flagText) {
		if _, ok := number.ParseInt(e.Value()); ok {
			return "int"
		}
	}
	if len(e.Value()) <= embeddedMax {
		return "embstr"
	}
	return "raw"
}

func cloneString(src, dst *table.Entry) {
	copy(dst.SetLen(len(src.Value())), src.Value())
	dst.SetFlag(flagRaw, src.Flag(flagRaw))
	dst.SetFlag(flagText, src.Flag(flagText))
}
