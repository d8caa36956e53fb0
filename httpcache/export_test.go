package httpcache

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// Waiting is how many requests wait for others' fetches, leaders not counted.
func (c *Cache) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.flights {
		n += max(f.refs-1, 0)
	}
	return n
}

// Flights is how many fetches are under way.
func (c *Cache) Flights() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights)
}

// URLKey is where a URL for http lies.
func (c *Cache) URLKey(host, path, query string) string { return c.urlKey(host, path, c.query(query)) }

// RandomCalls makes calls of a script for storetest.Scripts.
func RandomCalls(script *store.Script) func(r *rand.Rand, prefix string) storetest.Call {
	return func(r *rand.Rand, prefix string) storetest.Call {
		call := storetest.Call{}
		if r.IntN(4) == 0 {
			call.Advance = time.Duration(1+r.IntN(40)) * time.Minute
		}
		switch script {
		case keepScript:
			call.Keys, call.Args = randomKeep(r, prefix)
		case purgeScript:
			call.Keys = []string{prefix + "b", prefix + "bs"}[:1+r.IntN(2)]
			call.Args = []string{pick(r, hard, soft, soft), nonce(r), pick(r, "615000", "7215000")}
		default:
			call.Keys = []string{prefix + "g"}
			call.Args = []string{pick(r, opening, hard, soft), "90015000", pick(r, "3", "100"), pick(r, "7", "123456789012345")}
			for range r.IntN(3) {
				call.Args = append(call.Args, pick(r, "a", "b", "c\nd", "e"))
			}
		}
		before(r, prefix, &call)
		if r.IntN(12) == 0 && len(call.Args) > 0 {
			call.Args[r.IntN(len(call.Args))] = pick(r, "", "x", "0", "-1", "01", "+1", strings.Repeat("9", 13), strings.Repeat("y", 600))
		}
		if r.IntN(40) == 0 {
			call.Args = call.Args[:r.IntN(len(call.Args))]
		}
		return call
	}
}

func randomKeep(r *rand.Rand, prefix string) (keys, args []string) {
	keys = []string{prefix + "b", prefix + "b:" + strconv.Itoa(r.IntN(3))}
	spec := pick(r, "", "", "Accept", "Accept,Foo", "Bar", "Baz", "Qux", "Quux")
	if r.IntN(3) == 0 {
		keys, spec = keys[:1], ""
	}
	args = []string{pick(r, zeroNonce, zeroNonce, nonce(r)) + pick(r, zeroNonce, zeroNonce, nonce(r)), nonce(r), pick(r, "5415000", "36015000", "1815000"), "entry" + strconv.Itoa(r.IntN(9)), spec}
	return keys, args
}

func nonce(r *rand.Rand) string { return "\x01nonce" + strconv.Itoa(10+r.IntN(3)) }

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// before plants strange data now and then.
func before(r *rand.Rand, prefix string, call *storetest.Call) {
	key := call.Keys[r.IntN(len(call.Keys))]
	head := string([]byte{magic, baseKind}) + zeroNonce + zeroNonce + zeroNonce
	switch r.IntN(24) {
	case 0:
		call.Before = append(call.Before, store.Cmd{"DEL", key})
	case 1:
		call.Before = append(call.Before, store.Cmd{"SET", key, pick(r, "x", "something else that is long enough to be one", head, head+"\x05", head+"\x01\x00", head+"\x01\x00\x09ab"), "PX", "7215000"})
	case 2:
		call.Before = append(call.Before, store.Cmd{"DEL", key}, store.Cmd{"RPUSH", key, "a"}, store.Cmd{"PEXPIRE", key, "7215000"})
	case 3:
		call.Before = append(call.Before, store.Cmd{"DEL", key}, store.Cmd{"HSET", key, "", pick(r, "x", "1 2", "5 4 3", "5 4 3 2", "5 4 3 2 ", "5 4 3 2 1"), "a", pick(r, "junk", "1 2")}, store.Cmd{"PEXPIRE", key, "7215000"})
	}
}

// DecodeAll reads bytes as everything that the store may hold; it must not panic.
func DecodeAll(s string) {
	if b, err := parseBase(s); err == nil {
		_ = decodeEntry(b.entry)
		_ = b.encode()
	}
	_ = decodeEntry(s)
	_ = decodeEntry(variantOf(s, zeroNonce))
	_, _ = parseGenerations(s)
	_, _ = parseGroup(s)
}

// Recode decodes and encodes an entry; ok is false if it is none.
func Recode(s string) (out string, ok bool) {
	e := decodeEntry(s)
	if e == nil {
		return "", false
	}
	return e.encode(), true
}

// ParseAll reads text as everything that a header may hold.
func ParseAll(s string) {
	d := parseDirectives([]string{s})
	if d.maxAge < absent || d.maxAge > forever || d.maxStale < absent {
		panic("a duration out of bounds")
	}
	_, _ = parseDate(s)
	_, _ = specOf([]string{s})
	_, _ = parseGroups([]string{s})
	_ = tagsOf([]string{s})
	_ = claims(s)
	if from, to, ok, _ := parseRange(s, 100); ok && (from < 0 || to > 100 || from >= to) {
		panic("a range out of bounds")
	}
}
