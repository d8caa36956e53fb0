package resp

import "bytes"

// inline parses one line of words that begins at buf[0] and returns its length, or 0 when it is not all there.
func (p *Parser) inline(buf []byte, b *Batch) (int, error) {
	end := bytes.IndexByte(buf[p.scanned:], '\n')
	if end < 0 {
		p.scanned = len(buf)
		if p.scanned > maxLine {
			return 0, ErrInlineLine
		}
		return 0, nil
	}
	end += p.scanned
	p.scanned = 0
	if end > maxLine {
		return 0, ErrInlineLine
	}
	line := bytes.TrimSuffix(buf[:end], []byte{'\r'})
	first := len(b.args)
	args, ok := AppendWords(b.args, line)
	if !ok {
		return 0, ErrQuotes
	}
	b.args = args
	if cmd := args[first:len(args):len(args)]; len(cmd) > 0 {
		if isHTTP(cmd[0]) {
			return 0, ErrHTTP
		}
		b.Cmds = append(b.Cmds, cmd)
	}
	return end + 1, nil
}

// isHTTP recognizes the two words by which an HTTP request that was smuggled to this port would be read as commands.
func isHTTP(word []byte) bool {
	switch len(word) {
	case 4:
		return word[3]|0x20 == 't' && bytes.EqualFold(word, []byte("post"))
	case 5:
		return word[4] == ':' && bytes.EqualFold(word, []byte("host:"))
	}
	return false
}

// AppendWords splits a line into words as redis-cli, inline commands and redis.conf do, and appends them to words. Words
// stand between white space. "..." quotes with the escapes \n \r \t \b \a \xhh and \ before anything else; '...' quotes
// with \' alone. A quote may begin inside a word but must end one. It reports false for quotes that are not closed or
// that something follows. A NUL byte ends the line. Words without quotes are slices of line, others are copies.
func AppendWords(words [][]byte, line []byte) ([][]byte, bool) {
	if nul := bytes.IndexByte(line, 0); nul >= 0 {
		line = line[:nul]
	}
	for {
		for len(line) > 0 && isSpace(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return words, true
		}
		n := bytes.IndexAny(line, " \n\r\t\"'")
		if n < 0 {
			n = len(line)
		}
		word := line[:n:n]
		line = line[n:]
		if len(line) > 0 && !isSpace(line[0]) {
			var ok bool
			if word, line, ok = quotedWord(bytes.Clone(word), line); !ok {
				return words, false
			}
		}
		words = append(words, word)
	}
}

// quotedWord reads on, from a quote, to the end of the word and returns the word and what follows it.
func quotedWord(word, line []byte) (_, rest []byte, ok bool) {
	unquote := unquoteSingle
	if line[0] == '"' {
		unquote = unquoteDouble
	}
	word, rest, ok = unquote(word, line[1:])
	if !ok || len(rest) > 0 && !isSpace(rest[0]) {
		return nil, nil, false
	}
	return word, rest, true
}

// unquoteDouble appends what stands before the closing quote and returns what stands behind it.
func unquoteDouble(word, line []byte) (_, rest []byte, ok bool) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return word, line[i+1:], true
		case c == '\\' && i+3 < len(line) && line[i+1] == 'x' && hex(line[i+2]) >= 0 && hex(line[i+3]) >= 0:
			word = append(word, byte(hex(line[i+2])<<4|hex(line[i+3])))
			i += 3
		case c == '\\' && i+1 < len(line):
			i++
			word = append(word, unescape(line[i]))
		default:
			word = append(word, c)
		}
	}
	return nil, nil, false
}

func unquoteSingle(word, line []byte) (_, rest []byte, ok bool) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			return word, line[i+1:], true
		case c == '\\' && i+1 < len(line) && line[i+1] == '\'':
			i++
			word = append(word, '\'')
		default:
			word = append(word, c)
		}
	}
	return nil, nil, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// hex is the value of a hexadecimal digit, or -1.
func hex(c byte) int {
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
