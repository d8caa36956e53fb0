package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Checks of what is asked of the server, by commandstats, the slow log and the latency monitor.

// callsLeast is how many calls of a command make a habit.
const callsLeast = 1000

func checkKeys(s *Server) []Finding {
	c := s.calls("keys")
	if c.Calls == 0 {
		return nil
	}
	each := usec(share(c.Usec, c.Calls))
	severity := max(grade(float64(c.Calls), 10, 100, never), grade(each.Seconds(), 0.005, 0.05, 1))
	return one(Finding{
		Severity: severity, Subject: "KEYS",
		Figure: fmt.Sprintf("%s calls, %s each, %s of all time spent in commands", number(c.Calls), span(each), percent(share(c.Usec, s.busy()))),
		Why:    "it goes through every key before anybody else is answered, and takes longer with every key that is added",
		Do:     "SCAN with MATCH and COUNT; or keep the names in a set; ACL SETUSER service -keys finds who it is",
		Values: values{"calls": float64(c.Calls), "seconds_each": each.Seconds()},
	})
}

func checkWholeReads(s *Server) (found []Finding) {
	busy := s.busy()
	for _, cmd := range []struct{ name, instead string }{
		{"smembers", "SISMEMBER for one, SSCAN for all, SINTERCARD and SMISMEMBER for questions"},
		{"hgetall", "HMGET of the fields that are needed, HSCAN for all"},
		{"hkeys", "HEXISTS for one, HSCAN for all"},
		{"hvals", "HMGET of the fields that are needed"},
		{"sunion", "SUNIONSTORE once and SSCAN, or a sorted set that is kept up to date"},
		{"sinter", "SINTERCARD with LIMIT where the number is enough"},
		{"sort", "a sorted set that is kept up to date"},
	} {
		c := s.calls(cmd.name)
		each, part := usec(share(c.Usec, c.Calls)), share(c.Usec, busy)
		if c.Calls < callsLeast {
			continue
		}
		severity := grade(each.Seconds(), 0.0005, 0.005, never)
		if each >= 50*time.Microsecond {
			severity = max(severity, grade(part, 0.25, 0.5, never))
		}
		found = append(found, one(Finding{
			Severity: severity, Subject: strings.ToUpper(cmd.name),
			Figure: fmt.Sprintf("%s calls, %s each, %s of all time spent in commands", number(c.Calls), span(each), percent(part)),
			Why:    "its cost and its answer grow with the collection; everybody else waits meanwhile",
			Do:     cmd.instead,
			Values: values{"calls": float64(c.Calls), "seconds_each": each.Seconds(), "share_of_time": part},
		})...)
	}
	return found
}

func checkListScans(s *Server) (found []Finding) {
	busy := s.busy()
	for _, cmd := range []struct{ name, instead string }{
		{"lindex", "a hash or sorted set by position or id: LINDEX counts from the nearer end"},
		{"lrange", "pages near the ends; a sorted set where a window in the middle is wanted"},
		{"lrem", "a sorted set (ZREM) or set (SREM); LREM compares every element"},
		{"linsert", "a sorted set whose score is the position"},
		{"lset", "a hash by position"},
		{"lpos", "a set or sorted set beside the list (SISMEMBER, ZSCORE)"},
	} {
		c := s.calls(cmd.name)
		each, part := usec(share(c.Usec, c.Calls)), share(c.Usec, busy)
		if c.Calls < callsLeast || each < 20*time.Microsecond {
			continue
		}
		found = append(found, one(Finding{
			Severity: max(grade(each.Seconds(), 0.0002, 0.002, never), grade(part, 0.1, 0.3, never)), Subject: strings.ToUpper(cmd.name),
			Figure: fmt.Sprintf("%s calls, %s each, %s of all time spent in commands", number(c.Calls), span(each), percent(part)),
			Why:    "a list is reached from its ends: anything else walks, and gets slower with every element",
			Do:     cmd.instead,
			Values: values{"calls": float64(c.Calls), "seconds_each": each.Seconds(), "share_of_time": part},
		})...)
	}
	return found
}

