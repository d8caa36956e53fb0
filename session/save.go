package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Save stores what a request changed, and only that. Afterwards s.Token is what the client must hold.
//
// Nothing changed: no round trip. Fields changed, a new session, a rotation, Destroy: one each. Login: one, and one more
// if the session was stored before, for its old place may be on another node of a Cluster.
//
// ErrGone means that the session ended while this request held it; its changes are dropped and s is empty. After another
// error, calling Save again does what is left to do.
func (m *Manager) Save(ctx context.Context, s *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pending() {
		return nil
	}
	ctx, end := m.begin(ctx, "save", s.at.id)
	err := m.save(ctx, s)
	switch {
	case err == nil:
		end(observe.OK, nil)
	case errors.Is(err, ErrGone):
		m.event(ctx, &m.n.refused, "refused")
		end(observe.Denied, nil)
	default:
		end(observe.Failed, err)
	}
	return err
}

// pending tells whether there is anything for Save to do.
func (s *Session) pending() bool {
	stored := s.at.id != ""
	return len(s.ended) > 0 || s.login || stored && (len(s.dirty) > 0 || s.rotate || s.renew && !s.sealed) || !stored && len(s.fields) > 0
}

func (m *Manager) save(ctx context.Context, s *Session) error {
	for len(s.ended) > 0 {
		last := len(s.ended) - 1
		if err := m.end(ctx, s.ended[last]); err != nil {
			return m.wrap("destroy", s.ended[last].id, err)
		}
		s.ended = s.ended[:last]
	}
	var err error
	op := "save"
	switch {
	case s.login:
		op, err = "login", m.login(ctx, s)
	case s.at.id == "" && len(s.fields) > 0:
		op, err = "create", m.create(ctx, s)
	case s.at.id == "":
		return nil
	case s.rotate || s.renew && !s.sealed:
		op, err = "rotate", m.rotate(ctx, s)
	case len(s.dirty) > 0:
		err = m.patch(ctx, s)
	}
	id := s.at.id
	switch {
	case errors.Is(err, ErrGone):
		s.forget()
	case err != nil:
		s.doubt()
	}
	return m.wrap(op, id, err)
}

// create stores s in a new place, with all its fields.
func (m *Manager) create(ctx context.Context, s *Session) error {
	token, id := newToken(s.user)
	keys := make([]string, 1, 2)
	keys[0] = m.key(id)
	if s.user != "" {
		keys = append(keys, m.index(s.user))
	}
	args := make([]string, 6, 6+2*len(s.fields))
	copy(args, []string{m.idle, m.life, id[bucketLen:], s.user, s.agent, s.addr})
	for name, value := range s.fields {
		args = append(args, "."+name, value)
	}
	if len(args) > maxArgs {
		return tooMany(args)
	}
	now, err := m.run(ctx, createScript, keys, args...).Int64()
	if err != nil {
		return err
	}
	m.learn(now)
	s.at = place{token: token, id: id, user: s.user}
	s.times = times{now: now, created: now, seen: now, token: now, end: now + m.o.Lifetime.Milliseconds()}
	s.saved()
	m.n.created.Add(1)
	return nil
}

// saved says that the store has all of s.
func (s *Session) saved() {
	clear(s.dirty)
	s.login, s.rotate, s.renew = false, false, false
}

// login begins the session anew, then ends the old one. If it fails between the two the new session, which nobody has a
// token of, ends by idleness, and the old one is what it was: not logged in.
//
// What another request changed in the old session after this one had loaded it comes with the answer of the second step
// and is taken over.
func (m *Manager) login(ctx context.Context, s *Session) error {
	old, changed := s.at, maps.Clone(s.dirty)
	before := s.times
	if err := m.create(ctx, s); err != nil || old.id == "" {
		return err
	}
	was, err := m.replaced(ctx, old, s.at.id)
	if err != nil {
		fresh := s.at
		s.at, s.times, s.login, s.dirty = old, before, true, changed // for another Save
		_ = m.end(ctx, fresh)                                        // it may as well end by idleness
		return err
	}
	m.n.rotated.Add(1)
	if was == nil { // it ended meanwhile. To log in is an act of its own, so the new session stands
		return nil
	}
	s.merge(was, changed)
	return m.patch(ctx, s)
}

// merge takes over what others changed since s was loaded: was is what the store had last. What this request did not
// change itself is in s as it was loaded.
func (s *Session) merge(was map[string]string, own map[string]bool) {
	for name, value := range was {
		_, mine := own[name]
		if loaded, had := s.fields[name]; !mine && (!had || loaded != value) {
			s.change(name)
			s.fields[name] = value
		}
	}
	s.bytes = 0
	for name, value := range s.fields {
		_, mine := own[name]
		if _, still := was[name]; !still && !mine {
			s.change(name)
			delete(s.fields, name)
			continue
		}
		s.bytes += len(name) + len(value)
	}
}

