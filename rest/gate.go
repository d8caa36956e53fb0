package rest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/larderdb/larder/store"
)

// gate knows which commands may come over HTTP. What a command does it learns from the Store's COMMAND INFO, once for each.
type gate struct {
	st    store.Store
	known sync.Map // lower-case name, or "name|sub": traits
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
	name := strings.ToLower(words[0])
	switch name {
	case "client":
		if len(words) > 1 && strings.EqualFold(words[1], "setinfo") {
			return verdict{reply: store.Status("OK"), done: true}
		}
		return verdict{err: refusal(name)}
	case "shutdown", "debug", "replicaof", "slaveof", "failover", "exec", "multi":
		return verdict{err: refusal(name)}
	}
	if store.Stateful(words) {
		return verdict{err: refusal(name)}
	}
	t, err := g.traits(ctx, name, words)
	switch {
	case err != nil:
		return verdict{err: err}
	case t.blocks && (name != "xread" && name != "xreadgroup" || blocks(words)):
		return verdict{err: refusal(name)}
	case readOnly && (!t.reads || name == "scan" || name == "keys"):
		return verdict{err: noPermission(name)}
	}
	return verdict{write: !t.reads}
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
func (g *gate) traits(ctx context.Context, name string, words []string) (traits, error) {
	switch name {
	case "ping", "echo":
		return traits{reads: true}, nil
	}
	v, ok := g.known.Load(name)
	if !ok {
		if err := g.learn(ctx, name); err != nil {
			return traits{}, err
		}
		if v, ok = g.known.Load(name); !ok {
			return traits{}, nil
		}
	}
	t, _ := v.(traits)
	if t.subs && len(words) > 1 {
		if v, ok := g.known.Load(name + "|" + strings.ToLower(words[1])); ok {
			t, _ = v.(traits)
		}
	}
	return t, nil
}

// learn asks the Store about a command. A name that it does not know is not kept: anybody may send any number of those.
func (g *gate) learn(ctx context.Context, name string) error {
	list, err := g.st.Do(ctx, "COMMAND", "INFO", name).Array()
	if err != nil {
		return fmt.Errorf("asking the store about '%s': %w", clip(name), err)
	}
	for _, info := range list {
		g.note(info, name)
	}
	return nil
}

// note keeps one element of COMMAND INFO: name, arity, flags, ..., and in tenth place the subcommands.
func (g *gate) note(info store.Reply, name string) {
	parts, err := info.Array()
	if err != nil || len(parts) < 3 {
		return
	}
	flags, err := parts[2].Strings()
	if err != nil {
		return
	}
	var t traits
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
					g.note(sub, strings.ToLower(full))
				}
			}
		}
	}
	g.known.Store(name, t)
}
