package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

const (
	errTwoTrims    engine.Error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	errMaxLen      engine.Error = "ERR The MAXLEN argument must be >= 0."
	errTrimLimit   engine.Error = "ERR The LIMIT argument must be >= 0."
	errLimitAlone  engine.Error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	errNoTrim      engine.Error = "ERR syntax error, XTRIM must be called with a trimming strategy"
	errLimitExact  engine.Error = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	errZeroID      engine.Error = "ERR The ID specified in XADD must be greater than 0-0"
	errSmallID     engine.Error = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	errTooLarge    engine.Error = "ERR Elements are too large to be stored"
	maxTrimDefault              = 1000000
)

// xaddArgs are the arguments of XADD in front of the fields, or those of XTRIM.
type xaddArgs struct {
	trims      bool
	trim       stream.Trim
	limited    bool // LIMIT was given
	noMkStream bool

	at      int // of XADD's ID
	auto    bool
	autoSeq bool
	id      stream.ID
}

// xaddArgs reads [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] and, for XADD, the ID behind them.
func (c *Ctx) xaddArgs(add bool) (a xaddArgs, err error) {
	for a.at = 2; a.at < len(c.Args); a.at++ {
		i, more, ended := a.at, a.at+1 < len(c.Args), false
		switch {
		case add && string(c.Args[i]) == "*":
			a.auto, ended = true, true
		case more && (c.Is(i, "MAXLEN") || c.Is(i, "MINID")):
			a.at, err = c.trimArgs(&a)
		case more && c.Is(i, "LIMIT"):
			a.at, a.limited = i+1, true
			a.trim.Limit, err = c.trimLimit(i + 1)
		case add && c.Is(i, "NOMKSTREAM"):
			a.noMkStream = true
		case add:
			if a.id, a.autoSeq, ended = stream.ParseAutoID(c.Args[i], 0); !ended {
				err = errStreamID
			}
		default:
			err = errSyntax
		}
		if err != nil {
			return a, err
		}
		if ended {
			break
		}
	}
	return a, a.check(add, c.Limits().Stream)
}

// trimArgs reads a strategy of trimming at a.at and returns where its threshold is.
func (c *Ctx) trimArgs(a *xaddArgs) (at int, err error) {
	at = a.at + 1
	if a.trims {
		return at, errTwoTrims
	}
	a.trims, a.trim.ByID = true, c.Is(a.at, "MINID")
	if sign := string(c.Args[at]); at+1 < len(c.Args) && (sign == "~" || sign == "=") {
		a.trim.Approx = sign == "~"
		at++
	}
	if a.trim.ByID {
		a.trim.MinID, err = c.streamID(at, 0)
		return at, err
	}
	n, err := c.IntArg(at)
	if err == nil && n < 0 {
		err = errMaxLen
	}
	a.trim.MaxLen = int(n)
	return at, err
}

func (c *Ctx) trimLimit(i int) (int, error) {
	n, err := c.IntArg(i)
	if err == nil && n < 0 {
		err = errTrimLimit
	}
	return int(n), err
}

// check refuses options that do not go together, and bounds the work of an approximate trim that has no bound.
func (a *xaddArgs) check(add bool, lim stream.Limits) error {
	switch {
	case a.trim.Limit != 0 && !a.trims:
		return errLimitAlone
	case !add && !a.trims:
		return errNoTrim
	case a.limited && !a.trim.Approx:
		return errLimitExact
	case !a.limited && a.trim.Approx:
		a.trim.Limit = 10000
		if n := lim.NodeEntries; n > 0 {
			a.trim.Limit = int(min(100*float64(n), maxTrimDefault))
		}
	}
	return nil
}

func xadd(c *Ctx) {
	a, err := c.xaddArgs(true)
	if err != nil {
		c.Fail(err)
		return
	}
	pairs := c.Args[min(a.at+1, len(c.Args)):]
	switch {
	case len(pairs) < 2 || len(pairs)%2 != 0:
		c.FailText("ERR wrong number of arguments for '" + c.Row.full + "' command")
		return
	case !a.auto && !a.autoSeq && a.id.IsZero():
		c.Fail(errZeroID)
		return
	case tooLarge(pairs):
		c.Fail(errTooLarge)
		return
	}
	e, ok := c.Edit(1, engine.Stream)
	if !ok {
		return
	}
	if e == nil {
		if a.noMkStream {
			c.Out.Null()
			return
		}
		e = c.newStream(1)
	}
	s := stream.Edit(e)
	id, err := a.newID(&s, c)
	if err != nil {
		c.Fail(err)
		return
	}
	s.Append(c.Limits().Stream, id, pairs)
	c.Tx.Changed(c.Args[1], engine.EventXAdd)
	if a.trims && s.Trim(a.trim) > 0 {
		c.Tx.Note(c.Args[1], engine.EventXTrim)
	}
	s.Save()
	if c.Tx.Journaling() && (a.auto || a.autoSeq || a.trim.Approx) {
		c.addEffect(&a, &s, pairs)
	}
	c.id(id)
}

// tooLarge tells whether an entry is longer than any may be.
func tooLarge(pairs [][]byte) bool {
	total := 0
	for _, b := range pairs {
		total += len(b)
	}
	return total > stream.MaxEntry
}

// newID is the ID for the entry that is added.
func (a *xaddArgs) newID(s *stream.Stream, c *Ctx) (id stream.ID, err error) {
	var ok bool
	switch {
	case s.LastID == stream.MaxID():
		return id, errExhausted
	case a.auto:
		id, ok = s.NextID(c.Tx.Now())
	case a.autoSeq:
		id, ok = s.NextSeq(a.id.Ms)
	default:
		id, ok = a.id, s.LastID.Less(a.id)
	}
	if !ok {
		err = errSmallID
	}
	return id, err
}

// addEffect journals XADD with what came of it: its ID, and as long as the stream is now.
func (c *Ctx) addEffect(a *xaddArgs, s *stream.Stream, pairs [][]byte) {
	effect := append(make([][]byte, 0, len(c.Args)), words("XADD"), c.Args[1])
	if a.trims {
		effect = append(effect, words("MAXLEN"), words("="), intWord(int64(s.Len())))
	}
	c.Tx.Effect(append(append(effect, idWord(s.LastID)), pairs...)...)
}

func xtrim(c *Ctx) {
	a, err := c.xaddArgs(false)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.Stream)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Int(0)
		return
	}
	s := stream.Edit(e)
	n := s.Trim(a.trim)
	if n > 0 {
		s.Save()
		c.Tx.Changed(c.Args[1], engine.EventXTrim)
		if a.trim.Approx && c.Tx.Journaling() {
			c.Tx.Effect(words("XTRIM"), c.Args[1], words("MAXLEN"), words("="), intWord(int64(s.Len())))
		}
	}
	c.Out.Int(int64(n))
}
