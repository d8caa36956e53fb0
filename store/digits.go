package store

// Digits reads a decimal number of at most the given number of digits (18 or less), without a sign: what the Lua bodies of
// scripts check by the pattern ^%d+$.
func Digits(s string, most int) (n int64, ok bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// Positive is Digits without zeros in front, zero included: ^[1-9]%d*$.
func Positive(s string, most int) (n int64, ok bool) {
	if s == "" || s[0] == '0' {
		return 0, false
	}
	return Digits(s, most)
}
