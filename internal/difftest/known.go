package difftest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// version is a server version as major*100 + minor. Servers that only follow Redis count as the version they claim
// in redis_version.
type version int

func (v version) before(w version) bool { return v < w }

func (v version) String() string { return fmt.Sprintf("%d.%d", v/100, v%100) }

func parseVersion(s string) (version, error) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) < 2 {
		return 0, fmt.Errorf("version %q", s)
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return 0, fmt.Errorf("version %q: %w", s, err)
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0, fmt.Errorf("version %q: %w", s, err)
	}
	return version(major*100 + minor), nil
}

// ahead is later than any version: Larder's, which claims one in redis_version and has what later ones brought, too.
const ahead version = 1 << 30

// serverVersion asks INFO.
func serverVersion(c *client) (version, error) {
	r, err := c.do("INFO", "server")
	if err != nil {
		return 0, err
	}
	if strings.Contains(r.Text, "\nlarder_version:") {
		return ahead, nil
	}
	for line := range strings.Lines(r.Text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return parseVersion(v)
		}
	}
	return 0, fmt.Errorf("no redis_version in %s", clip(r.String()))
}

// VersionDifference is something that Redis changed between the version we follow and older ones that may be the
// oracle. Same is asked only when the oracle is older than Since and the replies are not equal.
type VersionDifference struct {
	Since    version
	Commands []string // as [commandName] gives them
	Reason   string
	Same     func(s *session, args []string, want, got Value) bool
}

func (d *VersionDifference) covers(name string) bool { return slices.Contains(d.Commands, name) }

// versionDifferences is the whole list. Nothing else is forgiven for the oracle's age.
func versionDifferences() []VersionDifference {
	return append(append(streamDifferences(), scriptDifferences()...), []VersionDifference{
		{
			Since: 702, Commands: []string{"OBJECT ENCODING"},
			Reason: "7.2 keeps a small list in one listpack instead of a quicklist, and a small set with strings in a listpack instead of a hash table; SPOP of several used to build a new set, which made it an integer set again; a sorted set leaves its listpack for a long member even where XX keeps that out",
			Same: func(s *session, args []string, want, got Value) bool {
				kind, err := s.oracle.do("TYPE", args[2])
				switch {
				case err != nil:
					return false
				case kind.Text == "list":
					return got.Text == "listpack" && want.Text == "quicklist"
				case kind.Text == "set":
					return got.Text == "listpack" && (want.Text == "hashtable" || want.Text == "intset")
				case kind.Text == "zset":
					return got.Text == "skiplist" && want.Text == "listpack"
				}
				return false
			},
		},
		{
			Since: 702, Commands: []string{"ZRANK", "ZREVRANK"},
			Reason: "WITHSCORE came with 7.2; before, any third argument was an arity error",
			Same: func(_ *session, args []string, want, got Value) bool {
				if len(args) != 4 || !strings.HasPrefix(want.Text, "ERR wrong number of arguments") {
					return false
				}
				if !strings.EqualFold(args[3], "WITHSCORE") {
					return got.Kind == '-' && (got.Text == "ERR syntax error" || strings.HasPrefix(got.Text, "WRONGTYPE"))
				}
				return !strings.HasPrefix(got.Text, "ERR")
			},
		},
		{
			Since: 702, Commands: []string{
				"ZADD", "ZINCRBY", "ZSCORE", "ZMSCORE", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZUNION", "ZINTER",
				"ZDIFF", "ZPOPMIN", "ZPOPMAX", "ZMPOP", "ZRANDMEMBER", "ZSCAN",
			},
			Reason: "7.2 writes a score with the fewest digits that read back as the same number, 7.0 with seventeen",
			Same:   func(_ *session, _ []string, want, got Value) bool { return sameNumbers(want, got) },
		},
		{
			Since: 702, Commands: []string{"SCAN"},
			Reason: "Valkey 8 refuses types that there are not",
			Same: func(_ *session, _ []string, _, got Value) bool {
				return strings.HasPrefix(got.Text, "ERR unknown type name")
			},
		},
		{
			Since: 702, Commands: []string{"SCAN", "HSCAN", "SSCAN", "ZSCAN"},
			Reason: "NOVALUES came with Redis 7.4, NOSCORES with Valkey 8",
			Same: func(_ *session, args []string, want, _ Value) bool {
				return want.Text == "ERR syntax error" && slices.ContainsFunc(args, func(a string) bool {
					return strings.EqualFold(a, "NOVALUES") || strings.EqualFold(a, "NOSCORES")
				})
			},
		},
		{
			Since: 702, Commands: []string{"LPOS"},
			Reason: "7.2 refuses the least integer as RANK, which cannot be negated",
			Same: func(_ *session, args []string, _, got Value) bool {
				return slices.Contains(args, "-9223372036854775808") && strings.HasPrefix(got.Text, "ERR value is out of range, value must between")
			},
		},
		{
			Since: 702, Commands: []string{"BITCOUNT"},
			Reason: "7.2 looks at all arguments before the key",
			Same: func(_ *session, args []string, want, got Value) bool {
				return len(args) > 2 && strings.HasPrefix(got.Text, "ERR") && (want.Kind == ':' || want.isError())
			},
		},
		{
			Since: 702, Commands: []string{"BITPOS"},
			Reason: "7.2 looks at all arguments before the key",
			Same: func(_ *session, args []string, want, got Value) bool {
				return len(args) > 3 && strings.HasPrefix(got.Text, "ERR") && (want.Kind == ':' || want.isError())
			},
		},
		{
			Since: 702, Commands: []string{"BITCOUNT"},
			Reason: "takes a start without an end since then",
			Same: func(_ *session, args []string, want, _ Value) bool {
				return len(args) == 3 && (want.Text == "ERR syntax error" || want.Kind == ':')
			},
		},
		{
			Since: 702, Commands: []string{"ACL GETUSER", "ACL LIST"},
			Reason: "7.2 tells of sanitize-payload also where it was never set",
			Same: func(_ *session, _ []string, want, got Value) bool {
				without := func(v Value) string {
					return strings.NewReplacer(` "sanitize-payload"`, "", " sanitize-payload", "").Replace(v.String())
				}
				return without(want) == without(got)
			},
		},
		{
			Since: 800, Commands: []string{"ACL CAT"},
			Reason: "8.0 has JSON documents built in, and their category",
			Same: func(_ *session, _ []string, want, got Value) bool {
				return strings.Replace(got.String(), ` "json"`, "", 1) == want.String()
			},
		},
		{
			Since: 702, Commands: []string{"CLIENT NO-TOUCH", "CLIENT SETINFO"},
			Reason: "came with 7.2",
			Same: func(_ *session, _ []string, want, _ Value) bool {
				return strings.HasPrefix(want.Text, "ERR unknown subcommand")
			},
		},
	}...)
}

// sameNumbers: the same reply but for numbers that are equal though written differently.
func sameNumbers(want, got Value) bool {
	if want.Kind != got.Kind || want.Null != got.Null || len(want.Elems) != len(got.Elems) {
		return false
	}
	for i := range want.Elems {
		if !sameNumbers(want.Elems[i], got.Elems[i]) {
			return false
		}
	}
	if want.Text == got.Text {
		return true
	}
	w, errW := strconv.ParseFloat(want.Text, 64)
	g, errG := strconv.ParseFloat(got.Text, 64)
	return errW == nil && errG == nil && w == g && want.Kind != ':'
}
