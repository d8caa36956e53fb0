package object

import (
	"context"
	"fmt"
	"reflect"

	"github.com/larderdb/larder/store"
)

// Field reads and writes one field of the objects, without the others. V is the type of the struct's field. Make one
// with NewField and keep it.
type Field[T, V any] struct {
	h *Hashes[T]
	f *field
}

// NewField is the field stored under a name. An unknown name, or a V that is not the field's type, is ErrInvalid.
func NewField[T, V any](h *Hashes[T], name string) (*Field[T, V], error) {
	fields, err := h.plan.named([]string{name})
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	if have, want := fields[0].typ, reflect.TypeFor[V](); have != want {
		return nil, fmt.Errorf("object: %w: field %q is a %s, not a %s", store.ErrInvalid, name, have, want)
	}
	return &Field[T, V]{h, fields[0]}, nil
}

// Get reads the field. ok is false when there is no object. The zero value of a field with omitempty, and nil, come
// back as such with ok.
func (f *Field[T, V]) Get(ctx context.Context, id string) (v V, ok bool, err error) {
	bounded, cancel := f.h.bound(ctx)
	defer cancel()
	key := f.h.o.Prefix + id
	var text string
	if !f.f.optional {
		text, ok, err = f.h.st.Do(bounded, "HGET", key, f.f.name).Lookup()
	} else {
		replies := f.h.st.Pipe(bounded, store.Cmd{"HGET", key, f.f.name}, store.Cmd{"EXISTS", key})
		if text, ok, err = replies[0].Lookup(); err == nil && !ok {
			ok, err = replies[1].Bool()
			return v, ok, f.h.wrap("load", id, err)
		}
	}
	if err == nil && ok {
		err = f.f.decode(text, reflect.ValueOf(&v).Elem())
	}
	if err != nil {
		var zero V
		return zero, false, f.h.wrap("load", id, err)
	}
	return v, ok, nil
}

// Set writes the field, and leaves the others and the TTL as they are. ok is false, and nothing written, when there is
// no object.
func (f *Field[T, V]) Set(ctx context.Context, id string, v V) (ok bool, err error) {
	return f.h.patch(ctx, id, []*field{f.f}, []reflect.Value{reflect.ValueOf(&v).Elem()})
}
