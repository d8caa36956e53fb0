package acl

import (
	"errors"
	"fmt"
	"strings"
)

const errUnchanged = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"

// Load replaces all users by those of a file's text, a line "user name rule..." each. If anything is wrong with it
// nothing changes, and the error, one line, lists all that is wrong; name is the file's, for that. Blank lines are
// allowed; comments are not, since saving would lose them.
func (u *Users) Load(name, text string) ([]Change, error) {
	f := fileReader{rules: u.rules(), name: name, users: make(map[string]*User)}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "\x00")
		if line = strings.Trim(line, " \t\r\n"); line != "" {
			f.line(i+1, strings.Split(line, " "))
		}
	}
	if f.faults.Len() != 0 {
		return nil, errors.New(f.faults.String() + errUnchanged)
	}
	return u.replace(f.users), nil
}

type fileReader struct {
	rules
	name   string
	users  map[string]*User
	faults strings.Builder
}

func (f *fileReader) fault(format string, args ...any) { fmt.Fprintf(&f.faults, format, args...) }

// line reads the words of one line.
func (f *fileReader) line(n int, words []string) {
	if words[0] != "user" || len(words) < 2 {
		f.fault("%s:%d should start with user keyword followed by the username. ", f.name, n)
		return
	}
	user := words[1]
	if hasSpaces(user) {
		f.fault("'%s:%d: username '%s' contains invalid characters. ", f.name, n, user)
		return
	}
	if f.users[user] != nil {
		f.fault("WARNING: Duplicate user '%s' found on line %d. ", user, n)
		return
	}
	made := f.newUser()
	f.users[user] = made
	list, err := mergeSelectors(words[2:])
	if err != nil {
		f.fault("%s:%d: Unmatched parenthesis in selector definition.", f.name, n)
	}
	told := false
	for _, rule := range list {
		rule = strings.Trim(rule, "\t\r\n")
		switch err := f.apply(made, rule); {
		case errors.Is(err, errUnknown): // no secret in there
			f.fault("%s:%d: Error in applying operation '%s': %s. ", f.name, n, rule, err)
		case err != nil && !told: // later ones may only follow from this one
			f.fault("%s:%d: %s. ", f.name, n, err)
			told = true
		}
	}
	made.seal()
}
