package rest_test

import (
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// newUsers is a site whose database has the users bob and open.
func newUsers(t *testing.T) *site {
	t.Helper()
	var s *site
	s = newSite(t, func(o *rest.Options) {
		o.LogIn = func(name, password string) (store.Store, error) { return s.db.LogIn(name, password) }
	})
	for _, rules := range [][]string{
		{"bob", "on", ">pw:with:colons", "~app:*", "&news:*", "+get", "+set", "+subscribe", "+psubscribe", "+multi", "+exec"},
		{"open", "on", "nopass", "~*", "+@all"},
	} {
		if err := s.db.Do(t.Context(), append([]string{"ACL", "SETUSER"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestLogIn(t *testing.T) {
	s := newUsers(t)
	bob := []string{"Authorization", "Bearer bob:pw:with:colons"}
	const noKey = `{"error":"NOPERM No permissions to access a key"}`
	const wrong = `{"error":"WRONGPASS invalid or missing auth token"}`
	for _, c := range []struct {
		path, body string
		headers    []string
		status     int
		want       string
	}{
		{"/", `["SET","app:a",1]`, bob, 200, `{"result":"OK"}`},
		{"/get/app:a", "", bob, 200, `{"result":"1"}`},
		{"/get/app:a?_token=bob%3Apw:with:colons", "", []string{"Authorization", ""}, 200, `{"result":"1"}`},
		{"/get/other", "", bob, 400, noKey},
		{"/", `["DEL","app:a"]`, bob, 400, `{"error":"NOPERM User bob has no permissions to run the 'del' command"}`},
		{"/", `["CONFIG","GET","requirepass"]`, bob, 400, `{"error":"NOPERM User bob has no permissions to run the 'config|get' command"}`},
		{"/pipeline", `[["GET","app:a"],["GET","b"]]`, bob, 200, `[{"result":"1"},` + noKey + `]`},
		{"/multi-exec", `[["SET","app:a",2],["SET","b",2]]`, bob, 400, `{"error":"EXECABORT Transaction discarded because of previous errors."}`},
		{"/monitor", "", bob, 400, `{"error":"NOPERM User bob has no permissions to run the 'monitor' command"}`},
		{"/subscribe/news:a/other", "", bob, 400, `{"error":"NOPERM No permissions to access a channel"}`},
		{"/psubscribe/*", "", bob, 400, `{"error":"NOPERM No permissions to access a channel"}`},
		{"/get/app:a", "", []string{"Authorization", "Bearer bob:pw"}, 401, wrong},
		{"/get/app:a", "", []string{"Authorization", "Bearer bob"}, 401, wrong},
		{"/get/app:a", "", []string{"Authorization", "Bearer open:anything"}, 401, wrong},
		{"/get/app:a", "", []string{"Authorization", "Bearer default:"}, 401, wrong},
		{"/get/app:a", "", []string{"Authorization", "Bearer :"}, 401, wrong},
	} {
		if status, _, got := s.request("POST", c.path, c.body, c.headers...); status != c.status || got != c.want {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, got)
		}
	}
	s.db.Do(t.Context(), "ACL", "SETUSER", "bob", "off")
	if status, _, got := s.request("POST", "/get/app:a", "", bob...); status != 401 {
		t.Errorf("of a user who is off: %d %s", status, got)
	}
}

// Subscriptions of a user are his own, and end with his rights; those of others go on.
func TestRevokedSubscription(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newUsers(t)
	other := s.listen("/subscribe/news:a")
	other.want("data: subscribe,news:a,1")
	for _, change := range [][]string{{"ACL", "SETUSER", "bob", "resetchannels", "&other"}, {"ACL", "SETUSER", "bob", "&news:*"}, {"ACL", "DELUSER", "bob"}} {
		s.db.Do(t.Context(), "ACL", "SETUSER", "bob", "&news:*")
		e := s.listen("/subscribe/news:a", "Authorization", "Bearer bob:pw:with:colons")
		e.want("data: subscribe,news:a,1")
		if err := s.db.Do(t.Context(), change...).Err(); err != nil {
			t.Fatal(err)
		}
		s.db.Do(t.Context(), "PUBLISH", "news:a", "x")
		other.want("data: message,news:a,x")
		if change[len(change)-1] == "&news:*" { // nothing is taken away
			e.want("data: message,news:a,x")
			e.close()
			continue
		}
		for e.r.Scan() {
			if e.r.Text() != "" {
				t.Errorf("%v: %q", change, e.r.Text())
			}
		}
	}
	fleet.Eventually(t, "others to be left alone", func() bool { return s.h.Stats().Subscribers == 1 })
}

func TestMonitor(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newSite(t)
	s.request("POST", "/", `["SET","a",1]`) // the handler asks once what SET is
	e := s.listen("/monitor")
	e.want(`data: "OK"`)
	s.request("POST", "/", `["SET","a","x\ny"]`)
	if !e.r.Scan() || e.r.Text() != "" || !e.r.Scan() {
		t.Fatal(e.r.Text(), e.r.Err())
	}
	if line := e.r.Text(); line[:6] != "data: " || line[len(line)-len(`] "SET" "a" "x\ny"`):] != `] "SET" "a" "x\ny"` {
		t.Error(line)
	}
	e.close()
	fleet.Eventually(t, "the monitor to go", func() bool { return s.h.Stats().Subscribers == 0 })
}
