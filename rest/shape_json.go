package rest

import (
	"math"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// jsonInRESP2 is the reply of a JSON command that is another array in RESP3: types are in one more there, and new numbers are
// an array of numbers instead of a text, that of an array for a JSONPath and of the last number for a path of the legacy
// dialect.
func jsonInRESP2(words []string, r store.Reply, list []store.Reply) store.Reply {
	name := strings.ToUpper(words[0])
	path := "."
	if len(words) > 2 {
		path = words[2]
	}
	legacy := path == "" || path[0] != '$' || len(path) > 1 && path[1] != '.' && path[1] != '['
	switch name {
	case "JSON.NUMINCRBY", "JSON.NUMMULTBY", "JSON.NUMPOWBY":
	case "JSON.TYPE":
		if len(list) == 1 && (legacy || list[0].Kind() == store.KindArray || list[0].IsNil()) {
			return list[0]
		}
		return r
	default:
		return r
	}
	text, last := []byte{'['}, ""
	for i, n := range list {
		if i > 0 {
			text = append(text, ',')
		}
		s := jsonNumber(n)
		if text = append(text, s...); s != "null" {
			last = s
		}
	}
	if legacy {
		return store.Bulk(last)
	}
	return store.Bulk(string(append(text, ']')))
}

// jsonNumber spells a number as RedisJSON does.
func jsonNumber(r store.Reply) string {
	if r.IsNil() {
		return "null"
	}
	if n, err := r.Int64(); err == nil && r.Kind() == store.KindInt {
		return strconv.FormatInt(n, 10)
	}
	f, err := r.Float64()
	if err != nil {
		return "null"
	}
	if size := math.Abs(f); size != 0 && (size < 1e-5 || size >= 1e16) {
		return strings.NewReplacer("e+", "e", "e-0", "e-").Replace(strconv.FormatFloat(f, 'e', -1, 64))
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
