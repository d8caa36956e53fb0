package command

import (
	"errors"

	"github.com/larderdb/larder/internal/rdb"
)

func functionSubs() []Command {
	const group, since = "scripting", "7.0.0"
	shards := []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	return []Command{
		{Name: "delete", Arity: 3, Flags: Write | NoScript, ACL: CatScripting, Group: group, Since: since, Cost: "O(1)",
			Summary: "Forgets a library and its functions.", Tips: shards, Run: functionDelete},
		{Name: "dump", Arity: 2, Flags: NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of functions", Summary: "Writes all libraries in the form that FUNCTION RESTORE takes.", Run: functionDump},
		{Name: "flush", Arity: -2, Flags: Write | NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of functions", Summary: "Forgets all libraries.", Tips: shards, Run: functionFlush},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatScripting, Group: group, Since: since, Cost: "O(1)",
			Summary: "Tells what the subcommands do.", Run: functionHelp},
		{Name: "kill", Arity: 2, Flags: NoScript | AllowBusy, ACL: CatScripting, Group: group, Since: since, Cost: "O(1)",
			Summary: "Ends the function that runs, if it has not written.",
			Tips:    []string{"request_policy:all_shards", "response_policy:one_succeeded"}, Run: functionKill},
		{Name: "list", Arity: -2, Flags: NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of functions", Summary: "Lists libraries and their functions.",
			Tips: []string{"nondeterministic_output_order"}, Run: functionList},
		{Name: "load", Arity: -3, Flags: Write | DenyOOM | NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(1) (considering compilation time is redundant)", Summary: "Makes a library of its text.", Tips: shards, Run: functionLoad},
		{Name: "restore", Arity: -3, Flags: Write | DenyOOM | NoScript, ACL: CatScripting, Group: group, Since: since,
			Cost: "O(N) where N is the number of functions on the payload", Summary: "Makes the libraries that FUNCTION DUMP has written.",
			Tips: shards, Run: functionRestore},
		{Name: "stats", Arity: 2, Flags: NoScript | AllowBusy, ACL: CatScripting, Group: group, Since: since, Cost: "O(1)",
			Summary: "Tells which function runs, and how many there are.",
			Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}, Run: functionStats},
	}
}

// What stands in front of a library in a payload.
const (
	opcodeFunction    = 245 // its text
	opcodeFunctionOld = 246 // as it was before Redis 7.0 was finished
)

func functionDump(c *Ctx) {
	w := rdb.NewWriter(nil)
	w.Compress = c.compressDumps()
	for _, l := range c.scripts.libs.list() {
		w.Raw([]byte{opcodeFunction})
		w.String([]byte(l.code))
	}
	c.Out.Bulk(w.Seal(rdb.Version7))
}

func functionRestore(c *Ctx) {
	flush, replace := false, false
	switch {
	case len(c.Args) > 4:
		c.wrongSub()
		return
	case len(c.Args) == 3, c.Is(3, "APPEND"):
	case c.Is(3, "REPLACE"):
		replace = true
	case c.Is(3, "FLUSH"):
		flush = true
	default:
		c.FailText("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
		return
	}
	body, err := rdb.Unseal(c.Args[2])
	if err != nil {
		c.Fail(errBadPayload)
		return
	}
	var made libraries // so that the payload agrees with itself
	for len(body) > 0 {
		var lib *library
		if lib, body, err = c.readLibrary(body); err == nil {
			err = made.add([]*library{lib}, false)
		}
		if err != nil {
			c.FailText("ERR " + err.Error())
			return
		}
	}
	if err := c.scripts.libs.restore(&made, flush, replace); err != nil {
		c.FailText("ERR " + err.Error())
		return
	}
	c.Tx.Effect(c.Args...)
	c.OK()
}

// readLibrary reads one library of a payload.
func (c *Ctx) readLibrary(body []byte) (*library, []byte, error) {
	switch body[0] {
	case opcodeFunction:
	case opcodeFunctionOld:
		return nil, nil, errors.New("Pre-GA function format not supported")
	default:
		return nil, nil, errors.New("given type is not a function")
	}
	r := rdb.NewReader(body[1:])
	code, err := r.String()
	if err != nil {
		return nil, nil, errors.New("Failed loading library data")
	}
	lib, err := c.compileLibrary(string(code), func(string) error { return nil })
	return lib, body[len(body)-r.Rest():], err
}

// restore takes the libraries of another set, all or none.
func (b *libraries) restore(made *libraries, flush, replace bool) error {
	if flush {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.byName, b.functions = made.byName, made.functions
		return nil
	}
	err := b.add(made.list(), replace)
	var exists errLibraryExists
	if errors.As(err, &exists) {
		return errors.New("Library " + string(exists) + " already exists")
	}
	return err
}

func functionHelp(c *Ctx) {
	c.help("FUNCTION", "LOAD [REPLACE] <FUNCTION CODE>", "    Make a library of its text; with REPLACE in place of the one with its name.",
		"DELETE <LIBRARY NAME>", "    Forget a library.",
		"LIST [LIBRARYNAME PATTERN] [WITHCODE]", "    List the libraries, or those whose names match, with their functions, and with their texts.",
		"STATS", "    Tell which function runs, with what and for how long, and how many libraries and functions there are.",
		"KILL", "    End the function that runs, if it has not written.",
		"FLUSH [ASYNC|SYNC]", "    Forget all libraries, in either mode before the reply.",
		"DUMP", "    Write all libraries in the form that RESTORE takes.",
		"RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]", "    Make the libraries of a payload, all or none. By default (APPEND) names that there are",
		"    already are an error; REPLACE puts new libraries in the place of old ones; FLUSH forgets the old ones.")
}
