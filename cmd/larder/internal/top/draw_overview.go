package top

import (
	"fmt"
	"strings"
)

// overview draws the first view. Its figures stand in one column, so that the eye finds them, with their history beside.
func (s *Screen) overview() []string {
	t := s.track()
	o, h := t.over, t.hist
	var out []string
	for _, a := range t.alerts {
		paint, mark := s.ink.yellow, " * "
		if a.Severe {
			paint, mark = s.ink.red, " ! "
		}
		for i, part := range wrapped([]string{safe(a.Text)}, s.width-4) {
			if i > 0 {
				mark = "   "
			}
			out = append(out, paint(fit(mark+part, s.width, false)))
		}
	}
	if len(t.alerts) == 0 {
		out = append(out, s.ink.green(fit(" nothing to worry about", s.width, false)))
	}
	line := func(name, value, more string, series *Series, ceiling Num) {
		text := " " + fit(name, 12, false) + " " + fit(value, 8, true) + "  "
		wide := s.width - len(text) - 1
		switch {
		case series == nil:
			out = append(out, fit(text+more, s.width, false))
		case wide >= 20:
			note := fit(more, min(len(more), wide/2), false)
			if note != "" {
				note += "  "
			}
			out = append(out, text+note+s.ink.blue(sparkline(series.last(wide), wide-len(note), ceiling, s.o.Plain)))
		default:
			out = append(out, fit(text, s.width, false))
		}
	}
	line("commands/s", o.Ops.count(), "", h.Ops, Num{})
	line("hit ratio", o.HitRatio.percent(), "all "+o.HitRatioAll.percent(), h.Hits, num(1))
	line("p50  p99", o.P99.micros(), "p50 "+o.P50.micros(), h.P99, Num{})
	line("evictions/s", o.Evictions.count(), "", h.Evictions, Num{})
	line("expired/s", o.Expirations.count(), "", h.Expirations, Num{})
	line("network/s", plus(o.NetIn, o.NetOut).bytes(), "in "+o.NetIn.bytes()+" out "+o.NetOut.bytes(), h.Net, Num{})
	line("memory", o.Used.bytes(), "", h.Used, o.Max)
	out = append(out, s.memory(o)...)
	line("keys", o.Keys.count(), fmt.Sprintf("%s without TTL (%s)", o.NoTTL.count(), ratio(o.NoTTL, o.Keys).percent()), nil, Num{})
	line("clients", o.Clients.count(), fmt.Sprintf("of %s, %s blocked, %s new/s", o.MaxClients.count(), o.Blocked.count(), o.Connects.count()), nil, Num{})
	line("processors", o.CPU.percent(), "of one is used; errors/s "+o.Errors.count(), nil, Num{})
	return out
}

// memory says what of it is used, of how much, and for what.
func (s *Screen) memory(o Overview) []string {
	bar := min(max(s.width-64, 0), 40)
	limit := "of " + o.Max.bytes() + " " + s.gauge(ratio(o.Used, o.Max), bar) + " " + ratio(o.Used, o.Max).percent() + "  "
	if o.Unlimited {
		limit = "no maxmemory, "
	} else if !o.Max.OK {
		limit = "maxmemory - "
	}
	indent := "   "
	if s.width >= 70 {
		indent = strings.Repeat(" ", 24)
	}
	out := []string{fit(indent+limit+safe(o.Policy), s.width, false),
		fit(indent+"peak "+o.Peak.bytes()+", resident "+o.RSS.bytes()+", fragmentation "+o.Fragmentation.times(), s.width, false)}
	var total Num
	for _, c := range o.Causes {
		total = plus(total, c.Bytes)
	}
	wide := s.width - 45
	for _, c := range o.Causes {
		share := ratio(c.Bytes, total)
		text := "   " + fit(c.Name, 14, false) + fit(c.Bytes.bytes(), 8, true) + fit(share.percent(), 8, true) + "  "
		if wide >= 8 {
			text += s.ink.blue(strings.TrimRight(s.gauge(share, min(wide, 40)), "░."))
		}
		out = append(out, text)
	}
	return out
}
