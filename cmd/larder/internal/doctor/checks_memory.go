package doctor

import (
	"fmt"
	"time"
)

// Checks of memory: its bound, what goes when it is reached, and what it is used for.

func checkMaxMemory(s *Server) []Finding {
	limit, machine, used := s.count("maxmemory"), s.count("total_system_memory"), s.count("used_memory")
	figures := values{"maxmemory": float64(limit), "total_system_memory": float64(machine), "used_memory": float64(used)}
	if limit == 0 {
		f := Finding{
			Severity: Warning, Figure: "maxmemory is 0; " + size(used) + " used",
			Why:    "without a bound the kernel's out-of-memory killer decides, and takes the whole process",
			Do:     "CONFIG SET maxmemory to what the data may take, with a maxmemory-policy (allkeys-lru for a cache), then CONFIG REWRITE",
			Values: figures,
		}
		if machine > 0 {
			f.Figure += " of the machine's " + size(machine)
			if share(used, machine) >= 0.8 {
				f.Severity = Critical
			}
			f.Do = fmt.Sprintf("CONFIG SET maxmemory %dmb or less, with a maxmemory-policy (allkeys-lru for a cache), then CONFIG REWRITE", machine*6/10>>20)
		}
		return one(f)
	}
	return one(Finding{
		Severity: grade(share(limit, machine), never, 0.9, 1),
		Figure:   fmt.Sprintf("maxmemory is %s, %s of the machine's %s", size(limit), percent(share(limit, machine)), size(machine)),
		Why:      "buffers, fragmentation and the rest of the machine need memory too: the bound will not be reached before the machine swaps or kills the process",
		Do:       fmt.Sprintf("CONFIG SET maxmemory %dmb, then CONFIG REWRITE", machine*6/10>>20),
		Values:   figures,
	})
}

func checkHeadroom(s *Server) []Finding {
	rdb, aof := s.keepsData()
	limit, machine := s.count("maxmemory"), s.count("total_system_memory")
	part := share(limit, machine)
	if limit == 0 || part >= 0.9 || !rdb && !aof && s.count("connected_slaves") == 0 {
		return nil
	}
	return one(Finding{
		Severity: grade(part, 0.65, 0.8, never),
		Figure:   fmt.Sprintf("maxmemory is %s of the machine's %s, and the server forks for persistence or replicas", percent(part), size(machine)),
		Why:      "while a snapshot is made every page that is written to exists twice: with many writes nearly twice the memory",
		Do:       fmt.Sprintf("CONFIG SET maxmemory %dmb, or snapshots on a replica on another machine", machine*6/10>>20),
		Values:   values{"share": part},
	})
}

func checkFull(s *Server) []Finding {
	limit, used := s.count("maxmemory"), s.count("used_memory")
	if limit == 0 || s.policyKind() == "allkeys" {
		return nil
	}
	severity := grade(share(used, limit), 0.75, 0.85, 0.95)
	if s.policyKind() == "volatile" && severity > OK {
		severity = Notice // what has a TTL goes first
	}
	return one(Finding{
		Severity: severity,
		Figure:   fmt.Sprintf("%s of maxmemory is used (%s of %s), policy %s", percent(share(used, limit)), size(used), size(limit), clean(s.text("maxmemory_policy"))),
		Why:      "at 100 % every write gets an OOM error",
		Do:       "raise maxmemory, delete what is not needed (see the namespaces below), or for a cache CONFIG SET maxmemory-policy allkeys-lru",
		Values:   values{"share": share(used, limit)},
	})
}

const fewKeys = 1000 // fewer tell nothing about how a server is used

