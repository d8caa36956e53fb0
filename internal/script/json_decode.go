package script

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// jsonToken is a kind of token, named as errors name it.
type jsonToken string

const (
	jsonObject  jsonToken = "T_OBJ_BEGIN"
	jsonObjEnd  jsonToken = "T_OBJ_END"
	jsonArray   jsonToken = "T_ARR_BEGIN"
	jsonArrEnd  jsonToken = "T_ARR_END"
	jsonString  jsonToken = "T_STRING"
	jsonNumber  jsonToken = "T_NUMBER"
	jsonBoolean jsonToken = "T_BOOLEAN"
	jsonNull    jsonToken = "T_NULL"
	jsonColon   jsonToken = "T_COLON"
	jsonComma   jsonToken = "T_COMMA"
	jsonEnd     jsonToken = "T_END"
)

// jsonDecoder reads JSON into Lua values.
type jsonDecoder struct {
	l     *lua.LState
	cfg   *jsonConfig
	null  *lua.LUserData
	src   string
	pos   int
	depth int

	// The token read last.
	token jsonToken // what else it is: the words of an error
	at    int
	value lua.LValue
}

func (d *jsonDecoder) document() lua.LValue {
	if len(d.src) >= 2 && (d.src[0] == 0 || d.src[1] == 0) {
		d.l.RaiseError("JSON parser does not support UTF-16 or UTF-32")
	}
	d.next()
	v := d.parse()
	if d.next(); d.token != jsonEnd {
		d.expected("the end")
	}
	return v
}

func (d *jsonDecoder) expected(what string) {
	d.l.RaiseError("Expected %s but found %s at character %d", what, string(d.token), d.at+1)
}

// parse makes a value of the current token and those that belong to it.
func (d *jsonDecoder) parse() lua.LValue {
	switch d.token {
	case jsonString, jsonNumber, jsonBoolean, jsonNull:
		return d.value
	case jsonObject:
		return d.object()
	case jsonArray:
		return d.array()
	}
	d.expected("value")
	return lua.LNil
}

func (d *jsonDecoder) descend() {
	if d.depth++; d.depth > d.cfg.decodeDepth {
		d.l.RaiseError("Found too many nested data structures (%d) at character %d", d.depth, d.at+1)
	}
}

func (d *jsonDecoder) object() lua.LValue {
	d.descend()
	t := d.l.NewTable()
	for d.next(); d.token != jsonObjEnd; d.next() {
		if d.token != jsonString {
			d.expected("object key string")
		}
		key := d.value
		if d.next(); d.token != jsonColon {
			d.expected("colon")
		}
		d.next()
		t.RawSet(key, d.parse())
		if d.next(); d.token == jsonObjEnd {
			break
		}
		if d.token != jsonComma {
			d.expected("comma or object end")
		}
		if d.peekEnd('}') {
			d.next()
			d.expected("object key string")
		}
	}
	d.depth--
	return t
}

func (d *jsonDecoder) array() lua.LValue {
	d.descend()
	t := d.l.NewTable()
	i := 0
	for d.next(); d.token != jsonArrEnd; d.next() {
		i++
		t.RawSetInt(i, d.parse())
		if d.next(); d.token == jsonArrEnd {
			break
		}
		if d.token != jsonComma {
			d.expected("comma or array end")
		}
		if d.peekEnd(']') {
			d.next()
			d.expected("value")
		}
	}
	d.depth--
	return t
}

// peekEnd tells whether the next token is a closing bracket.
func (d *jsonDecoder) peekEnd(c byte) bool {
	rest := strings.TrimLeft(d.src[d.pos:], " \t\r\n")
	return rest != "" && rest[0] == c
}

