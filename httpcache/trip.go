package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/larderdb/larder/observe"
)

// trip is a fetch from the origin on a goroutine of its own.
type trip struct {
	*transport
	t *target
	q *request
	v view
	f *flight

	out       *http.Request // to the origin
	caller    *http.Request // nil in the background
	validates bool
	why       string
	result    chan tripResult // to the caller
	gone      <-chan struct{} // closed when the caller is
	ahead     *spool          // once there is one
}

type tripResult struct {
	resp     *http.Response
	how      string
	err      error
	panicked any
}

func (rt *transport) trip(r *http.Request, t *target, q *request, v *view, f *flight) *trip {
	out := r.Clone(f.ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	tr := &trip{transport: rt, t: t, q: q, v: *v, f: f, out: out, result: make(chan tripResult), why: rt.reason(q, v, q.began)}
	tr.validates = v.entry.validators(out.Header)
	if tr.validates {
		rt.n.revalidations.Add(1)
	} else {
		rt.n.misses.Add(1)
	}
	return tr
}

// fetch asks the origin for all who wait, and waits for the head of its response.
func (rt *transport) fetch(r *http.Request, t *target, q *request, p *plan) (*http.Response, string, error) {
	f := p.flight
	if f == nil {
		f = solo(r.Context())
	}
	tr := rt.trip(r, t, q, &p.view, f)
	tr.caller, tr.gone = r, r.Context().Done()
	if !rt.background(tr.fly) {
		go tr.fly() // closed: whoever still asks is answered
	}
	select {
	case res := <-tr.result:
		if res.panicked != nil {
			panic(res.panicked)
		}
		return res.resp, res.how, res.err
	case <-r.Context().Done():
		rt.leave(f)
		return nil, "", r.Context().Err()
	}
}

// solo is a flight that nobody can join.
func solo(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{}), refs: 1}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return f
}

// refresh fetches in the background, unless that is under way.
func (rt *transport) refresh(r *http.Request, t *target, q *request, v *view) {
	f := rt.lead(r.Context(), t.base, v)
	if f == nil {
		return
	}
	later := r.Clone(f.ctx)
	later.Method = http.MethodGet
	unconditional(later.Header)
	again := *q
	again.header, again.method, again.began = later.Header, http.MethodGet, rt.Clock.Now()
	tr := rt.trip(later, t, &again, v, f)
	closed := make(chan struct{})
	close(closed)
	tr.gone = closed
	ok := rt.background(func() {
		stop := context.AfterFunc(rt.ctx, f.cancel)
		defer stop()
		rt.n.background.Add(1)
		tr.fly()
	})
	if !ok {
		rt.land(f)
	}
}

// tell gives the caller its response; false if the caller is gone.
func (tr *trip) tell(res tripResult) bool {
	if tr.caller == nil {
		return false
	}
	select {
	case tr.result <- res:
		return true
	case <-tr.gone:
		return false
	}
}

// fly asks, decides, and reads the body of what may be stored to its end.
func (tr *trip) fly() {
	defer tr.land(tr.f)
	defer tr.recovered()
	requested := tr.Clock.Now()
	resp, err := tr.ask(tr.out)
	now := tr.Clock.Now()
	failed := err != nil && !errors.Is(err, context.Canceled) || err == nil && isFailure(resp.StatusCode)
	if failed && tr.mayServeOnError(&tr.q.asked, tr.v.entry, now) {
		tr.standIn(resp)
		return
	}
	if err != nil {
		tr.release(tr.f, nil, "", false)
		tr.tell(tripResult{err: err})
		return
	}
	head := received{resp.StatusCode, resp.Header, requested, now}
	if tr.validates && resp.StatusCode == http.StatusNotModified {
		tr.renewed(resp, head)
		return
	}
	e := tr.judge(&tr.q.asked, head, tr.share)
	if e == nil || resp.ContentLength > int64(tr.MaxBody) || len(resp.Trailer) > 0 || endless(resp) {
		tr.handOver(resp)
		return
	}
	tr.collect(resp, e)
}

// recovered hands a panic of the origin's RoundTripper to the caller, on whose goroutine it would have been.
func (tr *trip) recovered() {
	p := recover()
	if p == nil {
		return
	}
	tr.release(tr.f, nil, "", false)
	if tr.ahead != nil { // the caller has its response
		tr.ahead.end(fmt.Errorf("httpcache: the origin's body panicked: %v", p))
	} else if tr.tell(tripResult{panicked: p}) {
		return
	}
	tr.panicked(tr.f.ctx, p)
}

// endless tells whether a body ends where the connection does: whether it is complete nobody knows.
func endless(resp *http.Response) bool {
	return resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && !resp.Uncompressed
}

