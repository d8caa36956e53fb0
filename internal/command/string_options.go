package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/number"
)

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool

	compare *condition // what must be there; nil: anything

	expiry int64 // Unix milliseconds; 0: none given
	at     int   // the argument that says the expiry; 0: none
	unit   unit  // of that argument
}

// unit says how an expiry is given.
type unit struct {
	millis   bool
	absolute bool
}

// parseSet reads the options of SET (from argument 3) or GETEX (from 2), but not
// the value of the expiry: see readExpiry. Options that exclude each other are a syntax error.
func parseSet(c *Ctx, from int, isSet bool) (o setOptions, err error) {
	var kind string
	for i := from; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case isSet && c.Is(i, "NX") && !o.xx && o.compare == nil:
			o.nx = true
		case isSet && c.Is(i, "XX") && !o.nx && o.compare == nil:
			o.xx = true
		case isSet && more && !o.nx && !o.xx && o.compare == nil && c.condition(i, &o):
			i++
		case isSet && c.Is(i, "GET"):
			o.get = true
		case isSet && c.Is(i, "KEEPTTL") && kind == "":
			o.keepTTL = true
		case !isSet && c.Is(i, "PERSIST") && kind == "":
			o.persist = true
		case more && !o.keepTTL && !o.persist && c.expiryWord(i, &kind, &o.unit):
			i++
			o.at = i
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

// condition recognises a condition on what is there and takes it with its argument.
func (c *Ctx) condition(i int, o *setOptions) bool {
	want, ok := conditionWord(c.Args[i])
	if ok {
		want.value = c.Args[i+1]
		o.compare = &want
	}
	return ok
}

// isPlain tells whether the expiry is given as it is journaled.
func (o *setOptions) isPlain() bool { return o.unit == unit{millis: true, absolute: true} }

// readExpiry reads the expiry that the options name, if they do.
func (c *Ctx) readExpiry(o *setOptions) (err error) {
	if o.at != 0 {
		o.expiry, err = c.expiryArg(o.at, o.unit)
	}
	return err
}

// expiryWord recognises EX, PX, EXAT and PXAT, one kind of them per command.
func (c *Ctx) expiryWord(i int, kind *string, u *unit) bool {
	for _, k := range [...]struct {
		word string
		unit unit
	}{{"EX", unit{}}, {"PX", unit{millis: true}}, {"EXAT", unit{absolute: true}}, {"PXAT", unit{true, true}}} {
		if c.Is(i, k.word) && (*kind == "" || *kind == k.word) {
			*kind, *u = k.word, k.unit
			return true
		}
	}
	return false
}

// expiryArg reads an expiry that must be positive and turns it into Unix milliseconds.
func (c *Ctx) expiryArg(i int, u unit) (int64, error) {
	n, err := c.IntArg(i)
	if err != nil {
		return 0, err
	}
	invalid := engine.Error("ERR invalid expire time in '" + c.Row.full + "' command")
	if n <= 0 || !u.millis && n > math.MaxInt64/1000 {
		return 0, invalid
	}
	if !u.millis {
		n *= 1000
	}
	if !u.absolute {
		n += c.Tx.Now()
	}
	if n <= 0 {
		return 0, invalid
	}
	return n, nil
}

// words lends the bytes of a literal for an effect.
func words(s string) []byte { return []byte(s) }

// intWord is a number as a word of an effect.
func intWord(n int64) []byte { return number.AppendInt(nil, n) }
