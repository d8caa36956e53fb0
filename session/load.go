package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Load finds the session of a token. A token that is unknown, expired, retired or not a token at all gives a new, empty
// session: err is for the store's failures. One round trip, O(fields); none for what cannot be a token. Within the grace
// of a rotation it is one more.
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

func (m *Manager) load(ctx context.Context, s *Session, at place) (result string, err error) {
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
		switch {
		case kind == "s" && len(list) == 3:
			if err := s.fill(at, detail, list[2]); err != nil {
				return observe.Failed, m.wrap("load", at.id, err)
			}
			m.due(s)
			m.n.loaded.Add(1)
			return observe.Hit, nil
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

// due marks a session whose token is old. One without a token of its own is within a grace: its heir is young.
func (m *Manager) due(s *Session) {
	age := s.times.now - s.times.token
	s.renew = m.o.RotateEvery > 0 && s.at.token != "" && age >= m.o.RotateEvery.Milliseconds()
}

// fill takes over what the store sent: the time, and fields with values.
func (s *Session) fill(at place, now string, fields store.Reply) error {
	list, err := fields.Pairs()
	if err != nil {
		return err
	}
	var ok bool
	if s.times.now, ok = number(now); !ok {
		return fmt.Errorf("%w: %q for the time", store.ErrReply, now)
	}
	s.at, s.fields = at, make(map[string]string, len(list)/2)
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
	n, _ := number(value) // meant for times only
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
