package object

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// NoTTL as Options.TTL keeps objects until they are deleted.
const NoTTL = time.Duration(-1)

// DefaultTimeout is how long one call to the store may take.
const DefaultTimeout = 100 * time.Millisecond

// ErrDecode means that a stored field does not fit the struct's: somebody else wrote it, or the type has changed.
var ErrDecode = errors.New("field cannot be decoded")

var errNilObject = fmt.Errorf("%w: nil object", store.ErrInvalid)

// marker is the field of an object that has no other, as a hash without fields is no key. No struct can have it.
const marker = "\x00"

// Options of Hashes. Prefix and TTL are required.
type Options struct {
	// Prefix begins every key in the store: "user:".
	Prefix string

	// TTL is how long an object lives after Save or Touch; or NoTTL.
	TTL time.Duration

	// Timeout is how long one call to the store may take; default DefaultTimeout, negative for no limit but the ctx's.
	// A store in this process needs none and gets none.
	Timeout time.Duration
}

// Hashes are objects of type T, each a hash. It is safe for concurrent use; make one per type with New.
type Hashes[T any] struct {
	st      store.Store
	o       Options
	timeout time.Duration // 0 for none
	ttl     string        // in ms, for scripts; "0" for none
	plan    *plan
	all     []*field // every field
}

// New makes Hashes on st. It does not touch the store; it fails for options or a type that make no sense: T must be a
// struct with at least one field to store, and no two under one name.
func New[T any](st store.Store, o Options) (*Hashes[T], error) {
	if o.Prefix == "" {
		return nil, fmt.Errorf("object: %w: no Prefix; choose one such as \"user:\"", store.ErrInvalid)
	}
	if o.TTL <= 0 && o.TTL != NoTTL {
		return nil, fmt.Errorf("object: %w: TTL %v, want more than 0, or NoTTL", store.ErrInvalid, o.TTL)
	}
	p, err := newPlan(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	h := &Hashes[T]{st: st, o: o, plan: p, all: p.fields, ttl: "0"}
	if o.TTL > 0 {
		h.ttl = strconv.FormatInt(store.Millis(o.TTL), 10)
	}
	switch {
	case store.InProcess(st) || o.Timeout < 0:
	case o.Timeout == 0:
		h.timeout = DefaultTimeout
	default:
		h.timeout = o.Timeout
	}
	return h, nil
}

// Save stores v as the whole object: what was there before is gone, and the TTL begins anew.
func (h *Hashes[T]) Save(ctx context.Context, id string, v *T) error {
	if v == nil {
		return h.wrap("save", id, errNilObject)
	}
	args := make([]string, 1, 1+2*len(h.all))
	args[0] = h.ttl
	rv := reflect.ValueOf(v).Elem()
	for _, f := range h.all {
		text, present, err := f.encode(rv.FieldByIndex(f.index))
		if err != nil {
			return h.wrap("save", id, err)
		}
		if present {
			args = append(args, f.name, text)
		}
	}
	if len(args) == 1 {
		args = append(args, marker, "1")
	}
	return h.wrap("save", id, h.run(ctx, saveScript, id, args).Err())
}

// Load reads the whole object. ok is false when there is none.
func (h *Hashes[T]) Load(ctx context.Context, id string) (v T, ok bool, err error) {
	return h.load(ctx, id, h.all)
}

// SaveFields writes the named fields of v and leaves the others and the TTL as they are. ok is false, and nothing
// written, when there is no object. An unknown name is ErrInvalid.
func (h *Hashes[T]) SaveFields(ctx context.Context, id string, v *T, names ...string) (ok bool, err error) {
	fields, err := h.plan.named(names)
	if v == nil {
		err = errNilObject
	}
	if err != nil {
		return false, h.wrap("save", id, err)
	}
	values := make([]reflect.Value, len(fields))
	rv := reflect.ValueOf(v).Elem()
	for i, f := range fields {
		values[i] = rv.FieldByIndex(f.index)
	}
	return h.patch(ctx, id, fields, values)
}

// LoadFields reads only the named fields; the others are zero. ok is false when there is no object.
func (h *Hashes[T]) LoadFields(ctx context.Context, id string, names ...string) (v T, ok bool, err error) {
	fields, err := h.plan.named(names)
	if err != nil {
		return v, false, h.wrap("load", id, err)
	}
	return h.load(ctx, id, fields)
}

// Delete removes objects. Missing ones are no error.
func (h *Hashes[T]) Delete(ctx context.Context, ids ...string) error {
	cmds := make([]store.Cmd, len(ids)) // not one DEL: on a Cluster the keys live apart
	for i, id := range ids {
		cmds[i] = store.Cmd{"DEL", h.o.Prefix + id}
	}
	ctx, cancel := h.bound(ctx)
	defer cancel()
	for i, r := range h.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			return h.wrap("delete", ids[i], err)
		}
	}
	return nil
}

