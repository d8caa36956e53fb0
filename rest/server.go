package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/store"
)

// Server answers HTTP requests. Make one with Handler.
type Server struct {
	o      Options
	users  []user
	gate   gate
	hub    hub
	run    string        // tells one Server from another, in sync tokens
	writes atomic.Uint64 // requests that may have changed something
	sync   atomic.Pointer[syncToken]
	buffer sync.Pool // of *[]byte

	requests, refused atomic.Uint64
	ctx               context.Context // ends with Close
	end               context.CancelFunc
}

// Handler makes a Server, which is an http.Handler, in front of st. It asks nothing of the Store yet, and never closes it. Options
// that make no sense, above all those without a token, are store.ErrInvalid.
//
// A request costs what its commands cost, and O(length) for reading them and writing the reply.
func Handler(st store.Store, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{o: o}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	s.run = hex.EncodeToString(id[:])
	s.buffer.New = func() any { return new([]byte) }
	s.ctx, s.end = context.WithCancel(context.Background())
	s.gate.st = st
	s.hub.o, s.hub.ctx = &s.o, s.ctx
	s.addUsers(st)
	return s, nil
}

// Close ends all subscriptions, so that http.Server.Shutdown need not wait for them. The Store stays open.
func (s *Server) Close() error {
	s.end()
	return nil
}

// Stats are counters since the start.
type Stats struct {
	Requests    uint64 // answered
	Refused     uint64 // for want of a token that is known
	Subscribers int    // at the moment
	Slow        uint64 // subscribers that were disconnected because they did not read
}

// Stats is a snapshot.
func (s *Server) Stats() Stats {
	return Stats{
		Requests: s.requests.Load(), Refused: s.refused.Load(),
		Subscribers: int(s.hub.count.Load()), Slow: s.hub.slow.Load(),
	}
}

// ServeHTTP answers a request; see the package for which there are. A streaming one lasts until the client leaves, falls too far
// behind, or Close.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.hurry(w, r)
	if s.cors(w, r) {
		return
	}
	switch r.Method {
	case http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut:
	default:
		w.Header().Set("Allow", "HEAD, GET, POST, PUT")
		s.fail(w, http.StatusMethodNotAllowed, errors.New("ERR method not allowed"))
		return
	}
	u, err := s.authorize(r)
	switch {
	case errors.Is(err, errNoToken):
		s.refused.Add(1)
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.fail(w, http.StatusUnauthorized, err)
		return
	case err != nil:
		s.fail(w, statusOf(err), err)
		return
	}
	f, err := formatOf(r)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, bodyStatus(err), err)
		return
	}
	switch first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/"); {
	case first == "pipeline" && rest == "":
		s.pipeline(w, r, u, f, body)
	case first == "multi-exec" && rest == "":
		s.transaction(w, r, u, f, body)
	case first == "subscribe", first == "psubscribe", first == "monitor":
		s.stream(w, r, u, first, rest)
	default:
		s.command(w, r, u, f, body)
	}
}

var errFormat = errors.New("ERR Upstash-Response-Format resp2 cannot be combined with base64")

func formatOf(r *http.Request) (format, error) {
	base64 := strings.EqualFold(r.Header.Get("Upstash-Encoding"), "base64")
	if strings.EqualFold(r.Header.Get("Upstash-Response-Format"), "resp2") {
		if base64 {
			return plain, errFormat
		}
		return resp2, nil
	}
	if base64 {
		return encode, nil
	}
	return plain, nil
}

// command runs the command of a path, or of a JSON array.
func (s *Server) command(w http.ResponseWriter, r *http.Request, u *user, f format, body string) {
	words, err := pathWords(r, body)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	reply, wrote := s.do(r.Context(), u, words)
	if wrote {
		s.writes.Add(1)
	}
	b := s.take()
	*b = f.appendReply(*b, reply)
	s.answer(w, statusOf(reply.Err()), f, b)
}

// do runs a command, if it may be.
func (s *Server) do(ctx context.Context, u *user, words []string) (reply store.Reply, wrote bool) {
	v := s.gate.judge(ctx, words, u.readOnly)
	switch {
	case v.err != nil:
		return store.Fail(v.err), v.write
	case v.done:
		return v.reply, v.write
	}
	return u.shaped(ctx, words, u.st.Do(ctx, sentAs(words)...)), v.write
}

