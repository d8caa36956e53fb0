package lock

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/larderdb/larder/store"
)

// step is openLua and functionsLua in Go: one atomic step on a lock. Its methods do what the functions of the same names do
// there. The quick ways are not repeated: here they would save nothing.
type step struct {
	tx        store.StringTx
	key, body string
	id, wake  string
	keepText  string
	keep      int64 // ms

	micros, now int64
	head
	err error // the first failure; nothing is done after it

	was, is []byte // the head as it was read, empty if there was none; and as it is to be; both used again
}

// steps are used again: what they read and write the store copies.
var steps = sync.Pool{New: func() any { return new(step) }}

// end gives a step back.
func (s *step) end() {
	*s = step{was: s.was[:0], is: s.is[:0]}
	steps.Put(s)
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

// begin checks the call and reads the head. The script has so many numbers of its own.
func (s *step) begin(tx store.Tx, keys, args []string, count int) (numbers [5]int64, refusal error) {
	if len(keys) != 2 || len(args) != 4 || !validID(args[0]) || len(args[2]) != count*wide {
		return numbers, store.ServerError(badCall)
	}
	s.tx, s.key, s.body, s.id, s.keepText, s.wake = store.StringsOf(tx), keys[0], keys[1], args[0], args[1], args[3]
	if ok := s.keepText == "0"; !ok {
		if s.keep, ok = store.Positive(s.keepText, 15); !ok {
			return numbers, store.ServerError(badCall)
		}
	}
	for i := range count {
		numbers[i] = int64(float(args[2][i*wide:]))
	}
	at := tx.Now()
	s.micros, s.now = at.UnixMicro(), at.UnixMilli()
	var size int
	var err error
	if s.was, size, err = s.tx.GetRange(s.key, 0, maxHead, s.was[:0]); err != nil {
		return numbers, err
	}
	s.first = 1
	if size == 0 {
		s.do("DEL", s.body) // what is left of a lock whose head was lost
	} else if size > maxHead || !s.parse(s.was, s.id) {
		return numbers, store.ServerError(notOurs)
	}
	return numbers, s.err
}

// pack is what struct.pack makes of numbers.
func pack(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(float64(n)))
	}
	return b
}

func packed(numbers ...int64) string { return string(pack(make([]byte, 0, 5*wide), numbers...)) }

// float reads the number that s begins with.
func float[T string | []byte](s T) float64 {
	bits := uint64(0)
	for i := range wide {
		bits = bits<<8 | uint64(s[i])
	}
	return math.Float64frombits(bits)
}

// whole reads numbers; false if one is not whole or beyond the limit.
func whole[T string | []byte](s T, into ...*int64) bool {
	ok := true
	for i, n := range into {
		f := float(s[i*wide:])
		ok = ok && f >= 0 && f <= maxNumber && f == math.Trunc(f)
		*n = int64(f)
	}
	return ok
}

// validID is what openLua asks of an id.
func validID(id string) bool {
	return len(id) >= 2 && len(id) <= maxID && (id[0] == 'x' || id[0] == 's' || id[0] == 'l')
}

// clientOf is the client's part of an id.
func clientOf(id string) string {
	if dot := strings.LastIndexByte(id, '.'); dot > 0 {
		return id[1:dot]
	}
	return ""
}

// parse reads a head. likely is who may well be its holder, and saves a copy of it.
func (h *head) parse(s []byte, likely string) bool {
	switch {
	case len(s) == 0 || s[0] != 'L':
		return false
	case len(s) == freeHead:
		return whole(s[1:], &h.token)
	case len(s) < fullHead:
		return false
	}
	var claimed int64
	ok := whole(s[1:], &h.token, &h.expiry, &h.since, &claimed, &h.shared, &h.earliest, &h.first, &h.last)
	h.claimed = claimed == 1
	if h.holder = likely; string(s[fullHead:]) != likely {
		h.holder = string(s[fullHead:])
	}
	return ok && claimed <= 1 && h.last-h.first <= maxQueue
}

func (h *head) append(b []byte) []byte {
	b = append(b, 'L')
	if h.holder == "" && h.shared == 0 && h.first > h.last {
		return pack(b, h.token)
	}
	return append(pack(b, h.token, h.expiry, h.since, digit(h.claimed), h.shared, h.earliest, h.first, h.last), h.holder...)
}

func digit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func parseSharer(s string) (h sharer, ok bool) {
	if len(s) != 4*wide {
		return h, false
	}
	var claimed int64
	ok = whole(s, &h.expiry, &h.token, &h.since, &claimed)
	h.claimed = claimed == 1
	return h, ok && claimed <= 1
}

