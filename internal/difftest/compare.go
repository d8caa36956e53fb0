package difftest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// errBytes is the plain verdict: the replies are not the same bytes and no rule excuses it.
var errBytes = errors.New("replies differ")

// A rule decides about two replies that are not the same bytes. It returns nil only for a difference that Redis
// itself shows between two servers holding the same data: order of a hash table, a random choice, the time that
// passed between two sends. It may ask both sides further questions over the same session.
type rule func(s *session, args []string, want, got Value) error

// ruleFor gives the rule of a command, nil for "bytes must be equal", which is what most have.
func ruleFor(name string) rule {
	switch name {
	case "KEYS", "SUNION", "SINTER", "SDIFF", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS", "COMMAND LIST":
		return unordered
	case "SMEMBERS", "HKEYS", "HVALS":
		return unorderedUnlessListpack
	case "HGETALL":
		return unorderedPairsUnlessListpack
	case "CONFIG GET":
		return unorderedPairs
	case "SCAN", "SSCAN", "HSCAN", "ZSCAN":
		return wholeScan
	case "SPOP":
		return poppedMembers
	case "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER":
		return randomMembers
	case "RANDOMKEY":
		return randomKey
	case "SORT", "SORT_RO":
		return asManyOfASet
	case "TTL", "EXPIRETIME":
		return within(15) // seconds; relative ones are set to hours
	case "PTTL", "PEXPIRETIME":
		return within(15000) // milliseconds
	case "TIME":
		return serverTime
	case "XINFO STREAM", "XINFO CONSUMERS", "XPENDING":
		return streamTimes
	case "MEMORY USAGE", "CLIENT ID", "COMMAND COUNT", "LASTSAVE", "ACL GENPASS":
		return sameKind
	case "OBJECT FREQ", "OBJECT IDLETIME", "OBJECT REFCOUNT": // of a small integer Redis gives those of a shared object, if it is one
		return sameKind
	case "HELLO":
		return helloFields
	case "CLIENT LIST", "CLIENT INFO", "DEBUG OBJECT":
		return fieldNames
	case "INFO":
		return infoSections
	case "COMMAND INFO":
		return commandFacts
	case "EXEC":
		return transaction
	}
	if strings.HasSuffix(name, " HELP") {
		return helpText
	}
	return nil
}

// follows says that comparing a command's replies may send further commands, so that it must end a pipeline.
func follows(name string) bool {
	switch name {
	case "SMEMBERS", "HKEYS", "HVALS", "HGETALL", "SCAN", "SSCAN", "HSCAN", "ZSCAN", "SPOP", "SRANDMEMBER", "HRANDFIELD",
		"ZRANDMEMBER", "RANDOMKEY", "EXEC", "OBJECT ENCODING", "SORT", "SORT_RO":
		return true
	}
	return false
}

// commandName is the upper-case name, with the subcommand where rules tell subcommands apart.
func commandName(args []string) string {
	name := strings.ToUpper(args[0])
	switch name {
	case "OBJECT", "CLIENT", "COMMAND", "MEMORY", "DEBUG", "PUBSUB", "CONFIG", "XGROUP", "XINFO", "ACL":
		if len(args) > 1 {
			name += " " + strings.ToUpper(args[1])
		}
	}
	return name
}

func (s *session) compare(args []string, want, got Reply) error {
	if bytes.Equal(want.Raw, got.Raw) {
		return nil
	}
	return s.compareValues(args, want.Value, got.Value)
}

func (s *session) compareValues(args []string, want, got Value) error {
	if want.String() == got.String() {
		return nil
	}
	name := commandName(args)
	for _, d := range versionDifferences() {
		if s.oracleVersion.before(d.Since) && d.covers(name) && d.Same(s, args, want, got) {
			return nil
		}
	}
	if r := ruleFor(name); r != nil && !want.isError() && !got.isError() {
		return r(s, args, want, got)
	}
	return errBytes
}

func sorted(elems []Value) []string {
	out := make([]string, len(elems))
	for i, e := range elems {
		out[i] = e.String()
	}
	slices.Sort(out)
	return out
}

// unordered: the same elements in any order, in the same kind of aggregate.
func unordered(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null || got.Null {
		return errBytes
	}
	return sameLists(sorted(want.Elems), sorted(got.Elems))
}

// unorderedUnlessListpack: a small hash keeps insertion order, an integer set ascending order, and so must we.
func unorderedUnlessListpack(s *session, args []string, want, got Value) error {
	if s.ordered(args[1]) {
		return errors.Join(errBytes, errors.New("this encoding has an order"))
	}
	return unordered(s, args, want, got)
}

func unorderedPairsUnlessListpack(s *session, args []string, want, got Value) error {
	if s.ordered(args[1]) {
		return errors.Join(errBytes, errors.New("this encoding has an order"))
	}
	return unorderedPairs(s, args, want, got)
}