// pipeline runs commands in order.
func (s *Server) pipeline(w http.ResponseWriter, r *http.Request, u *user, f format, body string) {
	list, err := (&scanner{b: body}).commands(s.o.MaxPipeline)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	b, wrote := s.take(), false
	*b = f.begin(*b)
	several := batch
	if store.InProcess(u.st) { // no round trips are saved, and the replies of many commands may be large together
		several = 1
	}
	for done := 0; done < len(list); {
		part := list[done:min(done+several, len(list))]
		replies, changed := s.runAll(r.Context(), u, part, len(*b) < s.o.MaxResponse)
		*b = f.appendReplies(*b, replies, done > 0)
		done, wrote = done+len(part), wrote || changed
	}
	*b = f.end(*b)
	if wrote {
		s.writes.Add(1)
	}
	s.answer(w, http.StatusOK, f, b)
}

// batch is how many commands of a pipeline go over a network together, before the size of their replies is looked at.
const batch = 256

var errResponse = store.ServerError("ERR max response size exceeded")

// runAll runs the commands that may be, if there is room for their replies.
func (s *Server) runAll(ctx context.Context, u *user, list []store.Cmd, room bool) (replies []store.Reply, wrote bool) {
	if !room {
		replies = make([]store.Reply, len(list))
		for i := range replies {
			replies[i] = store.Fail(errResponse)
		}
		return replies, false
	}
	if len(list) == 1 {
		reply, wrote := s.do(ctx, u, list[0])
		return []store.Reply{reply}, wrote
	}
	cmds := make([]store.Cmd, 0, len(list))
	settled := make(map[int]store.Reply) // what is not for the Store
	for i, words := range list {
		v := s.gate.judge(ctx, words, u.readOnly)
		switch {
		case v.err != nil:
			settled[i] = store.Fail(v.err)
		case v.done:
			settled[i] = v.reply
		default:
			cmds = append(cmds, sentAs(words))
		}
		wrote = wrote || v.write
	}
	if len(cmds) > 0 {
		replies = u.st.Pipe(ctx, cmds...)
	}
	if len(settled) > 0 {
		given := replies
		replies = make([]store.Reply, len(list))
		for i := range list {
			r, ok := settled[i]
			if !ok {
				r, given = given[0], given[1:]
			}
			replies[i] = r
		}
	}
	for i, words := range list {
		if _, ok := settled[i]; !ok {
			replies[i] = u.shaped(ctx, words, replies[i])
		}
	}
	return replies, wrote
}

var (
	errNoTransactions = errors.New("ERR this store has no transactions")
	errNoRESP2        = errors.New("ERR Upstash-Response-Format resp2 is not for /multi-exec")
)

// transaction runs commands as one.
func (s *Server) transaction(w http.ResponseWriter, r *http.Request, u *user, f format, body string) {
	tx, ok := u.st.(store.Transactor)
	if !ok {
		s.fail(w, http.StatusNotImplemented, errNoTransactions)
		return
	}
	list, err := (&scanner{b: body}).commands(s.o.MaxPipeline)
	if err == nil && f == resp2 {
		err = errNoRESP2
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	cmds := make([]store.Cmd, len(list))
	wrote := false
	for i, words := range list {
		v := s.gate.judge(r.Context(), words, u.readOnly)
		switch {
		case v.err != nil:
			s.fail(w, http.StatusBadRequest, store.ServerError("EXECABORT Transaction discarded because of: "+errorText(v.err)))
			return
		case v.done:
			words = []string{"ECHO", "OK"} // its place has to be kept
		}
		cmds[i], wrote = sentAs(words), wrote || v.write
	}
	var replies []store.Reply
	if len(cmds) > 0 {
		if replies, err = tx.Transaction(r.Context(), cmds...); err != nil {
			s.fail(w, statusOf(err), err)
			return
		}
		for i := range replies {
			replies[i] = u.shaped(r.Context(), list[i], replies[i])
		}
	}
	if wrote {
		s.writes.Add(1)
	}
	b := s.take()
	*b = f.end(f.appendReplies(f.begin(*b), replies, false))
	s.answer(w, http.StatusOK, f, b)
}

// statusOf is the status for a command's error.
func statusOf(err error) int {
	var refused store.ServerError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &refused) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrUnsupported):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