func checkNoEviction(s *Server) []Finding {
	keys, expires := s.keyspace()
	if s.text("maxmemory_policy") != "noeviction" || s.count("maxmemory") == 0 || keys < fewKeys {
		return nil
	}
	return one(Finding{
		Severity: grade(share(expires, keys), never, 0.5, never),
		Figure:   fmt.Sprintf("%s of %s keys have a TTL, the policy is noeviction", percent(share(expires, keys)), number(keys)),
		Why:      "a full cache should drop what is used least; this one refuses writes",
		Do:       "CONFIG SET maxmemory-policy allkeys-lru (volatile-lru if keys without a TTL must stay), then CONFIG REWRITE",
		Values:   values{"share_with_ttl": share(expires, keys), "keys": float64(keys)},
	})
}

func checkVolatile(s *Server) []Finding {
	keys, expires := s.keyspace()
	if s.policyKind() != "volatile" || keys < fewKeys {
		return nil
	}
	part := share(expires, keys)
	severity := OK
	switch {
	case expires == 0 && s.count("maxmemory") > 0:
		severity = Critical
	case part < 0.2:
		severity = Warning
	}
	return one(Finding{
		Severity: severity,
		Figure:   fmt.Sprintf("%s of %s keys have a TTL, the policy is %s", percent(part), number(keys), clean(s.text("maxmemory_policy"))),
		Why:      "only those can be evicted: once they are gone writes are refused as with noeviction, and until then the few carry all the evictions",
		Do:       "give cached keys a TTL (SET key value EX seconds), or CONFIG SET maxmemory-policy allkeys-lru if all may go",
		Values:   values{"share_with_ttl": part, "keys": float64(keys)},
	})
}

func checkMixed(s *Server) []Finding {
	keys, expires := s.keyspace()
	if s.policyKind() != "allkeys" || s.count("maxmemory") == 0 || keys < fewKeys {
		return nil
	}
	kept := 1 - share(expires, keys)
	if kept < 0.1 || kept > 0.9 {
		return nil
	}
	severity := Notice
	if rdb, aof := s.keepsData(); rdb || aof {
		severity = Warning // somebody takes care that nothing is lost, and the policy loses it
	}
	return one(Finding{
		Severity: severity,
		Figure:   fmt.Sprintf("%s of %s keys have no TTL, the policy is %s", percent(kept), number(keys), clean(s.text("maxmemory_policy"))),
		Why:      "keys without a TTL look like data to keep, and the policy evicts them like the rest; queues, sessions and locks vanish without an error",
		Do:       "one server for the cache and one (noeviction, persistent) for the data; or volatile-lru with a TTL on all that is cached",
		Values:   values{"share_without_ttl": kept},
	})
}

func checkEvictions(s *Server) []Finding {
	keys, _ := s.keyspace()
	evicted := s.count("evicted_keys")
	hours := s.uptime().Hours()
	if keys < fewKeys || evicted < fewKeys || hours <= 0 {
		return nil
	}
	perDay := float64(evicted) / hours * 24
	turnover := perDay / float64(keys)
	now := ""
	if rate, ok := s.Window.Rate("evicted_keys"); ok {
		now = fmt.Sprintf(", %.0f/s during this check", rate)
	}
	return one(Finding{
		Severity: grade(turnover, 1, 24, never),
		Figure:   fmt.Sprintf("%s evictions since the start%s: all keys once in %s", number(evicted), now, span(time.Duration(24/turnover*float64(time.Hour)))),
		Why:      "what is evicted before it is read again was cached in vain; if the hit ratio suffers, the source does the work twice",
		Do:       "raise maxmemory, shorten TTLs, cache less per key, or try allkeys-lfu where a few keys are read most",
		Values:   values{"evicted_keys": float64(evicted), "turnovers_per_day": turnover},
	})
}

// memoryWorthIt is what a waste must come to before it is worth a line.
const memoryWorthIt = 64 << 20

