package kvstore

import "github.com/larderdb/larder/store"

// appendCommands adds commands as JSON, with commas between.
func appendCommands(b []byte, cmds []store.Cmd) []byte {
	for i, c := range cmds {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCommand(b, c)
	}
	return b
}

func appendCommand(b []byte, c store.Cmd) []byte {
	b = append(b, '[')
	for k, w := range c {
		if k > 0 {
			b = append(b, ',')
		}
		b = appendText(b, w)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendText adds a word as a JSON string, with bytes that are no ASCII as they are.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(append(b, s[from:i]...), '\\')
		if from = i + 1; c < ' ' {
			b = append(b, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return append(append(b, s[from:]...), '"')
}

// textLen is how long appendText makes a word, with a comma.
func textLen(s string) int {
	n := len(s) + 3
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			n += 5
		case c == '"', c == '\\':
			n++
		}
	}
	return n
}
