package kvstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/larderdb/larder/store"
)

// Whatever a server answers, it is read or refused, and what is read is JSON.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`[{"result":"dg=="},{"error":"ERR x"},{"result":null},{"result":[1,"T0s=",[]]},{"result":"OK"},{"result":1.5e300},{"result":true}]`,
		`{"result":9223372036854775808}`, `[{}]`, `[null]`, `[{"result":{"a":1}}]`, `[{"error":""}]`, `[{"result":"x","error":null}]`, `[]`, `null`, `[[1]]`, ``,
		`[{"result":"OK","result":1}]`, `{"other":{"a":[1,{}]},"result":"T\u0030s="}`, `[{"result":-}]`, `[{"result":1}] x`, `[{"result":"\x"}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := decodeList(string(body), 1)
		if err == nil && !json.Valid(body) {
			t.Errorf("%q is no JSON and was read as %v", body, list)
		}
		one, err := decodeOne(string(body))
		if err == nil && !json.Valid(body) {
			t.Errorf("%q is no JSON and was read as %v", body, one)
		}
	})
}

// Answers are read as encoding/json reads them.
func TestAnswersAreReadAsByTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var value func(depth int) any
	value = func(depth int) any {
		switch n := rnd.IntN(9); {
		case n == 0:
			return nil
		case n == 1:
			return rnd.Int64() - rnd.Int64()
		case n == 2:
			return rnd.NormFloat64() * 1e300
		case n == 3:
			return rnd.IntN(2) == 0
		case n < 6 && depth < 5:
			list := make([]any, rnd.IntN(4))
			for i := range list {
				list[i] = value(depth + 1)
			}
			return list
		case n == 6:
			return "OK"
		}
		b := make([]byte, rnd.IntN(40))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b // in base64
	}
	for range 5000 {
		list := make([]map[string]any, rnd.IntN(5))
		for i := range list {
			list[i] = map[string]any{"result": value(0)}
			if rnd.IntN(5) == 0 {
				list[i] = map[string]any{"error": "ERR \u00e9 <\"> \xff" + string(rune(rnd.IntN(70000)))}
			}
			if rnd.IntN(5) == 0 {
				list[i]["other"] = map[string]any{"a": value(0), "b": []any{1.5, nil, map[string]any{}}}
			}
		}
		body, err := json.Marshal(list)
		if rnd.IntN(2) == 0 {
			body, err = json.MarshalIndent(list, " \t", "\r\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeList(string(body), 0)
		want, errModel := modelList(body)
		if (err == nil) != (errModel == nil) || err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s:\n%v, %v, want\n%v, %v", body, got, err, want, errModel)
		}
		if len(list) > 0 {
			one, err := decodeOne(string(mustJSON(t, list[0])))
			want, errModel := modelOne(mustJSON(t, list[0]))
			if (err == nil) != (errModel == nil) || err == nil && one.String() != want.String() {
				t.Fatalf("%v: %v, %v, want %v, %v", list[0], one, err, want, errModel)
			}
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
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
