package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// failed is the page of a scrape that has found nothing.
func failed(err error) *page {
	p := newPage()
	p.outcome(err)
	return p
}

const longestError = 200 // bytes, in a label

func (p *page) outcome(err error) {
	up, wrong, text := 1.0, 0.0, ""
	if err != nil {
		up, wrong, text = 0, 1, err.Error()
		text = text[:min(len(text), longestError)]
	}
	p.add("redis_up", "Whether the last scrape reached the store.", gauge, up)
	p.add("redis_exporter_last_scrape_error", "Whether the last scrape failed, and why.", gauge, wrong, "err", text)
}

// scrape asks the store and makes a page of what it says.
func (h *handler) scrape(ctx context.Context, scrapes float64) *page {
	start := h.o.Clock.Monotonic()
	p := newPage()
	p.outcome(h.ask(ctx, p))
	if h.o.Extra != nil {
		for _, f := range h.o.Extra() {
			k := gauge
			if f.Counter {
				k = counter
			}
			p.enter(f.Name, f.Help, k, f.Labels, sample{value: f.Value})
		}
	}
	p.add("redis_exporter_scrapes_total", "Scrapes since the start.", counter, scrapes)
	p.add("redis_exporter_last_scrape_duration_seconds", "How long the last scrape took.", gauge,
		(h.o.Clock.Monotonic() - start).Seconds())
	p.add("larder_metrics_dropped", "Samples of the last scrape that were left out: too many, there twice, or not allowed.",
		gauge, float64(p.dropped))
	return p
}

// ask fills the page. What a user may not ask is left out, but for INFO.
func (h *handler) ask(ctx context.Context, p *page) error {
	replies := h.st.Pipe(ctx,
		store.Cmd{"INFO", "all"}, store.Cmd{"LATENCY", "HISTOGRAM"}, store.Cmd{"LATENCY", "LATEST"},
		store.Cmd{"SLOWLOG", "LEN"}, store.Cmd{"SLOWLOG", "GET", "1"},
		store.Cmd{"CONFIG", "GET", "max*"})
	if len(replies) != 6 {
		return fmt.Errorf("%d replies to 6 commands", len(replies))
	}
	text, err := replies[0].Text()
	if err != nil {
		return err
	}
	in := info.Parse(text)
	if in.Empty() {
		return errors.New("INFO answered nothing")
	}
	p.plain(in)
	p.instance(in, h)
	p.databases(in)
	p.replicas(in)
	p.commands(in)
	p.memory(in)
	p.namespaces(in)
	p.histograms(in, replies[1])
	p.spikes(replies[2])
	p.slowlog(replies[3], replies[4])
	p.settings(replies[5])
	return nil
}

// plain are the fields that are metrics as they stand.
func (p *page) plain(in info.Info) {
	put := func(n name, k kind) {
		text, ok := in.Text(n.field)
		if !ok {
			return
		}
		value, ok := in.Float(n.field)
		switch text {
		case "ok", "true":
			value = 1
		case "err", "fail", "false":
			value = 0
		default:
			if !ok {
				return
			}
		}
		if n.field == "latest_fork_usec" {
			value /= 1e6
		}
		p.add("redis_"+n.metric, "Field "+n.field+" of INFO.", k, value)
	}
	for _, n := range gauges() {
		put(n, gauge)
	}
	for _, n := range counters() {
		put(n, counter)
	}
}

func (p *page) instance(in info.Info, h *handler) {
	var labels []string
	for _, name := range []string{"role", "redis_version", "redis_build_id", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id",
		"process_id", "master_replid", "valkey_version", "valkey_release_stage", "larder_version"} {
		value, ok := in.Text(name)
		if ok || !strings.HasPrefix(name, "valkey_") && !strings.HasPrefix(name, "larder_") {
			labels = append(labels, name, value)
		}
	}
	p.add("redis_instance_info", "What answers, in the labels.", gauge, 1, labels...)
	if up, ok := in.Float("uptime_in_seconds"); ok {
		now := float64(h.o.Clock.Now().Unix())
		if micros, ok := in.Float("server_time_usec"); ok {
			now = math.Floor(micros / 1e6)
		}
		p.add("redis_start_time_seconds", "When the server started, Unix time.", gauge, now-up)
	}
	for _, name := range []string{"hz", "configured_hz"} {
		if hz, ok := in.Float(name); ok {
			p.add("redis_"+name, "Periodic work a second.", gauge, hz)
		}
	}
	if role, _ := in.Text("role"); role == "slave" {
		p.follower(in)
	}
}

