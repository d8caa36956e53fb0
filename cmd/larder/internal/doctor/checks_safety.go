package doctor

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Checks of who may come in, and of data that must outlive the process.

func checkPassword(f *Facts) []Finding {
	s := f.Servers[0]
	if f.Target.InProcess {
		return nil // nobody can connect to it by this way
	}
	open := !f.Target.Credentials
	for _, u := range s.Users {
		open = open || u.Name == "default" && u.On && u.NoPass
	}
	if !open {
		return nil
	}
	severity, reach := Critical, "everybody who reaches the port"
	switch {
	case s.setting("protected-mode") == "yes":
		severity, reach = Notice, "everybody on this machine (protected-mode refuses others)"
	case loopbackOnly(s.setting("bind")):
		severity, reach = Warning, "everybody on this machine (bind "+s.setting("bind")+"); protected-mode is off"
	case s.Missing[fromConfig] != nil && f.Target.Local:
		severity, reach = Warning, "everybody on this machine at least (CONFIG GET is not allowed, so more is not known)"
	}
	return one(Finding{
		Severity: severity,
		Figure:   "the default user needs no password: open to " + reach,
		Why:      "whoever connects reads, changes and deletes everything, and CONFIG SET dir with SAVE writes files on the server: open stores are found and taken over within hours",
		Do:       "ACL SETUSER default on '>a-long-password', then CONFIG REWRITE; or requirepass in redis.conf",
	})
}

// loopbackOnly reports whether bind leaves only this machine. A dash means that the address may be missing.
func loopbackOnly(bind string) bool {
	words := strings.Fields(bind)
	for _, w := range words {
		if ip := net.ParseIP(strings.TrimPrefix(w, "-")); ip == nil || !ip.IsLoopback() {
			return false
		}
	}
	return len(words) > 0
}

func checkUsers(s *Server) (found []Finding) {
	for _, u := range s.Users {
		switch {
		case !u.On || u.Name == "default":
		case u.NoPass:
			found = append(found, Finding{
				Severity: Critical, Subject: quote(u.Name), Figure: "this user is on and needs no password",
				Why: "a user name is no secret: it is in configurations and logs",
				Do:  fmt.Sprintf("ACL SETUSER %s resetpass '>a-long-password', then ACL SAVE or CONFIG REWRITE", clean(u.Name)),
			})
		case u.AllCommands && u.AllKeys, u.Dangerous:
			rights := "every command on every key"
			if !u.AllCommands {
				rights = "commands of an administrator (@admin or @dangerous)"
			}
			found = append(found, Finding{
				Severity: Notice, Subject: quote(u.Name), Figure: "this user may run " + rights,
				Why: "one service with a leaked password or an injection then is enough for FLUSHALL, CONFIG SET and SHUTDOWN",
				Do:  fmt.Sprintf("for a service: ACL SETUSER %s resetkeys '~its-namespace:*' +@all -@dangerous", clean(u.Name)),
			})
		}
	}
	return found
}

func checkPlainText(f *Facts) []Finding {
	if f.Target.TLS || f.Target.Local || f.Target.InProcess {
		return nil
	}
	return one(Finding{
		Severity: Notice, Figure: "the address is one of another machine and does not use TLS",
		Why: "whoever is on the way reads the password and all data, and may change both",
		Do:  "use rediss:// and tls-port, or be sure that the network is private",
	})
}

func checkDirectives(s *Server) (found []Finding) {
	for _, name := range []string{"enable-debug-command", "enable-module-command", "enable-protected-configs"} {
		if value := s.setting(name); value == "yes" {
			found = append(found, Finding{
				Severity: Warning, Subject: name, Figure: name + " is yes",
				Why: "DEBUG can crash the server, MODULE LOAD runs a file as the server, and protected configurations decide where it writes: with these a client that can log in has the machine",
				Do:  "set " + name + " to no (or local) in redis.conf and restart",
			})
		}
	}
	return found
}

