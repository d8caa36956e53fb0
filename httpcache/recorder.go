package httpcache

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/observe"
)

// recorder stands between a handler and its client while a response may turn out to be worth storing. It decides when
// the status is known, and again when the body grows too large or is flushed:
//
//	undecided -> collecting   nothing is sent; the body is kept until the handler returns
//	          -> passing      everything goes to the client as it comes
//	          -> copying      so it does, and is kept too: a flushed body of known length
//	          -> validated    the origin said 304: its body, if any, is dropped and the stored response is the answer
//	          -> failing      the origin failed and the stored response stands in
//
// The handler writes into a header of its own, which begins as what is set around the cache already; only what the
// handler changed of it is stored.
type recorder struct {
	h   *handler
	w   http.ResponseWriter
	t   *target
	q   *request
	v   *view
	f   *flight // nil if nobody waits
	ctx context.Context

	before    http.Header // as it was set around the cache
	header    http.Header // the handler's
	requested time.Time
	validates bool   // the handler was asked with the stored response's validators
	why       string // for Cache-Status

	state    state
	status   int
	own      http.Header // what the handler had set when it gave the status
	at       time.Time   // when that was
	entry    *entry      // what may be stored
	body     strings.Builder
	declared int64 // Content-Length; negative if unknown
	spoilt   bool  // a copy that is not complete
	stored   bool
}

type state uint8

const (
	undecided state = iota
	collecting
	passing
	copying
	validated
	failing
	hijacked
)

// Header is the handler's own.
func (rec *recorder) Header() http.Header { return rec.header }

// Unwrap lets http.ResponseController reach what is wrapped, for deadlines and the like.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.w }

// WriteHeader decides what becomes of the response.
func (rec *recorder) WriteHeader(status int) {
	if rec.state != undecided {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		rec.interim(status)
		return
	}
	rec.status, rec.at, rec.own = status, rec.h.Clock.Now(), rec.changed()
	if n, err := strconv.ParseInt(rec.own.Get("Content-Length"), 10, 64); err == nil {
		rec.declared = n
	}
	switch {
	case rec.validates && status == http.StatusNotModified:
		rec.state = validated
		return
	case isFailure(status) && rec.h.mayServeOnError(&rec.q.asked, rec.v.entry, rec.at):
		rec.state = failing
		return
	}
	rec.entry = rec.h.judge(&rec.q.asked, rec.received(), max(rec.h.Heuristic, 0))
	if rec.entry == nil || rec.declared > int64(rec.h.MaxBody) {
		rec.pass()
		return
	}
	rec.state = collecting
}

func (rec *recorder) received() received {
	return received{rec.status, rec.own, rec.requested, rec.at}
}

// changed is what the handler set, or set anew, by canonical names: a handler may have written others into the map. Who
// says around the cache for whom a response is, and what it depends on, may have told the handler too by its ctx.
func (rec *recorder) changed() http.Header {
	own := make(http.Header, len(rec.header))
	for name, values := range rec.header {
		outer, set := rec.before[name]
		if set && slices.Equal(values, outer) && name != "Cache-Control" && name != "Vary" || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		own[name] = append(own[name], values...)
		if own[name] == nil {
			own[name] = []string{} // as Content-Type that is not to be guessed
		}
	}
	return own
}

// interim sends a 1xx response at once. It is not stored.
func (rec *recorder) interim(status int) {
	dst := rec.w.Header()
	outer := dst.Clone()
	replace(dst, rec.header)
	rec.w.WriteHeader(status)
	replace(dst, outer)
}

func replace(dst, src http.Header) {
	clear(dst)
	for name, values := range src {
		dst[name] = values
	}
}

// pass sends the head, and from here on all goes to the client. Those who wait are let go.
func (rec *recorder) pass() {
	rec.state = passing
	rec.sendHead()
	if rec.f != nil && tellsOthers(rec.status) {
		rec.h.hints.unstorable(rec.t.base, rec.at)
	}
	rec.h.release(rec.f, nil, "", false)
}

func (rec *recorder) sendHead() {
	dst := rec.w.Header()
	for name := range rec.before {
		if _, kept := rec.header[name]; !kept {
			delete(dst, name)
		}
	}
	for name, values := range rec.header {
		dst[name] = values
	}
	rec.h.announce(dst, outcome{forward: rec.why}, nil, rec.at)
	rec.w.WriteHeader(rec.status)
}

// giveUp sends what was collected and passes on the rest.
func (rec *recorder) giveUp() error {
	rec.pass()
	body := rec.body.String()
	rec.body.Reset()
	rec.entry = nil
	if body == "" {
		return nil
	}
	_, err := io.WriteString(rec.w, body)
	return err
}

// Write takes a part of the body.
func (rec *recorder) Write(p []byte) (int, error) {
	if rec.state == undecided {
		rec.WriteHeader(http.StatusOK)
	}
	switch rec.state {
	case validated, failing:
		return len(p), nil
	case collecting:
		if !bodyAllowed(rec.status) {
			return 0, http.ErrBodyNotAllowed
		}
		if rec.declared >= 0 && int64(rec.body.Len()+len(p)) > rec.declared {
			rec.spoilt = true // the client's connection will say so
		}
		if rec.body.Len()+len(p) <= rec.h.MaxBody && !rec.spoilt {
			rec.collect(p)
			return len(p), nil
		}
		if err := rec.giveUp(); err != nil {
			return 0, err
		}
	case copying:
		if rec.body.Len()+len(p) > rec.h.MaxBody {
			rec.spoilt = true
			rec.body.Reset()
		} else if !rec.spoilt {
			rec.collect(p)
		}
	default:
	}
	n, err := rec.w.Write(p)
	rec.spoilt = rec.spoilt || err != nil
	return n, err
}

