package store

import (
	"errors"
	"fmt"
	"strconv"
)

// missing is the error of an accessor that met no value: the command's own error, or ErrNil, or a mismatch.
func (r Reply) missing(want string) error {
	switch r.kind {
	case KindError:
		return r.Err()
	case KindNil:
		return ErrNil
	}
	return fmt.Errorf("%w: got %s, want %s", ErrReply, r.kind, want)
}

// Int64 is an integer reply, a boolean as 0 or 1, or a string that holds an integer.
func (r Reply) Int64() (int64, error) {
	switch r.kind {
	case KindInt, KindBool:
		return r.num, nil
	case KindBulk, KindStatus:
		n, err := strconv.ParseInt(r.str, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %q is not an integer", ErrReply, clip(r.str))
		}
		return n, nil
	}
	return 0, r.missing("an integer")
}

// Float64 is a double, an integer, or a string that holds a number ("inf" and "-inf" included).
func (r Reply) Float64() (float64, error) {
	switch r.kind {
	case KindDouble:
		return r.double(), nil
	case KindInt:
		return float64(r.num), nil
	case KindBulk, KindStatus:
		f, err := strconv.ParseFloat(r.str, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%w: %q is not a number", ErrReply, clip(r.str))
		}
		return f, nil
	}
	return 0, r.missing("a number")
}

// Text is a string or status reply. Numbers are spelled as RESP2 has them, so that Text works for RESP2's and RESP3's scores.
func (r Reply) Text() (string, error) {
	switch r.kind {
	case KindBulk, KindStatus:
		return r.str, nil
	case KindInt:
		return strconv.FormatInt(r.num, 10), nil
	case KindDouble:
		return spell(r.double()), nil
	}
	return "", r.missing("a string")
}

// Lookup is Text for replies where nil is an ordinary outcome: ok is false and err nil when there is no value.
func (r Reply) Lookup() (text string, ok bool, err error) {
	if r.kind == KindNil {
		return "", false, nil
	}
	text, err = r.Text()
	return text, err == nil, err
}

// Bytes is Text as bytes. The slice is the caller's own.
func (r Reply) Bytes() ([]byte, error) {
	s, err := r.Text()
	if err != nil {
		return nil, err
	}
	return []byte(s), nil
}

// Bool is a boolean, or an integer that is not 0: the answer of EXISTS, EXPIRE, SISMEMBER and the like.
func (r Reply) Bool() (bool, error) {
	if r.kind == KindBool || r.kind == KindInt {
		return r.num != 0, nil
	}
	return false, r.missing("a boolean")
}

// OK tells whether a conditional command took place: true for OK, false for nil, as SET NX answers. OK may come as a
// status or as a string, since not every transport tells them apart.
func (r Reply) OK() (bool, error) {
	switch {
	case r.kind == KindNil:
		return false, nil
	case (r.kind == KindStatus || r.kind == KindBulk) && r.str == "OK":
		return true, nil
	}
	return false, r.missing("OK")
}

// Array is the elements of an array, a set, or a map (keys and values alternate). They are shared: do not change them.
func (r Reply) Array() ([]Reply, error) {
	switch r.kind {
	case KindArray, KindSet, KindMap:
		return r.elems(), nil
	}
	return nil, r.missing("an array")
}

// Pairs is the elements of a map-like reply with keys at even and values at odd places: RESP3's map, RESP2's flat
// array, or an array of two-element arrays. The result has even length. Do not change it.
func (r Reply) Pairs() ([]Reply, error) {
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	if len(list) > 0 && r.kind != KindMap && list[0].kind == KindArray {
		flat := make([]Reply, 0, 2*len(list))
		for _, e := range list {
			pair := e.elems()
			if len(pair) != 2 {
				return nil, fmt.Errorf("%w: an element of %d in a list of pairs", ErrReply, len(pair))
			}
			flat = append(flat, pair...)
		}
		return flat, nil
	}
	if len(list)%2 != 0 {
		return nil, fmt.Errorf("%w: got %s of %d, want pairs", ErrReply, r.kind, len(list))
	}
	return list, nil
}

// Map is Pairs as a Go map of strings, such as HGETALL and CONFIG GET answer. An empty reply is an empty map.
func (r Reply) Map() (map[string]string, error) {
	flat, err := r.Pairs()
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		k, err := flat[i].Text()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i/2, err)
		}
		v, err := flat[i+1].Text()
		if err != nil {
			return nil, fmt.Errorf("value of %q: %w", clip(k), err)
		}
		m[k] = v
	}
	return m, nil
}

// Scored is a member of a sorted set.
type Scored struct {
	Member string
	Score  float64
}

// Scores is a reply WITHSCORES: RESP2's flat array or RESP3's array of pairs.
func (r Reply) Scores() ([]Scored, error) {
	flat, err := r.Pairs()
	if err != nil {
		return nil, err
	}
	out := make([]Scored, len(flat)/2)
	for i := range out {
		if out[i].Member, err = flat[2*i].Text(); err != nil {
			return nil, fmt.Errorf("member %d: %w", i, err)
		}
		if out[i].Score, err = flat[2*i+1].Float64(); err != nil {
			return nil, fmt.Errorf("score of %q: %w", clip(out[i].Member), err)
		}
	}
	return out, nil
}

// Strings is an array of strings. A nil element becomes "": where that matters, as with MGET, use Array.
func (r Reply) Strings() ([]string, error) {
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], _, err = e.Lookup(); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

// Ints is an array of integers. A nil element is an error.
func (r Reply) Ints() ([]int64, error) {
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(list))
	for i, e := range list {
		if out[i], err = e.Int64(); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

// clip bounds what an error message quotes.
func clip(s string) string {
	const most = 64 // bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
