package command

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// syntaxText says what arguments commands take; its head explains how. It is for people who type commands (redis-cli's
// hints come from it), not for the parsing of commands, so it is read when somebody asks for the first time.
//
//go:embed syntax.txt
var syntaxText string

// argument is an argument of a command as COMMAND DOCS describes it.
type argument struct {
	name, kind, token, display string
	keySpec                    int // -1: none
	since, deprecated          string
	tokened                    bool // there is a token, which may be empty
	optional, several, tokens  bool // tokens: the token is repeated too
	parts                      []argument
}

// syntaxes are the arguments of each command, by full name.
type syntaxes struct {
	once sync.Once
	of   map[string][]argument
}

func (s *syntaxes) arguments(full string) []argument {
	s.once.Do(func() {
		s.of = make(map[string][]argument)
		for line := range strings.Lines(syntaxText) {
			name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if name != "" && name[0] != '#' {
				r := syntaxReader{rest: rest}
				s.of[name] = r.list(0)
			}
		}
	})
	return s.of[full]
}

// syntaxReader reads a line of syntax.txt.
type syntaxReader struct{ rest string }

// list reads arguments up to the closing bracket, which it takes; 0 is the end of the line.
func (r *syntaxReader) list(closing byte) (list []argument) {
	for {
		r.rest = strings.TrimLeft(r.rest, " |")
		if r.rest == "" {
			return list
		}
		if r.rest[0] == closing {
			r.rest = r.rest[1:]
			return list
		}
		list = append(list, r.argument())
	}
}

func (r *syntaxReader) argument() argument {
	if r.skip("[") {
		a := r.argument()
		a.optional = true
		r.skip("]")
		return a
	}
	a := argument{keySpec: -1, kind: "string"}
	word := r.word()
	if word == strings.ToUpper(word) {
		a.token, a.tokened = word, true
		switch next := strings.TrimPrefix(r.rest, " "); {
		case next == r.rest, next[0] == '|', next[0] == '[':
			a.kind, word = "pure-token", strings.ToLower(word)
		default:
			r.rest = next
			word = r.word()
		}
	}
	a.name = word
	r.details(&a)
	return a
}

// details reads what follows an argument's name.
func (r *syntaxReader) details(a *argument) {
	for {
		switch {
		case r.skip(":"):
			kind := r.word()
			a.kind = map[string]string{"int": "integer", "time": "unix-time"}[kind]
			if n, ok := strings.CutPrefix(kind, "key"); ok {
				a.kind = "key"
				a.keySpec, _ = strconv.Atoi(n)
			} else if a.kind == "" {
				a.kind = kind
			}
		case r.skip("#"):
			a.keySpec, _ = strconv.Atoi(r.word())
		case r.skip("="):
			a.kind, a.token, a.tokened = "pure-token", strings.Trim(r.token(), `"`), true
		case r.skip("("):
			a.kind, a.parts = "oneof", r.list(')')
		case r.skip("{"):
			a.kind, a.parts = "block", r.list('}')
		case r.skip("...*"):
			a.several, a.tokens = true, true
		case r.skip("..."):
			a.several = true
		case r.skip("~"):
			a.display = r.text()
		case r.skip("@-"):
			a.deprecated = r.text()
		case r.skip("@"):
			a.since = r.text()
		default:
			return
		}
	}
}

func (r *syntaxReader) skip(s string) (found bool) {
	r.rest, found = strings.CutPrefix(r.rest, s)
	return found
}

// word reads a name or a token.
func (r *syntaxReader) word() string { return r.until(" :#=(){}[]|~@.") }

// token reads a pure token, which may be punctuation.
func (r *syntaxReader) token() string { return r.until(" (){}[]|@.") }

// text reads a version or a text to show, which may have dots, but not three.
func (r *syntaxReader) text() string {
	s := r.until(" (){}[]|@")
	if i := strings.Index(s, "..."); i >= 0 {
		s, r.rest = s[:i], s[i:]+r.rest
	}
	return s
}

func (r *syntaxReader) until(end string) string {
	i := strings.IndexAny(r.rest, end)
	if i < 0 {
		i = len(r.rest)
	}
	word := r.rest[:i]
	r.rest = r.rest[i:]
	return word
}

// replyArguments is the value of COMMAND DOCS' field arguments.
func (c *Ctx) replyArguments(list []argument) {
	c.Out.Array(len(list))
	for _, a := range list {
		facts := [][2]string{{"name", a.name}, {"type", a.kind}}
		if a.parts == nil {
			if a.display == "" {
				a.display = a.name
			}
			facts = append(facts, [2]string{"display_text", a.display})
		}
		more := [][2]string{{"since", a.since}, {"deprecated_since", a.deprecated}}
		var flags []string
		for _, f := range []struct {
			set  bool
			name string
		}{{a.optional, "optional"}, {a.several, "multiple"}, {a.tokens, "multiple_token"}} {
			if f.set {
				flags = append(flags, f.name)
			}
		}
		c.replyArgument(&a, facts, more, flags)
	}
}

func (c *Ctx) replyArgument(a *argument, facts, more [][2]string, flags []string) {
	n := len(facts)
	for _, f := range more {
		if f[1] != "" {
			n++
		}
	}
	for _, there := range []bool{a.keySpec >= 0, a.tokened, flags != nil, a.parts != nil} {
		if there {
			n++
		}
	}
	c.Out.Map(n)
	c.bulks(facts)
	if a.keySpec >= 0 {
		c.Out.BulkString("key_spec_index")
		c.Out.Int(int64(a.keySpec))
	}
	if a.tokened {
		c.Out.BulkString("token")
		c.Out.BulkString(a.token)
	}
	c.bulks(more)
	if flags != nil {
		c.Out.BulkString("flags")
		c.Out.Set(len(flags))
		for _, f := range flags {
			c.Out.Simple(f)
		}
	}
	if a.parts != nil {
		c.Out.BulkString("arguments")
		c.replyArguments(a.parts)
	}
}

// bulks replies pairs, but for those without a value.
func (c *Ctx) bulks(pairs [][2]string) {
	for _, p := range pairs {
		if p[1] != "" {
			c.Out.BulkString(p[0])
			c.Out.BulkString(p[1])
		}
	}
}
