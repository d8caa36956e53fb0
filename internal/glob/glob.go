// Package glob matches byte strings against the patterns of KEYS, SCAN, PSUBSCRIBE and CONFIG GET.
//
//   - any run of bytes, also an empty one
//     ?        any one byte
//     [abc]    one of these bytes; [a-z] a range (either end first); [^a] none of them
//     \x       the byte x itself
//
// Corners are decided as Redis decides them, because clients can see them: a class that never closes extends to the
// end of the pattern, "[]" matches nothing, a lone backslash at the end is a backslash, ranges compare bytes as signed
// (as Redis does on x86), an escaped byte in a class is never folded, and the empty string is matched by the empty
// pattern only, not even by "*".
//
// The algorithm keeps only the last star. When the text after it fails, the star takes one byte more and the pattern
// resumes right after it; an earlier star never has to grow, since the last one could reach every later position
// anyway. So the cost is O(len(pattern) * len(s)) at worst and no pattern, however hostile, is exponential. Redis
// recurses at each star and gives up at the 1001st; what would have to pass that many is no match here, either.
package glob

// maxStars is how many stars, not counting neighbours, are heeded.
const maxStars = 1000

// Match reports whether all of s matches pattern. With fold, ASCII letters match in either case. It keeps neither slice
// and allocates nothing.
func Match(pattern, s []byte, fold bool) bool {
	if len(s) == 0 {
		return len(pattern) == 0
	}
	p, i := 0, 0
	stars := 0
	star, resume := -1, 0 // the pattern after the last star; the byte of s where its text begins
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p = skipStars(pattern, p)
			if p == len(pattern) {
				return true
			}
			if stars++; stars > maxStars {
				return false
			}
			star, resume = p, i
			continue
		}
		if p < len(pattern) {
			if next, ok := matchOne(pattern, p, s[i], fold); ok {
				p, i = next, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		resume++
		p, i = star, resume
	}
	return skipStars(pattern, p) == len(pattern)
}

// IsLiteral reports whether pattern has no character that CONFIG GET and others take for a sign of a pattern.
func IsLiteral(pattern string) bool {
	for i := range len(pattern) {
		switch pattern[i] {
		case '*', '?', '[':
			return false
		}
	}
	return true
}

func skipStars(pattern []byte, p int) int {
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p
}

// matchOne matches c against the single element (not a star) at p and returns where the next element begins.
func matchOne(pattern []byte, p int, c byte, fold bool) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchClass(pattern, p+1, c, fold)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, same(pattern[p], c, fold)
}

// matchClass matches c against the class whose first byte after the bracket is at p.
func matchClass(pattern []byte, p int, c byte, fold bool) (next int, ok bool) {
	negated := p < len(pattern) && pattern[p] == '^'
	if negated {
		p++
	}
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch left := len(pattern) - p; {
		case pattern[p] == '\\' && left >= 2:
			p++
			ok = ok || pattern[p] == c
		case left >= 3 && pattern[p+1] == '-':
			ok = ok || inRange(pattern[p], pattern[p+2], c, fold)
			p += 2
		default:
			ok = ok || same(pattern[p], c, fold)
		}
	}
	return min(p+1, len(pattern)), ok != negated
}

func inRange(from, to, c byte, fold bool) bool {
	if int8(from) > int8(to) {
		from, to = to, from
	}
	if fold {
		from, to, c = lower(from), lower(to), lower(c)
	}
	return int8(from) <= int8(c) && int8(c) <= int8(to)
}

func same(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
