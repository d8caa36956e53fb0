package difftest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Shrinking is delta debugging: cut away ever smaller pieces of the sequence as long as what is left still fails,
// then arguments of the commands, then the length of arguments. The failure must stay with the same command, or a long
// sequence would slip from a rare fault to a common one.

// shrinkTime bounds the search.
const shrinkTime = 15 * time.Second

func (r *replay) shrink(tb testing.TB, commands [][]string, failure string) [][]string {
	deadline := time.Now().Add(shrinkTime)
	fails := func(c [][]string) bool {
		return time.Now().Before(deadline) && signature(r.run(tb, c)) == failure
	}
	if batch := r.batch; batch > 1 { // what does not need the pipeline is easier to read without
		if r.batch = 1; !fails(commands) {
			r.batch = batch
		}
	}
	for {
		size := measure(commands)
		commands = fewer(commands, fails)
		commands = shorter(commands, fails)
		if measure(commands) == size || !time.Now().Before(deadline) {
			return commands
		}
	}
}

func measure(commands [][]string) (n int) {
	for _, args := range commands {
		n += 1 + len(args)
		for _, a := range args {
			n += len(a)
		}
	}
	return n
}

// fewer removes elements of a list in pieces of half its length, a quarter and so on, as long as it still fails.
func fewer[E any](list []E, fails func([]E) bool) []E {
	for size := (len(list) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at < len(list); {
			end := min(at+size, len(list))
			if cut := slices.Concat(list[:at], list[end:]); len(cut) > 0 && fails(cut) {
				list = cut
			} else {
				at = end
			}
		}
	}
	return list
}

// shorter removes arguments and shortens what is left of them.
func shorter(commands [][]string, fails func([][]string) bool) [][]string {
	commands = slices.Clone(commands)
	for i, args := range commands {
		with := func(args []string) [][]string {
			c := slices.Clone(commands)
			c[i] = args
			return c
		}
		rest := fewer(args[1:], func(rest []string) bool {
			return fails(with(append([]string{args[0]}, rest...)))
		})
		args = append([]string{args[0]}, rest...)
		for j, a := range args {
			if j == 0 || len(a) < 8 {
				continue
			}
			for _, short := range []string{"a", strings.Repeat("a", 65), strings.Repeat("a", len(a))} {
				if try := slices.Clone(args); len(short) <= len(a) && short != a {
					try[j] = short
					if fails(with(try)) {
						args = try
						break
					}
				}
			}
		}
		commands[i] = args
	}
	return commands
}
