package kvstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// pipeline sends the commands of a batch by POST /pipeline and reads one reply for each.
func (s *Store) pipeline(ctx context.Context, one *batch) []store.Reply {
	replies, err := s.askList(ctx, request{path: "/pipeline", body: one.body(), reads: !one.writes}, one.commands)
	if err != nil {
		return failAll(one.commands, err)
	}
	return replies
}

// exec sends commands by POST /multi-exec.
func (s *Store) exec(ctx context.Context, cmds []store.Cmd) ([]store.Reply, error) {
	body := append(appendCommands([]byte{'['}, cmds), ']')
	return s.askList(ctx, request{path: "/multi-exec", body: body, reads: reads(cmds)}, len(cmds))
}

// askList makes a request whose answer has n replies.
func (s *Store) askList(ctx context.Context, r request, n int) (replies []store.Reply, err error) {
	r.read = func(body string) (err error) {
		replies, err = decodeList(body, n)
		return err
	}
	if err := s.ask(ctx, r); err != nil {
		return nil, err
	}
	if len(replies) != n {
		return nil, fmt.Errorf("kvstore: %w: %d replies to %d commands", store.ErrReply, len(replies), n)
	}
	return replies, nil
}

// single sends a command that has words which are no UTF-8: those before its longest word in the path, that one as the body,
// which takes any bytes, and those after it in the query.
func (s *Store) single(ctx context.Context, cmd store.Cmd) store.Reply {
	path, body := pathOf(cmd)
	var reply store.Reply
	r := request{path: path, body: []byte(body), reads: store.TraitsOf(cmd).Reads}
	r.read = func(body string) (err error) {
		reply, err = decodeOne(body)
		return err
	}
	if err := s.ask(ctx, r); err != nil {
		return store.Fail(err)
	}
	return reply
}

// pathOf words a command as a path with a query, and a body.
func pathOf(cmd store.Cmd) (path, body string) {
	at := 0 // of the body
	for i := 1; i < len(cmd); i++ {
		if at == 0 || len(cmd[i]) >= len(cmd[at]) {
			at = i
		}
	}
	for _, w := range cmd[min(at+1, len(cmd)):] {
		if w == "" || w == "_token" { // which count for nothing in a query
			at = len(cmd) - 1
			break
		}
	}
	words, after := cmd, store.Cmd(nil)
	if at > 0 && cmd[at] != "" {
		words, body, after = cmd[:at], cmd[at], cmd[at+1:]
	}
	var b strings.Builder
	for _, w := range words {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(w))
	}
	if words[len(words)-1] == "" {
		b.WriteByte('/') // a slash at the end counts for nothing
	}
	for i, w := range after {
		b.WriteByte("?=&"[min(i, 1+(i+1)%2)])
		b.WriteString(url.QueryEscape(w))
	}
	return b.String(), body
}

func reads(cmds []store.Cmd) bool {
	for _, c := range cmds {
		if !store.TraitsOf(c).Reads {
			return false
		}
	}
	return true
}

// request is a POST.
type request struct {
	path  string // escaped
	body  []byte
	reads bool                    // it may be repeated
	read  func(body string) error // reads an answer; an error says that it is none
}

const maxAnswer = 1 << 30 // bytes

// ask makes a request, and repeats it where that is safe. What the server refused as a whole is an error.
func (s *Store) ask(ctx context.Context, r request) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, r)
		var failed *unanswered
		if err == nil || !errors.As(err, &failed) {
			return err
		}
		wait := max(time.Duration(attempt)*50*time.Millisecond, failed.after)
		if !(r.reads || failed.unsent) || attempt > s.cfg.Retries || !s.lasts(ctx, wait) || !s.pause(ctx, wait) {
			return failed.err
		}
	}
}

// lasts tells whether ctx will not end in this time.
func (s *Store) lasts(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > d
}

// unanswered is a request that got no answer.
type unanswered struct {
	err    error
	unsent bool          // the server certainly has not run it
	after  time.Duration // before then there is no use in asking again
}

func (e *unanswered) Error() string { return e.err.Error() }
func (e *unanswered) Unwrap() error { return e.err }

// pause waits; false if ctx or the Store ends before.
func (s *Store) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.life.Done():
	}
	return false
}

