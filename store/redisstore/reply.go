package redisstore

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// convert makes a Reply of what the server answered. rueidis does not tell simple from bulk strings: both are Bulk.
// The strings are rueidis's own copies, one per element, which nobody changes.
func convert(m *rueidis.RedisMessage) store.Reply {
	switch {
	case m.IsString():
		s, _ := m.ToString()
		return store.Bulk(s)
	case m.IsNil():
		return store.Nil()
	case m.IsInt64():
		n, _ := m.ToInt64()
		return store.Int(n)
	case m.IsFloat64():
		f, _ := m.ToFloat64()
		return store.Double(f)
	case m.IsBool():
		b, _ := m.ToBool()
		return store.Boolean(b)
	case m.IsMap():
		return store.MapOf(elements(m)...)
	case m.IsArray():
		return store.ArrayOf(elements(m)...)
	}
	s, err := m.ToString() // the raw text also of an error, which Error() would cut
	if err != nil {
		return store.Fail(store.ServerError(s))
	}
	return store.Bulk(unlabelled(s)) // verbatim strings and big numbers
}

// unlabelled takes the format off a verbatim string, as which INFO and CLIENT LIST answer in RESP3: three characters and a
// colon, which a big number has not.
func unlabelled(s string) string {
	if len(s) >= 4 && s[3] == ':' {
		return s[4:]
	}
	return s
}

func elements(m *rueidis.RedisMessage) []store.Reply {
	list, err := m.ToArray()
	if err != nil {
		return mapElements(m)
	}
	out := make([]store.Reply, len(list))
	for i := range list {
		out[i] = convert(&list[i])
	}
	return out
}

// mapElements flattens a map. rueidis gives maps away only as Go maps, so the server's order of the keys is lost.
func mapElements(m *rueidis.RedisMessage) []store.Reply {
	pairs, err := m.ToMap()
	if err != nil {
		return oddMap(m)
	}
	out := make([]store.Reply, 0, 2*len(pairs))
	for k, v := range pairs {
		out = append(out, store.Bulk(k), convert(&v))
	}
	return out
}

// oddMap flattens a map of which a key is no string: the buckets of LATENCY HISTOGRAM are integers. No accessor of rueidis
// gives it away, so it is written out in the form of its cache, 7 bytes and a type, and read back as the array that it
// would be in RESP2.
func oddMap(m *rueidis.RedisMessage) []store.Reply {
	const typeAt, aMap, anArray = 7, '%', '*'
	raw := m.CacheMarshal(nil)
	if len(raw) <= typeAt || raw[typeAt] != aMap {
		return nil
	}
	raw[typeAt] = anArray
	var flat rueidis.RedisMessage
	if flat.CacheUnmarshalView(raw) != nil {
		return nil
	}
	return elements(&flat)
}

// serverText restores the code that rueidis cuts off an ERR while it makes a connection.
func serverText(e *rueidis.RedisError) store.ServerError {
	text := e.Error()
	code, _, _ := strings.Cut(text, " ")
	switch code {
	case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "LOADING", "MASTERDOWN", "NOPROTO", "OOM", "MISCONF", "READONLY", "CLUSTERDOWN", "BUSY", "TRYAGAIN":
		return store.ServerError(text)
	}
	return store.ServerError("ERR " + text)
}