// next reads a token.
func (d *jsonDecoder) next() {
	for d.pos < len(d.src) && strings.IndexByte(" \t\r\n", d.src[d.pos]) >= 0 {
		d.pos++
	}
	d.at = d.pos
	if d.pos >= len(d.src) {
		d.token = jsonEnd
		return
	}
	single := map[byte]jsonToken{'{': jsonObject, '}': jsonObjEnd, '[': jsonArray, ']': jsonArrEnd, ':': jsonColon, ',': jsonComma}
	c := d.src[d.pos]
	if t, ok := single[c]; ok {
		d.token = t
		d.pos++
		return
	}
	if c == '"' {
		d.string()
		return
	}
	for word, v := range map[string]lua.LValue{"true": lua.LTrue, "false": lua.LFalse, "null": d.null} {
		if strings.HasPrefix(d.src[d.pos:], word) {
			d.pos += len(word)
			d.value, d.token = v, jsonBoolean
			if word == "null" {
				d.token = jsonNull
			}
			return
		}
	}
	d.number()
}

// number reads what strtod would.
func (d *jsonDecoder) number() {
	s := d.src[d.pos:]
	end := 0
	for end < len(s) && (isDigit(s[end]) || isLetter(s[end]) || strings.IndexByte("+-.", s[end]) >= 0) {
		end++
	}
	word := strings.ToLower(s[:end])
	odd := strings.HasPrefix(strings.TrimLeft(word, "+-"), "0x") || strings.Contains(word, "inf") || strings.Contains(word, "nan") ||
		leadingZero(word)
	if end == 0 || odd && !d.cfg.decodeInvalid {
		d.token = "invalid token"
		if end > 0 && (isDigit(s[0]) || s[0] == '-') {
			d.token = "invalid number"
		}
		return
	}
	for n := end; n > 0; n-- {
		f, err := strconv.ParseFloat(s[:n], 64)
		if hex, ok := parseNumber(s[:n]); err != nil && ok {
			f, err = hex, nil
		}
		if err == nil || math.IsInf(f, 0) {
			d.pos += n
			d.value, d.token = lua.LNumber(f), jsonNumber
			return
		}
	}
	d.token = "invalid token"
	if isDigit(s[0]) || s[0] == '-' {
		d.token = "invalid number"
	}
}

func leadingZero(word string) bool {
	word = strings.TrimLeft(word, "+-")
	return len(word) > 1 && word[0] == '0' && isDigit(word[1])
}

func (d *jsonDecoder) string() {
	start := d.pos + 1
	i := start
	for i < len(d.src) && d.src[i] != '"' && d.src[i] != '\\' {
		i++
	}
	if i < len(d.src) && d.src[i] == '"' { // nothing escaped
		d.value, d.token, d.pos = lua.LString(d.src[start:i]), jsonString, i+1
		return
	}
	out := []byte(d.src[start:i])
	for i < len(d.src) && d.src[i] != '"' {
		if d.src[i] != '\\' {
			out = append(out, d.src[i])
			i++
			continue
		}
		var n int
		var why jsonToken
		if out, n, why = unescape(out, d.src[i:]); why != "" {
			d.token, d.at = why, i
			return
		}
		i += n
	}
	if i >= len(d.src) {
		d.token, d.at = "unexpected end of string", i
		return
	}
	d.value, d.token, d.pos = lua.LString(out), jsonString, i+1
}

// unescape appends what an escape at the beginning of s stands for, and tells how long it is, or why it is none.
func unescape(out []byte, s string) ([]byte, int, jsonToken) {
	if len(s) < 2 {
		return out, 0, "invalid escape code"
	}
	if i := strings.IndexByte(`"\/btnfr`, s[1]); i >= 0 {
		return append(out, "\"\\/\b\t\n\f\r"[i]), 2, ""
	}
	if s[1] != 'u' {
		return out, 0, "invalid escape code"
	}
	r, ok := hex4(s[2:])
	n := 6
	if !ok {
		return out, 0, "invalid unicode escape code"
	}
	if r&0xF800 == 0xD800 {
		if r&0x400 != 0 || len(s) < 8 || s[6:8] != `\u` {
			return out, 0, "invalid unicode escape code"
		}
		low, ok := hex4(s[8:])
		if !ok || low&0xFC00 != 0xDC00 {
			return out, 0, "invalid unicode escape code"
		}
		r, n = 0x10000+(r&0x3FF)<<10|low&0x3FF, 12
	}
	return utf8.AppendRune(out, r), n, ""
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(n), err == nil
}
