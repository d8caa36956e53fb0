package script

import (
	"errors"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// A library is a text that registers functions when it runs. What it keeps in its local variables lives as long as it is
// loaded, so a library has an interpreter of its own, which one function at a time may use. Functions that run side by
// side, which only those can that lock their keys alone, find it taken and get another that is loaded the same way.

// Function is one that a library registered.
type Function struct {
	Name, Description string
	Described         bool // a description was given
	Flags             []string
}

// Library is a loaded library.
type Library struct {
	Functions []Function // in the order of their registration

	rt    *Runtime
	chunk *Chunk
	mu    sync.Mutex
	first *instance
	taken bool
	spare []*instance
}

// instance is a library loaded in an interpreter.
type instance struct {
	st        *state
	callbacks map[string]*lua.LFunction
}

// loading is a library that is being loaded.
type loading struct {
	lib       *Library
	callbacks map[string]*lua.LFunction
	flags     []string // that there are
	known     map[string]bool
}

// LoadLibrary compiles a library and runs it once, which registers its functions. flags are those that functions may
// have. The error is what FUNCTION LOAD answers.
func (rt *Runtime) LoadLibrary(r *Run, code string, flags []string) (*Library, error) {
	c, err := rt.Compile(code, "user_function")
	if err != nil {
		return nil, errors.New("Error compiling function: " + err.Error())
	}
	lib := &Library{rt: rt, chunk: c}
	lib.first, err = lib.load(r, flags)
	if err != nil {
		return nil, err
	}
	return lib, nil
}

// load runs the library's text in a new interpreter.
func (b *Library) load(r *Run, flags []string) (*instance, error) {
	st := newState(b.rt)
	r.load = &loading{lib: b, callbacks: make(map[string]*lua.LFunction), flags: flags, known: make(map[string]bool)}
	defer func() { r.load = nil }()
	known := b.Functions
	b.Functions = nil
	globals := st.envMeta.RawGetString("__index")
	st.envMeta.RawSetString("__index", st.loadGlobals())
	res := st.run(r, st.function(b.chunk))
	st.envMeta.RawSetString("__index", globals)
	if res.Failed() {
		text, _ := res.Error("")
		text, _, _ = strings.Cut(text, " script: , on @")
		st.L.Close()
		return nil, errors.New("Error registering functions: " + text)
	}
	if known != nil {
		b.Functions = known // it was loaded before, with the same result unless it tosses coins
	}
	return &instance{st, r.load.callbacks}, nil
}

// loadGlobals are what a library may use while it is loaded.
func (st *state) loadGlobals() *lua.LTable {
	api := st.L.NewTable()
	api.RawSetString("register_function", st.L.NewFunction(registerFunction))
	st.addBasics(api)
	shown := st.strict(api)
	frozenAPI := st.freeze(api, shown)
	t := st.L.NewTable()
	t.RawSetString("server", frozenAPI)
	t.RawSetString("redis", frozenAPI)
	st.strict(t)
	return t
}

// Call runs a function of the library.
func (b *Library) Call(r *Run, name string, keys, args [][]byte, flags []string) Result {
	in, err := b.take(r, flags)
	if err != nil {
		return failure("ERR " + err.Error())
	}
	defer b.give(in)
	fn := in.callbacks[name]
	if fn == nil {
		return failure("ERR Function not found")
	}
	res := in.st.run(r, fn, stringList(in.st.L, keys), stringList(in.st.L, args))
	return res
}

func (b *Library) take(r *Run, flags []string) (*instance, error) {
	b.mu.Lock()
	if !b.taken && b.first != nil {
		b.taken = true
		b.mu.Unlock()
		return b.first, nil
	}
	if n := len(b.spare); n > 0 {
		in := b.spare[n-1]
		b.spare = b.spare[:n-1]
		b.mu.Unlock()
		return in, nil
	}
	b.mu.Unlock()
	return b.load(r, flags)
}

func (b *Library) give(in *instance) {
	in.st.L.Env = in.st.env
	in.st.L.RemoveContext()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case in.st.spoilt && in == b.first:
		b.first, b.taken = nil, false // the next call loads it anew
	case in.st.spoilt:
	case in == b.first:
		b.taken = false
	case b.first == nil:
		b.first = in
	case len(b.spare) < maxIdle:
		b.spare = append(b.spare, in)
	}
}

