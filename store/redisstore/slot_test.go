package redisstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
)

func TestSlotOf(t *testing.T) {
	for key, want := range map[string]int{ // as CLUSTER KEYSLOT answers
		"": 0, "foo": 12182, "123456789": 12739, "{foo}bar": 12182, "x{foo}": 12182, "{foo": 13308, "foo{}bar": 14292, "{{foo}}": 13308, "a{foo}{bar}": 12182,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slot of %q: %d, want %d", key, got, want)
		}
	}
}

func TestScriptsWantOneSlot(t *testing.T) {
	script := &store.Script{Name: "test.two", Lua: `return 1`}
	for target, want := range map[store.Target]error{store.Cluster: store.ErrInvalid, store.Single: store.ErrUnavailable} {
		st, err := Open(store.Config{Target: target, Addrs: []string{"127.0.0.1:1"}, Retries: -1}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		err = st.Run(t.Context(), script, []string{"{a}1", "{a}2", "b"}).Err()
		if !errors.Is(err, want) || want == store.ErrInvalid && (!strings.Contains(err.Error(), "hash tag") || !strings.Contains(err.Error(), "test.two")) {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
	}
}
