package command

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

// scripts are the two-body scripts that are known by the SHA-1 of their Lua text.
type scripts struct {
	seen   sync.Map // *store.Script: those that add was called with
	mu     sync.RWMutex
	known  map[string]*store.Script
	loaded map[string]bool // by SCRIPT LOAD or EVAL: what SCRIPT EXISTS answers
}

func (s *scripts) add(sc *store.Script) {
	sha := sc.SHA()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[string]*store.Script)
		s.loaded = make(map[string]bool)
	}
	s.known[sha] = sc
}

// ensure is add for a script that most likely is known.
func (s *scripts) ensure(sc *store.Script) {
	if _, ok := s.seen.Load(sc); !ok {
		s.add(sc)
		s.seen.Store(sc, true)
	}
}

// bySHA finds a script by its SHA-1 in hexadecimal, of any case; a client must have loaded it before, as on Redis.
func (s *scripts) bySHA(hexSum []byte) *store.Script {
	sha := strings.ToLower(string(hexSum))
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.loaded[sha] {
		return nil
	}
	return s.known[sha]
}

// load finds the script of a text and marks it as loaded.
func (s *scripts) load(text []byte) (sha string, sc *store.Script) {
	sum := sha1.Sum(text)
	sha = hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc = s.known[sha]; sc != nil {
		s.loaded[sha] = true
	}
	return sha, sc
}

// count is the number of scripts that clients have loaded.
// size is the number of scripts that are loaded, and the bytes of their texts.
func (s *scripts) size() (n, bytes int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for sha := range s.loaded {
		bytes += len(s.known[sha].Lua)
	}
	return len(s.loaded), bytes
}

// flush forgets what clients have loaded.
func (s *scripts) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.loaded)
}

func scriptRows() []Command {
	return []Command{
		{Name: "eval", Arity: -3, Flags: NoScript | Stale | SkipMonitor | MayReplicate | NoMandatoryKeys | MovableKeys, ACL: CatScripting,
			Keys: []KeySpec{KeyCount(RW|Access|Update, 2)}, Group: "scripting", Since: "2.6.0", Cost: "that of the script",
			Summary: "Runs a script given by its text.", Run: eval},
		{Name: "evalsha", Arity: -3, Flags: NoScript | Stale | SkipMonitor | MayReplicate | NoMandatoryKeys | MovableKeys, ACL: CatScripting,
			Keys: []KeySpec{KeyCount(RW|Access|Update, 2)}, Group: "scripting", Since: "2.6.0", Cost: "that of the script",
			Summary: "Runs a script given by the SHA-1 of its text.", Run: evalSHA},
		{Name: "script", Arity: -2, Group: "scripting", Since: "2.6.0", Cost: "depends on the subcommand",
			Summary: "Manages the scripts that are loaded.", Subs: []Command{
				{Name: "load", Arity: 3, Flags: NoScript | Stale, ACL: CatScripting, Group: "scripting", Since: "2.6.0",
					Cost: "O(N) where N is the length of the text", Summary: "Loads a script and answers its SHA-1.",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}, Run: scriptLoad},
				{Name: "exists", Arity: -3, Flags: NoScript, ACL: CatScripting, Group: "scripting", Since: "2.6.0",
					Cost: "O(N) where N is the number of scripts asked for", Summary: "Tells which scripts are loaded.",
					Tips: []string{"request_policy:all_shards", "response_policy:agg_logical_and"}, Run: scriptExists},
				{Name: "flush", Arity: -2, Flags: NoScript, ACL: CatScripting, Group: "scripting", Since: "2.6.0",
					Cost: "O(N) where N is the number of scripts", Summary: "Forgets all loaded scripts.",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}, Run: scriptFlush},
			}},
	}
}

const (
	errNoScript engine.Error = "NOSCRIPT No matching script. Please use EVAL."
	errForeign  engine.Error = "ERR this server runs Larder's own scripts only; general Lua is not there yet"
)

func scriptLoad(c *Ctx) {
	sha, sc := c.scripts.load(c.Args[2])
	if sc == nil {
		c.Fail(errForeign)
		return
	}
	c.Out.BulkString(sha)
}

func scriptExists(c *Ctx) {
	c.Out.Array(len(c.Args) - 2)
	for _, sha := range c.Args[2:] {
		c.Bool(c.scripts.bySHA(sha) != nil)
	}
}

