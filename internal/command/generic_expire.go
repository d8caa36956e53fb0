package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
)

func expireRows() []Command {
	const group = "generic"
	row := func(name, since, summary string) Command {
		return Command{Name: name, Arity: -3, Flags: Write | Fast, ACL: CatKeyspace, Keys: Key(RW | Update), Group: group,
			Since: since, Cost: "O(1)", Summary: summary, Run: expire}
	}
	ask := func(name, since, summary string) Command {
		return Command{Name: name, Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: Key(RO | Access), Group: group,
			Since: since, Cost: "O(1)", Summary: summary, Run: ttl}
	}
	rows := []Command{
		row("expire", "1.0.0", "Sets the time to live of a key in seconds."),
		row("pexpire", "2.6.0", "Sets the time to live of a key in milliseconds."),
		row("expireat", "1.2.0", "Sets when a key expires, in Unix seconds."),
		row("pexpireat", "2.6.0", "Sets when a key expires, in Unix milliseconds."),
		ask("ttl", "1.0.0", "Tells the time to live of a key in seconds."),
		ask("pttl", "2.6.0", "Tells the time to live of a key in milliseconds."),
		ask("expiretime", "7.0.0", "Tells when a key expires, in Unix seconds."),
		ask("pexpiretime", "7.0.0", "Tells when a key expires, in Unix milliseconds."),
		{Name: "persist", Arity: 2, Flags: Write | Fast, ACL: CatKeyspace, Keys: Key(RW | Update), Group: group, Since: "2.2.0",
			Cost: "O(1)", Summary: "Takes the time to live off a key.", Run: persist},
	}
	for i := range rows {
		if n := rows[i].Name; n == "ttl" || n == "pttl" {
			rows[i].Tips = []string{"nondeterministic_output"}
		}
	}
	return rows
}

// expireUnits is what the four EXPIRE commands, and the four that ask, differ in.
var expireUnits = map[string]unit{
	"expire": {}, "pexpire": {millis: true}, "expireat": {absolute: true}, "pexpireat": {true, true},
	"ttl": {}, "pttl": {millis: true}, "expiretime": {absolute: true}, "pexpiretime": {true, true},
}

type expireOptions struct{ nx, xx, gt, lt bool }

// read takes the condition at an argument; false where there is none.
func (o *expireOptions) read(c *Ctx, i int) bool {
	switch {
	case c.Is(i, "NX"):
		o.nx = true
	case c.Is(i, "XX"):
		o.xx = true
	case c.Is(i, "GT"):
		o.gt = true
	case c.Is(i, "LT"):
		o.lt = true
	default:
		return false
	}
	return true
}

func (c *Ctx) expireOptions() (o expireOptions, err error) {
	for i := 3; i < len(c.Args); i++ {
		if !o.read(c, i) {
			return o, engine.Error("ERR Unsupported option " + clip(string(c.Args[i]), len(c.Args[i])))
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		return o, engine.Error("ERR NX and XX, GT or LT options at the same time are not compatible")
	case o.gt && o.lt:
		return o, engine.Error("ERR GT and LT options at the same time are not compatible")
	}
	return o, nil
}

// allows tells whether a key that expires at old (0: never) may expire at when.
func (o expireOptions) allows(old, when int64) bool {
	switch {
	case o.nx && old != 0, o.xx && old == 0:
		return false
	case o.gt && (old == 0 || when <= old):
		return false
	case o.lt && old != 0 && when >= old:
		return false
	}
	return true
}

// when reads the argument of EXPIRE and its kin, which may be negative.
func (c *Ctx) when(u unit) (int64, error) {
	n, err := c.IntArg(2)
	if err != nil {
		return 0, err
	}
	invalid := engine.Error("ERR invalid expire time in '" + c.Row.full + "' command")
	if !u.millis {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, invalid
		}
		n *= 1000
	}
	if !u.absolute {
		if n > math.MaxInt64-c.Tx.Now() {
			return 0, invalid
		}
		n += c.Tx.Now()
	}
	return n, nil
}

func expire(c *Ctx) {
	o, err := c.expireOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	when, err := c.when(expireUnits[c.Row.Name])
	if err != nil {
		c.Fail(err)
		return
	}
	key := c.Args[1]
	e := c.Tx.Edit(key)
	if e == nil || !o.allows(e.Expiry(), when) {
		c.Out.Int(0)
		return
	}
	if when <= c.Tx.Now() {
		c.Tx.Remove(e, key, engine.EventDel)
		c.Tx.Effect(words("UNLINK"), key)
	} else {
		e.SetExpiry(when)
		c.Tx.Changed(key, engine.EventExpire)
		if c.Tx.Journaling() {
			c.Tx.Effect(words("PEXPIREAT"), key, intWord(when))
		}
	}
	c.Out.Int(1)
}

// ttl is TTL, PTTL, EXPIRETIME and PEXPIRETIME.
func ttl(c *Ctx) {
	e := c.Tx.Lookup(c.Args[1], engine.NoTouch)
	if e == nil {
		c.Out.Int(-2)
		return
	}
	at := e.Expiry()
	if at == 0 {
		c.Out.Int(-1)
		return
	}
	u := expireUnits[c.Row.Name]
	if !u.absolute {
		at = max(at-c.Tx.Now(), 0)
	}
	if !u.millis {
		at = at/1000 + (at%1000+500)/1000 // (at+500)/1000 would overflow at the far end of time
	}
	c.Out.Int(at)
}

func persist(c *Ctx) {
	e := c.Tx.Edit(c.Args[1])
	if e == nil || e.Expiry() == 0 {
		c.Out.Int(0)
		return
	}
	e.SetExpiry(0)
	c.Tx.Changed(c.Args[1], engine.EventPersist)
	c.Out.Int(1)
}
