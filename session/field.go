package session

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Field is a named, typed value of a session. Declare it once, as a constant:
//
//	const cart session.Field[Cart] = "cart"
//
//	c, ok, err := cart.Get(s)
//	err = cart.Set(s, c)
//
// Strings, byte slices, booleans and the usual integers are stored as text, everything else as JSON. A field is what two
// requests can change without losing the other's change: put what changes apart into fields apart.
type Field[T any] string

// Get is the field's value as this request sees it. ok is false, and v zero, when there is none. An error means that what
// is stored does not fit T.
func (f Field[T]) Get(s *Session) (v T, ok bool, err error) {
	text, ok := s.get(string(f))
	if !ok {
		return v, false, nil
	}
	if err := decode(text, &v); err != nil {
		var zero T
		return zero, false, fmt.Errorf("session: field %q: %w", string(f), err)
	}
	return v, true, nil
}

// Set changes the field. Setting the value that is there changes nothing. It fails when v cannot be encoded, when the
// session would become too large (ErrTooLarge), and when a session without a token begins after the header was sent
// (ErrHeaderSent).
func (f Field[T]) Set(s *Session, v T) error {
	text, err := encode(v)
	if err != nil {
		return fmt.Errorf("session: field %q: %w", string(f), err)
	}
	return s.set(string(f), text)
}

// Delete removes the field, if it is there.
func (f Field[T]) Delete(s *Session) { s.remove(string(f)) }

// Pop is Get and Delete in one: for a message that is shown once. Two requests at the same time may both see it.
func (f Field[T]) Pop(s *Session) (v T, ok bool, err error) {
	v, ok, err = f.Get(s)
	if ok {
		s.remove(string(f))
	}
	return v, ok, err
}

func encode(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// decode reads what encode wrote. The numbers and booleans of encode are JSON too.
func decode(text string, to any) error {
	switch to := to.(type) {
	case *string:
		*to = text
		return nil
	case *[]byte:
		*to = []byte(text)
		return nil
	}
	return json.Unmarshal([]byte(text), to)
}
