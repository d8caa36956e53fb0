package acl

import (
	"maps"
	"slices"
	"strings"
)

// Access is what is done with a key.
type Access uint8

// The kinds of access. A command that needs neither (EXISTS) is allowed on keys with any.
const (
	Read Access = 1 << iota
	Write
)

type keyPattern struct {
	pattern []byte
	access  Access
}

func (k keyPattern) String() string {
	switch {
	case k.access == Read:
		return "%R~" + string(k.pattern)
	case k.access == Write:
		return "%W~" + string(k.pattern)
	case string(k.pattern) == "*": // "~*" is allkeys, behind which no other pattern may stand
		return "%RW~*"
	}
	return "~" + string(k.pattern)
}

// selector is one set of permissions. It changes only while the user that has it is being made.
type selector struct {
	allKeys, allChannels bool
	allCommands          bool // no bit was ever taken away since +@all
	fromAll              bool // the rules count from +@all, not from -@all

	allowed   []uint64         // bit i: command i
	firstArgs map[int][]string // by command whose bit is not set: the first arguments with which it is allowed
	keys      []keyPattern
	channels  [][]byte
	rules     []string // "+get", "-@admin", ...: how allowed and firstArgs came about, lower case
}

func newSelector(c *Catalog, allChannels bool) *selector {
	return &selector{allChannels: allChannels, allowed: make([]uint64, c.words())}
}

func (s *selector) clone() *selector {
	n := *s
	n.allowed, n.rules = slices.Clone(s.allowed), slices.Clone(s.rules)
	n.keys, n.channels = slices.Clone(s.keys), slices.Clone(s.channels)
	n.firstArgs = maps.Clone(s.firstArgs)
	for i, args := range n.firstArgs {
		n.firstArgs[i] = slices.Clone(args)
	}
	return &n
}

// apply changes the selector by one rule; on an error nothing has changed.
func (s *selector) apply(c *Catalog, rule string) error {
	word, _, _ := strings.Cut(rule, "\x00") // where a C string ends; patterns with a NUL are refused below
	switch lower(word) {
	case "allkeys", "~*":
		s.allKeys, s.keys = true, nil
	case "resetkeys":
		s.allKeys, s.keys = false, nil
	case "allchannels", "&*":
		s.allChannels, s.channels = true, nil
	case "resetchannels":
		s.allChannels, s.channels = false, nil
	case "allcommands", "+@all":
		s.setAll(true)
	case "nocommands", "-@all":
		s.setAll(false)
	case "":
		return errSyntax
	default:
		switch rule[0] {
		case '~', '%':
			return s.addKeys(rule)
		case '&':
			return s.addChannel(rule[1:])
		case '+', '-':
			return s.applyCommand(c, lower(word))
		}
		return errSyntax
	}
	return nil
}

func (s *selector) setAll(allow bool) {
	for i := range s.allowed {
		s.allowed[i] = 0
		if allow {
			s.allowed[i] = ^uint64(0)
		}
	}
	s.allCommands, s.fromAll = allow, allow
	s.rules, s.firstArgs = nil, nil
}

// addKeys takes ~pattern, %R~pattern, %W~pattern or %RW~pattern.
func (s *selector) addKeys(rule string) error {
	if s.allKeys {
		return errAfterAllKeys
	}
	access, pattern := Read|Write, rule[1:]
	if rule[0] == '%' {
		access = 0
		for len(pattern) > 0 && pattern[0] != '~' {
			var a Access
			switch pattern[0] {
			case 'R', 'r':
				a = Read
			case 'W', 'w':
				a = Write
			}
			if a == 0 || access&a != 0 {
				return errSyntax
			}
			access, pattern = access|a, pattern[1:]
		}
		if access == 0 {
			return errSyntax
		}
		pattern = strings.TrimPrefix(pattern, "~")
	}
	if hasSpaces(pattern) {
		return errSyntax
	}
	for i := range s.keys {
		if string(s.keys[i].pattern) == pattern {
			s.keys[i].access |= access
			return nil
		}
	}
	s.keys = append(s.keys, keyPattern{[]byte(pattern), access})
	return nil
}

func (s *selector) addChannel(pattern string) error {
	if s.allChannels {
		return errAfterAllChannels
	}
	if hasSpaces(pattern) {
		return errSyntax
	}
	if !slices.ContainsFunc(s.channels, func(c []byte) bool { return string(c) == pattern }) {
		s.channels = append(s.channels, []byte(pattern))
	}
	return nil
}