func scriptFlush(c *Ctx) {
	if len(c.Args) > 3 || len(c.Args) == 3 && !c.Is(2, "SYNC") && !c.Is(2, "ASYNC") {
		c.FailText("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	c.scripts.flush()
	c.OK()
}

func eval(c *Ctx) {
	n, ok := c.scriptKeys()
	if !ok {
		return
	}
	_, sc := c.scripts.load(c.Args[1])
	if sc == nil {
		c.Fail(errForeign)
		return
	}
	c.runScript(sc, n)
}

func evalSHA(c *Ctx) {
	n, ok := c.scriptKeys()
	if !ok {
		return
	}
	sc := c.scripts.bySHA(c.Args[1])
	if sc == nil {
		c.Fail(errNoScript)
		return
	}
	c.runScript(sc, n)
}

// scriptKeys reads the number of keys of EVAL and its kin.
func (c *Ctx) scriptKeys() (int, bool) {
	n, err := c.IntArg(2)
	switch {
	case err != nil:
		c.Fail(err)
	case n > int64(len(c.Args)-3):
		c.FailText("ERR Number of keys can't be greater than number of args")
	case n < 0:
		c.FailText("ERR Number of keys can't be negative")
	default:
		return int(n), true
	}
	return 0, false
}

func (c *Ctx) runScript(sc *store.Script, n int) {
	words := make([]string, len(c.Args)-3)
	for i, a := range c.Args[3:] {
		words[i] = string(a)
	}
	reply := c.Session.script(c, sc, words[:n], words[n:])
	writeReply(c, reply)
}

// script runs the Go body. The shards of the keys are locked already. What the
// body selects is forgotten with its end.
func (s *Session) script(c *Ctx, sc *store.Script, keys, args []string) store.Reply {
	saved, db := *c, s.db
	defer func() { // also when the body panics: an embedded session goes back to its pool
		*c, s.db = saved, db
		c.Tx.Use(db)
	}()
	t := &s.body // used again: scripts do not nest
	t.s, t.c, t.readOnly, t.wrote = s, c, sc.ReadOnly, false
	c.lua = true
	reply := sc.Go(t, keys, args)
	saved.failed = reply.Err() != nil
	c.Tx.StartCommand() // the script's commands have told their effects; EVAL itself is none
	return reply
}

// scriptTx is the store.Tx of a running body.
type scriptTx struct {
	s        *Session
	c        *Ctx
	readOnly bool
	wrote    bool // a command that writes has run: later ones run even without memory, as in Redis
	value    Value
	words    [][]byte
}

const (
	errScriptWrite  engine.Error = "ERR Write commands are not allowed from read-only scripts."
	errScriptDenied engine.Error = "ERR This Redis command is not allowed from script"
	errScriptKey    engine.Error = "ERR Script attempted to access a key of a shard that none of its declared keys is in"
)

// Do runs one command under the locks of the script.
func (t *scriptTx) Do(args ...string) store.Reply {
	t.words = AppendWords(t.words[:0], args)
	t.value.Reset(2)
	c := t.c
	row, refusal := t.s.p.resolve(t.words)
	switch {
	case refusal != "":
		return fail(engine.Error(refusal))
	case row.Flags&(NoScript|Immediate) != 0:
		return fail(errScriptDenied)
	}
	if denied := t.s.permitCalled(row, t.words); denied != "" {
		return fail(engine.Error(denied))
	}
	switch {
	case t.readOnly && row.Flags&Write != 0:
		return fail(errScriptWrite)
	case row.Flags&DenyOOM != 0 && t.lacksMemory():
		return fail(engine.ErrOutOfMemory)
	case row.Lock != LockKeys && !c.Tx.Holds(^uint64(0)):
		return fail(errScriptDenied)
	}
	if row.plain {
		if !c.Tx.Holds(c.Tx.Mask(t.words[1])) {
			return fail(errScriptKey)
		}
	} else if !c.Tx.Holds(keyMask(row, c.Tx, t.words)) {
		return fail(errScriptKey)
	}
	if c.Tx.Journaling() {
		t.words = appendCopies(nil, args) // the effects outlive the call
	}
	t.wrote = t.wrote || row.Flags&Write != 0
	c.Row, c.Args, c.Out = row, t.words, &t.value
	t.s.call(c)
	return t.value.Reply()
}

// lacksMemory tells whether a command that may need more memory is refused. Nothing may be half done for lack of
// memory, so only the first write of a script is.
func (t *scriptTx) lacksMemory() bool { return t.s.full && !t.wrote }

// Now is the instant of the transaction.
func (t *scriptTx) Now() time.Time { return time.UnixMilli(t.c.Tx.Now()) }

func fail(err engine.Error) store.Reply { return store.Fail(store.ServerError(err)) }

// AppendWords lends the bytes of strings: commands never write to their arguments.
func AppendWords(dst [][]byte, words []string) [][]byte {
	for _, w := range words {
		dst = append(dst, lend(w))
	}
	return dst
}

func appendCopies(dst [][]byte, words []string) [][]byte {
	for _, w := range words {
		dst = append(dst, []byte(w))
	}
	return dst
}

// writeReply tells an in-memory reply to a sink, in the shapes of RESP2.
func writeReply(c *Ctx, r store.Reply) {
	switch r.Kind() {
	case store.KindNil:
		c.Out.Null()
	case store.KindStatus:
		s, _ := r.Text()
		c.Out.Simple(s)
	case store.KindInt:
		n, _ := r.Int64()
		c.Out.Int(n)
	case store.KindError:
		c.FailText(wireText(r.Err()))
	case store.KindArray, store.KindSet, store.KindMap:
		elems, _ := r.Array()
		c.Out.Array(len(elems))
		for _, e := range elems {
			writeReply(c, e)
		}
	default:
		s, _ := r.Text()
		c.Out.BulkString(s)
	}
}

// wireText is what the error of a script's reply says on the wire: a server's error as it is, any other with a code.
func wireText(err error) string {
	var known store.ServerError
	if errors.As(err, &known) {
		return string(known)
	}
	return "ERR " + err.Error()
}
