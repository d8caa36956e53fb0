package lock

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// step is stepLua in Go: one atomic step on a lock. Its methods do what the functions of the same names do there.
type step struct {
	tx        store.StringTx
	key, body string
	id, wake  string
	mode      byte
	ticket    int64
	keep      int64 // ms

	micros, now int64
	was         string // the head as it was read; "" if there was none
	head
	err error // the first failure; nothing is done after it

	buf [160]byte // room for a head of usual length
}

// head is the state in the lock's first key; see script.go.
type head struct {
	token, expiry, since int64
	claimed              bool
	shared, earliest     int64
	first, last          int64
	holder               string
}

// sharer and waiter are what fields of the body hold.
type sharer struct {
	expiry, token, since int64
	claimed              bool
}

type waiter struct {
	alive, capacity, claim int64
	id                     string
}

// begin checks the call and reads the head. extra is how many numbers of its own the script has.
func (s *step) begin(tx store.Tx, keys, args []string, extra int) (numbers [4]int64, refusal error) {
	if len(keys) != 2 || len(args) != 4 || len(args[2]) > 128 {
		return numbers, store.ServerError(badCall)
	}
	*s = step{tx: store.StringsOf(tx), key: keys[0], body: keys[1], id: args[0], wake: args[3]}
	ok := validID(s.id)
	if s.ticket = -1; args[1] != "-1" {
		s.ticket = number(args[1], &ok)
	}
	word, rest, more := strings.Cut(args[2], " ")
	if s.keep = number(word, &ok); !ok {
		return numbers, store.ServerError(badCall)
	}
	s.mode = s.id[0]
	at := tx.Now()
	s.micros, s.now = at.UnixMicro(), at.UnixMilli()
	text, size, err := s.tx.GetRange(s.key, 0, maxHead, s.buf[:0])
	if err != nil {
		return numbers, err
	}
	s.first = 1
	if size > 0 {
		s.was = string(text)
		if size > maxHead || !s.parse(s.was) {
			return numbers, store.ServerError(notOurs)
		}
	} else if s.do("DEL", s.body); s.err != nil { // what is left of a lock whose head was lost
		return numbers, s.err
	}
	for i := range extra {
		ok = ok && more
		word, rest, more = strings.Cut(rest, " ")
		numbers[i] = number(word, &ok)
	}
	ok = ok && !more
	if !ok {
		return numbers, store.ServerError(badCall)
	}
	return numbers, nil
}

// number reads digits; anything else, or more than maxNumber, clears ok.
func number(s string, ok *bool) int64 {
	n, read := store.Digits(s, 16)
	if !read || n > maxNumber {
		*ok = false
		return 0
	}
	return n
}

