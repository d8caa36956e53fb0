package larder_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

func as(t *testing.T, db *larder.DB, name string, rules ...string) *larder.User {
	t.Helper()
	if err := db.Do(t.Context(), append([]string{"ACL", "SETUSER", name}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
	u, err := db.As(name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// said is the text of a call's outcome.
func said(r store.Reply) string {
	s, err := r.Text()
	if err != nil {
		return err.Error()
	}
	return s
}

const (
	noKey     = "NOPERM No permissions to access a key"
	noChannel = "NOPERM No permissions to access a channel"
)

func TestUserMayDoWhatRulesSay(t *testing.T) {
	db, ctx := open(t, larder.Options{}), t.Context()
	u := as(t, db, "bob", "on", ">pw", "~app:*", "+get", "+set", "+incr", "+evalsha", "+eval", "+acl|whoami")
	script := &store.Script{
		Name: "as.set", Lua: "return redis.call('SET',KEYS[1],ARGV[1])",
		Go: func(tx store.Tx, keys, args []string) store.Reply { return tx.Do("SET", keys[0], args[0]) },
	}
	for i, c := range []struct{ got, want string }{
		{said(u.Do(ctx, "SET", "app:a", "1")), "OK"},
		{said(u.Do(ctx, "GET", "app:a")), "1"},
		{said(u.Do(ctx, "GET", "other")), noKey},
		{said(u.Do(ctx, "DEL", "app:a")), "NOPERM User bob has no permissions to run the 'del' command"},
		{said(u.Do(ctx, "ACL", "WHOAMI")), "bob"},
		{said(u.Do(ctx, "ACL", "LIST")), "NOPERM User bob has no permissions to run the 'acl|list' command"},
		{said(u.Pipe(ctx, store.Cmd{"GET", "app:a"}, store.Cmd{"GET", "b"})[1]), noKey},
		{said(u.Run(ctx, script, []string{"app:s"}, "x")), "OK"},
		{said(u.Run(ctx, script, []string{"s"}, "x")), noKey},
		{said(db.Do(ctx, "ACL", "WHOAMI")), "default"},
		{said(db.Do(ctx, "DEL", "app:a")), "1"},
	} {
		if c.got != c.want {
			t.Errorf("%d: %q, want %q", i, c.got, c.want)
		}
	}
	if _, err := u.Transaction(ctx, store.Cmd{"SET", "app:a", "2"}); err == nil || err.Error() != "NOPERM User bob has no permissions to run the 'multi' command" {
		t.Error(err)
	}
	as(t, db, "bob", "+multi")
	if _, err := u.Transaction(ctx, store.Cmd{"SET", "app:a", "2"}); err == nil || !strings.HasPrefix(err.Error(), "EXECABORT") {
		t.Error(err)
	}
	as(t, db, "bob", "+exec")
	if _, err := u.Transaction(ctx, store.Cmd{"SET", "app:a", "2"}, store.Cmd{"SET", "b", "2"}); err == nil || !strings.HasPrefix(err.Error(), "EXECABORT") {
		t.Error(err)
	}
	if n, _ := db.Do(ctx, "EXISTS", "app:a", "b").Int64(); n != 0 {
		t.Error("half a transaction")
	}
	if log := said(db.Do(ctx, "ACL", "LOG", "100")); db.Do(ctx, "ACL", "LOG", "100").Err() != nil {
		t.Error(log)
	}
	as(t, db, "bob", "+del")
	if got := said(u.Do(ctx, "DEL", "app:s")); got != "1" {
		t.Errorf("after a change: %s", got)
	}
}

func TestUserIsRemoved(t *testing.T) {
	leaktest.Check(t, "larder")
	db, ctx := open(t, larder.Options{}), t.Context()
	u := as(t, db, "bob", "on", ">pw", "~*", "&*", "+@all")
	ended := make(chan error, 2)
	ready := make(chan struct{}, 2)
	go func() {
		ended <- u.Subscribe(ctx, store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}, OnReady: func(bool) { ready <- struct{}{} }})
	}()
	go func() { ended <- u.Monitor(ctx, func(string) { ready <- struct{}{} }) }()
	<-ready
	<-ready
	if err := db.Do(ctx, "ACL", "DELUSER", "bob").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "user removed") {
			t.Error(err)
		}
	}
	if err := u.Do(ctx, "PING").Err(); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	as(t, db, "bob", "on", ">pw", "+@all") // another bob
	if err := u.Do(ctx, "PING").Err(); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if err := u.Subscribe(ctx, store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}}); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

