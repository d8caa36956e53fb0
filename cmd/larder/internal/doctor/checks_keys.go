package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Checks of keys: how long they live, how large they are, how much they are used. Counts are estimates for the whole
// database where the scan was a sample; thresholds are of those estimates, but never of fewer than sampleLeast keys seen.
const sampleLeast = 20

// findingsMost bounds the findings of one check: the first are the gravest, more would hide them.
const findingsMost = 10

// eachSpace makes findings of namespaces, those with most bytes first.
func eachSpace(f *Facts, fn func(ns *Namespace) Finding) (found []Finding) {
	for _, ns := range f.Keys.sorted() {
		if ns.keys < sampleLeast || len(found) == findingsMost {
			continue
		}
		if one := fn(ns); one.Severity > OK {
			one.Subject = ns.label(f.Keys.separator)
			found = append(found, one)
		}
	}
	return found
}

func checkTTL(f *Facts) []Finding {
	ks := f.Keys
	bounded := slices.ContainsFunc(f.Servers, func(s *Server) bool { return s.count("maxmemory") > 0 && s.policyKind() == "allkeys" })
	return eachSpace(f, func(ns *Namespace) Finding {
		without, part := ks.about(ns.noTTL), share(ns.noTTL, ns.keys)
		out := Finding{
			Figure: fmt.Sprintf("%s of %s keys have no TTL (%s)", number(without), number(ks.about(ns.keys)), percent(part)),
			Values: values{"keys": float64(ks.about(ns.keys)), "no_ttl": float64(without), "bytes": float64(ks.about(ns.bytes))},
		}
		switch {
		case without < fewKeys || part < 0.001:
		case part < 0.99: // the rest has one: some code path forgets it
			out.Severity = Warning
			out.Why = "the others do: some code path writes without one (SET without EX clears the TTL, too), and what it writes stays for ever"
			out.Do = "find the writer: SET key value EX seconds, or KEEPTTL when overwriting; Larder's cache cannot write without a TTL"
		default:
			out.Severity = Notice
			if !bounded && share(ns.bytes, ks.Bytes) >= 0.1 && ks.about(ns.bytes) >= memoryWorthIt {
				out.Severity = Warning
			}
			out.Why = "if this is a copy of something, it stays when nobody needs it any more, and memory only grows"
			out.Do = "EXPIRE what is cached (SET key value EX seconds, Larder's cache and session do); leave what is meant to stay, and --ignore missing-ttl"
		}
		return out
	})
}

// herdFold is how many times the keys of a moment are those of the moments before it, on average, to be a herd.
const herdFold = 3

// checkHerd looks for a moment at which more keys expire than before it. Keys that are written all the time, those of rate
// limits for instance, expire all the time: the sooner the more, and most of them within seconds if that is their TTL.
func checkHerd(f *Facts) []Finding {
	ks := f.Keys
	moment, most, before := int64(0), int64(0), int64(0)
	for _, at := range slices.Sorted(maps.Keys(ks.expiries)) {
		n := ks.expiries[at]
		if n > most && at > 0 && n*at >= herdFold*before {
			moment, most = at, n
		}
		before += n
	}
	part := share(most, ks.expiring)
	if ks.about(most) < fewKeys || most < sampleLeast {
		return nil
	}
	return one(Finding{
		Severity: grade(part, 0.1, 0.3, never),
		Figure: fmt.Sprintf("%s keys (%s of those with a TTL) expire within the same %s, %s after the begin of the scan", number(ks.about(most)),
			percent(part), span(herdStep), span(time.Duration(moment)*herdStep)),
		Why:    "they will all be missed at once, and the source behind the cache gets the whole load in that moment",
		Do:     "add a random part to each TTL: EX (300 + random(60)); Larder's cache does so by itself (Options.Jitter)",
		Values: values{"keys": float64(ks.about(most)), "share": part},
	})
}

