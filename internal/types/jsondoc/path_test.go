package jsondoc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

const shop = `{"store":{"book":[
	{"category":"reference","author":"Nigel Rees","title":"Sayings of the Century","price":8.95},
	{"category":"fiction","author":"Evelyn Waugh","title":"Sword of Honour","price":12.99},
	{"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553-21311-3","price":8.99},
	{"category":"fiction","author":"J. R. R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99}],
	"bicycle":{"color":"red","price":19.95}},"expensive":10,"regex":"^S","a b":1,"q\"uote":2,"it's":3}`

// TestPaths follows paths: those of Goessner's article, and each thing that the grammar knows.
func TestPaths(t *testing.T) {
	root := Root(parsed(t, shop).Bytes)
	for path, want := range map[string]string{
		"$.store.book[*].author":                  `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`,
		"$..author":                               `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`,
		"$.store..price":                          `[8.95,12.99,8.99,22.99,19.95]`,
		"$..book[2].title":                        `["Moby Dick"]`,
		"$..book[-1].title":                       `["The Lord of the Rings"]`,
		"$..book[0,1].title":                      `["Sayings of the Century","Sword of Honour"]`,
		"$..book[:2].price":                       `[8.95,12.99]`,
		"$..book[-2:].price":                      `[8.99,22.99]`,
		"$..book[1:3].price":                      `[12.99,8.99]`,
		"$..book[::2].price":                      `[8.95,8.99]`,
		"$..book[1::2].price":                     `[12.99,22.99]`,
		"$..book[-9].price":                       `[8.95]`, // as near as there is
		"$..book[9].price":                        `[]`,
		"$..book[?(@.isbn)].price":                `[8.99,22.99]`,
		"$..book[?(!@.isbn)].price":               `[8.95,12.99]`,
		"$..book[?@.price<10].price":              `[8.95,8.99]`,
		"$..book[?(@.price < $.expensive)].price": `[8.95,8.99]`,
		"$..book[?(@.price<10 && @.category=='fiction')].price":            `[8.99]`,
		"$..book[?(@.price>20||@.price<8.96)].price":                       `[8.95,22.99]`,
		"$..book[?(@.price>20||@.price<10&&@.isbn)].price":                 `[8.99,22.99]`,
		"$..book[?((@.price>20||@.price<10)&&@.isbn)].price":               `[8.99,22.99]`,
		"$..book[?(!(@.price>20||@.price<10))].price":                      `[12.99]`,
		"$..book[?(@.title=~'^S')].price":                                  `[8.95,12.99]`,
		"$..book[?(@.title=~$.regex)].price":                               `[8.95,12.99]`,
		"$..book[?(@.title=~'(?i)^s.*R$')].price":                          `[12.99]`,
		"$..book[?(@.title=~'(')].price":                                   `[]`,
		"$..book[?(@.category!=\"fiction\")].price":                        `[8.95]`,
		"$..book[?(@.category!=1)].price":                                  `[8.95,12.99,8.99,22.99]`,
		"$..book[?(@.price==8.95)]['price','author']":                      `[8.95,"Nigel Rees"]`,
		"$.store.*.color":                                                  `["red"]`,
		"$['store']['bicycle'].color":                                      `["red"]`,
		"$.store.bicycle[\"color\",'price']":                               `["red",19.95]`,
		"$.store.bicycle[*]":                                               `["red",19.95]`,
		"$.store.bicycle[?(@>1)]":                                          `[19.95]`,
		"$.store[?(@.color==\"red\")].price":                               `[19.95]`,
		"$..[?(@.color)].price":                                            `[19.95]`,
		"$['a b']":                                                         `[1]`,
		`$["q\"uote"]`:                                                     `[2]`,
		`$['it\'s']`:                                                       `[3]`,
		`$["it's"]`:                                                        `[3]`,
		"$.none":                                                           `[]`,
		"$.store.book.author":                                              `[]`,
		"$.expensive[0]":                                                   `[]`,
		"$ .store .bicycle [ 'color' , 'price' ]":                          `["red",19.95]`,
		"$..book[?(@.price<9 && (@.author=='x' || @.isbn != null))].price": `[8.95,8.99]`,
		".store.bicycle.color":                                             `["red"]`,
		"store.bicycle.color":                                              `["red"]`,
		"['expensive']":                                                    `[10]`,
		"..price":                                                          `[8.95,12.99,8.99,22.99,19.95]`,
	} {
		if strings.HasPrefix(path, "$ ") {
			path = "$" + path[2:] // a blank right behind the $ makes it a legacy path
		}
		f := &Format{}
		b := f.Open(nil, '[')
		found := find(t, path, root)
		for i, n := range found {
			b = n.AppendFormat(f.Next(b, i), f)
		}
		if got := string(f.Close(b, ']', len(found))); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestMalformedPaths are refused in RedisJSON's words, positions of the text that it makes of a legacy path included.
func TestMalformedPaths(t *testing.T) {
	const at = "Error occurred at position "
	for path, want := range map[string]string{
		"$.":            at + "2, Error at position 2: expected one of the following: <string>, '*'",
		"$.a[":          at + "4, Error at position 4: expected one of the following: '<string>[,<string>,...]', '<number>', ['start:end:steps'], '*'",
		"$.a[01]":       "",
		"$.a[1,'b']":    "",
		"$.a[?(@.b]":    "",
		"$.a[1:2:0]":    "",
		"$.a[::-1]":     "",
		"$.a]":          "",
		"$..":           "",
		"$...a":         "",
		"$.a[?(@.b=1)]": "",
		"":              "",
		"a..":           "",
		"..":            "",
		"$.ü":           "",
	} {
		_, err := Compile([]byte(path))
		var known Error
		switch {
		case !errors.As(err, &known):
			t.Errorf("%q is taken (%v)", path, err)
		case want != "" && err.Error() != want:
			t.Errorf("%q: %s, want %s", path, err, want)
		case !strings.HasPrefix(err.Error(), at):
			t.Errorf("%q: %s", path, err)
		}
	}
	deep := "$" + strings.Repeat("[?(@", 100)
	for _, path := range []string{deep, strings.Repeat("a", maxPath+1), "$.\xff"} {
		if _, err := Compile([]byte(path)); err == nil {
			t.Errorf("%.20q is taken", path)
		}
	}
}

// TestCostlyPathsEnd: ways through a document multiply, and what they give and take is bounded.
func TestCostlyPathsEnd(t *testing.T) {
	root := Root(parsed(t, strings.Repeat("[", 100)+strings.Repeat("0,", 3000)+"0"+strings.Repeat("]", 100)).Bytes)
	for _, path := range []string{"$" + strings.Repeat("..*", 12), "$" + ".." + strings.Repeat("[?(@..", 6) + "a" + strings.Repeat(")]", 6)} {
		p, err := Compile([]byte(path))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Find(nil, root); err != error(ErrCosty) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestTexts: what is read comes out as RedisJSON spells it.
func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		"1.0": "1.0", "1e2": "100.0", "-0": "-0.0", "1E16": "1e16", "1.5e+300": "1.5e300", "0.00001": "0.00001", "0.000001": "1e-6",
		"123456789012345678901234567890": "1.2345678901234568e29", "18446744073709551615": "18446744073709551615",
		"-9223372036854775808": "-9223372036854775808", "-9223372036854775809": "-9.223372036854776e18", "9007199254740993.0": "9007199254740992.0",
		"1e-400": "0.0", "0.1": "0.1", "3.14159265358979": "3.14159265358979", "1e15": "1000000000000000.0",
		` [ 1 , { "a" : null } , true, false ] `:       `[1,{"a":null},true,false]`,
		`"\u00e9\ud83d\ude00\/\b\f\n\r\t\u0001\u007f"`: "\"é😀/\\b\\f\\n\\r\\t\\u0001\x7f\"",
		`{"a":1,"b":2,"a":{"c":3}}`:                    `{"a":{"c":3},"b":2}`,
		`{"":{"":[]}}`:                                 `{"":{"":[]}}`,
	} {
		v := parsed(t, text)
		if err := Valid(v.Bytes); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := string(Root(v.Bytes).AppendText(nil)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestMalformedTexts are refused in the words of RedisJSON's parser.
func TestMalformedTexts(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "EOF while parsing a value at line 1 column 0",
		" ":                      "EOF while parsing a value at line 1 column 1",
		"{":                      "EOF while parsing an object at line 1 column 1",
		"[1,":                    "EOF while parsing a value at line 1 column 3",
		"[1":                     "EOF while parsing a list at line 1 column 2",
		"[1,]":                   "trailing comma at line 1 column 4",
		"[1 2]":                  "expected `,` or `]` at line 1 column 4",
		`{"a" 1}`:                "expected `:` at line 1 column 6",
		`{"a":1,}`:               "trailing comma at line 1 column 8",
		`{"a":1 "b":2}`:          "expected `,` or `}` at line 1 column 8",
		"{a:1}":                  "key must be a string at line 1 column 2",
		"nul":                    "EOF while parsing a value at line 1 column 3",
		"nuls":                   "expected ident at line 1 column 4",
		"tru\ne":                 "expected ident at line 2 column 0",
		"[1]\n x":                "trailing characters at line 2 column 2",
		"01":                     "invalid number at line 1 column 2",
		"-":                      "EOF while parsing a value at line 1 column 1",
		"-a":                     "invalid number at line 1 column 2",
		"1.":                     "EOF while parsing a value at line 1 column 2",
		"1.x":                    "invalid number at line 1 column 3",
		"1e400":                  "number out of range at line 1 column 5",
		`"a`:                     "EOF while parsing a string at line 1 column 2",
		"\"a\tb\"":               "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 3",
		`"\x"`:                   "invalid escape at line 1 column 3",
		`"\ud800"`:               "unexpected end of hex escape at line 1 column 8",
		`"\udc00"`:               "lone leading surrogate in hex escape at line 1 column 7",
		"a":                      "expected value at line 1 column 1",
		"\"\xff\"":               "Couldn't parse as UTF-8 string",
		strings.Repeat("[", 128): "recursion limit exceeded at line 1 column 128",
	} {
		_, err := Parse(nil, []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse(nil, []byte(strings.Repeat("[", 127)+strings.Repeat("]", 127))); err != nil {
		t.Error(err)
	}
}

func TestMerged(t *testing.T) { // the examples of RFC 7396
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`}, {`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`}, {`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`}, {`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`}, {`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`}, {`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`}, {`{"a":"b"}`, `["c"]`, `["c"]`}, {`{"a":"foo"}`, `null`, `null`}, {`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`}, {`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`}, {`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		got, err := Merged(Root(parsed(t, c[0]).Bytes), Root(parsed(t, c[1]).Bytes))
		if text := string(Root(got.Bytes).AppendText(nil)); err != nil || text != c[2] {
			t.Errorf("%s and %s: %s, %v, want %s", c[0], c[1], text, err, c[2])
		}
	}
}

// A document does not get deeper than it may, however it is put together.
func TestDepth(t *testing.T) {
	e := entry(t, "[]")
	more := parsed(t, strings.Repeat("[", 100)+strings.Repeat("]", 100))
	var err error
	for range 20 {
		n := Root(e.Value())
		for n.Len() > 0 {
			n = n.Index(0)
		}
		if err = Apply(e, []Node{n}, func(int, Node) (Change, error) { return Replace(more), nil }); err != nil {
			break
		}
		if err := Check(e); err != nil {
			t.Fatal(err)
		}
	}
	if err != error(ErrDeep) || Root(e.Value()).depth() > MaxDepth {
		t.Errorf("depth %d: %v", Root(e.Value()).depth(), err)
	}
	text := Root(e.Value()).AppendText(nil)
	if b, err := ParseStored(nil, text); err != nil || string(b) != string(e.Value()) {
		t.Errorf("its text comes back as %d bytes, %v", len(b), err)
	}
}

// FuzzText: what is taken is sound, encoding/json takes it too, and its text gives it back.
func FuzzText(f *testing.F) {
	for _, s := range []string{shop, "[1,2.5,-3,1e300]", `{"a":1,"a":2}`, `"\ud83d\ude00"`, "[[[]]]", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse(nil, text)
		if err != nil {
			return
		}
		if err := Valid(b); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Fatal("encoding/json refuses it")
		}
		out := Root(b).AppendText(nil)
		again, err := Parse(nil, out)
		if err != nil || string(Root(again).AppendText(nil)) != string(out) {
			t.Fatalf("%s came back as %s, %v", out, again, err)
		}
	})
}

// FuzzPath compiles any text and follows it.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"$..book[?(@.price<10 && @.a=='b')].title", "$[0,1]['a',\"b\"][::2]", ".a.b", "$..*", "$.a[?(@=~'x')]", "$[?(!(@.a||$.b==null))]"} {
		f.Add(s)
	}
	root := Root(parsed(f, shop).Bytes)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile([]byte(text))
		if err != nil {
			return
		}
		started := time.Now()
		found, err := p.Find(nil, root)
		if took := time.Since(started); took > 5*time.Second {
			t.Fatalf("%v", took)
		}
		if err != nil {
			return
		}
		if p.static() && len(found) > 1 {
			t.Fatalf("a static path gives %d values", len(found))
		}
		for _, n := range found {
			if n.At() >= len(root.b) {
				t.Fatal("outside the document")
			}
		}
	})
}