func checkPolled(s *Server) (found []Finding) {
	for _, q := range []struct {
		subject     string
		polls, feed []string
		blocking    string
	}{
		{"a sorted set by ZRANGEBYSCORE", []string{"zrangebyscore", "zrangebylex"}, []string{"zrem", "zremrangebyscore"}, "BZPOPMIN"},
		{"a sorted set by ZPOPMIN", []string{"zpopmin", "zpopmax", "zmpop"}, []string{"zadd"}, "BZPOPMIN"},
		{"a list by LPOP", []string{"lpop", "rpop", "rpoplpush", "lmove", "lmpop"}, []string{"lpush", "rpush", "lpushx", "rpushx", "lmove", "rpoplpush"}, "BLPOP or BLMOVE"},
	} {
		polls, feed := s.calls(q.polls...).Calls, s.calls(q.feed...).Calls
		if polls < 10*callsLeast || feed < 1 {
			continue // not much, or no queue: nothing goes in or out
		}
		found = append(found, one(Finding{
			Severity: grade(share(polls, feed), 3, 20, never), Subject: q.subject,
			Figure: fmt.Sprintf("%s polls (%s) for %s elements (%s): %.0f for each", number(polls), upper(q.polls), number(feed), upper(q.feed), share(polls, feed)),
			Why:    "most polls find nothing, cost a round trip and processor time nevertheless, and work waits for the next poll",
			Do:     q.blocking + " waits on the server until there is something; Larder's queue does so, with retries, delays and a dead-letter list",
			Values: values{"polls": float64(polls), "elements": float64(feed)},
		})...)
	}
	return found
}

func upper(names []string) string { return strings.ToUpper(strings.Join(names, ", ")) }

func checkScripts(s *Server) (found []Finding) {
	text, sha := s.calls("eval", "eval_ro").Calls, s.calls("evalsha", "evalsha_ro", "fcall", "fcall_ro").Calls
	if text >= callsLeast {
		found = append(found, one(Finding{
			Severity: grade(share(text, text+sha), 0.2, never, never), Subject: "EVAL",
			Figure: fmt.Sprintf("%s calls with the script's text, %s by its hash", number(text), number(sha)),
			Why:    "the text is sent and hashed for each call",
			Do:     "EVALSHA, with EVAL only after NOSCRIPT: client libraries have it, Larder's store.Script does it",
			Values: values{"eval": float64(text), "evalsha": float64(sha)},
		})...)
	}
	cached := s.count("number_of_cached_scripts")
	return append(found, one(Finding{
		Severity: grade(float64(cached), 500, 5_000, never), Subject: "SCRIPT",
		Figure: fmt.Sprintf("%s scripts are cached, %s", number(cached), size(s.count("used_memory_scripts_eval"))),
		Why:    "arguments are written into the text of scripts: each call compiles a new one, which stays (before Redis 7.4 for ever)",
		Do:     "KEYS and ARGV in place of formatted text; then SCRIPT FLUSH ASYNC",
		Values: values{"scripts": float64(cached)},
	})...)
}

func checkPipelining(s *Server) []Finding {
	reads, commands := s.count("total_reads_processed"), s.count("total_commands_processed")
	seconds := s.uptime().Seconds()
	if reads < callsLeast || seconds <= 0 {
		return nil
	}
	ratio, rate := share(commands, reads), max(float64(commands)/seconds, float64(s.count("instantaneous_ops_per_sec")))
	if ratio >= 1.5 {
		return nil
	}
	return one(Finding{
		Severity: grade(rate, 2_000, 20_000, never),
		Figure:   fmt.Sprintf("%.2f commands per read from a socket, at %.0f commands/s", ratio, rate),
		Why:      "each command pays for a system call in and one out, which cost more than the command: the same processor does five to ten times as much in pipelines",
		Do:       "MGET, HMGET, a pipeline of the client library; or a client that pipelines concurrent callers by itself, as Larder's Connect does",
		Values:   values{"commands_per_read": ratio, "commands_per_second": rate},
	})
}

// slowWindow is how old an entry of the slow log may be to matter.
const slowWindow = 24 * time.Hour

