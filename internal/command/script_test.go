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

// TestScriptSelect: a script's SELECT is for the script alone.
func TestScriptSelect(t *testing.T) {
	r := newRig(t)
	sc := r.script("select", func(tx store.Tx, keys, _ []string) store.Reply {
		tx.Do("SELECT", "1")
		return tx.Do("SET", keys[0], "one")
	})
	c := r.main
	c.want("OK", "EVAL", sc.Lua, "1", "k")
	c.want("(nil)", "GET k")
	c.do("MULTI")
	c.do("EVAL", sc.Lua, "1", "k")
	c.do("SET k zero")
	c.want("[OK OK]", "EXEC")
	c.want("zero", "GET k")
	c.do("SELECT 1")
	c.want("one", "GET k")
}

// TestScriptPanics: a body that breaks its promise must not stop the store for everybody.
func TestScriptPanics(t *testing.T) {
	r := newRig(t)
	s := r.NewSession(nil)
	sc := r.script("panic", func(tx store.Tx, keys, _ []string) store.Reply {
		tx.Do("SELECT", "1")
		tx.Do("SELECT", "0")
		tx.Do("SET", keys[0], "v")
		panic("broken")
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.Run(sc, []string{"k"}, nil)
	}()
	r.main.want("v", "GET k")
	if v, found, err := s.GetString("k", nil); string(v) != "v" || !found || err != nil {
		t.Errorf("the session answers %q, %v, %v", v, found, err)
	}
}

// TestScriptWithoutMemory: as in Redis a script may free memory, and may not take any before it has written.
func TestScriptWithoutMemory(t *testing.T) {
	r := newRig(t)
	set := r.script("set", func(tx store.Tx, keys, _ []string) store.Reply { return tx.Do("SET", keys[0], "v") })
	free := r.script("free", func(tx store.Tx, keys, _ []string) store.Reply {
		tx.Do("DEL", keys[0])
		return tx.Do("SET", keys[0], "less")
	})
	r.main.do("SET k much")
	r.bound(-1) // less than is there already
	r.main.want(oom, "EVAL", set.Lua, "1", "k")
	if err := r.NewSession(nil).Run(set, []string{"k"}, nil).Err(); err == nil || err.Error() != oom {
		t.Errorf("Run: %v", err)
	}
	r.main.want("much", "GET k")
	r.main.want("OK", "EVAL", free.Lua, "1", "k")
	r.main.want("less", "GET k")
	if err := r.NewSession(nil).Run(free, []string{"k"}, nil).Err(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
