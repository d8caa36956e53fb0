package script

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Result is what a script gave: a value, or an error.
type Result struct {
	value  lua.LValue // nil: an error
	proto  int        // that the script had chosen
	err    string     // whole text, code included
	where  string     // "@user_script:3", or nothing
	silent bool       // a command's error, which was counted where it arose
}

func failure(text string) Result { return Result{err: text} }

// Failed tells whether the script raised an error.
func (r *Result) Failed() bool { return r.value == nil }

// Error is the text of the error that was raised, for a script of that name, and whether it was counted already.
func (r *Result) Error(name string) (text string, counted bool) {
	text = r.err
	if r.where != "" {
		text += " script: " + name + ", on " + r.where + "."
	}
	return oneLine(text), r.silent
}

// oneLine makes a text fit for an error or a status.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}

// isPanic tells whether an error is a bug of the interpreter rather than the script's.
func isPanic(err error) bool {
	var api *lua.ApiError
	return !errors.As(err, &api) || api.Type == lua.ApiErrorPanic
}

// failed makes a result of what PCall returned: the table of onError, or what was raised when not even that could run.
func failed(err error) Result {
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return failure("ERR " + err.Error())
	}
	t, ok := api.Object.(*lua.LTable)
	if !ok {
		msg := "ERR " + api.Object.String()
		if strings.Contains(msg, "registry overflow") || strings.Contains(msg, "callstack overflow") {
			msg = "ERR stack overflow"
		}
		return failure(msg)
	}
	res := errorOf(t)
	if source, line := t.RawGetString("source"), t.RawGetString("line"); isText(source) && isText(line) {
		res.where = text(source) + ":" + text(line)
	}
	return res
}

// errorOf reads the fields that make a table an error.
func errorOf(t *lua.LTable) Result {
	res := Result{err: "ERR unknown error"}
	if msg := t.RawGetString("err"); isText(msg) {
		res.err = text(msg)
	}
	res.silent = lua.LVAsBool(t.RawGetString("ignore_error_stats_update"))
	return res
}

// onError is called where an error was raised, with the stack as it was: it makes the error a table that tells where.
func (st *state) onError(l *lua.LState) int {
	raised := l.Get(1)
	t, ok := raised.(*lua.LTable)
	if _, isFrozen := st.frozen[t]; !ok || isFrozen {
		t = l.NewTable()
		t.RawSetString("err", lua.LString("ERR "+text(st.translate(l, raised))))
	}
	if s := runOf(l).stop.Load(); s != nil {
		t = l.NewTable()
		t.RawSetString("err", lua.LString("ERR "+s.why))
	}
	for level := 1; level < 3; level++ {
		d, ok := l.GetStack(level)
		if !ok {
			break
		}
		if _, err := l.GetInfo("Sl", d, nil); err != nil || d.What == "G" || d.CurrentLine < 0 {
			continue
		}
		t.RawSetString("source", lua.LString("@"+d.Source))
		t.RawSetString("line", lua.LNumber(d.CurrentLine))
		break
	}
	l.Push(t)
	return 1
}

// errorTable is an error as commands give it to scripts. A text that begins with '-' has a code, any other gets ERR.
func errorTable(l *lua.LState, msg string) *lua.LTable {
	code := "ERR"
	if rest, ok := strings.CutPrefix(msg, "-"); ok {
		if c, m, found := strings.Cut(rest, " "); found {
			code, msg = c, m
		} else {
			msg = rest
		}
	}
	t := l.NewTable()
	t.RawSetString("err", lua.LString(code+" "+strings.Trim(msg, "\r\n")))
	return t
}

// raise raises an error that says no place of its own.
func raise(l *lua.LState, msg string) int {
	l.Error(errorTable(l, msg), 1)
	return 0
}
