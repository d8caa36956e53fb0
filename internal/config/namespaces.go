package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Namespaces says how keys are counted by prefix: by as many parts as Depth says, or by glob patterns. The zero value
// counts none.
type Namespaces struct {
	Depth     int
	Separator byte
	Patterns  []string
}

const (
	deepest      = 8
	mostPatterns = 64 // each key is tried on them one after the other
)

// namespaces is "off", "depth 1 [:]" or "patterns user:* cart:* ...".
type namespaces struct{}

func (namespaces) parse(args []string, _ value) (value, error) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "" })
	if len(args) == 0 {
		return value{}, errNamespaces
	}
	switch word := strings.ToLower(args[0]); {
	case word == "off" && len(args) == 1:
		return value{text: "off", data: Namespaces{}}, nil
	case word == "depth" && (len(args) == 2 || len(args) == 3):
		return depthValue(args[1:])
	case word == "patterns" && len(args) > 1:
		if len(args)-1 > mostPatterns {
			return value{}, errors.New("namespaces takes up to " + strconv.Itoa(mostPatterns) + " patterns")
		}
		return value{text: "patterns " + strings.Join(args[1:], " "), data: Namespaces{Patterns: args[1:]}}, nil
	}
	return value{}, errNamespaces
}

var errNamespaces = errors.New("argument must be 'off', 'depth N [separator]' or 'patterns P ...'")

func depthValue(args []string) (value, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > deepest {
		return value{}, errors.New("depth must be between 1 and " + strconv.Itoa(deepest))
	}
	separator := ":"
	if len(args) == 2 {
		separator = args[1]
	}
	if len(separator) != 1 || separator[0] <= ' ' || separator[0] == 0x7f {
		return value{}, errors.New("the separator must be one byte, and no space")
	}
	text := "depth " + strconv.Itoa(n)
	if separator != ":" {
		text += " " + separator
	}
	return value{text: text, data: Namespaces{Depth: n, Separator: separator[0]}}, nil
}