func checkSwap(s *Server) []Finding {
	used, resident := s.count("used_memory"), s.count("used_memory_rss")
	missing := used - resident
	if missing < memoryWorthIt {
		return nil
	}
	return one(Finding{
		Severity: grade(share(missing, used), never, 0.1, 0.3),
		Figure:   fmt.Sprintf("%s used, %s of it in memory", size(used), size(resident)),
		Why:      "the rest was swapped out: a read of it waits for the disk, and everybody behind it, too",
		Do:       "lower maxmemory or what else runs there; swapoff; sysctl vm.swappiness=1",
		Values:   values{"bytes_missing": float64(missing)},
	})
}

func checkFragmentation(s *Server) []Finding {
	ratio, used, resident := s.number("mem_fragmentation_ratio"), s.count("used_memory"), s.count("used_memory_rss")
	if used < memoryWorthIt || resident-used < memoryWorthIt {
		return nil
	}
	return one(Finding{
		Severity: grade(ratio, 1.5, 2, never),
		Figure:   fmt.Sprintf("fragmentation ratio %.2f: %s held for %s of data", ratio, size(resident), size(used)),
		Why:      "the machine runs out of memory before maxmemory is reached",
		Do:       "CONFIG SET activedefrag yes where the allocator is jemalloc; MEMORY PURGE; else a restart, or a failover to a fresh replica",
		Values:   values{"ratio": ratio, "bytes": float64(resident - used)},
	})
}

// lookups count as hits without being reads of data. Check-ups like this one send them for every key, so that the ratio would
// rise with each.
var lookups = []string{"type", "ttl", "pttl", "object", "object|encoding", "object|freq", "object|idletime"}

func checkHitRatio(s *Server) []Finding {
	hits, misses := s.count("keyspace_hits"), s.count("keyspace_misses")
	hits = max(0, hits-s.calls(lookups...).Calls)
	if hits+misses < 10_000 {
		return nil
	}
	ratio := share(hits, hits+misses)
	return one(Finding{
		Severity: grade(-ratio, -0.8, -0.5, never),
		Figure:   fmt.Sprintf("%s of %s reads found their key", percent(ratio), number(hits+misses)),
		Why:      "each miss costs a round trip and then the work that the cache should have saved",
		Do:       "longer TTLs, more memory if keys are evicted, a marker for what does not exist (Larder's cache: negative caching), and look for reads of keys that nobody writes",
		Values:   values{"ratio": ratio, "reads": float64(hits + misses)},
	})
}

func checkStale(s *Server) []Finding {
	stale := s.number("expired_stale_perc")
	keys, expires := s.keyspace()
	if keys < fewKeys {
		return nil
	}
	return one(Finding{
		Severity: grade(stale, 10, 25, never),
		Figure:   fmt.Sprintf("about %.0f %% of %s keys with a TTL are expired and not yet removed", stale, number(expires)),
		Why:      "they take memory, and make others be evicted, until a cycle finds them",
		Do:       "CONFIG SET active-expire-effort 4 (up to 10; costs processor time); spread the TTLs",
		Values:   values{"percent": stale},
	})
}

// checkRegret looks at what only Larder counts: misses of keys that were evicted a short time ago.
func checkRegret(s *Server) (found []Finding) {
	for _, f := range s.Info.Section("namespaces").Fields {
		parts := f.Parts()
		name, _ := parts.Text("name")
		evicted, ok1 := parts.Int("evicted_maxmemory")
		regret, ok2 := parts.Int("regret")
		if !ok1 || !ok2 || regret < fewKeys || len(found) == findingsMost {
			continue
		}
		found = append(found, one(Finding{
			Severity: grade(share(regret, evicted), 0.05, 0.25, never), Subject: quote(name),
			Figure: fmt.Sprintf("%s of %s evicted keys were asked for again soon after", number(regret), number(evicted)),
			Why:    "those evictions saved nothing: the source had to make the value again",
			Do:     "raise maxmemory; a shorter TTL for namespaces without regret leaves more room; CONFIG SET maxmemory-policy allkeys-lfu",
			Values: values{"regret": float64(regret), "evicted": float64(evicted)},
		})...)
	}
	return found
}
