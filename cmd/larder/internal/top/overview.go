package top

import (
	"strings"

	"github.com/larderdb/larder/internal/info"
)

// Overview is a server in one look. Rates are per second over the time between two readings.
type Overview struct {
	Server  string `json:"server"` // "larder 0.1.0"
	Mode    string `json:"mode"`   // "standalone", "cluster"
	Role    string `json:"role"`
	Policy  string `json:"maxmemory_policy"`
	Uptime  Num    `json:"uptime_seconds"`
	Reset   bool   `json:"counters_reset"` // they began anew between the readings: no rates
	Elapsed Num    `json:"interval_seconds"`

	Ops         Num `json:"ops_per_second"`
	HitRatio    Num `json:"hit_ratio"` // of lookups between the readings
	HitRatioAll Num `json:"hit_ratio_since_start"`
	Lookups     Num `json:"lookups_per_second"`
	Evictions   Num `json:"evictions_per_second"`
	Expirations Num `json:"expirations_per_second"`
	Errors      Num `json:"errors_per_second"`
	OutOfMemory Num `json:"oom_errors_per_second"`
	NetIn       Num `json:"net_in_bytes_per_second"`
	NetOut      Num `json:"net_out_bytes_per_second"`
	CPU         Num `json:"cpu_cores"`
	P50         Num `json:"p50_usec"`
	P99         Num `json:"p99_usec"`

	Clients    Num `json:"clients"`
	MaxClients Num `json:"max_clients"`
	Blocked    Num `json:"blocked_clients"`
	Connects   Num `json:"connections_per_second"`
	Rejected   Num `json:"rejected_connections_per_second"`

	Keys  Num `json:"keys"`
	NoTTL Num `json:"keys_without_ttl"`

	Used          Num     `json:"used_bytes"`
	Max           Num     `json:"maxmemory_bytes"` // unknown also where there is no limit
	Unlimited     bool    `json:"maxmemory_unlimited"`
	RSS           Num     `json:"rss_bytes"`
	Peak          Num     `json:"peak_bytes"`
	System        Num     `json:"system_memory_bytes"`
	Fragmentation Num     `json:"fragmentation_ratio"`
	Causes        []Cause `json:"memory_by_cause"`
}

// Cause is what a part of the memory is used for.
type Cause struct {
	Name  string `json:"name"`
	Bytes Num    `json:"bytes"`
}

// overviewOf compares two readings. Without an earlier one there are no rates.
func overviewOf(prev, cur Sample) Overview {
	in := cur.Info
	change := info.Between(prev.Info, in, cur.At-prev.At)
	rate := func(field string) Num { return maybe(change.Rate(field)) }
	get := func(field string) Num { return maybe(in.Float(field)) }
	o := Overview{
		Server: serverOf(in), Mode: first(in, "server_mode", "redis_mode"), Role: first(in, "role"), Policy: first(in, "maxmemory_policy"),
		Uptime: get("uptime_in_seconds"), Reset: change.Reset,
		Ops: rate("total_commands_processed"), Evictions: rate("evicted_keys"), Expirations: rate("expired_keys"),
		Errors: rate("total_error_replies"), NetIn: rate("total_net_input_bytes"), NetOut: rate("total_net_output_bytes"),
		CPU:     plus(rate("used_cpu_sys"), rate("used_cpu_user")),
		Clients: get("connected_clients"), MaxClients: get("maxclients"), Blocked: get("blocked_clients"),
		Connects: rate("total_connections_received"), Rejected: rate("rejected_connections"),
		Used: get("used_memory"), RSS: get("used_memory_rss"), Peak: get("used_memory_peak"), System: get("total_system_memory"),
		Max: get("maxmemory"),
	}
	if !prev.Info.Empty() {
		o.Elapsed = seconds(cur.At - prev.At)
	}
	if o.Max.OK && o.Max.V == 0 {
		o.Max, o.Unlimited = Num{}, true
	}
	if in.Has("errorstats") {
		o.OutOfMemory = maybe(change.RatePart("errorstats", "errorstat_OOM", "count"))
		if !o.OutOfMemory.OK && change.Elapsed > 0 && !change.Reset && prev.Info.Has("errorstats") {
			o.OutOfMemory = num(0) // a line comes with the first such error
		}
	}
	o.Fragmentation = ratio(o.RSS, o.Used)
	o.Keys, o.NoTTL = keysOf(in)
	o.Causes = causesOf(in)
	o.hits(prev, cur, change)
	o.latency(prev, cur)
	return o
}

