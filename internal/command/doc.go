// Package command is Redis's command set over the engine.
//
// A command is one literal row (type Command) in the file of its family: name,
// arity, flags, where its keys are, and the function that runs it. Everything
// else derives from the rows: dispatch, locks, refusals, COMMAND and its
// subcommands.
//
// A run function reads its arguments, checks all of them, makes its calls on
// the engine and replies, in this order, so that a refused command has changed
// nothing. It sees the world through a Ctx: the arguments, the transaction
// whose shards are locked already, and the sink for the reply.
//
// The sink is either an encoder of the wire protocol or an in-memory value
// (Value): the embedded store and the server run the same functions.
package command
