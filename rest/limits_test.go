package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func TestSyncToken(t *testing.T) {
	s := newSite(t)
	last := ""
	for _, c := range []struct {
		path, body string
		changes    bool
	}{
		{"/", `["SET","a","1"]`, true}, {"/", `["GET","a"]`, false}, {"/get/a", "", false}, {"/pipeline", `[["GET","a"]]`, false},
		{"/pipeline", `[["GET","a"],["INCR","a"]]`, true}, {"/multi-exec", `[["INCR","a"]]`, true}, {"/multi-exec", `[["GET","a"]]`, false},
		{"/", `["EVAL","return redis.call('INCR',KEYS[1])",1,"a"]`, true}, {"/set/a/b", "", true},
	} {
		_, h, _ := s.request("POST", c.path, c.body)
		now := h.Get("Upstash-Sync-Token")
		if (now != last) != c.changes {
			t.Errorf("%s %s: %q, then %q", c.path, c.body, last, now)
		}
		last = now
	}
}

func TestLimits(t *testing.T) {
	s := newSite(t, func(o *rest.Options) { o.MaxRequest, o.MaxPipeline = 1000, 3 })
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/set/a", strings.Repeat("x", 1000), 200, "OK"},
		{"/set/a", strings.Repeat("x", 1001), 413, "ERR max request size exceeded"},
		{"/pipeline", `[["PING"],["PING"],["PING"]]`, 200, "PONG"},
		{"/pipeline", `[["PING"],["PING"],["PING"],["PING"]]`, 400, "more than 3 commands"},
		{"/multi-exec", `[["PING"],["PING"],["PING"],["PING"]]`, 400, "more than 3 commands"},
	} {
		if status, _, answer := s.request("POST", c.path, c.body); status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %.20s: %d %s", c.path, c.body, status, answer)
		}
	}
	body := struct{ *strings.Reader }{strings.NewReader(strings.Repeat("x", 1001))} // of no known length
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/set/b", body)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Error(resp.Status)
	}
	if n, _ := s.db.Do(t.Context(), "STRLEN", "a").Int64(); n != 1000 {
		t.Errorf("a refused request left %d bytes", n)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	st := storetest.NewMemory()
	for i, o := range []rest.Options{
		{}, {Token: "a", ReadOnlyToken: "a"}, {Token: "a", Users: map[string]store.Store{"a": st}}, {Token: "a", Users: map[string]store.Store{"": st}},
		{Token: "a", Users: map[string]store.Store{"b": nil}}, {Token: "a", MaxRequest: -1}, {Token: "a", Origins: []string{"example.com"}},
		{Token: "a", Origins: []string{"https://example.com/"}}, {Token: "a", Origins: []string{"https://*.example.com"}}, {Token: "a", Origins: []string{"https://Example.com"}},
	} {
		if _, err := rest.Handler(st, o); err == nil || !strings.Contains(err.Error(), "rest: invalid argument") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Each token has the Store that it stands for.
func TestUsers(t *testing.T) {
	other := fleet.NewClocked(t)
	s := newSite(t, func(o *rest.Options) { o.Users = map[string]store.Store{"others": other} })
	s.request("GET", "/set/a/mine", "")
	s.request("GET", "/set/a/theirs", "", "Authorization", "Bearer others")
	_, _, mine := s.request("GET", "/get/a", "")
	_, _, theirs := s.request("GET", "/get/a", "", "Authorization", "Bearer others")
	if mine != `{"result":"mine"}` || theirs != `{"result":"theirs"}` {
		t.Error(mine, theirs)
	}
}

func TestCORS(t *testing.T) {
	s := newSite(t, func(o *rest.Options) { o.Origins = []string{"https://app.example.com"} })
	const headers = "authorization,cache-control,upstash-encoding,upstash-telemetry-retry" // of a subscription, or of a second attempt
	preflight := []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers, "Authorization", ""}
	status, h, _ := s.request("OPTIONS", "/pipeline", "", preflight...)
	if status != 204 || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || h.Get("Access-Control-Allow-Headers") != headers {
		t.Error(status, h)
	}
	status, h, _ = s.request("GET", "/ping", "", "Origin", "https://app.example.com")
	if status != 200 || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || h.Get("Vary") != "Origin" {
		t.Error(status, h)
	}
	if _, h, _ = s.request("GET", "/ping", "", "Origin", "https://evil.example.com"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error(h)
	}
	closed := newSite(t)
	if status, h, _ = closed.request("OPTIONS", "/", "", preflight...); status != 405 || h.Get("Access-Control-Allow-Origin") != "" {
		t.Error(status, h)
	}
}

// oldServer flags commands as Redis 6 does: none as blocking.
type oldServer struct{ store.Store }

func (o oldServer) Do(ctx context.Context, words ...string) store.Reply {
	if words[0] == "COMMAND" {
		return store.ArrayOf(store.ArrayOf(store.Bulk(words[2]), store.Int(-2), store.ArrayOf(store.Status("write"), store.Status("noscript"))))
	}
	if store.TraitsOf(words).Blocks {
		return store.Fail(store.ServerError("ERR it came through and would wait"))
	}
	return o.Store.Do(ctx, words...)
}

// Commands that block are refused whatever the store's server says of them.
func TestCommandsThatBlockUnflagged(t *testing.T) {
	s := siteOn(t, nil, oldServer{fleet.NewClocked(t)})
	for _, body := range []string{`["WAIT",1,0]`, `["WaitAOF",1,0,0]`, `["BLPOP","a",0]`, `["BRPOPLPUSH","a","b",0]`, `["BZMPOP",0,1,"a","MIN"]`,
		`["XREAD","BLOCK",0,"STREAMS","a","0"]`, `["XREADGROUP","GROUP","g","c","BLOCK",0,"STREAMS","a",">"]`} {
		if status, _, got := s.request("POST", "/", body); status != 400 || !strings.Contains(got, "not available over REST") {
			t.Errorf("%s: %d %s", body, status, got)
		}
	}
	if status, _, got := s.request("POST", "/", `["XREAD","STREAMS","a","0"]`); status != 200 || got != `{"result":null}` {
		t.Errorf("%d %s", status, got)
	}
}

// A store that gives no answer is not the client's fault.
func TestStoreDown(t *testing.T) {
	faulty := storetest.NewFaulty(storetest.NewMemory())
	s := siteOn(t, nil, faulty)
	faulty.Fail(1000)
	if status, _, answer := s.request("GET", "/get/a", ""); status != 503 {
		t.Error(status, answer)
	}
	faulty.Heal()
	if status, _, answer := s.request("POST", "/multi-exec", `[["GET","a"]]`); status != 501 {
		t.Error(status, answer)
	}
}

// FuzzRequest holds the reader of requests against encoding/json: what it takes is JSON, and has the same words.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{`["SET","a",1.50,true,"\u00e9\n"]`, `[]`, `["a" , -0.5e+3]`, `["\ud800"]`, `["a",]`, `[["a"],["b"]]`, `[]]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := rest.ParseCommand(text)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		var want []any
		if err := d.Decode(&want); err != nil || len(want) != len(words) {
			t.Fatalf("%q: %q; JSON says %v, %v", text, words, want, err)
		}
		for i, w := range words {
			switch v := want[i].(type) {
			case string:
				if v != w && strings.ToValidUTF8(v, "\ufffd") != strings.ToValidUTF8(w, "\ufffd") && !strings.Contains(v, "\ufffd") {
					t.Errorf("%q: word %d is %q, JSON says %q", text, i, w, v)
				}
			case json.Number:
				if v.String() != w {
					t.Errorf("%q: word %d is %q, JSON says %s", text, i, w, v)
				}
			case bool:
				if strconv.FormatBool(v) != w {
					t.Errorf("%q: word %d is %q, JSON says %v", text, i, w, v)
				}
			default:
				t.Errorf("%q: word %d is %q, JSON says %v", text, i, w, v)
			}
		}
	})
}

