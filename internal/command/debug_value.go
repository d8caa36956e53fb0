package command

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/list"
)

// debugKey is the record of the key at an argument, also when its time has come, or nil, and then the error is replied.
func (c *Ctx) debugKey(i int) *table.Entry {
	e := c.Tx.Peek(c.Args[i])
	if e == nil {
		c.Fail(errNoKey)
	}
	return e
}

func debugObject(c *Ctx) {
	e := c.debugKey(2)
	if e == nil {
		return
	}
	fast := len(c.Args) == 4 && c.Is(3, "FAST")
	var b strings.Builder
	fmt.Fprintf(&b, "Value at:0x%x refcount:1 encoding:%s", e.Ref(), engine.Encoding(e))
	if !fast {
		fmt.Fprintf(&b, " serializedlength:%d", dump.Size(e, c.compressDumps()))
	}
	fmt.Fprintf(&b, " lru:%d lru_seconds_idle:%d lfu_freq:%d lfu_access_time_minutes:%d",
		e.Clock(), c.Engine.Idle(e), c.Engine.Frequency(e), e.Clock()>>8)
	if engine.Encoding(e) == "quicklist" {
		s := c.Config.Settings()
		leaves, size := list.Leaves(e)
		fmt.Fprintf(&b, " ql_nodes:%d ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:%d",
			leaves, float64(list.Len(e))/float64(leaves), s.ListMaxListpackSize, min(s.ListCompressDepth, 1))
		if !fast {
			fmt.Fprintf(&b, " ql_uncompressed_size:%d", size)
		}
	}
	c.Out.Simple(b.String())
}

func debugListpack(c *Ctx) {
	c.debugEncoding("ERR Not a listpack encoded object.", "Listpack structure printed on stdout", "listpack", "listpackex")
}

func debugQuicklist(c *Ctx) {
	c.debugEncoding("ERR Not a quicklist encoded object.", "Quicklist structure printed on stdout", "quicklist")
}

// debugEncoding answers as if it had printed a structure for people to read.
func (c *Ctx) debugEncoding(refusal, done string, want ...string) {
	switch e := c.debugKey(2); {
	case e == nil:
	case !slices.Contains(want, engine.Encoding(e)):
		c.FailText(refusal)
	default:
		c.Out.Simple(done)
	}
}

func debugStringLen(c *Ctx) {
	e := c.debugKey(2)
	switch {
	case e == nil:
	case engine.Kind(e.Kind()) != engine.String || engine.Encoding(e) == "int":
		c.FailText("ERR Not an sds encoded string.")
	default:
		size := e.Arena().Size(e.Ref())
		c.Out.Simple(fmt.Sprintf("key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, val_sds_len:%d, val_sds_avail:0, val_zmalloc: %d",
			len(c.Args[2]), size, len(e.Value()), size))
	}
}

// tableStats describes a table of n records as Redis does one that has settled: with as many buckets as the next power
// of two.
func tableStats(b *strings.Builder, n int) {
	if n == 0 {
		b.WriteString("No stats available for empty dictionaries\n")
		return
	}
	fmt.Fprintf(b, "Hash table 0 stats (main hash table):\n table size: %d\n number of elements: %d\n",
		max(4, 1<<bits.Len(uint(n-1))), n)
}

func debugTableStats(c *Ctx) {
	db, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	if db < 0 || db >= int64(c.Engine.Databases()) {
		c.FailText("ERR Out of range database")
		return
	}
	here := c.Tx.DB()
	c.Tx.Use(int(db))
	var b strings.Builder
	b.WriteString("[Dictionary HT]\n")
	tableStats(&b, c.Tx.Len())
	b.WriteString("[Expires HT]\n")
	tableStats(&b, c.Tx.Expiring())
	c.Tx.Use(here)
	c.Out.Verbatim("txt", b.String())
}

func debugKeyStats(c *Ctx) {
	e := c.debugKey(2)
	if e == nil {
		return
	}
	switch engine.Encoding(e) {
	case "hashtable", "skiplist":
		var b strings.Builder
		tableStats(&b, engine.Len(e))
		c.Out.Verbatim("txt", b.String())
	default:
		c.FailText("ERR The value stored at the specified key is not represented using an hash table")
	}
}

func debugDigest(c *Ctx) {
	here := c.Tx.DB()
	defer c.Tx.Use(here)
	var d dump.Digest
	for db := range c.Engine.Databases() {
		c.Tx.Use(db)
		if c.Tx.Len() != 0 {
			d.MixDatabase(db)
			c.Tx.Keys(func(key []byte, r *table.Entry) { d.AddKey(key, r) })
		}
	}
	c.Out.Simple(hex.EncodeToString(d[:]))
}

func debugDigestValue(c *Ctx) {
	c.Out.Array(len(c.Args) - 2)
	for _, key := range c.Args[2:] {
		var d dump.Digest
		if e := c.Tx.Peek(key); e != nil {
			d = dump.ValueDigest(e)
		}
		c.Out.Simple(hex.EncodeToString(d[:]))
		c.Tx.Step()
	}
}
