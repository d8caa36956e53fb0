package doctor

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// form is what a string looks like.
type form uint8

const (
	formPlain  form = iota
	formFlat        // a JSON object without objects and arrays in it
	formNested      // any other JSON object
	formList        // a list written into a string: a JSON array, or words with commas
	formObject      // the serialization of a programming language
	forms
)

// listWords is how many words with the same character in between are taken for a list.
const listWords = 8

// formOf looks at a value's beginning, or all of it if whole.
func formOf(value string, whole bool) form {
	text := strings.TrimLeft(value, " \t\r\n")
	switch {
	case text == "":
		return formPlain
	case text[0] == '{' || text[0] == '[':
		return formOfJSON(text, whole)
	case isSerialized(value, whole):
		return formObject
	case isDelimited(text):
		return formList
	}
	return formPlain
}

// formOfJSON reads as far as the text goes: a cut one is JSON if nothing before the cut says otherwise.
func formOfJSON(text string, whole bool) form {
	d := json.NewDecoder(strings.NewReader(text))
	depth, deepest, tokens := 0, 0, 0
	for {
		t, err := d.Token()
		if err != nil {
			cut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			if !cut || depth > 0 && whole || tokens < 4 { // {} and [] tell nothing
				return formPlain
			}
			break
		}
		tokens++
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	switch {
	case text[0] == '[':
		return formList
	case deepest > 1:
		return formNested
	}
	return formFlat
}

// isDelimited reports whether the text is words with one of the usual characters between them.
func isDelimited(text string) bool {
	for _, separator := range []string{",", ";", "|", "\n"} {
		words := strings.Split(strings.TrimRight(text, separator), separator)
		if len(words) < listWords {
			continue
		}
		plain := true
		for _, w := range words[:len(words)-1] { // the last may be cut
			w = strings.TrimPrefix(w, " ")
			plain = plain && w != "" && len(w) <= 64 && !strings.ContainsAny(w, " {}<>\x00")
		}
		if plain {
			return true
		}
	}
	return false
}

// isSerialized knows Java's ObjectOutputStream, Python's pickle and PHP's serialize by how they begin.
func isSerialized(value string, whole bool) bool {
	if strings.HasPrefix(value, "\xac\xed\x00\x05") {
		return true
	}
	if len(value) > 3 && value[0] == 0x80 && value[1] >= 2 && value[1] <= 5 {
		return !whole || value[len(value)-1] == '.'
	}
	if len(value) < 6 || value[0] != 'a' && value[0] != 'O' || value[1] != ':' {
		return false
	}
	digits := strings.TrimLeft(value[2:], "0123456789")
	return len(digits) < len(value)-2 && (strings.HasPrefix(digits, ":{") || strings.HasPrefix(digits, `:"`))
}