func checkCold(f *Facts) []Finding {
	ks := f.Keys
	part, bytes := share(ks.idleBytes, ks.Bytes), ks.about(ks.idleBytes)
	if bytes < memoryWorthIt {
		return nil
	}
	return one(Finding{
		Severity: grade(part, 0.3, 0.8, never),
		Figure:   fmt.Sprintf("%s (%s of the bytes seen) not used for %s or longer", size(bytes), percent(part), span(coldAfter)),
		Why:      "memory is the dearest place for what nobody reads",
		Do:       "shorter TTLs for those namespaces, a policy that evicts (allkeys-lru), or a database on disk",
		Values:   values{"bytes": float64(bytes), "share": part},
	})
}

func checkBig(f *Facts) (found []Finding) {
	for _, r := range f.Keys.Big {
		k := r.key
		severity := grade(float64(k.bytes), 1<<20, 10<<20, 256<<20)
		if k.kind == aString {
			severity = grade(float64(k.bytes), 512<<10, 5<<20, 100<<20) // a string is always read as a whole
		}
		if severity == OK || len(found) == findingsMost {
			continue
		}
		do := fmt.Sprintf("split it over several keys (%s:0, :1, ... by a hash of the %s); delete it with UNLINK, read it with %s",
			"name", strings.TrimSuffix(types[k.kind].elements, "s"), map[kind]string{aSet: "SSCAN", aHash: "HSCAN", aZSet: "ZSCAN", aList: "LRANGE in pages", aStream: "XRANGE COUNT"}[k.kind])
		if k.kind == aString || k.kind == aModule {
			do = "split or compress it, keep large documents in a store of files and only their address here; delete it with UNLINK"
		}
		found = append(found, Finding{
			Severity: severity, Subject: quote(k.name), Figure: describe(&k) + at(k.server),
			Why:    "while it is read, copied or deleted nobody else is answered; it cannot be spread over a cluster, and one miss of it fills the network",
			Do:     do,
			Values: values{"bytes": float64(k.bytes), "elements": float64(max(0, k.elements))},
		})
	}
	return found
}

// describe says what a key is.
func describe(k *key) string {
	text := size(k.bytes) + ", a " + types[k.kind].word
	if k.elements >= 0 {
		text += fmt.Sprintf(" of %s %s", number(k.elements), types[k.kind].elements)
	}
	if k.encoding != "" {
		text += " (" + clean(k.encoding) + ")"
	}
	return text
}

func at(server string) string {
	if server == "" {
		return ""
	}
	return " at " + server
}

func checkLong(f *Facts) (found []Finding) {
	for _, r := range f.Keys.Long {
		k := r.key
		severity := grade(float64(k.elements), 20_000, 500_000, 10_000_000)
		if severity == OK || k.kind == aHash && k.elements >= hugeHash || len(found) == findingsMost {
			continue
		}
		do := "read in pages (SSCAN, ZRANGE with LIMIT, LRANGE of a window), never as a whole; split it by time or by a hash of the member"
		if k.kind == aStream || k.kind == aList {
			do = "bound it when writing: XADD key MAXLEN ~ 10000 ..., LTRIM key 0 9999 after LPUSH"
		}
		found = append(found, Finding{
			Severity: severity, Subject: quote(k.name), Figure: describe(&k) + at(k.server),
			Why:    "commands that go through all of it (SMEMBERS, LRANGE 0 -1, SUNION, DEL) hold everybody up for milliseconds to seconds",
			Do:     do,
			Values: values{"elements": float64(k.elements), "bytes": float64(k.bytes)},
		})
	}
	return found
}

func checkHugeHash(f *Facts) (found []Finding) {
	for _, r := range f.Keys.Long {
		k := r.key
		if k.kind != aHash || k.elements < hugeHash || len(found) == findingsMost {
			continue
		}
		fields := ""
		for _, name := range k.fields {
			fields += " " + quote(name)
		}
		if fields != "" {
			fields = "; fields such as" + fields
		}
		found = append(found, Finding{
			Severity: grade(float64(k.elements), hugeHash, 1_000_000, never), Subject: quote(k.name), Figure: describe(&k) + fields + at(k.server),
			Why:    "a hash of records is evicted, deleted and moved as one, lives on one server of a cluster, and its records have no TTL of their own (HEXPIRE needs Redis 7.4)",
			Do:     "a key for each record (SET name:id ... EX seconds), or some thousand hashes by id modulo; Larder's object keeps a hash for each",
			Values: values{"fields": float64(k.elements), "bytes": float64(k.bytes)},
		})
	}
	return found
}