func unorderedPairs(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null || got.Null {
		return errBytes
	}
	return sameLists(pairs(want.Elems), pairs(got.Elems))
}

// ordered asks the oracle whether a key is in an encoding with an order that clients can see.
func (s *session) ordered(key string) bool {
	r, err := s.oracle.do("OBJECT", "ENCODING", key)
	return err == nil && (r.Text == "listpack" || r.Text == "intset")
}

func pairs(elems []Value) []string {
	out := make([]string, 0, len(elems)/2)
	for i := 0; i+1 < len(elems); i += 2 {
		out = append(out, elems[i].String()+" "+elems[i+1].String())
	}
	slices.Sort(out)
	return out
}

func sameLists(want, got []string) error {
	if slices.Equal(want, got) {
		return nil
	}
	var missing, extra []string
	for _, w := range want {
		if _, ok := slices.BinarySearch(got, w); !ok {
			missing = append(missing, w)
		}
	}
	for _, g := range got {
		if _, ok := slices.BinarySearch(want, g); !ok {
			extra = append(extra, g)
		}
	}
	return fmt.Errorf("%d elements wanted, %d given; missing %s, extra %s", len(want), len(got),
		clip(fmt.Sprint(missing)), clip(fmt.Sprint(extra)))
}

// within: two numbers no further apart than the time that may pass between two sends. A negative one (no TTL, no
// key) must be equal.
func within(tolerance float64) rule {
	return func(_ *session, _ []string, want, got Value) error {
		w, errW := strconv.ParseFloat(want.Text, 64)
		g, errG := strconv.ParseFloat(got.Text, 64)
		if want.Kind != got.Kind || errW != nil || errG != nil || w < 0 || g < 0 || math.Abs(w-g) > tolerance {
			return errBytes
		}
		return nil
	}
}

func sameKind(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null != got.Null {
		return errBytes
	}
	return nil
}

func serverTime(_ *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || len(want.Elems) != 2 || len(got.Elems) != 2 {
		return errBytes
	}
	if micros, err := strconv.Atoi(got.Elems[1].Text); err != nil || micros < 0 || micros >= 1e6 {
		return errBytes
	}
	return within(2)(nil, nil, want.Elems[0], got.Elems[0])
}

// wholeScan: cursors mean nothing outside their server, so both scans are driven to the end with the command's own
// options, and the union of the pages compared. An element may come twice.
func wholeScan(s *session, args []string, want, got Value) error {
	wantAll, err := s.oracle.scan(args, want)
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	gotAll, err := s.target.scan(args, got)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	return sameLists(wantAll, gotAll)
}

func (c *client) scan(args []string, page Value) ([]string, error) {
	at := 2 // where the cursor stands: after the name and the key
	if strings.EqualFold(args[0], "SCAN") {
		at = 1
	}
	paired := strings.EqualFold(args[0], "HSCAN") || strings.EqualFold(args[0], "ZSCAN")
	scored := strings.EqualFold(args[0], "ZSCAN")
	const mostPages = 1 << 20
	var all []string
	for range mostPages {
		if page.Kind != '*' || len(page.Elems) != 2 || page.Elems[0].Kind != '$' || page.Elems[1].Kind != '*' {
			return nil, fmt.Errorf("malformed page %s", clip(page.String()))
		}
		if paired {
			if scored {
				shortenScores(page.Elems[1].Elems)
			}
			all = append(all, pairs(page.Elems[1].Elems)...)
		} else {
			all = append(all, sorted(page.Elems[1].Elems)...)
		}
		cursor := page.Elems[0].Text
		if cursor == "0" {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
		next := slices.Clone(args)
		next[at] = cursor
		r, err := c.do(next...)
		if err != nil {
			return nil, err
		}
		page = r.Value
	}
	return nil, errors.New("the scan does not end")
}

// shortenScores makes the scores of a page independent of how their server writes numbers: see [versionDifferences].
func shortenScores(elems []Value) {
	for i := 1; i < len(elems); i += 2 {
		if f, err := strconv.ParseFloat(elems[i].Text, 64); err == nil {
			elems[i].Text = strconv.FormatFloat(f+0, 'g', -1, 64) // +0: 7.0 loses the sign of -0
		}
	}
}

// transaction compares EXEC's replies one by one, each by its own command's rule.
func transaction(s *session, _ []string, want, got Value) error {
	if want.Kind != got.Kind || want.Null || got.Null || len(want.Elems) != len(got.Elems) || len(want.Elems) != len(s.queued) {
		return errBytes
	}
	queued := s.queued
	for i, args := range queued {
		if err := s.compareValues(args, want.Elems[i], got.Elems[i]); err != nil {
			return fmt.Errorf("reply %d, to %s: want %s, got %s: %w", i, quoteCommand(args),
				clip(want.Elems[i].String()), clip(got.Elems[i].String()), err)
		}
	}
	return nil
}
