package rest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// post sends a JSON body with a token and prints the answer.
func post(url, token, body string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(answer), err)
}

func ExampleHandler() {
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://...")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	h, err := rest.Handler(db, rest.Options{Token: "secret", ReadOnlyToken: "reader"})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h) // or http.ListenAndServe
	defer server.Close()
	defer h.Close() // ends subscriptions first, so that the server need not wait for them

	post(server.URL, "secret", `["SET","greeting","hello","EX",60]`)
	post(server.URL+"/pipeline", "reader", `[["GET","greeting"],["DEL","greeting"]]`)
	post(server.URL, "wrong", `["GET","greeting"]`)
	// Output:
	// 200 {"result":"OK"} <nil>
	// 200 [{"result":"hello"},{"error":"NOPERM this user has no permissions to run the 'del' command or its subcommand"}] <nil>
	// 401 {"error":"WRONGPASS invalid or missing auth token"} <nil>
}

// ACL users of an embedded store log in with name:password as their token.
func ExampleOptions_logIn() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if err := db.Do(context.Background(), "ACL", "SETUSER", "shop", "on", ">pw", "~shop:*", "+@all").Err(); err != nil {
		fmt.Println(err)
		return
	}
	h, err := rest.Handler(db, rest.Options{
		LogIn: func(name, password string) (store.Store, error) { return db.LogIn(name, password) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	post(server.URL, "shop:pw", `["INCR","shop:orders"]`)
	post(server.URL, "shop:pw", `["INCR","other"]`)
	// Output:
	// 200 {"result":1} <nil>
	// 400 {"error":"NOPERM No permissions to access a key"} <nil>
}
