package command

import (
	"strconv"
	"sync/atomic"

	"github.com/larderdb/larder/internal/engine"
)

// debugSwitches are what DEBUG changes in how the server behaves.
type debugSwitches struct {
	skipChecksum atomic.Bool // RESTORE takes any checksum
}

// populateStep is how many keys POPULATE makes between two looks at the memory.
const populateStep = 1 << 10

func debugPopulate(c *Ctx) {
	count, err := c.populateArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	prefix, size := []byte("key"), int64(0)
	if len(c.Args) > 3 {
		prefix = c.Args[3]
	}
	if len(c.Args) > 4 {
		if size, err = c.populateArg(4); err != nil {
			c.Fail(err)
			return
		}
	}
	if size > c.Config.Settings().ProtoMaxBulkLen {
		c.Fail(errTooLong)
		return
	}
	for i := range count {
		if i%populateStep == 0 && (c.Tx.Full() || c.Engine.OverLimit()) {
			c.Fail(engine.ErrOutOfMemory)
			return
		}
		c.populate(strconv.AppendInt(append(append([]byte(nil), prefix...), ':'), i, 10), i, int(size))
	}
	c.Tx.StartCommand() // as in Redis, replicas do not hear of it
	c.OK()
}

func (c *Ctx) populateArg(i int) (int64, error) {
	n, err := c.IntArg(i)
	if err != nil || n < 0 {
		return 0, errNegative
	}
	return n, nil
}

// populate makes a key unless it is there: a string of the given size, or just long enough.
func (c *Ctx) populate(key []byte, i int64, size int) {
	c.Tx.Step()
	if c.Tx.Exists(key) {
		return
	}
	text := strconv.AppendInt([]byte("value:"), i, 10)
	if size == 0 {
		size = len(text)
	}
	value := c.Tx.Create(key, engine.String, size, 0).Value()
	clear(value[copy(value, text):])
	c.Tx.Changed(key, engine.EventNone)
}

// debugReload writes the snapshot file, empties the keyspace, and loads the file: whatever does not come through is a fault.
func debugReload(c *Ctx) {
	save, flush, merge := true, true, false
	for i := 2; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "NOSAVE"):
			save = false
		case c.Is(i, "NOFLUSH"):
			flush = false
		case c.Is(i, "MERGE"):
			merge = true
		default:
			c.FailText("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
			return
		}
	}
	if save {
		if err := c.save(c.Tx); err != nil {
			c.FailText("ERR")
			return
		}
	}
	err := c.load(c.Tx, flush, merge)
	c.Tx.StartCommand() // the data is what it was, or a fault that is not to be passed on
	if err != nil {
		c.FailText("ERR Error trying to load the RDB dump, check server logs.")
		return
	}
	c.OK()
}

// debugLoadAOF is RELOAD: there is no append-only file to read, and the data that it would hold is the data there is.
func debugLoadAOF(c *Ctx) {
	failed := c.save(c.Tx) != nil || c.load(c.Tx, true, false) != nil
	c.Tx.StartCommand()
	if failed {
		c.FailText("ERR Error trying to load the AOF files, check server logs.")
		return
	}
	c.OK()
}
