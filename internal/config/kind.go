package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// value is a setting's current value. Values are never changed in place: a Set makes new ones.
type value struct {
	text string // canonical, as CONFIG GET answers
	num  int64  // numbers, bytes, flags (yes is 1), the index or bits of an enumeration
	data any    // the parsed form of what is neither text nor number
}

// kind is what a directive takes. parse reads arguments (always one, unless the directive takes several) and gives
// the value that replaces old. Its errors are the ends of Redis's own CONFIG SET errors, word for word.
type kind interface {
	parse(args []string, old value) (value, error)
}

type boolean struct{}

func (boolean) parse(args []string, _ value) (value, error) {
	switch strings.ToLower(args[0]) {
	case "yes":
		return value{text: "yes", num: 1}, nil
	case "no":
		return value{text: "no"}, nil
	}
	return value{}, errors.New("argument must be 'yes' or 'no'")
}

// integer is a plain number, without sign '+', leading zeros or unit.
type integer struct{ min, max int64 }

func (k integer) parse(args []string, _ value) (value, error) {
	n, err := parseInteger(args[0])
	if err != nil {
		return value{}, errors.New("argument couldn't be parsed into an integer")
	}
	if n < k.min || n > k.max {
		return value{}, fmt.Errorf("argument must be between %d and %d inclusive", k.min, k.max)
	}
	return value{text: strconv.FormatInt(n, 10), num: n}, nil
}

// clamped is a number of which Redis takes more than it can use: what is outside the usable range is cut to it.
type clamped struct {
	kind
	low, high int64
}

func (k clamped) parse(args []string, old value) (value, error) {
	v, err := k.kind.parse(args, old)
	if err != nil {
		return value{}, err
	}
	n := min(max(v.num, k.low), k.high)
	return value{text: strconv.FormatInt(n, 10), num: n}, nil
}

// memory is a number of bytes with an optional unit. Above MaxInt64 num holds the bits of the unsigned number.
type memory struct{ min, max uint64 }

func (k memory) parse(args []string, _ value) (value, error) {
	n, err := ParseMemory(args[0])
	if err != nil {
		return value{}, errors.New("argument must be a memory value")
	}
	if n < k.min || n > k.max {
		return value{}, fmt.Errorf("argument must be between %d and %d inclusive", k.min, k.max)
	}
	return value{text: strconv.FormatUint(n, 10), num: int64(n)}, nil
}

// memoryOrPercent is a number of bytes, or N% up to 100, which num holds as -N.
type memoryOrPercent struct{}

func (memoryOrPercent) parse(args []string, _ value) (value, error) {
	s := args[0]
	tooMuch := errors.New("percentage argument must be less or equal to 100") // Redis says so of 2^63 bytes, too
	if n, err := ParseMemory(s); err == nil {
		if n > math.MaxInt64 {
			return value{}, tooMuch
		}
		return value{text: strconv.FormatUint(n, 10), num: int64(n)}, nil
	}
	percent, found := strings.CutSuffix(s, "%")
	n, err := parseInteger(percent)
	switch {
	case !found || err != nil || n < 0:
		return value{}, errors.New("argument must be a memory or percent value")
	case n > 100:
		return value{}, tooMuch
	case n == 0:
		return value{text: "0"}, nil
	}
	return value{text: strconv.FormatInt(n, 10) + "%", num: -n}, nil
}

type octal struct{ min, max int64 }

func (k octal) parse(args []string, _ value) (value, error) {
	n, err := strconv.ParseInt(args[0], 8, 64)
	if err != nil {
		return value{}, errors.New("argument couldn't be parsed as an octal number")
	}
	if n < k.min || n > k.max {
		return value{}, fmt.Errorf("argument must be between %o and %o inclusive", k.min, k.max)
	}
	return value{text: strconv.FormatInt(n, 8), num: n}, nil
}

// enum is one word of a list; num is its index. Two spellings of one meaning stand as "first=second": the second is
// taken too and becomes the first.
type enum []string

func (k enum) parse(args []string, _ value) (value, error) {
	for i, choice := range k {
		first, second, _ := strings.Cut(choice, "=")
		if strings.EqualFold(args[0], first) || second != "" && strings.EqualFold(args[0], second) {
			return value{text: first, num: int64(i)}, nil
		}
	}
	return value{}, oneOf(k)
}

// enumBeyond is an enum of which the error text names only the first so many words: those that Redis has, too.
type enumBeyond struct {
	enum
	named int
}

func (k enumBeyond) parse(args []string, old value) (value, error) {
	v, err := k.enum.parse(args, old)
	if err != nil {
		return value{}, oneOf(k.enum[:k.named])
	}
	return v, nil
}

// enumSet is any of a list of words together; the first stands for none of the others. Bit i-1 of num is word i.
type enumSet []string

func (k enumSet) parse(args []string, _ value) (value, error) {
	var bits int64
	for _, arg := range args {
		i := indexFold(k, arg)
		if i < 0 {
			return value{}, oneOf(k)
		}
		if i > 0 {
			bits |= 1 << (i - 1)
		}
	}
	var words []string
	for i, word := range k[1:] {
		if bits&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	if len(args) == 0 {
		return value{}, oneOf(k)
	}
	if bits == 0 {
		words = k[:1]
	}
	return value{text: strings.Join(words, " "), num: bits}, nil
}

func indexFold(words []string, word string) int {
	for i, w := range words {
		if strings.EqualFold(w, word) {
			return i
		}
	}
	return -1
}

func oneOf(choices []string) error {
	list := strings.ReplaceAll(strings.Join(choices, ", "), "=", ", ")
	return errors.New("argument(s) must be one of the following: " + list)
}

// text is any string that passes check, if there is one.
type text struct{ check func(string) error }

func (k text) parse(args []string, _ value) (value, error) {
	if k.check != nil {
		if err := k.check(args[0]); err != nil {
			return value{}, err
		}
	}
	return value{text: args[0]}, nil
}

// checked is a kind with one more condition on the whole value.
type checked struct {
	kind
	check func(value) error
}

func (k checked) parse(args []string, old value) (value, error) {
	v, err := k.kind.parse(args, old)
	if err == nil {
		err = k.check(v)
	}
	return v, err
}

// parseInteger takes exactly the spelling that printing the number gives.
func parseInteger(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != s {
		err = strconv.ErrSyntax
	}
	return n, err
}

// ParseMemory reads an amount of memory in bytes as redis.conf writes it: digits and one of the units b, k (1000),
// kb (1024), m, mb, g, gb in either case. As in Redis no digits are 0; unlike Redis an amount beyond 64 bits is an
// error, not what is left of it.
func ParseMemory(s string) (uint64, error) {
	digits := 0
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		digits++
	}
	unit, ok := memoryUnit(s[digits:])
	if !ok {
		return 0, fmt.Errorf("%q is not an amount of memory", s)
	}
	if digits == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(s[:digits], 10, 64)
	if err != nil || n > math.MaxUint64/unit {
		return 0, fmt.Errorf("%q is more memory than 64 bits can count", s)
	}
	return n * unit, nil
}

func memoryUnit(s string) (bytes uint64, ok bool) {
	switch strings.ToLower(s) {
	case "", "b":
		return 1, true
	case "k":
		return 1000, true
	case "kb":
		return 1 << 10, true
	case "m":
		return 1000 * 1000, true
	case "mb":
		return 1 << 20, true
	case "g":
		return 1000 * 1000 * 1000, true
	case "gb":
		return 1 << 30, true
	}
	return 0, false
}
