package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

// The strings of store.StringTx: what GETRANGE, STRLEN and SET do, without their words. They are counted as part of
// the script, not as commands.

var _ store.StringTx = (*scriptTx)(nil)

// GetRange appends a part of a string to dst and tells the size of the whole.
func (t *scriptTx) GetRange(key string, from, n int, dst []byte) (part []byte, size int, err error) {
	k, tx := lend(key), t.c.Tx
	if !tx.Holds(tx.Mask(k)) {
		return dst, 0, store.ServerError(errScriptKey)
	}
	tx.Step()
	e, err := tx.FindKind(k, engine.String)
	if err != nil {
		return dst, 0, scriptError(err)
	}
	if e == nil {
		return dst, 0, nil
	}
	value := e.Value()
	from = min(max(from, 0), len(value))
	return append(dst, value[from:from+min(max(n, 0), len(value)-from)]...), len(value), nil
}

// SetString stores a string, with a time to live in milliseconds unless that is 0.
func (t *scriptTx) SetString(key string, value []byte, ttlMillis int64) error {
	k, c := lend(key), t.c
	switch {
	case t.readOnly:
		return store.ServerError(errScriptWrite)
	case !c.Tx.Holds(c.Tx.Mask(k)):
		return store.ServerError(errScriptKey)
	case t.lacksMemory():
		return store.ServerError(engine.ErrOutOfMemory)
	}
	t.wrote = true
	c.Tx.Step()
	c.Tx.StartCommand()
	if c.Tx.Journaling() {
		value = slices.Clone(value) // the effects outlive the call
	}
	return scriptError(c.set(k, value, ttlMillis))
}

// scriptError makes an engine's error what Do would have answered.
func scriptError(err error) error {
	if e, ok := err.(engine.Error); ok {
		return store.ServerError(e)
	}
	return err
}
