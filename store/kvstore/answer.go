package kvstore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// Answers are {"result": ...} or {"error": "..."}, or arrays of those. They are read by hand: a pipeline has thousands, and by
// encoding/json each costs some twenty allocations.

// answers reads a response.
type answers struct {
	b     string
	at    int
	bytes []byte // for what is being decoded
}

// maxDepth bounds how deep arrays are nested. JSON documents go to 128, and scripts further.
const maxDepth = 5000

func (a *answers) fail(what string) error {
	return fmt.Errorf("kvstore: %w: %s at byte %d", store.ErrReply, what, a.at)
}

// peek skips white space and gives the byte that follows; 0 at the end.
func (a *answers) peek() byte {
	for a.at < len(a.b) {
		switch c := a.b[a.at]; c {
		case ' ', '\n', '\t', '\r':
			a.at++
		default:
			return c
		}
	}
	return 0
}

// next takes a byte if it is the one that is wanted.
func (a *answers) next(c byte) bool {
	if a.peek() != c {
		return false
	}
	a.at++
	return true
}

// list reads what stands between two brackets, element by element.
func (a *answers) list(open, shut byte, element func() error) error {
	if !a.next(open) {
		return a.fail("no " + string(open))
	}
	if a.next(shut) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if a.next(shut) {
			return nil
		}
		if !a.next(',') {
			return a.fail("neither a comma nor a " + string(shut))
		}
	}
}

// answer reads the answer to a command.
func (a *answers) answer() (r store.Reply, err error) {
	found, failed := false, false
	err = a.list('{', '}', func() error {
		name, err := a.text()
		if err != nil {
			return err
		}
		if !a.next(':') {
			return a.fail("no colon")
		}
		switch {
		case name == "error" && a.peek() == '"':
			text, err := a.text()
			r, found, failed = store.Fail(serverError(strings.Clone(text))), true, true
			return err
		case name == "result" && !failed:
			r, err = a.value(0)
			found = true
			return err
		}
		return a.skip(0)
	})
	if err == nil && !found {
		err = a.fail("neither a result nor an error")
	}
	return r, err
}

// value reads a result: null, a number, a string in base64, an array of those.
func (a *answers) value(depth int) (store.Reply, error) {
	switch c := a.peek(); {
	case c == '"':
		return a.encoded(depth)
	case c == '[':
		if depth == maxDepth {
			return store.Reply{}, a.fail("arrays nested too deep")
		}
		var list []store.Reply
		err := a.list('[', ']', func() error {
			r, err := a.value(depth + 1)
			list = append(list, r)
			return err
		})
		return store.ArrayOf(list...), err
	case c == '-' || c >= '0' && c <= '9':
		word := a.word()
		if n, err := strconv.ParseInt(word, 10, 64); err == nil {
			return store.Int(n), nil
		}
		if !json.Valid([]byte(word)) {
			return store.Reply{}, a.fail("no number")
		}
		return store.Bulk(strings.Clone(word)), nil
	case c == 'n', c == 't', c == 'f':
		switch a.word() {
		case "null":
			return store.Nil(), nil
		case "true":
			return store.Boolean(true), nil
		case "false":
			return store.Boolean(false), nil
		}
	}
	return store.Reply{}, a.fail("a result that is none")
}

// skip passes over what nobody asked for.
func (a *answers) skip(depth int) error {
	switch c := a.peek(); {
	case c == '"':
		_, err := a.text()
		return err
	case depth == maxDepth:
		return a.fail("nested too deep")
	case c == '[':
		return a.list('[', ']', func() error { return a.skip(depth + 1) })
	case c == '{':
		return a.list('{', '}', func() error {
			if _, err := a.text(); err != nil {
				return err
			}
			if !a.next(':') {
				return a.fail("no colon")
			}
			return a.skip(depth + 1)
		})
	}
	if !json.Valid([]byte(a.word())) {
		return a.fail("no JSON")
	}
	return nil
}

// word reads to where a number, or null, true or false, ends.
func (a *answers) word() string {
	from := a.at
	for a.at < len(a.b) {
		c := a.b[a.at]
		if c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			break
		}
		a.at++
	}
	return a.b[from:a.at]
}

// encoded reads a string in base64. Two are not encoded: a lone OK, on some servers within arrays as well, and errors within
// arrays, as of a script or of EXEC.
func (a *answers) encoded(depth int) (store.Reply, error) {
	text, err := a.text()
	if err != nil {
		return store.Reply{}, err
	}
	if text == "OK" { // which is no base64
		return store.Status("OK"), nil
	}
	a.bytes, err = base64.StdEncoding.AppendDecode(a.bytes[:0], []byte(text))
	switch {
	case err == nil:
		return store.Bulk(string(a.bytes)), nil
	case depth > 0:
		return store.Fail(serverError(strings.Clone(text))), nil
	}
	return store.Reply{}, fmt.Errorf("kvstore: %w: %w", store.ErrReply, err)
}

// text reads a string. It is a part of the response where it can be.
func (a *answers) text() (string, error) {
	if !a.next('"') {
		return "", a.fail("no string")
	}
	plain := true
	for i := a.at; i < len(a.b); i++ {
		switch c := a.b[i]; {
		case c == '"':
			quoted := a.b[a.at-1 : i+1]
			a.at = i + 1
			if plain {
				return quoted[1 : len(quoted)-1], nil
			}
			var text string
			if err := json.Unmarshal([]byte(quoted), &text); err != nil {
				return "", a.fail("a string with a wrong escape")
			}
			return text, nil
		case c == '\\':
			plain = false
			i++ // whatever it escapes
		case c < ' ':
			return "", a.fail("a control character in a string")
		case c >= 0x80:
			plain = false // it may be no UTF-8
		}
	}
	return "", a.fail("a string without an end")
}

// end fails if there is more.
func (a *answers) end() error {
	if a.peek(); a.at < len(a.b) {
		return a.fail("something after the end")
	}
	return nil
}

// decodeOne reads the answer to a single command.
func decodeOne(body string) (store.Reply, error) {
	a := &answers{b: body}
	r, err := a.answer()
	if err == nil {
		err = a.end()
	}
	return r, err
}

// decodeList reads the answer to a pipeline.
func decodeList(body string, n int) ([]store.Reply, error) {
	a := &answers{b: body}
	replies := make([]store.Reply, 0, n)
	err := a.list('[', ']', func() error {
		r, err := a.answer()
		replies = append(replies, r)
		return err
	})
	if err == nil {
		err = a.end()
	}
	return replies, err
}
