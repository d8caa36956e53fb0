package command

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/glob"
	"github.com/larderdb/larder/internal/script"
)

// libraries are those that FUNCTION LOAD has made. The maps are replaced, never changed.
type libraries struct {
	mu        sync.RWMutex
	byName    map[string]*library
	functions map[string]*libraryFunction // by name in lower case
}

type library struct {
	name, code string
	lua        *script.Library
	functions  []*libraryFunction
}

type libraryFunction struct {
	library           *library
	name, description string
	described         bool
	flags             scriptFlags
}

func (b *libraries) function(name []byte) *libraryFunction {
	b.mu.RLock()
	fn := b.functions[string(name)]
	if fn == nil {
		fn = b.functions[strings.ToLower(string(name))]
	}
	b.mu.RUnlock()
	return fn
}

// list is all libraries, by name.
func (b *libraries) list() []*library {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.SortedFunc(maps.Values(b.byName), func(x, y *library) int { return strings.Compare(x.name, y.name) })
}

// size is how many libraries and functions there are, and the bytes that they take.
func (b *libraries) size() (libs, functions, bytes int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, l := range b.byName {
		bytes += len(l.code) + entrySize + len(l.functions)*entrySize
	}
	return len(b.byName), len(b.functions), bytes
}

// Why the libraries could not be put together.
type (
	errLibraryExists  string
	errFunctionExists string
)

func (e errLibraryExists) Error() string  { return "Library '" + string(e) + "' already exists" }
func (e errFunctionExists) Error() string { return "Function " + string(e) + " already exists" }

// add adds libraries, all or none. With replace those of the same names go.
func (b *libraries) add(list []*library, replace bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	byName := maps.Clone(b.byName)
	if byName == nil {
		byName = make(map[string]*library)
	}
	for _, l := range list {
		if byName[l.name] != nil && !replace {
			return errLibraryExists(l.name)
		}
		delete(byName, l.name)
	}
	functions := functionsOf(byName)
	for _, l := range list {
		for _, f := range l.functions {
			if functions[strings.ToLower(f.name)] != nil {
				return errFunctionExists(f.name)
			}
			functions[strings.ToLower(f.name)] = f
		}
		byName[l.name] = l
	}
	b.byName, b.functions = byName, functions
	return nil
}

func functionsOf(byName map[string]*library) map[string]*libraryFunction {
	functions := make(map[string]*libraryFunction)
	for _, l := range byName {
		for _, f := range l.functions {
			functions[strings.ToLower(f.name)] = f
		}
	}
	return functions
}

// remove forgets a library, if there is one of that name.
func (b *libraries) remove(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byName[name] == nil {
		return false
	}
	byName := maps.Clone(b.byName)
	delete(byName, name)
	b.byName, b.functions = byName, functionsOf(byName)
	return true
}

func (b *libraries) flush() {
	b.mu.Lock()
	b.byName, b.functions = nil, nil
	b.mu.Unlock()
}

// libraryHead reads the first line of a library: "#!lua name=x".
func libraryHead(code string) (engine, name, rest string, err error) {
	if !strings.HasPrefix(code, "#!") {
		return "", "", "", errors.New("Missing library metadata")
	}
	line, _, found := strings.Cut(code, "\n")
	if !found {
		return "", "", "", errors.New("Invalid library metadata")
	}
	words, err := config.SplitArgs(line)
	if err != nil || len(words) == 0 {
		return "", "", "", errors.New("Invalid library metadata")
	}
	named := false
	for _, w := range words[1:] {
		if len(w) < 5 || !strings.EqualFold(w[:5], "name=") {
			return "", "", "", errors.New("Invalid metadata value given: " + w)
		}
		if named {
			return "", "", "", errors.New("Invalid metadata value, name argument was given multiple times")
		}
		named, name = true, w[5:]
	}
	if !named {
		return "", "", "", errors.New("Library name was not given")
	}
	return words[0][2:], name, code[len(line):], nil
}

// loadTimeout is how long a library may take to register its functions. The last part of it must be spent running, not
// waiting for a processor.
const (
	loadTimeout = 500 * time.Millisecond
	loadGrace   = 20 * time.Millisecond
	loadGraces  = 3
)

// loadHost is the host of a library that is loaded: it calls nothing, and ends what takes too long.
type loadHost struct {
	luaHost
	p    *Processor
	late int
}

// Log implements script.Host.
func (h *loadHost) Log(level int, text string) { h.p.logScript(level, text) }

// Breathe implements script.Host.
func (h *loadHost) Breathe() {
	if h.late++; h.late > loadGraces {
		h.run.Stop("FUNCTION LOAD timeout")
	}
	h.timer.Reset(loadGrace)
}

// compileLibrary makes a library of its text. check looks at the name before anything runs.
func (p *Processor) compileLibrary(code string, check func(name string) error) (*library, error) {
	engine, name, rest, err := libraryHead(code)
	if err != nil {
		return nil, err
	}
	switch {
	case !script.ValidName(name):
		return nil, errors.New(script.ErrName)
	case !strings.EqualFold(engine, "lua"):
		return nil, errors.New("Engine '" + engine + "' not found")
	}
	if err := check(name); err != nil {
		return nil, err
	}
	h := &loadHost{p: p}
	h.run.Reset(h)
	h.timer = p.clock.AfterFunc(loadTimeout, h.run.Signal)
	lua, err := p.scripts.lua.LoadLibrary(&h.run, rest, scriptFlagNames[:])
	h.timer.Stop()
	switch {
	case err != nil:
		return nil, err
	case len(lua.Functions) == 0:
		return nil, errors.New("No functions registered")
	}
	lib := &library{name: name, code: code, lua: lua}
	for _, f := range lua.Functions {
		fn := &libraryFunction{library: lib, name: f.Name, description: f.Description, described: f.Described, flags: flagDeclared}
		for _, name := range f.Flags {
			flag, _ := scriptFlag(name)
			fn.flags |= flag
		}
		lib.functions = append(lib.functions, fn)
	}
	return lib, nil
}

