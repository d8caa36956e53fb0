package object

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/larderdb/larder/store"
)

// maxFields bounds a struct: Lua's unpack, in the save script, takes some 8000 words.
const maxFields = 2000

// plan is how a struct type is read and written.
type plan struct {
	fields []*field
	byName map[string]*field
}

// field is one of a struct's fields.
type field struct {
	name     string
	typ      reflect.Type
	index    []int // path through embedded structs
	optional bool  // may be absent in a stored object
	codec    codec
	omit     bool // leave zero values out
}

// newPlan works out a type, or says why it cannot be kept as a hash.
func newPlan(t reflect.Type) (*plan, error) {
	p := &plan{byName: map[string]*field{}}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("object: %w: %s is not a struct", store.ErrInvalid, t)
	}
	if err := p.add(t, nil); err != nil {
		return nil, fmt.Errorf("object: %w: %s: %w", store.ErrInvalid, t, err)
	}
	if n := len(p.fields); n == 0 || n > maxFields {
		return nil, fmt.Errorf("object: %w: %s has %d fields to store, want 1 to %d", store.ErrInvalid, t, n, maxFields)
	}
	return p, nil
}

// add lists the fields of t, which is found by path.
func (p *plan) add(t reflect.Type, path []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int(nil), path...), i)
		name, options, _ := strings.Cut(sf.Tag.Get("larder"), ",")
		if name == "-" && options == "" {
			continue
		}
		if sf.Anonymous && name == "" && inlined(sf.Type) {
			if err := p.add(sf.Type, index); err != nil {
				return err
			}
			continue
		}
		if !sf.IsExported() {
			if sf.Tag.Get("larder") != "" {
				return fmt.Errorf("field %s has a tag but is not exported", sf.Name)
			}
			continue
		}
		f := &field{name: name, typ: sf.Type, index: index}
		if f.name == "" {
			f.name = sf.Name
		}
		if err := f.setOptions(options); err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
		if p.byName[f.name] != nil {
			return fmt.Errorf("two fields are stored as %q", f.name)
		}
		p.byName[f.name] = f
		p.fields = append(p.fields, f)
	}
	return nil
}

// inlined tells whether an embedded field's own fields count as the outer struct's.
func inlined(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) && t != timeType }

func (f *field) setOptions(options string) (err error) {
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "omitempty":
			f.omit = true
		default:
			return fmt.Errorf("unknown option %q in the tag", option)
		}
	}
	if f.name == marker {
		return fmt.Errorf("the name %q is taken", marker)
	}
	f.optional = f.omit || f.typ.Kind() == reflect.Pointer
	f.codec, err = codecOf(f.typ)
	return err
}

// named finds fields by the names they are stored under.
func (p *plan) named(names []string) ([]*field, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no field named", store.ErrInvalid)
	}
	fields := make([]*field, len(names))
	for i, name := range names {
		if fields[i] = p.byName[name]; fields[i] == nil {
			return nil, fmt.Errorf("%w: no field is stored as %q", store.ErrInvalid, name)
		}
	}
	return fields, nil
}

// encode gives the field's text. present is false when it is to be absent.
func (f *field) encode(v reflect.Value) (text string, present bool, err error) {
	if f.omit && empty(v) {
		return "", false, nil
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false, nil
		}
		v = v.Elem()
	}
	text, err = f.codec.encode(v)
	if err != nil {
		return "", false, fmt.Errorf("field %q: %w", f.name, err)
	}
	return text, true, nil
}

// empty is what omitempty leaves out: zero values by IsZero or nature, and slices and maps without elements.
func empty(v reflect.Value) bool {
	if k := v.Kind(); k == reflect.Slice || k == reflect.Map {
		return v.Len() == 0
	}
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok && v.Kind() != reflect.Pointer {
		return z.IsZero()
	}
	return v.IsZero()
}

// decode sets v, which is zero.
func (f *field) decode(text string, v reflect.Value) error {
	for v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if err := f.codec.decode(text, v); err != nil {
		return fmt.Errorf("field %q: %w as %s: %w", f.name, ErrDecode, f.typ, err)
	}
	return nil
}
