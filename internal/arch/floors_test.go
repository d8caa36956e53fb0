package arch

import (
	"slices"
	"strings"
	"testing"
)

// floor is a row of ARCHITECTURE.md's table: what a folder may import from this module and from elsewhere. Floors are
// numbered with gaps, ours between those of the table: a folder imports only from lower ones, whatever else its row says.
type floor struct {
	level  int
	folder string // of this module; "x/..." for all folders below x too; "." is the root
	// only names the module's folders that may be imported, where "everything lower" is too much. nil = everything.
	only []string
	// others are the packages that may be imported from elsewhere: prefixes of their paths. "*" is any.
	others []string
}

var (
	none []string
	sys  = []string{"golang.org/x/sys/"}
	some = []string{"*"}
)

var floors = []floor{
	{0, "internal/types/number", nil, none},
	{0, "internal/glob", nil, none},
	{0, "internal/xxh3", nil, none},
	{1, "internal/info", []string{"store"}, none},
	{0, "internal/clock", nil, none},
	{0, "internal/vfs", nil, none},
	{0, "internal/invariant", nil, none},
	{0, "store", []string{}, none},
	{0, "observe", []string{}, none},
	{1, "codec", []string{"store"}, []string{"github.com/vmihailenco/msgpack/"}},
	{5, "internal/resp", nil, none},
	{5, "internal/rdb", []string{"internal/types/number"}, none},
	{5, "internal/config", []string{"internal/types/number", "internal/glob", "internal/clock", "internal/vfs"}, none},

	{10, "internal/mem/...", nil, sys}, // mmap
	{20, "internal/types/...", []string{"internal/mem/...", "internal/types/...", "internal/invariant"}, none},
	{22, "internal/acl", []string{"internal/config", "internal/glob"}, none},
	{25, "internal/engine", nil, none},
	{27, "internal/dump", nil, none},
	{30, "internal/command", nil, sys},
	{28, "internal/script", []string{"internal/types/number"}, some},
	{30, "internal/persist", nil, none},
	{28, "internal/repl", nil, none},
	{50, "internal/server", nil, sys}, // epoll

	{12, "store/storetest", []string{"store"}, none},
	{12, "store/redisstore", []string{"store", "internal/clock", "internal/resp"}, some},
	{12, "store/kvstore", []string{"store", "internal/clock"}, some},

	{14, "rest", []string{"store", "internal/clock"}, some},
	{14, "dashboard", []string{"store", "internal/clock", "internal/info"}, some},
	{14, "metrics", []string{"store", "internal/clock", "internal/info"}, some},

	{60, ".", nil, some},
	{70, "cmd/...", nil, some},

	// Tools that only tests import.
	{80, "internal/leaktest", nil, none},
	{80, "internal/observetest", []string{"observe"}, none},
	{80, "internal/redistest", nil, none},
	{82, "internal/difftest", nil, some},
	{82, "internal/fleet", []string{".", "store", "store/kvstore", "store/redisstore", "store/storetest", "rest", "internal/clock", "internal/redistest"}, none},
	{90, "internal/arch", []string{}, none},
}

// patterns each make one floor: they never import each other.
var patterns = []string{"cache", "httpcache", "object", "ratelimit", "session", "leaderboard", "queue", "stream", "pubsub", "lock"}

// allFloors adds the patterns. A pattern's packages may import each other: ratelimit/x and ratelimit.
func allFloors() []floor {
	all := slices.Clone(floors)
	for _, p := range patterns {
		all = append(all, floor{14, p + "/...", []string{"store", "observe", "codec", "internal/clock", p + "/..."}, some})
	}
	return all
}

// within reports whether a folder is the pattern, or lies below it if that ends in "/...".
func within(folder, pattern string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return folder == below || strings.HasPrefix(folder, below+"/")
	}
	return folder == pattern
}

// floorOf finds the most exact row.
func floorOf(folder string) (best floor, ok bool) {
	for _, f := range allFloors() {
		if within(folder, f.folder) && (!ok || len(f.folder) > len(best.folder) && !strings.HasSuffix(f.folder, "/...") || strings.HasSuffix(best.folder, "/...") && len(f.folder) > len(best.folder)) {
			best, ok = f, true
		}
	}
	return best, ok
}

// mayImport says why a folder must not import something, or nothing.
func mayImport(from floor, folder, path string) (refusal string) {
	target, ours := strings.CutPrefix(path, module+"/")
	if path == module {
		target, ours = ".", true
	}
	switch {
	case !ours && (isStandard(path) || slices.ContainsFunc(from.others, func(p string) bool { return p == "*" || strings.HasPrefix(path, p) })):
		return ""
	case !ours:
		return "is neither ours nor the standard library's"
	}
	to, ok := floorOf(target)
	sameTree := strings.HasSuffix(from.folder, "/...") && within(target, from.folder)
	switch {
	case !ok:
		return "has no floor: add it to the table"
	case to.level > from.level || to.level == from.level && !sameTree:
		return "does not lie below it"
	case from.only != nil && !slices.ContainsFunc(from.only, func(p string) bool { return within(target, p) }):
		return "is not among " + strings.Join(from.only, ", ")
	}
	return ""
}

func TestFloors(t *testing.T) {
	for folder, files := range sources(t) {
		from, ok := floorOf(folder)
		if !ok {
			t.Errorf("%s has no floor: add a row to ARCHITECTURE.md and to floors", folder)
			continue
		}
		for _, f := range files {
			if f.test {
				continue
			}
			for _, path := range f.imports() {
				if why := mayImport(from, folder, path); why != "" {
					t.Errorf("%s: %s (floor %d) must not import %s: it %s", f.path, folder, from.level, path, why)
				}
			}
		}
	}
}

// The check itself must be able to fail.
func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		folder, path string
		ok           bool
	}{
		{"internal/engine", module + "/internal/mem/table", true},
		{"internal/engine", module + "/internal/types/hash", true},
		{"internal/engine", module + "/internal/command", false},
		{"internal/mem/table", module + "/internal/mem/arena", true},
		{"internal/mem/table", module + "/internal/engine", false},
		{"internal/types/hash", module + "/internal/mem/table", true},
		{"internal/types/hash", module + "/internal/clock", false},
		{"internal/types/hash", module + "/internal/types/nested", true},
		{"internal/resp", module + "/internal/types/number", true},
		{"internal/resp", module + "/internal/mem/arena", false},
		{"internal/resp", "golang.org/x/sys/unix", false},
		{"internal/clock", "time", true},
		{"internal/mem/arena", "golang.org/x/sys/unix", true},
		{"internal/mem/arena", "golang.org/x/sync/errgroup", false},
		{"store", module + "/internal/clock", false},
		{"store", "github.com/redis/rueidis", false},
		{"store/redisstore", "github.com/redis/rueidis", true},
		{"store/redisstore", module, false},
		{"cache", module + "/store", true},
		{"cache", module + "/object", false},
		{"cache", module + "/store/redisstore", false},
		{"cache", module, false},
		{".", module + "/internal/server", true},
		{"internal/server", module, false},
		{"cmd/larder", module, true},
		{"internal/command", module + "/internal/difftest", false},
		{"internal/command", module + "/internal/unheard", false},
	} {
		from, found := floorOf(c.folder)
		if why := mayImport(from, c.folder, c.path); !found || (why == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.folder, c.path, why)
		}
	}
}
