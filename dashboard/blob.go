package dashboard

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/larderdb/larder/store"
)

// blob is bytes on their way to the page: a JSON string if they are text, {"b64": ...} if they are not, and with "len" if they
// are the beginning of something longer ("s" is the text then).
type blob struct {
	s    string
	size int64 // of the whole; 0: s is all
}

// clipped is the beginning of s.
func clipped(s string, most int) blob {
	if len(s) <= most {
		return blob{s: s}
	}
	return blob{s[:most], int64(len(s))}
}

// MarshalJSON is as the type says. A character that the cut went through is left out.
func (b blob) MarshalJSON() ([]byte, error) {
	s := b.s
	if b.size > 0 {
		for cut := 1; cut < utf8.UTFMax && cut <= len(s) && !utf8.ValidString(s); cut++ {
			if utf8.RuneStart(s[len(s)-cut]) && utf8.ValidString(s[:len(s)-cut]) {
				s = s[:len(s)-cut]
			}
		}
	}
	text := utf8.ValidString(s)
	if text && b.size == 0 {
		return json.Marshal(s)
	}
	out := map[string]any{}
	if text {
		out["s"] = s
	} else {
		out["b64"] = base64.StdEncoding.EncodeToString([]byte(b.s))
	}
	if b.size > 0 {
		out["len"] = b.size
	}
	return json.Marshal(out)
}

// The sizes of what a view gets.
const (
	clipBytes    = 4 << 10  // of an element of a collection
	windowBytes  = 64 << 10 // of a string, at a time
	maxElements  = 2000     // of a reply: small collections come whole, however small a page was asked for
	pageElements = 100
	maxPage      = 500
)

// clipScript runs a command that reads a key and cuts what is long: a field of 100 MB, or a page that the server made larger than
// was asked for, never leaves the store.
var clipScript = &store.Script{Name: "dashboard.clip", Lua: clipLua, Go: clipBody, ReadOnly: true}

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script { return []*store.Script{clipScript} }

// clipLua is clipBody for servers.
const clipLua = `
-- KEYS[1]  the key
-- ARGV[1]  most bytes of a string
-- ARGV[2]  most elements of an array
-- ARGV     then the command, which only reads
-- Returns  {1 if an array was cut, else 0; the reply, with {beginning, bytes} in place of a longer string}
local most, count = tonumber(ARGV[1] or ''), tonumber(ARGV[2] or '')
if #KEYS ~= 1 or #ARGV < 4 or not most or not count then return redis.error_reply('` + badClip + `') end
local cut = 0
local function clip(v)
  if type(v) == 'string' then
    if #v > most then return {string.sub(v, 1, most), #v} end
  elseif type(v) == 'table' and not v.ok then
    local out = {}
    for i = 1, #v do
      if i > count then
        cut = 1
        break
      end
      out[i] = clip(v[i])
    end
    return out
  end
  return v
end
local reply = clip(redis.call(unpack(ARGV, 3)))
return {cut, reply}
`

const badClip = "ERR dashboard: want one key, two numbers and a command"

func clipBody(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) < 4 {
		return store.Fail(store.ServerError(badClip))
	}
	most, ok1 := store.Digits(args[0], 9)
	count, ok2 := store.Digits(args[1], 9)
	if !ok1 || !ok2 {
		return store.Fail(store.ServerError(badClip))
	}
	r := tx.Do(args[2:]...)
	if r.Err() != nil {
		return r
	}
	c := clipper{most: int(most), count: int(count)}
	reply := c.clip(r)
	cut := int64(0)
	if c.cut {
		cut = 1
	}
	return store.ArrayOf(store.Int(cut), reply)
}

type clipper struct {
	most, count int
	cut         bool
}

func (c *clipper) clip(r store.Reply) store.Reply {
	switch r.Kind() {
	case store.KindBulk:
		s, _ := r.Text() //nolint:errcheck // it is one
		if len(s) > c.most {
			return store.ArrayOf(store.Bulk(s[:c.most]), store.Int(int64(len(s))))
		}
	case store.KindArray, store.KindMap, store.KindSet:
		list, _ := r.Array() //nolint:errcheck // it is one
		if len(list) > c.count {
			list, c.cut = list[:c.count], true
		}
		out := make([]store.Reply, len(list))
		for i, e := range list {
			out[i] = c.clip(e)
		}
		return store.ArrayOf(out...)
	}
	return r
}

// unclip reads a string that clipScript may have cut.
func unclip(r store.Reply) blob {
	if list, err := r.Array(); err == nil && len(list) == 2 {
		s, _ := list[0].Text()     //nolint:errcheck // ""
		size, _ := list[1].Int64() //nolint:errcheck // 0
		return blob{s, size}
	}
	s, _ := r.Text() //nolint:errcheck // "" for nil
	return blob{s: s}
}