func checkVersion(s *Server) []Finding {
	name, version := s.Software()
	severity, why := OK, "errors are fixed there only by the distribution, if at all; 7.x brought functions, sharded channels, latency histograms and less memory per key"
	switch {
	case name != "Redis":
	case !atLeast(version, 6, 0):
		severity, why = Warning, "it has no users (ACL), no TLS and no RESP3, and its errors are not fixed any more"
	case !atLeast(version, 7, 0):
		severity = Notice
	}
	return one(Finding{Severity: severity, Figure: name + " " + version, Why: why,
		Do: "move to Redis 7.2 or later, Valkey 8 or Larder: each follows this server as a replica first (REPLICAOF)"})
}

func checkPersistence(s *Server) (found []Finding) {
	for _, field := range []string{"rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"} {
		if status := s.text(field); status == "" || status == "ok" || strings.HasPrefix(field, "aof") && s.text("aof_enabled") == "0" {
			continue
		}
		found = append(found, Finding{
			Severity: Critical, Subject: field,
			Figure: fmt.Sprintf("%s is %s; %s changes since the last snapshot", field, clean(s.text(field)), number(s.count("rdb_changes_since_last_save"))),
			Why:    "a restart would lose those changes, and with stop-writes-on-bgsave-error writes are refused now",
			Do:     "look into the server's log: most often the disk is full (df), the folder not writable (CONFIG GET dir), or fork lacks memory (vm.overcommit_memory = 1)",
		})
	}
	return found
}

func checkNoPersistence(s *Server) []Finding {
	rdb, aof := s.keepsData()
	keys, expires := s.keyspace()
	if rdb || aof || s.count("connected_slaves") > 0 || s.text("role") == "slave" {
		return nil
	}
	kept := keys - expires
	severity := OK
	if share(kept, keys) >= 0.1 {
		severity = grade(float64(kept), 1_000, 100_000, never)
	}
	do := "CONFIG SET appendonly yes, or CONFIG SET save '3600 1 300 100'; if it is a cache, give its keys a TTL"
	if name, _ := s.Software(); name == "Larder" {
		do = "CONFIG SET save '3600 1 300 100'; if it is a cache, give its keys a TTL"
	}
	return one(Finding{
		Severity: severity,
		Figure:   fmt.Sprintf("%s of %s keys have no TTL; no snapshots, no append-only file, no replica", number(kept), number(keys)),
		Why:      "a restart loses all of it, and what has no TTL is seldom a mere copy of something",
		Do:       do,
		Values:   values{"keys_without_ttl": float64(kept), "keys": float64(keys)},
	})
}

func checkFork(s *Server) []Finding {
	took := usec(float64(s.count("latest_fork_usec")))
	return one(Finding{
		Severity: grade(took.Seconds(), 0.1, 1, never),
		Figure:   "the last fork took " + span(took),
		Why:      "no command is answered while the process is forked for a snapshot, a rewrite of the append-only file or a new replica",
		Do:       "smaller servers (a Cluster); huge pages off (echo never > /sys/kernel/mm/transparent_hugepage/enabled); snapshots on a replica only",
		Values:   values{"seconds": took.Seconds()},
	})
}

const replicaSilence = 10 // seconds: Redis sends a sign of life each second

func checkReplication(s *Server) (found []Finding) {
	if s.text("role") == "slave" && s.text("master_link_status") == "down" {
		found = append(found, Finding{
			Severity: Critical, Subject: "master_link_status",
			Figure: fmt.Sprintf("this replica has no connection to its primary since %s", span(time.Duration(s.count("master_link_down_since_seconds"))*time.Second)),
			Why:    "what it answers is out of date, and grows older",
			Do:     "INFO replication on both; masterauth and masteruser, the network, and client-output-buffer-limit replica on the primary",
		})
	}
	offset := s.count("master_repl_offset")
	for _, f := range s.Info.Section("replication").Fields {
		parts := f.Parts()
		state, ok := parts.Text("state")
		if !ok || !strings.HasPrefix(f.Name, "slave") {
			continue
		}
		at, _ := parts.Int("offset")
		silent, _ := parts.Int("lag")
		behind := max(0, offset-at)
		severity := max(grade(float64(behind), 1<<20, 16<<20, 256<<20), grade(float64(silent), replicaSilence, 3*replicaSilence, never))
		if state != "online" {
			severity = Warning
		}
		host, _ := parts.Text("ip")
		port, _ := parts.Text("port")
		found = append(found, one(Finding{
			Severity: severity, Subject: clean(net.JoinHostPort(host, port)),
			Figure: fmt.Sprintf("replica is %s, %s behind, last heard of %d s ago", clean(state), size(behind), silent),
			Why:    "a failover now would lose that much; a replica that falls behind further is thrown out and copies everything again",
			Do:     "look for a slow network or disk, large values, and raise repl-backlog-size and client-output-buffer-limit replica",
			Values: values{"bytes_behind": float64(behind), "seconds_silent": float64(silent)},
		})...)
	}
	return found
}

