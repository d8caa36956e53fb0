package kvstore_test

import (
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// An error within an array is text that is not in base64. It is an error there, and harms nobody whose commands went along.
func TestErrorsWithinArrays(t *testing.T) {
	_, st := served(t, kvstore.Options{})
	replies := st.Pipe(t.Context(),
		store.Cmd{"SET", "a", "1"},
		store.Cmd{"EVAL", "return {1, redis.pcall('LPUSH', 'a', 'x'), 'two'}", "0"},
		store.Cmd{"GET", "a"})
	list, err := replies[1].Array()
	if err != nil || len(list) != 3 {
		t.Fatalf("%v %v", list, err)
	}
	if err := list[1].Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE ") {
		t.Error(err)
	}
	if two, err := list[2].Text(); two != "two" {
		t.Error(two, err)
	}
	if a, err := replies[2].Text(); a != "1" {
		t.Error(a, err)
	}
}

// Scripts and JSON nest arrays deeper than people do.
func TestDeepArrays(t *testing.T) {
	db, st := served(t, kvstore.Options{})
	const deep = "local t = {} for i = 1, 150 do t = {t} end return t"
	if err := db.Do(t.Context(), "EVAL", deep, "0").Err(); err != nil {
		t.Skip(err)
	}
	r := st.Do(t.Context(), "EVAL", deep, "0")
	for range 150 {
		list, err := r.Array()
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		r = list[0]
	}
	if list, err := r.Array(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}