// standIn answers with the stored response in place of an origin that failed.
func (tr *trip) standIn(resp *http.Response) {
	o := outcome{forward: tr.why, detail: "stale-if-error"}
	if resp != nil {
		o.status = resp.StatusCode
		resp.Body.Close()
	}
	tr.release(tr.f, tr.v.entry, tr.t.place(tr.q, tr.v.entry.spec), true)
	if tr.caller != nil {
		tr.n.staleHits.Add(1)
		tr.tell(tripResult{resp: tr.respond(tr.caller, tr.q, tr.v.entry, o), how: observe.Stale}) //nolint:bodyclose // the caller's to close
	}
}

// renewed answers with the stored response that the origin said is still right.
func (tr *trip) renewed(resp *http.Response, head received) {
	resp.Body.Close()
	tr.n.notModified.Add(1)
	e, storable := tr.freshen(&tr.q.asked, tr.v.entry, head, tr.share)
	o := outcome{forward: tr.why, status: http.StatusNotModified}
	if storable {
		o.stored = tr.publish(e)
	}
	if tr.caller != nil {
		tr.tell(tripResult{resp: tr.respond(tr.caller, tr.q, e, o), how: resultRevalidated}) //nolint:bodyclose // the caller's to close
	}
}

// publish shares and stores an entry.
func (tr *trip) publish(e *entry) bool {
	e.soft, e.generation, e.era = tr.v.soft, tr.v.generation, tr.v.era
	tr.f.publish(e, tr.t.place(tr.q, e.spec), false)
	if !tr.keep(tr.f.ctx, tr.t, tr.q, tr.v.token, e) {
		return false
	}
	tr.hints.storable(tr.t.base)
	return true
}

// handOver gives the caller a response that is not stored. From here on only the caller counts.
func (tr *trip) handOver(resp *http.Response) {
	if tr.f.key != "" && tellsOthers(resp.StatusCode) {
		tr.hints.unstorable(tr.t.base, tr.Clock.Now())
	}
	tr.release(tr.f, nil, "", false)
	tr.announce(resp.Header, outcome{forward: tr.why}, nil, tr.Clock.Now())
	if tr.caller == nil {
		resp.Body.Close()
		return
	}
	resp.Request = tr.caller
	if resp.Body == http.NoBody {
		tr.tell(tripResult{resp: resp, how: observe.Miss})
		return
	}
	body := &owned{ReadCloser: resp.Body, done: make(chan struct{})}
	resp.Body = body
	if !tr.tell(tripResult{resp: resp, how: observe.Miss}) {
		body.ReadCloser.Close()
		return
	}
	// The fetch's ctx has to last as long as the body is read, and to end with the caller's.
	select {
	case <-body.done:
	case <-tr.caller.Context().Done():
	}
}

// owned tells when a body is done with.
type owned struct {
	io.ReadCloser
	once sync.Once
	done chan struct{}
}

// Read tells at the end.
func (b *owned) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(func() { close(b.done) })
	}
	return n, err
}

// Close tells.
func (b *owned) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { close(b.done) })
	return err
}

// collect reads a body, ahead of the caller, and stores it with its head.
func (tr *trip) collect(resp *http.Response, e *entry) {
	s := &spool{more: make(chan struct{}, 1), ctx: tr.f.ctx, origin: resp}
	tr.announce(resp.Header, outcome{forward: tr.why}, nil, tr.Clock.Now())
	if tr.caller != nil {
		given := *resp
		given.Request, given.Body = tr.caller, s
		s.ctx, s.leave, s.given = tr.caller.Context(), func() { tr.leave(tr.f) }, &given
		if !tr.tell(tripResult{resp: &given, how: observe.Miss}) && tr.abandoned(tr.f) {
			resp.Body.Close()
			return
		}
	}
	tr.ahead = s
	body, err := s.fill(resp.Body, tr.MaxBody)
	switch {
	case err == nil && whole(resp, len(body)):
		e.body = string(body)
		tr.publish(e)
		s.end(io.EOF)
		resp.Body.Close()
	case errors.Is(err, errTooLarge):
		tr.hints.unstorable(tr.t.base, tr.Clock.Now())
		tr.release(tr.f, nil, "", false)
		tr.drain(s, resp.Body)
	default:
		tr.release(tr.f, nil, "", false)
		if err == nil {
			err = io.EOF
		}
		s.end(err)
		resp.Body.Close()
	}
}

// whole tells whether a body that has ended is all that its response announced, and nothing came after it.
func whole(resp *http.Response, size int) bool {
	said, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64)
	if err == nil && said != int64(size) && !resp.Uncompressed {
		return false
	}
	return len(resp.Trailer) == 0 && (resp.ContentLength < 0 || resp.ContentLength == int64(size))
}

// drain lets the caller read the rest of a body itself, and waits until it has.
func (tr *trip) drain(s *spool, rest io.ReadCloser) {
	if tr.caller == nil {
		rest.Close()
		return
	}
	body := &owned{ReadCloser: rest, done: make(chan struct{})}
	if !s.hand(body) {
		rest.Close()
		return
	}
	select {
	case <-body.done:
	case <-tr.caller.Context().Done():
	}
}
