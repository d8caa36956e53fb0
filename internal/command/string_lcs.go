package command

import "github.com/larderdb/larder/internal/engine"

// LCS is the textbook table of longest common subsequences of all prefixes, in
// O(N*M) time and memory, which proto-max-bulk-len bounds. Where two ways back
// through the table are equal the second string gives way, as in Redis: clients see which.

type lcsOptions struct {
	length, index, withLen bool
	minLen                 int64
}

// lcsMatch is a run that both strings share, by the first and last byte in each.
type lcsMatch struct{ aFrom, aTo, bFrom, bTo int }

func lcs(c *Ctx) {
	a, okA := c.lcsString(1)
	b, okB := c.lcsString(2)
	if !okA || !okB {
		c.FailText("ERR The specified keys must contain string values")
		return
	}
	o, err := c.lcsOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	if cells := uint64(len(a)+1) * uint64(len(b)+1); cells*4 > uint64(c.Config.Settings().ProtoMaxBulkLen) {
		c.FailText("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
		return
	}
	t := lcsTable(a, b)
	total := int64(t[len(t)-1])
	if o.length {
		c.Out.Int(total)
		return
	}
	common, matches := lcsWalk(a, b, t)
	if !o.index {
		c.Out.Bulk(common)
		return
	}
	c.replyMatches(matches, total, o)
}

// lcsString is the string at a key, empty for a missing one.
func (c *Ctx) lcsString(i int) ([]byte, bool) {
	e := c.Tx.Find(c.Args[i])
	if e == nil {
		return nil, true
	}
	return e.Value(), engine.Kind(e.Kind()) == engine.String
}

func (c *Ctx) lcsOptions() (o lcsOptions, err error) {
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "IDX"):
			o.index = true
		case c.Is(i, "LEN"):
			o.length = true
		case c.Is(i, "WITHMATCHLEN"):
			o.withLen = true
		case c.Is(i, "MINMATCHLEN") && i+1 < len(c.Args):
			i++
			if o.minLen, err = c.IntArg(i); err != nil {
				return o, err
			}
		default:
			return o, errSyntax
		}
	}
	if o.length && o.index {
		return o, engine.Error("ERR If you want both the length and indexes, please just use IDX.")
	}
	return o, nil
}

// lcsTable has the length for the first i bytes of a and j of b at i*(len(b)+1)+j.
func lcsTable(a, b []byte) []uint32 {
	w := len(b) + 1
	t := make([]uint32, (len(a)+1)*w)
	for i := 1; i <= len(a); i++ {
		row, above := t[i*w:(i+1)*w], t[(i-1)*w:i*w]
		for j := 1; j <= len(b); j++ {
			if a[i-1] == b[j-1] {
				row[j] = above[j-1] + 1
			} else {
				row[j] = max(above[j], row[j-1])
			}
		}
	}
	return t
}

// lcsWalk goes back through the table: the subsequence, and its runs from the last to the first.
func lcsWalk(a, b []byte, t []uint32) (common []byte, matches []lcsMatch) {
	w := len(b) + 1
	i, j := len(a), len(b)
	at := int(t[len(t)-1])
	common = make([]byte, at)
	var run lcsMatch
	open := false
	for i > 0 && j > 0 {
		if a[i-1] != b[j-1] {
			if t[(i-1)*w+j] > t[i*w+j-1] {
				i--
			} else {
				j--
			}
			continue
		}
		at--
		common[at] = a[i-1]
		if open && run.aFrom == i && run.bFrom == j {
			run.aFrom, run.bFrom = i-1, j-1
		} else {
			if open {
				matches = append(matches, run)
			}
			run, open = lcsMatch{i - 1, i - 1, j - 1, j - 1}, true
		}
		i, j = i-1, j-1
	}
	if open {
		matches = append(matches, run)
	}
	return common, matches
}

func (c *Ctx) replyMatches(matches []lcsMatch, total int64, o lcsOptions) {
	kept := matches[:0]
	for _, m := range matches {
		if int64(m.aTo-m.aFrom+1) >= o.minLen {
			kept = append(kept, m)
		}
	}
	c.Out.Map(2)
	c.Out.BulkString("matches")
	c.Out.Array(len(kept))
	for _, m := range kept {
		n := 2
		if o.withLen {
			n = 3
		}
		c.Out.Array(n)
		c.replyPair(m.aFrom, m.aTo)
		c.replyPair(m.bFrom, m.bTo)
		if o.withLen {
			c.Out.Int(int64(m.aTo - m.aFrom + 1))
		}
	}
	c.Out.BulkString("len")
	c.Out.Int(total)
}

func (c *Ctx) replyPair(a, b int) {
	c.Out.Array(2)
	c.Out.Int(int64(a))
	c.Out.Int(int64(b))
}
