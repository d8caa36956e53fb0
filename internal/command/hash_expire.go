package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/number"
)

// Fields of hashes that expire: the commands of Redis 7.4. What is past its time is
// gone before a command sees it (see the engine's Lookup), so nothing here, nor in
// any other command of hashes, asks whether a field has expired.

func hashExpireRows() []Command {
	const (
		acl   = CatHash
		group = "hash"
		since = "7.4.0"
		cost  = "O(N) where N is the number of fields named"
	)
	set := func(name, summary string) Command {
		return Command{Name: name, Arity: -6, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Update), Group: group,
			Since: since, Cost: cost, Summary: summary, Run: hexpire}
	}
	ask := func(name, summary string) Command {
		return Command{Name: name, Arity: -5, Flags: ReadOnly | Fast, ACL: acl, Keys: Key(RO | Access), Group: group,
			Since: since, Cost: cost, Summary: summary, Run: httl}
	}
	rows := []Command{
		set("hexpire", "Sets the time to live of fields in seconds."),
		set("hpexpire", "Sets the time to live of fields in milliseconds."),
		set("hexpireat", "Sets when fields expire, in Unix seconds."),
		set("hpexpireat", "Sets when fields expire, in Unix milliseconds."),
		ask("httl", "Tells the time to live of fields in seconds."),
		ask("hpttl", "Tells the time to live of fields in milliseconds."),
		ask("hexpiretime", "Tells when fields expire, in Unix seconds."),
		ask("hpexpiretime", "Tells when fields expire, in Unix milliseconds."),
		{Name: "hpersist", Arity: -5, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Update), Group: group, Since: since,
			Cost: cost, Summary: "Takes the time to live off fields.", Run: hpersist},
	}
	for i := range rows {
		if n := rows[i].Name; n == "httl" || n == "hpttl" {
			rows[i].Tips = []string{"nondeterministic_output"}
		}
	}
	return rows
}

// What the commands answer of a field.
const (
	noSuchField   = -2 // there is no such field, or no such key
	noFieldExpiry = -1 // it has no expiry
	expiryRefused = 0  // the condition was not met
	expirySet     = 1
	expiredAtOnce = 2 // it was removed, because the time lies in the past
)

const (
	errFieldsWord   engine.Error = "ERR Mandatory argument FIELDS is missing or not at the right position"
	errFieldsMatch  engine.Error = "ERR The `numfields` parameter must match the number of arguments"
	errFieldsCount  engine.Error = "ERR Number of fields must be a positive integer"
	errFieldsCount2 engine.Error = "ERR Parameter `numFields` should be greater than 0" // of HEXPIRE and its kin
	errPastExpiry   engine.Error = "ERR invalid expire time, must be >= 0"
)

// fieldArgs reads FIELDS, their number and the fields, which begin with FIELDS at
// argument i and go on to the end. invalid is the error for a number that is none.
func (c *Ctx) fieldArgs(i int, invalid engine.Error) ([][]byte, error) {
	if i >= len(c.Args) || !c.Is(i, "FIELDS") {
		return nil, errFieldsWord
	}
	n, ok := number.ParseInt(arg(c.Args, i+1))
	if !ok || n < 1 {
		return nil, invalid
	}
	if fields := c.Args[i+2:]; int64(len(fields)) == n {
		return fields, nil
	}
	return nil, errFieldsMatch
}

// fieldTime reads when fields are to expire, in Unix milliseconds.
func (c *Ctx) fieldTime(i int, u unit) (int64, error) {
	n, err := c.IntArg(i)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, errPastExpiry
	}
	scale, base := int64(1000), c.Tx.Now()
	if u.millis {
		scale = 1
	}
	if u.absolute {
		base = 0
	}
	if n > hash.MaxExpiry/scale || n*scale > hash.MaxExpiry-base {
		return 0, engine.Error("ERR invalid expire time in '" + c.Row.full + "' command")
	}
	return n*scale + base, nil
}

// fieldOutcomes is what became of the fields of a command that sets their expiry.
type fieldOutcomes struct{ set, gone [][]byte }

