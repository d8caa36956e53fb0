package command

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// INFO is sections of "field:value" lines, named as Redis names them, because
// exporters and dashboards read them by name.

type infoSection struct {
	name  string // as asked for
	title string
	rare  bool // only with ALL, EVERYTHING or its own name
	write func(c *Ctx, b *infoText)
}

func infoSections() []infoSection {
	return []infoSection{
		{"server", "Server", false, infoServer},
		{"clients", "Clients", false, infoClients},
		{"memory", "Memory", false, infoMemory},
		{"persistence", "Persistence", false, infoPersistence},
		{"stats", "Stats", false, infoStats},
		{"replication", "Replication", false, infoReplication},
		{"cpu", "CPU", false, infoCPU},
		{"commandstats", "Commandstats", true, infoCommandStats},
		{"errorstats", "Errorstats", false, infoErrorStats},
		{"cluster", "Cluster", false, infoCluster},
		{"keyspace", "Keyspace", false, infoKeyspace},
	}
}

// infoText gathers lines.
type infoText struct{ strings.Builder }

func (b *infoText) add(field string, value any) { fmt.Fprintf(b, "%s:%v\r\n", field, value) }

// zeros adds fields of what there is not here, for readers that expect them.
func (b *infoText) zeros(fields ...string) {
	for _, f := range fields {
		b.add(f, 0)
	}
}

// addSize adds a size in bytes, and the same for people.
func (b *infoText) addSize(field string, n int64) {
	b.add(field, n)
	b.add(field+"_human", humanSize(n))
}

// humanSize writes bytes as Redis does: 1.50K, 2.00M.
func humanSize(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	f := float64(n)
	for _, u := range "KMGTP" {
		if f /= 1024; f < 1024 {
			return fmt.Sprintf("%.2f%c", f, u)
		}
	}
	return fmt.Sprintf("%.2fE", f/1024)
}

func info(c *Ctx) {
	want := make(map[string]bool)
	for _, a := range c.Args[1:] {
		want[string(lower(nil, a))] = true
	}
	all := want["all"] || want["everything"]
	common := len(want) == 0 || want["default"]
	var b infoText
	for _, s := range infoSections() {
		if !all && !want[s.name] && (!common || s.rare) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.title + "\r\n")
		s.write(c, &b)
	}
	c.Out.Verbatim("txt", b.String())
}

func infoServer(c *Ctx, b *infoText) {
	up := int64(c.clock.Now().Sub(c.start).Seconds())
	s := c.Config.Settings()
	b.add("redis_version", Version)
	b.add("larder_version", c.Info.Version)
	b.add("redis_git_sha1", "00000000")
	b.add("redis_git_dirty", 0)
	b.add("redis_build_id", "0")
	b.add("redis_mode", "standalone")
	b.add("os", runtime.GOOS+" "+runtime.GOARCH)
	b.add("arch_bits", strconv.IntSize)
	b.add("go_version", runtime.Version())
	b.add("process_id", os.Getpid())
	b.add("process_supervised", "no")
	b.add("run_id", c.Info.RunID)
	b.add("tcp_port", c.Info.Port)
	b.add("server_time_usec", c.clock.Now().UnixMicro())
	b.add("uptime_in_seconds", up)
	b.add("uptime_in_days", up/86400)
	b.add("hz", s.Hz)
	b.add("configured_hz", s.Hz)
	b.add("lru_clock", c.Engine.AccessClock())
	b.add("executable", c.Info.Binary)
	b.add("config_file", c.Info.File)
	b.add("io_threads_active", 0)
}

func (c *Ctx) network() NetworkStats {
	if c.Info.Network == nil {
		return NetworkStats{}
	}
	return c.Info.Network()
}

func infoClients(c *Ctx, b *infoText) {
	connected, pubsub, watching := 0, 0, 0
	c.eachSession(func(s *Session) {
		connected++
		sh := s.shown.Load()
		if sh.listens() {
			pubsub++
		}
		watching += sh.watching
	})
	b.add("connected_clients", connected)
	b.add("cluster_connections", 0)
	b.add("maxclients", c.Config.Settings().MaxClients)
	b.add("client_recent_max_input_buffer", 0)
	b.add("client_recent_max_output_buffer", 0)
	b.add("blocked_clients", c.blocked.Load())
	b.add("tracking_clients", c.Engine.Tracking().Clients)
	b.add("pubsub_clients", pubsub)
	b.add("watching_clients", 0)
	b.add("total_watched_keys", watching)
	b.add("clients_in_timeout_table", 0)
	keys, gone := c.Engine.Waiting()
	b.add("total_blocking_keys", keys)
	b.add("total_blocking_keys_on_nokey", gone)
}

