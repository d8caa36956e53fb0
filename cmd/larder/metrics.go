package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/metrics"
	"github.com/larderdb/larder/rest"
)

// metricsSite is the store's figures for Prometheus, with those of the REST API where that is served. With metrics-token
// whoever asks must bring it.
func metricsSite(s *config.Settings, db *larder.DB, api *rest.Server) *site {
	o := metrics.Options{}
	if api != nil {
		o.Extra = func() []metrics.Figure { return restFigures(api.Stats()) }
	}
	h := metrics.Handler(db, o)
	if s.MetricsToken != "" {
		h = bearer(s.MetricsToken, h)
	}
	return &site{name: "metrics", addr: s.Metrics, handler: h, guarded: s.MetricsToken != "", guard: "metrics-token"}
}

func restFigures(s rest.Stats) []metrics.Figure {
	return []metrics.Figure{
		{Name: "larder_rest_requests_total", Help: "Requests answered over HTTP.", Counter: true, Value: float64(s.Requests)},
		{Name: "larder_rest_refused_total", Help: "Requests without a token that is known.", Counter: true, Value: float64(s.Refused)},
		{Name: "larder_rest_subscribers", Help: "Subscribers over HTTP.", Value: float64(s.Subscribers)},
		{Name: "larder_rest_slow_subscribers_total", Help: "Subscribers that were disconnected because they did not read.",
			Counter: true, Value: float64(s.Slow)},
	}
}

// bearer lets in who brings the token: Authorization: Bearer TOKEN. How long it takes tells nothing of the token.
func bearer(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, brought, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(brought))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "a token is needed: Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