// validID is the pattern ^[xsl][^%s]+%.%w+$ of Lua.
func validID(id string) bool {
	if len(id) > maxID || id == "" || id[0] != 'x' && id[0] != 's' && id[0] != 'l' || strings.ContainsAny(id, spaces) {
		return false
	}
	dot := strings.LastIndexByte(id, '.')
	if dot < 2 || dot == len(id)-1 {
		return false
	}
	for _, c := range []byte(id[dot+1:]) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

const spaces = " \t\n\v\f\r"

// clientOf is the client's part of an id.
func clientOf(id string) string {
	if dot := strings.LastIndexByte(id, '.'); dot > 0 {
		return id[1:dot]
	}
	return ""
}

// parse reads a head. Its holder shares the memory of s.
func (h *head) parse(s string) bool {
	ok := true
	next := func() int64 {
		word, rest, found := strings.Cut(s, " ")
		ok, s = ok && found, rest
		return number(word, &ok)
	}
	h.token, h.expiry, h.since = next(), next(), next()
	if ok && len(s) > 1 && s[1] != ' ' {
		return false
	}
	claimed := next()
	h.claimed = claimed == 1
	h.shared, h.earliest, h.first, h.last = next(), next(), next(), next()
	h.holder = s
	return ok && claimed <= 1 && !strings.ContainsAny(s, spaces) && h.last-h.first <= maxQueue
}

func (h *head) append(b []byte) []byte {
	for _, n := range [...]int64{h.token, h.expiry, h.since, digit(h.claimed), h.shared, h.earliest, h.first, h.last} {
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	return append(b, h.holder...)
}

func digit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func parseSharer(s string) (h sharer, ok bool) {
	w := strings.Split(s, " ")
	if len(w) != 4 || w[3] != "0" && w[3] != "1" {
		return h, false
	}
	ok = true
	h = sharer{number(w[0], &ok), number(w[1], &ok), number(w[2], &ok), w[3] == "1"}
	return h, ok
}

func parseWaiter(s string) (w waiter, ok bool) {
	p := strings.SplitN(s, " ", 4)
	if len(p) != 4 || len(p[3]) < 2 || p[3][0] != 'x' && p[3][0] != 's' && p[3][0] != 'l' || strings.ContainsAny(p[3], spaces) {
		return w, false
	}
	ok = true
	w = waiter{number(p[0], &ok), number(p[1], &ok), number(p[2], &ok), p[3]}
	return w, ok
}

// do runs a command unless one has failed before, as redis.call ends a script.
func (s *step) do(args ...string) store.Reply {
	if s.err != nil {
		return store.Nil()
	}
	r := s.tx.Do(args...)
	s.err = r.Err()
	return r
}

// save writes the head if it has changed.
func (s *step) save() {
	if s.err != nil {
		return
	}
	if b := s.append(s.buf[:0]); string(b) != s.was {
		s.err = s.tx.SetString(s.key, b, s.keep)
	}
}

// answer is the script's reply, unless something failed.
func (s *step) answer(r store.Reply) store.Reply {
	s.save()
	if s.err != nil {
		return store.Fail(s.err)
	}
	return r
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

func (s *step) put(field, value string) {
	s.do("HSET", s.body, field, value)
	if s.keep > 0 {
		s.do("PEXPIRE", s.body, digits(s.keep))
	} else {
		s.do("PERSIST", s.body)
	}
}

func (s *step) get(field string) string {
	value, _, _ := s.do("HGET", s.body, field).Lookup() //nolint:errcheck // do has kept the error
	return value
}

func (s *step) announce(who, what string) {
	if who != "" && who[0] == 'l' {
		s.do("PUBLISH", s.key+changes, what)
	}
}

func (s *step) sharer(who string) (sharer, bool) { return parseSharer(s.get("h" + who)) }

func (s *step) share(who string, h sharer) {
	s.put("h"+who, digits(h.expiry)+" "+digits(h.token)+" "+digits(h.since)+" "+digits(digit(h.claimed)))
}

func (s *step) waiter(at int64) (waiter, bool) { return parseWaiter(s.get("w" + digits(at))) }

func (s *step) admits(mode byte, capacity int64) bool {
	switch {
	case s.holder != "":
		return false
	case mode == 's':
		return s.shared < capacity
	}
	return s.shared == 0
}

func (s *step) grant(who string, length int64, claim bool) (ends int64) {
	s.token = max(s.token+1, s.micros)
	ends = s.now + length
	if who[0] == 's' {
		s.share(who, sharer{ends, s.token, s.now, claim})
		if s.shared == 0 || ends < s.earliest {
			s.earliest = ends
		}
		s.shared++
		return ends
	}
	s.holder, s.expiry, s.since, s.claimed = who, ends, s.now, claim
	s.announce(who, who+" "+digits(s.token))
	return ends
}

func (s *step) vacate() {
	s.announce(s.holder, "")
	s.holder, s.expiry, s.since, s.claimed = "", 0, 0, false
}

func (s *step) forfeit(who string) {
	c := clientOf(who)
	for at := s.first; at <= s.last && s.err == nil; at++ {
		if w, ok := s.waiter(at); ok && clientOf(w.id) == c {
			s.do("HDEL", s.body, "w"+digits(at))
		}
	}
}

func (s *step) expire() {
	if s.holder != "" && s.expiry <= s.now {
		if s.claimed {
			s.forfeit(s.holder)
		}
		s.vacate()
	}
	if s.shared == 0 || s.earliest > s.now {
		return
	}
	all, _ := s.do("HGETALL", s.body).Pairs() //nolint:errcheck // do has kept the error
	s.shared, s.earliest = 0, 0
	var lapsed []string
	for i := 0; i+1 < len(all); i += 2 {
		field, _ := all[i].Text() //nolint:errcheck // fields are strings
		if !strings.HasPrefix(field, "h") {
			continue
		}
		value, _ := all[i+1].Text() //nolint:errcheck // values are strings
		h, ok := parseSharer(value)
		if !ok || h.expiry <= s.now {
			s.do("HDEL", s.body, field)
			if ok && h.claimed {
				lapsed = append(lapsed, field[1:])
			}
			continue
		}
		if s.shared == 0 || h.expiry < s.earliest {
			s.earliest = h.expiry
		}
		s.shared++
	}
	for _, who := range lapsed {
		s.forfeit(who)
	}
}

func (s *step) serve() {
	for s.first <= s.last {
		w, ok := s.waiter(s.first)
		if s.err != nil {
			return
		}
		lives := ok && w.alive > s.now
		if lives && !s.admits(w.id[0], w.capacity) {
			return
		}
		s.do("HDEL", s.body, "w"+digits(s.first))
		if lives {
			ends := s.grant(w.id, w.claim, true)
			s.do("PUBLISH", s.wake+clientOf(w.id), w.id+" "+digits(s.token)+" "+digits(ends)+" "+digits(s.now)+" "+s.key)
		}
		s.first++
	}
	s.first, s.last = 1, 0
}

func (s *step) queued() (place int64) {
	from, to := s.ticket, s.ticket
	if s.ticket == -1 {
		from, to = s.first, s.last
	}
	if from < s.first || to > s.last {
		return 0
	}
	for at := from; at <= to && s.err == nil; at++ {
		if w, ok := s.waiter(at); ok && w.id == s.id {
			return at
		}
	}
	return 0
}

// extend reports whether the caller holds the lock, and if so the reply.
func (s *step) extend(length int64) (store.Reply, bool) {
	if s.holder == s.id && s.expiry > s.now {
		s.expiry, s.claimed = s.now+length, false
		return reply(1, s.token, s.expiry, s.now, 0), true
	}
	if s.mode == 's' && s.shared > 0 {
		if h, ok := s.sharer(s.id); ok && h.expiry > s.now {
			s.share(s.id, sharer{s.now + length, h.token, h.since, false})
			return reply(1, h.token, s.now+length, s.now, 0), true
		}
	}
	return store.Reply{}, false
}

func reply(numbers ...int64) store.Reply {
	list := make([]store.Reply, len(numbers))
	for i, n := range numbers {
		list[i] = store.Int(n)
	}
	return store.ArrayOf(list...)
}

// acquire is acquireLua.
func acquire(tx store.Tx, keys, args []string) store.Reply {
	var s step
	n, err := s.begin(tx, keys, args, 4)
	if err != nil {
		return store.Fail(err)
	}
	capacity, length, claim, alive := n[0], n[1], n[2], n[3]
	entry := func() string { return digits(s.now+alive) + " " + digits(capacity) + " " + digits(claim) + " " + s.id }
	place := int64(0)
	if s.ticket != 0 {
		if mine, ok := s.extend(length); ok {
			return s.answer(mine)
		}
		if place = s.queued(); place != 0 {
			s.put("w"+digits(place), entry())
		}
	}
	s.expire()
	if s.first <= s.last {
		s.serve()
		if s.ticket != 0 {
			if mine, ok := s.extend(length); ok {
				return s.answer(mine)
			}
		}
	}
	if place == 0 {
		if s.first > s.last && s.admits(s.mode, capacity) {
			ends := s.grant(s.id, length, false)
			return s.answer(reply(1, s.token, ends, s.now, 0))
		}
		if alive > 0 {
			s.last++
			place = s.last
			s.put("w"+digits(place), entry())
		}
	}
	free, ahead := s.expiry, int64(0)
	if s.holder == "" {
		free = s.earliest
	}
	if place != 0 {
		ahead = place - s.first
	}
	return s.answer(reply(0, place, free, s.now, ahead))
}

// extend is extendLua.
func extend(tx store.Tx, keys, args []string) store.Reply {
	var s step
	n, err := s.begin(tx, keys, args, 1)
	if err != nil {
		return store.Fail(err)
	}
	mine, ok := s.extend(n[0])
	if !ok {
		s.expire()
		s.serve()
		mine = reply(0, 0, 0, s.now, 0)
	}
	return s.answer(mine)
}

// leave is leaveLua.
func leave(tx store.Tx, keys, args []string) store.Reply {
	var s step
	if _, err := s.begin(tx, keys, args, 0); err != nil {
		return store.Fail(err)
	}
	left := s.leave()
	if s.first <= s.last {
		s.expire()
		s.serve()
	}
	return s.answer(store.Int(left))
}

func (s *step) leave() int64 {
	if s.holder == s.id {
		s.vacate()
		return 1
	}
	if s.mode == 's' && s.shared > 0 {
		if n, _ := s.do("HDEL", s.body, "h"+s.id).Int64(); n == 1 { //nolint:errcheck // do has kept the error
			if s.shared--; s.shared == 0 {
				s.earliest = 0
			}
			return 1
		}
	}
	if place := s.queued(); place != 0 {
		s.do("HDEL", s.body, "w"+digits(place))
		return 2
	}
	return 0
}

// inspect is inspectLua.
func inspect(tx store.Tx, keys, _ []string) store.Reply {
	if len(keys) != 2 {
		return store.Fail(store.ServerError(badCall))
	}
	text := tx.Do("GET", keys[0])
	if text.IsNil() {
		text = store.Bulk("")
	}
	fields := tx.Do("HGETALL", keys[1])
	for _, r := range []store.Reply{text, fields} {
		if r.Err() != nil {
			return r
		}
	}
	return store.ArrayOf(store.Int(tx.Now().UnixMilli()), text, fields)
}
