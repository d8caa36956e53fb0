package market

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/pubsub"
	"github.com/larderdb/larder/session"
)

// user is who is logged in.
const user session.Field[int64] = "user"

// Handler serves
//
//	POST /api/login     user=N          log in; the demo asks for no password
//	POST /api/logout
//	GET  /api/me                        the profile of who is logged in
//	POST /api/orders    product=N&quantity=N
//	GET  /api/orders/{id}
//	GET  /api/bestsellers
//	GET  /api/prices                    a stream of events: prices that change
//
// and hands everything else to rest.
func (m *Market) Handler(rest http.Handler) http.Handler {
	visits := http.NewServeMux()
	visits.HandleFunc("POST /api/login", m.login)
	visits.HandleFunc("POST /api/logout", func(w http.ResponseWriter, r *http.Request) {
		session.From(r.Context()).Destroy()
		w.WriteHeader(http.StatusNoContent)
	})
	visits.HandleFunc("GET /api/me", m.me)
	visits.HandleFunc("POST /api/orders", m.order)

	mux := http.NewServeMux()
	mux.Handle("/", rest)
	logged := m.sessions.Handler(visits)
	for _, path := range []string{"/api/login", "/api/logout", "/api/me", "/api/orders"} {
		mux.Handle(path, logged)
	}
	mux.HandleFunc("GET /api/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		outcome, err := m.Outcome(r.Context(), r.PathValue("id"))
		if outcome == "" {
			outcome = "waiting"
		}
		reply(w, http.StatusOK, map[string]string{"order": r.PathValue("id"), "state": outcome}, err)
	})
	mux.HandleFunc("GET /api/bestsellers", func(w http.ResponseWriter, r *http.Request) {
		list, err := m.Bestsellers(r.Context(), 10)
		type seller struct {
			Rank    int    `json:"rank"`
			Product string `json:"product"`
			Sold    int64  `json:"sold"`
		}
		sellers := make([]seller, len(list))
		for i, e := range list {
			sellers[i] = seller{e.Rank, e.Member, e.Score}
		}
		reply(w, http.StatusOK, sellers, err)
	})
	mux.HandleFunc("GET /api/prices", m.live)
	return mux
}

func (m *Market) login(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.FormValue("user"), 10, 64)
	if err != nil {
		reply(w, http.StatusBadRequest, nil, errors.New("user is a number"))
		return
	}
	if _, err := m.profiles.Plan(r.Context(), n); err != nil {
		reply(w, http.StatusForbidden, nil, err)
		return
	}
	s := session.From(r.Context())
	err = errors.Join(s.Login(id(n)), user.Set(s, n))
	reply(w, http.StatusOK, map[string]int64{"user": n}, err)
}

func (m *Market) me(w http.ResponseWriter, r *http.Request) {
	n, ok, err := user.Get(session.From(r.Context()))
	if !ok || err != nil {
		reply(w, http.StatusUnauthorized, nil, errors.New("log in first"))
		return
	}
	profile, err := m.profiles.Profile(r.Context(), n)
	reply(w, http.StatusOK, profile, err)
}

func (m *Market) order(w http.ResponseWriter, r *http.Request) {
	n, ok, err := user.Get(session.From(r.Context()))
	if !ok || err != nil {
		reply(w, http.StatusUnauthorized, nil, errors.New("log in first"))
		return
	}
	product, _ := strconv.ParseInt(r.FormValue("product"), 10, 64)
	quantity, _ := strconv.ParseInt(r.FormValue("quantity"), 10, 64)
	order, err := m.Order(r.Context(), shop.Order{User: n, Product: product, Quantity: quantity})
	reply(w, http.StatusAccepted, map[string]string{"order": order}, err)
}

// live tells prices for as long as the client listens.
func (m *Market) live(w http.ResponseWriter, r *http.Request) {
	sub, err := m.prices.Open(r.Context(), pubsub.Listener{})
	if err != nil {
		reply(w, http.StatusOK, nil, err)
		return
	}
	defer sub.Close() //nolint:errcheck // nobody is left to tell
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		if err := out.Flush(); err != nil { // the header first: who has it misses nothing from now on
			return
		}
		p, err := sub.Next(r.Context())
		if err != nil {
			return
		}
		b, err := json.Marshal(p.Value)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return
		}
	}
}

func reply(w http.ResponseWriter, status int, v any, err error) {
	switch {
	case err == nil:
	case errors.Is(err, shop.ErrNotFound):
		status, v = http.StatusNotFound, map[string]string{"error": shop.ErrNotFound.Error()}
	case errors.Is(err, errBadOrder), status >= 400:
		v = map[string]string{"error": err.Error()}
		status = max(status, http.StatusBadRequest)
	default:
		slog.Error("request failed", "err", err)
		status, v = http.StatusInternalServerError, map[string]string{"error": "internal error"}
	}
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone; there is nobody to tell
}
