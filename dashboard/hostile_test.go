package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// No id is not all ids: a program that found nothing to delete must not delete everything.
func TestNothingIsNotAll(t *testing.T) {
	db := open(t, nil)
	jobs := testQueue{}
	d := board(t, db, dashboard.Options{Writable: true, Queue: func(_, _ string) (dashboard.Queue, error) { return &jobs, nil }})
	do(t, db, "ZADD", "{q}:dead", "1", "7")
	for _, ids := range []string{`[]`, `null`, `""`, `[""]`, `[null]`} {
		for _, act := range []string{"delete", "replay"} {
			w := change(t, d, "api/queue/act", `{"prefix":"","name":"cQ","act":"`+act+`","ids":`+ids+`}`)
			if w.Code != 400 || jobs.calls > 0 {
				t.Errorf("%s %s: %d %s, %d calls", act, ids, w.Code, w.Body, jobs.calls)
			}
		}
	}
	if w := change(t, d, "api/sessions/revoke", `{"key":"e2FifXVzZXI6eA","id":""}`); w.Code != 400 {
		t.Error(w.Code, w.Body)
	}
	do(t, db, "SET", "", "the empty key")
	if w := change(t, d, "api/key/delete", `{"key":""}`); w.Body.String() != `{"deleted":1}` {
		t.Error(w.Body)
	}
}

// testQueue counts what it is asked.
type testQueue struct{ calls int }

func (q *testQueue) Replay(context.Context, ...string) (int, error) { q.calls++; return 0, nil }
func (q *testQueue) ReplayAll(context.Context) (int, error)         { q.calls++; return 0, nil }
func (q *testQueue) Cancel(context.Context, string) (found bool, err error) {
	q.calls++
	return true, nil
}
func (q *testQueue) Pause(context.Context) error  { q.calls++; return nil }
func (q *testQueue) Resume(context.Context) error { q.calls++; return nil }

// A client that never reads what it asked for keeps nobody else waiting.
func TestSlowReaders(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{})
	stuck := make(chan struct{})
	asked := make(chan struct{}, 20)
	for range 20 {
		go d.ServeHTTP(&slowWriter{asked: asked, stuck: stuck, header: http.Header{}}, request("GET", "api/keys", ""))
	}
	for range 20 {
		select {
		case <-asked:
		case <-time.After(8 * time.Second):
			t.Fatal("those who do not read keep others from asking")
		}
	}
	close(stuck)
}

// slowWriter waits with every byte.
type slowWriter struct {
	asked  chan<- struct{}
	stuck  <-chan struct{}
	header http.Header
}

func (w *slowWriter) Header() http.Header { return w.header }
func (w *slowWriter) WriteHeader(int)     { w.asked <- struct{}{} }
func (w *slowWriter) Write(b []byte) (int, error) {
	<-w.stuck
	return len(b), nil
}

// deadlines is a response whose connection has deadlines for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (w *deadlines) SetReadDeadline(t time.Time) error { w.set = append(w.set, t); return nil }

// Anybody may send a log-in, and nobody holds a connection open with half of one.
func TestBodiesComeAtOnce(t *testing.T) {
	d := board(t, open(t, nil), dashboard.Options{Password: "x"})
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	before := clock.System().Now()
	d.ServeHTTP(w, request("POST", "api/login", `{"password":"x"}`, "Content-Type", "application/json"))
	if len(w.set) != 2 || w.set[0].Sub(before) > time.Minute || !w.set[1].IsZero() || w.Code != 200 {
		t.Error(w.set, w.Code)
	}
	w = &deadlines{ResponseRecorder: httptest.NewRecorder()}
	d.ServeHTTP(w, request("POST", "api/keys", `{`))
	if len(w.set) != 1 || w.set[0].IsZero() || w.Code != 405 {
		t.Error("net/http may wait for the rest of a body that was refused: ", w.set, w.Code)
	}
}

