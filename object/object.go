package object

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// NoTTL as Options.TTL keeps objects until they are deleted.
const NoTTL = time.Duration(-1)

// DefaultTimeout is how long one call to the store may take.
const DefaultTimeout = 100 * time.Millisecond

// ErrDecode means that a stored field does not fit the struct's: somebody else wrote it, or the type has changed.
var ErrDecode = errors.New("field cannot be decoded")

// ErrConflict means that somebody else changed the object meanwhile.
var ErrConflict = errors.New("the object was changed meanwhile")

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

	// Codecs spell what the package does not know, or otherwise than it does: by type, or by name for the fields whose tag
	// names it.
	Codecs []Codec

	// Attempts is how often Update tries before it gives up with ErrConflict; default 10.
	Attempts int

	// Observer hears of "load" (observe.Hit, observe.Miss), "save", "update", "add" (observe.OK, observe.Miss, "conflict"),
	// "touch" and "delete".
	Observer observe.Observer
}

// DefaultAttempts is how often Update tries.
const DefaultAttempts = 10

// Hashes are objects of type T, each a hash. It is safe for concurrent use; make one per type with New.
type Hashes[T any] struct {
	st      store.Store
	o       Options
	timeout *store.CallTimeout
	ttl     string // in ms, for scripts; "0" for none
	plan    *plan
	stamp   string   // the version's field; empty for none
	all     []*field // every field
	wanted  []string // their names, and the marker: what Load reads
	counters
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
	if o.Attempts < 0 {
		return nil, fmt.Errorf("object: %w: Attempts %d, want 1 or more", store.ErrInvalid, o.Attempts)
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	p, err := newPlan(reflect.TypeFor[T](), o.Codecs)
	if err != nil {
		return nil, err
	}
	h := &Hashes[T]{st: st, o: o, plan: p, all: p.fields, wanted: wanted(p.fields), ttl: "0"}
	if p.version != nil {
		h.stamp = p.version.name
	}
	if o.TTL > 0 {
		h.ttl = strconv.FormatInt(store.Millis(o.TTL), 10)
	}
	h.timeout = store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)
	return h, nil
}

// Save stores v as the whole object: what was there before is gone, and the TTL begins anew. Where T has a version, v gets
// the new one.
func (h *Hashes[T]) Save(ctx context.Context, id string, v *T) error {
	return h.save(ctx, id, v, func(reflect.Value) string { return "" })
}

// SaveIf is Save, unless the object's version in the store is another than v's: then it is ErrConflict, and nothing is
// written. A v of version 0 must not have an object yet, or one that never had a version. It needs a T with a version, else it
// is ErrInvalid.
func (h *Hashes[T]) SaveIf(ctx context.Context, id string, v *T) error {
	return h.save(ctx, id, v, h.versionOf)
}

// Load reads the whole object. ok is false when there is none.
func (h *Hashes[T]) Load(ctx context.Context, id string) (v T, ok bool, err error) {
	return h.load(ctx, id, h.all, h.wanted)
}

// SaveFields writes the named fields of v and leaves the others and the object's TTL as they are. The name of a struct
// within means all its fields. ok is false, and nothing written, when there is no object. An unknown name is ErrInvalid.
func (h *Hashes[T]) SaveFields(ctx context.Context, id string, v *T, names ...string) (ok bool, err error) {
	fields, err := h.plan.named(names)
	if v == nil {
		err = errNilObject
	}
	var c change
	if err == nil {
		err = c.take(reflect.ValueOf(v).Elem(), fields)
	}
	if err != nil {
		return false, h.wrap("save", id, err)
	}
	return h.patch(ctx, "save", id, &c)
}

// LoadFields reads only the named fields; the others are zero. ok is false when there is no object.
func (h *Hashes[T]) LoadFields(ctx context.Context, id string, names ...string) (v T, ok bool, err error) {
	fields, err := h.plan.named(names)
	if err != nil {
		return v, false, h.wrap("load", id, err)
	}
	return h.load(ctx, id, fields, wanted(fields))
}

