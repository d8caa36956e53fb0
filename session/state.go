package session

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// maxUser bounds a user's id, maxName a field's.
const (
	maxUser = 512 // bytes
	maxName = 256 // bytes
	maxNote = 256 // bytes of the agent's name, and of the address
)

// Session is a client's session as one request sees it: what was in the store when it was loaded, and what this request
// changes. Fields are read and written through [Field]. Changes are stored by Manager.Save, which Handler calls. All
// methods are safe for concurrent use.
type Session struct {
	mu sync.Mutex // guards the rest
	at place      // where the session lies; zero if it is not stored

	fields map[string]string // as encoded; with this request's changes
	dirty  map[string]bool   // what this request changed or removed; true if the store may have had it before
	bytes  int               // of names and values

	user        string
	agent, addr string
	times       times

	login   bool    // Save begins a session anew, for user
	rotate  bool    // Save replaces the token, at once
	renew   bool    // Save replaces the token, with grace: it is old
	ended   []place // Save retires these: Destroy was called
	sealed  bool    // the header is sent: no new token can be told
	cleared bool    // the client should forget its token
	max     int     // Options.MaxBytes
}

// place is where a session is.
type place struct {
	token string // empty if it is not known, as within a grace
	id    string // empty if it is not stored
	user  string // whose list it stands in
}

// times are the store's, in Unix ms.
type times struct{ now, created, seen, end, token int64 }

func (m *Manager) blank() *Session {
	return &Session{max: m.o.MaxBytes}
}

// New is a session that is not stored yet. It takes no space in the store, and no token, until something is in it.
func (m *Manager) New() *Session { return m.blank() }

// Token is what the client must hold: empty until a session with something in it was saved. While a token that was
// rotated away still works (Options.RotateGrace) it is empty too: nobody but the client who got the new one has it.
func (s *Session) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.token
}

// ID names the session in List and Revoke. It is no secret: no token can be made of it. Empty if nothing is stored.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.id
}

// User is who logged in; empty for nobody.
func (s *Session) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Created is when the session began, or its user logged in, by the store's clock; zero if it is not stored.
func (s *Session) Created() time.Time { return s.moment(func(t times) int64 { return t.created }) }

// LastSeen is when the session was used before this request, up to TouchEvery late; zero if it is not stored.
func (s *Session) LastSeen() time.Time { return s.moment(func(t times) int64 { return t.seen }) }

// Deadline is when the session ends at the latest, by the store's clock; zero if it is not stored.
func (s *Session) Deadline() time.Time { return s.moment(func(t times) int64 { return t.end }) }

func (s *Session) moment(of func(times) int64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return unixMilli(of(s.times))
}

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Login makes the session user's: Save begins it anew under a new token, with the fields that it has and a new Lifetime,
// and refuses the old token at once. So a token that an attacker planted before is worth nothing after.
func (s *Session) Login(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case user == "" || len(user) > maxUser:
		return fmt.Errorf("session: %w: user of %d bytes, want 1 to %d", store.ErrInvalid, len(user), maxUser)
	case s.sealed:
		return fmt.Errorf("session: login: %w", ErrHeaderSent)
	}
	s.user, s.login = user, true
	return nil
}

// Rotate lets Save replace the token and refuse the old one at once: call it when the client's rights change.
func (s *Session) Rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return fmt.Errorf("session: rotate: %w", ErrHeaderSent)
	}
	s.rotate = true
	return nil
}

// Destroy ends the session: Save removes it and refuses its token, also for requests that hold it now. s becomes a new,
// empty session. Destroying a session that is not stored only empties it.
func (s *Session) Destroy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.id != "" {
		s.ended = append(s.ended, s.at)
	}
	s.forget()
	s.cleared = true
}

// forget makes s an empty session that is not stored.
func (s *Session) forget() {
	s.at, s.times = place{}, times{}
	s.fields, s.dirty, s.bytes = nil, nil, 0
	s.user, s.login, s.rotate, s.renew = "", false, false, false
}

// SetClient notes the client's agent and address for List. It counts only before the session is first stored, or with
// Login. Both are cut to 256 bytes.
func (s *Session) SetClient(agent, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent, s.addr = clip(agent), clip(addr)
}

func clip(s string) string {
	if len(s) > maxNote {
		s = s[:maxNote]
	}
	return strings.ToValidUTF8(s, "")
}

// Names are the names of the fields there are, in no order.
func (s *Session) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.fields))
	for name := range s.fields {
		out = append(out, name)
	}
	return out
}

// get, set and remove are what Field is made of; values are encoded.
func (s *Session) get(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.fields[name]
	return v, ok
}

func (s *Session) set(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" || len(name) > maxName {
		return fmt.Errorf("session: %w: field's name of %d bytes, want 1 to %d", store.ErrInvalid, len(name), maxName)
	}
	old, have := s.fields[name]
	if have && old == value {
		return nil // nothing to write, and nobody's later value to overwrite
	}
	size, count := s.bytes+len(value), len(s.fields)
	if have {
		size -= len(old)
	} else {
		size += len(name)
		count++
	}
	if size > s.max || count > maxFields {
		return fmt.Errorf("session: field %q: %w: %d bytes in %d fields, want %d in %d at most", name, ErrTooLarge, size, count, s.max, maxFields)
	}
	if s.at.id == "" && s.sealed {
		return fmt.Errorf("session: field %q: %w, and the session has no token yet", name, ErrHeaderSent)
	}
	s.change(name)
	s.fields[name], s.bytes = value, size
	return nil
}

func (s *Session) remove(name string) (old string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok = s.fields[name]; !ok {
		return "", false
	}
	s.change(name)
	delete(s.fields, name)
	s.bytes -= len(name) + len(old)
	if !s.dirty[name] { // it came and went
		delete(s.dirty, name)
	}
	return old, true
}

// change marks a field as changed, before it is.
func (s *Session) change(name string) {
	if s.dirty == nil {
		s.dirty = map[string]bool{}
	}
	if s.fields == nil {
		s.fields = map[string]string{}
	}
	if _, again := s.dirty[name]; !again {
		_, s.dirty[name] = s.fields[name]
	}
}

// doubt says that the store may have, or not, what was to be written.
func (s *Session) doubt() {
	for name := range s.dirty {
		s.dirty[name] = true
	}
}