// follower is what a replica says of its primary.
func (p *page) follower(in info.Info) {
	host, _ := in.Text("master_host")
	port, _ := in.Text("master_port")
	readOnly, _ := in.Text("slave_read_only")
	p.add("redis_slave_info", "The primary of this replica, in the labels.", gauge, 1,
		"master_host", host, "master_port", port, "read_only", readOnly)
	if status, ok := in.Text("master_link_status"); ok {
		up := 0.0
		if status == "up" {
			up = 1
		}
		p.add("redis_master_link_up", "Whether the primary is reached.", gauge, up, "master_host", host, "master_port", port)
	}
	for _, name := range []string{"master_last_io_seconds_ago", "master_sync_in_progress", "slave_repl_offset"} {
		if v, ok := in.Float(name); ok {
			p.add("redis_"+name, "Field "+name+" of INFO.", gauge, v, "master_host", host, "master_port", port)
		}
	}
}

func (p *page) databases(in info.Info) {
	for _, f := range in.Section("keyspace").Fields {
		parts := f.Parts()
		put := func(part, metric, help string, scale float64) {
			if v, ok := parts.Float(part); ok {
				p.add("redis_"+metric, help, gauge, v*scale, "db", f.Name)
			}
		}
		put("keys", "db_keys", "Keys of the database.", 1)
		put("expires", "db_keys_expiring", "Keys of the database that have a TTL.", 1)
		put("avg_ttl", "db_avg_ttl_seconds", "Average TTL of those, estimated.", 1e-3)
	}
}

func (p *page) replicas(in info.Info) {
	for _, f := range in.Section("replication").Fields {
		number, ok := strings.CutPrefix(f.Name, "slave")
		if _, err := strconv.Atoi(number); !ok || err != nil {
			continue
		}
		parts := f.Parts()
		ip, _ := parts.Text("ip")
		port, _ := parts.Text("port")
		state, _ := parts.Text("state")
		for _, m := range [...]struct{ part, metric, help string }{
			{"offset", "redis_connected_slave_offset_bytes", "What the replica has confirmed."},
			{"lag", "redis_connected_slave_lag_seconds", "How long ago it did."},
		} {
			if v, ok := parts.Float(m.part); ok {
				p.add(m.metric, m.help, gauge, v, "slave_ip", ip, "slave_port", port, "slave_state", state)
			}
		}
	}
}

func (p *page) commands(in info.Info) {
	for _, f := range in.Section("commandstats").Fields {
		cmd, ok := strings.CutPrefix(f.Name, "cmdstat_")
		if !ok {
			continue
		}
		parts := f.Parts()
		put := func(part, metric, help string, scale float64) {
			if v, ok := parts.Float(part); ok {
				p.add("redis_commands_"+metric, help, counter, v*scale, "cmd", cmd)
			}
		}
		put("calls", "total", "Calls of the command.", 1)
		put("usec", "duration_seconds_total", "Time spent in the command.", 1e-6)
		put("rejected_calls", "rejected_calls_total", "Calls refused before they ran.", 1)
		put("failed_calls", "failed_calls_total", "Calls that failed.", 1)
	}
	for _, f := range in.Section("errorstats").Fields {
		if code, ok := strings.CutPrefix(f.Name, "errorstat_"); ok {
			if n, ok := f.Parts().Float("count"); ok {
				p.add("redis_errors_total", "Error replies by code.", counter, n, "err", code)
			}
		}
	}
	for _, f := range in.Section("latencystats").Fields {
		cmd, ok := strings.CutPrefix(f.Name, "latency_percentiles_usec_")
		stat := in.Parts("cmdstat_" + cmd)
		calls, ok1 := stat.Float("calls")
		micros, ok2 := stat.Float("usec")
		if !ok || !ok1 || !ok2 {
			continue
		}
		var samples []sample
		for _, part := range f.Parts() {
			at, err := strconv.ParseFloat(strings.TrimPrefix(part.Name, "p"), 64)
			v, err2 := strconv.ParseFloat(part.Value, 64)
			if err == nil && err2 == nil {
				samples = append(samples, sample{bound: "quantile", at: at, value: v})
			}
		}
		samples = append(samples, sample{suffix: "_sum", value: micros}, sample{suffix: "_count", value: calls})
		p.enter("redis_latency_percentiles_usec", "Time of the command, by percentile (50, not 0.5).", summary,
			[]Label{{"cmd", cmd}}, samples...)
	}
}