func infoMemory(c *Ctx, b *infoText) {
	m := c.Tx.Memories()
	used := m.Live + c.Engine.Overhead()
	s := c.Config.Settings()
	var rss, heap, peak int64
	if c.Info.Memory != nil {
		rss, heap, peak = c.Info.Memory()
	}
	b.addSize("used_memory", used)
	b.addSize("used_memory_rss", rss)
	b.addSize("used_memory_peak", max(peak, used))
	b.add("used_memory_peak_perc", percent(used, max(peak, used)))
	b.add("used_memory_overhead", c.Engine.Overhead())
	b.add("used_memory_startup", c.Engine.Startup())
	b.add("used_memory_dataset", m.Live)
	b.add("used_memory_dataset_perc", percent(m.Live, used))
	b.add("allocator_allocated", m.Live)
	b.add("allocator_active", m.Used)
	b.add("allocator_resident", m.Mapped)
	b.add("used_memory_go_heap", heap)
	b.add("total_system_memory", systemMemory())
	b.zeros("used_memory_lua", "used_memory_vm_eval", "used_memory_scripts_eval", "number_of_functions", "number_of_libraries",
		"used_memory_vm_functions", "used_memory_vm_total", "used_memory_functions")
	scripts, size := c.scripts.size()
	b.add("used_memory_scripts", size)
	b.add("number_of_cached_scripts", scripts)
	b.addSize("maxmemory", int64(s.MaxMemory))
	b.add("maxmemory_policy", s.MaxMemoryPolicy.String())
	b.add("allocator_frag_ratio", ratio(m.Used, m.Live))
	b.add("allocator_frag_bytes", m.Used-m.Live)
	b.add("allocator_rss_ratio", ratio(m.Mapped, m.Used))
	b.add("allocator_rss_bytes", m.Mapped-m.Used)
	b.add("mem_fragmentation_ratio", ratio(rss, used))
	b.add("mem_fragmentation_bytes", rss-used)
	b.add("mem_not_counted_for_evict", 0)
	b.add("mem_clients_normal", c.network().InputBuf+c.network().OutputBuf)
	b.zeros("mem_clients_slaves", "mem_cluster_links", "mem_replication_backlog", "mem_total_replication_buffers", "mem_aof_buffer")
	b.add("mem_allocator", "larder-arena")
	b.add("active_defrag_running", 0)
	b.add("lazyfree_pending_objects", c.Engine.PendingFrees())
	b.add("lazyfreed_objects", c.Engine.Freed())
}

func percent(a, b int64) string {
	if b == 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(a)/float64(b))
}

