package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func infoPersistence(c *Ctx, b *infoText) {
	running, seconds := c.saves.running(c.clock.Now()) // first: if none is under way, what the last one came to is known
	b.add("loading", 0)
	b.add("async_loading", 0)
	b.zeros("current_cow_peak", "current_cow_size", "current_cow_size_age")
	b.add("current_fork_perc", "0.00")
	b.zeros("current_save_keys_processed", "current_save_keys_total")
	b.add("rdb_changes_since_last_save", c.Engine.Dirty()-c.saves.dirty.Load())
	b.add("rdb_bgsave_in_progress", running)
	b.add("rdb_last_save_time", c.lastSave())
	status, took := c.saves.outcome()
	b.add("rdb_last_bgsave_status", status)
	b.add("rdb_last_bgsave_time_sec", took)
	b.add("rdb_current_bgsave_time_sec", seconds)
	b.add("rdb_saves", c.saves.count.Load())
	b.zeros("rdb_last_cow_size", "rdb_last_load_keys_expired")
	b.add("rdb_last_load_keys_loaded", c.stats.loaded.Load())
	b.add("aof_enabled", 0)
	b.add("aof_rewrite_in_progress", 0)
	b.add("aof_rewrite_scheduled", 0)
	b.add("aof_last_rewrite_time_sec", -1)
	b.add("aof_current_rewrite_time_sec", -1)
	b.add("aof_last_bgrewrite_status", "ok")
	b.zeros("aof_rewrites", "aof_rewrites_consecutive_failures")
	b.add("aof_last_write_status", "ok")
	b.zeros("aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size")
}

func infoStats(c *Ctx, b *infoText) {
	n, e, r := c.network(), c.Tx.Stats(), c.stats.rates()
	channels, patterns, sharded := c.Engine.Hub.Counts()
	b.add("total_connections_received", n.Accepted)
	b.add("total_commands_processed", c.stats.total.Load())
	b.add("instantaneous_ops_per_sec", int64(r.ops.value()))
	b.add("total_net_input_bytes", n.BytesIn)
	b.add("total_net_output_bytes", n.BytesOut)
	b.zeros("total_net_repl_input_bytes")
	b.add("total_net_repl_output_bytes", c.stats.replicated.Load())
	b.add("instantaneous_input_kbps", kilobytes(r.in.value()))
	b.add("instantaneous_output_kbps", kilobytes(r.out.value()))
	b.add("instantaneous_input_repl_kbps", "0.00")
	b.add("instantaneous_output_repl_kbps", kilobytes(r.replicated.value()))
	b.add("rejected_connections", n.Refused)
	b.add("sync_full", c.stats.fullSyncs.Load())
	b.add("sync_partial_ok", 0)
	b.add("sync_partial_err", 0)
	b.add("expired_keys", e.Expired)
	b.add("expired_subkeys", e.ExpiredFields)
	b.add("expired_stale_perc", fmt.Sprintf("%.2f", 100*c.Engine.Stale()))
	b.add("expired_time_cap_reached_count", c.Engine.ExpireCaps())
	b.add("expire_cycle_cpu_milliseconds", c.Engine.ExpireTime().Milliseconds())
	b.add("evicted_keys", e.Evicted)
	b.add("evicted_clients", c.stats.evictedClients.Load())
	b.add("evicted_scripts", c.scripts.evicted.Load())
	b.add("total_eviction_exceeded_time", time.Duration(c.stats.evicting.Load()).Milliseconds())
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
	b.zeros("active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses",
		"total_active_defrag_time", "current_active_defrag_time")
	tracking := c.Engine.Tracking()
	b.add("tracking_total_keys", tracking.Keys)
	b.add("tracking_total_items", tracking.Items)
	b.add("tracking_total_prefixes", tracking.Prefixes)
	b.add("tracking_total_bytes", tracking.Bytes)
	b.add("unexpected_error_replies", 0)
	b.add("total_error_replies", c.stats.totalErrors())
	b.add("dump_payload_sanitizations", 0)
	infoTraffic(c, b, &n, &r)
}

// infoTraffic is the half of the statistics that tells of connections and of those who serve them. A cycle is a turn
// of whoever reads commands or does the periodic work in which there was something to do.
func infoTraffic(c *Ctx, b *infoText, n *NetworkStats, r *rates) {
	b.add("total_reads_processed", n.Reads)
	b.add("total_writes_processed", n.Writes)
	b.zeros("io_threaded_reads_processed", "io_threaded_writes_processed", "io_threaded_freed_objects",
		"io_threaded_poll_processed", "io_threaded_total_prefetch_batches", "io_threaded_total_prefetch_entries")
	b.add("client_query_buffer_limit_disconnections", n.QueryLimitKilled)
	b.add("client_output_buffer_limit_disconnections", n.OutputLimitKilled)
	b.zeros("reply_buffer_shrinks", "reply_buffer_expands")
	commands, ticks := c.stats.commandTime(), time.Duration(c.stats.tickTime.Load())
	b.add("eventloop_cycles", n.Reads+c.stats.ticks.Load())
	b.add("eventloop_duration_sum", (commands + ticks).Microseconds())
	b.add("eventloop_duration_cmd_sum", commands.Microseconds())
	cycles := r.cycles.value()
	b.add("instantaneous_eventloop_cycles_per_sec", int64(cycles))
	b.add("instantaneous_eventloop_duration_usec", int64(r.busy.value()/max(cycles, 1)/1000))
	b.add("acl_access_denied_auth", c.denied.auth.Load())
	b.add("acl_access_denied_cmd", c.denied.command.Load())
	b.add("acl_access_denied_key", c.denied.key.Load())
	b.add("acl_access_denied_channel", c.denied.channels.Load())
}

func kilobytes(bytes float64) string { return fmt.Sprintf("%.2f", bytes/1024) }

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

func infoLatencyStats(c *Ctx, b *infoText) {
	s := c.Config.Settings()
	if !s.LatencyTracking {
		return
	}
	c.Table.Visit(func(full string, r *Command) {
		h := c.stats.commands[r.index].latency.Load()
		if h == nil {
			return
		}
		var parts []string
		for i, d := range h.percentiles(s.LatencyPercentiles) {
			p := strconv.FormatFloat(s.LatencyPercentiles[i], 'f', -1, 64)
			parts = append(parts, fmt.Sprintf("p%s=%.3f", p, float64(d)/1000))
		}
		b.add("latency_percentiles_usec_"+full, strings.Join(parts, ","))
	})
}

func infoDebug(c *Ctx, b *infoText) {
	b.add("eventloop_duration_aof_sum", 0)
	b.add("eventloop_duration_cron_sum", time.Duration(c.stats.tickTime.Load()).Microseconds())
	b.add("eventloop_duration_max", time.Duration(c.stats.longest.Load()).Microseconds())
	b.add("eventloop_cmd_per_cycle_max", max(c.stats.mostInBatch.Load(), 1))
}
