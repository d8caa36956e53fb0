package command

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/geo"
	"github.com/larderdb/larder/internal/types/zset"
)

func geoRows() []Command {
	const (
		acl   = CatGeo
		group = "geo"
	)
	return append(geoSearchRows(), []Command{
		{Name: "geoadd", Arity: -5, Flags: Write | DenyOOM, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "3.2.0",
			Cost:    "O(M log N) where M is the number of places named and N the size of the sorted set",
			Summary: "Adds places to a sorted set, or moves them.", Run: geoAdd},
		{Name: "geopos", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "3.2.0",
			Cost: "O(1) for each place", Summary: "Tells longitude and latitude of places.", Run: geoPos},
		{Name: "geodist", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "3.2.0",
			Cost: "O(1)", Summary: "Tells the distance of two places.", Run: geoDist},
		{Name: "geohash", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "3.2.0",
			Cost: "O(1) for each place", Summary: "Tells the geohashes of places.", Run: geoHash},
	}...)
}

const errUnit engine.Error = "ERR unsupported unit provided. please use M, KM, FT, MI"

// placeArgs reads a longitude and a latitude.
func (c *Ctx) placeArgs(i int) (p geo.Place, err error) {
	if p.Longitude, err = c.FloatArg(i); err != nil {
		return p, err
	}
	if p.Latitude, err = c.FloatArg(i + 1); err != nil {
		return p, err
	}
	if !p.Valid() {
		return p, engine.Error("ERR invalid longitude,latitude pair " + fixed(p.Longitude) + "," + fixed(p.Latitude))
	}
	return p, nil
}

// fixed writes a number as C's %f does.
func fixed(f float64) string {
	if math.IsInf(f, 0) {
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+"))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// unitArg reads the name of a unit and answers its metres.
func (c *Ctx) unitArg(i int) (float64, error) {
	switch {
	case c.Is(i, "M"):
		return 1, nil
	case c.Is(i, "KM"):
		return 1000, nil
	case c.Is(i, "FT"):
		return 0.3048, nil
	case c.Is(i, "MI"):
		return 1609.34, nil
	}
	return 0, errUnit
}

// distance replies a distance with four digits behind the point.
func (c *Ctx) distance(d float64) {
	const scale = 10000
	n := int64(math.RoundToEven(d * scale))
	buf := strconv.AppendInt(c.Session.scratch.digits[:0], n/scale, 10)
	rest := strconv.Itoa(scale + int(n%scale)) // 1 and four digits
	c.Out.Bulk(append(append(buf, '.'), rest[1:]...))
}

// degrees replies a coordinate with all digits that it has, but no more than seventeen behind the
// point.
func (c *Ctx) degrees(x float64) {
	text := strconv.AppendFloat(c.Session.scratch.digits[:0], x, 'f', 17, 64)
	text = bytes.TrimRight(bytes.TrimRight(text, "0"), ".")
	if string(text) == "-0" {
		text = text[1:]
	}
	if d, ok := c.Out.(interface{ Decimal(text []byte) }); ok {
		d.Decimal(text)
	} else {
		c.Out.Double(x)
	}
}

func (c *Ctx) place(p geo.Place) {
	c.Out.Array(2)
	c.degrees(p.Longitude)
	c.degrees(p.Latitude)
}

// placeOf finds a member's place; false where there is no such member, or no e.
func placeOf(e *table.Entry, member []byte) (p geo.Place, ok bool) {
	if e == nil {
		return p, false
	}
	score, ok := zset.Score(e, member)
	return geo.FromScore(score), ok
}

// geoAdd is a ZADD whose scores are places.
func geoAdd(c *Ctx) {
	var a addArgs
	i := 2
options:
	for ; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "NX"):
			a.NX = true
		case c.Is(i, "XX"):
			a.XX = true
		case c.Is(i, "CH"):
			a.changed = true
		default:
			break options
		}
	}
	n := (len(c.Args) - i) / 3
	if (len(c.Args)-i)%3 != 0 || n == 0 || a.NX && a.XX {
		c.Fail(errSyntax)
		return
	}
	a.scores, a.members = make([]float64, n), make([][]byte, 2*n)
	for at := range n {
		p, err := c.placeArgs(i + 3*at)
		if err != nil {
			c.Fail(err)
			return
		}
		member := c.Args[i+3*at+2]
		a.scores[at], a.members[2*at+1] = float64(p.Score()), member
		a.longest = max(a.longest, len(member))
	}
	c.addMembers(a)
}

func geoPos(c *Ctx) {
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		if p, ok := placeOf(e, member); ok {
			c.place(p)
		} else {
			c.Out.NullArray()
		}
	}
}

func geoHash(c *Ctx) {
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		if p, ok := placeOf(e, member); ok {
			name := p.Name()
			c.Out.BulkString(string(name[:]))
		} else {
			c.Out.Null()
		}
	}
}

func geoDist(c *Ctx) {
	metres := 1.0
	switch n := len(c.Args); {
	case n > 5:
		c.Fail(errSyntax)
		return
	case n == 5:
		var err error
		if metres, err = c.unitArg(4); err != nil {
			c.Fail(err)
			return
		}
	}
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	from, found := placeOf(e, c.Args[2])
	to, foundToo := placeOf(e, c.Args[3])
	if !found || !foundToo {
		c.Out.Null()
		return
	}
	c.distance(geo.Distance(from, to) / metres)
}
