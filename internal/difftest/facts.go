package difftest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Replies that describe the server itself: only their shape can be the same on two servers.

// helloFields: the same keys, and the same values except for those that name the server.
func helloFields(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || len(want.Elems) != len(got.Elems) {
		return errBytes
	}
	for i := 0; i+1 < len(want.Elems); i += 2 {
		if want.Elems[i].String() != got.Elems[i].String() {
			return errBytes
		}
		switch want.Elems[i].Text {
		case "server", "version", "id":
			if want.Elems[i+1].Kind != got.Elems[i+1].Kind {
				return errBytes
			}
		default:
			if want.Elems[i+1].String() != got.Elems[i+1].String() {
				return fmt.Errorf("field %s", want.Elems[i].Text)
			}
		}
	}
	return nil
}

// fieldNames compares the names in "a=1 b=2" and "a:1 b:2" lines, in their order. What only a later version has may be extra.
func fieldNames(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind && want.Kind+got.Kind != '$'+'=' {
		return errBytes
	}
	names := func(text string) []string {
		first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		var out []string
		for _, word := range strings.Fields(first) {
			if i := strings.IndexAny(word, "=:"); i > 0 {
				out = append(out, word[:i])
			}
		}
		return out
	}
	have := names(got.Text)
	var missing []string
	for _, w := range names(want.Text) {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	if missing != nil {
		return fmt.Errorf("fields missing: %v", missing)
	}
	return nil
}

// infoSections: every section of the oracle is there, in its order, but for those about what only Redis has.
func infoSections(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind {
		return errBytes
	}
	sections := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			switch line = strings.TrimSpace(line); line {
			case "# Modules", "# Latencystats", "# Namespaces": // the last is Larder's alone
			default:
				if name, ok := strings.CutPrefix(line, "# "); ok {
					out = append(out, name)
				}
			}
		}
		return out
	}
	if w, g := sections(want.Text), sections(got.Text); !slices.Equal(w, g) {
		return fmt.Errorf("sections %v, wanted %v", g, w)
	}
	return nil
}

// commandFacts compares COMMAND INFO: name, arity, flags, first key, last key, step, ACL categories, and the number of
// subcommands; flags and categories as sets. Tips and the elaborate key specifications are not compared: they are
// advice to clients and were reworded between versions.
func commandFacts(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || len(want.Elems) != len(got.Elems) {
		return errBytes
	}
	for i, w := range want.Elems {
		g := got.Elems[i]
		if w.Null || g.Null {
			if w.String() != g.String() {
				return fmt.Errorf("entry %d is %s, wanted %s", i, clip(g.String()), clip(w.String()))
			}
			continue
		}
		if err := sameCommand(w, g); err != nil {
			return err
		}
	}
	return nil
}

// withoutNew drops the flag that came with 7.2.
func withoutNew(flags []Value) []Value {
	return slices.DeleteFunc(slices.Clone(flags), func(v Value) bool { return v.Text == "no_multi" })
}

// helpText: HELP is prose, and everybody's own; only its form is compared.
func helpText(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || len(want.Elems) == 0 || len(got.Elems) == 0 || want.Elems[0].String() != got.Elems[0].String() {
		return errBytes
	}
	for _, line := range got.Elems {
		if line.Kind != '+' {
			return fmt.Errorf("a line is not a simple string: %s", line)
		}
	}
	return nil
}

func sameCommand(want, got Value) error {
	const name, arity, flags, firstKey, step, categories, compared = 0, 1, 2, 3, 5, 6, 7
	if len(want.Elems) < compared || len(got.Elems) != len(want.Elems) {
		return errors.Join(errBytes, fmt.Errorf("%d facts, wanted %d", len(got.Elems), len(want.Elems)))
	}
	for i := name; i < compared; i++ {
		w, g := want.Elems[i], got.Elems[i]
		if w.Kind != g.Kind {
			return fmt.Errorf("%s: fact %d is of another type: %s, wanted %s", want.Elems[name], i, g, w)
		}
		if i == flags || i == categories {
			if err := sameLists(sorted(withoutNew(w.Elems)), sorted(withoutNew(g.Elems))); err != nil {
				return fmt.Errorf("%s: fact %d: %w", want.Elems[name], i, err)
			}
			continue
		}
		if w.String() != g.String() {
			return fmt.Errorf("%s: fact %d is %s, wanted %s", want.Elems[name], i, g, w)
		}
	}
	return nil
}
