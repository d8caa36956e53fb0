package acl

import "github.com/larderdb/larder/internal/glob"

// Reason says what is denied. Of the verdicts of several selectors the greatest is told.
type Reason uint8

// The reasons.
const (
	Allowed Reason = iota
	DeniedCommand
	DeniedKey
	DeniedAuth // who somebody claims to be: no verdict of Check
	DeniedChannel
)

// String is the reason's name in ACL LOG.
func (r Reason) String() string {
	return [...]string{"", "command", "key", "auth", "channel"}[r]
}

// Key is a key that a command names.
type Key struct {
	Pos    int // among the command's words
	Name   []byte
	Access Access
}

// Request is a command that somebody wants to run. Its bytes are borrowed.
type Request struct {
	Command  int    // its number in the catalog
	Free     bool   // anybody may run it: AUTH and the like
	FirstArg []byte // its first argument; nil without one

	// Hidden tells of keys besides Keys that the words do not show: only who may use all keys may use those.
	Hidden bool
	Keys   []Key // may be left out when User.AllKeys

	Channels   [][]byte // may be left out when User.AllChannels
	ChannelPos int      // of the first of them among the command's words
	Patterns   bool     // the channels are patterns to subscribe
}

// Verdict is the answer to a Request. Pos is the word of the key or channel that is denied.
type Verdict struct {
	Reason Reason
	Pos    int
}

// Check decides whether the user may run a command. Without one selector that allows it the verdict is the one that got
// farthest. Cost: O(selectors x keys x patterns).
func (u *User) Check(r *Request) Verdict {
	worst := Verdict{Reason: DeniedCommand}
	for _, s := range u.selectors {
		v := s.check(r)
		if v.Reason == Allowed {
			return v
		}
		if v.Reason > worst.Reason || v.Reason == worst.Reason && v.Pos > worst.Pos {
			worst = v
		}
	}
	return worst
}

// CheckReadAll is Check with the further demand that the same selector allows to read every key: SORT's BY and GET
// compute the keys that they read.
func (u *User) CheckReadAll(r *Request) bool {
	for _, s := range u.selectors {
		if s.check(r).Reason == Allowed && s.readsAll() {
			return true
		}
	}
	return false
}

func (s *selector) readsAll() bool {
	for _, k := range s.keys {
		if k.access&Read != 0 && string(k.pattern) == "*" {
			return true
		}
	}
	return s.allKeys
}

func (s *selector) check(r *Request) Verdict {
	if !s.allCommands && !r.Free && !s.allows(r) {
		return Verdict{Reason: DeniedCommand}
	}
	if !s.allKeys {
		if r.Hidden {
			return Verdict{DeniedKey, 0}
		}
		for i := range r.Keys {
			if k := &r.Keys[i]; !s.allowsKey(k) {
				return Verdict{DeniedKey, k.Pos}
			}
		}
	}
	if !s.allChannels {
		for i, c := range r.Channels {
			if !allowsChannel(s.channels, c, r.Patterns) {
				return Verdict{DeniedChannel, r.ChannelPos + i}
			}
		}
	}
	return Verdict{}
}

func (s *selector) allows(r *Request) bool {
	if s.allowed[r.Command/64]&(1<<(r.Command%64)) != 0 {
		return true
	}
	if len(s.firstArgs) == 0 || r.FirstArg == nil {
		return false
	}
	arg := lower(string(r.FirstArg))
	for _, a := range s.firstArgs[r.Command] {
		if a == arg {
			return true
		}
	}
	return false
}

func (s *selector) allowsKey(k *Key) bool {
	for i := range s.keys {
		if p := &s.keys[i]; p.access&k.Access == k.Access && glob.Match(p.pattern, k.Name, false) {
			return true
		}
	}
	return false
}

// allowsChannel: a channel must match an allowed pattern; a pattern must be one of them, to the letter.
func allowsChannel(allowed [][]byte, name []byte, isPattern bool) bool {
	for _, p := range allowed {
		if isPattern && string(p) == string(name) || !isPattern && glob.Match(p, name, false) {
			return true
		}
	}
	return false
}

// Revocation is what a subscriber may still listen to after a change that took channels away.
type Revocation struct{ left [][]byte }

// Revoked compares a user before and after a change; nil if every channel pattern allowed before is allowed still.
func Revoked(before, after *User) *Revocation {
	left := &Revocation{}
	for _, s := range after.selectors {
		if s.allChannels {
			return nil
		}
		left.left = append(left.left, s.channels...)
	}
	for _, s := range before.selectors {
		if s.allChannels {
			return left
		}
		for _, c := range s.channels {
			if !allowsChannel(left.left, c, true) {
				return left
			}
		}
	}
	return nil
}

// Denies tells whether a subscription must end.
func (r *Revocation) Denies(name []byte, isPattern bool) bool {
	return !allowsChannel(r.left, name, isPattern)
}