// The counter of LFU grows with a probability that falls as it grows, and shrinks by one a lfu-decay-time. Where both are in
// balance the counter tells the rate.
const (
	lfuStart    = 5 // what a new key begins with
	lfuMost     = 255
	busyMinutes = 600 // reads a minute from which a key is worth a line
)

// readsPerMinute is the rate at which a counter stays as it is.
func readsPerMinute(counter int64, logFactor, decayMinutes float64) float64 {
	if counter <= lfuStart {
		return 0
	}
	return (float64(counter-lfuStart)*logFactor + 1) / max(decayMinutes, 1)
}

func checkHot(f *Facts) (found []Finding) {
	for _, r := range f.Keys.Hot {
		k := r.key
		s := f.server(k.server)
		factor, decay := settingOr(s, "lfu-log-factor", 10), settingOr(s, "lfu-decay-time", 1)
		rate := readsPerMinute(k.freq, factor, decay)
		severity := OK
		switch {
		case k.freq >= lfuMost-5:
			severity = Warning
		case rate >= busyMinutes:
			severity = Notice
		}
		if severity == OK || len(found) == findingsMost {
			continue
		}
		more := "about"
		if k.freq == lfuMost {
			more = "at least"
		}
		found = append(found, Finding{
			Severity: severity, Subject: quote(k.name),
			Figure: fmt.Sprintf("access counter %d of %d: %s %s uses a minute; %s%s", k.freq, lfuMost, more, number(int64(rate)), describe(&k), at(k.server)),
			Why:    "one key is on one server and one thread: it cannot be spread, and is the first to be slow",
			Do:     "a copy in the processes that read it (Larder's cache with Near, or CLIENT TRACKING); a counter split in several keys; reads from replicas",
			Values: values{"counter": float64(k.freq), "uses_per_minute": rate},
		})
	}
	return found
}

// server finds one by the name that keys bear: none where there is one only.
func (f *Facts) server(name string) *Server {
	for _, s := range f.Servers {
		if s.Name == name {
			return s
		}
	}
	return f.Servers[0]
}

func settingOr(s *Server, name string, otherwise float64) float64 {
	var value float64
	if _, err := fmt.Sscan(s.setting(name), &value); err != nil {
		return otherwise
	}
	return value
}

func checkNames(f *Facts) (found []Finding) {
	ks := f.Keys
	if ks.Seen < sampleLeast || ks.about(ks.Seen) < fewKeys {
		return nil
	}
	mean := share(ks.nameBytes, ks.Seen)
	found = append(found, one(Finding{
		Severity: grade(mean, 100, 250, never),
		Figure:   fmt.Sprintf("names of keys are %.0f bytes on average, %s altogether", mean, size(ks.about(ks.nameBytes))),
		Why:      "the name is stored with every key, and sent with every command",
		Do:       "short words for the namespace; a hash (16 bytes, base64) in place of long parameters",
		Values:   values{"mean_bytes": mean},
	})...)
	if len(ks.longest) > 0 {
		k := ks.longest[0].key
		found = append(found, one(Finding{
			Severity: grade(float64(ks.longest[0].score), 1<<10, 64<<10, never), Subject: quote(k.name),
			Figure: fmt.Sprintf("the name of this key has %s", size(ks.longest[0].score)),
			Why:    "somebody makes keys out of data without bound: URLs, queries, user input",
			Do:     "a hash of the data as the key",
			Values: values{"bytes": float64(ks.longest[0].score)},
		})...)
	}
	part := share(ks.plain, ks.Seen)
	return append(found, one(Finding{
		Severity: grade(part, 0.5, never, never),
		Figure:   fmt.Sprintf("%s keys (%s) have no %q in their name", number(ks.about(ks.plain)), percent(part), ks.separator),
		Why:      "without namespaces nobody can tell whose memory it is, restrict a user to his keys (ACL ~orders:*), or clear one kind of keys",
		Do:       "name keys service:kind:id; or tell --separator what divides yours",
		Values:   values{"share": part},
	})...)
}
