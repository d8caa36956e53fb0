package command

import (
	"errors"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/rdb"
)

func dumpRows() []Command {
	restoring := func(name, group, since, summary string, flags Flag) Command {
		return Command{Name: name, Arity: -4, Flags: Write | DenyOOM | flags, ACL: CatKeyspace | CatDangerous, Keys: Key(OW | Update),
			Group: group, Since: since, Cost: "O(N) where N is the size of the value", Summary: summary, Run: restore}
	}
	return []Command{
		{Name: "dump", Arity: 2, Flags: ReadOnly, ACL: CatKeyspace, Keys: Key(RO | Access), Group: "generic", Since: "2.6.0",
			Cost: "O(N) where N is the size of the value", Summary: "Writes a value in the form that RESTORE takes.",
			Tips: []string{"nondeterministic_output"}, Run: dumpKey},
		restoring("restore", "generic", "2.6.0", "Makes a key of what DUMP has written.", 0),
		restoring("restore-asking", "server", "3.0.0", "RESTORE as nodes of a cluster call it.", Asking|SysCmd),
	}
}

const (
	errBusyKey    engine.Error = "BUSYKEY Target key name already exists."
	errBadPayload engine.Error = "ERR DUMP payload version or checksum are wrong"
	errBadData    engine.Error = "ERR Bad data format"
)

func dumpKey(c *Ctx) {
	e := c.Tx.Find(c.Args[1])
	if e == nil {
		c.Out.Null()
		return
	}
	c.Out.Bulk(dump.Payload(e, c.compressDumps()))
}

func (c *Ctx) compressDumps() bool { return c.Config.Settings().RDBCompression }

// restoreOptions are what may follow the payload.
type restoreOptions struct {
	replace, absolute bool
	idle, freq        int64 // -1: not given
}

func (c *Ctx) restoreOptions() (o restoreOptions, err error) {
	o.idle, o.freq = -1, -1
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "REPLACE"):
			o.replace = true
		case c.Is(i, "ABSTTL"):
			o.absolute = true
		case c.Is(i, "IDLETIME") && more && o.freq == -1:
			i++
			if o.idle, err = c.IntArg(i); err == nil && o.idle < 0 {
				err = engine.Error("ERR Invalid IDLETIME value, must be >= 0")
			}
		case c.Is(i, "FREQ") && more && o.idle == -1:
			i++
			if o.freq, err = c.IntArg(i); err == nil && (o.freq < 0 || o.freq > 255) {
				err = engine.Error("ERR Invalid FREQ value, must be >= 0 and <= 255")
			}
		default:
			err = errSyntax
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// restoreTTL reads the time to live, and makes it the time of expiry unless it is 0, for none.
func (c *Ctx) restoreTTL(o restoreOptions) (expiry int64, err error) {
	ttl, err := c.IntArg(2)
	switch {
	case err != nil:
		return 0, err
	case ttl < 0:
		return 0, engine.Error("ERR Invalid TTL value, must be >= 0")
	case ttl != 0 && !o.absolute:
		ttl += c.Tx.Now() // beyond the end of time it is over, as in Redis
	}
	return ttl, nil
}

// restoreLimit bounds what a payload may unpack to. It is what the engine keeps free in a shard for one command.
const restoreLimit = engine.DefaultReserve

func restore(c *Ctx) {
	o, err := c.restoreOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	key := c.Args[1]
	if !o.replace && c.Tx.Exists(key) {
		c.Fail(errBusyKey)
		return
	}
	expiry, err := c.restoreTTL(o)
	if err != nil {
		c.Fail(err)
		return
	}
	d, err := c.restoreDraft(key, c.Args[3])
	if err != nil {
		c.failRestore(err)
		return
	}
	if expiry != 0 && expiry <= c.Tx.Now() {
		c.restoreExpired(d, key)
	} else {
		c.restoreValue(d, key, expiry, o)
	}
	c.OK()
}

// restoreDraft builds the value of a payload.
func (c *Ctx) restoreDraft(key, payload []byte) (*engine.Draft, error) {
	if n := len(payload) - rdb.FooterLen; n >= 0 && c.debug.skipChecksum.Load() {
		return dump.RestoreBody(c.Tx, key, payload[:n], restoreLimit)
	}
	return dump.Restore(c.Tx, key, payload, restoreLimit)
}

func (c *Ctx) failRestore(err error) {
	switch {
	case errors.Is(err, rdb.ErrVersion), errors.Is(err, rdb.ErrChecksum), errors.Is(err, rdb.ErrTruncated) && len(c.Args[3]) < rdb.FooterLen:
		c.Fail(errBadPayload)
	default:
		c.Fail(errBadData)
	}
}

// restoreExpired puts nothing in the place of the old value, as if the new one had been there and expired.
func (c *Ctx) restoreExpired(d *engine.Draft, key []byte) {
	d.Drop()
	if !c.Tx.Delete(key) {
		return
	}
	word := "DEL"
	if c.Config.Settings().LazyServerDel {
		word = "UNLINK"
	}
	c.Tx.Effect(words(word), key)
}

func (c *Ctx) restoreValue(d *engine.Draft, key []byte, expiry int64, o restoreOptions) {
	e := d.Keep(expiry)
	switch lfu := c.Limits().Policy.Counts(); {
	case lfu && o.freq >= 0:
		c.Engine.SetFrequency(e, uint8(o.freq))
	case !lfu && o.idle >= 0:
		c.Engine.SetIdle(e, o.idle)
	}
	c.Tx.Changed(key, engine.EventRestore)
	if expiry != 0 && !o.absolute && c.Tx.Journaling() {
		args := append([][]byte{}, c.Args...)
		args[2] = intWord(expiry)
		c.Tx.Effect(append(args, words("ABSTTL"))...)
	}
}
