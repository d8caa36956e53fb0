package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// response is the ResponseWriter of a request with a session. It commits the session before the header goes out, because
// afterwards no cookie can be set; and, since a client that has its answer may come back at once, before its first byte.
//
// It is used by one goroutine, as every ResponseWriter.
type response struct {
	http.ResponseWriter
	m     *Manager
	r     *http.Request
	s     *Session
	token string // in the request's cookie

	committed bool
	failed    error // the commit's: the handler's response is discarded, OnError's was sent
}

// commit stores the session and sets the cookie, once.
func (w *response) commit() error {
	if w.committed {
		return w.failed
	}
	w.committed = true
	// A client that went away meanwhile wanted its log-out all the same.
	err := w.m.Save(context.WithoutCancel(w.r.Context()), w.s)
	if errors.Is(err, ErrGone) {
		err = nil // its log-out is another response's to tell, and a cookie may be new by now
	}
	if err != nil {
		w.failed = fmt.Errorf("session: the response is discarded: %w", err)
		w.s.seal()
		w.m.fail(w.ResponseWriter, w.r, err)
		return w.failed
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.sealed = true
	h := w.Header()
	h.Add("Vary", "Cookie")
	switch token := w.s.at.token; {
	case token != "" && token != w.token:
		w.m.setCookie(h, w.s, token)
	case w.s.cleared && w.s.at.id == "" && w.token != "":
		w.m.setCookie(h, w.s, "")
	}
	return nil
}

func (s *Session) seal() {
	s.mu.Lock()
	s.sealed = true
	s.mu.Unlock()
}

// finish stores what the handler changed last.
func (w *response) finish() {
	if !w.committed {
		_ = w.commit() // OnError was told
		return
	}
	if w.failed != nil {
		return
	}
	err := w.m.Save(context.WithoutCancel(w.r.Context()), w.s)
	if err != nil && !errors.Is(err, ErrGone) {
		w.m.fail(mute{w.ResponseWriter}, w.r, fmt.Errorf("session: %w: %w", ErrHeaderSent, err))
	}
}

// mute is a ResponseWriter for OnError after the response: it must not add to it.
type mute struct{ http.ResponseWriter }

func (mute) Header() http.Header         { return http.Header{} }
func (mute) Write(b []byte) (int, error) { return len(b), nil }
func (mute) WriteHeader(int)             {}

// WriteHeader commits before the header goes out. Informational ones, but for 101, are not the last.
func (w *response) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.commit() == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *response) Write(b []byte) (int, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

func (w *response) WriteString(s string) (int, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom lets the server use sendfile.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, src)
}

func (w *response) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	if err := w.commit(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack commits: who takes the connection over, sends the header (and Header's cookies) itself.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.commit(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController: deadlines and full duplex.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
