package doctor

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// check is one thing to look for.
type check struct {
	id    string
	title string
	// needs are the sources without which the check cannot be made: "INFO used_memory" (a field or a section),
	// "CONFIG GET save", "SCAN". With "own" in front it is one of Larder's own: elsewhere there is nothing to check.
	needs []string
	// One of these makes the findings, none if all is well: from one server, or from everything.
	server func(*Server) []Finding
	whole  func(*Facts) []Finding
}

// checks are all of them, in the order in which findings of one severity are shown.
var checks = []check{
	{"no-password", "Anybody who can connect may do anything", []string{"INFO redis_version"}, nil, checkPassword},
	{"open-users", "Users without a password, or with more rights than a service needs", []string{"ACL LIST"}, checkUsers, nil},
	{"plain-text", "Passwords and data cross the network unencrypted", nil, nil, checkPlainText},
	{"unsafe-directives", "Commands that hand over the machine are enabled", []string{"CONFIG GET protected-mode"}, checkDirectives, nil},
	{"old-version", "The server's version is out of support", []string{"INFO redis_version"}, checkVersion, nil},

	{"unreachable", "A primary cannot be reached", nil, nil, checkReachable},

	{"persistence-failing", "The server cannot write its data to disk", []string{"INFO persistence"}, checkPersistence, nil},
	{"no-persistence", "Data without a TTL is kept nowhere but in memory", []string{"INFO keyspace", "CONFIG GET save"}, checkNoPersistence, nil},
	{"slow-fork", "Making a snapshot stops the server", []string{"INFO latest_fork_usec"}, checkFork, nil},
	{"replication", "A replica lacks what its primary has", []string{"INFO role"}, checkReplication, nil},
	{"cluster-state", "The cluster does not serve all slots", []string{"CLUSTER INFO"}, checkCluster, nil},
	{"cluster-balance", "Servers of the cluster hold very different amounts", []string{"INFO used_memory"}, nil, checkBalance},
	{"kernel", "The kernel is not set up for a store in memory", []string{"this machine"}, nil, checkHost},

	{"maxmemory", "Memory is not bounded, or bounded where there is none left", []string{"INFO maxmemory"}, checkMaxMemory, nil},
	{"fork-headroom", "A snapshot or a new replica may need more memory than there is", []string{"INFO maxmemory", "INFO total_system_memory", "CONFIG GET save"}, checkHeadroom, nil},
	{"memory-full", "Writes will soon be refused", []string{"INFO maxmemory_policy"}, checkFull, nil},
	{"cache-noeviction", "A cache that refuses writes when it is full", []string{"INFO maxmemory_policy", "INFO keyspace"}, checkNoEviction, nil},
	{"volatile-without-ttl", "The policy evicts only keys with a TTL, and there are few", []string{"INFO maxmemory_policy", "INFO keyspace"}, checkVolatile, nil},
	{"mixed-use", "Data to keep can be evicted like a cache", []string{"INFO maxmemory_policy", "INFO keyspace"}, checkMixed, nil},
	{"evictions", "The working set does not fit in memory", []string{"INFO evicted_keys", "INFO keyspace"}, checkEvictions, nil},
	{"regret", "Keys are asked for again after they were evicted", []string{"own INFO namespaces"}, checkRegret, nil},
	{"swapping", "A part of the data is not in memory", []string{"INFO used_memory_rss"}, checkSwap, nil},
	{"fragmentation", "Memory is held that no data is in", []string{"INFO mem_fragmentation_ratio"}, checkFragmentation, nil},
	{"hit-ratio", "Many reads find nothing", []string{"INFO keyspace_hits"}, checkHitRatio, nil},
	{"expired-present", "Expired keys still take memory", []string{"INFO expired_stale_perc"}, checkStale, nil},

	{"missing-ttl", "Keys that never expire", []string{"SCAN", "PTTL"}, nil, checkTTL},
	{"expiry-herd", "Many keys expire at the same moment", []string{"SCAN", "PTTL"}, nil, checkHerd},
	{"cold-data", "Memory holds what nobody reads", []string{"SCAN", "MEMORY USAGE", "OBJECT IDLETIME"}, nil, checkCold},
	{"big-keys", "Keys of many bytes", []string{"SCAN", "MEMORY USAGE"}, nil, checkBig},
	{"long-keys", "Collections of many elements", []string{"SCAN", "TYPE", "reading values"}, nil, checkLong},
	{"hash-as-namespace", "A hash in place of a namespace", []string{"SCAN", "TYPE", "reading values"}, nil, checkHugeHash},
	{"hot-keys", "A few keys get much of the traffic", []string{"SCAN", "OBJECT FREQ"}, nil, checkHot},
	{"json-strings", "Objects written into strings as JSON", []string{"SCAN", "TYPE", "reading values"}, nil, checkJSON},
	{"serialized-lists", "Lists written into strings", []string{"SCAN", "TYPE", "reading values"}, nil, checkLists},
	{"serialized-objects", "Objects in a programming language's own format", []string{"SCAN", "TYPE", "reading values"}, nil, checkSerialized},
	{"single-element", "Collections of one element", []string{"SCAN", "TYPE", "reading values"}, nil, checkSingle},
	{"tiny-keys", "Many tiny keys that could be one hash", []string{"SCAN", "TYPE", "MEMORY USAGE"}, nil, checkTiny},
	{"key-names", "Names of keys take much of the memory, or have no namespace", []string{"SCAN"}, nil, checkNames},

	{"keys-command", "KEYS stops everybody while it goes through all keys", []string{"INFO commandstats"}, checkKeys, nil},
	{"whole-reads", "Whole collections are read at once", []string{"INFO commandstats"}, checkWholeReads, nil},
	{"list-scans", "Lists are searched by position", []string{"INFO commandstats"}, checkListScans, nil},
	{"polled-queues", "Queues are polled", []string{"INFO commandstats"}, checkPolled, nil},
	{"scripts", "Scripts are sent anew, or made anew, for every call", []string{"INFO commandstats"}, checkScripts, nil},
	{"no-pipelining", "Commands come one at a time", []string{"INFO total_reads_processed", "INFO total_commands_processed"}, checkPipelining, nil},

	{"rejected-connections", "Clients were turned away", []string{"INFO rejected_connections"}, checkRejected, nil},
	{"maxclients", "Connections are nearly used up", []string{"INFO connected_clients"}, checkMaxClients, nil},
	{"connection-churn", "Connections are made for a few commands", []string{"INFO total_connections_received", "INFO uptime_in_seconds"}, checkChurn, nil},
	{"idle-clients", "Connections that nobody uses", []string{"CLIENT LIST", "CONFIG GET timeout"}, checkIdle, nil},
	{"blocked-clients", "Most connections wait", []string{"INFO blocked_clients"}, checkBlocked, nil},
	{"output-buffers", "Clients read more slowly than they ask", []string{"CLIENT LIST"}, checkOutput, nil},
	{"monitor", "MONITOR is running", []string{"CLIENT LIST"}, checkMonitor, nil},

	{"slow-commands", "Commands that held the server up", []string{"SLOWLOG GET"}, checkSlowlog, nil},
	{"slowlog-off", "Slow commands are not recorded", []string{"CONFIG GET slowlog-log-slower-than"}, checkSlowlogOff, nil},
	{"latency-percentiles", "Commands are slow at their worst", []string{"INFO latencystats"}, checkPercentiles, nil},
	{"latency-events", "The server itself stood still", []string{"LATENCY LATEST"}, checkEvents, nil},
}

