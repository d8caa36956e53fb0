package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/larderdb/larder/internal/info"
)

// merge makes one reading of those of several servers: counters, memory and clients are added up, what is the same on all
// stays, and what differs is left out. Servers that did not answer are left out, too; as counters then shrink, rates have
// a gap rather than a dip.
func merge(samples []Sample) Sample {
	if len(samples) == 1 {
		return samples[0]
	}
	sum := Sample{Refused: map[string]string{}}
	var infos []info.Info
	for _, s := range samples {
		sum.At = max(sum.At, s.At)
		if s.Err != nil {
			sum.Err = s.Err
			continue
		}
		sum.Nodes++
		infos = append(infos, s.Info)
		sum.SlowLog = append(sum.SlowLog, s.SlowLog...)
		sum.Clients = append(sum.Clients, s.Clients...)
		sum.OwnHits += s.OwnHits
		for what, why := range s.Refused {
			sum.Refused[what] = why
		}
		if s.Latency != nil && sum.Latency == nil {
			sum.Latency = info.Histograms{}
		}
		for name, h := range s.Latency {
			sum.Latency[name] = sum.Latency[name].Add(h)
		}
	}
	sum.Name = fmt.Sprintf("%d nodes", sum.Nodes)
	if sum.Nodes > 0 {
		sum.Err = nil
		sum.Info = mergeInfo(infos)
	}
	slices.SortStableFunc(sum.SlowLog, func(a, b SlowCall) int { return b.At.Compare(a.At) })
	return sum
}

// mergeInfo writes an INFO for several servers and reads it.
func mergeInfo(infos []info.Info) info.Info {
	type field struct{ section, name string }
	var order []field
	values := map[field][]string{}
	var ids []string
	for _, in := range infos {
		id, _ := in.Text("run_id")
		ids = append(ids, id)
		for _, s := range in.Sections {
			section := strings.ToLower(s.Name)
			for _, f := range s.Fields {
				at := field{section, f.Name}
				if name, ok := f.Parts().Text("name"); ok && section == "namespaces" {
					at.name = strconv.Quote(name) // numbered anew below
				}
				if _, seen := values[at]; !seen {
					order = append(order, at)
				}
				values[at] = append(values[at], f.Value)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b field) int { return strings.Compare(a.section, b.section) })
	var b strings.Builder
	section := ""
	for i, at := range order {
		if at.section != section {
			section = at.section
			fmt.Fprintf(&b, "# %s\n", section)
		}
		if v, ok := mergeField(at.section, at.name, values[at], len(infos)); ok {
			if section == "namespaces" {
				at.name = "ns" + strconv.Itoa(i)
			}
			fmt.Fprintf(&b, "%s:%s\n", at.name, v)
		}
	}
	fmt.Fprintf(&b, "# merged\nrun_id:%s\n", strings.Join(ids, "+"))
	return info.Parse(b.String())
}

func mergeField(section, name string, values []string, nodes int) (string, bool) {
	switch section {
	case "commandstats", "errorstats", "keyspace", "namespaces":
		return mergeParts(values), true
	case "stats", "clients", "memory", "cpu":
		if sum, ok := addUp(values); ok && additive(name) {
			return sum, true
		}
	}
	switch name {
	case "run_id":
		return "", false
	case "uptime_in_seconds":
		return slices.MinFunc(values, func(a, b string) int { return int(parsed(a).V - parsed(b).V) }), true
	}
	if len(values) == nodes && len(slices.Compact(slices.Clone(values))) == 1 {
		return values[0], true
	}
	return "", false
}

// additive are fields of which a sum means something.
func additive(name string) bool {
	for _, part := range []string{"ratio", "perc", "latest_", "client_recent_", "total_system_memory", "instantaneous_eventloop_duration"} {
		if strings.Contains(name, part) {
			return false
		}
	}
	return true
}

func addUp(values []string) (string, bool) {
	var sum float64
	for _, v := range values {
		n := parsed(v)
		if !n.OK {
			return "", false
		}
		sum += n.V
	}
	return strconv.FormatFloat(sum, 'f', -1, 64), true
}

// mergeParts adds the parts of a field that are numbers and keeps the first of the others.
func mergeParts(values []string) string {
	var names []string
	sums := map[string]float64{}
	texts := map[string]string{}
	for _, v := range values {
		for _, p := range (info.Field{Value: v}).Parts() {
			n := parsed(p.Value)
			_, text := texts[p.Name]
			_, sum := sums[p.Name]
			if !text && !sum {
				names = append(names, p.Name)
				if !n.OK || p.Name == "name" {
					texts[p.Name], text = p.Value, true
				}
			}
			if !text && additive(p.Name) && !strings.Contains(p.Name, "per_call") && p.Name != "avg_ttl" {
				sums[p.Name] += n.V
			}
		}
	}
	var parts []string
	for _, name := range names {
		if t, ok := texts[name]; ok {
			parts = append(parts, name+"="+strings.ReplaceAll(strconv.Quote(t), ",", `\x2c`))
		} else if n, ok := sums[name]; ok {
			parts = append(parts, name+"="+strconv.FormatFloat(n, 'f', -1, 64))
		}
	}
	return strings.Join(parts, ",")
}
