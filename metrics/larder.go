package metrics

import (
	"math"
	"strings"

	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// memory is what memory is used for; only Larder tells keys, values and tables apart. The causes from keys to startup
// add up to redis_memory_used_bytes there.
func (p *page) memory(in info.Info) {
	if _, ok := in.Float("larder_mem_keys"); !ok {
		return
	}
	for _, m := range [...]struct{ field, cause string }{
		{"larder_mem_keys", "keys"}, {"larder_mem_values", "values"}, {"larder_mem_tables", "tables"},
		{"mem_clients_normal", "connections"}, {"mem_clients_slaves", "replicas"}, {"larder_mem_tracking", "tracking"},
		{"used_memory_startup", "startup"},
	} {
		if v, ok := in.Float(m.field); ok {
			p.add("larder_memory_bytes", "Memory that maxmemory is held against, by what it is for.", gauge, v, "cause", m.cause)
		}
	}
	for _, m := range [...]struct{ field, metric, help string }{
		{"larder_mem_free", "larder_memory_free_bytes", "Memory of the arenas that holds nothing now."},
		{"used_memory_go_heap", "larder_memory_go_heap_bytes", "What Go's garbage collector keeps: connections, scripts, the program."},
	} {
		if v, ok := in.Float(m.field); ok {
			p.add(m.metric, m.help, gauge, v)
		}
	}
}

func (p *page) namespaces(in info.Info) {
	for _, f := range in.Section("namespaces").Fields {
		parts := f.Parts()
		name, ok := parts.Text("name")
		if !ok {
			continue
		}
		put := func(part, metric, help string, k kind, labels ...string) {
			if v, ok := parts.Float(part); ok {
				p.add("larder_namespace_"+metric, help, k, v, append([]string{"namespace", name}, labels...)...)
			}
		}
		put("keys", "keys", "Keys of the namespace.", gauge)
		put("bytes", "bytes", "Memory of the namespace's keys, as MEMORY USAGE counts.", gauge)
		put("no_ttl", "keys_without_ttl", "Keys that never expire.", gauge)
		put("hits", "hits_total", "Reads that found a key.", counter)
		put("misses", "misses_total", "Reads that found none.", counter)
		put("regret", "regret_total", "Misses of keys that had been evicted not long before.", counter)
		const removed, why = "removed_keys_total", "Keys removed: to stay within maxmemory, because their time had come, by commands."
		put("evicted_maxmemory", removed, why, counter, "cause", "maxmemory")
		put("evicted_expired", removed, why, counter, "cause", "expired")
		put("deleted", removed, why, counter, "cause", "deleted")
		for _, t := range [...][2]string{{"ttl_1m", "1m"}, {"ttl_1h", "1h"}, {"ttl_1d", "1d"}, {"ttl_7d", "7d"}, {"ttl_more", "more"}} {
			put(t[0], "keys_expiring", "Keys by how long they have to live, not cumulative; estimated where they are many.", gauge, "within", t[1])
		}
	}
}

// histograms is LATENCY HISTOGRAM.
func (p *page) histograms(in info.Info, r store.Reply) {
	pairs, err := r.Pairs()
	if err != nil {
		return
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		cmd, err := pairs[i].Text()
		details, err2 := pairs[i+1].Pairs()
		if err != nil || err2 != nil {
			continue
		}
		var calls int64
		var steps []store.Reply
		for j := 0; j+1 < len(details); j += 2 {
			switch word, _ := details[j].Text(); word {
			case "calls":
				calls, _ = details[j+1].Int64()
			case "histogram_usec":
				steps, _ = details[j+1].Pairs()
			}
		}
		micros, ok := in.Parts("cmdstat_" + cmd).Float("usec")
		if samples := buckets(steps, calls, micros); ok && samples != nil {
			p.enter("redis_commands_latencies_usec", "Time of the command.", histogram, []Label{{"cmd", cmd}}, samples...)
		}
	}
}

// buckets are the samples of a histogram, nil where the steps are none: not ascending, or more than there were calls.
func buckets(steps []store.Reply, calls int64, sum float64) (samples []sample) {
	var lastAt, last int64 = math.MinInt64, 0
	for k := 0; k+1 < len(steps); k += 2 {
		at, err := steps[k].Int64()
		n, err2 := steps[k+1].Int64()
		if err != nil || err2 != nil || at <= lastAt || n < last || n > calls {
			return nil
		}
		lastAt, last = at, n
		samples = append(samples, sample{suffix: "_bucket", bound: "le", at: float64(at), value: float64(n)})
	}
	return append(samples, sample{suffix: "_bucket", bound: "le", at: math.Inf(1), value: float64(calls)},
		sample{suffix: "_sum", value: sum}, sample{suffix: "_count", value: float64(calls)})
}

// spikes is LATENCY LATEST.
func (p *page) spikes(r store.Reply) {
	events, err := r.Array()
	if err != nil {
		return
	}
	for _, e := range events {
		words, err := e.Array()
		if err != nil || len(words) < 4 {
			continue
		}
		name, err := words[0].Text()
		at, err1 := words[1].Int64()
		took, err2 := words[2].Int64()
		if err == nil && err1 == nil && err2 == nil {
			p.add("redis_latency_spike_last", "When the latency event was last seen, Unix time.", gauge, float64(at), "event_name", name)
			p.add("redis_latency_spike_duration_seconds", "How long it took.", gauge, float64(took)/1e3, "event_name", name)
		}
	}
}

func (p *page) slowlog(length, newest store.Reply) {
	if n, err := length.Int64(); err == nil {
		p.add("redis_slowlog_length", "Entries of the slow log.", gauge, float64(n))
	}
	list, err := newest.Array()
	if err != nil {
		return
	}
	var id, micros int64
	if len(list) > 0 {
		if entry, err := list[0].Array(); err == nil && len(entry) > 2 {
			id, _ = entry[0].Int64()
			micros, _ = entry[2].Int64()
		}
	}
	p.add("redis_slowlog_last_id", "Number of the slow log's latest entry.", gauge, float64(id))
	p.add("redis_last_slow_execution_duration_seconds", "How long that took.", gauge, float64(micros)/1e6)
}

// settings is CONFIG GET.
func (p *page) settings(r store.Reply) {
	set, err := r.Map()
	if err != nil {
		return
	}
	for _, name := range [...]string{"maxclients", "maxmemory"} {
		if v, ok := info.Parse(name + ":" + set[name]).Float(name); ok {
			p.add("redis_config_"+strings.ReplaceAll(name, "-", "_"), "Directive "+name+".", gauge, v)
		}
	}
}