// FuzzText: whatever a string holds, its JSON is valid, and reads back as what is left after U+FFFD for what is no UTF-8.
func FuzzText(f *testing.F) {
	f.Add("a\"\\\n\x00\x7f\u2028\xff\xed\xa0\x80é😀")
	f.Fuzz(func(t *testing.T, text string) {
		var back string
		if err := json.Unmarshal(rest.AppendText(nil, text), &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var want []rune
		for _, r := range text {
			want = append(want, r)
		}
		if back != string(want) {
			t.Errorf("%q became %q", text, back)
		}
	})
}

// FuzzPath: whatever a path and a query hold, what is taken as words comes back from their escaped path.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/set/foo/bar?EX=100&_token=x", "/get/a%2Fb%00%ff/", "/a//b?&&=&x=%20+%", "/%", "//host/x", "/a;b?c;d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil || strings.Trim(u.EscapedPath(), "/") == "" {
			return
		}
		words, err := rest.PathWords(u, "")
		if err != nil {
			return
		}
		var path strings.Builder
		for _, w := range words {
			path.WriteString("/" + url.PathEscape(w))
		}
		again, err := url.ParseRequestURI(path.String() + "/") // the last slash is none of a word's
		if err != nil {
			t.Fatalf("%q: %q: %v", uri, words, err)
		}
		if back, err := rest.PathWords(again, ""); err != nil || !slices.Equal(back, words) {
			t.Errorf("%q: %q, and again %q, %v", uri, words, back, err)
		}
	})
}