// applyCommand takes +name, -name, +parent|name, +name|argument, +@category and -@category, in lower case.
func (s *selector) applyCommand(c *Catalog, rule string) error {
	allow, name := rule[0] == '+', rule[1:]
	if strings.HasPrefix(name, "@") {
		category := c.Category(name[1:])
		if category == 0 {
			return errUnknown
		}
		s.note(allow, name)
		for i := range c.commands {
			if c.commands[i].Categories&category != 0 {
				s.set(c, i, allow)
			}
		}
		return nil
	}
	if i, ok := c.find(name); ok {
		s.note(allow, name)
		s.set(c, i, allow)
		return nil
	}
	bar := strings.LastIndexByte(name, '|')
	if bar < 0 || !allow {
		return errUnknown
	}
	return s.allowFirstArg(c, name, bar)
}

// allowFirstArg takes name|argument, cut at bar: a command that is otherwise forbidden, with this first argument.
func (s *selector) allowFirstArg(c *Catalog, rule string, bar int) error {
	i, ok := c.find(rule[:bar])
	arg := rule[bar+1:]
	switch {
	case !ok:
		return errUnknown
	case c.commands[i].isSub:
		return errFirstArgOfSub
	case arg == "":
		return errSyntax
	case c.commands[i].subs != nil:
		return errUnknown
	case hasSpaces(arg): // the rule could not be written down again
		return errSyntax
	}
	if s.firstArgs == nil {
		s.firstArgs = make(map[int][]string)
	}
	if !slices.Contains(s.firstArgs[i], arg) {
		s.firstArgs[i] = append(s.firstArgs[i], arg)
	}
	s.note(true, rule)
	return nil
}

// set allows or forbids a command and its subcommands.
func (s *selector) set(c *Catalog, i int, allow bool) {
	s.setBit(i, allow)
	delete(s.firstArgs, i)
	for _, sub := range c.commands[i].subs {
		s.setBit(sub, allow)
	}
}

func (s *selector) setBit(i int, allow bool) {
	if allow {
		s.allowed[i/64] |= 1 << (i % 64)
		return
	}
	s.allowed[i/64] &^= 1 << (i % 64)
	s.allCommands = false
}

// note appends a command rule and drops those that it makes void.
func (s *selector) note(allow bool, name string) {
	s.rules = slices.DeleteFunc(s.rules, func(r string) bool {
		rest, ok := strings.CutPrefix(r[1:], name)
		return ok && (rest == "" || rest[0] == '|')
	})
	sign := "-"
	if allow {
		sign = "+"
	}
	s.rules = append(s.rules, sign+name)
}

// commandRules are the rules that lead to the same commands.
func (s *selector) commandRules() []string {
	if s.fromAll {
		return append([]string{"+@all"}, s.rules...)
	}
	return append([]string{"-@all"}, s.rules...)
}

func (s *selector) keyRules() []string {
	if s.allKeys {
		return []string{"~*"}
	}
	words := make([]string, len(s.keys))
	for i, k := range s.keys {
		words[i] = k.String()
	}
	return words
}

func (s *selector) channelRules() []string {
	if s.allChannels {
		return []string{"&*"}
	}
	words := make([]string, len(s.channels))
	for i, c := range s.channels {
		words[i] = "&" + string(c)
	}
	return words
}

// words are the selector as the rules that make it.
func (s *selector) words() []string {
	words := s.keyRules()
	if !s.allChannels {
		words = append(words, "resetchannels")
	}
	return slices.Concat(words, s.channelRules(), s.commandRules())
}

// enclosed is the selector as one rule of a user. Words that parseSelector and mergeSelectors would misread are quoted.
func (s *selector) enclosed() string {
	words := s.words()
	for i, w := range words {
		if strings.HasSuffix(w, ")") {
			words[i] = quote(w)
		} else {
			words[i] = quoteIfNeeded(w)
		}
	}
	return "(" + strings.Join(words, " ") + ")"
}

// quoteIfNeeded writes a word so that config.SplitArgs reads it back.
func quoteIfNeeded(w string) string {
	if w == "" || strings.ContainsAny(w, "\"'") {
		return quote(w)
	}
	return w
}

func quote(w string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"` }

// hasSpaces tells of white space and NUL, which would break the lines that users are written in.
func hasSpaces(s string) bool { return strings.ContainsAny(s, " \t\n\v\f\r\x00") }
