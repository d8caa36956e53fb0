// Package object keeps structs as hashes in the store, so that one field can be read or written without the rest.
//
//	type User struct {
//		Name       string    `larder:"name"`
//		Email      string    `larder:"email"`
//		Plan       string    `larder:"plan"`
//		LastActive time.Time `larder:"lastActive,omitempty"`
//	}
//
//	users, err := object.New[User](st, object.Options{Prefix: "user:", TTL: time.Hour})
//	err = users.Save(ctx, "7", &u)
//	u, ok, err := users.Load(ctx, "7")
//
//	plan, err := object.NewField[User, string](users, "plan")
//	p, ok, err := plan.Get(ctx, "7")       // reads this field alone
//	ok, err = plan.Set(ctx, "7", "pro")    // writes this field alone
//
// # Fields
//
// Every exported field is stored, under the name in its tag or else its own. `larder:"-"` leaves it out; omitempty
// leaves out zero values. The fields of an embedded struct count as the outer one's.
//
//	string, []byte            as they are
//	bool                      1 or 0 (true and false are read too)
//	integers, floats          decimal, as HINCRBY and HINCRBYFLOAT want them
//	time.Time                 RFC 3339 with nanoseconds, as JavaScript's toISOString
//	time.Duration             as 1h30m0s
//	encoding.TextMarshaler    its text (net/netip, math/big, UUIDs, ...)
//	pointers                  nil is an absent field, else what it points to
//	other structs, slices, maps, arrays, interfaces    JSON
//
// # What it promises
//
//   - Save is atomic and one round trip: afterwards the hash holds exactly this object, and it has its TTL. There is no
//     moment without a TTL and no mixture of two saves.
//   - Writing single fields never makes an object: where there is none nothing is written, so no half of an object
//     without a TTL is left behind. It does not prolong the TTL: a field that is written often must not keep old
//     neighbours alive.
//   - A missing object is told from one whose fields are all zero.
//   - A key of another type is never overwritten.
//
// A field in the store that the struct does not have is ignored by Load and removed by Save.
//
// # Cost
//
// Load is HMGET of the struct's fields; Save, single fields and Touch are one round trip each, O(fields touched). How a
// type is read and written is worked out once, by New.
package object
