package object

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// maxFields bounds a struct: Lua's unpack, in the write script, takes some 8000 words.
const maxFields = 2000

// maxDepth bounds structs in structs.
const maxDepth = 32

// plan is how a struct type is read and written.
type plan struct {
	fields  []*field
	byName  map[string]*field
	groups  map[string][]*field // of structs within: their fields, and the pointer's own
	version *field              // nil if the type has none
	expires bool                // some field has a TTL of its own
	codecs  []Codec
}

// field is one of a struct's fields, or of a struct within it, under a dotted name.
type field struct {
	name     string
	typ      reflect.Type
	index    []int // path through structs; pointers on the way are followed
	optional bool  // may be absent in a stored object
	codec    codec
	omit     bool   // leave zero values out
	version  bool   // counts the object's changes
	ttl      string // of the field alone, ms; empty for none
	numeric  bool   // HINCRBY and HINCRBYFLOAT can add to it
}

// newPlan works out a type, or says why it cannot be kept as a hash.
func newPlan(t reflect.Type, codecs []Codec) (*plan, error) {
	p := &plan{byName: map[string]*field{}, groups: map[string][]*field{}, codecs: codecs}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("object: %w: %s is not a struct", store.ErrInvalid, t)
	}
	for _, c := range codecs {
		if c.typ == nil {
			return nil, fmt.Errorf("object: %w: a Codec that NewCodec did not make", store.ErrInvalid)
		}
	}
	if err := p.add(t, place{}); err != nil {
		return nil, fmt.Errorf("object: %w: %s: %w", store.ErrInvalid, t, err)
	}
	if n := len(p.fields); n == 0 || n > maxFields || n == 1 && p.version != nil {
		return nil, fmt.Errorf("object: %w: %s has %d fields to store, want 1 to %d, besides a version", store.ErrInvalid, t, n, maxFields)
	}
	return p, nil
}

// place is where a struct lies within the outermost.
type place struct {
	prefix   string // of its fields' names: "address."
	path     []int
	optional bool // a pointer leads here
	omit     bool
	within   []reflect.Type
	groups   []string
}

// add lists the fields of t.
func (p *plan) add(t reflect.Type, at place) error {
	for _, outer := range at.within {
		if outer == t {
			return fmt.Errorf("%s contains itself; keep the field that leads there as `larder:\",json\"`", t)
		}
	}
	if len(at.within) > maxDepth {
		return fmt.Errorf("structs more than %d deep", maxDepth)
	}
	at.within = append(at.within[:len(at.within):len(at.within)], t)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("larder")
		name, text, _ := strings.Cut(tag, ",")
		embedded := sf.Anonymous && name == "" && p.inlined(sf.Type)
		switch {
		case name == "-" && text == "":
			continue
		case !sf.IsExported() && !(embedded && sf.Type.Kind() == reflect.Struct):
			if tag != "" || embedded {
				return fmt.Errorf("field %s has a tag, or is an embedded pointer, but is not exported", sf.Name)
			}
			continue
		}
		o, err := parseOptions(text)
		if err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
		if name == "" {
			name = sf.Name
		}
		if err := p.addField(sf, name, o, embedded, at); err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
	}
	return nil
}

// addField adds a field, or the fields of the struct that it is.
func (p *plan) addField(sf reflect.StructField, name string, o options, embedded bool, at place) error {
	f := &field{name: at.prefix + name, typ: sf.Type, omit: o.omit || at.omit || o.ttl != "", ttl: o.ttl}
	f.index = append(append([]int(nil), at.path...), sf.Index[0])
	if !o.leaf() && p.inlined(sf.Type) {
		inner := at
		inner.path, inner.omit = f.index, f.omit
		if sf.Type.Kind() == reflect.Struct && embedded {
			return p.add(sf.Type, inner)
		}
		inner.groups = append(at.groups[:len(at.groups):len(at.groups)], f.name)
		if !embedded {
			inner.prefix = f.name + "."
		}
		if sf.Type.Kind() == reflect.Pointer {
			inner.optional = true
			f.codec, f.optional = presence, true
			if err := p.put(f, inner); err != nil {
				return err
			}
			return p.add(sf.Type.Elem(), inner)
		}
		return p.add(sf.Type, inner)
	}
	f.optional = f.omit || f.ttl != "" || at.optional || f.typ.Kind() == reflect.Pointer
	if err := f.setCodec(o, p.codecs); err != nil {
		return err
	}
	if o.version {
		if p.version != nil || f.optional || f.typ.Kind() != reflect.Int64 {
			return fmt.Errorf("a version is one int64, without other options")
		}
		f.version, p.version = true, f
	}
	return p.put(f, at)
}

