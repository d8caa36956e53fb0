package command_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exporterFields are the fields of INFO that redis_exporter, the usual way to Prometheus, turns into metrics and that a
// standalone server has.
const exporterFields = `
active_defrag_hits active_defrag_key_hits active_defrag_key_misses active_defrag_misses active_defrag_running
allocator_active allocator_allocated allocator_frag_bytes allocator_frag_ratio allocator_resident
allocator_rss_bytes allocator_rss_ratio aof_current_rewrite_time_sec aof_enabled aof_last_bgrewrite_status
aof_last_cow_size aof_last_rewrite_time_sec aof_last_write_status aof_rewrite_in_progress
aof_rewrite_scheduled async_loading blocked_clients client_recent_max_input_buffer
client_recent_max_output_buffer clients_in_timeout_table connected_clients connected_slaves
current_eviction_exceeded_time dump_payload_sanitizations evicted_clients evicted_keys
expire_cycle_cpu_milliseconds expired_keys expired_stale_perc expired_time_cap_reached_count
io_threaded_reads_processed io_threaded_writes_processed io_threads_active keyspace_hits keyspace_misses
latest_fork_usec lazyfree_pending_objects lazyfreed_objects loading master_repl_offset maxclients maxmemory
mem_aof_buffer mem_clients_normal mem_clients_slaves mem_cluster_links mem_fragmentation_bytes
mem_fragmentation_ratio mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers
migrate_cached_sockets module_fork_in_progress module_fork_last_cow_size number_of_cached_scripts
number_of_functions number_of_libraries process_id pubsub_channels pubsub_patterns pubsubshard_channels
rdb_bgsave_in_progress rdb_changes_since_last_save rdb_current_bgsave_time_sec rdb_last_bgsave_status
rdb_last_bgsave_time_sec rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded
rdb_last_save_time rdb_saves rejected_connections repl_backlog_active repl_backlog_first_byte_offset
repl_backlog_histlen repl_backlog_size reply_buffer_expands reply_buffer_shrinks second_repl_offset
slave_expires_tracked_keys sync_full sync_partial_err sync_partial_ok total_commands_processed
total_connections_received total_error_replies total_eviction_exceeded_time total_net_input_bytes
total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes total_reads_processed
total_writes_processed tracking_clients tracking_total_items tracking_total_keys tracking_total_prefixes
unexpected_error_replies uptime_in_seconds used_cpu_sys used_cpu_sys_children used_cpu_sys_main_thread
used_cpu_user used_cpu_user_children used_cpu_user_main_thread used_memory used_memory_dataset
used_memory_functions used_memory_lua used_memory_overhead used_memory_peak used_memory_rss
used_memory_scripts used_memory_scripts_eval used_memory_startup used_memory_vm_eval used_memory_vm_functions
used_memory_vm_total
`

// TestInfoFields holds that a dashboard made for Redis finds every figure.
func TestInfoFields(t *testing.T) {
	r := newRig(t)
	r.main.do("SET k v PX 5000")
	r.main.do("GET k")
	r.main.do("GET missing")
	r.main.do("LPUSH k x")
	r.main.do("NOSUCH")
	r.main.s.EndBatch()
	have := make(map[string]string)
	for _, line := range strings.Split(r.main.do("INFO ALL"), "\r\n") {
		if field, value, ok := strings.Cut(line, ":"); ok {
			if _, twice := have[field]; twice {
				t.Errorf("%s stands there twice", field)
			}
			have[field] = value
		}
	}
	words := "rdb_last_bgsave_status aof_last_bgrewrite_status aof_last_write_status"
	for _, field := range strings.Fields(exporterFields) {
		value, ok := have[field]
		if _, err := strconv.ParseFloat(value, 64); err != nil && !strings.Contains(words, field) {
			t.Errorf("%s is %q, there: %v", field, value, ok)
		}
	}
	for field, want := range map[string]string{
		"keyspace_hits": "1", "keyspace_misses": "1", "total_error_replies": "2", "errorstat_WRONGTYPE": "count=1",
		"db0": "keys=1,expires=1,avg_ttl=5000", "role": "master", "redis_mode": "standalone", "maxmemory_policy": "noeviction",
	} {
		if have[field] != want {
			t.Errorf("%s is %q, want %q", field, have[field], want)
		}
	}
}

