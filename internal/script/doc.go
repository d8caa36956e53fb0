// Package script runs Lua 5.1 for EVAL and FUNCTION: the interpreter, its sandbox, its libraries and the conversions
// between Lua's values and replies. It knows no command: a Host runs them.
//
// # Sandbox
//
// Scripts share interpreters, one after the other, so nothing that a script does may outlive it. All tables that every
// script sees (the globals, redis, string, cjson, ...) are frozen: the script gets an empty stand-in whose metatable leads
// reads to the table and refuses writes, and the base library is taught to see through stand-ins where it matters (next,
// rawget) and to refuse them where it would get around the metatable (rawset, setmetatable, table.insert). A global that
// does not exist raises an error rather than being nil, as in Redis.
//
// # Bounds
//
// No script may take the process down. Each of these is an error of the script instead: calls nested too deep, an
// expression nested deeper than the compiler can recurse, strings longer than MaxString, patterns that recurse. An
// interpreter asks Run.Done before every instruction (it thinks of Run as a context), which is where a script that was
// stopped notices it, wherever it is and whatever it catches, and where the Host is asked now and then whether to go on.
// What cannot be bounded by the instruction, memory, is watched from outside: the Host stops a run that takes too much.
//
// # Numbers
//
// Lua 5.1 writes numbers as C's %.14g does; the interpreter here does not. What turns numbers into strings is therefore
// done by this package: tostring, the string and table libraries, and the operator "..", which the compiler of this
// package makes a call of a function.
package script