func (p *plan) put(f *field, at place) error {
	if f.name == marker {
		return fmt.Errorf("the name %q is taken", marker)
	}
	if p.byName[f.name] != nil {
		return fmt.Errorf("two fields are stored as %q", f.name)
	}
	p.byName[f.name] = f
	p.fields = append(p.fields, f)
	p.expires = p.expires || f.ttl != ""
	for _, group := range at.groups {
		p.groups[group] = append(p.groups[group], f)
	}
	return nil
}

// inlined tells whether a struct, or what a pointer leads to, is kept field by field.
func (p *plan) inlined(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || isText(t) || t == timeType || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) {
		return false
	}
	for _, c := range p.codecs {
		if c.typ == t && c.name == "" {
			return false
		}
	}
	return true
}

// options are those of a tag.
type options struct {
	omit, json, version bool
	codec, ttl          string
}

// leaf tells that the options make a struct one field.
func (o options) leaf() bool { return o.json || o.codec != "" || o.ttl != "" || o.version }

func parseOptions(text string) (o options, err error) {
	for option := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case option == "":
		case option == "omitempty":
			o.omit = true
		case option == "json":
			o.json = true
		case option == "version":
			o.version = true
		case name == "codec" && value != "":
			o.codec = value
		case name == "ttl":
			d, err := time.ParseDuration(value)
			if err != nil || d < time.Millisecond || d > 100*365*24*time.Hour {
				return o, fmt.Errorf("ttl=%s, want a duration such as 5m", value)
			}
			o.ttl = strconv.FormatInt(store.Millis(d), 10)
		default:
			return o, fmt.Errorf("unknown option %q in the tag", option)
		}
	}
	if o.json && o.codec != "" || o.version && (o.omit || o.leafOther()) {
		return o, fmt.Errorf("options that exclude each other: %s", text)
	}
	return o, nil
}

func (o options) leafOther() bool { return o.json || o.codec != "" || o.ttl != "" }

// setCodec picks how the field is spelled.
func (f *field) setCodec(o options, codecs []Codec) (err error) {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if o.json {
		f.codec = codec{encodeJSON, decodeJSON}
		return nil
	}
	for _, c := range codecs {
		if c.typ == t && c.name == o.codec {
			f.codec = c.codec
			return nil
		}
	}
	if o.codec != "" {
		return fmt.Errorf("no Codec %q for a %s in Options.Codecs", o.codec, t)
	}
	f.codec, err = codecOf(t)
	f.numeric = t != durationType && !isText(t) && t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
	return err
}

// named finds fields by the names they are stored under. The name of a struct means all its fields.
func (p *plan) named(names []string) ([]*field, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no field named", store.ErrInvalid)
	}
	fields := make([]*field, 0, len(names))
	for _, name := range names {
		if group := p.groups[name]; group != nil {
			fields = append(fields, group...)
		} else if f := p.byName[name]; f != nil {
			fields = append(fields, f)
		} else {
			return nil, fmt.Errorf("%w: no field is stored as %q", store.ErrInvalid, name)
		}
	}
	return fields, nil
}

// in finds the field in a struct; ok is false where a pointer on the way is nil.
func (f *field) in(v reflect.Value) (_ reflect.Value, ok bool) {
	for i, step := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(step)
	}
	return v, true
}

// make is in, with what pointers on the way lead to being made.
func (f *field) make(v reflect.Value) reflect.Value {
	for i, step := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(step)
	}
	return v
}

// of is the text of the field in a struct. present is false when it is to be absent.
func (f *field) of(v reflect.Value) (text string, present bool, err error) {
	v, ok := f.in(v)
	if !ok {
		return "", false, nil
	}
	return f.encode(v)
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
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if err := f.codec.decode(text, v); err != nil {
		return fmt.Errorf("field %q: %w as %s: %w", f.name, ErrDecode, f.typ, err)
	}
	return nil
}
