package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Requests are arrays of strings, numbers and booleans, or arrays of those. They are read by hand, since numbers keep their
// spelling and a pipeline has thousands of words; strings with escapes are left to encoding/json.

// scanner reads a request's JSON. Words are parts of the request's text where they can be.
type scanner struct {
	b  string
	at int
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
	words := make([]string, 0, 4)
	for {
		s.space()
		if s.at < len(s.b) && s.b[s.at] == ']' && len(words) == 0 {
			s.at++
			return words, nil
		}
		w, err := s.word()
		if err != nil {
			return nil, err
		}
		words = append(words, w)
		switch s.next() {
		case ',':
		case ']':
			return words, nil
		default:
			return nil, s.fail("no comma between two arguments")
		}
	}
}

// commands reads an array of commands, at most so many.
func (s *scanner) commands(most int) ([][]string, error) {
	if s.next() != '[' {
		return nil, s.fail("no array of commands")
	}
	var list [][]string
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
			var text string
			if err := json.Unmarshal([]byte(s.b[start:s.at]), &text); err != nil {
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