func find(id string) (check, bool) {
	i := slices.IndexFunc(checks, func(c check) bool { return c.id == id })
	if i < 0 {
		return check{}, false
	}
	return checks[i], true
}

func knownIDs() string {
	ids := make([]string, len(checks))
	for i, c := range checks {
		ids[i] = c.id
	}
	return strings.Join(ids, ", ")
}

// examine makes all checks on the facts.
func examine(f *Facts, ignore []string) *Report {
	r := &Report{
		Schema: Schema, Servers: serverLines(f), Scan: f.Keys.ScanLine, Namespaces: spaceLines(f.Keys),
		Findings: []Finding{}, Passed: []string{}, Skipped: []Skip{}, Ignored: []string{},
	}
	r.Scan.Database = f.Target.Database
	for _, c := range checks {
		if slices.Contains(ignore, c.id) {
			r.Ignored = append(r.Ignored, c.id)
			continue
		}
		found, skipped, made := c.make(f)
		r.Findings = append(r.Findings, found...)
		r.Skipped = append(r.Skipped, skipped...)
		if made && len(found) == 0 {
			r.Passed = append(r.Passed, c.id)
		}
	}
	r.order()
	return r
}

// make runs the check where its needs are met; made is false if that was nowhere.
func (c check) make(f *Facts) (found []Finding, skipped []Skip, made bool) {
	for _, s := range f.Servers {
		name := ""
		if len(f.Servers) > 1 {
			name = s.Name
		}
		if !s.reachable && c.whole == nil {
			continue // the check of that says it
		}
		why, applies := c.lacks(f, s)
		if !applies {
			continue
		}
		if why != "" {
			skipped = append(skipped, Skip{c.id, name, why})
			continue
		}
		made = true
		if c.server != nil {
			for _, one := range c.server(s) {
				one.Server = name
				found = append(found, one)
			}
		}
	}
	if c.whole != nil && made {
		found = c.whole(f)
	}
	found = together(found)
	if c.whole != nil && made {
		skipped = nil
	}
	if len(skipped) > 1 && !slices.ContainsFunc(skipped, func(s Skip) bool { return s.Reason != skipped[0].Reason }) {
		skipped = []Skip{{Check: c.id, Reason: skipped[0].Reason}} // the same everywhere
	}
	for i := range found {
		found[i].Check, found[i].Title = c.id, c.title
	}
	return found, skipped, made
}