// A user of the store's ACL sees what that user may see: keys of others are named, as SCAN does, and no more; nothing of theirs
// keeps the rest from being shown.
func TestFewRights(t *testing.T) {
	db := open(t, nil)
	do(t, db, "ACL", "SETUSER", "app", "on", ">pw", "~app:*", "~TIME", "+@all")
	for _, prefix := range []string{"app:", "other:"} {
		do(t, db, "SET", prefix+"k", "secret of "+prefix)
		do(t, db, "ZADD", prefix+"{x}s:board", "1", "member of "+prefix)
		do(t, db, "HSET", prefix+"{q}:meta", "id", "1")
		do(t, db, "ZADD", prefix+"{ab}user:ann", "1", "x")
		do(t, db, "SET", prefix+"rl:1", "x")
		do(t, db, "SET", prefix+"\x00clear", "1")
	}
	st, err := db.LogIn("app", "pw")
	if err != nil {
		t.Fatal(err)
	}
	d := board(t, st, dashboard.Options{})
	types := map[string]string{}
	for _, k := range get[keyPage](t, d, "api/keys").Keys {
		types[k.Key.text] = k.Type
	}
	if types["app:k"] != "string" || types["other:k"] != "" || types["app:{x}s:board"] != "zset" {
		t.Errorf("%q", types)
	}
	for path, want := range map[string]string{"boards": `"app:{x}s:board"`, "queues": `"app:"`, "users": `"app:{ab}user:ann"`, "limits?match=*rl:*": `"limits":[`, "locks": `"locks":[`} {
		w := answer(d, request("GET", "api/"+path, ""))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "other:") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, key := range []string{"other:k", "other:{x}s:board"} {
		w := answer(d, request("GET", "api/key?key="+b64(key), ""))
		if w.Code != 403 || strings.Contains(w.Body.String(), "secret of") {
			t.Errorf("%s: %d %s", key, w.Code, w.Body)
		}
	}
}

// farAway counts how often the store is asked: over a network each time costs a round trip.
type farAway struct {
	store.Store
	trips atomic.Int64
}

func (s *farAway) Do(ctx context.Context, cmd ...string) store.Reply {
	s.trips.Add(1)
	return s.Store.Do(ctx, cmd...)
}

func (s *farAway) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	s.trips.Add(1)
	return s.Store.Pipe(ctx, cmds...)
}

// A page of a thousand boards or queues is a few round trips: at 20 ms each a thousand of them would never be answered.
func TestRoundTrips(t *testing.T) {
	db := open(t, nil)
	for i := range 500 {
		do(t, db, "ZADD", fmt.Sprintf("b:{%d}s:x", i), "1", "m")
		do(t, db, "HSET", fmt.Sprintf("{%d}:meta", i), "id", "1")
	}
	far := &farAway{Store: db}
	d := board(t, far, dashboard.Options{Every: time.Minute})
	for _, what := range []string{"boards", "queues"} {
		before := far.trips.Load()
		rows := get[map[string]json.RawMessage](t, d, "api/"+what)[what]
		var list []any
		if err := json.Unmarshal(rows, &list); err != nil || len(list) != 500 {
			t.Fatal(len(list), err)
		}
		if n := far.trips.Load() - before; n > 10 {
			t.Errorf("%s: %d round trips", what, n)
		}
	}
}

// Browsers send the cookies of one port of a host to all of them: dashboards beside each other do not log each other out.
func TestTwoDashboardsOfAHost(t *testing.T) {
	db := open(t, nil)
	jar := map[string]*http.Cookie{} // as a browser has it: by name
	boards := map[string]*dashboard.Dashboard{}
	at := func(host, method, path, body string) *httptest.ResponseRecorder {
		r := request(method, path, body, "Content-Type", "application/json")
		r.Host = host
		for _, c := range jar {
			r.AddCookie(c)
		}
		w := answer(boards[host], r)
		for _, c := range w.Result().Cookies() {
			jar[c.Name] = c
		}
		return w
	}
	hosts := []string{"127.0.0.1:8080", "127.0.0.1:8081", "[::1]", "dash.example", "strange:12;x=y"}
	for _, host := range hosts {
		boards[host] = board(t, db, dashboard.Options{Password: "x", Every: time.Minute})
	}
	for i, host := range hosts {
		if w := at(host, "POST", "api/login", `{"password":"x"}`); w.Code != 200 {
			t.Fatal(w.Code)
		}
		if w := at(host, "GET", "api/keys", ""); w.Code != 200 {
			t.Errorf("%s: %d", host, w.Code)
		}
		if w := at(hosts[0], "GET", "api/keys", ""); i < 2 && w.Code != 200 {
			t.Errorf("logging in to %s has ended the log-in to %s", host, hosts[0])
		}
	}
}