// rotate moves s to a new place in the same bucket, with its changes.
func (m *Manager) rotate(ctx context.Context, s *Session) error {
	grace := m.grace
	if s.rotate {
		grace = "0"
	}
	for range hops {
		token, _ := newToken("")
		token = s.at.id[:bucketLen] + token[bucketLen:]
		id := idOf(token)
		keys := []string{m.key(s.at.id), m.key(id)}
		if s.at.user != "" {
			keys = append(keys, m.index(s.at.user))
		}
		args := append([]string{grace, m.tomb, s.at.id[bucketLen:], id}, s.changes()...)
		if len(args) > maxArgs {
			return tooMany(args)
		}
		heir, err := done(m.run(ctx, rotateScript, keys, args...))
		if err != nil {
			return err
		}
		if heir == "" {
			s.at.token, s.at.id, s.times.token = token, id, s.times.now
			m.n.rotated.Add(1)
			m.written(s)
			return nil
		}
		// Another request was first, and its client gets the new token. That will do, unless rights have changed.
		s.at.token, s.at.id = "", heir
		if !s.rotate {
			s.renew = false
			return m.patch(ctx, s)
		}
	}
	return ErrGone
}

// patch writes the changed fields, if there are any, to the session or to what took its place within the grace.
func (m *Manager) patch(ctx context.Context, s *Session) error {
	for range hops {
		if len(s.dirty) == 0 {
			return nil
		}
		args := s.changes()
		if len(args) > maxArgs {
			return tooMany(args)
		}
		heir, err := done(m.run(ctx, patchScript, []string{m.key(s.at.id)}, args...))
		if err != nil {
			return err
		}
		if heir == "" {
			m.written(s)
			return nil
		}
		s.at.token, s.at.id = "", heir
	}
	return ErrGone
}

// written says that the store has all of s, and counts the change if there was one.
func (m *Manager) written(s *Session) {
	if len(s.dirty) > 0 {
		m.n.changed.Add(1)
	}
	s.saved()
}

// changes are ARGV of patch: the number of fields to set, these with values, fields to remove.
func (s *Session) changes() []string {
	args := make([]string, 1, 1+2*len(s.dirty))
	var gone []string
	for name := range s.dirty {
		if value, ok := s.fields[name]; ok {
			args = append(args, "."+name, value)
		} else {
			gone = append(gone, "."+name)
		}
	}
	args[0] = strconv.Itoa(len(args) / 2)
	return append(args, gone...)
}

// tooMany is for what requests at the same time have made of a session, each within its bounds.
func tooMany(args []string) error {
	return fmt.Errorf("%w: %d words to write, want %d at most", ErrTooLarge, len(args), maxArgs)
}

// done reads the reply of patch and rotate.
func done(r store.Reply) (heir string, err error) {
	if r.Kind() == store.KindInt {
		n, _ := r.Int64()
		if n == 0 {
			return "", ErrGone
		}
		return "", nil
	}
	return idIn(r)
}

// idIn reads the id that a script answered.
func idIn(r store.Reply) (string, error) {
	id, err := r.Text()
	if err == nil && !wellFormed(id) {
		err = fmt.Errorf("%w: %q for an id", store.ErrReply, id)
	}
	return id, err
}

// end destroys a session and whatever took its place meanwhile: to log out is to log out under all tokens.
func (m *Manager) end(ctx context.Context, at place) error {
	for range hops {
		r := m.retire(ctx, at, "destroyed", "")
		switch r.Kind() {
		case store.KindArray, store.KindMap:
			m.n.destroyed.Add(1)
			return nil
		case store.KindInt: // it had ended
			return nil
		}
		heir, err := idIn(r)
		if err != nil {
			return err
		}
		at.id = heir
	}
	return fmt.Errorf("%w: replaced %d times meanwhile", ErrGone, hops)
}

// replaced ends a session in favour of heir, and tells what fields it had; nil if it had ended or was replaced before.
// What replaced it then stays: of two log-ins at the same time, a double click, either answer may be the one that
// the browser keeps.
func (m *Manager) replaced(ctx context.Context, at place, heir string) (map[string]string, error) {
	r := m.retire(ctx, at, "rotated", heir)
	if k := r.Kind(); k == store.KindInt || k == store.KindBulk {
		return nil, nil
	}
	all, err := r.Map()
	if err != nil {
		return nil, err
	}
	was := Session{fields: make(map[string]string, len(all))}
	for name, value := range all {
		was.take(name, value)
	}
	return was.fields, nil
}

func (m *Manager) retire(ctx context.Context, at place, why, heir string) store.Reply {
	keys := []string{m.key(at.id)}
	if at.user != "" {
		keys = append(keys, m.index(at.user))
	}
	return m.run(ctx, retireScript, keys, m.tomb, why, at.id[bucketLen:], heir)
}

func isNil(err error) bool { return errors.Is(err, store.ErrNil) }
