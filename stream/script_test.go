package stream_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
	"github.com/larderdb/larder/stream"
)

// TestBodiesAgree holds the Lua bodies on Redis against the Go bodies on the engine: entries that belong to this consumer,
// to others and to nobody, that were trimmed, that are not ours; strange arguments; keys of another type.
func TestBodiesAgree(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	for _, script := range stream.Scripts() {
		t.Run(script.Name, func(t *testing.T) {
			storetest.Scripts(t, fleet.NewClocked(t), lua, script, func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, script.Name)
			})
		})
	}
}

func randomCall(r *rand.Rand, prefix, script string) storetest.Call {
	key, dead := prefix+"s", prefix+"d"
	id := func() string { return strconv.Itoa(1+r.IntN(8)) + "-0" }
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	c := storetest.Call{Before: unrest(r, key, dead, id, pick)}
	group, me := pick("g", "g", "g", "h"), pick("a", "b")
	c.Keys = []string{key}
	switch script {
	case "stream.hold":
		c.Args = []string{group, me, pick("keep", "next", "give", "next"), pick("0", "600000")}
		for range r.IntN(4) {
			c.Args = append(c.Args, id())
		}
	case "stream.bury":
		c.Keys = []string{key, dead}
		c.Args = []string{group, me, id(), "3", "it does not work", "1000"}
	case "stream.replay":
		c.Keys = []string{dead, key}
		trim := [][]string{{"", ""}, {"MAXLEN", "1000"}, {"MINID", "0"}}[r.IntN(3)]
		c.Args = append([]string{"g"}, trim...)
		for range r.IntN(4) {
			c.Args = append(c.Args, id())
		}
	case "stream.leave":
		c.Args = []string{group, pick("a", "b", "nobody")}
	}
	switch r.IntN(40) {
	case 0:
		c.Args = c.Args[:r.IntN(len(c.Args))]
	case 1:
		c.Keys = c.Keys[:len(c.Keys)-1]
	case 2:
		c.Args[r.IntN(len(c.Args))] = pick("", "x", "-", "0-0", "99999999999999999999-1")
	}
	return c
}

// unrest is what happens to a stream before a call.
func unrest(r *rand.Rand, key, dead string, id func() string, pick func(...string) string) []store.Cmd {
	var all []store.Cmd
	for range 1 + r.IntN(4) {
		switch r.IntN(11) {
		case 0, 1, 2:
			all = append(all, store.Cmd{"XADD", key, id(), "data", pick("x", "y")}, store.Cmd{"XGROUP", "CREATE", key, "g", "0", "MKSTREAM"})
		case 3:
			all = append(all, store.Cmd{"XADD", key, id(), pick("group", "foreign"), "g", "data", "z"})
		case 4, 5:
			who := pick("a", "b") // created first: a read that finds nothing creates it only in later versions of Redis
			all = append(all, store.Cmd{"XGROUP", "CREATECONSUMER", key, "g", who}, store.Cmd{"XREADGROUP", "GROUP", "g", who, "COUNT", "3", "STREAMS", key, ">"})
		case 6:
			all = append(all, store.Cmd{"XACK", key, "g", id()})
		case 7:
			all = append(all, store.Cmd{"XDEL", key, id()})
		case 8:
			all = append(all, store.Cmd{"XADD", dead, id(), "id", id(), "reason", "r", "deliveries", "2", pick("group", "data"), "g", "data", "w"})
		case 9:
			all = append(all, store.Cmd{"XADD", dead, id(), "id", id(), "reason", "r", "deliveries", "2"})
		default:
			if r.IntN(4) == 0 {
				all = append(all, store.Cmd{"DEL", key, dead})
			}
			if r.IntN(8) == 0 {
				all = append(all, store.Cmd{"SET", pick(key, dead), "text"})
			}
		}
	}
	return all
}
