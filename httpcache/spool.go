package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
)

// errTooLarge is the end of a spool's patience.
var errTooLarge = errors.New("the body is larger than what is stored")

// spool is a body that is read ahead of its reader, so that a slow reader keeps nobody waiting who wants the same. One
// goroutine fills it, one reads. When the body turns out too large the reader gets the rest from the origin itself.
type spool struct {
	ctx   context.Context // the reader's
	leave func()          // called once when the reader closes it
	more  chan struct{}   // holds one: something has changed

	origin, given *http.Response // as it came, and as the reader has it, whose Trailer is the reader's to set

	mu     sync.Mutex // guards the rest
	buf    []byte
	off    int   // what the reader has
	err    error // after buf: io.EOF, or what went wrong
	rest   io.ReadCloser
	closed bool
}

// Bytes to begin with: what the origin announces, but it may announce anything.
const (
	leastAhead = 4 << 10
	mostAhead  = 64 << 10
)

// fill reads src to its end, or until there are more than most bytes. Nobody else changes buf.
func (s *spool) fill(src io.Reader, most int) ([]byte, error) {
	first := leastAhead
	if n := s.origin.ContentLength; n >= 0 {
		first = int(min(n+1, mostAhead)) // one more to read the end into
	}
	s.grow(first)
	for {
		if len(s.buf) == cap(s.buf) {
			s.grow(len(s.buf))
		}
		spare := s.buf[len(s.buf):cap(s.buf)]
		if room := most - len(s.buf); room < len(spare) {
			spare = spare[:room+1]
		}
		n, err := src.Read(spare)
		s.mu.Lock()
		s.buf = s.buf[:len(s.buf)+n]
		s.mu.Unlock()
		s.signal()
		switch {
		case len(s.buf) > most:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return s.buf, nil
		case err != nil:
			return nil, err
		}
	}
}

func (s *spool) grow(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = slices.Grow(s.buf, by)
}

func (s *spool) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// end says that there is no more.
func (s *spool) end(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.signal()
}

// hand gives the reader the rest; false if it has left.
func (s *spool) hand(rest io.ReadCloser) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.rest = rest
	s.signal()
	return true
}

// Read waits for more.
func (s *spool) Read(p []byte) (int, error) {
	n, err := s.read(p)
	if errors.Is(err, io.EOF) {
		s.given.Trailer = s.origin.Trailer // they come with the end of the body
	}
	return n, err
}

func (s *spool) read(p []byte) (int, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return 0, errors.New("httpcache: read on a closed body")
		}
		if s.off < len(s.buf) {
			n := copy(p, s.buf[s.off:])
			s.off += n
			s.mu.Unlock()
			return n, nil
		}
		err, rest := s.err, s.rest
		s.mu.Unlock()
		if rest != nil {
			return rest.Read(p)
		}
		if err != nil || len(p) == 0 {
			return 0, err
		}
		select {
		case <-s.more:
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
}

// Close lets the fetch go on for others, or ends it.
func (s *spool) Close() error {
	s.mu.Lock()
	first, rest := !s.closed, s.rest
	s.closed = true
	s.mu.Unlock()
	if first && s.leave != nil {
		s.leave()
	}
	if rest != nil {
		return rest.Close()
	}
	return nil
}