// FuzzValid: bytes that pass for a document can be read to the end.
func FuzzValid(f *testing.F) {
	f.Add(parsed(f, shop).Bytes)
	f.Add([]byte{tagArray8, 1, 1, tagNull})
	f.Fuzz(func(t *testing.T, b []byte) {
		if Valid(b) != nil {
			return
		}
		Root(b).AppendText(nil)
		find(t, "$..*", Root(b))
	})
}

// TestHugeExpressions: a short expression may be a long program, and a document's expression another one for each element.
func TestHugeExpressions(t *testing.T) {
	for _, path := range []string{
		`$[?(@ =~ "` + strings.Repeat("x{1000}", 100) + `")]`,
		`$[?(` + strings.Repeat(`@=~"x{1000}"||`, 100) + `@)]`,
	} {
		if _, err := Compile([]byte(path)); err != errLargeExpression {
			t.Errorf("%.30s: %v", path, err)
		}
	}
	large := `["` + strings.Repeat("x{1000}", 20) + `","` + strings.Repeat("y{1000}", 20) + `"]`
	text := `"` + strings.Repeat("a", 200_000) + `"`
	for _, tc := range []struct{ doc, path string }{
		{`[` + text + `]`, `$[?(@ =~ "(?:a?){1000}b")]`},
		{`{"a":[` + strings.Repeat(`"a",`, 1000) + `"a"],"b":` + large + `}`, `$.a[?(@ =~ $.b[*])]`},
		{`{"a":["a"],"b":"` + strings.Repeat("x{1000}", 40) + `"}`, `$.a[?(@ =~ $.b)]`},
		{`[` + strings.Repeat("1,", 20_000) + `1]`, `$[?(` + strings.Repeat("!@||", 16_000) + `!@)]`},
	} {
		p, err := Compile([]byte(tc.path))
		if err != nil {
			t.Fatalf("%.30s: %v", tc.path, err)
		}
		doc, err := Parse(nil, []byte(tc.doc))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Find(nil, Root(doc)); err != ErrCosty {
			t.Errorf("%.30s: %v", tc.path, err)
		}
	}
}

// TestExpressionsOfDocuments: an expression that is a value of the document, the same and another for each element.
func TestExpressionsOfDocuments(t *testing.T) {
	doc, err := Parse(nil, []byte(`{"a":[{"s":"abc","re":"^a"},{"s":"bcd","re":"x|d$"},{"s":"b","re":"("},{"s":1,"re":"1"}],"re":"^b"}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		`$.a[?(@.s =~ $.re)].s`: `bcd b`, `$.a[?(@.s =~ @.re)].s`: `abc bcd`, `$.a[?(@.s =~ $.a[*].re)].s`: `abc bcd`,
		`$.a[?(@.s =~ ".{3}")].s`: `abc bcd`, `$.a[?(@.s =~ "(")].s`: ``,
	} {
		p, err := Compile([]byte(path))
		if err != nil {
			t.Fatal(path, err)
		}
		found, err := p.Find(nil, Root(doc))
		if err != nil {
			t.Fatal(path, err)
		}
		var got []string
		for _, n := range found {
			got = append(got, string(n.Bytes()))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
