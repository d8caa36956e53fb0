package difftest

import (
	"fmt"
	"strconv"
	"strings"
)

// quoteCommand writes a command as redis-cli reads it, long repetitions folded as the scripts write them.
func quoteCommand(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = quoteWord(arg)
	}
	return strings.Join(words, " ")
}

func quoteWord(s string) string {
	const foldFrom = 12 // bytes of the same character
	if len(s) >= foldFrom && s[0] > ' ' && s[0] < 0x7f && s[0] != '"' && strings.Count(s, s[:1]) == len(s) {
		return fmt.Sprintf("{%s*%d}", s[:1], len(s))
	}
	plain := s != "" && s[0] != '\'' && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' || r == '{' || r == '#'
	}) < 0
	if plain && !strings.Contains(s, "=>") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// splitWords reads a script line: words apart by blanks, "double" quotes with Go's escapes, 'single' quotes raw.
// A quoted word may stand next to plain text, as in a shell.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		var word strings.Builder
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			switch line[0] {
			case '"':
				quoted, err := strconv.QuotedPrefix(line)
				if err != nil {
					return nil, fmt.Errorf("unbalanced quotes at %s", line)
				}
				text, err := strconv.Unquote(quoted)
				if err != nil {
					return nil, err
				}
				word.WriteString(text)
				line = line[len(quoted):]
			case '\'':
				end := strings.IndexByte(line[1:], '\'')
				if end < 0 {
					return nil, fmt.Errorf("unbalanced quotes at %s", line)
				}
				word.WriteString(line[1 : 1+end])
				line = line[end+2:]
			case '{':
				text, length := unfold(line)
				word.WriteString(text)
				line = line[length:]
			default:
				word.WriteByte(line[0])
				line = line[1:]
			}
		}
		words = append(words, word.String())
	}
}

// unfold reads {x*100} at the start of s: a hundred times x, which may be any text without * and }. Anything else
// that begins with a brace stands for itself.
func unfold(s string) (text string, length int) {
	end := strings.IndexByte(s, '}')
	star := strings.IndexByte(s, '*')
	if end < 0 || star < 0 || star > end {
		return "{", 1
	}
	n, err := strconv.Atoi(s[star+1 : end])
	const most = 1 << 26 // bytes
	if err != nil || n < 0 || n*star > most {
		return "{", 1
	}
	return strings.Repeat(s[1:star], n), end + 1
}
