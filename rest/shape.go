package rest

import (
	"errors"
	"strings"

	"github.com/larderdb/larder/store"
)

var errSame = store.ServerError("ERR source and destination objects are the same")

// asRESP2 gives the reply of a command the shape that it has in RESP2, which is what clients over HTTP know. Stores may answer as in
// RESP3. Maps, sets, booleans and doubles need no command's name and are dealt with as they are written; here are the
// commands whose arrays are nested otherwise.
func asRESP2(words []string, r store.Reply) store.Reply {
	switch r.Kind() {
	case store.KindArray, store.KindMap, store.KindSet, store.KindError:
	default:
		return r
	}
	list, err := r.Array()
	if err != nil && strings.EqualFold(words[0], "copy") && errors.Is(err, errSame) {
		return store.Int(0) // Upstash copied nothing; Redis complains
	}
	if err != nil {
		return r
	}
	if len(words[0]) > 5 && strings.EqualFold(words[0][:5], "JSON.") {
		return jsonInRESP2(words, r, list)
	}
	if len(list) == 0 {
		return r
	}
	switch strings.ToUpper(words[0]) {
	case "XREAD", "XREADGROUP":
		if r.Kind() == store.KindMap { // an array of pairs
			return inPairs(list)
		}
	case "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZUNION", "ZINTER", "ZDIFF", "ZRANDMEMBER", "ZPOPMIN", "ZPOPMAX", "HRANDFIELD":
		if flat, err := r.Pairs(); err == nil && list[0].Kind() == store.KindArray {
			return store.ArrayOf(flat...)
		}
	}
	return r
}

func inPairs(list []store.Reply) store.Reply {
	pairs := make([]store.Reply, len(list)/2)
	for i := range pairs {
		pairs[i] = store.ArrayOf(list[2*i], list[2*i+1])
	}
	return store.ArrayOf(pairs...)
}