// hits sets the hit ratio without the lookups of our own scan, which found what SCAN had just named.
func (o *Overview) hits(prev, cur Sample, change info.Change) {
	hits, misses := maybe(change.Grown("keyspace_hits")), maybe(change.Grown("keyspace_misses"))
	hits = minus(hits, num(cur.OwnHits-prev.OwnHits))
	all := plus(hits, misses)
	all.OK = hits.OK && misses.OK
	o.HitRatio = ratio(hits, all)
	o.Lookups = ratio(all, o.Elapsed)
	total := minus(maybe(cur.Info.Float("keyspace_hits")), num(cur.OwnHits))
	o.HitRatioAll = ratio(total, plus(total, maybe(cur.Info.Float("keyspace_misses"))))
}

func (o *Overview) latency(prev, cur Sample) {
	if cur.Latency == nil || prev.Latency == nil || o.Reset {
		return
	}
	h := cur.Latency.Since(prev.Latency).Overall()
	o.P50, o.P99 = maybe(h.Quantile(0.50)), maybe(h.Quantile(0.99))
}

func first(in info.Info, fields ...string) string {
	for _, f := range fields {
		if v, ok := in.Text(f); ok && v != "" {
			return v
		}
	}
	return dash
}

// serverOf names the server: forks tell redis_version too, as the version that they are like.
func serverOf(in info.Info) string {
	for _, name := range []string{"larder", "dragonfly", "keydb", "valkey", "redis"} {
		if v, ok := in.Text(name + "_version"); ok {
			return name + " " + strings.TrimPrefix(v, name+" ")
		}
	}
	if name, ok := in.Text("server_name"); ok {
		return name
	}
	return "server"
}

// keysOf counts the keys of all databases.
func keysOf(in info.Info) (keys, noTTL Num) {
	if !in.Has("keyspace") {
		return Num{}, Num{}
	}
	keys, noTTL = num(0), num(0)
	for _, db := range in.Section("keyspace").Fields {
		parts := db.Parts()
		n, expires := maybe(parts.Float("keys")), maybe(parts.Float("expires"))
		keys.V += n.V
		noTTL = plus(noTTL, minus(n, expires))
	}
	return keys, noTTL
}

// causesOf says what memory is used for, in parts that do not overlap as far as the server tells them apart.
func causesOf(in info.Info) []Cause {
	get := func(field string) Num { return maybe(in.Float(field)) }
	var causes []Cause
	add := func(name string, bytes Num) {
		if bytes.OK {
			causes = append(causes, Cause{name, bytes})
		}
	}
	overhead := minus(get("used_memory_overhead"), get("used_memory_startup"))
	if keys := get("larder_mem_keys"); keys.OK {
		add("keys", keys)
		add("values", get("larder_mem_values"))
		add("tables", get("larder_mem_tables"))
	} else {
		add("data", get("used_memory_dataset"))
	}
	clients := plus(get("mem_clients_normal"), get("mem_clients_slaves"))
	scripts := get("used_memory_scripts")
	replication := plus(get("mem_total_replication_buffers"), get("mem_cluster_links"))
	aof := get("mem_aof_buffer")
	if !get("larder_mem_keys").OK && overhead.OK {
		// Redis counts the tables of keys among the overhead and gives no figure of their own.
		add("tables", minus(overhead, plus(plus(clients, scripts), plus(replication, aof))))
	}
	add("clients", clients)
	add("scripts", scripts)
	add("replication", replication)
	add("aof", aof)
	add("server itself", get("used_memory_startup"))
	free := get("larder_mem_free")
	add("free in slabs", free)
	add("fragmentation", minus(minus(get("used_memory_rss"), get("used_memory")), Num{free.V, true}))
	return causes
}