// together makes one finding of those that say the same about several servers.
func together(found []Finding) (all []Finding) {
	for _, f := range found {
		i := slices.IndexFunc(all, func(a Finding) bool {
			return a.Severity == f.Severity && a.Subject == f.Subject && a.Figure == f.Figure && a.Do == f.Do && f.Server != ""
		})
		if i < 0 {
			all = append(all, f)
			continue
		}
		all[i].Server += ", " + f.Server
	}
	return all
}

// lacks is why the check cannot be made on a server: the first need that is not met. applies is false if there is nothing
// to check.
func (c check) lacks(f *Facts, s *Server) (why string, applies bool) {
	for _, need := range c.needs {
		need, special := strings.CutPrefix(need, "own ")
		from, what := split(need)
		err := s.Missing[from]
		if err == nil {
			err = f.Keys.Missing[from]
		}
		switch {
		case errors.Is(err, errNoCluster):
			return "", false
		case err != nil:
			return fmt.Sprintf("%s: %v", from, err), true
		case from == fromHost && f.Host == nil:
			return "the server does not seem to run on this machine", true
		case special && from == fromInfo && !s.offers(what):
			return "", false
		case from == fromInfo && !s.offers(what):
			name, version := s.Software()
			return strings.TrimSpace(fmt.Sprintf("INFO of this %s %s", name, version)) + " has no " + what, true
		case from == fromConfig && what != "":
			if _, ok := s.Config[what]; !ok {
				return "CONFIG GET knows no " + what + " here", true
			}
		}
	}
	return "", true
}

// split takes a need apart.
func split(need string) (from source, what string) {
	for _, from := range []source{fromInfo, fromConfig} {
		if what, ok := strings.CutPrefix(need, string(from)+" "); ok && !strings.HasPrefix(need, string(fromCluster)) {
			return from, what
		}
	}
	return source(need), ""
}

// offers reports whether INFO has a field or a section of that name.
func (s *Server) offers(what string) bool {
	_, field := s.Info.Text(what)
	return field || s.Info.Has(what)
}

// spaceLines lists the namespaces worth a line.
func spaceLines(ks *Keyspace) []SpaceLine {
	lines := []SpaceLine{}
	for _, ns := range ks.sorted()[:min(topMost, len(ks.spaces))] {
		line := SpaceLine{Name: ns.title(), Keys: ks.about(ns.keys), Bytes: ks.about(ns.bytes), NoTTL: ks.about(ns.noTTL)}
		if with := ns.keys - ns.noTTL; with > 0 {
			line.MeanTTL = ns.ttlSeconds / with
		}
		lines = append(lines, line)
	}
	return lines
}

// never is a threshold that nothing reaches.
var never = math.Inf(1)

// grade compares a figure with the thresholds of the severities.
func grade(x, notice, warning, critical float64) Severity {
	switch {
	case x >= critical:
		return Critical
	case x >= warning:
		return Warning
	case x >= notice:
		return Notice
	}
	return OK
}

// share is a of b, 0 if there is no b.
func share[N int64 | float64](a, b N) float64 {
	if b <= 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// values are a finding's figures for programs.
type values = map[string]float64

// one is a list of a finding, or of none if it is no finding.
func one(f Finding) []Finding {
	if f.Severity == OK {
		return nil
	}
	return []Finding{f}
}
