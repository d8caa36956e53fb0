package rest

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// format is how a client wants replies.
type format uint8

const (
	plain  format = iota // strings as they are
	encode               // strings in base64
	resp2                // the wire protocol of Redis
)

// appendReply adds {"result": ...} or {"error": ...}; in resp2 the reply itself.
func (f format) appendReply(b []byte, r store.Reply) []byte {
	if f == resp2 {
		return appendRESP2(b, r)
	}
	if err := r.Err(); err != nil {
		return append(appendText(append(b, `{"error":`...), errorText(err)), '}')
	}
	b = append(b, `{"result":`...)
	if k := r.Kind(); k == store.KindStatus || k == store.KindBulk { // not every Store tells one from the other
		if text, err := r.Text(); err == nil && text == "OK" {
			return append(b, `"OK"}`...) // the one string that base64 leaves alone
		}
	}
	return append(f.appendValue(b, r), '}')
}

// begin and end are around the replies of several commands.
func (f format) begin(b []byte) []byte {
	if f == resp2 {
		return b
	}
	return append(b, '[')
}

func (f format) end(b []byte) []byte {
	if f == resp2 {
		return b
	}
	return append(b, ']')
}

// appendReplies adds the replies of several commands; more tells that others are there already.
func (f format) appendReplies(b []byte, replies []store.Reply, more bool) []byte {
	for i, r := range replies {
		if f != resp2 && (more || i > 0) {
			b = append(b, ',')
		}
		b = f.appendReply(b, r)
	}
	return b
}

func (f format) appendValue(b []byte, r store.Reply) []byte {
	switch r.Kind() {
	case store.KindNil:
		return append(b, "null"...)
	case store.KindInt, store.KindBool:
		n, _ := r.Int64() //nolint:errcheck // these kinds have one
		return strconv.AppendInt(b, n, 10)
	case store.KindArray, store.KindMap, store.KindSet:
		b = append(b, '[')
		list, _ := r.Array() //nolint:errcheck // likewise
		for i, e := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = f.appendValue(b, e)
		}
		return append(b, ']')
	case store.KindError: // within an array: of EXEC, or of a script
		return appendText(b, errorText(r.Err()))
	}
	text, _ := r.Text() //nolint:errcheck // likewise
	if f == encode {
		return append(appendBase64(append(b, '"'), text), '"')
	}
	return appendText(b, text)
}

// appendBase64 is base64.StdEncoding.AppendEncode of a string, which it does not copy.
func appendBase64(b []byte, s string) []byte {
	var part [3 * 256]byte // a multiple of three: only the last has padding
	b = slices.Grow(b, base64.StdEncoding.EncodedLen(len(s)))
	for len(s) > 0 {
		n := copy(part[:], s)
		b = base64.StdEncoding.AppendEncode(b, part[:n])
		s = s[n:]
	}
	return b
}

// errorText is what clients get to read of an error: the server's own text, or one that begins like those.
func errorText(err error) string {
	var code string
	if e, ok := err.(store.ServerError); ok { //nolint:errorlint // wrapped ones have more to say
		return string(e)
	}
	if errors.Is(err, store.ErrUnavailable) {
		return "UNAVAILABLE " + err.Error() // a code of our own, for clients to tell it from what the store answered
	}
	if word, _, _ := strings.Cut(err.Error(), " "); word == "" || word != strings.ToUpper(word) {
		code = "ERR "
	}
	return code + err.Error()
}

// appendRESP2 adds a reply as a Redis server of before RESP3 sends it.
func appendRESP2(b []byte, r store.Reply) []byte {
	switch r.Kind() {
	case store.KindNil:
		return append(b, "$-1\r\n"...)
	case store.KindInt, store.KindBool:
		n, _ := r.Int64() //nolint:errcheck // these kinds have one
		return append(strconv.AppendInt(append(b, ':'), n, 10), "\r\n"...)
	case store.KindArray, store.KindMap, store.KindSet:
		list, _ := r.Array() //nolint:errcheck // likewise
		b = append(strconv.AppendInt(append(b, '*'), int64(len(list)), 10), "\r\n"...)
		for _, e := range list {
			b = appendRESP2(b, e)
		}
		return b
	case store.KindError:
		return append(append(append(b, '-'), oneLine(errorText(r.Err()))...), "\r\n"...)
	case store.KindStatus:
		text, _ := r.Text() //nolint:errcheck // likewise
		return append(append(append(b, '+'), oneLine(text)...), "\r\n"...)
	}
	text, _ := r.Text() //nolint:errcheck // likewise
	b = append(strconv.AppendInt(append(b, '$'), int64(len(text)), 10), "\r\n"...)
	return append(append(b, text...), "\r\n"...)
}

var lineEnds = strings.NewReplacer("\r", " ", "\n", " ")

func oneLine(s string) string { return lineEnds.Replace(s) }
