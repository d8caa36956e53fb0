package storetest

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// text gives the string at key, "" if there is none, or the error that it is a hash.
func (m *Memory) text(key string) (string, store.Reply) {
	r := m.get([]string{key})
	s, _, _ := r.Lookup()
	if r.Err() != nil {
		return "", r
	}
	return s, store.Nil()
}

func (m *Memory) strlen(a []string) store.Reply {
	s, fail := m.text(a[0])
	if fail.Err() != nil {
		return fail
	}
	return store.Int(int64(len(s)))
}

func (m *Memory) getrange(a []string) store.Reply {
	s, fail := m.text(a[0])
	from, err1 := strconv.Atoi(a[1])
	to, err2 := strconv.Atoi(a[2])
	if err1 != nil || err2 != nil {
		return store.Fail(errInt)
	}
	if fail.Err() != nil {
		return fail
	}
	if from < 0 {
		from = max(len(s)+from, 0)
	}
	if to < 0 {
		to += len(s)
	}
	if to = min(to, len(s)-1); from > to {
		return store.Bulk("")
	}
	return store.Bulk(s[from : to+1])
}

// put replaces a string and keeps its expiry.
func (m *Memory) put(key, text string) store.Reply {
	e := m.find(key)
	if e == nil {
		e = &entry{}
		m.keys[key] = e
	}
	e.text = text
	return store.Int(int64(len(text)))
}

func (m *Memory) append(a []string) store.Reply {
	s, fail := m.text(a[0])
	if fail.Err() != nil {
		return fail
	}
	return m.put(a[0], s+a[1])
}

func (m *Memory) setrange(a []string) store.Reply {
	at, err := strconv.Atoi(a[1])
	if err != nil || at < 0 {
		return store.Fail(errInt)
	}
	s, fail := m.text(a[0])
	if fail.Err() != nil {
		return fail
	}
	if pad := at + len(a[2]) - len(s); pad > 0 {
		s += strings.Repeat("\x00", pad)
	}
	return m.put(a[0], s[:at]+a[2]+s[at+len(a[2]):])
}

func (m *Memory) hset(a []string) store.Reply {
	if len(a)%2 == 0 {
		return store.Fail(store.ServerError("ERR wrong number of arguments for 'hset' command"))
	}
	e := m.find(a[0])
	if e == nil {
		e = &entry{fields: map[string]string{}}
		m.keys[a[0]] = e
	}
	var added int64
	for i := 1; i < len(a); i += 2 {
		if _, have := e.fields[a[i]]; !have {
			added++
			e.order = append(e.order, a[i])
		}
		e.fields[a[i]] = a[i+1]
	}
	return store.Int(added)
}

func (m *Memory) field(key, field string) store.Reply {
	if e := m.find(key); e != nil {
		if v, ok := e.fields[field]; ok {
			return store.Bulk(v)
		}
	}
	return store.Nil()
}

func (m *Memory) hmget(a []string) store.Reply {
	out := make([]store.Reply, len(a)-1)
	for i := range out {
		out[i] = m.field(a[0], a[i+1])
	}
	return store.ArrayOf(out...)
}

func (m *Memory) hlen(a []string) store.Reply {
	if e := m.find(a[0]); e != nil {
		return store.Int(int64(len(e.fields)))
	}
	return store.Int(0)
}

func (m *Memory) hgetall(a []string) store.Reply {
	var out []store.Reply
	if e := m.find(a[0]); e != nil {
		for _, f := range e.order {
			out = append(out, store.Bulk(f), store.Bulk(e.fields[f]))
		}
	}
	return store.ArrayOf(out...)
}

func (m *Memory) hdel(a []string) store.Reply {
	e := m.find(a[0])
	if e == nil {
		return store.Int(0)
	}
	var n int64
	for _, f := range a[1:] {
		if _, have := e.fields[f]; have {
			delete(e.fields, f)
			for i, o := range e.order {
				if o == f {
					e.order = append(e.order[:i:i], e.order[i+1:]...)
					break
				}
			}
			n++
		}
	}
	if len(e.fields) == 0 {
		delete(m.keys, a[0])
	}
	return store.Int(n)
}
