package dashboard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// endpoint is a request that is answered with JSON.
type endpoint struct {
	change bool // POST, from the page itself
	public bool // without a log-in
	admin  bool // only where Options.Writable
	run    func(ctx context.Context, q *query) (any, error)
}

// endpoints are all of them, by path. docs/dashboard.md describes them.
func (d *Dashboard) endpoints() map[string]endpoint {
	read := func(f func(context.Context, *query) (any, error)) endpoint { return endpoint{run: f} }
	change := func(f func(context.Context, *query) (any, error)) endpoint {
		return endpoint{run: f, change: true, admin: true}
	}
	return map[string]endpoint{
		"api/me":       {public: true},
		"api/login":    {public: true, change: true},
		"api/logout":   {public: true, change: true},
		"api/history":  read(d.readHistory),
		"api/overview": read(d.overview),
		"api/slowlog":  read(d.slowlog),
		"api/counters": read(d.counters),
		"api/keys":     read(d.keys),
		"api/key":      read(d.key),
		"api/queues":   read(d.queues),
		"api/queue":    read(d.queue),
		"api/limits":   read(d.limits),
		"api/users":    read(d.users),
		"api/sessions": read(d.sessions),
		"api/boards":   read(d.boards),
		"api/board":    read(d.board),
		"api/locks":    read(d.locks),
		"api/lock":     read(d.lock),
		"api/caches":   read(d.caches),

		"api/key/delete":      change(d.deleteKey),
		"api/key/expire":      change(d.expireKey),
		"api/queue/act":       change(d.actOnQueue),
		"api/sessions/revoke": change(d.revokeSessions),
	}
}

// failure is an error with a status. Its text is shown to the user.
type failure struct {
	status int
	text   string
}

func (f failure) Error() string { return f.text }

func bad(format string, args ...any) error {
	return failure{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// What the page sends is short, and there at once. Without a bound on time anybody who reaches the log-in could hold connections.
const (
	maxBody     = 1 << 20
	bodyTimeout = 10 * time.Second
)

// call answers a request of the API.
func (d *Dashboard) call(w http.ResponseWriter, r *http.Request, name string, e endpoint) {
	token, in := d.gate.enter(r)
	q, err := d.admit(w, r, e, token, in)
	if err != nil {
		reply(w, nil, err)
		return
	}
	switch name {
	case "api/me":
		reply(w, d.me(token, in), nil)
		return
	case "api/login":
		reply(w, struct{}{}, d.logIn(w, r, q))
		return
	case "api/logout":
		d.gate.logOut(r)
		setCookie(w, r, "")
		reply(w, struct{}{}, nil)
		return
	}
	v, err := d.run(r.Context(), e, q)
	if e.change {
		d.log.Info("dashboard: change", "what", name, "from", r.RemoteAddr, "err", err)
	}
	reply(w, v, err)
}

// run asks the store, when it is its turn. The turn ends before anything is written: a client that reads slowly keeps nobody waiting.
func (d *Dashboard) run(ctx context.Context, e endpoint, q *query) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, failure{http.StatusServiceUnavailable, "too many requests at once: try again"}
	}
	return e.run(ctx, q)
}

// admit checks that a request may do what it asks for, and reads it.
func (d *Dashboard) admit(w http.ResponseWriter, r *http.Request, e endpoint, token string, in bool) (*query, error) {
	method := http.MethodGet
	if e.change {
		method = http.MethodPost
	}
	switch {
	case r.Method != method:
		w.Header().Set("Allow", method)
		return nil, failure{http.StatusMethodNotAllowed, "want " + method}
	case !e.public && !in:
		return nil, failure{http.StatusUnauthorized, "log in first"}
	case !e.change:
		return &query{values: r.URL.Query()}, nil
	case e.public && d.gate.origin.Check(r) != nil, !e.public && !d.gate.mayChange(r, token):
		return nil, failure{http.StatusForbidden, "this did not come from the dashboard's own page; load it anew"}
	case r.Header.Get("Content-Type") != "application/json":
		return nil, failure{http.StatusUnsupportedMediaType, "want application/json"}
	case e.admin && !d.o.Writable:
		return nil, failure{http.StatusForbidden, "this dashboard only shows: it was not started as writable"}
	}
	return readBody(w, r)
}

