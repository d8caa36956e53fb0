package command

import (
	"fmt"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/script"
)

// memoryFigures are what INFO, MEMORY STATS and MEMORY DOCTOR tell of memory, in bytes.
type memoryFigures struct {
	used, peak int64 // what maxmemory is held against, and the most it was
	rss, heap  int64 // of the process, and of it what Go's collector keeps

	live, slabs, resident int64 // of the arenas: in live cells, in slabs that hold them, written since the system gave them
	keys, values, tables  int64 // what live is made of

	startup, clients, replicas, tracking int64 // what used is made of besides; the second and third are buffers of connections
	scripts, functions                   int64 // are of the heap
	cachedScripts                        int
	databases                            []databaseFigures
}

// databaseFigures are those of a database that has keys.
type databaseFigures struct {
	number, keys  int
	main, expires int64 // of its table, and of it what expiry takes
}

// memory measures. O(shards + connections).
func (c *Ctx) memory() (f memoryFigures) {
	m, n := c.Tx.Memories(), c.network()
	f.live, f.slabs, f.resident = m.Live, m.Used, max(m.Resident, m.Used) // a slab may have pages that were never written
	f.keys, f.tables = m.Keys, m.Tables
	f.values = f.live - f.keys - f.tables
	c.eachSession(func(s *Session) {
		if s.follows.Load() {
			b := s.client.Buffers()
			f.replicas += int64(b.Query + b.OutputMem)
		}
	})
	f.startup, f.tracking = c.Engine.Startup(), c.Engine.Tracking().Bytes
	f.clients = max(n.InputBuf+n.OutputBuf-f.replicas, 0)
	f.used = f.live + f.startup + f.clients + f.replicas + f.tracking
	if c.Info.Memory != nil {
		f.rss, f.heap, f.peak = c.Info.Memory()
	}
	f.peak = max(f.peak, f.used)
	scripts, size := c.scripts.size()
	f.cachedScripts, f.scripts = scripts, int64(size)
	_, _, functions := c.scripts.libs.size()
	f.functions = int64(functions)
	here := c.Tx.DB()
	defer c.Tx.Use(here)
	for db := range c.Engine.Databases() {
		c.Tx.Use(db)
		if k := c.Tx.Keyspace(); k.Keys > 0 {
			d := databaseFigures{db, k.Keys, engine.TableBytes(k.Keys), int64(k.Expiring) * expiryBytes}
			f.databases = append(f.databases, d)
		}
	}
	return f
}

// expiryBytes is what a key's time takes in its record.
const expiryBytes = 8

// overhead is everything that is no key and no value.
func (f *memoryFigures) overhead() int64 { return f.used - f.live + f.tables }

// dataset is the rest.
func (f *memoryFigures) dataset() int64 { return f.live - f.tables }

func (f *memoryFigures) count() (n int) {
	for _, d := range f.databases {
		n += d.keys
	}
	return n
}

func infoMemory(c *Ctx, b *infoText) {
	f, s := c.memory(), c.Config.Settings()
	b.addSize("used_memory", f.used)
	b.addSize("used_memory_rss", f.rss)
	b.addSize("used_memory_peak", f.peak)
	b.add("used_memory_peak_perc", percent(f.used, f.peak))
	b.add("used_memory_overhead", f.overhead())
	b.add("used_memory_startup", f.startup)
	b.add("used_memory_dataset", f.dataset())
	b.add("used_memory_dataset_perc", percent(f.dataset(), f.used-f.startup))
	b.add("allocator_allocated", f.live)
	b.add("allocator_active", f.slabs)
	b.add("allocator_resident", f.resident)
	b.add("allocator_muzzy", 0)
	b.add("used_memory_go_heap", f.heap)
	b.addSize("total_system_memory", systemMemory())
	c.infoScripts(b, &f)
	b.addSize("maxmemory", int64(s.MaxMemory))
	b.add("maxmemory_policy", s.MaxMemoryPolicy.String())
	b.add("allocator_frag_ratio", ratio(f.slabs, f.live))
	b.add("allocator_frag_bytes", f.slabs-f.live)
	b.add("allocator_rss_ratio", ratio(f.resident, f.slabs))
	b.add("allocator_rss_bytes", f.resident-f.slabs)
	b.add("rss_overhead_ratio", ratio(f.rss, f.resident))
	b.add("rss_overhead_bytes", f.rss-f.resident)
	b.add("mem_fragmentation_ratio", ratio(f.rss, f.used))
	b.add("mem_fragmentation_bytes", f.rss-f.used)
	b.zeros("mem_not_counted_for_evict", "mem_replication_backlog")
	b.add("mem_total_replication_buffers", f.replicas)
	b.add("mem_clients_slaves", f.replicas)
	b.add("mem_clients_normal", f.clients)
	b.zeros("mem_cluster_links", "mem_aof_buffer")
	b.add("mem_allocator", "larder-arena")
	b.zeros("mem_overhead_db_hashtable_rehashing", "active_defrag_running")
	b.add("lazyfree_pending_objects", c.Engine.PendingFrees())
	b.add("lazyfreed_objects", c.Engine.Freed())
	b.add("larder_mem_keys", f.keys) // with the next two, allocator_allocated
	b.add("larder_mem_values", f.values)
	b.add("larder_mem_tables", f.tables)
	b.add("larder_mem_free", f.resident-f.live)
	b.add("larder_mem_tracking", f.tracking)
}

// infoScripts tells of the memory of scripts and of what runs them.
func (c *Ctx) infoScripts(b *infoText, f *memoryFigures) {
	libs, functions, inFunctions := c.scripts.libs.size()
	idle, loaded := int64(c.scripts.lua.Idle())*script.StateSize, int64(libs)*script.StateSize
	b.add("used_memory_lua", idle)
	b.add("used_memory_vm_eval", idle)
	b.add("used_memory_lua_human", humanSize(idle))
	b.add("used_memory_scripts_eval", f.scripts)
	b.add("number_of_cached_scripts", f.cachedScripts)
	b.add("number_of_functions", functions)
	b.add("number_of_libraries", libs)
	b.add("used_memory_vm_functions", loaded)
	b.addSize("used_memory_vm_total", idle+loaded)
	b.add("used_memory_functions", inFunctions)
	b.addSize("used_memory_scripts", f.scripts+int64(inFunctions))
}

func percent(a, b int64) string {
	if b <= 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(a)/float64(b))
}

func ratio(a, b int64) string { return fmt.Sprintf("%.2f", quotient(a, b)) }

func quotient(a, b int64) float64 {
	if b <= 0 {
		return 0
	}
	return float64(a) / float64(b)
}
