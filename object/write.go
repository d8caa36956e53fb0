package object

import (
	"context"
	"fmt"
	"reflect"
	"strconv"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// change is what is to be written of an object.
type change struct {
	sets     []string // field, value
	expiring []string // field, ms
	gone     []string
}

func (c *change) note(f *field, text string, present bool) {
	switch {
	case f.version: // the script's
	case !present:
		c.gone = append(c.gone, f.name)
	default:
		c.sets = append(c.sets, f.name, text)
		if f.ttl != "" {
			c.expiring = append(c.expiring, f.name, f.ttl)
		}
	}
}

// take notes fields of a struct.
func (c *change) take(v reflect.Value, fields []*field) error {
	for _, f := range fields {
		text, present, err := f.of(v)
		if err != nil {
			return err
		}
		c.note(f, text, present)
	}
	return nil
}

// args are the script's.
func (c *change) args(mode, ttl, stamp, expected string) []string {
	args := make([]string, 0, 6+len(c.sets)+len(c.expiring)+len(c.gone))
	args = append(args, mode, ttl, stamp, expected, strconv.Itoa(len(c.sets)/2), strconv.Itoa(len(c.expiring)/2))
	return append(append(append(args, c.sets...), c.expiring...), c.gone...)
}

// save writes a whole object. expected gives the version that must be there, or nothing.
func (h *Hashes[T]) save(ctx context.Context, id string, v *T, expected func(reflect.Value) string) error {
	if v == nil {
		return h.wrap("save", id, errNilObject)
	}
	rv := reflect.ValueOf(v).Elem()
	c := change{sets: make([]string, 0, 2*len(h.all))}
	if err := c.take(rv, h.all); err != nil {
		return h.wrap("save", id, err)
	}
	if len(c.sets) == len(c.expiring) { // nothing that stays
		c.sets = append(c.sets, marker, "1")
	}
	c.gone = nil
	want := expected(rv)
	if want == noVersion {
		return h.wrap("save", id, errNoVersion)
	}
	return h.do(ctx, "save", id, func(ctx context.Context) (string, error) {
		state, version, err := h.write(ctx, id, c.args("s", h.ttl, h.stamp, want))
		switch {
		case err != nil:
			return "", err
		case state < 0:
			h.conflicts.Add(1)
			return "", ErrConflict
		}
		h.saves.Add(1)
		h.setVersion(rv, version)
		return observe.OK, nil
	})
}

// patch writes single fields of an object that exists.
func (h *Hashes[T]) patch(ctx context.Context, verb, id string, c *change) (ok bool, err error) {
	err = h.do(ctx, verb, id, func(ctx context.Context) (string, error) {
		state, _, err := h.write(ctx, id, c.args("p", "0", h.stamp, ""))
		if ok = state == 1; ok {
			h.saves.Add(1)
		}
		return done(ok), err
	})
	return ok && err == nil, err
}

// write runs the script: 1 done, 0 no object, -1 another version.
func (h *Hashes[T]) write(ctx context.Context, id string, args []string) (state, version int64, err error) {
	list, err := h.st.Run(ctx, writeScript, []string{h.o.Prefix + id}, args...).Ints()
	if err == nil && len(list) != 2 {
		err = fmt.Errorf("%w: %d elements, want 2", store.ErrReply, len(list))
	}
	if err != nil {
		return 0, 0, err
	}
	return list[0], list[1], nil
}

const noVersion = "none"

var errNoVersion = fmt.Errorf("%w: the type has no version: give it an int64 with `larder:\"v,version\"`", store.ErrInvalid)

// versionOf is the version of v as the script takes it.
func (h *Hashes[T]) versionOf(v reflect.Value) string {
	if h.plan.version == nil {
		return noVersion
	}
	at, _ := h.plan.version.in(v)
	return strconv.FormatInt(max(at.Int(), 0), 10)
}

func (h *Hashes[T]) setVersion(v reflect.Value, version int64) {
	if h.plan.version != nil {
		h.plan.version.make(v).SetInt(version)
	}
}

// Update changes an object: it loads it, calls change, and writes only the fields that change made differ, if the object's
// version is still the one that was loaded. If it is not, all of this is done again, up to Options.Attempts times; then it
// is ErrConflict. change may run several times, each time on a fresh copy, and should have no other effect; its error ends
// the matter and is returned as it is.
//
// v is the object as it is stored now. ok is false, and change is not called, when there is no object. The TTL stays. T needs
// a version. Two round trips per attempt, one if nothing differs.
func (h *Hashes[T]) Update(ctx context.Context, id string, change func(*T) error) (v T, ok bool, err error) {
	var zero T
	if h.plan.version == nil {
		return zero, false, h.wrap("update", id, errNoVersion)
	}
	for range h.o.Attempts {
		var again bool
		if v, ok, again, err = h.attempt(ctx, id, change); err != nil {
			return zero, false, err
		}
		if !again {
			return v, ok, nil
		}
		h.conflicts.Add(1)
	}
	return zero, false, h.wrap("update", id, ErrConflict)
}

// attempt is one of Update. again is true if somebody else was faster.
func (h *Hashes[T]) attempt(ctx context.Context, id string, fn func(*T) error) (v T, ok, again bool, err error) {
	var old []store.Reply
	err = h.do(ctx, "load", id, func(ctx context.Context) (string, error) {
		var err error
		if old, err = h.st.Do(ctx, readCmd(h.o.Prefix+id, h.wanted)...).Array(); err == nil {
			ok, err = decodeAll(old, h.all, reflect.ValueOf(&v).Elem())
		}
		return h.found(ok, err)
	})
	if err != nil || !ok {
		return v, false, false, err
	}
	rv := reflect.ValueOf(&v).Elem()
	expected := h.versionOf(rv)
	if err := fn(&v); err != nil {
		return v, false, false, err
	}
	c, err := h.differing(rv, old)
	if err != nil {
		return v, false, false, h.wrap("update", id, err)
	}
	if len(c.sets)+len(c.gone) == 0 {
		return v, true, false, nil
	}
	err = h.do(ctx, "update", id, func(ctx context.Context) (string, error) {
		state, version, err := h.write(ctx, id, c.args("p", "0", h.stamp, expected))
		if err != nil {
			return "", err
		}
		if again = state != 1; again { // deleted meanwhile is changed meanwhile: the next attempt sees it
			return "conflict", nil
		}
		h.saves.Add(1)
		h.setVersion(rv, version)
		return observe.OK, nil
	})
	return v, true, again, err
}

// differing is what a struct has otherwise than was read.
func (h *Hashes[T]) differing(v reflect.Value, old []store.Reply) (c change, err error) {
	for i, f := range h.all {
		text, present, err := f.of(v)
		if err != nil {
			return c, err
		}
		if was, had, _ := old[i].Lookup(); had != present || was != text {
			c.note(f, text, present)
		}
	}
	return c, nil
}
