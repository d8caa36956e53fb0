// Package config holds the settings of a store under their redis.conf names: what CONFIG GET and CONFIG SET answer,
// what configuration files and command lines say, and the parsed form that the rest of the program reads.
//
// Every directive is one row in directives.go: name, older name, flags, default and kind. The kind parses and checks;
// everything else (reading, writing, files, flags, errors) is the same for all rows and derived from them.
//
// Values live in one immutable snapshot behind an atomic pointer. A change works on a copy: look up and check every
// name, parse every value, let the registered hooks accept the result, and only then publish the copy. So a change is
// seen whole or not at all, and readers never wait.
package config

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/internal/glob"
)

// Config is a set of settings. All methods may be called from several goroutines.
type Config struct {
	rows  []directive      // immutable
	index map[string]entry // immutable: lower-case names and aliases
	users []User           // guarded by mu

	current atomic.Pointer[snapshot]

	mu    sync.Mutex // one change at a time; guards what follows
	hooks []hook
	file  string // see File
}

// User is a "user" line of a configuration: the user's name and the rules that make it.
type User struct {
	Name  string
	Rules []string
}

// entry is a name by which a row can be reached. Redis treats a directive and its older name as two.
type entry struct {
	row   int
	alias bool
}

type snapshot struct {
	values   []value // one for each row
	settings *Settings
}

type hook struct {
	rows  []int
	apply func(*Settings) error
}

// Pair is a directive and its value.
type Pair struct{ Name, Value string }

// Origin says who asks for a change.
type Origin int

// What each may set: a client anything but immutable and protected directives, of which enable-protected-configs may
// open the latter to it; the program itself, its files and flags, everything.
const (
	Remote Origin = iota
	Loopback
	Program
)

// New returns the defaults.
func New() *Config {
	c := &Config{rows: directives(), index: map[string]entry{}}
	values := make([]value, len(c.rows))
	for i, row := range c.rows {
		c.index[row.name] = entry{row: i}
		if row.alias != "" {
			c.index[row.alias] = entry{row: i, alias: true}
		}
		v, err := row.kind.parse(row.defaults(), value{})
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", row.name, err))
		}
		values[i] = v
	}
	c.publish(values)
	return c
}

func (d directive) defaults() []string {
	args, err := SplitArgs(d.def)
	if err != nil {
		panic(fmt.Sprintf("config: default of %s: %v", d.name, err))
	}
	if len(args) == 0 {
		return []string{""}
	}
	return args
}

func (c *Config) publish(values []value) {
	c.current.Store(&snapshot{values: values, settings: c.settings(values)})
}

// Settings returns the present settings, parsed. The result never changes and may be kept.
func (c *Config) Settings() *Settings { return c.current.Load().settings }

// Users are the "user" lines that files and command line had, in their order.
func (c *Config) Users() []User {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.users)
}

// Value is the value of one directive as CONFIG GET answers it; ok is false if there is none of that name.
func (c *Config) Value(name string) (value string, ok bool) {
	e, ok := c.index[strings.ToLower(name)]
	if !ok {
		return "", false
	}
	return c.current.Load().values[e.row].text, true
}

// Get returns the directives that match at least one of the patterns, without case, each once. As in Redis a pattern
// without wildcards is a name and comes back as it was spelt, and hidden directives answer to their names only.
// O(patterns x directives).
func (c *Config) Get(patterns ...string) []Pair {
	values := c.current.Load().values
	var pairs []Pair
	seen := map[string]bool{}
	add := func(name string, row int) {
		if lower := strings.ToLower(name); !seen[lower] {
			seen[lower] = true
			pairs = append(pairs, Pair{name, values[row].text})
		}
	}
	for _, pattern := range patterns {
		if glob.IsLiteral(pattern) {
			if e, ok := c.index[strings.ToLower(pattern)]; ok {
				add(pattern, e.row)
			}
			continue
		}
		for i, row := range c.rows {
			if row.flags&hidden != 0 {
				continue
			}
			for _, name := range []string{row.name, row.alias} {
				if name != "" && glob.Match([]byte(pattern), []byte(name), true) {
					add(name, i)
				}
			}
		}
	}
	return pairs
}

// SetError is why a Set was refused. Its text is the whole error reply of CONFIG SET.
type SetError struct {
	Name   string // the directive
	Reason string // empty if there is no directive of that name
}

func (e *SetError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", e.Name)
	}
	return fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", e.Name, e.Reason)
}

