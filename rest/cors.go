package rest

import (
	"net/http"
	"slices"
)

// cors tells browsers from where they may call, and answers their preflight requests. Without Origins it does nothing.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if len(s.o.Origins) == 0 || origin == "" {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(s.o.Origins, origin) && !slices.Contains(s.o.Origins, "*") {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Upstash-Sync-Token")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "HEAD, GET, POST, PUT")
	if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 { // client libraries add what they like, and no other counts here
		h["Access-Control-Allow-Headers"] = asked
	}
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return true
}
