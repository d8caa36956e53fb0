package command

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/geo"
	"github.com/larderdb/larder/internal/types/zset"
)

// geoForm is what the name of a command says of its search.
type geoForm struct {
	search bool // GEOSEARCH and GEOSEARCHSTORE: centre and area are options
	member bool // the centre is a member
	store  bool // STORE and STOREDIST are options
	into   bool // GEOSEARCHSTORE: the result goes to the key of argument 1, the source is argument 2
}

func geoSearchRows() []Command {
	const (
		acl   = CatGeo
		group = "geo"
		cost  = "O(log N + M) where N is the size of the sorted set and M the number of places around the area"
	)
	stores := func(from int) []KeySpec {
		return []KeySpec{KeyAt(RO|Access, 1), {Flags: OW | Update, Begin: from, Keyword: "STORE", Step: 1},
			{Flags: OW | Update, Begin: from, Keyword: "STOREDIST", Step: 1}}
	}
	const search, byMember = "`GEOSEARCH` with the `BYRADIUS` argument", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"
	const both, bothByMember = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
		"`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments"
	return []Command{
		{Name: "georadius", Arity: -6, Flags: Write | DenyOOM, ACL: acl, Keys: stores(6), Strays: storesTwice, Group: group, Since: "3.2.0",
			Cost: cost, Summary: "Finds, or stores, the places in a circle.", Outdated: "6.2.0", Instead: both, Run: geoSearch(geoForm{store: true})},
		{Name: "georadius_ro", Arity: -6, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "3.2.10",
			Cost: cost, Summary: "Finds the places in a circle.", Outdated: "6.2.0", Instead: search, Run: geoSearch(geoForm{})},
		{Name: "georadiusbymember", Arity: -5, Flags: Write | DenyOOM, ACL: acl, Keys: stores(5), Strays: storesTwice, Group: group, Since: "3.2.0",
			Cost: cost, Summary: "Finds, or stores, the places in a circle around one.", Outdated: "6.2.0", Instead: bothByMember,
			Run: geoSearch(geoForm{member: true, store: true})},
		{Name: "georadiusbymember_ro", Arity: -5, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "3.2.10",
			Cost: cost, Summary: "Finds the places in a circle around one.", Outdated: "6.2.0", Instead: byMember, Run: geoSearch(geoForm{member: true})},
		{Name: "geosearch", Arity: -7, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.2.0",
			Cost: cost, Summary: "Finds the places in a circle or a box.", Run: geoSearch(geoForm{search: true})},
		{Name: "geosearchstore", Arity: -8, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), KeyAt(RO|Access, 2)},
			Group: group, Since: "6.2.0",
			Cost: cost, Summary: "Stores the places in a circle or a box.", Run: geoSearch(geoForm{search: true, into: true})},
	}
}

// storesTwice tells whether STORE or STOREDIST comes more than once: the last one counts, and the
// key specs know the first ones only.
func storesTwice(args [][]byte) bool {
	n := 0
	for _, a := range args[5:] {
		if isWord(a, "STORE") || isWord(a, "STOREDIST") {
			n++
		}
	}
	return n > 1
}

const (
	errRadius     engine.Error = "ERR need numeric radius"
	errNoRadius   engine.Error = "ERR radius cannot be negative"
	errWidth      engine.Error = "ERR need numeric width"
	errHeight     engine.Error = "ERR need numeric height"
	errNoBox      engine.Error = "ERR height or width cannot be negative"
	errGeoCount   engine.Error = "ERR COUNT must be > 0"
	errGeoMember  engine.Error = "ERR could not decode requested zset member"
	errAnyOfCount engine.Error = "ERR the ANY argument requires COUNT argument"
)

// geoQuery is a search with what is wanted of its result.
type geoQuery struct {
	geoForm
	area     geo.Shape
	centered bool // FROMMEMBER or FROMLONLAT was given
	shaped   bool // BYRADIUS or BYBOX was given
	lonLat   bool // FROMLONLAT was

	dist, hash, coord bool
	order             int // 1 ascending, -1 descending
	count             int // 0: all
	any               bool

	into     []byte // key to store at, or nil
	intoDist bool   // distances, not places
}

