package command_test

import (
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
)

// script registers a two-body script of the given Lua text, which is never run.
func (r *rig) script(lua string, body func(tx store.Tx, keys, args []string) store.Reply) *store.Script {
	s := &store.Script{Name: "test", Lua: lua, Go: body}
	r.Register(s)
	return s
}

func TestEvalSHA(t *testing.T) {
	r := newRig(t)
	sc := r.script("return ARGV[1]", func(_ store.Tx, _, args []string) store.Reply { return store.Bulk(args[0]) })
	sha, c := sc.SHA(), r.main
	c.want("NOSCRIPT No matching script. Please use EVAL.", "EVALSHA", sha, "0", "a")
	c.want("[(0) (0)]", "SCRIPT", "EXISTS", sha, "x")
	c.want(sha, "SCRIPT", "LOAD", sc.Lua)
	c.want("a", "EVALSHA", sha, "0", "a")
	c.want("a", "EVALSHA", strings.ToUpper(sha), "0", "a")
	c.want("[(1) (1) (0)]", "SCRIPT", "EXISTS", sha, strings.ToUpper(sha), sha[:39])
	c.want("OK", "SCRIPT FLUSH")
	c.want("NOSCRIPT No matching script. Please use EVAL.", "EVALSHA", sha, "0", "a")
	c.want("b", "EVAL", sc.Lua, "0", "b")
	c.want("b", "EVALSHA", sha, "0", "b") // EVAL loads
}
