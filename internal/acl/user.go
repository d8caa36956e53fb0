package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/larderdb/larder/internal/config"
)

// User is what somebody may do. It never changes once it is in an Account.
type User struct {
	enabled, noPass, skipSanitize bool
	passwords                     []string    // SHA-256 in lower-case hexadecimal
	selectors                     []*selector // the root first

	everything bool // one selector allows all there is
	allKeys    bool // every selector allows all keys: nobody need look for them
	allChans   bool
}

// rules is what applying a rule depends on besides the user.
type rules struct {
	catalog      *Catalog
	openChannels bool // acl-pubsub-default: a new selector allows all channels
}

// newUser returns a user that may do nothing.
func (r rules) newUser() *User {
	return &User{selectors: []*selector{newSelector(r.catalog, r.openChannels)}}
}

func (u *User) clone() *User {
	n := *u
	n.passwords = slices.Clone(u.passwords)
	n.selectors = make([]*selector, len(u.selectors))
	for i, s := range u.selectors {
		n.selectors[i] = s.clone()
	}
	return &n
}

// seal computes what checks ask first. Nothing is applied to the user after it.
func (u *User) seal() *User {
	u.everything, u.allKeys, u.allChans = false, true, true
	for _, s := range u.selectors {
		u.everything = u.everything || s.allCommands && s.allKeys && s.allChannels
		u.allKeys = u.allKeys && s.allKeys
		u.allChans = u.allChans && s.allChannels
	}
	return u
}

// applyAll changes the user by rules, in order. The error is a *RuleError; the user is then half changed, so this is
// for copies.
func (r rules) applyAll(u *User, list []string) error {
	for _, rule := range list {
		if err := r.apply(u, rule); err != nil {
			return &RuleError{rule, err}
		}
	}
	return nil
}

// apply changes the user by one rule; on an error nothing has changed.
func (r rules) apply(u *User, rule string) error {
	if rule == "" {
		return nil
	}
	switch last := rule[len(rule)-1]; {
	case rule[0] == '>' || rule[0] == '#':
		return u.addPassword(rule)
	case rule[0] == '<' || rule[0] == '!':
		return u.removePassword(rule)
	case rule[0] == '(' && last == ')':
		s, err := r.parseSelector(rule[1 : len(rule)-1])
		if err == nil {
			u.selectors = append(u.selectors, s)
		}
		return err
	}
	word, _, _ := strings.Cut(rule, "\x00")
	switch lower(word) {
	case "on":
		u.enabled = true
	case "off":
		u.enabled = false
	case "skip-sanitize-payload":
		u.skipSanitize = true
	case "sanitize-payload":
		u.skipSanitize = false
	case "nopass":
		u.noPass, u.passwords = true, nil
	case "resetpass":
		u.noPass, u.passwords = false, nil
	case "clearselectors":
		u.selectors = u.selectors[:1]
	case "reset":
		*u = *r.newUser()
	default:
		return u.selectors[0].apply(r.catalog, rule)
	}
	return nil
}

// parseSelector makes a selector of rules separated by spaces.
func (r rules) parseSelector(text string) (*selector, error) {
	s := newSelector(r.catalog, r.openChannels)
	text, _, _ = strings.Cut(text, "\x00")
	words, err := config.SplitArgs(text)
	if err != nil { // unbalanced quotes: Redis takes none of the rules, and gives no error
		return s, nil //nolint:nilerr // see above
	}
	for _, w := range words {
		if err := s.apply(r.catalog, w); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// hash returns the SHA-256 of ">password", or checks the one of "#hash"; either sign may be another.
func hash(rule string, plain byte) (string, error) {
	if rule[0] == plain {
		sum := sha256.Sum256([]byte(rule[1:]))
		return hex.EncodeToString(sum[:]), nil
	}
	h := rule[1:]
	if len(h) != hex.EncodedLen(sha256.Size) || strings.Trim(h, "0123456789abcdef") != "" {
		return "", errHash
	}
	return h, nil
}

func (u *User) addPassword(rule string) error {
	h, err := hash(rule, '>')
	if err != nil {
		return err
	}
	if !slices.Contains(u.passwords, h) {
		u.passwords = append(u.passwords, h)
	}
	u.noPass = false
	return nil
}

func (u *User) removePassword(rule string) error {
	h, err := hash(rule, '<')
	if err != nil {
		return err
	}
	i := slices.Index(u.passwords, h)
	if i < 0 {
		return errNoSuchPassword
	}
	u.passwords = slices.Delete(u.passwords, i, i+1)
	return nil
}

// accepts tells whether somebody with the password may be this user, in time that depends on the number of passwords
// alone.
func (u *User) accepts(password []byte) bool {
	sum := sha256.Sum256(password)
	given := []byte(hex.EncodeToString(sum[:]))
	match := 0
	for _, p := range u.passwords {
		match |= subtle.ConstantTimeCompare(given, []byte(p))
	}
	return u.enabled && (u.noPass || match == 1)
}

// Open tells whether anybody may be this user without a password.
func (u *User) Open() bool { return u.enabled && u.noPass }

// NoPass tells whether the user needs no password (and still may be disabled).
func (u *User) NoPass() bool { return u.noPass }

// Enabled tells whether one can authenticate as the user.
func (u *User) Enabled() bool { return u.enabled }

// Unrestricted tells whether the user may do everything, so that nothing need be checked.
func (u *User) Unrestricted() bool { return u.everything }

// AllKeys and AllChannels tell that a Request's keys or channels need not be filled in.
func (u *User) AllKeys() bool     { return u.allKeys }
func (u *User) AllChannels() bool { return u.allChans }

// Flags are the words of the user's switches, in the order of ACL LIST.
func (u *User) Flags() []string {
	flags := make([]string, 0, 3)
	if u.enabled {
		flags = append(flags, "on")
	} else {
		flags = append(flags, "off")
	}
	if u.noPass {
		flags = append(flags, "nopass")
	}
	if u.skipSanitize {
		return append(flags, "skip-sanitize-payload")
	}
	return append(flags, "sanitize-payload")
}

// Passwords are the hashes of the user's passwords. The caller must not change them.
func (u *User) Passwords() []string { return u.passwords }

// Description is a selector in the words that make it.
type Description struct{ Commands, Keys, Channels string }

// Selectors describe the root selector and then all further ones.
func (u *User) Selectors() []Description {
	all := make([]Description, len(u.selectors))
	for i, s := range u.selectors {
		all[i] = Description{strings.Join(s.commandRules(), " "), strings.Join(s.keyRules(), " "), strings.Join(s.channelRules(), " ")}
	}
	return all
}

// String is the user in the words that make it from one just reset, as ACL LIST and files have it.
func (u *User) String() string {
	words := u.Flags()
	for _, p := range u.passwords {
		words = append(words, "#"+p)
	}
	words = append(words, u.selectors[0].words()...)
	for _, s := range u.selectors[1:] {
		words = append(words, s.enclosed())
	}
	return strings.Join(words, " ")
}
