package command

import (
	"slices"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
)

// Guests are what runs in this process as an ACL user: calls of the embedded store that are made in a user's name.

// Superuser is the program itself, whom no rule binds.
func (p *Processor) Superuser() *acl.Account { return p.superuser }

// Act makes what an embedded session runs next a user's doing, which does not wait for scripts that take long; with nil it is the
// program's own again, which does.
func (s *Session) Act(as *acl.Account) {
	s.tx.Impatient = as != nil
	if as == nil {
		as = s.p.superuser
	}
	s.account.Store(as)
}

// Account finds a user by name; nil where there is none.
func (p *Processor) Account(name string) *acl.Account { return p.users.Get(name) }

// LogIn finds the user who has proved to know a password: one who is enabled, and whom not just any password would let in.
// Whoever fails is in ACL LOG; row is the command's that stands there.
func (s *Session) LogIn(name, password string) (*acl.Account, error) {
	a := s.p.users.Authenticate(lend(name), lend(password))
	if a == nil || a.User().NoPass() || a.Gone() {
		s.noteDenial(acl.Entry{Reason: acl.DeniedAuth, Context: acl.TopLevel, Object: "AUTH", User: name})
		return nil, errWrongPass
	}
	return a, nil
}

// Permit tells whether the session's user may run a command with these words, and logs a denial.
func (s *Session) Permit(words ...[]byte) error {
	row, refusal := s.p.resolve(words)
	if refusal != "" {
		return engine.Error(refusal)
	}
	s.top = row
	if _, text := s.permit(row, words, acl.TopLevel); text != "" {
		return engine.Error("NOPERM " + text)
	}
	return nil
}

// Guest is a Subscriber or a Tap that listens in a user's name.
type Guest interface {
	// Account is the user; nil: the program itself.
	Account() *acl.Account
	// Expel ends it, since the user was removed or may not listen any more. It must not block.
	Expel(reason string)
}

// Tap is fed all commands, as MONITOR words them, without a line's end. Feed borrows the line, is called with keys locked,
// and must not block.
type Tap interface {
	Guest
	Feed(line []byte)
}

// AddTap begins to feed a Tap, until remove.
func (p *Processor) AddTap(t Tap) (remove func()) {
	m := &p.monitors
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taps = append(m.taps, t)
	m.counted()
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.taps = slices.DeleteFunc(m.taps, func(o Tap) bool { return o == t })
		m.counted()
	}
}

// expel ends the guests of a user that was removed.
func (p *Processor) expel(a *acl.Account) {
	const reason = "user removed"
	p.Engine.Hub.Each(func(sub engine.Subscriber, _ string, _ bool) {
		if g, ok := sub.(Guest); ok && g.Account() == a {
			g.Expel(reason)
		}
	})
	p.monitors.mu.Lock()
	defer p.monitors.mu.Unlock()
	for _, t := range p.monitors.taps {
		if t.Account() == a {
			t.Expel(reason)
		}
	}
}
