package top

import (
	"strings"

	"github.com/larderdb/larder/internal/info"
)

// Command is how often and how long a command ran.
type Command struct {
	Name    string `json:"name"`
	Calls   Num    `json:"calls_per_second"`
	PerCall Num    `json:"usec_per_call"` // between the readings
	P99     Num    `json:"p99_usec"`      // between the readings if the server has histograms, else since start
	P999    Num    `json:"p999_usec"`     // likewise
	Busy    Num    `json:"busy_share"`    // of one processor's time
	Failed  Num    `json:"failed_per_second"`
	Total   Num    `json:"calls"`                     // since start
	Mean    Num    `json:"usec_per_call_since_start"` //
}

// commandsOf compares commandstats of two readings; ok is false if the server has none.
func commandsOf(prev, cur Sample) (list []Command, ok bool) {
	if !cur.Info.Has("commandstats") {
		return nil, false
	}
	change := info.Between(prev.Info, cur.Info, cur.At-prev.At)
	var recent info.Histograms
	if cur.Latency != nil && prev.Latency != nil && !change.Reset {
		recent = cur.Latency.Since(prev.Latency)
	}
	for _, f := range cur.Info.Section("commandstats").Fields {
		name, isStat := strings.CutPrefix(f.Name, "cmdstat_")
		if !isStat {
			continue
		}
		parts := f.Parts()
		grown := func(part string) Num { return maybe(change.GrownPart("commandstats", f.Name, part)) }
		rate := func(part string) Num { return maybe(change.RatePart("commandstats", f.Name, part)) }
		c := Command{
			Name: name, Calls: rate("calls"), PerCall: ratio(grown("usec"), grown("calls")), Busy: rate("usec"),
			Failed: rate("failed_calls"), Total: maybe(parts.Float("calls")),
		}
		if _, has := parts.Text("rejected_calls"); has {
			c.Failed = plus(c.Failed, rate("rejected_calls"))
		}
		c.Busy.V /= 1e6
		c.Mean = ratio(maybe(parts.Float("usec")), c.Total)
		if recent != nil {
			c.P99, c.P999 = maybe(recent[name].Quantile(0.99)), maybe(recent[name].Quantile(0.999))
		} else {
			p := cur.Info.Parts("latency_percentiles_usec_" + name)
			c.P99, c.P999 = maybe(p.Float("p99")), maybe(p.Float("p99.9"))
		}
		list = append(list, c)
	}
	return list, true
}
