package kvstore

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/larderdb/larder/store"
)

// Whatever a server answers, it is read or refused. What is read has the length of what was sent.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`[{"result":"dg=="},{"error":"ERR x"},{"result":null},{"result":[1,"T0s=",[]]},{"result":"OK"},{"result":1.5e300},{"result":true}]`,
		`{"result":9223372036854775808}`, `[{}]`, `[null]`, `[{"result":{"a":1}}]`, `[{"error":""}]`, `[{"result":"x","error":null}]`, `[]`, `null`, `[[1]]`, ``,
		`[{"result":"OK","result":1}]`, `[{"RESULT":1}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if replies, err := decodeList(body); err == nil {
			var list []json.RawMessage
			if json.Unmarshal(body, &list) != nil || len(list) != len(replies) {
				t.Errorf("%d replies of %q", len(replies), body)
			}
			for _, r := range replies {
				_ = r.String()
			}
		}
		if r, err := decodeOne(body); err == nil {
			_ = r.String()
		}
	})
}

// Words go out as JSON that reads back as they were, where they are text.
func FuzzWords(f *testing.F) {
	f.Add("SET", "a\"\\\x00\x1f\n\u2028é", "\xff\xfe")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		words := store.Cmd{a, b, c}
		text := appendCommand(nil, words)
		size := 1
		for _, w := range words {
			size += textLen(w)
		}
		if len(text) != size {
			t.Errorf("%q is %d bytes long, not %d", text, len(text), size)
		}
		if !allText([]store.Cmd{words}) {
			return
		}
		var back []string
		if err := json.Unmarshal(text, &back); err != nil || len(back) != 3 || back[0] != a || back[1] != b || back[2] != c {
			t.Errorf("%q became %q: %v", words, back, err)
		}
		if bytes.ContainsAny(text, "\n\r") {
			t.Errorf("a line's end in %q", text)
		}
	})
}
