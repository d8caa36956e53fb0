package difftest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Systematic calls every command of the grammar with every number of arguments up to seven, on a missing key and on one
// of every type, the other arguments being a word, a number or the key itself: the order in which a command looks at
// its arguments, its key and the key's type shows in which error comes first.
func Systematic(t *testing.T, oracle, target Dialer) {
	for proto := 2; proto <= 3; proto++ {
		t.Run(fmt.Sprintf("resp%d", proto), func(t *testing.T) {
			a := &arena{oracle: oracle, target: target, proto: proto}
			if err := a.reset(t); err != nil {
				t.Fatal(err)
			}
			defer a.close()
			s, err := a.session(t, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range commandNames() {
				if err := s.everyShape(t, name); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// commandNames are all of the grammar, and those that no sequence can use.
func commandNames() []string {
	names := []string{
		"PING", "ECHO", "TIME", "SELECT", "SWAPDB", "CLIENT GETNAME", "CLIENT SETNAME", "CLIENT ID", "CLIENT NO-EVICT", "CONFIG GET",
		"COMMAND COUNT", "DEBUG SLEEP", "FLUSHALL", "PUBLISH", "PUBSUB NUMSUB", "PUBSUB CHANNELS", "WATCH", "UNWATCH", "EXEC", "DISCARD",
	}
	for _, f := range families() {
		for _, p := range f.productions {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// everyShape gives an error only when the connection is of no more use.
func (s *session) everyShape(t *testing.T, name string) error {
	const mostArguments = 7
	for _, kind := range []string{"none", "string", "integer", "hash", "list", "set", "zset"} {
		for _, filler := range []string{"x", "1", "key"} {
			for n := range mostArguments + 1 {
				args := strings.Fields(name)
				for i := range n {
					args = append(args, filler)
					if i == 0 {
						args[len(args)-1] = "key"
					}
				}
				if unanswerable(args) || s.skips(args) {
					continue
				}
				if err := s.pipeline(holding(kind)); err != nil {
					return err
				}
				err := s.step(args)
				if _, differs := errors.AsType[*Difference](err); differs {
					t.Errorf("key holds %s: %v", kind, err)
				} else if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// skips leaves out what would take long or change the session.
func (s *session) skips(args []string) bool {
	switch commandName(args) {
	case "DEBUG SLEEP":
		return len(args) == 3 && args[2] == "1"
	case "EXEC", "DISCARD":
		return s.multi
	}
	return false
}

// holding makes key hold something of a kind, and nothing else exist.
func holding(kind string) [][]string {
	commands := [][]string{{"SELECT", "0"}, {"FLUSHALL"}}
	switch kind {
	case "string":
		commands = append(commands, []string{"SET", "key", "text"})
	case "integer":
		commands = append(commands, []string{"SET", "key", "41"})
	case "hash":
		commands = append(commands, []string{"HSET", "key", "x", "1", "1", "x"})
	case "list":
		commands = append(commands, []string{"RPUSH", "key", "x", "1", "key", "x"})
	case "set":
		commands = append(commands, []string{"SADD", "key", "x", "1", "key"})
	case "zset":
		commands = append(commands, []string{"ZADD", "key", "1", "x", "2", "1", "3", "key"})
	}
	return commands
}
