package kvstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/larderdb/larder/store"
)

// appendCommands adds commands as JSON, with commas between.
func appendCommands(b []byte, cmds []store.Cmd) []byte {
	for i, c := range cmds {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCommand(b, c)
	}
	return b
}

func appendCommand(b []byte, c store.Cmd) []byte {
	b = append(b, '[')
	for k, w := range c {
		if k > 0 {
			b = append(b, ',')
		}
		b = appendText(b, w)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendText adds a word as a JSON string, with bytes that are no ASCII as they are.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(append(b, s[from:i]...), '\\')
		if from = i + 1; c < ' ' {
			b = append(b, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return append(append(b, s[from:]...), '"')
}

// textLen is how long appendText makes a word, with a comma.
func textLen(s string) int {
	n := len(s) + 3
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			n += 5
		case c == '"', c == '\\':
			n++
		}
	}
	return n
}

// answer is the reply to a command.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *string         `json:"error"`
}

func (a *answer) reply() (store.Reply, error) {
	if a.Error != nil {
		return store.Fail(serverError(*a.Error)), nil
	}
	if bytes.Equal(a.Result, []byte(`"OK"`)) {
		return store.Status("OK"), nil
	}
	if a.Result == nil {
		return store.Reply{}, errAnswer(nil)
	}
	d := json.NewDecoder(bytes.NewReader(a.Result))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return store.Reply{}, errAnswer(err)
	}
	return replyOf(v)
}

func errAnswer(err error) error {
	if err == nil {
		return fmt.Errorf("kvstore: %w: neither a result nor an error", store.ErrReply)
	}
	return fmt.Errorf("kvstore: %w: %w", store.ErrReply, err)
}

// replyOf reads a result: null, a number, a string in base64, an array of those.
func replyOf(v any) (store.Reply, error) {
	switch v := v.(type) {
	case nil:
		return store.Nil(), nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return store.Int(n), nil
		}
		return store.Bulk(v.String()), nil
	case bool:
		return store.Boolean(v), nil
	case string:
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return store.Reply{}, errAnswer(err)
		}
		return store.Bulk(string(b)), nil
	case []any:
		list := make([]store.Reply, len(v))
		for i, e := range v {
			var err error
			if list[i], err = replyOf(e); err != nil {
				return store.Reply{}, err
			}
		}
		return store.ArrayOf(list...), nil
	}
	return store.Reply{}, errAnswer(fmt.Errorf("a result of type %T", v))
}

// decodeOne reads the answer to a single command.
func decodeOne(body []byte) (store.Reply, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return store.Reply{}, errAnswer(err)
	}
	return a.reply()
}

// decodeList reads the answer to a pipeline.
func decodeList(body []byte) ([]store.Reply, error) {
	var list []answer
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errAnswer(err)
	}
	replies := make([]store.Reply, len(list))
	for i := range list {
		var err error
		if replies[i], err = list[i].reply(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}