func ratio(a, b int64) string {
	if b == 0 {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func infoPersistence(c *Ctx, b *infoText) {
	b.add("loading", 0)
	b.add("async_loading", 0)
	b.add("rdb_changes_since_last_save", c.Engine.Dirty())
	b.add("rdb_bgsave_in_progress", 0)
	b.add("rdb_last_save_time", c.start.Unix())
	b.add("rdb_last_bgsave_status", "ok")
	b.add("rdb_last_bgsave_time_sec", -1)
	b.add("rdb_current_bgsave_time_sec", -1)
	b.zeros("rdb_saves", "rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded")
	b.add("aof_enabled", 0)
	b.add("aof_rewrite_in_progress", 0)
	b.add("aof_rewrite_scheduled", 0)
	b.add("aof_last_rewrite_time_sec", -1)
	b.add("aof_current_rewrite_time_sec", -1)
	b.add("aof_last_bgrewrite_status", "ok")
	b.add("aof_last_write_status", "ok")
	b.zeros("aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size")
}

func infoStats(c *Ctx, b *infoText) {
	n, e := c.network(), c.Tx.Stats()
	channels, patterns, sharded := c.Engine.Hub.Counts()
	b.add("total_connections_received", n.Accepted)
	b.add("total_commands_processed", c.stats.total.Load())
	b.add("instantaneous_ops_per_sec", c.stats.rate())
	b.add("total_net_input_bytes", n.BytesIn)
	b.add("total_net_output_bytes", n.BytesOut)
	b.zeros("total_net_repl_input_bytes", "total_net_repl_output_bytes")
	b.add("total_reads_processed", n.Reads)
	b.add("total_writes_processed", n.Writes)
	b.zeros("io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks", "reply_buffer_expands")
	b.add("rejected_connections", n.Refused)
	b.add("sync_full", 0)
	b.add("sync_partial_ok", 0)
	b.add("sync_partial_err", 0)
	b.add("expired_keys", e.Expired)
	b.add("expired_stale_perc", "0.00")
	b.add("expired_time_cap_reached_count", 0)
	b.add("expire_cycle_cpu_milliseconds", c.Engine.ExpireTime().Milliseconds())
	b.add("evicted_keys", e.Evicted)
	b.add("evicted_clients", 0)
	b.add("total_eviction_exceeded_time", 0)
	b.add("current_eviction_exceeded_time", 0)
	b.add("keyspace_hits", e.Hits)
	b.add("keyspace_misses", e.Misses)
	b.add("pubsub_channels", channels)
	b.add("pubsub_patterns", patterns)
	b.add("pubsubshard_channels", sharded)
	b.add("latest_fork_usec", 0)
	b.add("total_forks", 0)
	b.add("migrate_cached_sockets", 0)
	b.add("slave_expires_tracked_keys", 0)
	b.add("active_defrag_hits", 0)
	b.zeros("active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses")
	tracking := c.Engine.Tracking()
	b.add("tracking_total_keys", tracking.Keys)
	b.add("tracking_total_items", tracking.Items)
	b.add("tracking_total_prefixes", tracking.Prefixes)
	b.add("tracking_total_bytes", tracking.Bytes)
	b.zeros("unexpected_error_replies", "dump_payload_sanitizations")
	b.add("total_error_replies", c.stats.totalErrors())
	b.add("client_query_buffer_limit_disconnections", n.QueryLimitKilled)
	b.add("client_output_buffer_limit_disconnections", n.OutputLimitKilled)
}

func infoReplication(c *Ctx, b *infoText) {
	b.add("role", "master")
	b.add("connected_slaves", 0)
	b.add("master_failover_state", "no-failover")
	b.add("master_replid", c.Info.RunID)
	b.add("master_replid2", strings.Repeat("0", 40))
	b.add("master_repl_offset", 0)
	b.add("second_repl_offset", -1)
	b.add("repl_backlog_active", 0)
	b.add("repl_backlog_size", 1048576)
	b.add("repl_backlog_first_byte_offset", 0)
	b.add("repl_backlog_histlen", 0)
}

func infoCPU(_ *Ctx, b *infoText) {
	sys, user := cpuSeconds()
	b.add("used_cpu_sys", fmt.Sprintf("%.6f", sys))
	b.add("used_cpu_user", fmt.Sprintf("%.6f", user))
	b.add("used_cpu_sys_children", "0.000000")
	b.add("used_cpu_user_children", "0.000000")
	b.add("used_cpu_sys_main_thread", fmt.Sprintf("%.6f", sys)) // there is no such thread: the work is everywhere
	b.add("used_cpu_user_main_thread", fmt.Sprintf("%.6f", user))
}

func infoCommandStats(c *Ctx, b *infoText) {
	c.Table.Visit(func(full string, r *Command) {
		s := &c.stats.commands[r.index]
		calls, micros := s.calls.Load(), s.nanos.Load()/1000
		if calls == 0 && s.rejected.Load() == 0 {
			return
		}
		per := 0.0
		if calls > 0 {
			per = float64(s.nanos.Load()) / 1000 / float64(calls)
		}
		b.add("cmdstat_"+full, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			calls, micros, per, s.rejected.Load(), s.failed.Load()))
	})
}

func infoErrorStats(c *Ctx, b *infoText) {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	codes := make([]string, 0, len(c.stats.errors))
	for code := range c.stats.errors {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		b.add("errorstat_"+code, fmt.Sprintf("count=%d", c.stats.errors[code]))
	}
}

func infoCluster(_ *Ctx, b *infoText) { b.add("cluster_enabled", 0) }

func infoKeyspace(c *Ctx, b *infoText) {
	here := c.Tx.DB()
	defer c.Tx.Use(here)
	for db := range c.Engine.Databases() {
		c.Tx.Use(db)
		k := c.Tx.Keyspace()
		if k.Keys == 0 {
			continue
		}
		b.add("db"+strconv.Itoa(db), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", k.Keys, k.Expiring, k.AverageTTL))
	}
}
