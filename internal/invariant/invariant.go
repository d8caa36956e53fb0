// Package invariant holds assertions that exist only in builds with the tag "invariant" (go test -tags invariant).
// They state what must hold whatever the input: a failing one is a bug in Larder, never a user's mistake.
package invariant

// Assert panics with msg when ok is false, in builds with assertions; elsewhere it does nothing. An expensive
// condition belongs under "if invariant.Enabled", because arguments are evaluated either way.
func Assert(ok bool, msg string) {
	if Enabled && !ok {
		panic("invariant broken: " + msg)
	}
}