func checkSlowlog(s *Server) (found []Finding) {
	type group struct {
		n     int
		worst SlowEntry
	}
	groups := map[string]*group{}
	for _, e := range s.Slow {
		if s.Now.Sub(e.At) > slowWindow {
			continue
		}
		g := groups[e.Command]
		if g == nil {
			g = &group{}
			groups[e.Command] = g
		}
		g.n++
		if e.Took > g.worst.Took {
			g.worst = e
		}
	}
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := groups[b].worst.Took - groups[a].worst.Took; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	for _, name := range names[:min(len(names), findingsMost)] {
		g := groups[name]
		key := ""
		if g.worst.Key != "" {
			key = " on " + quote(g.worst.Key)
		}
		found = append(found, one(Finding{
			Severity: grade(g.worst.Took.Seconds(), 0.001, 0.1, 1), Subject: clean(name), // who records everything has quick ones, too
			Figure: fmt.Sprintf("in the slow log of the last %s %d times, the longest took %s%s", span(slowWindow), g.n, span(g.worst.Took), key),
			Why:    "all other clients waited that long",
			Do:     "SLOWLOG GET shows arguments and clients; look at the size of that key, and for a command that reads less of it",
			Values: values{"entries": float64(g.n), "seconds": g.worst.Took.Seconds()},
		})...)
	}
	return found
}

func checkSlowlogOff(s *Server) []Finding {
	if s.setting("slowlog-log-slower-than") != "-1" && s.setting("slowlog-max-len") != "0" {
		return nil
	}
	return one(Finding{
		Severity: Notice,
		Figure:   fmt.Sprintf("slowlog-log-slower-than is %s, slowlog-max-len is %s", clean(s.setting("slowlog-log-slower-than")), clean(s.setting("slowlog-max-len"))),
		Why:      "when the server is slow nobody will know why; the log costs nothing",
		Do:       "CONFIG SET slowlog-log-slower-than 10000; CONFIG SET slowlog-max-len 128",
	})
}

// waiting are commands that take as long as they wait, or that only operators send.
var waiting = []string{
	"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop", "xread", "xreadgroup", "wait", "waitaof",
	"debug", "save", "bgsave", "bgrewriteaof", "flushall", "flushdb", "shutdown", "psync", "sync", "client", "config", "monitor", "failover", "info", "latency", "slowlog", "memory",
}

func checkPercentiles(s *Server) (found []Finding) {
	for _, f := range s.Info.Section("latencystats").Fields {
		name, ok := strings.CutPrefix(f.Name, "latency_percentiles_usec_")
		base, _, _ := strings.Cut(name, "|")
		p99, known := f.Parts().Float("p99")
		calls := s.calls(name).Calls
		if !ok || !known || calls < callsLeast || slices.Contains(waiting, base) {
			continue
		}
		took := usec(p99)
		found = append(found, one(Finding{
			Severity: grade(took.Seconds(), 0.001, 0.01, 0.1), Subject: strings.ToUpper(clean(name)),
			Figure: fmt.Sprintf("p99 is %s of the server's own time, over %s calls", span(took), number(calls)),
			Why:    "one call in a hundred takes that long, and everybody behind it waits, too",
			Do:     "look for the large keys it is used on (big-keys, long-keys, SLOWLOG GET)",
			Values: values{"p99_seconds": took.Seconds(), "calls": float64(calls)},
		})...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return int(max(-1, min(1, 1e9*(b.Values["p99_seconds"]-a.Values["p99_seconds"]))))
	})
	return found[:min(len(found), findingsMost)]
}

func checkEvents(s *Server) (found []Finding) {
	for _, e := range s.Events {
		if s.Now.Sub(e.At) > slowWindow {
			continue
		}
		found = append(found, one(Finding{
			Severity: grade(e.Max.Seconds(), 0.05, 0.25, 2), Subject: clean(e.Name),
			Figure: fmt.Sprintf("%s at worst, %s the last time", span(e.Max), span(e.Latest)),
			Why:    "nobody was answered meanwhile",
			Do:     "LATENCY HISTORY " + clean(e.Name) + " and LATENCY DOCTOR; fork: smaller servers, no huge pages; aof-*: a faster disk; expire-cycle, eviction-cycle: spread TTLs; command: the slow log",
			Values: values{"max_seconds": e.Max.Seconds()},
		})...)
	}
	return found
}