// Touch lets the TTL begin anew, or ends it with NoTTL. ok is false when there is no object.
func (h *Hashes[T]) Touch(ctx context.Context, id string) (ok bool, err error) {
	ctx, cancel := h.bound(ctx)
	defer cancel()
	key := h.o.Prefix + id
	if h.o.TTL != NoTTL {
		ok, err = h.st.Do(ctx, "PEXPIRE", key, h.ttl).Bool()
		return ok, h.wrap("touch", id, err)
	}
	replies := h.st.Pipe(ctx, store.Cmd{"PERSIST", key}, store.Cmd{"EXISTS", key})
	if err = replies[0].Err(); err == nil {
		ok, err = replies[1].Bool()
	}
	return ok, h.wrap("touch", id, err)
}

// load reads fields. The marker goes along, so that any object answers something.
func (h *Hashes[T]) load(ctx context.Context, id string, fields []*field) (v T, ok bool, err error) {
	words := make([]string, 0, 3+len(fields))
	words = append(words, "HMGET", h.o.Prefix+id)
	for _, f := range fields {
		words = append(words, f.name)
	}
	words = append(words, marker)
	bounded, cancel := h.bound(ctx)
	defer cancel()
	list, err := h.st.Do(bounded, words...).Array()
	if err == nil && len(list) != len(fields)+1 {
		err = fmt.Errorf("%w: %d values for %d fields", store.ErrReply, len(list), len(fields)+1)
	}
	if err != nil {
		return v, false, h.wrap("load", id, err)
	}
	rv := reflect.ValueOf(&v).Elem()
	for i, f := range fields {
		text, present, err := list[i].Lookup()
		if err == nil && present {
			ok = true
			err = f.decode(text, rv.FieldByIndex(f.index))
		}
		if err != nil {
			var zero T
			return zero, false, h.wrap("load", id, err)
		}
	}
	if !ok && list[len(fields)].IsNil() {
		// All of these fields are absent. Mostly there is no object; but there may be one with other fields.
		ok, err = h.st.Do(bounded, "EXISTS", h.o.Prefix+id).Bool()
		return v, ok, h.wrap("load", id, err)
	}
	return v, true, nil
}

// patch writes single fields of an object that exists.
func (h *Hashes[T]) patch(ctx context.Context, id string, fields []*field, values []reflect.Value) (ok bool, err error) {
	sets, gone := make([]string, 1, 1+2*len(fields)), []string(nil)
	for i, f := range fields {
		text, present, err := f.encode(values[i])
		switch {
		case err != nil:
			return false, h.wrap("save", id, err)
		case present:
			sets = append(sets, f.name, text)
		default:
			gone = append(gone, f.name)
		}
	}
	sets[0] = strconv.Itoa(len(sets) / 2)
	ok, err = h.run(ctx, patchScript, id, append(sets, gone...)).Bool()
	return ok, h.wrap("save", id, err)
}

func (h *Hashes[T]) run(ctx context.Context, s *store.Script, id string, args []string) store.Reply {
	ctx, cancel := h.bound(ctx)
	defer cancel()
	return h.st.Run(ctx, s, []string{h.o.Prefix + id}, args...)
}

func (h *Hashes[T]) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, h.timeout)
}

func (h *Hashes[T]) wrap(op, id string, err error) error {
	return store.Wrap("object", op, h.o.Prefix+id, err)
}
