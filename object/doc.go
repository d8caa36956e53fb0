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
//	u, ok, err = users.Update(ctx, "7", func(u *User) error { ... }) // writes what differs, if nobody was faster
//
// # Fields
//
// Every exported field is stored, under the name in its tag or else its own. A struct within is kept field by field, under
// dotted names: "address.city". The fields of an embedded struct count as the outer one's. Where a pointer leads to a
// struct, one more field, of the pointer's name, tells a struct of zeros from nil.
//
//	`larder:"-"`             left out
//	`larder:"x,omitempty"`   zero values are left out
//	`larder:"x,json"`        a struct as one field, in JSON; types that contain themselves need it
//	`larder:"x,codec=gob"`   spelled by the Codec of that name in Options.Codecs
//	`larder:"x,ttl=5m"`      lives that long after it was written, not longer than the object; zero is not stored
//	`larder:"x,version"`     one int64, which counts the object's changes
//
// How values are spelled, unless Options.Codecs has a Codec for their type:
//
//	string, []byte            as they are
//	bool                      1 or 0 (true and false are read too)
//	integers, floats          decimal, as HINCRBY and HINCRBYFLOAT want them
//	time.Time                 RFC 3339 with nanoseconds, as JavaScript's toISOString
//	time.Duration             as 1h30m0s
//	encoding.TextMarshaler    its text (net/netip, math/big, UUIDs, ...)
//	pointers                  nil is an absent field, else what it points to
//	slices, maps, arrays, interfaces, json.Marshaler    JSON
//
// # Versions
//
// With a version, every write of this package makes it grow, single fields included. SaveIf and Update compare it in the
// same step as they write: of two that began with the same version one gets ErrConflict, or in Update another attempt. The
// first version is the store's clock in milliseconds, so that an object that was deleted and made anew does not meet its old
// versions again.
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
//   - A Counter adds in the store: two that add at the same time are both counted, and no sum leaves its type.
//   - A field's TTL is kept where the store has HPEXPIRE: Larder, Redis from 7.4, Valkey from 9. Elsewhere a write that would
//     need it is store.ErrUnsupported, and writes nothing.
//
// A field in the store that the struct does not have is ignored by Load and removed by Save.
//
// # Cost
//
// Load is HMGET of the struct's fields; Save, single fields, Counters and Touch are one round trip each, O(fields touched).
// LoadMany and Delete are one for many objects, Update is two per attempt. How a type is read and written is worked out
// once, by New.
package object
