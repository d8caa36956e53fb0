package difftest

import (
	"slices"
	"strconv"
	"strings"
)

// Replies about streams tell when something happened and how a radix tree is built.

// streamTimes is the rule of XINFO and XPENDING: everything is equal but for times, which may be some seconds apart, and
// the number of nodes of a radix tree, which is a detail of a structure.
func streamTimes(_ *session, args []string, want, got Value) error {
	if !sameButTimes(strings.EqualFold(args[0], "XPENDING"), want, got) {
		return errBytes
	}
	return nil
}

// unixMillis is a number that only a time can be: IDs in scripts are small.
const unixMillis = 1e12

func sameButTimes(pending bool, want, got Value) bool {
	if want.Kind != got.Kind || want.Null != got.Null || len(want.Elems) != len(got.Elems) {
		return false
	}
	if want.Text != got.Text {
		w, errW := strconv.ParseFloat(want.Text, 64)
		g, errG := strconv.ParseFloat(got.Text, 64)
		if want.Kind != ':' || errW != nil || errG != nil || w < unixMillis || g < unixMillis || !nearMillis(w, g) {
			return false
		}
	}
	for i := range want.Elems {
		w, g := want.Elems[i], got.Elems[i]
		if isSpan(pending, want.Elems, i) && w.Kind == g.Kind && nearText(w.Text, g.Text) {
			continue
		}
		if !sameButTimes(pending, w, g) {
			return false
		}
	}
	return true
}

// isSpan tells whether an element is a span of time: of one that a name stands in front of, or the third of four of
// XPENDING's list; or the number of nodes.
func isSpan(pending bool, elems []Value, i int) bool {
	if pending {
		return i == 2 && len(elems) == 4 && elems[0].Kind == '$' && elems[1].Kind == '$'
	}
	if i == 0 {
		return false
	}
	switch elems[i-1].Text {
	case "idle", "inactive", "radix-tree-nodes":
		return true
	}
	return false
}

func nearText(want, got string) bool {
	w, errW := strconv.ParseFloat(want, 64)
	g, errG := strconv.ParseFloat(got, 64)
	return errW == nil && errG == nil && (w < 0) == (g < 0) && nearMillis(w, g)
}

func nearMillis(w, g float64) bool { return w-g < 15000 && g-w < 15000 }

// before72 is a reply of XINFO without what 7.2 added: when a consumer was last given something, and consumers that asked
// in vain.
func before72(v Value) Value {
	var elems []Value
	for i := 0; i < len(v.Elems); i++ {
		name, more := v.Elems[i].Text, i+1 < len(v.Elems)
		switch {
		case more && (name == "active-time" || name == "inactive" || name == "consumers" && v.Elems[i+1].Kind == ':'):
			i++
		case idle(v.Elems[i]):
		default:
			elems = append(elems, before72(v.Elems[i]))
		}
	}
	v.Elems = elems
	return v
}

// idle tells whether a value describes a consumer for which nothing is pending.
func idle(v Value) bool {
	consumer, pending := false, ""
	for i := 0; i+1 < len(v.Elems); i += 2 {
		switch v.Elems[i].Text {
		case "idle", "seen-time":
			consumer = true
		case "pending", "pel-count":
			if v.Elems[i+1].Kind == ':' {
				pending = v.Elems[i+1].Text
			}
		}
	}
	return consumer && pending == "0"
}

// streamDifferences are those of streams before 7.2.
func streamDifferences() []VersionDifference {
	either := func(texts ...string) func(*session, []string, Value, Value) bool {
		return func(_ *session, _ []string, want, _ Value) bool { return slices.Contains(texts, want.Text) }
	}
	return []VersionDifference{
		{
			Since: 702, Commands: []string{"XINFO STREAM", "XINFO CONSUMERS", "XINFO GROUPS"},
			Reason: "7.2 tells when a consumer was last given something, and makes one also if it asks in vain",
			Same: func(s *session, args []string, want, got Value) bool {
				return streamTimes(s, args, before72(want), before72(got)) == nil
			},
		},
		{
			Since: 702, Commands: []string{"XGROUP CREATECONSUMER"},
			Reason: "7.2 makes a consumer also if it asks in vain",
			Same:   func(_ *session, _ []string, want, got Value) bool { return want.Text == "1" && got.Text == "0" },
		},
		{
			Since: 702, Commands: []string{"XADD"},
			Reason: "7.2 says that no sequence is left; before, a sequence that would overflow was an entry too large",
			Same:   either("ERR Elements are too large to be stored"),
		},
		{
			Since: 702, Commands: []string{"XREAD", "XREADGROUP"},
			Reason: "7.2 names the command in the error",
			Same: func(_ *session, _ []string, want, got Value) bool {
				return strings.HasPrefix(want.Text, "ERR Unbalanced XREAD list") && strings.HasPrefix(got.Text, "ERR Unbalanced 'xread")
			},
		},
	}
}