// geoQuery reads the arguments of a search in e, which is nil where there is none: then members
// are not looked for.
func (c *Ctx) geoQuery(e *table.Entry, form geoForm) (q geoQuery, err error) {
	q.geoForm = form
	at := 2
	switch {
	case form.search:
		if form.into {
			at, q.into = 3, c.Args[1]
		}
	case form.member:
		at = 5
		if e != nil {
			if err = c.centerOf(&q, e, 2); err == nil {
				err = c.radiusArgs(&q, 3)
			}
		}
	default:
		at = 6
		if q.area.Center, err = c.placeArgs(2); err == nil {
			err = c.radiusArgs(&q, 4)
		}
	}
	for at < len(c.Args) && err == nil {
		at, err = c.geoOption(&q, e, at)
	}
	if err == nil {
		err = c.checkQuery(&q)
	}
	return q, err
}

// centerOf makes a member the centre.
func (c *Ctx) centerOf(q *geoQuery, e *table.Entry, i int) error {
	place, ok := placeOf(e, c.Args[i])
	if e != nil && !ok {
		return errGeoMember
	}
	q.area.Center = place
	return nil
}

// radiusArgs reads a radius and its unit.
func (c *Ctx) radiusArgs(q *geoQuery, i int) (err error) {
	if q.area.Radius, err = c.FloatArg(i); err != nil {
		return errRadius
	}
	if q.area.Radius < 0 {
		return errNoRadius
	}
	q.area.Box = false
	q.area.Unit, err = c.unitArg(i + 1)
	return err
}

// boxArgs reads width, height and their unit.
func (c *Ctx) boxArgs(q *geoQuery, i int) (err error) {
	if q.area.Width, err = c.FloatArg(i); err != nil {
		return errWidth
	}
	if q.area.Height, err = c.FloatArg(i + 1); err != nil {
		return errHeight
	}
	if q.area.Width < 0 || q.area.Height < 0 {
		return errNoBox
	}
	q.area.Box = true
	q.area.Unit, err = c.unitArg(i + 2)
	return err
}

// geoOption reads the option at argument i and returns where the next one is.
func (c *Ctx) geoOption(q *geoQuery, e *table.Entry, i int) (next int, err error) {
	left := len(c.Args) - i - 1
	switch {
	case c.Is(i, "WITHDIST"):
		q.dist = true
	case c.Is(i, "WITHHASH"):
		q.hash = true
	case c.Is(i, "WITHCOORD"):
		q.coord = true
	case c.Is(i, "ANY"):
		q.any = true
	case c.Is(i, "ASC"):
		q.order = 1
	case c.Is(i, "DESC"):
		q.order = -1
	case left >= 1 && c.Is(i, "COUNT"):
		n, err := c.IntArg(i + 1)
		if err == nil && n <= 0 {
			err = errGeoCount
		}
		q.count = int(n)
		return i + 2, err
	case q.search:
		return c.geoSearchOption(q, e, i, left)
	case left >= 1 && q.store && (c.Is(i, "STORE") || c.Is(i, "STOREDIST")):
		q.into, q.intoDist = c.Args[i+1], c.Is(i, "STOREDIST")
		return i + 2, nil
	default:
		err = errSyntax
	}
	return i + 1, err
}

// geoSearchOption reads those that only GEOSEARCH and GEOSEARCHSTORE have.
func (c *Ctx) geoSearchOption(q *geoQuery, e *table.Entry, i, left int) (next int, err error) {
	switch {
	case q.geoForm.into && c.Is(i, "STOREDIST"):
		q.intoDist = true
		return i + 1, nil
	case left >= 1 && !q.lonLat && c.Is(i, "FROMMEMBER"):
		q.centered = true
		return i + 2, c.centerOf(q, e, i+1)
	case left >= 2 && (q.lonLat || !q.centered) && c.Is(i, "FROMLONLAT"):
		q.centered, q.lonLat = true, true
		q.area.Center, err = c.placeArgs(i + 1)
		return i + 3, err
	case left >= 2 && !(q.shaped && q.area.Box) && c.Is(i, "BYRADIUS"):
		q.shaped = true
		return i + 3, c.radiusArgs(q, i+1)
	case left >= 3 && (q.area.Box || !q.shaped) && c.Is(i, "BYBOX"):
		q.shaped = true
		return i + 4, c.boxArgs(q, i+1)
	}
	return i, errSyntax
}

