package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A configuration is read like redis-server reads one: the file, then standard input, then the command line, each line
// a directive, the last one winning. Nothing takes effect before all of it has been read without a fault.

const (
	maxIncludes = 16       // depth of files that include files
	maxFileSize = 16 << 20 // bytes
)

// LoadError is a line that cannot be accepted. Its text has Redis's form, over three lines.
type LoadError struct {
	File   string // empty for the command line
	Line   int    // from 1
	Text   string // the line, without the value of a directive that must be kept secret
	Reason string
	cause  error
}

func (e *LoadError) Unwrap() error { return e.cause }

func (e *LoadError) Error() string {
	where := fmt.Sprintf("Reading the configuration file %s, at line %d", e.File, e.Line)
	if e.File == "" {
		where = "Reading the command line"
	}
	return fmt.Sprintf("%s\n>>> '%s'\n%s", where, e.Text, e.Reason)
}

// LoadFile reads a redis.conf. A file that cannot be read is an ordinary error, a line that cannot be accepted a
// *LoadError; in both cases nothing has changed.
func (c *Config) LoadFile(path string) error {
	return c.load(func(l *loader) error { return l.readMain(path) })
}

// LoadArgs reads a command line as redis-server takes it, without the program's name:
//
//	[/path/to/redis.conf] [-] [--name value...]...
//
// "-" reads directives from stdin as well. --name=value is understood too. Errors as in LoadFile.
func (c *Config) LoadArgs(args []string, stdin io.Reader) error {
	return c.load(func(l *loader) error {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			if err := l.readMain(args[0]); err != nil {
				return err
			}
			args = args[1:]
		}
		if len(args) > 0 && args[0] == "-" || len(args) > 1 && args[len(args)-1] == "-" {
			if err := l.read(stdin, "standard input", 0); err != nil {
				return err
			}
			args = slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "-" })
		}
		return l.commandLine(args)
	})
}

func (c *Config) load(read func(*loader) error) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current.Load()
	l := loader{config: c, values: slices.Clone(old.values), users: slices.Clone(c.users)}
	defer func() {
		if err == nil {
			c.users = l.users
		}
	}()
	if err := read(&l); err != nil {
		return err
	}
	if err := c.apply(l.entries, old, l.values); err != nil {
		return err
	}
	if c.file == "" {
		c.file = l.file
	}
	return nil
}

// loader collects what the sources say.
type loader struct {
	config  *Config
	values  []value
	users   []User
	entries []entry // every row that was set
	saved   bool    // "save" has been seen: further ones add to it
	file    string  // the one that was named, absolute
}

// readMain reads the file that CONFIG REWRITE is to write.
func (l *loader) readMain(path string) (err error) {
	if l.file, err = filepath.Abs(path); err != nil {
		return err
	}
	return l.readFile(path, 0)
}

func (l *loader) readFile(path string, depth int) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("can't open config file '%s': %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	return l.read(f, path, depth)
}

func (l *loader) read(r io.Reader, name string, depth int) error {
	content, err := io.ReadAll(io.LimitReader(r, maxFileSize+1))
	if err != nil {
		return fmt.Errorf("can't read config file '%s': %w", name, err)
	}
	if len(content) > maxFileSize {
		return fmt.Errorf("config file '%s' is longer than %d bytes", name, maxFileSize)
	}
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.Trim(line, spaces)
		if line == "" || line[0] == '#' {
			continue
		}
		args, err := SplitArgs(line)
		if err == nil {
			err = l.directive(args, depth)
		}
		if err != nil {
			return l.explain(err, LoadError{File: name, Line: i + 1, Text: line})
		}
	}
	return nil
}

// explain says where err happened, unless an included file has said so already.
func (l *loader) explain(err error, at LoadError) error {
	var inner *LoadError
	if errors.As(err, &inner) {
		return err
	}
	name, _, _ := strings.Cut(at.Text, " ")
	if l.config.Sensitive(name) || strings.EqualFold(name, "user") {
		at.Text = name + " ***"
	}
	at.Reason, at.cause = err.Error(), err
	return &at
}