// Set changes all the given directives or, with a *SetError, none. The first fault in the order of the pairs is the
// one reported, but faulty names come before faulty values, as in Redis.
func (c *Config) Set(from Origin, pairs ...Pair) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := c.checkNames(from, pairs)
	if err != nil {
		return err
	}
	old := c.current.Load()
	values := slices.Clone(old.values)
	for i, e := range entries {
		row := c.rows[e.row]
		if values[e.row], err = row.kind.parse(row.words(pairs[i].Value), values[e.row]); err != nil {
			return &SetError{c.nameOf(e), err.Error()}
		}
		if from != Program && row.flags&fixed != 0 && values[e.row].text != old.values[e.row].text {
			return errImmutable(pairs[i])
		}
	}
	return c.apply(entries, old, values)
}

// words cuts the one argument of CONFIG SET, for a directive that takes several, at every single space.
func (d directive) words(arg string) []string {
	switch {
	case d.flags&multiArg == 0:
		return []string{arg}
	case arg == "":
		return nil
	}
	return strings.Split(arg, " ")
}

// checkNames looks up every name and refuses those that may not be set.
func (c *Config) checkNames(from Origin, pairs []Pair) ([]entry, error) {
	entries := make([]entry, len(pairs))
	for i, p := range pairs {
		e, ok := c.index[strings.ToLower(p.Name)]
		switch flags := c.rows[e.row].flags; {
		case !ok:
			return nil, &SetError{Name: p.Name}
		case from != Program && flags&immutable != 0:
			return nil, errImmutable(p)
		case from != Program && flags&protected != 0 && !c.Settings().EnableProtectedConfigs.To(from == Loopback):
			return nil, &SetError{p.Name, "can't set protected config"}
		case slices.Contains(entries[:i], e):
			return nil, &SetError{p.Name, "duplicate parameter"}
		}
		entries[i] = e
	}
	return entries, nil
}

func errImmutable(p Pair) error { return &SetError{p.Name, "can't set immutable config"} }

// nameOf is the name that entry stands for, in the table's spelling.
func (c *Config) nameOf(e entry) string {
	if e.alias {
		return c.rows[e.row].alias
	}
	return c.rows[e.row].name
}

// apply asks the hooks of what has changed, in the order of the entries, and publishes. If one refuses, those before
// it are called again with the settings that stay.
func (c *Config) apply(entries []entry, old *snapshot, values []value) error {
	next := c.settings(values)
	var called []hook
	for _, e := range entries {
		if values[e.row].text == old.values[e.row].text && c.rows[e.row].flags&volatile == 0 {
			continue
		}
		for _, h := range c.hooks {
			if !slices.Contains(h.rows, e.row) || slices.ContainsFunc(called, h.same) {
				continue
			}
			called = append(called, h)
			if err := h.apply(next); err != nil {
				for _, undo := range called[:len(called)-1] {
					_ = undo.apply(old.settings) // it has accepted them before
				}
				return &SetError{c.nameOf(e), err.Error()}
			}
		}
	}
	c.current.Store(&snapshot{values: values, settings: next})
	return nil
}

// same tells hooks apart by their list of rows, which each OnChange makes anew.
func (h hook) same(other hook) bool { return &h.rows[0] == &other.rows[0] }

// OnChange has apply called, once for each Set that changes at least one of the named directives, with the settings
// about to be published. An error refuses the whole Set, and its text becomes the end of CONFIG SET's error. After
// another hook's refusal apply is called again with the old settings. It must not call Set. Names are the directives'
// own; an unknown one is a programmer's mistake and panics.
func (c *Config) OnChange(apply func(*Settings) error, names ...string) {
	rows := make([]int, len(names))
	for i, name := range names {
		e, ok := c.index[name]
		if !ok {
			panic("config: OnChange of unknown directive " + name)
		}
		rows[i] = e.row
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, hook{rows, apply})
}

// Known reports whether there is a directive of that name.
func (c *Config) Known(name string) bool {
	_, ok := c.index[strings.ToLower(name)]
	return ok
}

// Sensitive reports whether the directive's value must be kept out of logs, slow log and MONITOR.
func (c *Config) Sensitive(name string) bool { return c.has(name, sensitive) }

// Inert reports whether the directive is taken for compatibility only and steers nothing in Larder.
func (c *Config) Inert(name string) bool { return c.has(name, inert) }

func (c *Config) has(name string, f flags) bool {
	e, ok := c.index[strings.ToLower(name)]
	return ok && c.rows[e.row].flags&f != 0
}

// Changed lists the directives whose value is not the default, in the table's order.
func (c *Config) Changed() []Pair {
	defaults := New().current.Load().values
	var changed []Pair
	for i, v := range c.current.Load().values {
		if v.text != defaults[i].text {
			changed = append(changed, Pair{c.rows[i].name, v.text})
		}
	}
	return changed
}
