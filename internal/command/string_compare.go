package command

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/xxh3"
)

// Commands on strings that newer servers have: those that first look at what is
// there, as Redis 8.4 and Valkey 9 have them, or at its digest, and INCREX.

func compareRows() []Command {
	const group = "string"
	return []Command{
		{Name: "delifeq", Arity: 3, Flags: Write, ACL: CatString, Keys: Key(RM | Access | Delete), Group: group, Since: "9.0.0",
			Cost: "O(1)", Summary: "Deletes a key if it holds a certain string.", Run: delIfEq},
		{Name: "delex", Arity: -2, Flags: Write | Fast, ACL: CatString, Keys: Key(RW | Delete), Group: group, Since: "8.4.0",
			Cost:    "O(1), or O(N) to compare digests where N is the length of the string",
			Summary: "Deletes a key, on a condition if one is given.", Run: delEx},
		{Name: "digest", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Keys: Key(RO | Access), Group: group, Since: "8.4.0",
			Cost: "O(N) where N is the length of the string", Summary: "Tells the digest of a string, in hexadecimal.", Run: digest},
		{Name: "msetex", Arity: -4, Flags: Write | DenyOOM, ACL: CatString,
			Keys: []KeySpec{{Flags: OW | Update, Begin: 1, NumKeys: true, First: 1, Step: 2}}, Group: group, Since: "8.4.0",
			Cost: "O(N) where N is the number of keys", Summary: "Stores several strings with a time to live, on a condition if one is given.",
			Tips: []string{"request_policy:multi_shard", "response_policy:all_succeeded"}, Run: msetEx},
		{Name: "increx", Arity: -2, Flags: Write | DenyOOM | Fast, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "8.8.0",
			Cost: "O(1)", Summary: "Adds to a number within bounds and sets its time to live.", Run: incrEx},
	}
}

// condition is what a command wants of the string that is there.
type condition struct {
	value  []byte
	differ bool // it must not be this value
	digest bool // value is a digest
}

// conditionWord reads the word of a condition; false if it is none.
func conditionWord(word []byte) (d condition, ok bool) {
	d.differ, d.digest = isWord(word, "IFNE") || isWord(word, "IFDNE"), isWord(word, "IFDEQ") || isWord(word, "IFDNE")
	return d, d.differ || d.digest || isWord(word, "IFEQ")
}

// met tells whether the string at a key is as wanted. A missing key equals nothing.
func (d *condition) met(tx *engine.Tx, key []byte) (bool, error) {
	e, err := tx.EditKind(key, engine.String)
	switch {
	case err != nil:
		return false, err
	case e == nil:
		return d.differ, nil
	case d.digest:
		return bytes.EqualFold(digestOf(e.Value()), d.value) != d.differ, nil
	}
	return bytes.Equal(e.Value(), d.value) != d.differ, nil
}

// digestOf is a string's digest: sixteen hexadecimal digits.
func digestOf(value []byte) []byte { return fmt.Appendf(nil, "%016x", xxh3.Sum64(value)) }

func digest(c *Ctx) {
	e, ok := c.Read(1, engine.String)
	switch {
	case !ok:
	case e == nil:
		c.Out.Null()
	default:
		c.Out.Bulk(digestOf(e.Value()))
	}
}

func delIfEq(c *Ctx) {
	e, ok := c.Edit(1, engine.String)
	if !ok {
		return
	}
	equal := e != nil && bytes.Equal(e.Value(), c.Args[2])
	if equal {
		c.Tx.Remove(e, c.Args[1], engine.EventDel)
		c.Tx.Effect(words("DEL"), c.Args[1])
	}
	c.Bool(equal)
}

func delEx(c *Ctx) {
	key := c.Args[1]
	switch len(c.Args) {
	case 2:
		c.Bool(c.Tx.Delete(key))
		return
	case 4:
	default:
		c.Fail(c.arityError())
		return
	}
	want, known := conditionWord(c.Args[2])
	want.value = c.Args[3]
	e := c.Tx.Edit(key)
	switch {
	case e == nil:
		c.Out.Int(0)
		return
	case engine.Kind(e.Kind()) != engine.String:
		c.FailText("ERR Key should be of string type if conditions are specified")
		return
	case !known:
		c.FailText("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
		return
	}
	holds, err := want.met(c.Tx, key)
	if err != nil {
		c.Fail(err)
		return
	}
	if holds {
		c.Tx.Remove(e, key, engine.EventDel)
		c.Tx.Effect(words("DEL"), key)
	}
	c.Bool(holds)
}

func msetEx(c *Ctx) {
	pairs, o, err := c.msetExArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	if o.nx || o.xx {
		for i := 0; i < len(pairs); i += 2 {
			if c.Tx.Exists(pairs[i]) == o.nx {
				c.Out.Int(0)
				return
			}
			c.Tx.Step()
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		c.store(pairs[i], pairs[i+1], o)
		c.Tx.Step()
	}
	if o.keepTTL || o.expiry == 0 { // else each has told its effect
		c.Tx.Effect(slices.Concat([][]byte{words("MSETEX"), c.Args[1]}, pairs, keepWord(o.keepTTL))...)
	}
	c.Out.Int(1)
}

func keepWord(keep bool) [][]byte {
	if keep {
		return [][]byte{words("KEEPTTL")}
	}
	return nil
}

// msetExArgs reads the number of keys, the keys with their values, and the options.
func (c *Ctx) msetExArgs() (pairs [][]byte, o setOptions, err error) {
	n, ok := number.ParseInt(c.Args[1])
	if !ok || n < 1 || n > math.MaxInt32 {
		return nil, o, engine.Error("ERR invalid numkeys value")
	}
	if 2*n > int64(len(c.Args)-2) {
		return nil, o, engine.Error("ERR wrong number of key-value pairs")
	}
	end := 2 + 2*int(n)
	if o, err = parseSet(c, end, true); err == nil && (o.get || o.compare != nil) {
		err = errSyntax
	}
	if err == nil {
		err = c.readExpiry(&o)
	}
	return c.Args[2:end], o, err
}
