package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/number"
)

// Commands of Redis 8 that read or write fields and do one thing more to them.

func hashExRows() []Command {
	const (
		acl   = CatHash
		group = "hash"
		since = "8.0.0"
		cost  = "O(N) where N is the number of fields named"
	)
	return []Command{
		{Name: "hgetex", Arity: -5, Flags: Write | Fast, ACL: acl, Keys: []KeySpec{{Flags: RW | Access | Update, Notes: "RW and UPDATE because it changes the TTL", Begin: 1, Step: 1}}, Group: group, Since: since,
			Cost: cost, Summary: "Reads fields and sets or takes off their time to live.", Run: hgetEx},
		{Name: "hsetex", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: acl, Keys: Key(RW | Update), Group: group, Since: since,
			Cost: cost, Summary: "Gives fields their values and a time to live.", Run: hsetEx},
		{Name: "hgetdel", Arity: -5, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: since,
			Cost: cost, Summary: "Reads fields and removes them.", Run: hgetDel},
	}
}

// replyField replies the value of a field, null if there is none, and reports whether it is there.
func (c *Ctx) replyField(e *table.Entry, field []byte) bool {
	if e != nil {
		if v, found := hash.Get(e, field); found {
			c.value(v)
			return true
		}
	}
	c.Out.Null()
	return false
}

func hgetDel(c *Ctx) {
	key := c.Args[1]
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
	deleted := false
	for _, field := range fields {
		if c.replyField(e, field) {
			hash.Delete(e, field)
			deleted = true
		}
	}
	if deleted {
		c.Tx.Finish(e, key, engine.EventHDel)
		c.Tx.Effect(append([][]byte{words("HDEL"), key}, fields...)...)
	}
}

// hgetExOptions is what HGETEX is to do to the fields that it reads.
type hgetExOptions struct {
	persist, expire bool
	at              int64
	fields          [][]byte
}

func (c *Ctx) hgetExOptions() (o hgetExOptions, err error) {
	var kind string
	var u unit
	next := 2
	switch {
	case c.Is(2, "PERSIST"):
		o.persist, next = true, 3
	case c.expiryWord(2, &kind, &u):
		if o.at, err = c.fieldTime(3, u); err != nil {
			return o, err
		}
		o.expire, next = true, 4
	}
	o.fields, err = c.fieldArgs(next, errFieldsCount)
	return o, err
}

func hgetEx(c *Ctx) {
	key := c.Args[1]
	e, ok := c.Edit(1, engine.Hash)
	if !ok {
		return
	}
	o, err := c.hgetExOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	c.Out.Array(len(o.fields))
	var done fieldOutcomes
	persisted := false
	for _, field := range o.fields {
		if !c.replyField(e, field) {
			continue
		}
		switch at, _ := hash.Expiry(e, field); {
		case o.persist && at != 0:
			persisted = true
			hash.SetExpiry(e, field, 0)
		case o.expire:
			c.expireField(e, field, o.at, &done)
		}
	}
	switch {
	case persisted:
		c.Tx.Changed(key, engine.EventHPersist)
		c.Tx.Effect(append([][]byte{words("HPERSIST"), key, words("FIELDS"), intWord(int64(len(o.fields)))}, o.fields...)...)
	case len(done.set) > 0:
		c.finishFields(e, key, o.at, done, engine.EventHExpire)
	case len(done.gone) > 0:
		c.finishFields(e, key, o.at, done, engine.EventHDel)
	}
}

const (
	errFieldConditions engine.Error = "ERR Only one of FXX or FNX arguments can be specified"
	errFieldExpiries   engine.Error = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
	errFieldNoExpiry   engine.Error = "ERR missing expire time"
	errFieldNumber     engine.Error = "ERR invalid number of fields"
)

// hsetExOptions are the arguments of HSETEX.
type hsetExOptions struct {
	fnx, fxx, keep, expire bool
	at                     int64
	pairs                  [][]byte
}

