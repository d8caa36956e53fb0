package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/larderdb/larder/store"
)

// Requests are arrays of strings, numbers and booleans, or arrays of those. They are read by hand, since numbers keep their
// spelling and a pipeline has thousands of words, and bytes that are no UTF-8 stay.

// scanner reads a request's JSON. Words are parts of the request's text where they can be.
type scanner struct {
	b    string
	at   int
	room []string // for the words of the next commands, of which a pipeline has many
}

var (
	errJSON = errors.New("ERR failed to parse the request")
	errPath = errors.New("ERR failed to parse the request: a wrong % escape in the path or query")
)

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errJSON, what, s.at)
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\n' || s.b[s.at] == '\t' || s.b[s.at] == '\r') {
		s.at++
	}
}

// next skips white space and takes the byte that follows; 0 at the end.
func (s *scanner) next() byte {
	s.space()
	if s.at == len(s.b) {
		return 0
	}
	s.at++
	return s.b[s.at-1]
}

// command reads an array of words.
func (s *scanner) command() ([]string, error) {
	if s.next() != '[' {
		return nil, s.fail("no array of a command's name and arguments")
	}
	words := s.room[:0:0]
	if cap(s.room) > 0 {
		words = s.room[:0]
	}
	for {
		s.space()
		if s.at < len(s.b) && s.b[s.at] == ']' && len(words) == 0 {
			s.at++
			return nil, nil
		}
		w, err := s.word()
		if err != nil {
			return nil, err
		}
		if len(words) == maxWords {
			return nil, fmt.Errorf("%w: a command of more than %d words", errJSON, maxWords)
		}
		if len(words) == cap(words) { // the command is longer than the room
			words = slices.Grow(words, max(len(words), s.likely()))
		}
		words = append(words, w)
		switch s.next() {
		case ',':
		case ']':
			s.room = words[len(words):]
			return words[:len(words):len(words)], nil
		default:
			return nil, s.fail("no comma between two arguments")
		}
	}
}

// maxWords bounds a command, as the wire protocol of Redis does.
const maxWords = 1 << 20

// likely is for how many words to make room: those of one command, or what may come in the rest of a pipeline, within bounds.
func (s *scanner) likely() int { return min(4+(len(s.b)-s.at)/8, 256) }

// commands reads an array of commands, at most so many.
func (s *scanner) commands(most int) ([]store.Cmd, error) {
	if s.next() != '[' {
		return nil, s.fail("no array of commands")
	}
	list := make([]store.Cmd, 0, min(most, 1+len(s.b)/16, 1024))
	for {
		s.space()
		if s.at < len(s.b) && s.b[s.at] == ']' && len(list) == 0 {
			s.at++
			return list, s.end()
		}
		if len(list) == most {
			return nil, fmt.Errorf("%w: more than %d commands", errJSON, most)
		}
		words, err := s.command()
		if err != nil {
			return nil, err
		}
		list = append(list, words)
		switch s.next() {
		case ',':
		case ']':
			return list, s.end()
		default:
			return nil, s.fail("no comma between two commands")
		}
	}
}

// end fails if there is more.
func (s *scanner) end() error {
	if s.space(); s.at < len(s.b) {
		return s.fail("something after the end")
	}
	return nil
}

// word reads a string, a number or a boolean.
func (s *scanner) word() (string, error) {
	if s.at == len(s.b) {
		return "", s.fail("the end")
	}
	switch c := s.b[s.at]; {
	case c == '"':
		return s.text()
	case c == '-' || c >= '0' && c <= '9', c == 't', c == 'f':
		start := s.at
		for s.at < len(s.b) && !delimits(s.b[s.at]) {
			s.at++
		}
		token := s.b[start:s.at]
		if !json.Valid([]byte(token)) { // of these beginnings only numbers, true and false are
			return "", s.fail("neither a number nor a boolean")
		}
		return token, nil
	}
	return "", s.fail("an argument that is neither a string, a number nor a boolean")
}

func delimits(c byte) bool {
	return c == ',' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// text reads a string.
func (s *scanner) text() (string, error) {
	start, plain := s.at, true
	for i := s.at + 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.at = i + 1
			if plain {
				return s.b[start+1 : i], nil
			}
			text, ok := unescape(s.b[start+1 : i])
			if !ok {
				return "", s.fail("a string with a wrong escape")
			}
			return text, nil
		case c == '\\':
			plain = false
			i++ // whatever it escapes
		case c < ' ':
			s.at = i
			return "", s.fail("a control character in a string")
		}
	}
	s.at = len(s.b)
	return "", s.fail("a string without an end")
}

// unescape undoes the escapes of a string. Other bytes stay as they are, also those that are no UTF-8.
func unescape(s string) (text string, ok bool) {
	b := make([]byte, 0, len(s))
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return string(append(b, s...)), true
		}
		b = append(b, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		if c == 'u' {
			r, rest, ok := escaped(s)
			if !ok {
				return "", false
			}
			b, s = utf8.AppendRune(b, r), rest
			continue
		}
		k := strings.IndexByte(`"\/bfnrt`, c)
		if k < 0 {
			return "", false
		}
		b = append(b, "\"\\/\b\f\n\r\t"[k])
	}
}

// escaped reads the four digits after \u, and a second half if they are the first of a surrogate pair. Half a pair is U+FFFD.
func escaped(s string) (r rune, rest string, ok bool) {
	if r, ok = hex4(s); !ok {
		return 0, "", false
	}
	s = s[4:]
	if !utf16.IsSurrogate(r) {
		return r, s, true
	}
	if strings.HasPrefix(s, `\u`) {
		if second, ok := hex4(s[2:]); ok {
			if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
				return pair, s[6:], true
			}
		}
	}
	return utf8.RuneError, s, true
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(n), err == nil && s[0] != '+' && s[0] != '_'
}

const hexDigits = "0123456789abcdef"

// appendText adds s as a JSON string. What is no UTF-8 becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
