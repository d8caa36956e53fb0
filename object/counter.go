package object

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/larderdb/larder/store"
)

// ErrRange means that a sum does not fit the field: nothing was added.
var ErrRange = errors.New("the sum does not fit the field")

// Number is what a Counter can add to.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Counter adds to one field of the objects, in the store: two that add at the same time are both counted. V is the type of
// the struct's field, or what it points to. Make one with NewCounter and keep it.
type Counter[T any, V Number] struct {
	h           *Hashes[T]
	f           *field
	kind        string // i or f, as the script takes it
	least, most string // the bounds of V; empty where the store's own suffice
}

// NewCounter is the field stored under a name. An unknown name, a V that is not the field's type, or a field that is not
// kept as a number (a codec of its own, a time.Duration, the version) is ErrInvalid.
func NewCounter[T any, V Number](h *Hashes[T], name string) (*Counter[T, V], error) {
	f := h.plan.byName[name]
	if f == nil {
		return nil, fmt.Errorf("object: %w: no field is stored as %q", store.ErrInvalid, name)
	}
	have, want := f.typ, reflect.TypeFor[V]()
	for have.Kind() == reflect.Pointer {
		have = have.Elem()
	}
	if have != want || !f.numeric || f.version {
		return nil, fmt.Errorf("object: %w: field %q is a %s, not kept as a %s", store.ErrInvalid, name, f.typ, want)
	}
	c := &Counter[T, V]{h: h, f: f, kind: "i"}
	switch bits := want.Bits(); {
	case want.Kind() >= reflect.Float32:
		c.kind = "f"
	case want.Kind() >= reflect.Uint:
		c.least = "0"
		if bits < 64 {
			c.most = strconv.FormatUint(1<<bits-1, 10)
		}
	case bits < 64:
		c.least, c.most = strconv.FormatInt(-1<<(bits-1), 10), strconv.FormatInt(1<<(bits-1)-1, 10)
	}
	return c, nil
}

// Add adds delta and returns the sum; the other fields and the TTL stay as they are. An absent field counts as 0. ok is false,
// and nothing added, when there is no object. A sum that V cannot hold is ErrRange, and so is one above the greatest int64.
// One round trip.
func (c *Counter[T, V]) Add(ctx context.Context, id string, delta V) (sum V, ok bool, err error) {
	return c.change(ctx, id, delta, false)
}

// Sub is Add of the opposite, for unsigned fields too.
func (c *Counter[T, V]) Sub(ctx context.Context, id string, delta V) (sum V, ok bool, err error) {
	return c.change(ctx, id, delta, true)
}

func (c *Counter[T, V]) change(ctx context.Context, id string, delta V, less bool) (sum V, ok bool, err error) {
	v := reflect.ValueOf(delta)
	var text string
	var bad bool
	switch {
	case v.CanFloat():
		f := v.Float()
		bad = math.IsNaN(f) || math.IsInf(f, 0)
		text = strconv.FormatFloat(f, 'f', -1, v.Type().Bits())
	case v.CanUint():
		bad = v.Uint() > math.MaxInt64
		text = strconv.FormatUint(v.Uint(), 10)
	default:
		bad = v.Int() == math.MinInt64
		text = strconv.FormatInt(v.Int(), 10)
	}
	if bad {
		return 0, false, c.h.wrap("add", id, fmt.Errorf("%w: %v cannot be added", store.ErrInvalid, delta))
	}
	switch {
	case less && text[0] == '-':
		text = text[1:]
	case less:
		text = "-" + text
	}
	return c.add(ctx, id, text)
}

func (c *Counter[T, V]) add(ctx context.Context, id, delta string) (sum V, ok bool, err error) {
	h := c.h
	err = h.do(ctx, "add", id, func(ctx context.Context) (string, error) {
		text, found, err := h.st.Run(ctx, addScript, []string{h.o.Prefix + id}, c.f.name, c.kind, delta, c.least, c.most, h.stamp).Lookup()
		if err != nil {
			return "", c.reason(err)
		}
		if ok = found; found {
			h.saves.Add(1)
			v := reflect.ValueOf(&sum).Elem()
			err = c.f.decode(text, v)
		}
		return done(ok), err
	})
	if err != nil {
		return 0, false, err
	}
	return sum, ok, nil
}

// reason makes the server's words about sums ErrRange.
func (c *Counter[T, V]) reason(err error) error {
	var answered store.ServerError
	if errors.As(err, &answered) {
		switch text := string(answered); {
		case len(text) >= len(outside) && text[:len(outside)] == outside, hasAny(text, "overflow", "NaN or Infinity"):
			return fmt.Errorf("%w: %w", ErrRange, err)
		case hasAny(text, "not an integer", "not a float", "not a valid float"):
			return fmt.Errorf("%w: %w", ErrDecode, err)
		}
	}
	return err
}
