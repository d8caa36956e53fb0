package session_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/alexedwards/scs/v2"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/session"
)

func Example() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	sessions, err := session.New(db, session.Options{})
	if err != nil {
		panic(err)
	}
	const visits session.Field[int] = "visits"

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		n, _, err := visits.Get(s)
		if err == nil {
			err = visits.Set(s, n+1)
		}
		fmt.Fprintf(w, "visit %d of %s, %v", n+1, cmp.Or(s.User(), "nobody"), err)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r.Context()).Login("ann"); err != nil { // after the password was checked
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	handler := sessions.Handler(mux)

	cookie := ""
	for _, path := range []string{"/", "/login", "/"} {
		r := httptest.NewRequest(http.MethodGet, "https://shop.example"+path, nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if set := w.Result().Cookies(); len(set) > 0 {
			cookie = set[0].Name + "=" + set[0].Value
		}
		fmt.Printf("%s %d %q\n", path, w.Code, w.Body)
	}
	n, err := sessions.RevokeAll(context.Background(), "ann")
	fmt.Println("logged out everywhere:", n, err)
	// Output:
	// / 200 "visit 1 of nobody, <nil>"
	// /login 200 ""
	// / 200 "visit 2 of ann, <nil>"
	// logged out everywhere: 1 <nil>
}

// Two requests of one visitor at the same time: each changes a field of its own, and neither change is lost. A store that
// keeps a session as one value loses one of them.
func Example_twoRequests() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	const theme session.Field[string] = "theme"
	const cart session.Field[[]string] = "cart"

	// with Manager
	sessions, err := session.New(db, session.Options{})
	if err != nil {
		panic(err)
	}
	s := sessions.New()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(theme.Set(s, "light"))
	must(sessions.Save(ctx, s))
	token := s.Token()
	var loaded, done sync.WaitGroup
	loaded.Add(2)
	for _, change := range []func(*session.Session) error{
		func(s *session.Session) error { return theme.Set(s, "dark") },
		func(s *session.Session) error { return cart.Set(s, []string{"Dune"}) },
	} {
		done.Go(func() {
			s, err := sessions.Load(ctx, token)
			must(err)
			loaded.Done()
			loaded.Wait() // both requests have begun before either ends
			must(change(s))
			must(sessions.Save(ctx, s))
		})
	}
	done.Wait()
	s, err = sessions.Load(ctx, token)
	must(err)
	t, _, _ := theme.Get(s)
	c, _, _ := cart.Get(s)
	fmt.Println("fields:", t, c)

	// with one value per session
	whole := scs.New()
	whole.Store, err = session.NewSCS(db, session.SCSOptions{})
	must(err)
	first, err := whole.Load(ctx, "")
	must(err)
	whole.Put(first, "theme", "light")
	token, _, err = whole.Commit(first)
	must(err)
	a, err := whole.Load(ctx, token)
	must(err)
	b, err := whole.Load(ctx, token)
	must(err)
	whole.Put(a, "theme", "dark")
	whole.Put(b, "cart", "Dune")
	_, _, err = whole.Commit(a)
	must(err)
	_, _, err = whole.Commit(b)
	must(err)
	last, err := whole.Load(ctx, token)
	must(err)
	fmt.Println("one value:", whole.GetString(last, "theme"), whole.GetString(last, "cart"))
	// Output:
	// fields: dark [Dune]
	// one value: light Dune
}

func ExampleSCS() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	sessions := scs.New()
	sessions.Store, err = session.NewSCS(db, session.SCSOptions{})
	fmt.Println(err)
	// Output: <nil>
}
