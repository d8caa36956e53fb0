package session

import (
	"context"
	"strings"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Load finds the session of a token. A token that is unknown, expired, retired or not a token at all gives a new, empty
// session: err is for the store's failures. One round trip, O(fields), and one more once per TouchEvery, to write down that the
// session is used; none for what cannot be a token.
func (m *Manager) Load(ctx context.Context, token string) (*Session, error) {
	s := m.blank()
	if !wellFormed(token) {
		if token != "" {
			m.event(ctx, &m.n.garbage, "garbage")
		}
		return s, nil
	}
	id := idOf(token)
	ctx, end := m.begin(ctx, "load", id)
	at := place{token: token, id: id}
	result, err := m.load(ctx, s, at)
	end(result, err)
	return s, err
}

// hops bounds how many rotations a token is followed through: only those within one RotateGrace.
const hops = 4

// load reads a session with a plain HGETALL. Only where more is to be done than to read, once per TouchEvery and where a
// session has ended, the script goes over it, which decides by the store's clock.
func (m *Manager) load(ctx context.Context, s *Session, at place) (result string, err error) {
	if now, known := m.storeTime(); known {
		bounded, cancel := m.timeout.Bound(ctx)
		fields, err := m.st.Do(bounded, "HGETALL", m.key(at.id)).Pairs()
		cancel()
		switch {
		case err != nil:
			return observe.Failed, m.wrap("load", at.id, err)
		case len(fields) == 0:
			m.n.missed.Add(1)
			return observe.Miss, nil
		}
		if err := s.fill(at, now, fields); err != nil {
			return observe.Failed, m.wrap("load", at.id, err)
		}
		if t := &s.times; t.end > now && t.seen <= now && now-t.seen < m.o.TouchEvery.Milliseconds() {
			return m.found(s), nil
		}
	}
	return m.touched(ctx, s, at)
}

// found counts a session that was loaded. It marks one whose token is old, unless it was found by the token before.
func (m *Manager) found(s *Session) string {
	age := s.times.now - s.times.token
	s.renew = m.o.RotateEvery > 0 && s.at.token != "" && age >= m.o.RotateEvery.Milliseconds()
	m.n.loaded.Add(1)
	return observe.Hit
}

// touched reads a session, and writes down that it is used if that is due.
func (m *Manager) touched(ctx context.Context, s *Session, at place) (result string, err error) {
	s.forget()
	for range hops {
		list, err := m.run(ctx, loadScript, []string{m.key(at.id)}, m.idle, m.touch).Array()
		if err != nil {
			if isNil(err) {
				m.n.missed.Add(1)
				return observe.Miss, nil
			}
			return observe.Failed, m.wrap("load", at.id, err)
		}
		var kind, detail string
		if len(list) >= 2 {
			kind, _ = list[0].Text()
			detail, _ = list[1].Text()
		}
		switch now, _ := store.Digits(detail, maxDigits); {
		case kind == "s" && len(list) == 3:
			fields, err := list[2].Pairs()
			if err == nil {
				m.learn(now)
				err = s.fill(at, now, fields)
			}
			if err != nil {
				return observe.Failed, m.wrap("load", at.id, err)
			}
			return m.found(s), nil
		case kind == "n" && wellFormed(detail):
			at = place{id: detail}
		default: // a tombstone
			m.event(ctx, &m.n.replayed, "replayed")
			return observe.Miss, nil
		}
	}
	m.n.missed.Add(1)
	return observe.Miss, nil
}

// learn takes the store's time from an answer, and storeTime tells it from then on. It may be wrong after a fail-over to a
// server with another clock, or when the machine slept: until the next answer, which the first session whose last use seems
// to lie ahead or long ago brings about.
func (m *Manager) learn(now int64) { m.ahead.Store(now - m.clock.Monotonic().Milliseconds()) }

func (m *Manager) storeTime() (now int64, known bool) {
	ahead := m.ahead.Load()
	return ahead + m.clock.Monotonic().Milliseconds(), ahead != 0
}

// ownFields is how many fields of a session are ours at least.
const ownFields = 4

// fill takes over what the store sent: the time, and fields with values.
func (s *Session) fill(at place, now int64, list []store.Reply) error {
	s.at, s.fields = at, make(map[string]string, max(0, len(list)/2-ownFields))
	s.times.now = now
	for i := 0; i < len(list); i += 2 {
		name, err := list[i].Text()
		if err != nil {
			return err
		}
		value, err := list[i+1].Text()
		if err != nil {
			return err
		}
		s.take(name, value)
	}
	s.at.user = s.user
	return nil
}

// take is one field from the store. Unknown ones of ours are ignored.
func (s *Session) take(name, value string) {
	if field, ok := strings.CutPrefix(name, "."); ok {
		s.fields[field] = value
		s.bytes += len(field) + len(value)
		return
	}
	n, _ := store.Digits(value, maxDigits) // meant for times only
	switch name {
	case "c":
		s.times.created = n
	case "d":
		s.times.end = n
	case "s":
		s.times.seen = n
	case "r":
		s.times.token = n
	case "u":
		s.user = value
	case "a":
		s.agent = value
	case "i":
		s.addr = value
	}
}
