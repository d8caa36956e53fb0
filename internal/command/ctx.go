package command

import (
	"errors"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
)

// Ctx is one running command: what it was given and what it works on.
type Ctx struct {
	*Processor
	Session *Session
	Row     *Command
	Tx      *engine.Tx
	Args    [][]byte // Args[0] is the name; borrowed: gone when the command ends
	Out     Sink

	failed bool     // an error was replied
	found  scripted // what a command that runs a script runs, when it runs alone
	lua    bool     // a script runs it
	alone  bool     // not inside EXEC or a script: may block
	late   bool     // it has blocked: the reply comes later
}

// Errors that many commands answer.
const (
	errSyntax     engine.Error = "ERR syntax error"
	errNotInteger engine.Error = "ERR value is not an integer or out of range"
	errNotFloat   engine.Error = "ERR value is not a valid float"
	errNegative   engine.Error = "ERR value is out of range, must be positive"
	errNoKey      engine.Error = engine.ErrNoSuchKey
	errOverflow   engine.Error = "ERR increment or decrement would overflow"
	errIndex      engine.Error = "ERR index out of range"
	errTooLong    engine.Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
)

// Fail replies an error. One that is not an engine.Error gets the code ERR.
func (c *Ctx) Fail(err error) {
	text := "ERR " + err.Error()
	var known engine.Error
	if errors.As(err, &known) {
		text = string(known)
	}
	c.failed = true
	c.stats.failure(text)
	c.Out.Error(text)
}

// FailText replies an error, code included.
func (c *Ctx) FailText(text string) { c.Fail(engine.Error(text)) }

// OK replies OK.
func (c *Ctx) OK() { c.Out.Simple("OK") }

// IntArg parses an argument as a signed 64-bit integer as Redis does: no sign
// but '-', no leading zeros, no spaces.
func (c *Ctx) IntArg(i int) (int64, error) {
	n, ok := number.ParseInt(c.Args[i])
	if !ok {
		return 0, errNotInteger
	}
	return n, nil
}

// FloatArg parses an argument as a floating-point number; NaN is refused.
func (c *Ctx) FloatArg(i int) (float64, error) {
	f, ok := number.ParseFloat(c.Args[i])
	if !ok {
		return 0, errNotFloat
	}
	return f, nil
}

// Is tells whether an argument is the given word, in any case. word is upper case.
func (c *Ctx) Is(i int, word string) bool { return isWord(c.Args[i], word) }

func isWord(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// Read finds the key at an argument for reading; the record is nil where there
// is none. ok is false when the type was wrong, and then the error is replied.
func (c *Ctx) Read(i int, k engine.Kind) (e *table.Entry, ok bool) {
	e, err := c.Tx.FindKind(c.Args[i], k)
	if err != nil {
		c.Fail(err)
		return nil, false
	}
	return e, true
}

// Edit finds the key at an argument for changing; the record is nil where there
// is none. ok is false when the type was wrong, and then the error is replied.
func (c *Ctx) Edit(i int, k engine.Kind) (e *table.Entry, ok bool) {
	e, err := c.Tx.EditKind(c.Args[i], k)
	if err != nil {
		c.Fail(err)
		return nil, false
	}
	return e, true
}

// Limits are the thresholds in force.
func (c *Ctx) Limits() *engine.Limits { return c.Tx.Engine().Limits() }

// Bool replies 1 or 0, as most of Redis's commands answer a yes or no.
func (c *Ctx) Bool(b bool) {
	if b {
		c.Out.Int(1)
	} else {
		c.Out.Int(0)
	}
}