// readBody reads the JSON object of a change. An empty list is refused, as is an empty id: leaving them out means all, and a program
// that found none means none.
func readBody(w http.ResponseWriter, r *http.Request) (*query, error) {
	q := &query{values: map[string][]string{}}
	body := map[string]any{}
	from := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	from.UseNumber()
	if err := from.Decode(&body); err != nil {
		return nil, bad("the body is no JSON object, too long, or too late")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // see ServeHTTP
	for name, v := range body {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			if v == nil || v == "" && (name == "id" || name == "ids") {
				return nil, bad("%s: empty", name)
			}
			q.values[name] = append(q.values[name], fmt.Sprint(v))
		}
		if len(list) == 0 {
			return nil, bad("%s: empty", name)
		}
	}
	return q, nil
}

func (d *Dashboard) logIn(w http.ResponseWriter, r *http.Request, q *query) error {
	if !d.gate.wanted {
		return nil
	}
	cookie, late := d.gate.logIn(r, q.text("password"))
	switch {
	case late:
		d.log.Warn("dashboard: too many wrong passwords", "from", r.RemoteAddr)
		w.Header().Set("Retry-After", strconv.Itoa(int(failWindow/time.Second)))
		return failure{http.StatusTooManyRequests, "too many wrong passwords: try again in ten minutes"}
	case cookie == "":
		d.log.Warn("dashboard: a wrong password", "from", r.RemoteAddr)
		return failure{http.StatusUnauthorized, "that is not the password"}
	}
	d.log.Info("dashboard: log-in", "from", r.RemoteAddr)
	setCookie(w, r, cookie)
	return nil
}

// about is what the page has to know first.
type about struct {
	In       bool   `json:"in"`
	Login    bool   `json:"login"` // there is a password
	Writable bool   `json:"writable"`
	Queues   bool   `json:"queues"`   // queues can be acted upon
	Sessions bool   `json:"sessions"` // sessions can be ended
	Token    string `json:"token,omitempty"`
	Every    int64  `json:"every"` // ms
}

func (d *Dashboard) me(token string, in bool) about {
	return about{
		In: in, Login: d.gate.wanted, Writable: d.o.Writable, Queues: d.o.Writable && d.o.Queue != nil,
		Sessions: d.o.Writable && d.o.Sessions != nil, Token: token, Every: d.o.Every.Milliseconds(),
	}
}

// reply writes JSON. An error's text is what the user needs to see: it is of this package, or what the store said.
func reply(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		var f failure
		switch {
		case errors.As(err, &f):
			status = f.status
		case errors.Is(err, store.ErrDenied):
			status = http.StatusForbidden
		case errors.Is(err, store.ErrInvalid):
			status = http.StatusBadRequest
		case errors.Is(err, context.DeadlineExceeded):
			status = http.StatusGatewayTimeout
		default:
			status = http.StatusBadGateway
		}
		v = map[string]any{"error": err.Error()}
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // whoever has left needs none
}

// query is what a request asks.
type query struct{ values map[string][]string }

func (q *query) text(name string) string {
	if v := q.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// bytes reads a parameter that may be any bytes, in URL-safe base64. It is required.
func (q *query) bytes(name string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(q.text(name))
	if err != nil || len(q.values[name]) == 0 {
		return "", bad("%s: want URL-safe base64 without padding", name)
	}
	return string(b), nil
}

// number reads a parameter between bounds; missing gives otherwise.
func (q *query) number(name string, least, most, otherwise int64) (int64, error) {
	s := q.text(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, bad("%s: want %d to %d", name, least, most)
	}
	return n, nil
}

// cursor reads SCAN's cursor; "" and "0" begin.
func (q *query) cursor() (string, error) {
	s := q.text("cursor")
	if s == "" {
		return "0", nil
	}
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return "", bad("cursor: want a number")
	}
	return s, nil
}
