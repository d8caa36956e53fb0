package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
)

// The handler is a proxy in front of every kind of server.
func TestProxy(t *testing.T) {
	fleet.Together(t, func(t *testing.T, f *fleet.Store) {
		if strings.HasPrefix(string(f.Kind), "rest") {
			t.Skip("it is one itself")
		}
		st := f.Open(t)
		s := siteOn(t, nil, st)
		encoded := []string{"Upstash-Encoding", "base64"}
		reader := []string{"Authorization", "Bearer " + readOnly}
		for _, c := range []struct {
			path, body string
			headers    []string
			status     int
			want       string
		}{
			{"/set/{p}a/1/ex/1000", "", nil, 200, `{"result":"OK"}`},
			{"/", `["GET","{p}a"]`, encoded, 200, `{"result":"MQ=="}`},
			{"/", `["HSET","{p}h","f","v"]`, nil, 200, `{"result":1}`},
			{"/", `["HGETALL","{p}h"]`, nil, 200, `{"result":["f","v"]}`},
			{"/", `["ZADD","{p}z",1.5,"a",2,"b"]`, nil, 200, `{"result":2}`},
			{"/", `["ZRANGE","{p}z",0,-1,"WITHSCORES"]`, nil, 200, `{"result":["a","1.5","b","2"]}`},
			{"/", `["SISMEMBER","{p}s","x"]`, nil, 200, `{"result":0}`},
			{"/", `["EVAL","return {KEYS[1],redis.call('GET',KEYS[1]),false,1.5}",1,"{p}a"]`, nil, 200, `{"result":["{p}a","1",null,1]}`},
			{"/", `["LPUSH","{p}a","x"]`, nil, 400, `{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}`},
			{"/", `["NOSUCH","{p}a"]`, nil, 400, `{"error":"ERR unknown command 'NOSUCH', with args beginning with: '{p}a' "}`},
			{"/pipeline", `[["INCR","{p}a"],["GET","{p}none"],["LPUSH","{p}a","x"]]`, nil, 200,
				`[{"result":2},{"result":null},{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}]`},
			{"/multi-exec", `[["SET","{p}a","5"],["INCR","{p}a"],["LPUSH","{p}a","x"],["HGETALL","{p}h"]]`, encoded, 200,
				`[{"result":"OK"},{"result":6},{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"},{"result":["Zg==","dg=="]}]`},
			{"/multi-exec", `[["SET","{p}a","9"],["GET"]]`, nil, 400, `{"error":"EXECABORT Transaction discarded because of previous errors."}`},
			{"/get/{p}a", "", reader, 200, `{"result":"6"}`},
			{"/", `["SET","{p}a","7"]`, reader, 400, `{"error":"NOPERM this user has no permissions to run the 'set' command or its subcommand"}`},
			{"/multi-exec", `[["GET","{p}a"],["SET","{p}a","7"]]`, reader, 400,
				`{"error":"EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'set' command or its subcommand"}`},
			{"/", `["SCRIPT","DEBUG","YES"]`, nil, 400, `{"error":"ERR Command is not available over REST: 'SCRIPT'"}`},
			{"/", `["BLPOP","{p}l",0]`, nil, 400, `{"error":"ERR Command is not available over REST: 'BLPOP'"}`},
		} {
			if status, _, got := s.request("POST", c.path, c.body, c.headers...); status != c.status || got != c.want {
				t.Errorf("%s %s: %d %s\nwant %d %s", c.path, c.body, status, got, c.status, c.want)
			}
		}
		if f.Kind == fleet.Cluster {
			status, _, got := s.request("POST", "/multi-exec", `[["SET","a","9"],["SET","b","9"]]`)
			if status != 400 || got != `{"error":"CROSSSLOT Keys in request don't hash to the same slot"}` {
				t.Errorf("two slots: %d %s", status, got)
			}
		}
		sub, all := s.listen("/subscribe/p:a"), s.listen("/psubscribe/p:*")
		sub.want("data: subscribe,p:a,1")
		all.want("data: psubscribe,p:*,1")
		s.request("POST", "/publish/p:a/hello", "")
		sub.want("data: message,p:a,hello")
		all.want("data: pmessage,p:*,p:a,hello")
		mon := s.listen("/monitor")
		mon.want(`data: "OK"`)
		s.request("POST", "/", fmt.Sprintf(`["SET","{p}mon",%q]`, f.Kind))
		for mon.r.Scan() {
			if strings.Contains(mon.r.Text(), fmt.Sprintf(`] "SET" "{p}mon" %q`, f.Kind)) {
				return
			}
		}
		t.Error("the end of the monitor: ", mon.r.Err())
	})
}
