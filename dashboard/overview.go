package dashboard

import (
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// overview is the last reading: INFO's fields as they are, and what has to be computed from two of them.
func (d *Dashboard) overview(ctx context.Context, _ *query) (any, error) {
	h := &d.history
	h.mu.Lock()
	last := h.last
	var first, now reading
	if len(last) > 0 {
		first, now = last[0], last[len(last)-1]
	}
	h.mu.Unlock()
	if len(last) == 0 {
		text, _, err := d.figures(ctx)
		if err != nil {
			return nil, err
		}
		now = reading{d.clock.Monotonic(), info.Parse(text), nil}
	}
	change := info.Between(first.info, now.info, now.at-first.at)
	return map[string]any{
		"info": fields(now.info), "rates": rateTable(change), "commands": commandTable(now.info, change),
		"namespaces": namespaceTable(now.info, change), "databases": partsTable(now.info.Section("Keyspace")),
		"seconds": (now.at - first.at).Seconds(),
	}, nil
}

// fields are all of INFO but the tables.
func fields(in info.Info) map[string]string {
	out := map[string]string{}
	for _, s := range in.Sections {
		switch strings.ToLower(s.Name) {
		case "commandstats", "latencystats", "namespaces", "keyspace", "errorstats":
			continue
		}
		for _, f := range s.Fields {
			out[f.Name] = f.Value
		}
	}
	return out
}

func rateTable(c info.Change) map[string]float64 {
	out := map[string]float64{}
	for i, field := range rates {
		if f, ok := c.Rate(field); ok {
			out[seriesNames[i]] = f
		}
	}
	return out
}

// table is a list of rows by names: nil says that the store does not tell.
type table []map[string]any

// partsTable is a section whose fields have parts.
func partsTable(s info.Section) table {
	out := table{}
	for _, f := range s.Fields {
		row := map[string]any{"name": f.Name}
		for _, p := range f.Parts() {
			row[p.Name] = numberOr(p)
		}
		out = append(out, row)
	}
	return out
}

// numberOr is a part as a number if it is one, else as text. A name is text, also where it is all digits.
func numberOr(p info.Field) any {
	if p.Name == "name" {
		return blob{s: p.Value}
	}
	if n, ok := (info.Parts{p}).Float(p.Name); ok {
		return n
	}
	return blob{s: p.Value}
}

// commandTable has a row per command: how often, how quick, and percentiles where the server has them.
func commandTable(in info.Info, c info.Change) table {
	if !in.Has("commandstats") {
		return nil
	}
	out := table{}
	for _, f := range in.Section("commandstats").Fields {
		name, ok := strings.CutPrefix(f.Name, "cmdstat_")
		if !ok {
			continue
		}
		row := map[string]any{"name": name}
		for _, p := range f.Parts() {
			row[p.Name] = numberOr(p)
		}
		if rate, ok := c.RatePart("commandstats", f.Name, "calls"); ok {
			row["rate"] = rate
		}
		for _, p := range in.Parts("latency_percentiles_usec_" + name) {
			row[strings.ReplaceAll(p.Name, ".", "")] = numberOr(p)
		}
		out = append(out, row)
	}
	return out
}

// namespaceTable has a row per namespace, with rates of its counters.
func namespaceTable(in info.Info, c info.Change) table {
	if !in.Has("namespaces") {
		return nil
	}
	out := partsTable(in.Section("namespaces"))
	for i, f := range in.Section("namespaces").Fields {
		for _, part := range []string{"hits", "misses", "evicted_maxmemory", "evicted_expired", "regret"} {
			if rate, ok := c.RatePart("namespaces", f.Name, part); ok {
				out[i][part+"_rate"] = rate
			}
		}
	}
	return out
}

// slowEntry is one of SLOWLOG GET.
type slowEntry struct {
	ID     int64  `json:"id"`
	At     int64  `json:"at"` // Unix s
	Micros int64  `json:"micros"`
	Words  []blob `json:"words"`
	Client blob   `json:"client"`
	Name   blob   `json:"name"`
}

const (
	slowEntries = 128
	slowWords   = 32
	slowBytes   = 256
)

// slowlog answers the last slow commands, newest first. Words that a server keeps whole are cut.
func (d *Dashboard) slowlog(ctx context.Context, _ *query) (any, error) {
	r := d.st.Pipe(ctx, store.Cmd{"SLOWLOG", "GET", "128"}, store.Cmd{"CONFIG", "GET", "slowlog-log-slower-than"})
	list, err := r[0].Array()
	if err != nil {
		return nil, err
	}
	out := make([]slowEntry, 0, min(len(list), slowEntries))
	for _, e := range list[:min(len(list), slowEntries)] {
		parts, err := e.Array()
		if err != nil || len(parts) < 4 {
			continue
		}
		var s slowEntry
		for i, to := range []*int64{&s.ID, &s.At, &s.Micros} {
			*to, _ = parts[i].Int64() //nolint:errcheck // 0
		}
		words, _ := parts[3].Strings() //nolint:errcheck // none
		for _, w := range words[:min(len(words), slowWords)] {
			s.Words = append(s.Words, clipped(w, slowBytes))
		}
		if len(parts) >= 6 {
			client, _ := parts[4].Text() //nolint:errcheck // ""
			name, _ := parts[5].Text()   //nolint:errcheck // ""
			s.Client, s.Name = blob{s: client}, blob{s: name}
		}
		out = append(out, s)
	}
	answer := map[string]any{"entries": out}
	if limit, err := r[1].Map(); err == nil && limit["slowlog-log-slower-than"] != "" {
		answer["threshold"] = limit["slowlog-log-slower-than"]
	}
	return answer, nil
}

// counters answers what patterns of this process count.
func (d *Dashboard) counters(_ context.Context, q *query) (any, error) {
	type row struct {
		Pattern string             `json:"pattern"`
		Name    blob               `json:"name"`
		Values  map[string]float64 `json:"values"`
	}
	rows := []row{}
	for _, c := range d.o.Counters {
		if p := q.text("pattern"); p != "" && p != c.Pattern {
			continue
		}
		b, err := json.Marshal(c.Read())
		if err != nil {
			return nil, err
		}
		var all map[string]any
		if err := json.Unmarshal(b, &all); err != nil {
			continue // no struct
		}
		values := map[string]float64{}
		for name, v := range all {
			if f, ok := v.(float64); ok && !math.IsInf(f, 0) {
				values[name] = f
			}
		}
		rows = append(rows, row{c.Pattern, blob{s: c.Name}, values})
	}
	return rows, nil
}
