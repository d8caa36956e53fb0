package rest_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store/storetest"
)

// raw sends bytes as they are and returns all that comes back before the server closes.
func (s *site) raw(text string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(got)
}

func TestHostileRequests(t *testing.T) {
	s := newSite(t)
	s.request("POST", "/set/k", "v")
	s.request("POST", "/set/a%2Fb%00%FF", "w")
	const auth = "Host: x\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n"
	for _, c := range []struct{ name, request, status, want string }{
		{"escapes", "GET /get/a%2fb%00%ff HTTP/1.1\r\n" + auth + "\r\n", "200", `{"result":"w"}`},
		{"dots", "GET /get/../k HTTP/1.1\r\n" + auth + "\r\n", "400", `wrong number of arguments`},
		{"half an escape", "GET /get/%2 HTTP/1.1\r\n" + auth + "\r\n", "400", ``},
		{"no path", "GET ?x HTTP/1.1\r\n" + auth + "\r\n", "400", ``},
		{"a star", "POST * HTTP/1.1\r\n" + auth + "\r\n", "400", ``},
		{"two tokens", "GET /get/k HTTP/1.1\r\n" + auth + "Authorization: Bearer x\r\n\r\n", "401", `WRONGPASS`},
		{"header before query", "GET /get/k?_token=" + token + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer x\r\n\r\n", "401", `WRONGPASS`},
		{"two tokens in the query", "GET /get/k?_token=x&_token=" + token + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "401", `WRONGPASS`},
		{"query escaped", "GET /get/k?%5Ftoken=" + token + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200", `{"result":"v"}`},
		{"gzip", "POST /set/z HTTP/1.1\r\n" + auth + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "415", `Content-Encoding`},
		{"chunks", "POST / HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n5\r\n[\"GET\r\n5\r\n\",\"k\"\r\n1\r\n]\r\n0\r\n\r\n", "200", `{"result":"v"}`},
		{"a broken chunk", "POST / HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\nzz\r\n[]", "400", `{"error":"ERR `},
		{"two lengths", "POST / HTTP/1.1\r\n" + auth + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400", ``},
		{"expect", "POST / HTTP/1.1\r\n" + auth + "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n[\"GET\",\"k\"]", "100", `{"result":"v"}`},
		{"expect too much", "POST / HTTP/1.1\r\n" + auth + "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", "413", `ERR max request size exceeded`},
		{"expect something else", "POST / HTTP/1.1\r\n" + auth + "Expect: magic\r\nContent-Length: 1\r\n\r\nx", "417", ``},
		{"HTTP/1.0", "GET /get/k HTTP/1.0\r\n" + auth + "\r\n", "200", `{"result":"v"}`},
		{"HEAD", "HEAD /get/k HTTP/1.1\r\n" + auth + "\r\n", "200", "Content-Length: 14\r\n"},
		{"HEAD of events", "HEAD /subscribe/a HTTP/1.1\r\n" + auth + "\r\n", "200", "text/event-stream"},
		{"method", "DELETE /get/k HTTP/1.1\r\n" + auth + "\r\n", "405", "Allow: HEAD, GET, POST, PUT"},
		{"nested", "POST / HTTP/1.1\r\n" + auth + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("[", 1_000_000), "400", `neither a string`},
		{"line in a name", "GET /get%0D%0AX-Evil:%201/k HTTP/1.1\r\n" + auth + "\r\n", "400", `{"error":"ERR unknown command 'get\r\nX-Evil: 1', with args beginning with: 'k' "}`},
		{"line in a name, resp2", "GET /get%0D%0AX-Evil:%201/k HTTP/1.1\r\n" + auth + "Upstash-Response-Format: resp2\r\n\r\n", "400", "\r\n\r\n-ERR unknown command 'get  X-Evil: 1', with args beginning with: 'k' \r\n"},
		{"origin", "GET /get/k HTTP/1.1\r\n" + auth + "Origin: https://evil.example.com\r\n\r\n", "200", `{"result":"v"}`},
	} {
		got := s.raw(c.request)
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.status) && !strings.HasPrefix(got, "HTTP/1.0 "+c.status) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %.500q", c.name, got)
		}
		if strings.Contains(got, "\r\nX-Evil") || strings.Contains(got, "Access-Control") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if n, _ := s.db.Do(t.Context(), "EXISTS", "z").Int64(); n != 0 {
		t.Error("a refused body was stored")
	}
	fleet.Eventually(t, "all to go", func() bool { return s.h.Stats().Subscribers == 0 })
}

// A command has at most as many words as in Redis, and a pipeline no more replies than there is room for.
func TestHugeRequests(t *testing.T) {
	s := newSite(t, func(o *rest.Options) { o.MaxResponse = 1 << 20 })
	status, _, got := s.request("POST", "/", `["DEL"`+strings.Repeat(`,"a"`, 1<<20)+`]`)
	if status != 400 || !strings.Contains(got, "more than 1048576 words") {
		t.Errorf("%d %.200s", status, got)
	}
	s.request("POST", "/set/big", strings.Repeat("x", 64<<10))
	s.request("POST", "/set/n", "0")
	status, _, got = s.request("POST", "/pipeline", "["+strings.Repeat(`["GET","big"],["INCR","n"],`, 5000)+`["PING"]]`)
	if status != 200 || !strings.HasSuffix(got, `{"error":"ERR max response size exceeded"}]`) || len(got) > 2<<20 {
		t.Errorf("%d, %d bytes", status, len(got))
	}
	if n, _ := s.db.Do(t.Context(), "GET", "n").Int64(); n != 15 {
		t.Errorf("%d of 5,000 ran: want those until a megabyte was there", n)
	}
	if answers := strings.Count(got, `{"result":`) + strings.Count(got, `{"error":`); answers != 10_001 {
		t.Errorf("%d answers", answers)
	}
}

// Who is slow to send a body is not waited for; what comes on the same connection before is answered, and a body's deadline does
// not end what lasts longer than that.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.NewMemory() // an embedded store works by the clock of the machine
		defer db.Close()
		h, err := rest.Handler(db, rest.Options{Token: token, BodyTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		l := newPipes()
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(l) }() // until Close
		defer server.Close()
		var conn net.Conn
		var r *bufio.Reader
		send := func(text string) {
			t.Helper()
			var err error
			if conn, err = l.dial(); err != nil {
				t.Fatal(err)
			}
			r = bufio.NewReader(conn)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
		}
		const head = "Host: x\r\nAuthorization: Bearer " + token + "\r\nContent-Length: "
		for text, status := range map[string]int{
			"POST /set/a HTTP/1.1\r\n" + head + "2\r\n\r\nx":                                          408,
			"POST /set/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx":                           401,
			"DELETE /set/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":                 405,
			"POST /set/a HTTP/1.1\r\n" + head + "2\r\nContent-Encoding: gzip\r\n\r\nx":                415,
			"POST /pipeline HTTP/1.1\r\n" + head + "2\r\nUpstash-Response-Format: resp2\r\n\r\n[":     408,
			"POST /set/a HTTP/1.1\r\n" + head + "99\r\nExpect: 100-continue\r\n\r\n":                  100,
			"POST /subscribe/a HTTP/1.1\r\n" + head + "2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[": 408,
		} {
			began := time.Now()
			send(text)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != status {
				t.Errorf("%q: %v %v", text, resp, err)
			}
			if _, err := io.ReadAll(r); err != nil || time.Since(began) != time.Minute {
				t.Errorf("%q: %v after %v", text, err, time.Since(began))
			}
			_ = conn.Close()
		}
		began := time.Now()
		if n, _ := db.Do(t.Context(), "EXISTS", "a").Int64(); n != 0 {
			t.Error("half a body was stored")
		}
		send("POST /subscribe/a HTTP/1.1\r\n" + head + "2\r\n\r\n[]")
		defer conn.Close()
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		lines := bufio.NewScanner(resp.Body)
		alive := 0
		for time.Since(began) < 10*time.Minute && lines.Scan() {
			if lines.Text() == ":" {
				alive++
			}
		}
		if alive < 20 {
			t.Errorf("%d signs of life, %v", alive, lines.Err())
		}
	})
}