// checkQuery refuses what does not go together.
func (c *Ctx) checkQuery(q *geoQuery) error {
	name := string(c.Args[0])
	switch {
	case q.into != nil && (q.dist || q.hash || q.coord):
		what := "STORE option in GEORADIUS"
		if q.search {
			what = "GEOSEARCHSTORE"
		}
		return engine.Error("ERR " + what + " is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
	case q.search && !q.centered:
		return engine.Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name)
	case q.search && !q.shaped:
		return engine.Error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + name)
	case q.any && q.count == 0:
		return errAnyOfCount
	}
	if q.count > 0 && q.order == 0 && !q.any { // the nearest ones
		q.order = 1
	}
	return nil
}

// geoSearch is GEOSEARCH and those whose names and fixed arguments say what its options do.
func geoSearch(form geoForm) func(c *Ctx) {
	source := 1
	if form.into {
		source = 2
	}
	return func(c *Ctx) {
		e, ok := c.Read(source, engine.ZSet)
		if !ok {
			return
		}
		q, err := c.geoQuery(e, form)
		if err != nil {
			c.Fail(err)
			return
		}
		var found []geoFound
		if e != nil {
			found = c.findPlaces(e, &q)
		}
		if q.order != 0 {
			slices.SortStableFunc(found, func(a, b geoFound) int { return q.order * cmp.Compare(a.dist, b.dist) })
		}
		if q.count > 0 && len(found) > q.count {
			found = found[:q.count]
		}
		if q.into != nil {
			c.storePlaces(found, &q)
		} else {
			c.replyPlaces(found, &q)
		}
	}
}

// geoFound is a member that is in the area.
type geoFound struct {
	member []byte
	score  float64
	place  geo.Place
	dist   float64 // from the centre, in units
}

// findPlaces collects the members that are in the area, in the order of Redis: cell by cell, each
// by score. With ANY it stops at the count.
func (c *Ctx) findPlaces(e *table.Entry, q *geoQuery) (found []geoFound) {
	var buf [9]geo.Range
	var members []byte // of all found
	enough := func() bool { return q.any && len(found) >= q.count }
	for _, r := range q.area.Ranges(buf[:0]) {
		from, n := zset.Span(e, zset.Scores(float64(r.Min), float64(r.Max), false, true))
		zset.Walk(e, from, n, false, func(member packed.Value, score float64) bool {
			place := geo.FromScore(score)
			if dist, inside := q.area.Distance(place); inside {
				start := len(members)
				members = append(members, c.bytes(member)...)
				found = append(found, geoFound{members[start:len(members):len(members)], score, place, dist / q.area.Unit})
			}
			return !enough()
		})
		if enough() {
			break
		}
	}
	return found
}

func (c *Ctx) replyPlaces(found []geoFound, q *geoQuery) {
	words := 1
	for _, with := range [...]bool{q.dist, q.hash, q.coord} {
		if with {
			words++
		}
	}
	c.Out.Array(len(found))
	for i := range found {
		f := &found[i]
		if words > 1 {
			c.Out.Array(words)
		}
		c.Out.Bulk(f.member)
		if q.dist {
			c.distance(f.dist)
		}
		if q.hash {
			c.Out.Int(int64(f.score))
		}
		if q.coord {
			c.place(f.place)
		}
	}
}

// storePlaces makes a sorted set of what was found.
func (c *Ctx) storePlaces(found []geoFound, q *geoQuery) {
	if q.intoDist {
		for i := range found {
			found[i].score = geo.ExactDistance(q.area.Center, found[i].place) / q.area.Unit
		}
	}
	slices.SortFunc(found, func(a, b geoFound) int {
		return cmp.Or(cmp.Compare(a.score, b.score), bytes.Compare(a.member, b.member))
	})
	list := new(zset.List)
	for _, f := range found {
		list.Add(f.member, f.score)
	}
	event := engine.EventGeoRadiusStore
	if q.search {
		event = engine.EventGeoSearchStore
	}
	c.storeZSetAt(q.into, list, event)
}