// registerFunction is redis.register_function: of a name and a function, or of a table of named arguments.
func registerFunction(l *lua.LState) int {
	r := runOf(l)
	if r.load == nil {
		return raise(l, "server.register_function can only be called on FUNCTION LOAD command")
	}
	var f Function
	var callback *lua.LFunction
	var why string
	switch l.GetTop() {
	case 1:
		f, callback, why = r.load.named(l)
	case 2:
		f, callback, why = positional(l)
	default:
		why = "wrong number of arguments to server.register_function"
	}
	switch {
	case why != "":
		return raise(l, why)
	case !ValidName(f.Name):
		return raise(l, ErrName)
	case r.load.known[f.Name]:
		return raise(l, "Function already exists in the library")
	}
	r.load.known[f.Name] = true
	r.load.callbacks[f.Name] = callback
	r.load.lib.Functions = append(r.load.lib.Functions, f)
	return 0
}

// ErrName is the error of a name that is not fit for a library or a function.
const ErrName = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

// ValidName tells whether a name is fit for a library or a function.
func ValidName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isLetter(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return name != ""
}

func positional(l *lua.LState) (f Function, callback *lua.LFunction, why string) {
	if !isText(l.Get(1)) {
		return f, nil, "first argument to server.register_function must be a string"
	}
	f.Name = text(l.Get(1))
	callback, ok := l.Get(2).(*lua.LFunction)
	if !ok {
		return f, nil, "second argument to server.register_function must be a function"
	}
	return f, callback, ""
}

func (ld *loading) named(l *lua.LState) (f Function, callback *lua.LFunction, why string) {
	t, ok := l.Get(1).(*lua.LTable)
	if !ok {
		return f, nil, "calling server.register_function with a single argument is only applicable to Lua table " +
			"(representing named arguments)."
	}
	named := false
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !isText(k) {
			return f, nil, "named argument key given to server.register_function is not a string"
		}
		switch strings.ToLower(text(k)) {
		case "function_name":
			if named = isText(v); !named {
				return f, nil, "function_name argument given to server.register_function must be a string"
			}
			f.Name = text(v)
		case "description":
			if f.Described = isText(v); !f.Described {
				return f, nil, "description argument given to server.register_function must be a string"
			}
			f.Description = text(v)
		case "callback":
			if callback, ok = v.(*lua.LFunction); !ok {
				return f, nil, "callback argument given to server.register_function must be a function"
			}
		case "flags":
			list, ok := v.(*lua.LTable)
			if !ok {
				return f, nil, "flags argument to server.register_function must be a table representing function flags"
			}
			if f.Flags, ok = ld.readFlags(list); !ok {
				return f, nil, "unknown flag given"
			}
		default:
			return f, nil, "unknown argument given to server.register_function"
		}
	}
	switch {
	case !named:
		return f, nil, "server.register_function must get a function name argument"
	case callback == nil:
		return f, nil, "server.register_function must get a callback argument"
	}
	return f, callback, ""
}

// readFlags reads a list of flags, in the order in which they are known.
func (ld *loading) readFlags(list *lua.LTable) (flags []string, ok bool) {
	given := make(map[string]bool)
	for i := 1; list.RawGetInt(i) != lua.LNil; i++ {
		v := list.RawGetInt(i)
		name := strings.ToLower(text(v))
		known := false
		for _, f := range ld.flags {
			known = known || f == name
		}
		if !isText(v) || !known {
			return nil, false
		}
		given[name] = true
	}
	for _, f := range ld.flags {
		if given[f] {
			flags = append(flags, f)
		}
	}
	return flags, true
}
