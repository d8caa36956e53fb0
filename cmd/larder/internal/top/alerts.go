package top

import (
	"fmt"
	"strings"

	"github.com/larderdb/larder/internal/info"
)

// Alert is something to act on, in plain words.
type Alert struct {
	Severe bool   `json:"severe"` // it loses data or refuses requests, now or soon
	Text   string `json:"text"`
}

const anew = "counters began anew: the server restarted, or CONFIG RESETSTAT ran"

// What counts as worth saying.
const (
	nearMax        = 0.90      // of maxmemory
	nearSystem     = 0.85      // of the machine's memory, where there is no maxmemory
	fragmented     = 1.5       // resident over used
	swapped        = 0.8       // the same, below
	worthTrimming  = 256 << 20 // bytes between resident and used below which fragmentation is nobody's problem
	fallingBy      = 0.05      // of the hit ratio
	fallingRecent  = 15        // readings compared ...
	fallingBefore  = 120       // ... with those before them
	fallingLookups = 50        // a second, below which a ratio says little
	nearClients    = 0.9       // of maxclients
	fewVolatile    = 0.5       // share of keys with a TTL that volatile policies can do with
)

// alertsOf says what is wrong, the severe first.
func alertsOf(o Overview, in info.Info, h *History) []Alert {
	var severe, other []Alert
	bad := func(format string, args ...any) { severe = append(severe, Alert{true, fmt.Sprintf(format, args...)}) }
	note := func(format string, args ...any) { other = append(other, Alert{false, fmt.Sprintf(format, args...)}) }
	memoryAlerts(o, bad, note)
	evictionAlerts(o, h, note)
	serverAlerts(o, in, bad, note)
	if o.Reset {
		note(anew)
	}
	return append(severe, other...)
}

type say func(format string, args ...any)

func memoryAlerts(o Overview, bad, note say) {
	full := ratio(o.Used, o.Max)
	switch noeviction := o.Policy == "noeviction"; {
	case o.OutOfMemory.V > 0:
		bad("%s writes/s are refused for want of memory (maxmemory %s, policy %s)", o.OutOfMemory.count(), o.Max.bytes(), o.Policy)
	case full.V >= 0.995 && noeviction:
		bad("memory is at maxmemory (%s) and the policy is noeviction: writes are refused", o.Max.bytes())
	case full.V >= nearMax && noeviction:
		bad("memory is at %s of maxmemory (%s) and the policy is noeviction: at 100%% writes are refused", full.percent(), o.Max.bytes())
	case full.V >= nearMax && o.Evictions.V == 0:
		note("memory is at %s of maxmemory (%s): evictions by %s are near", full.percent(), o.Max.bytes(), o.Policy)
	case o.Unlimited && ratio(o.Used, o.System).V >= nearSystem:
		bad("there is no maxmemory, and %s of the machine's memory is used", ratio(o.Used, o.System).percent())
	}
	if ttl := ratio(minus(o.Keys, o.NoTTL), o.Keys); strings.HasPrefix(o.Policy, "volatile-") && full.V >= nearMax && ttl.OK && ttl.V < fewVolatile {
		bad("only %s of the keys have a TTL, and %s evicts no others", ttl.percent(), o.Policy)
	}
	switch {
	case o.Fragmentation.V >= fragmented && o.RSS.V-o.Used.V >= worthTrimming:
		note("fragmentation: the process holds %s for %s of data", o.RSS.bytes(), o.Used.bytes())
	case o.Fragmentation.OK && o.Fragmentation.V < swapped && o.Used.V-o.RSS.V >= worthTrimming:
		bad("%s of the memory in use is not resident: the machine swaps", minus(o.Used, o.RSS).bytes())
	}
}

func evictionAlerts(o Overview, h *History, note say) {
	if o.Evictions.V > 0 {
		// How long it has been so: back to the last reading without evictions.
		points := h.Evictions.last(historyPoints)
		run := 0
		for run < len(points) && points[len(points)-1-run].V > 0 {
			run++
		}
		began := run < len(points) && points[len(points)-1-run].OK // a reading that had none came before
		if began && run <= 30 {
			note("eviction has started: %s keys/s", o.Evictions.count())
		} else {
			note("evicting %s keys/s: the data no longer fits in %s", o.Evictions.count(), o.Max.bytes())
		}
	}
	recent, before := h.Hits.mean(fallingRecent, 0), h.Hits.mean(fallingBefore, fallingRecent)
	if !before.OK { // not running that long yet
		before = h.Hits.mean(4*fallingRecent, fallingRecent)
	}
	if recent.OK && before.OK && before.V-recent.V >= fallingBy && h.Lookups.mean(fallingRecent, 0).V >= fallingLookups {
		note("the hit ratio is falling: %s, was %s", recent.percent(), before.percent())
	}
}

func serverAlerts(o Overview, in info.Info, bad, note say) {
	is := func(field, value string) bool { v, ok := in.Text(field); return ok && v == value }
	if is("loading", "1") {
		bad("the server is loading its data: it refuses commands")
	}
	if is("rdb_last_bgsave_status", "err") {
		bad("the last snapshot failed")
	}
	if is("aof_last_write_status", "err") {
		bad("the last write to the append-only file failed: writes are refused")
	}
	if is("master_link_status", "down") {
		bad("the link to the primary is down")
	}
	if o.Rejected.V > 0 {
		bad("%s connections/s are rejected: maxclients is %s", o.Rejected.count(), o.MaxClients.count())
	} else if used := ratio(o.Clients, o.MaxClients); used.V >= nearClients {
		note("%s of %s possible connections are in use", o.Clients.count(), o.MaxClients.count())
	}
	if share := ratio(o.Errors, o.Ops); share.V >= 0.01 && o.Errors.V >= 10 {
		note("%s of the commands fail: %s errors/s", share.percent(), o.Errors.count())
	}
	if o.Connects.V >= 100 {
		note("%s new connections/s: clients should keep theirs", o.Connects.count())
	}
}