func parseWaiter(s string) (w waiter, ok bool) {
	if len(s) < 3*wide || !validID(s[3*wide:]) {
		return w, false
	}
	w.id = s[3*wide:]
	return w, whole(s, &w.alive, &w.capacity, &w.claim)
}

func (w waiter) pack() string {
	return string(append(pack(make([]byte, 0, 128), w.alive, w.capacity, w.claim), w.id...))
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
	if s.is = s.append(s.is[:0]); !bytes.Equal(s.is, s.was) {
		s.err = s.tx.SetString(s.key, s.is, s.keep)
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
		s.do("PEXPIRE", s.body, s.keepText)
	} else {
		s.do("PERSIST", s.body)
	}
}

func (s *step) get(field string) string {
	value, _, _ := s.do("HGET", s.body, field).Lookup() //nolint:errcheck // do has kept the error
	return value
}

func (s *step) announce(who, what string) {
	if strings.HasPrefix(who, "l") {
		s.do("PUBLISH", s.key+changes, what)
	}
}

func (s *step) sharer(who string) (sharer, bool) { return parseSharer(s.get("h" + who)) }

func (s *step) share(who string, h sharer) {
	s.put("h"+who, packed(h.expiry, h.token, h.since, digit(h.claimed)))
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
	if who[0] == 'l' { // else the words would be made for nothing
		s.announce(who, who+" "+digits(s.token))
	}
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

func (s *step) queued(ticket int64) (place int64) {
	from, to := ticket, ticket
	if ticket == -1 {
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
	if s.id[0] == 's' && s.shared > 0 {
		if h, ok := s.sharer(s.id); ok && h.expiry > s.now {
			s.share(s.id, sharer{s.now + length, h.token, h.since, false})
			return reply(1, h.token, s.now+length, s.now, 0), true
		}
	}
	return store.Reply{}, false
}

func reply(granted, n, ends, now, ahead int64) store.Reply {
	return store.Bulk(packed(granted, n, ends, now, ahead))
}

// acquire is acquireLua.
func acquire(tx store.Tx, keys, args []string) store.Reply {
	s := steps.Get().(*step) //nolint:forcetypeassert // the pool has nothing else
	defer s.end()
	n, err := s.begin(tx, keys, args, 5)
	if err != nil {
		return store.Fail(err)
	}
	return s.answer(s.acquire(n[0], n[1], n[2], n[3], n[4]))
}

func (s *step) acquire(ticket, capacity, length, claim, alive int64) store.Reply {
	place := int64(0)
	if ticket != 0 {
		if mine, ok := s.extend(length); ok {
			return mine
		}
		place = s.queued(ticket)
	}
	s.expire()
	if place != 0 { // also where expire has just forfeited it: who calls is alive
		s.put("w"+digits(place), waiter{s.now + alive, capacity, claim, s.id}.pack())
	}
	if s.first <= s.last {
		s.serve()
		if ticket != 0 {
			if mine, ok := s.extend(length); ok {
				return mine
			}
		}
	}
	if place == 0 {
		if s.first > s.last && s.admits(s.id[0], capacity) {
			ends := s.grant(s.id, length, false)
			return reply(1, s.token, ends, s.now, 0)
		}
		if alive > 0 {
			s.last++
			place = s.last
			s.put("w"+digits(place), waiter{s.now + alive, capacity, claim, s.id}.pack())
		}
	}
	free, ahead := s.expiry, int64(0)
	if s.holder == "" {
		free = s.earliest
	}
	if place != 0 {
		ahead = place - s.first
	}
	return reply(0, place, free, s.now, ahead)
}

// extend is extendLua.
func extend(tx store.Tx, keys, args []string) store.Reply {
	s := steps.Get().(*step) //nolint:forcetypeassert // the pool has nothing else
	defer s.end()
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
	s := steps.Get().(*step) //nolint:forcetypeassert // the pool has nothing else
	defer s.end()
	n, err := s.begin(tx, keys, args, 1)
	if err != nil {
		return store.Fail(err)
	}
	left := s.leave(n[0])
	if s.first <= s.last {
		s.expire()
		s.serve()
	}
	return s.answer(store.Int(left))
}

func (s *step) leave(ticket int64) int64 {
	if s.holder == s.id {
		s.vacate()
		return 1
	}
	if s.id[0] == 's' && s.shared > 0 {
		if n, _ := s.do("HDEL", s.body, "h"+s.id).Int64(); n == 1 { //nolint:errcheck // do has kept the error
			if s.shared--; s.shared == 0 {
				s.earliest = 0
			}
			return 1
		}
	}
	if place := s.queued(ticket); place != 0 {
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
