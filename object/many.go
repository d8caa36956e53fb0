package object

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// LoadMany reads objects in one round trip (a second one where some have none of T's fields). The result has those that
// exist, by id. What could be read is in it even if others failed: err then has all their errors.
func (h *Hashes[T]) LoadMany(ctx context.Context, ids ...string) (map[string]T, error) {
	out := make(map[string]T, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	cmds := make([]store.Cmd, len(ids))
	for i, id := range ids {
		cmds[i] = readCmd(h.o.Prefix+id, h.wanted)
	}
	err := h.do(ctx, "load", "", func(ctx context.Context) (string, error) {
		var failed []error
		var unsure []string
		hits := 0
		for i, r := range h.st.Pipe(ctx, cmds...) {
			var v T
			list, err := r.Array()
			ok := false
			if err == nil {
				ok, err = decodeAll(list, h.all, reflect.ValueOf(&v).Elem())
			}
			switch {
			case err != nil:
				failed = append(failed, h.wrap("load", ids[i], err))
			case ok:
				out[ids[i]] = v
			case h.maybeElsewhere():
				unsure = append(unsure, ids[i])
			}
		}
		failed = append(failed, h.existing(ctx, unsure, out)...)
		for _, id := range ids { // the same one may be there twice
			if _, ok := out[id]; ok {
				hits++
			}
		}
		h.hits.Add(uint64(hits))
		h.misses.Add(uint64(max(len(ids)-len(failed)-hits, 0)))
		return observe.OK, errors.Join(failed...)
	})
	return out, err
}

// maybeElsewhere tells whether an object may exist of which no field answered: one that others wrote.
func (h *Hashes[T]) maybeElsewhere() bool {
	for _, f := range h.all {
		if !f.optional {
			return false
		}
	}
	return true
}

// existing adds the zero T for objects that exist although they have none of its fields.
func (h *Hashes[T]) existing(ctx context.Context, ids []string, out map[string]T) (failed []error) {
	if len(ids) == 0 {
		return nil
	}
	cmds := make([]store.Cmd, len(ids))
	for i, id := range ids {
		cmds[i] = store.Cmd{"EXISTS", h.o.Prefix + id}
	}
	for i, r := range h.st.Pipe(ctx, cmds...) {
		var zero T
		if ok, err := r.Bool(); err != nil {
			failed = append(failed, h.wrap("load", ids[i], err))
		} else if ok {
			out[ids[i]] = zero
		}
	}
	return failed
}

// Stats counts what Hashes did in this process since they were made.
type Stats struct {
	Hits      uint64 // objects and fields that were read
	Misses    uint64 // objects that were not there
	Saves     uint64 // writes: Save, SaveIf, SaveFields, Set, Update, Add
	Conflicts uint64 // another version was there: SaveIf, and each attempt of Update
	Failed    uint64 // calls that failed
}

type counters struct{ hits, misses, saves, conflicts, failed atomic.Uint64 }

// Stats is a snapshot of the counters.
func (h *Hashes[T]) Stats() Stats {
	c := &h.counters
	return Stats{c.hits.Load(), c.misses.Load(), c.saves.Load(), c.conflicts.Load(), c.failed.Load()}
}

// found counts a read that went well, and is its result.
func (c *counters) found(ok bool, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case ok:
		c.hits.Add(1)
		return observe.Hit, nil
	}
	c.misses.Add(1)
	return observe.Miss, nil
}

func hasAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
