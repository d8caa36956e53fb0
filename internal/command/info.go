package command

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/larderdb/larder/internal/config"
)

// INFO is sections of "field:value" lines, named as Redis names them, because
// exporters and dashboards read them by name.

type infoSection struct {
	name  string // as asked for
	title string
	when  when
	write func(c *Ctx, b *infoText)
}

// when is the name, besides its own, under which a section is there.
type when int

const (
	usually when = iota // DEFAULT, ALL, EVERYTHING, and where no name is given
	inAll               // ALL, EVERYTHING
	byName              // none
)

func infoSections() []infoSection {
	return []infoSection{
		{"server", "Server", usually, infoServer},
		{"clients", "Clients", usually, infoClients},
		{"memory", "Memory", usually, infoMemory},
		{"persistence", "Persistence", usually, infoPersistence},
		{"stats", "Stats", usually, infoStats},
		{"replication", "Replication", usually, infoReplication},
		{"cpu", "CPU", usually, infoCPU},
		{"modules", "Modules", usually, func(*Ctx, *infoText) {}},
		{"commandstats", "Commandstats", inAll, infoCommandStats},
		{"errorstats", "Errorstats", usually, infoErrorStats},
		{"latencystats", "Latencystats", inAll, infoLatencyStats},
		{"cluster", "Cluster", usually, infoCluster},
		{"keyspace", "Keyspace", usually, infoKeyspace},
		{"namespaces", "Namespaces", inAll, infoNamespaces},
		{"debug", "Debug", byName, infoDebug},
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
	want["modules"] = want["modules"] || want["module_list"]
	all := want["all"] || want["everything"]
	common := len(c.Args) == 1 || want["default"]
	var b infoText
	for _, s := range infoSections() {
		if s.name == "namespaces" && c.Engine.Naming().Max == 0 {
			continue // a section that is missing is not offered
		}
		if !want[s.name] && !(all && s.when <= inAll) && !(common && s.when == usually) {
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
	b.add("server_name", "larder")
	b.add("larder_version", c.Info.Version)
	b.add("valkey_version", valkeyVersion)
	b.add("redis_git_sha1", "00000000")
	b.add("redis_git_dirty", 0)
	b.add("redis_build_id", "0")
	b.add("redis_mode", "standalone")
	b.add("server_mode", "standalone")
	b.add("os", systemName())
	b.add("arch_bits", strconv.IntSize)
	b.add("monotonic_clock", "POSIX clock_gettime")
	b.add("multiplexing_api", multiplexing)
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
	b.add("config_file", c.Config.File())
	b.add("io_threads_active", 0)
	zone, _ := c.Config.Value("availability-zone")
	b.add("availability_zone", zone)
	c.infoListeners(b, s)
}

// infoListeners tells where clients can connect to.
func (c *Ctx) infoListeners(b *infoText, s *config.Settings) {
	n := 0
	add := func(kind string, bind []string, port string) {
		b.add("listener"+strconv.Itoa(n), "name="+kind+",bind="+strings.Join(bind, ",bind=")+port)
		n++
	}
	if s.Port != 0 {
		bind := s.Bind
		if len(bind) == 0 {
			bind = []string{"*", "-::*"}
		}
		add("tcp", bind, ",port="+strconv.Itoa(s.Port))
	}
	if s.UnixSocket != "" {
		add("unix", []string{s.UnixSocket}, "")
	}
}

// network gives the server's counters since CONFIG RESETSTAT.
func (p *Processor) network() (n NetworkStats) {
	if p.Info.Network == nil {
		return n
	}
	n = p.Info.Network()
	if base := p.stats.network.Load(); base != nil {
		n.Accepted -= base.Accepted
		n.Refused -= base.Refused
		n.BytesIn -= base.BytesIn
		n.BytesOut -= base.BytesOut
		n.Reads -= base.Reads
		n.Writes -= base.Writes
		n.OutputLimitKilled -= base.OutputLimitKilled
		n.QueryLimitKilled -= base.QueryLimitKilled
	}
	return n
}

func infoClients(c *Ctx, b *infoText) {
	connected, pubsub, watching, in, out := 0, 0, 0, 0, 0
	c.eachSession(func(s *Session) {
		connected++
		sh := s.shown.Load()
		if sh.listens() {
			pubsub++
		}
		if sh.watching > 0 {
			watching++
		}
		size := s.client.Buffers()
		in, out = max(in, size.Query), max(out, size.OutputMem)
	})
	b.add("connected_clients", connected)
	b.add("cluster_connections", 0)
	b.add("maxclients", c.Config.Settings().MaxClients)
	b.add("client_recent_max_input_buffer", in)
	b.add("client_recent_max_output_buffer", out)
	b.add("blocked_clients", c.blocked.Load())
	b.add("tracking_clients", c.Engine.Tracking().Clients)
	b.add("pubsub_clients", pubsub)
	b.add("watching_clients", watching)
	b.add("clients_in_timeout_table", 0)
	b.add("total_watched_keys", c.Tx.Watched())
	keys, gone := c.Tx.Waiting()
	b.add("total_blocking_keys", keys)
	b.add("total_blocking_keys_on_nokey", gone)
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
