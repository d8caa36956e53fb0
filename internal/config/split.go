package config

import (
	"errors"
	"strings"
)

var errUnbalanced = errors.New("Unbalanced quotes in configuration line")

// SplitArgs cuts a line into arguments as redis.conf and redis-cli do: at white space, except within quotes. Between
// double quotes \n \r \t \b \a and \xHH stand for bytes and any other escaped character for itself; between single
// quotes only \' does. A closing quote must be followed by white space or the end, otherwise the line is refused.
func SplitArgs(line string) ([]string, error) {
	var args []string
	for {
		line = strings.TrimLeft(line, spaces)
		if line == "" {
			return args, nil
		}
		arg, rest, err := nextArg(line)
		if err != nil {
			return nil, err
		}
		args, line = append(args, arg), rest
	}
}

const spaces = " \t\n\v\f\r"

// nextArg reads one argument at the start of s. An opening quote may come in the middle of one.
func nextArg(s string) (arg, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\n', '\r', '\t', 0:
			return b.String(), s[i+1:], nil
		case '"', '\'':
			n := quoted(&b, s[i+1:], c)
			if n < 0 {
				return "", "", errUnbalanced
			}
			rest = s[i+1+n:]
			if rest != "" && strings.IndexByte(spaces, rest[0]) < 0 {
				return "", "", errUnbalanced
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", nil
}

// quoted appends the text up to the closing quote and returns how many bytes it read, that quote included; -1 if there
// is none.
func quoted(b *strings.Builder, s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i + 1
		case s[i] == '\\' && quote == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			b.WriteByte('\'')
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i += unescape(b, s[i+1:])
		default:
			b.WriteByte(s[i])
		}
	}
	return -1
}

// unescape appends the byte that s, which follows a backslash, stands for and returns how much of s it used.
func unescape(b *strings.Builder, s string) int {
	if s[0] == 'x' && len(s) >= 3 {
		high, low := hexDigit(s[1]), hexDigit(s[2])
		if high >= 0 && low >= 0 {
			b.WriteByte(byte(high<<4 | low))
			return 3
		}
	}
	if i := strings.IndexByte("nrtba", s[0]); i >= 0 {
		b.WriteByte("\n\r\t\b\a"[i])
	} else {
		b.WriteByte(s[0])
	}
	return 1
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
