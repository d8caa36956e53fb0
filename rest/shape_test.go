package rest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Whatever protocol the Store speaks, replies have the shape of RESP2: what a connection to the same data gets that never said
// HELLO 3, byte for byte.
func TestRepliesHaveTheShapeOfRESP2(t *testing.T) {
	s, direct := newSite(t), newSite(t) // both are asked everything, once
	conn, err := direct.db.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	raw := func(words []string) string {
		const end = "$12\r\nthat was all\r\n"
		text := fmt.Sprintf("*%d\r\n", len(words))
		for _, w := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
		if _, err := conn.Write([]byte(text + "PING 'that was all'\r\n")); err != nil {
			t.Fatal(err)
		}
		var reply strings.Builder
		for !strings.HasSuffix(reply.String(), end) {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			reply.WriteString(line)
		}
		return strings.TrimSuffix(reply.String(), end)
	}
	for _, line := range []string{
		"ZADD z 1 a 2.5 b 1791875708058440 c 1e300 d -inf e", "SADD s x", "HSET h f v", "XADD x 1-1 f v", "XADD y 1-1 f v g w", "GEOADD g 13.361389 38.115556 p",
		"XGROUP CREATE x group 0", "XREADGROUP GROUP group c COUNT 1 STREAMS x >", "LPUSH l a b c", "SET str abc", "FUNCTION FLUSH",
	} {
		raw(strings.Fields(line))
		s.request("POST", "/", jsonArray(strings.Fields(line)))
	}
	for _, line := range []string{
		"ZRANGE z 0 -1 WITHSCORES", "ZRANGE z 0 -1", "ZREVRANGE z 0 -1 WITHSCORES", "ZRANGEBYSCORE z -inf inf WITHSCORES", "zrevrangebyscore z inf -inf WITHSCORES LIMIT 0 2",
		"ZUNION 1 z WITHSCORES", "ZINTER 2 z z WITHSCORES", "ZDIFF 2 z none WITHSCORES", "ZRANDMEMBER g 1 WITHSCORES", "ZRANDMEMBER g 1", "ZRANDMEMBER none 1 WITHSCORES",
		"ZRANK z c WITHSCORE", "ZSCORE z c", "ZMSCORE z a none d", "ZINCRBY z 1e16 a", "ZADD z INCR 0.1 b", "ZSCAN z 0",
		"HRANDFIELD h 1 WITHVALUES", "HRANDFIELD h 1", "HRANDFIELD none 5 WITHVALUES", "HGETALL h", "HGETALL none", "HSCAN h 0",
		"XREAD STREAMS x y 0 0", "XREAD STREAMS none 0", "xread COUNT 1 STREAMS y 0", "XREADGROUP GROUP group c STREAMS x 0", "XREADGROUP GROUP group c STREAMS x >", "XRANGE y - +",
		"XINFO STREAM y", "XINFO STREAM y FULL", "XINFO GROUPS x", "XPENDING x group",
		"SMEMBERS s", "SINTER s s", "SPOP s 0", "GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 200 km ASC WITHDIST WITHHASH", "GEODIST g p p", "GEOPOS g none",
		"LCS str str IDX WITHMATCHLEN", "CONFIG GET maxmemory", "COMMAND INFO get", "COMMAND DOCS get", "FUNCTION STATS", "FUNCTION LIST", "ACL GETUSER default",
		"LMPOP 1 l LEFT COUNT 2", "LPOP l 1", "LPOS l none COUNT 1", "LPOS none x", "EVAL return{1,2.9,'x',{ok='fine'},false,{{}}} 0",
		"EVAL redis.setresp(3)return{double=2.5} 0", "EVAL redis.setresp(3)return{map={a=1}} 0", "PFCOUNT none", "TYPE none", "OBJECT FREQ none",
		"JSON.SET j $ {\"a\":1,\"b\":[2.5,\"x\"],\"c\":1e300}", "JSON.TYPE j", "JSON.TYPE j $", "JSON.TYPE j $..*", "JSON.TYPE j .a", "JSON.TYPE j .none", "JSON.TYPE none $", "JSON.TYPE none",
		"JSON.NUMINCRBY j $.a 2", "JSON.NUMINCRBY j .a 2", "JSON.NUMINCRBY j $..* 0.5", "JSON.NUMMULTBY j ..* 2", "JSON.NUMMULTBY j $.none 2", "JSON.RESP j $", "JSON.GET j $.b .a",
		"JSON.OBJKEYS j", "JSON.ARRPOP j $.b", "JSON.TOGGLE j $.a", "JSON.MGET j none $.a",
		"ZMPOP 2 none z MIN COUNT 2", "ZPOPMIN z", "ZPOPMAX z 1", "ZPOPMIN z 5", "ZPOPMIN z 5", "MGET str none",
	} {
		words := strings.Fields(line)
		want := strings.ReplaceAll(raw(words), "*-1\r\n", "$-1\r\n") // JSON has one null
		_, _, got := s.request("POST", "/", jsonArray(words), "Upstash-Response-Format", "resp2")
		if got != want {
			t.Errorf("%s:\n%q, over a connection\n%q", line, got, want)
		}
	}
}

func jsonArray(words []string) string {
	b, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestScanWithTypes(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ path, body, want string }{
		{"/", `["SCAN",0,"WITHTYPE"]`, `{"result":["0",[]]}`},
		{"/pipeline", `[["SET","withtype","v"],["SCAN",0,"MATCH","withtype"],["scan","0","match","withtype","withtype"],["SCAN","0","TYPE","hash","WITHTYPE"]]`,
			`[{"result":"OK"},{"result":["0",["withtype"]]},{"result":["0",["withtype","string"]]},{"result":["0",[]]}]`},
		{"/multi-exec", `[["DEL","withtype"],["ZADD","z",1,"m"],["SCAN","0","COUNT",10,"WITHTYPE"]]`, `[{"result":1},{"result":1},{"result":["0",["z","zset"]]}]`},
		{"/", `["SCAN","0","WITHTYPE","x"]`, `{"error":"ERR syntax error"}`},
		{"/", `["SCAN","x","WITHTYPE"]`, `{"error":"ERR invalid cursor"}`},
		{"/", `["COPY","z","z"]`, `{"result":0}`},
	} {
		if _, _, got := s.request("POST", c.path, c.body); got != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
	if _, _, got := s.request("POST", "/", `["SCAN",0,"WITHTYPE"]`, "Authorization", "Bearer "+readOnly); !strings.Contains(got, "NOPERM") {
		t.Errorf("the read-only token may scan: %s", got)
	}
}
