package acl

import (
	"errors"
	"fmt"
	"strings"
)

// Why a rule is refused, in Redis's words.
var (
	errUnknown        = errors.New("Unknown command or category name in ACL")
	errSyntax         = errors.New("Syntax error")
	errFirstArgOfSub  = errors.New("Allowing first-arg of a subcommand is not supported")
	errNoSuchPassword = errors.New("The password you are trying to remove from the user does not exist")
	errHash           = errors.New("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")
	errAfterAllKeys   = errors.New("Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any " +
		"effect. Try 'resetkeys' to start with an empty list of patterns")
	errAfterAllChannels = errors.New("Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have " +
		"any effect. Try 'resetchannels' to start with an empty list of channels")
)

// RuleError is a rule that cannot be applied.
type RuleError struct {
	Rule   string
	Reason error
}

func (e *RuleError) Unwrap() error { return e.Reason }

func (e *RuleError) Error() string {
	rule, _, _ := strings.Cut(e.Rule, "\x00")
	return fmt.Sprintf("Error in ACL SETUSER modifier '%s': %s", rule, e.Reason)
}

// UnmatchedError is a selector that never closes.
type UnmatchedError struct{ Start string }

func (e *UnmatchedError) Error() string {
	start, _, _ := strings.Cut(e.Start, "\x00")
	return fmt.Sprintf("Unmatched parenthesis in acl selector starting at '%s'.", start)
}

// mergeSelectors joins the words of selectors that came in several: "(+get", "~a)".
func mergeSelectors(words []string) ([]string, error) {
	merged := make([]string, 0, len(words))
	open := -1
	for i, w := range words {
		switch closes := strings.HasSuffix(w, ")"); {
		case open < 0 && strings.HasPrefix(w, "(") && !closes:
			open = i
		case open < 0:
			merged = append(merged, w)
		case closes:
			merged = append(merged, strings.Join(words[open:i+1], " "))
			open = -1
		}
	}
	if open >= 0 {
		return nil, &UnmatchedError{words[open]}
	}
	return merged, nil
}
