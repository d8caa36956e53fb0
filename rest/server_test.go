package rest_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

const (
	token    = "a-token"
	readOnly = "a-token-to-read"
)

// site is a handler over an embedded store, at an address.
type site struct {
	t   testing.TB
	db  *larder.DB
	h   *rest.Server
	url string
}

func newSite(t testing.TB, change ...func(o *rest.Options)) *site {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return siteOn(t, db, db, change...)
}

func siteOn(t testing.TB, db *larder.DB, st store.Store, change ...func(o *rest.Options)) *site {
	t.Helper()
	o := rest.Options{Token: token, ReadOnlyToken: readOnly}
	for _, c := range change {
		c(&o)
	}
	h, err := rest.Handler(st, o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = h.Close() })
	return &site{t, db, h, server.URL}
}

// request is sent with the token unless headers say otherwise; they are pairs.
func (s *site) request(method, path, body string, headers ...string) (status int, header http.Header, answer string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestProtocol(t *testing.T) {
	s := newSite(t)
	b64 := base64.StdEncoding.EncodeToString
	encoded := []string{"Upstash-Encoding", "base64"}
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		want               string
	}{
		{"GET", "/set/foo/bar", "", nil, 200, `{"result":"OK"}`},
		{"GET", "/get/foo", "", nil, 200, `{"result":"bar"}`},
		{"GET", "/get/foo/", "", nil, 200, `{"result":"bar"}`},
		{"PUT", "/get/foo", "", nil, 200, `{"result":"bar"}`},
		{"HEAD", "/get/foo", "", nil, 200, ``},
		{"DELETE", "/get/foo", "", nil, 405, `{"error":"ERR method not allowed"}`},
		{"GET", "/get/none", "", nil, 200, `{"result":null}`},
		{"POST", "/set/foo?EX=100", "a/b c\"\n", nil, 200, `{"result":"OK"}`},
		{"GET", "/get/foo", "", nil, 200, `{"result":"a/b c\"\n"}`},
		{"GET", "/ttl/foo", "", nil, 200, `{"result":100}`},
		{"GET", "/set/a%2Fb/c%20d?EX=100&_token=x&NX", "", nil, 200, `{"result":"OK"}`},
		{"POST", "/", `["GET","a/b"]`, nil, 200, `{"result":"c d"}`},
		{"POST", "/", ` [ "SET" , "n" , 1.5e+300 ] `, nil, 200, `{"result":"OK"}`},
		{"POST", "/", `["MGET","n","t"]`, nil, 200, `{"result":["1.5e+300",null]}`},
		{"POST", "/", `["SET","t",true]`, nil, 200, `{"result":"OK"}`},
		{"POST", "/", `["GET","t"]`, nil, 200, `{"result":"true"}`},
		{"POST", "/", `["SET","u","\u00e9\ud83d\ude00\n"]`, nil, 200, `{"result":"OK"}`},
		{"POST", "/", `["GET","u"]`, nil, 200, `{"result":"é😀\n"}`},
		{"POST", "/", `["GET","u"]`, encoded, 200, `{"result":"` + b64([]byte("é😀\n")) + `"}`},
		{"POST", "/", `["SET","u","x"]`, encoded, 200, `{"result":"OK"}`},
		{"POST", "/", `["PING"]`, encoded, 200, `{"result":"` + b64([]byte("PONG")) + `"}`},
		{"POST", "/", `["SET","raw","` + "\xff\xfe" + `"]`, nil, 200, `{"result":"OK"}`},
		{"POST", "/", `["GET","raw"]`, nil, 200, "{\"result\":\"\ufffd\ufffd\"}"},
		{"POST", "/", `["GET","raw"]`, encoded, 200, `{"result":"//4="}`},
		{"POST", "/", `["HSET","h","a","1"]`, nil, 200, `{"result":1}`},
		{"POST", "/", `["HGETALL","h"]`, nil, 200, `{"result":["a","1"]}`},
		{"POST", "/", `["ZADD","z",1.5,"m"]`, nil, 200, `{"result":1}`},
		{"POST", "/", `["ZSCORE","z","m"]`, nil, 200, `{"result":"1.5"}`},
		{"POST", "/", `["LPUSH","h","a"]`, nil, 400, `{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}`},
		{"POST", "/", `["LPUSH","h"]`, nil, 400, `{"error":"ERR wrong number of arguments for 'lpush' command"}`},
		{"POST", "/pipeline", `[["SET","p",1],["INCR","p"],["LPUSH","p","x"],["BLPOP","p",0]]`, nil, 200,
			`[{"result":"OK"},{"result":2},{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"},{"error":"ERR Command is not available over REST: 'BLPOP'"}]`},
		{"POST", "/pipeline", `[]`, nil, 200, `[]`},
		{"POST", "/pipeline", `[["GET","p"]]`, encoded, 200, `[{"result":"Mg=="}]`},
		{"POST", "/multi-exec", `[["SET","p",1],["LPUSH","p","x"],["INCR","p"],["PING"]]`, encoded, 200,
			`[{"result":"OK"},{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"},{"result":2},{"result":"UE9ORw=="}]`},
		{"POST", "/multi-exec", `[["SET","p",7],["SETT"]]`, nil, 400, `{"error":"EXECABORT Transaction discarded because of previous errors."}`},
		{"POST", "/", `["GET","p"]`, nil, 200, `{"result":"2"}`},
		{"POST", "/", `["GET","p"]`, []string{"Upstash-Response-Format", "resp2"}, 200, "$1\r\n2\r\n"},
		{"POST", "/", `["LPUSH","p","x"]`, []string{"Upstash-Response-Format", "resp2"}, 400, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"POST", "/pipeline", `[["MGET","p","none"],["HGETALL","h"],["PING"]]`, []string{"Upstash-Response-Format", "resp2"}, 200,
			"*2\r\n$1\r\n2\r\n$-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n+PONG\r\n"},
		{"POST", "/", `["GET","p"]`, []string{"Upstash-Response-Format", "resp2", "Upstash-Encoding", "base64"}, 400,
			`{"error":"ERR Upstash-Response-Format resp2 cannot be combined with base64"}`},
		{"POST", "/multi-exec", `[["GET","p"]]`, []string{"Upstash-Response-Format", "resp2"}, 400, `{"error":"ERR Upstash-Response-Format resp2 is not for /multi-exec"}`},
		{"GET", "/get/p", "", []string{"Authorization", ""}, 401, `{"error":"WRONGPASS invalid or missing auth token"}`},
		{"GET", "/get/p", "", []string{"Authorization", "Bearer " + token + "x"}, 401, `{"error":"WRONGPASS invalid or missing auth token"}`},
		{"GET", "/get/p?_token=" + token, "", []string{"Authorization", ""}, 200, `{"result":"2"}`},
		{"GET", "/get/p", "", []string{"Authorization", "bearer " + readOnly}, 200, `{"result":"2"}`},
		{"POST", "/", `["EVAL","return redis.call('GET',KEYS[1])",1,"p"]`, []string{"Authorization", "Bearer " + readOnly}, 400,
			`{"error":"NOPERM this user has no permissions to run the 'eval' command or its subcommand"}`},
		{"POST", "/", `["EVAL_RO","return redis.call('GET',KEYS[1])",1,"p"]`, nil, 200, `{"result":"2"}`},
		{"POST", "/", `["EVAL_RO","return redis.call('KEYS','*')",0]`, []string{"Authorization", "Bearer " + readOnly}, 400,
			`{"error":"NOPERM this user has no permissions to run the 'eval_ro' command or its subcommand"}`},
		{"POST", "/", `["EvalSHA_RO","0",0]`, []string{"Authorization", "Bearer " + readOnly}, 400,
			`{"error":"NOPERM this user has no permissions to run the 'evalsha_ro' command or its subcommand"}`},
		{"POST", "/", `["FCALL_RO","f",0]`, []string{"Authorization", "Bearer " + readOnly}, 400,
			`{"error":"NOPERM this user has no permissions to run the 'fcall_ro' command or its subcommand"}`},
		{"GET", "/set/p/3", "", []string{"Authorization", "Bearer " + readOnly}, 400, `{"error":"NOPERM this user has no permissions to run the 'set' command or its subcommand"}`},
		{"GET", "/scan/0", "", []string{"Authorization", "Bearer " + readOnly}, 400, `{"error":"NOPERM this user has no permissions to run the 'scan' command or its subcommand"}`},
		{"GET", "/object/encoding/p", "", []string{"Authorization", "Bearer " + readOnly}, 200, `{"result":"int"}`},
		{"GET", "/config/set/maxclients/10", "", []string{"Authorization", "Bearer " + readOnly}, 400, `{"error":"NOPERM this user has no permissions to run the 'config' command or its subcommand"}`},
		{"POST", "/pipeline", `[["GET","p"],["DEL","p"]]`, []string{"Authorization", "Bearer " + readOnly}, 200,
			`[{"result":"2"},{"error":"NOPERM this user has no permissions to run the 'del' command or its subcommand"}]`},
		{"POST", "/", `["CLIENT","SETINFO","LIB-NAME","x"]`, nil, 200, `{"result":"OK"}`},
		{"GET", "/select/1", "", nil, 400, `{"error":"ERR Command is not available over REST: 'SELECT'"}`},
		{"GET", "/shutdown", "", nil, 400, `{"error":"ERR Command is not available over REST: 'SHUTDOWN'"}`},
		{"POST", "/", `["XREAD","BLOCK","0","STREAMS","s","$"]`, nil, 400, `{"error":"ERR Command is not available over REST: 'XREAD'"}`},
		{"POST", "/", `["XREAD","STREAMS","block","0"]`, nil, 200, `{"result":null}`},
		{"POST", "/", `["XREADGROUP","GROUP","block","block","STREAMS","s",">"]`, nil, 400,
			`{"error":"NOGROUP No such key 's' or consumer group 'block' in XREADGROUP with GROUP option"}`},
		{"GET", "/nosuch", "", nil, 400, `{"error":"ERR unknown command 'nosuch', with args beginning with: "}`},
		{"GET", "/", "", nil, 400, `{"error":"ERR failed to parse the request: no array of a command's name and arguments at byte 0"}`},
		{"POST", "/", `[]`, nil, 400, `{"error":"ERR empty command"}`},
		{"POST", "/", `["GET",null]`, nil, 400, `{"error":"ERR failed to parse the request: an argument that is neither a string, a number nor a boolean at byte 7"}`},
		{"POST", "/", `["GET","p"]]`, nil, 400, `{"error":"ERR failed to parse the request: something after the end at byte 11"}`},
	} {
		status, header, got := s.request(c.method, c.path, c.body, c.headers...)
		if status != c.status || got != c.want {
			t.Errorf("%s %s %s: %d %s\nwant %d %s", c.method, c.path, c.body, status, got, c.status, c.want)
		}
		if header.Get("Upstash-Sync-Token") == "" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %v", c.method, c.path, header)
		}
	}
}
