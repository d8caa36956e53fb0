// Package session keeps what a web application knows of its visitors between requests: who is logged in, what lies in the
// cart.
//
//	sessions, err := session.New(st, session.Options{})
//	http.ListenAndServe(addr, sessions.Handler(mux))
//
//	const cart session.Field[Cart] = "cart"
//
//	func add(w http.ResponseWriter, r *http.Request) {
//		s := session.From(r.Context())
//		c, _, err := cart.Get(s)
//		...
//		err = cart.Set(s, c)
//	}
//
//	err = s.Login("user 7")     // a new token; the old one is refused from now on
//	s.Destroy()                 // log out
//	n, err := sessions.RevokeAll(ctx, "user 7")  // log out everywhere
//
// For applications that use github.com/alexedwards/scs there is [SCS], a Store for it: one line.
//
// # What it promises
//
//   - Two requests of a visitor at the same time do not overwrite each other: each writes the fields that it changed, and
//     no others. When both change the same field the later one stays.
//   - A session that has ended stays ended. A request that held it when it was destroyed, revoked or given another token
//     cannot store anything in it any more, however late it comes: ErrGone.
//   - The store never sees a token, only its SHA-256. Tokens are 256 random bits.
//   - A token that was planted before Login is worth nothing after: Login and Rotate refuse the old one at once.
//   - Sessions end after IdleTimeout without use, and after Lifetime in any case, by the store's clock. There are none
//     without a TTL.
//   - RevokeAll ends all sessions of a user, those included that change their tokens meanwhile.
//   - The cookie is set before the first byte of the response, and the session is stored before that.
//
// # Cost
//
// Load is one round trip, and none without a cookie; once per TouchEvery it is one more, to write down that the session is
// used. Save is one where something changed, and none otherwise. Login is two for a session that was stored before. Rotate and
// Destroy are one. All are O(fields of the session). List and RevokeAll are O(sessions of the user), two round trips.
//
// A session without content takes no space in the store and sets no cookie.
package session
