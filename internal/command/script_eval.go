package command

import (
	"github.com/larderdb/larder/internal/script"
)

func scriptRows() []Command {
	const group, cost = "scripting", "that of the script"
	run := func(name, since, summary string, flags Flag, use KeyFlag, fn func(*Ctx)) Command {
		return Command{Name: name, Arity: -3, Flags: NoScript | Stale | SkipMonitor | NoMandatoryKeys | MovableKeys | Scripted | flags,
			ACL: CatScripting, Keys: []KeySpec{KeyCount(use, 2)}, Group: group, Since: since, Cost: cost, Summary: summary, Run: fn}
	}
	return []Command{
		run("eval", "2.6.0", "Runs a script given by its text.", MayReplicate, RW|Access|Update, eval),
		run("evalsha", "2.6.0", "Runs a script given by the SHA-1 of its text.", MayReplicate, RW|Access|Update, evalSHA),
		run("eval_ro", "7.0.0", "Runs a script given by its text that only reads.", ReadOnly, RO|Access, eval),
		run("evalsha_ro", "7.0.0", "Runs a script given by the SHA-1 of its text that only reads.", ReadOnly, RO|Access, evalSHA),
		run("fcall", "7.0.0", "Runs a function.", MayReplicate, RW|Access|Update, fcall),
		run("fcall_ro", "7.0.0", "Runs a function that only reads.", ReadOnly, RO|Access, fcall),
		{Name: "script", Arity: -2, Group: group, Since: "2.6.0", Cost: "depends on the subcommand",
			Summary: "Manages the scripts that are loaded.", Subs: scriptSubs()},
		{Name: "function", Arity: -2, Group: group, Since: "7.0.0", Cost: "depends on the subcommand",
			Summary: "Manages libraries of functions.", Subs: functionSubs()},
	}
}

// scripted is what a command is about to run.
type scripted struct {
	script *cachedScript
	fn     *libraryFunction
}

// script finds what a command runs. Nothing is found where the words are wrong or there is no such script: the command
// will say so. A text that is new is compiled.
func (c *Ctx) script(row *Command, args [][]byte) (s scripted) {
	switch row.Name {
	case "eval", "eval_ro":
		s.script, _ = c.scripts.load(args[1], false)
	case "evalsha", "evalsha_ro":
		s.script = c.scripts.find(args[1])
	default:
		s.fn = c.scripts.libs.function(args[1])
	}
	return s
}

// running is what the command runs. One that runs alone has found it already, for its locks.
func (c *Ctx) running() scripted {
	if c.alone {
		return c.found
	}
	return c.script(c.Row, c.Args)
}

// flags are what the script declares. ok is false where there is none, and of two-body scripts.
func (s scripted) flags() (f scriptFlags, ok bool) {
	switch {
	case s.fn != nil:
		return s.fn.flags, true
	case s.script != nil && s.script.native == nil:
		return s.script.flags, true
	}
	return 0, false
}

// locksAll tells whether the script needs the whole keyspace: it may touch keys that it has not declared.
func (s scripted) locksAll() bool {
	f, ok := s.flags()
	if !ok {
		return s.script == nil // there may be one when the locks are taken
	}
	return f&flagKeyLocking == 0
}

// flags are those of a command, and where it runs a script those that the script declares.
func (c *Ctx) flags(row *Command, args [][]byte) Flag {
	if row.Flags&Scripted == 0 {
		return row.Flags
	}
	return c.script(row, args).commandFlags(row.Flags)
}

// commandFlags are the flags of the command that runs it.
func (s scripted) commandFlags(of Flag) Flag {
	if f, ok := s.flags(); ok && f&flagDeclared != 0 {
		return f.commandFlags(of)
	}
	return of
}

func eval(c *Ctx) {
	n, ok := c.scriptKeys()
	if !ok {
		return
	}
	e := c.running().script
	if e == nil { // once more, to learn why
		var err error
		if e, err = c.scripts.load(c.Args[1], false); err != nil {
			c.FailText("ERR " + err.Error())
			return
		}
	}
	c.runCached(e, n)
}

func evalSHA(c *Ctx) {
	e := c.running().script
	if e == nil && len(c.Args[1]) != 40 {
		c.Fail(errNoScript)
		return
	}
	n, ok := c.scriptKeys()
	if !ok {
		return
	}
	if e == nil {
		c.Fail(errNoScript)
		return
	}
	c.runCached(e, n)
}

// scriptKeys reads the number of keys of EVAL and its kin.
func (c *Ctx) scriptKeys() (int, bool) {
	n, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return 0, false
	}
	return c.keyCount(n)
}

func (c *Ctx) keyCount(n int64) (int, bool) {
	switch {
	case n > int64(len(c.Args)-3):
		c.FailText("ERR Number of keys can't be greater than number of args")
	case n < 0:
		c.FailText("ERR Number of keys can't be negative")
	default:
		return int(n), true
	}
	return 0, false
}

func (c *Ctx) runCached(e *cachedScript, n int) {
	e.used.Store(c.scripts.clock.Add(1))
	if e.native != nil {
		c.runScript(e.native, n)
		return
	}
	c.runLua(e.sha, e.flags, true, func(r *script.Run) script.Result {
		return c.scripts.lua.Eval(r, e.chunk, c.Args[3:3+n], c.Args[3+n:])
	})
}

func fcall(c *Ctx) {
	fn := c.running().fn
	if fn == nil {
		c.FailText("ERR Function not found")
		return
	}
	count, err := c.IntArg(2)
	if err != nil {
		c.FailText("ERR Bad number of keys provided")
		return
	}
	n, ok := c.keyCount(count)
	if !ok {
		return
	}
	c.runLua(fn.name, fn.flags, false, func(r *script.Run) script.Result {
		return fn.library.lua.Call(r, fn.name, c.Args[3:3+n], c.Args[3+n:], scriptFlagNames[:])
	})
}

// runLua runs a script under the locks of the command and replies what it gave.
func (c *Ctx) runLua(name string, flags scriptFlags, eval bool, run func(r *script.Run) script.Result) {
	s := c.Session
	readOnly := c.Row.Flags&ReadOnly != 0
	why := flags.refusal(readOnly, s.full)
	if why == "" && flags&(flagDeclared|flagNoWrites) == flagDeclared {
		why = c.refusal(Write, true)
	}
	if why != "" {
		c.FailText(why)
		return
	}
	saved, db := *c, s.db
	h := s.host()
	c.lua = true
	h.begin(name, flags, eval, readOnly)
	res := run(&h.run)
	h.end()
	*c, s.db = saved, db
	c.Tx.Use(db)
	c.Tx.StartCommand() // the script's commands have told their effects; EVAL itself is none
	switch text, counted, is := res.Returned(); {
	case res.Failed():
		text, counted := res.Error(name)
		c.failWith(text, counted)
	case is:
		c.failWith(text, counted)
	default:
		res.Write(c.Out)
	}
}

// failWith replies an error that was perhaps counted already.
func (c *Ctx) failWith(text string, counted bool) {
	if !counted {
		c.FailText(text)
		return
	}
	c.failed = true
	c.Out.Error(text)
}
