package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/store"
)

// gate knows which commands may come over HTTP. What a command does it learns from the Store's COMMAND INFO, once for each.
type gate struct {
	st    store.Store
	known atomic.Pointer[map[string]traits] // by lower-case name, or "name|sub"; never changed, but replaced
	mu    sync.Mutex                        // for who replaces it
}

// traits of a command.
type traits struct {
	reads, blocks, subs bool
}

// refusal says that a command has no place here.
func refusal(name string) error {
	return store.ServerError(fmt.Sprintf("ERR Command is not available over REST: '%s'", strings.ToUpper(clip(name))))
}

// noPermission is what the read-only token is told.
func noPermission(name string) error {
	return store.ServerError(fmt.Sprintf("NOPERM this user has no permissions to run the '%s' command or its subcommand", strings.ToLower(clip(name))))
}

// clip bounds what an error quotes.
func clip(s string) string { return s[:min(len(s), 64)] }

// verdict of the gate.
type verdict struct {
	err   error       // it is refused
	reply store.Reply // its answer, if it is not to be run
	done  bool        // reply counts
	write bool        // it may change something
}

// judge decides about a command.
func (g *gate) judge(ctx context.Context, words []string, readOnly bool) verdict {
	if len(words) == 0 || words[0] == "" {
		return verdict{err: store.ServerError("ERR empty command")}
	}
	var buf [maxName]byte
	name := string(appendLower(buf[:0], words[0])) // on the stack
	switch name {
	case "client":
		if len(words) > 1 && strings.EqualFold(words[1], "setinfo") {
			return verdict{reply: store.Status("OK"), done: true}
		}
		return verdict{err: refusal(words[0])}
	case "shutdown", "debug", "replicaof", "slaveof", "failover", "exec", "multi":
		return verdict{err: refusal(words[0])}
	}
	if store.Stateful(words) {
		return verdict{err: refusal(words[0])}
	}
	t, err := g.traits(ctx, words)
	if busy := store.ServerError(""); errors.As(err, &busy) { // a script runs, or data are loaded: SCRIPT KILL is to come through
		t, err = traits{blocks: store.TraitsOf(words).Blocks}, nil
		if readOnly {
			err = busy
		}
	}
	switch {
	case err != nil:
		return verdict{err: err}
	case t.blocks && (name != "xread" && name != "xreadgroup" || blocks(words)):
		return verdict{err: refusal(words[0])}
	case readOnly && (!t.reads || notForReaders(name)):
		return verdict{err: noPermission(words[0])}
	}
	return verdict{write: !t.reads}
}

// notForReaders are the commands that read and that the read-only token may not run all the same: those that list keys, and
// scripts, which may call those and keep the store busy for as long as they like. ACL's category @read is without scripts, too.
func notForReaders(name string) bool {
	switch name {
	case "scan", "keys", "eval_ro", "evalsha_ro", "fcall_ro":
		return true
	}
	return false
}

// maxName is longer than any command's name, with a subcommand's.
const maxName = 32

// appendLower appends so much of a name in lower case as could be a command's, and one byte more of one that could not.
func appendLower(dst []byte, name string) []byte {
	for i := 0; i < len(name) && len(dst) < maxName; i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// blocks tells whether XREAD or XREADGROUP has BLOCK among its options, which end with STREAMS.
func blocks(words []string) bool {
	for i := 1; i < len(words) && !strings.EqualFold(words[i], "streams"); i++ {
		switch {
		case strings.EqualFold(words[i], "block"):
			return true
		case strings.EqualFold(words[i], "group"):
			i += 2 // their names may be anything
		}
	}
	return false
}

// traits of a command, or of its subcommand. What the Store does not know it will refuse itself; for the gate it writes.
func (g *gate) traits(ctx context.Context, words []string) (traits, error) {
	var buf [maxName]byte
	name := appendLower(buf[:0], words[0])
	switch string(name) {
	case "ping", "echo":
		return traits{reads: true}, nil
	}
	t, ok := g.lookup(name)
	if !ok {
		if err := g.learn(ctx, strings.ToLower(words[0])); err != nil {
			return traits{}, err
		}
		if t, ok = g.lookup(name); !ok {
			return traits{}, nil
		}
	}
	if t.subs && len(words) > 1 {
		if sub, ok := g.lookup(appendLower(append(name, '|'), words[1])); ok {
			t = sub
		}
	}
	return t, nil
}

func (g *gate) lookup(name []byte) (t traits, ok bool) {
	if m := g.known.Load(); m != nil {
		t, ok = (*m)[string(name)]
	}
	return t, ok
}

// learn asks the Store about a command. A name that it does not know is not kept: anybody may send any number of those.
func (g *gate) learn(ctx context.Context, name string) error {
	if len(name) >= maxName {
		return nil // the Store knows none as long
	}
	list, err := g.st.Do(ctx, "COMMAND", "INFO", name).Array()
	if err != nil {
		return fmt.Errorf("asking the store about '%s': %w", clip(name), err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := map[string]traits{}
	if old := g.known.Load(); old != nil {
		maps.Copy(next, *old)
	}
	for _, info := range list {
		note(next, info, name)
	}
	g.known.Store(&next)
	return nil
}

// note keeps one element of COMMAND INFO: name, arity, flags, ..., and in tenth place the subcommands.
func note(known map[string]traits, info store.Reply, name string) {
	parts, err := info.Array()
	if err != nil || len(parts) < 3 {
		return
	}
	flags, err := parts[2].Strings()
	if err != nil {
		return
	}
	t := traits{blocks: store.TraitsOf([]string{name}).Blocks || name == "xread" || name == "xreadgroup"} // Redis before 7 flags none, and 7.0 not WAIT
	for _, f := range flags {
		switch f {
		case "readonly":
			t.reads = true
		case "blocking":
			t.blocks = true
		}
	}
	if len(parts) > 9 {
		subs, _ := parts[9].Array() //nolint:errcheck // none
		t.subs = len(subs) > 0
		for _, sub := range subs {
			if own, err := sub.Array(); err == nil && len(own) > 0 {
				if full, err := own[0].Text(); err == nil {
					note(known, sub, strings.ToLower(full))
				}
			}
		}
	}
	known[name] = t
}
