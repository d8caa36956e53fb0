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
	if len(fields) != 1 {
		return nil, fmt.Errorf("object: %w: %q is a struct of %d fields; take one of these, LoadFields, or keep it as `json`", store.ErrInvalid, name, len(fields))
	}
	if have, want := fields[0].typ, reflect.TypeFor[V](); have != want {
		return nil, fmt.Errorf("object: %w: field %q is a %s, not a %s", store.ErrInvalid, name, have, want)
	}
	return &Field[T, V]{h, fields[0]}, nil
}

// Get reads the field. ok is false when there is no object. The zero value of a field with omitempty or a TTL, and nil,
// come back as such with ok.
func (f *Field[T, V]) Get(ctx context.Context, id string) (v V, ok bool, err error) {
	h := f.h
	err = h.do(ctx, "load", id, func(ctx context.Context) (string, error) {
		v, ok, err = f.get(ctx, h.o.Prefix+id)
		return h.found(ok, err)
	})
	if err != nil {
		var zero V
		return zero, false, err
	}
	return v, ok, nil
}

func (f *Field[T, V]) get(ctx context.Context, key string) (v V, ok bool, err error) {
	var text string
	if !f.f.optional {
		text, ok, err = f.h.st.Do(ctx, "HGET", key, f.f.name).Lookup()
	} else {
		replies := f.h.st.Pipe(ctx, store.Cmd{"HGET", key, f.f.name}, store.Cmd{"EXISTS", key})
		if text, ok, err = replies[0].Lookup(); err == nil && !ok {
			ok, err = replies[1].Bool()
			return v, ok, err
		}
	}
	if err == nil && ok {
		err = f.f.decode(text, reflect.ValueOf(&v).Elem())
	}
	return v, ok, err
}

// Set writes the field, and leaves the others and the object's TTL as they are. ok is false, and nothing written, when there is
// no object.
func (f *Field[T, V]) Set(ctx context.Context, id string, v V) (ok bool, err error) {
	if f.f.version {
		return false, f.h.wrap("save", id, fmt.Errorf("%w: the version is not for setting", store.ErrInvalid))
	}
	text, present, err := f.f.encode(reflect.ValueOf(&v).Elem())
	if err != nil {
		return false, f.h.wrap("save", id, err)
	}
	var c change
	c.note(f.f, text, present)
	return f.h.patch(ctx, "save", id, &c)
}
