package top

// namespacePanel is all that is known of a namespace.
func namespacePanel(n Namespace) *panel {
	p := &panel{title: "namespace"}
	add := func(name, value string) { p.lines = append(p.lines, [2]string{name, value}) }
	add("name", safe(namespaceName(n.Name)))
	if n.Estimate {
		add("from", "a sample of the keys by SCAN, scaled up; what was looked up and evicted is not known")
	}
	add("keys", n.Keys.count())
	add("memory", n.Bytes.bytes())
	add("per key", ratio(n.Bytes, n.Keys).bytes())
	add("without TTL", n.NoTTL.percent())
	for i, name := range ttlNames() {
		if i < len(n.TTL) {
			add("TTL "+name, n.TTL[i].percent())
		}
	}
	add("hit ratio", n.HitRatio.percent())
	add("lookups", n.Reads.count()+"/s")
	add("evicted", n.Evicted.count()+"/s, "+n.Evicted0.count()+" in all")
	add("missed after that", n.Regret.count()+"/s, "+n.Regret0.count()+" in all")
	add("expired", n.Expired0.count()+" in all")
	return p
}

// commandPanel has the histogram of a command's calls.
func commandPanel(c Command, t *track) *panel {
	p := &panel{title: "command"}
	add := func(name, value string) { p.lines = append(p.lines, [2]string{name, value}) }
	add("name", safe(c.Name))
	add("calls", c.Calls.count()+"/s, "+c.Total.count()+" in all")
	add("time per call", c.PerCall.micros()+" now, "+c.Mean.micros()+" since start")
	add("busy", c.Busy.percent()+" of a processor")
	add("failed", c.Failed.count()+"/s")
	h := t.cur.Latency[c.Name]
	for _, q := range []struct {
		name string
		p    float64
	}{{"p50 since start", 0.50}, {"p99 since start", 0.99}, {"p99.9 since start", 0.999}} {
		add(q.name, maybe(h.Quantile(q.p)).micros())
	}
	var below int64
	for _, b := range h {
		n := b.Calls - below
		below = b.Calls
		share := ratio(num(float64(n)), num(float64(h.Calls())))
		add("up to "+num(float64(b.Micros)).micros(), share.percent())
	}
	return p
}

func clientPanel(c Client) *panel {
	p := &panel{title: "client"}
	for _, l := range [][2]string{{"address", c.Addr}, {"id", c.ID.count()}, {"name", c.Name}, {"library", c.Library}, {"user", c.User}, {"database", c.DB}, {"flags", c.Flags},
		{"last command", c.Command}, {"connected", c.Age.span()}, {"idle", c.Idle.span()}, {"memory", c.Memory.bytes()}, {"waiting output", c.Output.bytes()}, {"calls", c.Calls.count()}, {"node", c.Node}} {
		if l[1] == "" {
			l[1] = dash
		}
		p.lines = append(p.lines, [2]string{l[0], safe(l[1])})
	}
	return p
}