// TestMemoryCausesAddUp holds, over a random mix of commands, that what INFO and MEMORY STATS say memory is used for
// adds up to what is used, and agrees with a walk of the keys.
func TestMemoryCausesAddUp(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	r := newRig(t, "hash-max-listpack-entries", "8", "set-max-listpack-entries", "8", "list-max-listpack-size", "4")
	for step := range 4000 {
		r.main.do(randomCommand(random)...)
		if random.IntN(8) == 0 {
			r.main.do(largeCommand(random)...)
		}
		if step%400 != 0 {
			continue
		}
		for range 50 {
			r.Tick(time.Second) // what is to be freed is
		}
		f := r.memoryFields()
		if sum := f["larder_mem_keys"] + f["larder_mem_values"] + f["larder_mem_tables"]; sum != f["allocator_allocated"] {
			t.Errorf("keys, values and tables are %d, %d bytes are allocated", sum, f["allocator_allocated"])
		}
		if sum := f["allocator_allocated"] + f["used_memory_startup"] + f["mem_clients_normal"] + f["mem_clients_slaves"] +
			f["larder_mem_tracking"]; sum != f["used_memory"] {
			t.Errorf("the causes are %d, used_memory %d", sum, f["used_memory"])
		}
		if sum := f["used_memory_overhead"] + f["used_memory_dataset"]; sum != f["used_memory"] {
			t.Errorf("overhead and dataset are %d, used_memory %d", sum, f["used_memory"])
		}
		if f["larder_mem_free"] < 0 || f["allocator_resident"] < f["allocator_active"] || f["allocator_active"] < f["allocator_allocated"] {
			t.Errorf("%v", f)
		}
		keys, bytes := r.walkKeys()
		tables := f["larder_mem_tables"]
		if keys != f["larder_mem_keys"] || bytes < f["allocator_allocated"]-tables || bytes > f["allocator_allocated"]+tables {
			t.Errorf("keys of %d bytes, MEMORY USAGE of all %d; %v", keys, bytes, f)
		}
		stats := r.main.do("MEMORY STATS")
		for _, want := range []string{
			fmt.Sprintf("total.allocated (%d)", f["used_memory"]), fmt.Sprintf("dataset.bytes (%d)", f["used_memory_dataset"]),
			fmt.Sprintf("overhead.total (%d)", f["used_memory_overhead"]), fmt.Sprintf("overhead.db.hashtable.lut (%d)", tables),
			fmt.Sprintf("allocator.resident (%d)", f["allocator_resident"]),
		} {
			if !strings.Contains(stats, want) {
				t.Errorf("no %s in %s", want, stats)
			}
		}
	}
}

func (r *rig) memoryFields() map[string]int64 {
	f := make(map[string]int64)
	for line := range strings.SplitSeq(r.main.do("INFO memory"), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				f[name] = n
			}
		}
	}
	return f
}

// walkKeys sums the lengths of all keys, and what MEMORY USAGE says of them.
func (r *rig) walkKeys() (keys, bytes int64) {
	c := r.connect()
	for db := range r.Engine.Databases() {
		c.do("SELECT", strconv.Itoa(db))
		for _, key := range strings.Fields(strings.Trim(c.do("KEYS", "*"), "[]")) {
			n, _ := strconv.ParseInt(strings.Trim(c.do("MEMORY", "USAGE", key), "()"), 10, 64)
			keys, bytes = keys+int64(len(key)), bytes+n
		}
	}
	return keys, bytes
}