func checkReachable(f *Facts) (found []Finding) {
	for _, s := range f.Servers {
		if s.reachable {
			continue
		}
		found = append(found, Finding{
			Severity: Critical, Subject: clean(s.Name), Figure: clean(s.failure.Error()),
			Why: "its slots are not served until a replica takes over",
			Do:  "start it again, or CLUSTER FAILOVER TAKEOVER at one of its replicas; it is missing from everything below",
		})
	}
	return found
}

const allSlots = 16384

func checkCluster(s *Server) []Finding {
	state, _ := s.Cluster.Text("cluster_state")
	assigned, known := s.Cluster.Int("cluster_slots_assigned")
	failing, _ := s.Cluster.Int("cluster_slots_fail")
	if state == "ok" && failing == 0 && (!known || assigned == allSlots) {
		return nil
	}
	return one(Finding{
		Severity: Critical,
		Figure:   fmt.Sprintf("cluster_state is %s; %d of %d slots assigned, %d failing", clean(state), assigned, allSlots, failing),
		Why:      "keys of the missing slots get errors, with cluster-require-full-coverage all keys do",
		Do:       "redis-cli --cluster check HOST:PORT, then --cluster fix, or start the missing servers",
		Values:   values{"slots_assigned": float64(assigned), "slots_failing": float64(failing)},
	})
}

func checkBalance(f *Facts) []Finding {
	if len(f.Servers) < 2 {
		return nil
	}
	least, most, sum := f.Servers[0], f.Servers[0], int64(0)
	for _, s := range f.Servers {
		used := s.count("used_memory")
		if used < least.count("used_memory") {
			least = s
		}
		if used > most.count("used_memory") {
			most = s
		}
		sum += used
	}
	mean := sum / int64(len(f.Servers))
	if mean < 64<<20 {
		return nil
	}
	ratio := share(most.count("used_memory"), mean)
	return one(Finding{
		Severity: grade(ratio, 1.5, 2.5, never),
		Figure:   fmt.Sprintf("%s uses %s, %s uses %s; the mean is %s", most.Name, size(most.count("used_memory")), least.Name, size(least.count("used_memory")), size(mean)),
		Why:      "the fullest server decides when the cluster is full",
		Do:       "redis-cli --cluster rebalance HOST:PORT; where it is one hash tag or one big key (see big-keys), split that",
		Values:   values{"ratio_to_mean": ratio},
	})
}

func checkHost(f *Facts) (found []Finding) {
	rdb, aof := f.Servers[0].keepsData()
	if _, known := f.Servers[0].Config["save"]; f.Host.Overcommit != "" && f.Host.Overcommit != "1" && (rdb || aof || !known) {
		found = append(found, Finding{
			Severity: Notice, Subject: "vm.overcommit_memory", Figure: "vm.overcommit_memory is " + clean(f.Host.Overcommit),
			Why: "fork may be refused although the child would share nearly all memory: snapshots and replicas then fail",
			Do:  "sysctl vm.overcommit_memory=1, and the same in /etc/sysctl.conf",
		})
	}
	if f.Host.HugePages == "always" {
		found = append(found, Finding{
			Severity: Notice, Subject: "transparent_hugepage", Figure: "transparent huge pages are always on",
			Why: "after a fork each write copies 2 MiB instead of 4 KiB: latency spikes and twice the memory while a snapshot is made",
			Do:  "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or disable-thp yes in redis.conf",
		})
	}
	return found
}
