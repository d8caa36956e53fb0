package command

import (
	"bytes"
	"strconv"
)

// eachKey visits the positions of the keys in a command's words. ok is false
// where the words do not fit the specs (too few, a wrong count), so that
// there is nothing to say of keys.
func (r *Command) eachKey(args [][]byte, fn func(i int, f KeyFlag)) (ok bool) {
	if r.KeysAt != nil {
		first, n := r.KeysAt(args)
		for i := range n {
			fn(first+i, r.Keys[0].Flags)
		}
		return n > 0
	}
	for s := range r.Keys {
		if !r.Keys[s].each(args, fn) {
			return false
		}
	}
	if r.KeyMore != nil {
		if at, f := r.KeyMore(args); at != 0 {
			fn(at, f)
		}
	}
	return true
}

func (s *KeySpec) each(args [][]byte, fn func(i int, f KeyFlag)) bool {
	if s.Unknown {
		return true
	}
	begin, found := s.begin(args)
	if !found {
		return true // a keyword that is not there: no keys by this spec
	}
	first, last, step := begin, begin+s.Last, max(s.Step, 1)
	switch {
	case s.NumKeys:
		n, err := strconv.Atoi(string(arg(args, begin+s.NumIdx)))
		if err != nil || n < 0 || n > len(args) {
			return false
		}
		first = begin + s.First
		last = first + (n-1)*step
	case s.Last < 0:
		last = len(args) + s.Last
		if s.Limit > 1 && s.Last == -1 {
			last = first + (len(args)-first)/s.Limit - 1
		}
	}
	if first >= len(args) && last >= first || last >= len(args) {
		return false
	}
	for i := first; i <= last; i += step {
		fn(i, s.Flags)
	}
	return true
}

func (s *KeySpec) begin(args [][]byte) (int, bool) {
	if s.Keyword == "" {
		return s.Begin, true
	}
	word := []byte(s.Keyword)
	if s.Begin < 0 {
		for i := len(args) + s.Begin; i > 0; i-- {
			if bytes.EqualFold(args[i], word) {
				return i + 1, true
			}
		}
		return 0, false
	}
	for i := s.Begin; i < len(args); i++ {
		if bytes.EqualFold(args[i], word) {
			return i + 1, true
		}
	}
	return 0, false
}

func arg(args [][]byte, i int) []byte {
	if i < 0 || i >= len(args) {
		return nil
	}
	return args[i]
}
