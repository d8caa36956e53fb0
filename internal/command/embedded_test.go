package command_test

import (
	"math"
	"testing"
	"time"

	"github.com/larderdb/larder/store"
)

// setters are the ways to store a string without the words of a command.
var setters = map[string]func(r *rig, key, value string, ttlMillis int64) error{
	"Session": func(r *rig, key, value string, ttlMillis int64) error {
		return r.NewSession(nil).SetString(key, []byte(value), ttlMillis)
	},
	"script": func(r *rig, key, value string, ttlMillis int64) error {
		sc := r.script("set", func(tx store.Tx, _, _ []string) store.Reply {
			return store.Fail(tx.(store.StringTx).SetString(key, []byte(value), ttlMillis)) //nolint:forcetypeassert // it is one here
		})
		return r.NewSession(nil).Run(sc, []string{key}, nil).Err()
	},
}

// TestSetStringOverExpired: the journal must remove what had expired before it sets what is new.
func TestSetStringOverExpired(t *testing.T) {
	for name, set := range setters {
		for _, ttl := range []int64{0, 500} {
			t.Run(name, func(t *testing.T) {
				a, b := newRig(t), newRig(t)
				var j recorder
				a.Engine.SetJournal(&j)
				a.main.do("SET k old PX 10")
				a.clock.Advance(time.Second)
				if err := set(a, "k", "new", ttl); err != nil {
					t.Fatal(err)
				}
				j.replay(t, b)
				if got, want := b.dump(), a.dump(); got != want {
					t.Errorf("the journal gives %s, want %s", got, want)
				}
			})
		}
	}
}

func TestSetStringRefusesEndlessTTL(t *testing.T) {
	for name, set := range setters {
		r := newRig(t)
		r.main.do("SET k old")
		if err := set(r, "k", "new", math.MaxInt64); err == nil || err.Error() != "ERR invalid expire time in 'set' command" {
			t.Errorf("%s: %v", name, err)
		}
		r.main.want("old", "GET k")
	}
}
