// Package server carries connections: it reads requests, has them executed, and sends the replies. What a command means
// is not its business: it hands words to a Session and gets encoded replies back.
//
// # One state machine, two ways to move bytes
//
// A conn (conn.go) is the state of one connection without any I/O: unparsed input goes in, commands run, encoded output
// comes out. Two transports drive it:
//
//   - On Linux, TCP and unix sockets belong to event loops (loop_linux.go), one for each processor: a wake-up reads once,
//     runs every whole command that came, and writes once.
//   - Everything else (TLS, in-memory connections, other systems) gets a goroutine that reads, and another one while there
//     is output that the peer does not take at once (stream.go).
//
// # Who may touch what
//
// A conn has an owner at any time: its event loop, or the holder of its stream's lock. The owner alone parses, executes and
// sends. Other goroutines reach it in three ways, all through a short lock and some flags: Push leaves encoded bytes in
// the conn's inbox, Resume does so and ends a wait, Close asks for the end. Each wakes the owner.
//
// Pushes keep their order among each other, and enter the output between two commands, never inside a reply.
//
// # Memory
//
// An idle connection holds no buffers. Reads go into a buffer that belongs to the loop; only the beginning of an
// unfinished command is kept, in memory that grows with what has arrived. Output is written from the loop's buffer; only
// what the peer does not take is kept. A client that sends and does not read is put on hold: once it is owed pauseAt
// bytes nothing more is read from it nor run for it (Redis would let the debt grow, unless told otherwise). The threshold
// is high, because many clients send a whole pipeline before they read the first reply, and drops to pauseCrowded for
// everybody when all connections together are owed more than crowded bytes.
package server