// loadLibrary adds a library of a snapshot, in the place of one of its name or else only if there is none.
func (p *Processor) loadLibrary(text []byte, replace bool) error {
	lib, err := p.compileLibrary(string(text), func(string) error { return nil })
	if err != nil {
		return err
	}
	return p.scripts.libs.add([]*library{lib}, replace)
}

func functionLoad(c *Ctx) {
	replace := false
	last := len(c.Args) - 1
	for i := 2; i < last; i++ {
		if !c.Is(i, "REPLACE") {
			c.FailText("ERR Unknown option given: " + clip(string(c.Args[i]), 128))
			return
		}
		replace = true
	}
	libs := &c.scripts.libs
	lib, err := c.compileLibrary(string(c.Args[last]), func(name string) error {
		libs.mu.RLock()
		defer libs.mu.RUnlock()
		if libs.byName[name] != nil && !replace {
			return errLibraryExists(name)
		}
		return nil
	})
	if err == nil {
		err = libs.add([]*library{lib}, replace)
	}
	if err != nil {
		c.FailText("ERR " + err.Error())
		return
	}
	c.Tx.Effect(c.Args...)
	c.Out.BulkString(lib.name)
}

func functionDelete(c *Ctx) {
	if !c.scripts.libs.remove(string(c.Args[2])) {
		c.FailText("ERR Library not found")
		return
	}
	c.Tx.Effect(c.Args...)
	c.OK()
}

func functionFlush(c *Ctx) {
	switch {
	case len(c.Args) > 3:
		c.wrongSub()
	case len(c.Args) == 3 && !c.Is(2, "SYNC") && !c.Is(2, "ASYNC"):
		c.FailText("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
	default:
		c.scripts.libs.flush()
		c.Tx.Effect(c.Args...)
		c.OK()
	}
}

func functionKill(c *Ctx) {
	if why := c.scripts.slow.kill(false); why != "" {
		c.FailText(why)
		return
	}
	c.OK()
}

func functionList(c *Ctx) {
	pattern, withCode := []byte(nil), false
	for i := 2; i < len(c.Args); i++ {
		switch {
		case !withCode && c.Is(i, "WITHCODE"):
			withCode = true
		case pattern == nil && c.Is(i, "LIBRARYNAME"):
			if i+1 >= len(c.Args) {
				c.FailText("ERR library name argument was not given")
				return
			}
			i++
			pattern = c.Args[i]
		default:
			c.FailText("ERR Unknown argument " + clip(string(c.Args[i]), 128))
			return
		}
	}
	list := c.scripts.libs.list()
	if pattern != nil {
		list = slices.DeleteFunc(list, func(l *library) bool { return !glob.Match(pattern, []byte(l.name), true) })
	}
	c.Out.Array(len(list))
	for _, l := range list {
		c.describeLibrary(l, withCode)
	}
}

func (c *Ctx) describeLibrary(l *library, withCode bool) {
	fields := 3
	if withCode {
		fields = 4
	}
	c.Out.Map(fields)
	c.nameAndText("library_name", l.name)
	c.nameAndText("engine", "LUA")
	c.Out.BulkString("functions")
	c.Out.Array(len(l.functions))
	for _, f := range l.functions {
		c.Out.Map(3)
		c.nameAndText("name", f.name)
		if f.described {
			c.nameAndText("description", f.description)
		} else {
			c.Out.BulkString("description")
			c.Out.Null()
		}
		c.Out.BulkString("flags")
		var set []string
		for i, name := range scriptFlagNames {
			if f.flags&(1<<i) != 0 {
				set = append(set, name)
			}
		}
		c.Out.Set(len(set))
		for _, name := range set {
			c.Out.Simple(name)
		}
	}
	if withCode {
		c.nameAndText("library_code", l.code)
	}
}

// nameAndText replies a name and a text.
func (c *Ctx) nameAndText(name, text string) {
	c.Out.BulkString(name)
	c.Out.BulkString(text)
}

func functionStats(c *Ctx) {
	x := c.scripts.slow.oldest()
	if x != nil && x.eval {
		c.FailText(errBusyEval)
		return
	}
	c.Out.Map(2)
	c.Out.BulkString("running_script")
	if x == nil {
		c.Out.Null()
	} else {
		c.Out.Map(3)
		c.nameAndText("name", x.name)
		c.Out.BulkString("command")
		c.Out.Array(len(x.args))
		for _, a := range x.args {
			c.Out.Bulk(a)
		}
		c.Out.BulkString("duration_ms")
		c.Out.Int((c.clock.Monotonic() - x.since).Milliseconds())
	}
	libs, functions, _ := c.scripts.libs.size()
	c.Out.BulkString("engines")
	c.Out.Map(1)
	c.Out.BulkString("LUA")
	c.Out.Map(2)
	c.Out.BulkString("libraries_count")
	c.Out.Int(int64(libs))
	c.Out.BulkString("functions_count")
	c.Out.Int(int64(functions))
}
