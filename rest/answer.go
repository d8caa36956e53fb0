package rest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// hurry bounds the time that the request's body may take, also where net/http reads what is left of it after a refusal.
func (s *Server) hurry(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.BodyTimeout)) // what has none is no network's
	}
}

// body reads the request's body, whose text words may be parts of.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (string, error) {
	switch {
	case r.Body == nil || r.ContentLength == 0:
		return "", nil
	case r.ContentLength > s.o.MaxRequest:
		return "", errTooLarge
	}
	for _, coding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return "", errCoding
		}
	}
	var text strings.Builder
	part := s.take()
	defer s.give(part)
	*part = slices.Grow(*part, readSize)[:readSize]
	for {
		n, err := r.Body.Read(*part)
		if int64(text.Len()+n) > s.o.MaxRequest {
			return "", errTooLarge
		}
		if left := int(r.ContentLength) - text.Len(); n < left && text.Cap() == 0 && left <= 1<<20 {
			text.Grow(left) // it comes in parts
		}
		text.Write((*part)[:n])
		if err == io.EOF || r.ContentLength >= 0 && int64(text.Len()) == r.ContentLength {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // it would end the request's context later
			return text.String(), nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "", errSlowBody
		}
		if err != nil {
			return "", err
		}
	}
}

var (
	errCoding   = errors.New("ERR Content-Encoding is not supported")
	errSlowBody = errors.New("ERR the body did not come in time")
)

// bodyStatus is the status for what was wrong with a body.
func bodyStatus(err error) int {
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errCoding):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, errSlowBody):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// readSize is how much of a body is read at once.
const readSize = 16 << 10

// take gives an empty buffer, which goes back by give or answer.
func (s *Server) take() *[]byte {
	b, _ := s.buffer.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

func (s *Server) give(b *[]byte) {
	if cap(*b) <= keepBuffer {
		s.buffer.Put(b)
	}
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, status int, err error) {
	b := s.take()
	*b = plain.appendReply(*b, store.Fail(err))
	s.answer(w, status, plain, b)
}

// answer writes a response.
func (s *Server) answer(w http.ResponseWriter, status int, f format, b *[]byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	if f == resp2 {
		h["Content-Type"] = bytesType
	}
	h[syncHeader] = s.syncToken()
	if len(*b) > shortBody {
		h["Content-Length"] = []string{strconv.Itoa(len(*b))}
	}
	h["Cache-Control"] = noStore
	h[wordsHeader] = takesBytes
	w.WriteHeader(status)
	_, _ = w.Write(*b) // who has left does not want to know
	s.give(b)
}

// shortBody is the length up to which net/http finds out the Content-Length itself, at less cost.
const shortBody = 2048

// syncToken is the value of the header of that name. While nothing is written it is the same.
func (s *Server) syncToken() []string {
	writes := s.writes.Load()
	if t := s.sync.Load(); t != nil && t.writes == writes {
		return t.value
	}
	t := &syncToken{writes, []string{s.run + ":" + strconv.FormatUint(writes, 36)}}
	s.sync.Store(t)
	return t.value
}

// syncToken is one that was made.
type syncToken struct {
	writes uint64
	value  []string
}

const syncHeader = "Upstash-Sync-Token"

// wordsHeader is Larder's own. In answers it says that strings of a request's JSON may hold any bytes; in a subscriber's request
// "base64" asks for names and payloads in base64, which events would spoil otherwise.
const wordsHeader = "Larder-Words"

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 1 << 20

// Values of headers, which are never changed.
var (
	jsonType  = []string{"application/json"}
	bytesType = []string{"application/octet-stream"}
	noStore   = []string{"no-store"}

	takesBytes = []string{"bytes"}
)
