package shop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fake has one of everything, and a database that fails for id 500.
type fake struct{}

func (fake) Featured(context.Context) ([]Item, error) { return []Item{{ID: 1, Name: "lamp"}}, nil }

func (fake) Product(_ context.Context, id int64) (Product, error) {
	switch id {
	case 1:
		return Product{Item: Item{ID: 1, Name: "lamp"}, Related: []Item{}}, nil
	case 500:
		return Product{}, errors.New("secret detail")
	}
	return Product{}, fmt.Errorf("product %d: %w", id, ErrNotFound)
}

func (fake) Category(_ context.Context, slug string, page int) (Listing, error) {
	return Listing{Category: slug, Page: page, Items: []Item{}}, nil
}

func (fake) Profile(_ context.Context, id int64) (Profile, error) { return Profile{ID: id}, nil }

func (fake) Plan(context.Context, int64) (string, error) { return "pro", nil }

func TestAPI(t *testing.T) {
	api := NewAPI(fake{})
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/api/products/featured", 200, `[{"id":1,"name":"lamp","price_cents":0,"rating":0}]`},
		{"GET", "/api/products/1", 200, `"related":[]`},
		{"GET", "/api/products/2", 404, `{"error":"not found"}`},
		{"GET", "/api/products/500", 500, `{"error":"internal error"}`},
		{"GET", "/api/products/x", 400, `{"error":"an id is a positive number"}`},
		{"GET", "/api/products/-1", 400, "positive"},
		{"GET", "/api/products/99999999999999999999", 400, "positive"},
		{"GET", "/api/categories/toys", 200, `"page":1`},
		{"GET", "/api/categories/toys?page=3", 200, `"page":3`},
		{"GET", "/api/categories/toys?page=0", 400, "page is a number"},
		{"GET", "/api/categories/toys?page=9999999", 400, "page is a number"},
		{"GET", "/api/users/7", 200, `"id":7`},
		{"GET", "/api/users/7/plan", 200, `{"plan":"pro"}`},
		{"GET", "/api/users/0/plan", 400, "positive"},
		{"GET", "/api/nope", 404, `{"error":"no such page"}`},
	} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, http.NoBody))
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s shows the database's error", tc.path)
		}
	}
}
