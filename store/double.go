package store

import (
	"math"
	"strconv"
	"strings"
)

// spell writes a double as Redis does in RESP2: "inf" and "-inf"; whole numbers up to 2^62 as integers; else the shortest digits that
// read back as f, in plain notation where that is short.
func spell(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == 0 && math.Signbit(f):
		return "-0"
	case math.Abs(f) <= 1<<62 && f == math.Trunc(f):
		return strconv.FormatInt(int64(f), 10)
	}
	text := strconv.FormatFloat(f, 'e', -1, 64)
	at := strings.IndexByte(text, 'e')
	exponent, _ := strconv.Atoi(text[at+1:]) //nolint:errcheck // of a number just written
	digits := at
	if text[0] == '-' {
		digits--
	}
	if digits > 1 {
		digits-- // the point
	}
	last, size := exponent-digits+1, max(exponent, -exponent) // of the last digit, of the first
	if last >= 0 && size < digits+7 || last < 0 && (last > -7 || size < 4) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	sign := "+"
	if exponent < 0 {
		sign = "-"
	}
	return text[:at+1] + sign + strconv.Itoa(size)
}
