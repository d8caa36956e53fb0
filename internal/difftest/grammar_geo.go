package difftest

import "strconv"

func geoGrammar() []production {
	k := key("geo")
	unit := words("m", "km", "ft", "mi", "km", "km")
	with := seq(maybe(word("WITHDIST")), maybe(word("WITHHASH")), maybe(word("WITHCOORD")))
	how := shuffled(maybe(words("ASC", "DESC")), maybe(word("COUNT"), integer(0, 6), maybe(word("ANY"))), with)
	into := shuffled(maybe(words("ASC", "DESC")), maybe(word("COUNT"), integer(1, 6)))
	center := oneOf(seq(word("FROMMEMBER"), place), seq(word("FROMLONLAT"), longitude, latitude))
	area := oneOf(seq(word("BYRADIUS"), reach, unit), seq(word("BYBOX"), reach, reach, unit))
	return []production{
		{12, "GEOADD", []arg{k, maybe(words("NX", "XX", "CH")), some(longitude, latitude, place)}},
		{3, "GEOADD", []arg{k, bulk(longitude, latitude, wideMember)}},
		{4, "GEOPOS", []arg{k, some(place)}},
		{4, "GEODIST", []arg{k, place, place, maybe(unit)}},
		{4, "GEOHASH", []arg{k, some(place)}},
		{8, "GEOSEARCH", []arg{k, center, area, how}},
		{4, "GEOSEARCHSTORE", []arg{k, k, center, area, into}},
		{4, "GEORADIUS", []arg{k, longitude, latitude, reach, unit, how}},
		{3, "GEORADIUS", []arg{k, longitude, latitude, reach, unit, into, word("STORE"), k}},
		{4, "GEORADIUSBYMEMBER", []arg{k, place, reach, unit, how}},
		{2, "GEORADIUS_RO", []arg{k, longitude, latitude, reach, unit, how}},
		{2, "GEORADIUSBYMEMBER_RO", []arg{k, place, reach, unit, how}},
		{3, "ZREM", []arg{k, some(place)}},
		{2, "ZRANGE", []arg{k, index, index, maybe(word("WITHSCORES"))}},
	}
}

func place(g *gen) { element("p", 30)(g) }

// coordinate has few digits, many of them, or is one that no place has.
func coordinate(limit int) arg {
	return func(g *gen) {
		switch g.IntN(12) {
		case 0:
			exactly("0", "-0", "180", "-180", "85.05112878", "-85.05112878", "66", "80", "1e1")(g)
		case 1:
			integer(-limit-10, limit+10)(g)
		default:
			x := (2*g.Float64() - 1) * float64(limit)
			g.args = append(g.args, strconv.FormatFloat(x, 'f', g.IntN(17), 64))
		}
	}
}

func longitude(g *gen) { coordinate(179)(g) }
func latitude(g *gen)  { coordinate(84)(g) }

// reach is a radius, or the side of a box.
func reach(g *gen) {
	switch g.IntN(8) {
	case 0:
		exactly("0", "-1", "inf", "1e300", "0.001", "20037.72637")(g)
	case 1:
		integer(1, 100)(g)
	default:
		integer(100, 12000)(g)
	}
}
