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
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// pipeline sends commands by POST /pipeline and reads one reply for each.
func (s *Store) pipeline(ctx context.Context, cmds []store.Cmd) []store.Reply {
	body, err := s.ask(ctx, request{path: "/pipeline", body: appendCommands(nil, cmds), reads: reads(cmds)})
	if err != nil {
		return failAll(len(cmds), err)
	}
	replies, err := decodeList(body)
	if err == nil && len(replies) != len(cmds) {
		err = fmt.Errorf("kvstore: %w: %d replies to %d commands", store.ErrReply, len(replies), len(cmds))
	}
	if err != nil {
		return failAll(len(cmds), err)
	}
	return replies
}

// exec sends commands by POST /multi-exec.
func (s *Store) exec(ctx context.Context, cmds []store.Cmd) ([]store.Reply, error) {
	body, err := s.ask(ctx, request{path: "/multi-exec", body: appendCommands(nil, cmds), reads: reads(cmds)})
	if err != nil {
		return nil, err
	}
	replies, err := decodeList(body)
	if err == nil && len(replies) != len(cmds) {
		err = fmt.Errorf("kvstore: %w: %d replies to %d commands", store.ErrReply, len(replies), len(cmds))
	}
	return replies, err
}

// single sends a command with its words in the path and the last one as the body, which takes any bytes.
func (s *Store) single(ctx context.Context, cmd store.Cmd) store.Reply {
	last := cmd[len(cmd)-1]
	words := cmd[:len(cmd)-1]
	if last == "" || len(cmd) == 1 {
		words, last = cmd, ""
	}
	var path strings.Builder
	for _, w := range words {
		path.WriteByte('/')
		path.WriteString(url.PathEscape(w))
	}
	if words[len(words)-1] == "" {
		path.WriteByte('/') // a slash at the end counts for nothing
	}
	body, err := s.ask(ctx, request{path: path.String(), body: []byte(last), reads: store.TraitsOf(cmd).Reads})
	if err != nil {
		return store.Fail(err)
	}
	r, err := decodeOne(body)
	if err != nil {
		return store.Fail(err)
	}
	return r
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
	reads bool // it may be repeated
}

const maxAnswer = 1 << 30 // bytes

// ask makes a request, repeats it where that is safe, and gives the body of the answer. What the server refused as a whole is
// an error.
func (s *Store) ask(ctx context.Context, r request) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		body, err := s.once(ctx, r)
		var failed *unanswered
		if err == nil || !errors.As(err, &failed) {
			return body, err
		}
		if !(r.reads || failed.unsent) || attempt > s.cfg.Retries || !s.pause(ctx, time.Duration(attempt)*50*time.Millisecond) {
			return nil, failed.err
		}
	}
}

// unanswered is a request that got no answer.
type unanswered struct {
	err    error
	unsent bool // the server certainly has not seen it
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

func (s *Store) once(ctx context.Context, r request) ([]byte, error) {
	resp, err := s.send(ctx, r, "application/json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &unanswered{err: s.lost(ctx, err)}
	}
	if token := resp.Header.Get("Upstash-Sync-Token"); token != "" {
		s.sync.Store(&token)
	}
	if resp.Header.Get(wordsHeader) != "" {
		s.bytes.Store(true)
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	return nil, refusalOf(resp.StatusCode, body)
}

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
		return nil, &unanswered{s.lost(ctx, err), errors.As(err, &dial) && dial.Op == "dial"}
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

// refusalOf is the error of a status that is not 200.
func refusalOf(status int, body []byte) error {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		answer.Error = http.StatusText(status)
	}
	refused := serverError(answer.Error)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("kvstore: %w: %w", store.ErrDenied, refused)
	case status == http.StatusNotImplemented:
		return fmt.Errorf("kvstore: %w: %w", store.ErrUnsupported, refused)
	case status == http.StatusTooManyRequests, status >= 500:
		return &unanswered{fmt.Errorf("kvstore: %w: %d %w", store.ErrUnavailable, status, refused), false}
	case status == http.StatusNotFound:
		return fmt.Errorf("kvstore: %w: is this the address of a REST API? %w", store.ErrUnsupported, refused)
	}
	return refused
}

// serverError is an error as Redis words it: with a code in front.
func serverError(text string) store.ServerError {
	if code, _, _ := strings.Cut(text, " "); code == "" || strings.ToUpper(code) != code {
		return store.ServerError("ERR " + text)
	}
	return store.ServerError(text)
}
