package command

import (
	"errors"
	"time"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

// runScript runs a Go body.
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
	if text := t.s.p.refusal(row.Flags, true); text != "" {
		return fail(engine.Error(text))
	}
	switch {
	case t.readOnly && row.Flags&Write != 0:
		return fail(errScriptWrite)
	case row.Flags&DenyOOM != 0 && t.lacksMemory():
		return fail(engine.ErrOutOfMemory)
	case row.lock(t.words) != LockKeys && !c.Tx.Holds(^uint64(0)):
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