// Subscribers over HTTP/2 that end in every way at the same time.
func TestSubscribersOverHTTP2(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newSite(t, func(o *rest.Options) { o.Backlog = 2 })
	server := httptest.NewUnstartedServer(s.h)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
			defer client.CloseIdleConnections()
			for n := range 10 {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+fmt.Sprintf("/subscribe/a/%d", g), http.NoBody)
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(req)
				if err != nil { // cut off before it began
					if !strings.Contains(err.Error(), "stream error") {
						t.Error(err)
					}
					continue
				}
				if resp.ProtoMajor != 2 {
					t.Error(resp.Proto)
				}
				for range 10 {
					s.db.Do(t.Context(), "PUBLISH", "a", strings.Repeat("x", 10_000))
				}
				if n%2 == 0 {
					_, _ = io.CopyN(io.Discard, resp.Body, 20_000) // until it is cut off
				}
				_ = resp.Body.Close()
			}
		})
	}
	wait.Wait()
	fleet.Eventually(t, "all to go", func() bool { return s.h.Stats().Subscribers == 0 })
	if s.h.Stats().Slow == 0 {
		t.Error("nobody was slow")
	}
}

// While a script runs and runs, everybody is told so, and the script can be killed.
func TestBusyStore(t *testing.T) {
	db, err := larder.Open(larder.Options{Settings: map[string]string{"busy-reply-threshold": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := siteOn(t, db, db.Served())
	ended := make(chan string, 1)
	go func() {
		_, _, got := s.request("POST", "/", `["EVAL_RO","while true do end",0]`)
		ended <- got
	}()
	const busy = `{"error":"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."}`
	fleet.Eventually(t, "the store to be busy", func() bool {
		_, _, got := s.request("POST", "/", `["GET","a"]`)
		return got == busy
	})
	for _, auth := range []string{readOnly, token} {
		if status, _, got := s.request("POST", "/", `["STRLEN","a"]`, "Authorization", "Bearer "+auth); status != 400 || got != busy {
			t.Errorf("%d %s", status, got)
		}
	}
	if status, _, got := s.request("POST", "/", `["BLPOP","a",0]`); status != 400 || !strings.Contains(got, "not available") {
		t.Errorf("%d %s", status, got)
	}
	if status, _, got := s.request("GET", "/script/kill", ""); status != 200 || got != `{"result":"OK"}` {
		t.Errorf("%d %s", status, got)
	}
	if got := <-ended; !strings.Contains(got, "Script killed by user with SCRIPT KILL") {
		t.Error(got)
	}
	if status, _, got := s.request("GET", "/get/a", ""); status != 200 {
		t.Errorf("%d %s", status, got)
	}
}
