package difftest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Random choices cannot be equal on two servers; what can be held against the target is that it chose as many,
// from what is there, and without repetition where the command forbids it.

// randomMembers serves SRANDMEMBER, HRANDFIELD and ZRANDMEMBER.
func randomMembers(s *session, args []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null != got.Null || len(want.Elems) != len(got.Elems) {
		return errors.Join(errBytes, errors.New("not the same shape"))
	}
	members, values, err := s.target.contents(args)
	if err != nil {
		return err
	}
	if !got.isAggregate() {
		if _, ok := members[got.Text]; !ok {
			return fmt.Errorf("%q is not in the collection", got.Text)
		}
		return nil
	}
	distinct := len(args) > 2 && !strings.HasPrefix(args[2], "-")
	seen := map[string]bool{}
	for _, pick := range picks(args, got.Elems) {
		value, ok := members[pick[0]]
		switch {
		case !ok:
			return fmt.Errorf("%q is not in the collection", pick[0])
		case values && len(pick) == 2 && pick[1] != value:
			return fmt.Errorf("%q comes with %q, not its own %q", pick[0], pick[1], value)
		case distinct && seen[pick[0]]:
			return fmt.Errorf("%q came twice", pick[0])
		}
		seen[pick[0]] = true
	}
	return nil
}

// picks groups the flat RESP2 form and the nested RESP3 form of WITHVALUES and WITHSCORES alike.
func picks(args []string, elems []Value) [][]string {
	var out [][]string
	withValues := len(args) > 3
	for i := 0; i < len(elems); i++ {
		switch e := elems[i]; {
		case e.isAggregate():
			var pick []string
			for _, x := range e.Elems {
				pick = append(pick, x.Text)
			}
			out = append(out, pick)
		case withValues && i+1 < len(elems):
			out = append(out, []string{e.Text, elems[i+1].Text})
			i++
		default:
			out = append(out, []string{e.Text})
		}
	}
	return out
}

// contents reads the collection a random command chose from. The members' values are known for hashes and sorted
// sets (values true).
func (c *client) contents(args []string) (members map[string]string, values bool, err error) {
	members = map[string]string{}
	var r Reply
	switch strings.ToUpper(args[0]) {
	case "SRANDMEMBER":
		r, err = c.do("SMEMBERS", args[1])
	case "HRANDFIELD":
		r, err = c.do("HGETALL", args[1])
		values = true
	case "ZRANDMEMBER":
		r, err = c.do("ZRANGE", args[1], "0", "-1", "WITHSCORES")
		values = true
	}
	if err != nil {
		return nil, false, err
	}
	elems := flatten(r.Elems)
	step := 1
	if values {
		step = 2
	}
	for i := 0; i+step <= len(elems); i += step {
		members[elems[i].Text] = elems[i+step-1].Text
	}
	return members, values, nil
}

func flatten(elems []Value) []Value {
	var out []Value
	for _, e := range elems {
		if e.isAggregate() {
			out = append(out, e.Elems...)
		} else {
			out = append(out, e)
		}
	}
	return out
}

// poppedMembers: what SPOP gave and what it left must together be the same set on both sides. Then both sides lose
// what either popped, so that the sequence goes on from the same state.
func poppedMembers(s *session, args []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null != got.Null || len(want.Elems) != len(got.Elems) {
		return errors.Join(errBytes, errors.New("not the same shape"))
	}
	wantPopped, gotPopped := members(want), members(got)
	wantLeft, err := s.oracle.do("SMEMBERS", args[1])
	if err != nil {
		return err
	}
	gotLeft, err := s.target.do("SMEMBERS", args[1])
	if err != nil {
		return err
	}
	before := slices.Sorted(slices.Values(append(members(wantLeft.Value), wantPopped...)))
	after := slices.Sorted(slices.Values(append(members(gotLeft.Value), gotPopped...)))
	if err := sameLists(before, after); err != nil {
		return fmt.Errorf("popped and left together: %w", err)
	}
	srem := append([]string{"SREM", args[1]}, append(wantPopped, gotPopped...)...)
	if _, err := s.oracle.do(srem...); err != nil {
		return err
	}
	_, err = s.target.do(srem...)
	return err
}

func members(v Value) []string {
	if !v.isAggregate() {
		return []string{v.Text}
	}
	out := make([]string, 0, len(v.Elems))
	for _, e := range v.Elems {
		out = append(out, e.Text)
	}
	return out
}

func randomKey(s *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null || got.Null {
		return errBytes
	}
	r, err := s.target.do("EXISTS", got.Text)
	if err != nil {
		return err
	}
	if r.Text != "1" {
		return fmt.Errorf("%q does not exist", got.Text)
	}
	return nil
}

// asManyOfASet serves SORT: a set that is not to be sorted comes in the order of its hash table, and so do members that are
// equal to it.
func asManyOfASet(s *session, args []string, want, got Value) error {
	kind, err := s.oracle.do("TYPE", args[1])
	if err != nil {
		return err
	}
	native := false
	for i := 2; i+1 < len(args); i++ {
		native = native || strings.EqualFold(args[i], "BY") && !strings.Contains(args[i+1], "*")
	}
	switch {
	case kind.Text != "set" || want.Kind != got.Kind || len(want.Elems) != len(got.Elems):
		return errBytes
	case native:
		return nil
	}
	return sameUpToNUL(want.Elems, got.Elems)
}

// sameUpToNUL: to SORT ALPHA, which compares C strings, a text ends at a zero byte; those that are equal then come in the
// order in which the set has them.
func sameUpToNUL(want, got []Value) error {
	for i := range want {
		w, _, _ := strings.Cut(want[i].Text, "\x00")
		g, _, _ := strings.Cut(got[i].Text, "\x00")
		if w != g {
			return errBytes
		}
	}
	return sameLists(sorted(want), sorted(got))
}