// Delete removes objects, in one round trip. Missing ones are no error.
func (h *Hashes[T]) Delete(ctx context.Context, ids ...string) error {
	cmds := make([]store.Cmd, len(ids)) // not one DEL: on a Cluster the keys live apart
	for i, id := range ids {
		cmds[i] = store.Cmd{"DEL", h.o.Prefix + id}
	}
	first := ""
	if len(ids) > 0 {
		first = ids[0]
	}
	return h.do(ctx, "delete", first, func(ctx context.Context) (string, error) {
		for i, r := range h.st.Pipe(ctx, cmds...) {
			if err := r.Err(); err != nil {
				return observe.Failed, h.wrap("delete", ids[i], err)
			}
		}
		return observe.OK, nil
	})
}

// Touch lets the TTL begin anew, or ends it with NoTTL. ok is false when there is no object.
func (h *Hashes[T]) Touch(ctx context.Context, id string) (ok bool, err error) {
	err = h.do(ctx, "touch", id, func(ctx context.Context) (string, error) {
		key := h.o.Prefix + id
		if h.o.TTL > 0 {
			ok, err = h.st.Do(ctx, "PEXPIRE", key, h.ttl).Bool()
			return done(ok), err
		}
		replies := h.st.Pipe(ctx, store.Cmd{"PERSIST", key}, store.Cmd{"EXISTS", key})
		if err = replies[0].Err(); err == nil {
			ok, err = replies[1].Bool()
		}
		return done(ok), err
	})
	return ok && err == nil, err
}

// load reads fields.
func (h *Hashes[T]) load(ctx context.Context, id string, fields []*field, names []string) (v T, ok bool, err error) {
	err = h.do(ctx, "load", id, func(ctx context.Context) (string, error) {
		key := h.o.Prefix + id
		var list []store.Reply
		list, err := h.st.Do(ctx, readCmd(key, names)...).Array()
		if err == nil {
			ok, err = decodeAll(list, fields, reflect.ValueOf(&v).Elem())
		}
		if err == nil && !ok {
			// All of these fields are absent. Mostly there is no object; but there may be one with other fields.
			ok, err = h.st.Do(ctx, "EXISTS", key).Bool()
		}
		return h.found(ok, err)
	})
	if err != nil {
		var zero T
		return zero, false, err
	}
	return v, ok, nil
}

// readCmd asks for fields. The marker is among the names, so that any object that the package wrote answers something.
func readCmd(key string, names []string) store.Cmd {
	return append(append(make(store.Cmd, 0, 2+len(names)), "HMGET", key), names...)
}

func wanted(fields []*field) []string {
	names := make([]string, 0, len(fields)+1)
	for _, f := range fields {
		names = append(names, f.name)
	}
	return append(names, marker)
}

// decodeAll sets the fields of v, which is zero. found is false where nothing answered.
func decodeAll(list []store.Reply, fields []*field, v reflect.Value) (found bool, err error) {
	if len(list) != len(fields)+1 {
		return false, fmt.Errorf("%w: %d values for %d fields", store.ErrReply, len(list), len(fields)+1)
	}
	for i, f := range fields {
		text, present, err := list[i].Lookup()
		if err == nil && present {
			found = true
			err = f.decode(text, f.make(v))
		}
		if err != nil {
			return false, err
		}
	}
	return found || !list[len(fields)].IsNil(), nil
}

// do runs an operation on the store within its time, observed and counted.
func (h *Hashes[T]) do(ctx context.Context, verb, id string, call func(context.Context) (result string, err error)) error {
	ctx, end := observe.Begin(ctx, h.o.Observer, observe.Op{Pattern: "object", Name: h.o.Prefix, Verb: verb, Key: id})
	ctx, cancel := h.timeout.Bound(ctx)
	defer cancel()
	result, err := call(ctx)
	if err == nil {
		end(result, nil)
		return nil
	}
	h.failed.Add(1)
	err = h.wrap(verb, id, err)
	end(observe.Failed, err)
	return err
}

func done(ok bool) string {
	if ok {
		return observe.OK
	}
	return observe.Miss
}

func (h *Hashes[T]) wrap(op, id string, err error) error {
	return store.Wrap("object", op, h.o.Prefix+id, err)
}