func (s *Store) once(ctx context.Context, r request) error {
	known := s.sync.Load()
	resp, err := s.send(ctx, r, "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength > maxAnswer { // to ask again brings the same
		return fmt.Errorf("kvstore: %s: %w: an answer of %d bytes; the most is %d", s.base.Host, store.ErrReply, resp.ContentLength, maxAnswer)
	}
	var text bytes.Buffer
	text.Grow(int(min(max(resp.ContentLength, 0), 1<<20)) + bytes.MinRead)
	if _, err := text.ReadFrom(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return &unanswered{err: s.lost(ctx, err)}
	}
	body := text.String()
	if token := resp.Header.Get("Upstash-Sync-Token"); token != "" {
		if r.reads { // one that a write has brought meanwhile is newer
			s.sync.CompareAndSwap(known, &token)
		} else {
			s.sync.Store(&token)
		}
	}
	if resp.Header.Get(wordsHeader) != "" {
		s.bytes.Store(true)
	}
	if resp.StatusCode != http.StatusOK {
		return s.refusalOf(resp, []byte(body), len(r.body))
	}
	if err := r.read(body); err != nil {
		// A proxy's page, or half an answer: the server may have run it. It is no store.ErrReply, which would be for good.
		return &unanswered{err: fmt.Errorf("kvstore: %s: %w: the answer, of type %q, is not of a REST API: %v",
			s.base.Host, store.ErrUnavailable, clip(resp.Header.Get("Content-Type")), err)} //nolint:errorlint // see above
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), 100)] }

// wordsHeader is of answers of a server that takes bytes in JSON strings, whether they are UTF-8 or not; and that sends names and
// payloads of events in base64 to who asks for it by the same header.
const wordsHeader = "Larder-Words"

const eventStream = "text/event-stream"

// send makes a request; the response's body is the caller's to close.
func (s *Store) send(ctx context.Context, r request, accept string) (*http.Response, error) {
	target := *s.base
	target.RawPath = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String()+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("kvstore: %w: %w", store.ErrInvalid, err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	req.Header.Set("Upstash-Encoding", "base64")
	if accept == eventStream {
		req.Header.Set(wordsHeader, "base64")
	}
	if token := s.sync.Load(); token != nil {
		req.Header.Set("Upstash-Sync-Token", *token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var dial *net.OpError
		return nil, &unanswered{err: s.lost(ctx, err), unsent: errors.As(err, &dial) && dial.Op == "dial"}
	}
	return resp, nil
}

// lost words a failure without an answer.
func (s *Store) lost(ctx context.Context, err error) error {
	if over := s.over(ctx); over != nil {
		return over
	}
	var inner *url.Error
	if errors.As(err, &inner) { // which would show the URL, with a token in a query
		err = inner.Err
	}
	return fmt.Errorf("kvstore: %s: %w", s.base.Host, store.Unavailable(err))
}

// refusalOf is the error of an answer whose status is not 200, to a request with a body of so many bytes.
func (s *Store) refusalOf(resp *http.Response, body []byte, size int) error {
	var answer struct {
		Error string `json:"error"`
	}
	status := resp.StatusCode
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		answer.Error = http.StatusText(status)
	}
	refused := serverError(answer.Error)
	wrong := func(class error, hint string) error {
		return fmt.Errorf("kvstore: %s: %w: %s: %w", s.base.Host, class, hint, refused)
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return wrong(store.ErrDenied, "the server does not know the token, or does not let it do this")
	case status >= 300 && status < 400:
		return wrong(store.ErrUnsupported, "the URL leads on to "+strconv.Quote(clip(resp.Header.Get("Location")))+": use that one if it is a REST API")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return wrong(store.ErrUnsupported, "is this the address of a REST API?")
	case status == http.StatusNotImplemented:
		return wrong(store.ErrUnsupported, "what is behind this REST API cannot do it")
	case status == http.StatusRequestEntityTooLarge:
		return wrong(store.ErrInvalid, fmt.Sprintf("the server takes no request of %d bytes: split the value, or raise its limit", size))
	case status == http.StatusTooManyRequests: // which it has not looked at
		return &unanswered{fmt.Errorf("kvstore: %s: %w: %d %w", s.base.Host, store.ErrUnavailable, status, refused), true, retryAfter(resp.Header)}
	case status >= 500:
		return &unanswered{fmt.Errorf("kvstore: %s: %w: %d %w", s.base.Host, store.ErrUnavailable, status, refused), false, retryAfter(resp.Header)}
	}
	return refused
}

// retryAfter reads that header: seconds, or a date, of which nobody knows by whose clock.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// serverError is an error as Redis words it: with a code in front.
func serverError(text string) store.ServerError {
	if code, _, _ := strings.Cut(text, " "); code == "" || strings.ToUpper(code) != code {
		return store.ServerError("ERR " + text)
	}
	return store.ServerError(text)
}
