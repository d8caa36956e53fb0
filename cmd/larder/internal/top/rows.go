package top

import (
	"strings"
	"time"

	"github.com/larderdb/larder/internal/info"
)

// refresh makes the rows of the view anew.
func (s *Screen) refresh() {
	t := s.table()
	track := s.track()
	switch s.view {
	case viewNamespaces:
		t.load(namespaceColumns(), namespaceRows(s.namespaces()))
	case viewHot:
		if s.monitored != nil {
			t.load(accessColumns(), accessRows(s.monitored.Keys))
		} else if s.sweep != nil {
			t.load(hotColumns(), hotRows(s.sweep.hot.list))
		} else {
			t.load(hotColumns(), nil)
		}
	case viewBig:
		var list []leader
		if s.sweep != nil {
			list = s.sweep.big.list
		}
		t.load(bigColumns(), bigRows(list))
	case viewCommands:
		list, _ := commandsOf(track.prev, track.cur)
		t.load(commandColumns(), commandRows(list))
	case viewSlow:
		t.load(slowColumns(), slowRows(track.cur.SlowLog))
	case viewClients:
		t.load(clientColumns(), clientRows(track.prev, track.cur))
	}
}

// namespaces are those the server counts, else an estimate.
func (s *Screen) namespaces() []Namespace {
	track := s.track()
	if list, ok := namespacesOf(track.prev, track.cur); ok {
		return list
	}
	if s.sweep == nil {
		return nil
	}
	return s.sweep.namespaces()
}

func namespaceColumns() []column {
	return []column{{title: "NAMESPACE"}, {title: "KEYS", width: 7}, {title: "BYTES", width: 7}, {title: "NO TTL", width: 7, rank: 1}, {title: "HITS", width: 6, rank: 2},
		{title: "READS/S", width: 8, rank: 4}, {title: "EVICT/S", width: 8, rank: 3}, {title: "REGRET/S", width: 9, rank: 5},
		{title: "TTL <1m", width: 8, rank: 6}, {title: "<1h", width: 6, rank: 6}, {title: "<1d", width: 6, rank: 6}, {title: "<7d", width: 6, rank: 6}, {title: "more", width: 6, rank: 6}}
}

func namespaceRows(list []Namespace) []row {
	rows := make([]row, 0, len(list))
	for _, n := range list {
		r := row{of: n, cells: []cell{words(namespaceName(n.Name)), figure(n.Keys, Num.count), figure(n.Bytes, Num.bytes), figure(n.NoTTL, Num.percent),
			figure(n.HitRatio, Num.percent), figure(n.Reads, Num.count), figure(n.Evicted, Num.count), figure(n.Regret, Num.count)}}
		for i := range ttlNames() {
			var share Num
			if i < len(n.TTL) {
				share = n.TTL[i]
			}
			r.cells = append(r.cells, figure(share, Num.percent))
		}
		rows = append(rows, r)
	}
	return rows
}

func namespaceName(name string) string {
	if name == "" {
		return "(no prefix)"
	}
	return name
}

func hotColumns() []column {
	return []column{{title: "KEY"}, {title: "FREQ", width: 5}, {title: "BYTES", width: 7, rank: 1}, {title: "TTL", width: 8, rank: 2}}
}

func hotRows(list []leader) []row {
	rows := make([]row, 0, len(list))
	for _, l := range list {
		rows = append(rows, row{of: l, cells: []cell{words(l.name), figure(num(l.score), Num.count), figure(l.facts.Bytes, Num.bytes), ttlCell(l.facts)}})
	}
	return rows
}

func ttlCell(k KeyFacts) cell {
	switch {
	case k.HasTTL:
		return figure(num(k.TTL.Seconds()), Num.span)
	case k.Known:
		return cell{text: "none", numeric: true}
	}
	return figure(Num{}, Num.span)
}

func accessColumns() []column {
	return []column{{title: "KEY"}, {title: "USES/S", width: 8}, {title: "READS/S", width: 8, rank: 1}, {title: "WRITES/S", width: 9, rank: 2}, {title: "MISSED<", width: 8, rank: 4}, {title: "LAST", width: 10, left: true, rank: 3}}
}

