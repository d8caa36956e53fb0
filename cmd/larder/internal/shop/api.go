package shop

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
)

// MaxPage bounds how far a category can be paged through.
const MaxPage = 1000

// NewAPI serves s:
//
//	GET /api/products/featured
//	GET /api/products/{id}
//	GET /api/categories/{slug}?page=N
//	GET /api/users/{id}
//	GET /api/users/{id}/plan
//
// Every answer is JSON; a failure is {"error": "..."}.
func NewAPI(s Shop) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/products/featured", func(w http.ResponseWriter, r *http.Request) {
		items, err := s.Featured(r.Context())
		reply(w, items, err)
	})
	mux.HandleFunc("GET /api/products/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := number(w, r.PathValue("id")); ok {
			product, err := s.Product(r.Context(), id)
			reply(w, product, err)
		}
	})
	mux.HandleFunc("GET /api/categories/{slug}", func(w http.ResponseWriter, r *http.Request) {
		if page, ok := pageNumber(w, r.URL.Query().Get("page")); ok {
			listing, err := s.Category(r.Context(), r.PathValue("slug"), page)
			reply(w, listing, err)
		}
	})
	mux.HandleFunc("GET /api/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := number(w, r.PathValue("id")); ok {
			profile, err := s.Profile(r.Context(), id)
			reply(w, profile, err)
		}
	})
	mux.HandleFunc("GET /api/users/{id}/plan", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := number(w, r.PathValue("id")); ok {
			plan, err := s.Plan(r.Context(), id)
			reply(w, map[string]string{"plan": plan}, err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "no such page")
	})
	return mux
}

func number(w http.ResponseWriter, s string) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		fail(w, http.StatusBadRequest, "an id is a positive number")
		return 0, false
	}
	return n, true
}

func pageNumber(w http.ResponseWriter, s string) (page int, ok bool) {
	if s == "" {
		return 1, true
	}
	page, err := strconv.Atoi(s)
	if err != nil || page < 1 || page > MaxPage {
		fail(w, http.StatusBadRequest, "page is a number from 1 to "+strconv.Itoa(MaxPage))
		return 0, false
	}
	return page, true
}

func reply(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		fail(w, http.StatusNotFound, ErrNotFound.Error())
	case err != nil:
		slog.Error("request failed", "err", err)
		fail(w, http.StatusInternalServerError, "internal error")
	default:
		write(w, http.StatusOK, v)
	}
}

func fail(w http.ResponseWriter, status int, message string) {
	write(w, status, map[string]string{"error": message})
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone; there is nobody to tell
}
