package rest

import (
	"context"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// SCAN ... WITHTYPE is Upstash's own: it answers each key with its type behind it. The Store gets an ordinary SCAN, then a TYPE
// for each key found; a key that is gone by then is left out.

// sentAs is a command as the Store gets it.
func sentAs(words []string) []string {
	words, _ = withoutType(words)
	return words
}

// shaped is the Store's reply to a command as clients over HTTP expect it.
func (u *user) shaped(ctx context.Context, words []string, r store.Reply) store.Reply {
	r = asRESP2(words, r)
	if _, typed := withoutType(words); typed {
		return addTypes(ctx, u.st, r)
	}
	return r
}

// withoutType takes the option off; typed tells that it was there.
func withoutType(words []string) (scan []string, typed bool) {
	if len(words) < 3 || !strings.EqualFold(words[0], "scan") {
		return words, false
	}
	for i := 2; i < len(words); i++ {
		switch {
		case strings.EqualFold(words[i], "withtype"):
			return append(slices.Clone(words[:i]), words[i+1:]...), true
		case strings.EqualFold(words[i], "match"), strings.EqualFold(words[i], "count"), strings.EqualFold(words[i], "type"):
			i++ // its value may be anything
		}
	}
	return words, false
}

// addTypes is the reply to a SCAN, with types.
func addTypes(ctx context.Context, st store.Store, r store.Reply) store.Reply {
	step, err := r.Array()
	if err != nil || len(step) != 2 {
		return r
	}
	keys, err := step[1].Strings()
	if err != nil || len(keys) == 0 {
		return r
	}
	cmds := make([]store.Cmd, len(keys))
	for i, k := range keys {
		cmds[i] = store.Cmd{"TYPE", k}
	}
	flat := make([]store.Reply, 0, 2*len(keys))
	for i, t := range st.Pipe(ctx, cmds...) {
		kind, err := t.Text()
		if err != nil {
			return store.Fail(err)
		}
		if kind != "none" {
			flat = append(flat, store.Bulk(keys[i]), store.Bulk(kind))
		}
	}
	return store.ArrayOf(step[0], store.ArrayOf(flat...))
}