func (c *Ctx) hsetExOptions() (o hsetExOptions, err error) {
	for i := 2; i < len(c.Args); i++ {
		var kind string
		var u unit
		switch {
		case c.Is(i, "FIELDS"):
			o.pairs, err = c.fieldPairs(i)
			return o, err
		case c.Is(i, "KEEPTTL"):
			if o.keep || o.expire {
				return o, errFieldExpiries
			}
			o.keep = true
		case c.expiryWord(i, &kind, &u):
			if o.keep || o.expire {
				return o, errFieldExpiries
			}
			if i++; i == len(c.Args) {
				return o, errFieldNoExpiry
			}
			o.expire = true
			if o.at, err = c.fieldTime(i, u); err != nil {
				return o, err
			}
		case c.Is(i, "FNX"), c.Is(i, "FXX"):
			if o.fnx || o.fxx {
				return o, errFieldConditions
			}
			o.fnx = c.Is(i, "FNX")
			o.fxx = !o.fnx
		default:
			return o, engine.Error("ERR unknown argument: " + clip(string(c.Args[i]), len(c.Args[i])))
		}
	}
	return o, c.arityError()
}

// arityError is the error of a command with too many or too few words.
func (c *Ctx) arityError() error {
	return engine.Error("ERR wrong number of arguments for '" + c.Row.full + "' command")
}

// fieldPairs reads FIELDS at argument i, their number, and fields with their values to the end.
func (c *Ctx) fieldPairs(i int) ([][]byte, error) {
	if i >= len(c.Args)-3 {
		return nil, c.arityError()
	}
	n, ok := number.ParseInt(c.Args[i+1])
	if !ok || n < 1 || n > math.MaxInt32 {
		return nil, errFieldNumber
	}
	pairs := c.Args[i+2:]
	if int64(len(pairs)) != 2*n {
		return nil, c.arityError()
	}
	return pairs, nil
}

func hsetEx(c *Ctx) {
	o, err := c.hsetExOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.Hash)
	if !ok {
		return
	}
	if (o.fnx || o.fxx) && !o.met(e) {
		c.Out.Int(0)
		return
	}
	if e == nil {
		e = c.Tx.Create(c.Args[1], engine.Hash, hash.InitLen, 0)
		hash.Init(e)
	}
	c.setFields(e, &o)
	c.Out.Int(1)
}

// met tells whether the condition on the fields of a hash, which may be missing, is met: none of them is there, or all are.
func (o *hsetExOptions) met(e *table.Entry) bool {
	for i := 0; i < len(o.pairs); i += 2 {
		there := false
		if e != nil {
			_, there = hash.Get(e, o.pairs[i])
		}
		if there == o.fnx {
			return false
		}
	}
	return true
}

func (c *Ctx) setFields(e *table.Entry, o *hsetExOptions) {
	key, lim := c.Args[1], c.Limits().Hash
	if !o.keep && !o.expire {
		hash.SetMany(e, lim, o.pairs)
		c.Tx.Changed(key, engine.EventHSet)
		return
	}
	hash.Expect(e, lim, o.pairs)
	var done fieldOutcomes
	for i := 0; i < len(o.pairs); i += 2 {
		hash.Update(e, lim, o.pairs[i], o.pairs[i+1])
		if o.expire {
			c.expireField(e, o.pairs[i], o.at, &done)
		}
	}
	c.Tx.ExpectFields(e, key)
	c.Tx.Changed(key, engine.EventHSet)
	switch {
	case len(done.gone) > 0:
		c.Tx.Finish(e, key, engine.EventHDel)
		c.Tx.Effect(append([][]byte{words("HDEL"), key}, done.gone...)...)
	case o.expire:
		c.Tx.Note(key, engine.EventHExpire)
		if c.Tx.Journaling() {
			n := intWord(int64(len(o.pairs) / 2))
			c.Tx.Effect(append([][]byte{words("HSETEX"), key, words("PXAT"), intWord(o.at), words("FIELDS"), n}, o.pairs...)...)
		}
	}
}