func accessRows(list []Access) []row {
	rows := make([]row, 0, len(list))
	for _, a := range list {
		rows = append(rows, row{of: a, cells: []cell{words(a.Key), figure(a.Total, Num.count), figure(a.Reads, Num.count), figure(a.Writes, Num.count), figure(a.AtMost, Num.count), words(a.Command)}})
	}
	return rows
}

func bigColumns() []column {
	return []column{{title: "KEY"}, {title: "BYTES", width: 7}, {title: "TYPE", width: 7, left: true, rank: 1}, {title: "TTL", width: 8, rank: 2}}
}

func bigRows(list []leader) []row {
	rows := make([]row, 0, len(list))
	for _, l := range list {
		kind := l.facts.Type
		if kind == "" {
			kind = dash
		}
		rows = append(rows, row{of: l, cells: []cell{words(l.name), figure(num(l.score), Num.bytes), {text: kind}, ttlCell(l.facts)}})
	}
	return rows
}

func commandColumns() []column {
	return []column{{title: "COMMAND"}, {title: "CALLS/S", width: 8}, {title: "US/CALL", width: 8}, {title: "P99", width: 7, rank: 1}, {title: "BUSY", width: 6, rank: 2},
		{title: "FAILED/S", width: 9, rank: 3}, {title: "CALLS", width: 7, rank: 4}, {title: "P99.9", width: 7, rank: 5}, {title: "MEAN", width: 7, rank: 6}}
}

func commandRows(list []Command) []row {
	rows := make([]row, 0, len(list))
	for _, c := range list {
		rows = append(rows, row{of: c, cells: []cell{words(c.Name), figure(c.Calls, Num.count), figure(c.PerCall, Num.micros), figure(c.P99, Num.micros), figure(c.Busy, Num.percent),
			figure(c.Failed, Num.count), figure(c.Total, Num.count), figure(c.P999, Num.micros), figure(c.Mean, Num.micros)}})
	}
	return rows
}

func slowColumns() []column {
	return []column{{title: "CALL"}, {title: "TOOK", width: 7}, {title: "AT", width: 8}, {title: "CLIENT", width: 21, left: true, rank: 1}}
}

func slowRows(list []SlowCall) []row {
	rows := make([]row, 0, len(list))
	for _, c := range list {
		at := cell{text: c.At.Format(time.TimeOnly), n: num(float64(c.At.Unix())), numeric: true}
		rows = append(rows, row{of: c, cells: []cell{{text: c.Call}, figure(num(float64(c.Micros)), Num.micros), at, words(c.Client)}})
	}
	return rows
}

func clientColumns() []column {
	return []column{{title: "CLIENT"}, {title: "NAME", width: 12, left: true, rank: 3}, {title: "AGE", width: 7, rank: 4}, {title: "IDLE", width: 7, rank: 1}, {title: "MEMORY", width: 7},
		{title: "CALLS/S", width: 8, rank: 2}, {title: "COMMAND", width: 14, left: true, rank: 5}, {title: "USER", width: 10, left: true, rank: 6}, {title: "LIBRARY", width: 16, left: true, rank: 7}}
}

func clientRows(prev, cur Sample) []row {
	before := make(map[[2]string]Num, len(prev.Clients))
	id := func(c Client) [2]string { return [2]string{c.Node, c.ID.count() + c.Addr} }
	for _, c := range prev.Clients {
		before[id(c)] = c.Calls
	}
	fresh := info.Between(prev.Info, cur.Info, cur.At-prev.At).Reset
	rows := make([]row, 0, len(cur.Clients))
	for _, c := range cur.Clients {
		was := before[id(c)]
		calls := maybe((c.Calls.V-was.V)/(cur.At-prev.At).Seconds(), c.Calls.OK && was.OK && c.Calls.V >= was.V && !fresh && cur.At > prev.At)
		rows = append(rows, row{of: c, cells: []cell{words(c.Addr), words(c.Name), figure(c.Age, Num.span), figure(c.Idle, Num.span), figure(c.Memory, Num.bytes),
			figure(calls, Num.count), words(strings.ReplaceAll(c.Command, "|", " ")), words(c.User), words(c.Library)}})
	}
	return rows
}