// directive takes one line's words, the first of which is the name.
func (l *loader) directive(words []string, depth int) error {
	if len(words) == 0 {
		return nil
	}
	name, args := strings.ToLower(words[0]), words[1:]
	if e, ok := l.config.index[name]; ok {
		return l.set(e, args)
	}
	switch {
	case name == "include" && len(args) == 1:
		return l.include(args[0], depth)
	case isRetired(name) && len(args) == 1:
		return nil
	case name == "sentinel" && len(args) > 0:
		return errors.New("sentinel directive while not in sentinel mode")
	case name == "user" && len(args) > 0:
		return l.user(args[0], args[1:])
	case name == "loadmodule" || name == "rename-command":
		return fmt.Errorf("Larder does not support '%s'", name)
	}
	return errors.New("Bad directive or wrong number of arguments")
}

// user takes a user and its rules, which whoever knows the commands will check.
func (l *loader) user(name string, rules []string) error {
	if slices.ContainsFunc(l.users, func(u User) bool { return u.Name == name }) {
		return fmt.Errorf("Error in user declaration '%s': Duplicate user found. A user can only be defined once in config files", name)
	}
	l.users = append(l.users, User{name, rules})
	return nil
}

// isRetired names directives that Redis still reads and ignores.
func isRetired(name string) bool {
	return name == "list-max-ziplist-entries" || name == "list-max-ziplist-value" || name == "lua-replicate-commands"
}

func (l *loader) set(e entry, args []string) (err error) {
	row := l.config.rows[e.row]
	several := row.flags&multiArg != 0
	if !several && len(args) != 1 {
		return errors.New("wrong number of arguments")
	}
	if several && len(args) == 1 && args[0] != "" {
		if args, err = SplitArgs(args[0]); err != nil {
			return err
		}
	}
	v, err := row.kind.parse(args, l.values[e.row])
	if err != nil {
		return err
	}
	if row.name == "save" {
		v = l.addSavePoints(v, l.values[e.row])
	}
	l.values[e.row] = v
	l.entries = append(l.entries, e)
	return nil
}

// addSavePoints lets the lines of a file add up, the first of them replacing the default and an empty one everything.
func (l *loader) addSavePoints(v, old value) value {
	more, _ := v.data.([]SavePoint)
	before, _ := old.data.([]SavePoint)
	if l.saved && len(more) > 0 {
		v = savePointsValue(slices.Concat(before, more))
	}
	l.saved = true
	return v
}

// include reads another file, or all files that a pattern matches, which may be none.
func (l *loader) include(path string, depth int) error {
	if depth == maxIncludes {
		return fmt.Errorf("more than %d levels of include", maxIncludes)
	}
	if !strings.ContainsAny(path, "*?[") {
		return l.readFile(path, depth+1)
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return fmt.Errorf("include '%s': %w", path, err)
	}
	for _, match := range matches {
		if err := l.readFile(match, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// commandLine takes --name value... Words that begin with two dashes start a directive, except right after a name
// that still wants a value.
func (l *loader) commandLine(args []string) error {
	for len(args) > 0 {
		words := l.optionWords(args[0])
		if words == nil {
			return &LoadError{Text: args[0], Reason: "options are written --name value"}
		}
		rest := args[1:]
		for len(rest) > 0 && (len(words) == 1 || !strings.HasPrefix(rest[0], "--")) {
			if len(words) == 1 && isEmptySave(words[0], rest[0]) {
				break
			}
			words, rest = append(words, rest[0]), rest[1:]
		}
		if len(words) == 1 && strings.EqualFold(words[0], "save") {
			words = append(words, "")
		}
		if err := l.directive(words, 0); err != nil {
			return l.explain(err, LoadError{Text: strings.Join(words, " ")})
		}
		args = rest
	}
	return nil
}

// isEmptySave: "--save --next ..." means no save points, which a script with an empty list writes.
func isEmptySave(name, next string) bool {
	return strings.EqualFold(name, "save") && strings.HasPrefix(next, "--")
}

// optionWords cuts --name, --name=value or "--name value" into words; nil if it is none of them.
func (l *loader) optionWords(option string) []string {
	rest, ok := strings.CutPrefix(option, "--")
	if !ok {
		return nil
	}
	if name, value, ok := strings.Cut(rest, "="); ok && l.config.Known(name) {
		return []string{name, value}
	}
	words, err := SplitArgs(rest)
	if err != nil || len(words) == 0 {
		return nil
	}
	return words
}