// expireField lets a field that is there expire, or removes it if the time lies in the past.
func (c *Ctx) expireField(e *table.Entry, field []byte, at int64, done *fieldOutcomes) int64 {
	if at <= c.Tx.Now() {
		hash.Delete(e, field)
		done.gone = append(done.gone, field)
		return expiredAtOnce
	}
	hash.SetExpiry(e, field, at)
	done.set = append(done.set, field)
	return expirySet
}

// hexpire is HEXPIRE, HPEXPIRE, HEXPIREAT and HPEXPIREAT.
func hexpire(c *Ctx) {
	key := c.Args[1]
	e, ok := c.Edit(1, engine.Hash)
	if !ok {
		return
	}
	at, err := c.fieldTime(2, expireUnits[c.Row.Name[1:]])
	if err != nil {
		c.Fail(err)
		return
	}
	o, next := c.fieldCondition(3)
	fields, err := c.fieldArgs(next, errFieldsCount2)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Out.Array(len(fields))
	var done fieldOutcomes
	for _, field := range fields {
		result := int64(noSuchField)
		if e != nil {
			switch old, there := hash.Expiry(e, field); {
			case !there:
			case !o.allows(old, at):
				result = expiryRefused
			default:
				result = c.expireField(e, field, at, &done)
			}
		}
		c.Out.Int(result)
	}
	switch {
	case len(done.gone) > 0:
		c.finishFields(e, key, at, done, engine.EventHDel)
	case len(done.set) > 0:
		c.finishFields(e, key, at, done, engine.EventHExpire)
	}
}

// fieldCondition reads one condition, if there is one at argument i, and says where the arguments go on.
func (c *Ctx) fieldCondition(i int) (o expireOptions, next int) {
	if o.read(c, i) {
		i++
	}
	return o, i
}

// finishFields tells that fields got an expiry or were removed for it.
func (c *Ctx) finishFields(e *table.Entry, key []byte, at int64, done fieldOutcomes, ev engine.Event) {
	c.Tx.ExpectFields(e, key)
	c.Tx.Finish(e, key, ev)
	if !c.Tx.Journaling() {
		return
	}
	if n := len(done.set); n > 0 {
		c.Tx.Effect(append([][]byte{words("HPEXPIREAT"), key, intWord(at), words("FIELDS"), intWord(int64(n))}, done.set...)...)
	}
	if len(done.gone) > 0 {
		c.Tx.Effect(append([][]byte{words("HDEL"), key}, done.gone...)...)
	}
}

// httl is HTTL, HPTTL, HEXPIRETIME and HPEXPIRETIME.
func httl(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	fields, err := c.fieldArgs(2, errFieldsCount)
	if err != nil {
		c.Fail(err)
		return
	}
	u := expireUnits[c.Row.Name[1:]]
	c.Out.Array(len(fields))
	for _, field := range fields {
		result := int64(noSuchField)
		if e != nil {
			if at, there := hash.Expiry(e, field); there {
				result = c.fieldLeft(at, u)
			}
		}
		c.Out.Int(result)
	}
}

// fieldLeft says when a field expires in the unit that is asked for; seconds are rounded up.
func (c *Ctx) fieldLeft(at int64, u unit) int64 {
	if at == 0 {
		return noFieldExpiry
	}
	if !u.absolute {
		at -= c.Tx.Now()
	}
	if !u.millis {
		at = (at + 999) / 1000
	}
	return at
}

func hpersist(c *Ctx) {
	e, ok := c.Edit(1, engine.Hash)
	if !ok {
		return
	}
	fields, err := c.fieldArgs(2, errFieldsCount)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Out.Array(len(fields))
	changed := false
	for _, field := range fields {
		result := int64(noSuchField)
		if e != nil {
			switch at, there := hash.Expiry(e, field); {
			case !there:
			case at == 0:
				result = noFieldExpiry
			default:
				result, changed = expirySet, true
				hash.SetExpiry(e, field, 0)
			}
		}
		c.Out.Int(result)
	}
	if changed {
		c.Tx.Changed(c.Args[1], engine.EventHPersist)
	}
}