func (rec *recorder) collect(p []byte) {
	if rec.body.Len() == 0 { // a handler may declare anything
		rec.body.Grow(max(int(min(rec.declared, int64(rec.h.MaxBody), mostAhead)), len(p)))
	}
	rec.body.Write(p)
}

// WriteString is Write.
func (rec *recorder) WriteString(s string) (int, error) { return rec.Write([]byte(s)) }

// ReadFrom lets what is wrapped copy by its own means once nothing is collected.
func (rec *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	if rec.state == undecided {
		rec.WriteHeader(http.StatusOK)
	}
	step := int64(32 << 10) // bytes
	if rec.declared >= 0 {
		step = min(step, rec.declared+1)
	}
	for buf := []byte(nil); rec.state != passing; {
		if buf == nil {
			buf = make([]byte, step)
		}
		read, err := src.Read(buf)
		if read > 0 {
			wrote, err := rec.Write(buf[:read])
			n += int64(wrote)
			if err != nil {
				return n, err
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	more, err := io.Copy(rec.w, src)
	return n + more, err
}

// Flush is FlushError.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError sends what there is to the client. A response that is flushed is a stream, and not stored, unless its
// length is known or Options.StoreFlushed says otherwise.
func (rec *recorder) FlushError() error {
	if rec.state == undecided {
		rec.WriteHeader(http.StatusOK)
	}
	switch rec.state {
	case validated, failing:
		return nil
	case collecting:
		if rec.declared < 0 && !rec.h.StoreFlushed {
			if err := rec.giveUp(); err != nil {
				return err
			}
			break
		}
		rec.state = copying
		rec.sendHead()
		rec.h.release(rec.f, nil, "", false)
		if rec.body.Len() > 0 {
			if _, err := io.WriteString(rec.w, rec.body.String()); err != nil {
				rec.spoilt = true
				return err
			}
		}
	default:
	}
	return http.NewResponseController(rec.w).Flush()
}

// Hijack hands the connection to the handler.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(rec.w).Hijack()
	if err == nil {
		rec.state = hijacked
		rec.h.release(rec.f, nil, "", false)
	}
	return conn, rw, err
}

// finish is called when the handler has returned. It tells how the request was answered.
func (rec *recorder) finish() string {
	if rec.state == undecided {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.state == collecting && !rec.complete() {
		_ = rec.giveUp() // the client may be gone
	}
	switch rec.state {
	case collecting:
		rec.store()
		whole := *rec.entry // what is not stored is still this client's
		whole.header = rec.own
		rec.respond(&whole, outcome{forward: rec.why})
	case copying:
		if rec.complete() {
			rec.store()
		}
		rec.trailers()
	case validated:
		rec.h.n.notModified.Add(1)
		rec.renewed()
		return resultRevalidated
	case failing:
		if _, nobody := rec.w.(*discard); !nobody {
			rec.h.n.staleHits.Add(1)
		}
		rec.h.release(rec.f, rec.v.entry, rec.t.place(rec.q, rec.v.entry.spec), true)
		rec.h.respond(rec.w, rec.q, rec.v.entry, outcome{forward: rec.why, status: rec.status, detail: "stale-if-error"})
		return observe.Stale
	default:
		rec.trailers()
	}
	return observe.Miss
}

// complete tells whether all of the body came. A handler whose ctx ended may have stopped anywhere.
func (rec *recorder) complete() bool {
	for name := range rec.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return false
		}
	}
	if rec.spoilt || rec.declared >= 0 && bodyAllowed(rec.status) && rec.declared != int64(rec.body.Len()) {
		return false
	}
	return rec.ctx.Err() == nil
}

// store makes the entry whole, tells those who wait, and stores it.
func (rec *recorder) store() {
	e := rec.entry
	e.body = rec.body.String()
	if _, set := rec.header["Content-Type"]; !set && e.body != "" && len(e.header["Content-Encoding"]) == 0 {
		const looksAt = 512 // bytes
		e.header["Content-Type"] = []string{http.DetectContentType([]byte(e.body[:min(looksAt, len(e.body))]))}
	}
	rec.publish(e)
}

// publish shares and stores an entry.
func (rec *recorder) publish(e *entry) {
	e.soft, e.generation, e.era = rec.v.soft, rec.v.generation, rec.v.era
	rec.f.publish(e, rec.t.place(rec.q, e.spec), false)
	if rec.h.keep(rec.ctx, rec.t, rec.q, rec.v.token, e) {
		rec.h.hints.storable(rec.t.base)
		rec.stored = true
	}
}

// renewed answers with the stored response that the origin said is still right.
func (rec *recorder) renewed() {
	e, storable := rec.h.freshen(&rec.q.asked, rec.v.entry, rec.received(), max(rec.h.Heuristic, 0))
	if storable {
		rec.publish(e)
	}
	rec.respond(e, outcome{forward: rec.why, status: http.StatusNotModified})
}

func (rec *recorder) respond(e *entry, o outcome) {
	dst := rec.w.Header()
	for name := range rec.before {
		if _, kept := rec.header[name]; !kept {
			delete(dst, name)
		}
	}
	o.stored = rec.stored
	rec.h.respond(rec.w, rec.q, e, o)
}

// trailers sends on what the handler set behind the body.
func (rec *recorder) trailers() {
	if rec.state != passing && rec.state != copying {
		return
	}
	dst := rec.w.Header()
	for _, name := range listOf(rec.header["Trailer"]...) {
		name = http.CanonicalHeaderKey(name)
		if values, set := rec.header[name]; set {
			dst[name] = values
		}
	}
	for name, values := range rec.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			dst[name] = values
		}
	}
}