// streamGrammar has XADD with IDs that both sides get, and nothing that waits.
func streamGrammar() []production {
	k := key("stream")
	id := oneOf(streamID, streamID, streamID, exactly("0", "-", "$", "0-0", "x")) // "+" of XREAD came with Valkey 8
	bound := oneOf(id, exactly("-", "+"), func(g *gen) {
		streamID(g)
		g.args[len(g.args)-1] = "(" + g.args[len(g.args)-1]
	})
	trim := oneOf(
		seq(word("MAXLEN"), maybe(exactly("=")), integer(-1, 60)),
		seq(word("MINID"), maybe(exactly("=")), id),
	)
	group, consumer := exactly("g1", "g2", "g3"), exactly("ann", "bob", "cy", "")
	pairs := oneOf(
		seq(exactly("name"), value, exactly("age"), integer(0, 99)),
		seq(exactly("name"), value, exactly("age"), integer(0, 99)),
		some(field, value),
	)
	// Words that say when entries were delivered would let time decide: IDLE is far from what passes.
	idle := exactly("0", "0", "0", "3600000", "-1")
	return []production{
		{30, "XADD", []arg{k, maybe(trim), newStreamID, pairs}},
		{2, "XADD", []arg{k, shuffled(maybe(word("NOMKSTREAM")), maybe(trim)), newStreamID, pairs}},
		{3, "XADD", []arg{k, id, pairs}},
		{4, "XTRIM", []arg{k, trim}},
		{6, "XDEL", []arg{k, some(streamID)}},
		{3, "XLEN", []arg{k}},
		{8, "XRANGE", []arg{k, bound, bound, maybe(word("COUNT"), integer(-1, 10))}},
		{6, "XREVRANGE", []arg{k, bound, bound, maybe(word("COUNT"), integer(-1, 10))}},
		{2, "XRANGE", []arg{k, exactly("-"), exactly("+")}},
		{1, "XSETID", []arg{k, exactly("x", "-")}}, // 7.0 lets the last ID fall below deleted ones
		{6, "XREAD", []arg{maybe(word("COUNT"), integer(-1, 5)), word("STREAMS"), k, k, id, id}},
		{6, "XGROUP CREATE", []arg{k, group, oneOf(id, exactly("0", "$")), maybe(word("MKSTREAM")), maybe(word("ENTRIESREAD"), integer(-1, 30))}},
		{2, "XGROUP SETID", []arg{k, group, id, maybe(word("ENTRIESREAD"), integer(-1, 30))}},
		{1, "XGROUP DESTROY", []arg{k, group}},
		{2, "XGROUP CREATECONSUMER", []arg{k, group, consumer}},
		{2, "XGROUP DELCONSUMER", []arg{k, group, consumer}},
		{14, "XREADGROUP", []arg{word("GROUP"), group, consumer, maybe(word("COUNT"), integer(-1, 8)), maybe(word("NOACK")), word("STREAMS"), k, exactly(">")}},
		{6, "XREADGROUP", []arg{word("GROUP"), group, consumer, maybe(word("COUNT"), integer(-1, 8)), word("STREAMS"), k, k, oneOf(id, exactly(">")), oneOf(id, exactly(">"))}},
		{6, "XACK", []arg{k, group, some(streamID)}},
		{4, "XPENDING", []arg{k, group}},
		{6, "XPENDING", []arg{k, group, maybe(word("IDLE"), idle), bound, bound, integer(-1, 20), maybe(consumer)}},
		{6, "XCLAIM", []arg{k, group, consumer, idle, some(streamID), shuffled(maybe(word("IDLE"), idle), maybe(word("RETRYCOUNT"), integer(-1, 9)), maybe(word("FORCE")), maybe(word("JUSTID")), maybe(word("LASTID"), id))}},
		{5, "XAUTOCLAIM", []arg{k, group, consumer, idle, bound, shuffled(maybe(word("COUNT"), exactly("0", "1", "2", "5", "x")), maybe(word("JUSTID")))}},
		{4, "XINFO STREAM", []arg{k}},
		{2, "XINFO STREAM", []arg{k, word("FULL"), maybe(word("COUNT"), integer(-1, 20))}},
		{4, "XINFO CONSUMERS", []arg{k, group}},
	}
}

// streamID is an ID that an entry may have.
func streamID(g *gen) {
	if g.IntN(30) == 0 {
		exactly("18446744073709551615-18446744073709551615", "5-18446744073709551615", "1-*", "01-01", "4294967296-1")(g)
		return
	}
	text := strconv.Itoa(g.IntN(40))
	if g.IntN(3) > 0 {
		text += "-" + strconv.Itoa(g.IntN(4))
	}
	g.args = append(g.args, text)
}

// newStreamID is mostly an ID behind the last one.
func newStreamID(g *gen) {
	switch g.IntN(6) {
	case 0:
		streamID(g)
	case 1, 2:
		g.args = append(g.args, strconv.Itoa(g.IntN(40))+"-*")
	default:
		exactly("40-*", "39-*", "38-*", "41-*")(g)
	}
}
