package acl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Default is the name of the user that every connection begins as. It cannot be removed.
const Default = "default"

// Account is a name and the user that it stands for at the moment.
type Account struct {
	name string
	user atomic.Pointer[User]
	gone atomic.Bool
}

// Name is the account's name.
func (a *Account) Name() string { return a.name }

// User is the present user. It may be kept; a later change makes another.
func (a *Account) User() *User { return a.user.Load() }

// Gone tells that the account was removed. Its user may do nothing.
func (a *Account) Gone() bool { return a.gone.Load() }

// Users are all accounts. Its methods are safe for concurrent use.
type Users struct {
	catalog      *Catalog
	openChannels atomic.Bool // acl-pubsub-default
	standard     *Account
	nobody       *User // has a password that nobody knows, and is disabled

	mu     sync.RWMutex // guards byName; held for writing while any account changes
	byName map[string]*Account
}

// NewUsers returns the accounts of a new store: the default user, who may do everything without a password.
func NewUsers(c *Catalog) *Users {
	u := &Users{catalog: c, byName: make(map[string]*Account), nobody: &User{passwords: []string{strings.Repeat("0", 64)}}}
	u.standard = u.add(Default, u.superuser())
	return u
}

// Superuser returns an account that may do everything and is not among the users: for calls of the program itself.
func (u *Users) Superuser() *Account {
	a := &Account{name: Default}
	a.user.Store(u.superuser())
	return a
}

func (u *Users) rules() rules { return rules{u.catalog, u.openChannels.Load()} }

func (u *Users) superuser() *User {
	s := newSelector(u.catalog, true)
	s.setAll(true)
	s.allKeys = true
	return (&User{enabled: true, noPass: true, selectors: []*selector{s}}).seal()
}

func (u *Users) add(name string, user *User) *Account {
	a := &Account{name: name}
	a.user.Store(user)
	u.byName[name] = a
	return a
}

// Catalog is what rules may name.
func (u *Users) Catalog() *Catalog { return u.catalog }

// Default is the account that connections begin with.
func (u *Users) Default() *Account { return u.standard }

// SetOpenChannels is acl-pubsub-default: whether new users and selectors may use all channels.
func (u *Users) SetOpenChannels(on bool) { u.openChannels.Store(on) }

// Get finds an account; nil where there is none.
func (u *Users) Get(name string) *Account {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.byName[name]
}

// Names are the names of all accounts, sorted.
func (u *Users) Names() []string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.Sorted(maps.Keys(u.byName))
}

// Lines are all users as lines of a file, sorted by name.
func (u *Users) Lines() []string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	lines := make([]string, 0, len(u.byName))
	for _, name := range slices.Sorted(maps.Keys(u.byName)) {
		lines = append(lines, "user "+name+" "+u.byName[name].User().String())
	}
	return lines
}

// ConfigLines are Lines for a configuration file, where quotes have a meaning.
func (u *Users) ConfigLines() []string {
	lines := u.Lines()
	for i, line := range lines {
		words := strings.Split(line, " ")
		for j, w := range words {
			words[j] = quoteIfNeeded(w)
		}
		lines[i] = strings.Join(words, " ")
	}
	return lines
}

// Authenticate finds the account of somebody who knows its password, unless it is disabled; else nil.
func (u *Users) Authenticate(name, password []byte) *Account {
	u.mu.RLock()
	a := u.byName[string(name)]
	u.mu.RUnlock()
	if a == nil {
		u.nobody.accepts(password) // takes as long as for a user that there is
		return nil
	}
	if !a.User().accepts(password) {
		return nil
	}
	return a
}

// Change is what happened to an account: After is nil if it was removed.
type Change struct {
	Account       *Account
	Before, After *User
}

// ErrName refuses a name that would break the lines in which users are written.
var ErrName = errors.New("Usernames can't contain spaces or null characters")

// Set changes a user by rules, all or none, or makes one that is disabled and may do nothing and changes that. Words of
// one selector may come apart. The error is ErrName, a *RuleError or an *UnmatchedError.
func (u *Users) Set(name string, words []string) (Change, error) {
	if hasSpaces(name) {
		return Change{}, ErrName
	}
	list, err := mergeSelectors(words)
	if err != nil {
		return Change{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.rules()
	a := u.byName[name]
	var next *User
	if a == nil {
		next = r.newUser()
	} else {
		next = a.User().clone()
	}
	if err := r.applyAll(next, list); err != nil {
		return Change{}, err
	}
	next.seal()
	if a == nil {
		a = u.add(name, next)
		return Change{a, next, next}, nil
	}
	return Change{a, a.user.Swap(next), next}, nil
}

// SetPassword gives the default user one password, or none: requirepass. It returns what the user was before.
func (u *Users) SetPassword(password string) (before *User) {
	rule := "nopass"
	if password != "" {
		rule = ">" + password
	}
	change, _ := u.Set(Default, []string{"resetpass", rule}) // rules that are always right
	return change.Before
}

// Restore makes the default user what SetPassword has returned.
func (u *Users) Restore(before *User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.standard.user.Store(before)
}

// Define makes a user of a configuration file from nothing.
func (u *Users) Define(name string, words []string) error {
	_, err := u.Set(name, append([]string{"reset"}, words...))
	var rule *RuleError
	if errors.As(err, &rule) {
		return fmt.Errorf("Error loading ACL rule '%s' for the user named '%s': %w", rule.Rule, name, rule.Reason)
	}
	return err
}

// Delete removes an account; nil where there is none. Whoever still has it may do nothing any more.
func (u *Users) Delete(name string) *Account {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.byName[name]
	if a == nil || a == u.standard {
		return nil
	}
	delete(u.byName, name)
	u.remove(a)
	return a
}

func (u *Users) remove(a *Account) (before *User) {
	a.gone.Store(true)
	return a.user.Swap(rules{u.catalog, false}.newUser().seal())
}

// replace makes the given users all there are. The default user, if it is not among them, becomes as it was at first.
func (u *Users) replace(next map[string]*User) []Change {
	u.mu.Lock()
	defer u.mu.Unlock()
	if next[Default] == nil {
		next[Default] = u.superuser()
	}
	var changes []Change
	for name, a := range u.byName {
		user := next[name]
		if user == nil {
			delete(u.byName, name)
			changes = append(changes, Change{a, u.remove(a), nil})
			continue
		}
		changes = append(changes, Change{a, a.user.Swap(user), user})
	}
	for name, user := range next {
		if u.byName[name] == nil {
			u.add(name, user)
		}
	}
	return changes
}