func TestUserListensWhereHeMay(t *testing.T) {
	leaktest.Check(t, "larder")
	db, ctx := open(t, larder.Options{}), t.Context()
	u := as(t, db, "bob", "on", ">pw", "resetchannels", "&news:*", "+subscribe", "+psubscribe", "+ssubscribe")
	for _, sub := range []store.Subscription{{Channels: []string{"news:a", "b"}}, {Patterns: []string{"news:a*"}}, {Shards: []string{"b"}}} {
		sub.OnMessage = func(store.Message) {}
		if err := u.Subscribe(ctx, sub); err == nil || err.Error() != noChannel {
			t.Errorf("%v: %v", sub, err)
		}
	}
	if err := u.Monitor(ctx, func(string) {}); err == nil || err.Error() != "NOPERM User bob has no permissions to run the 'monitor' command" {
		t.Error(err)
	}
	ended, got := make(chan error, 1), make(chan store.Message, 1)
	ready := make(chan struct{})
	go func() {
		ended <- u.Subscribe(ctx, store.Subscription{Patterns: []string{"news:*"}, OnMessage: func(m store.Message) { got <- m }, OnReady: func(bool) { close(ready) }})
	}()
	<-ready
	db.Do(ctx, "PUBLISH", "news:x", "hello")
	if m := <-got; m.Payload != "hello" {
		t.Error(m)
	}
	as(t, db, "bob", "&other:*")
	db.Do(ctx, "PUBLISH", "news:x", "still")
	if m := <-got; m.Payload != "still" {
		t.Error(m)
	}
	as(t, db, "bob", "resetchannels", "&other:*")
	if err := <-ended; !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "channel permission revoked") {
		t.Error(err)
	}
}

func TestUserCloses(t *testing.T) {
	leaktest.Check(t, "larder")
	db, ctx := open(t, larder.Options{}), t.Context()
	u := as(t, db, "bob", "on", ">pw", "~*", "&*", "+@all")
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- u.Subscribe(ctx, store.Subscription{Channels: []string{"c"}, OnMessage: func(store.Message) {}, OnReady: func(bool) { close(ready) }})
	}()
	<-ready
	for range 2 {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if err := u.Do(ctx, "PING").Err(); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if err := db.Do(ctx, "PING").Err(); err != nil {
		t.Error(err)
	}
}

func TestLogIn(t *testing.T) {
	db, ctx := open(t, larder.Options{}), t.Context()
	as(t, db, "bob", "on", ">pw", "+@all")
	as(t, db, "off", "off", ">pw", "+@all")
	as(t, db, "open", "on", "nopass", "+@all")
	const wrong = "WRONGPASS invalid username-password pair or user is disabled."
	for _, c := range []struct{ name, password, want string }{
		{"bob", "pw", ""}, {"bob", "", wrong}, {"bob", "pwx", wrong}, {"off", "pw", wrong}, {"nobody", "pw", wrong}, {"", "", wrong},
		{"open", "pw", wrong}, {"open", "", wrong}, {"default", "", wrong}, {"default", "x", wrong},
	} {
		u, err := db.LogIn(c.name, c.password)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || (u == nil) == (err == nil) {
			t.Errorf("%s %q: %v %v", c.name, c.password, u, err)
		}
	}
	if err := db.Do(ctx, "CONFIG", "SET", "requirepass", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	u, err := db.LogIn("default", "secret")
	if err != nil || u.Name() != "default" || said(u.Do(ctx, "SET", "a", "b")) != "OK" {
		t.Error(u, err)
	}
	if _, err := db.As("nobody"); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	_ = db.Close()
	if _, err := db.LogIn("bob", "pw"); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

func TestMonitor(t *testing.T) {
	leaktest.Check(t, "larder")
	db := open(t, larder.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 10)
	ended := make(chan error, 1)
	go func() { ended <- db.Monitor(ctx, func(line string) { lines <- line }) }()
	if line := <-lines; line != "OK" {
		t.Error(line)
	}
	db.Do(ctx, "SET", "a", "b\n\xff")
	db.Do(ctx, "AUTH", "x") // refused before it is a command
	db.Do(ctx, "GET", "a")
	var got []string
	for range 2 {
		_, what, _ := strings.Cut(<-lines, "] ")
		got = append(got, what)
	}
	if !slices.Equal(got, []string{`"SET" "a" "b\n\xff"`, `"GET" "a"`}) {
		t.Error(got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { ended <- db.Monitor(t.Context(), func(line string) { lines <- line }) }()
	<-lines
	_ = db.Close()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if err := db.Monitor(t.Context(), func(string) {}); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if err := db.Monitor(t.Context(), nil); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

// Who does not take the lines is cut off, and holds up nobody.
func TestSlowMonitor(t *testing.T) {
	db := open(t, larder.Options{})
	began, goOn := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- db.Monitor(t.Context(), func(line string) {
			if line == "OK" {
				close(began)
				<-goOn
			}
		})
	}()
	<-began
	cmds := make([]store.Cmd, 70_000)
	for i := range cmds {
		cmds[i] = store.Cmd{"GET", "a"}
	}
	db.Pipe(t.Context(), cmds...)
	close(goOn)
	if err := <-ended; !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}
