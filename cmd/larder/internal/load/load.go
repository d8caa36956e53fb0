// Package load drives an HTTP server with many requests over keep-alive connections and measures what comes back.
//
// Each connection is a closed loop: it asks, waits for the whole answer, and asks again, so the server is never more
// than Connections requests behind and is measured at the rate it can sustain. The client writes requests and reads
// answers itself instead of through http.Client, because driver and server share the machine and every microsecond
// spent here is missing there; what goes over the socket is ordinary HTTP/1.1.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Request is one GET.
type Request struct {
	Path   string
	Client string // address of the simulated client, sent as X-Forwarded-For as a reverse proxy would
}

// Options says what to do. All fields but Progress must be set.
type Options struct {
	Addr        string
	Connections int
	Duration    time.Duration
	MaxRequests int64                               // stop earlier once so many have been sent
	Source      func(connection int) func() Request // makes the requests of one connection; called from its goroutine
	Progress    func(done float64, answered int64)  // told several times a second, from one goroutine
}

// Result is what was measured.
type Result struct {
	Served  int64 // answered with 200
	Refused int64 // answered with 429
	Failed  int64 // anything else
	Failure error // what the first of them was
	Elapsed time.Duration
	Latency Histogram // of the served requests, from sending to the last byte
}

// Rate is served requests a second.
func (r *Result) Rate() float64 { return float64(r.Served) / r.Elapsed.Seconds() }

const requestTimeout = 10 * time.Second

// Run sends requests until the time or the number is up. It returns an error only if ctx ends first; requests that
// fail are counted in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	start := time.Now()
	loading, stop := context.WithTimeout(ctx, o.Duration)
	defer stop()
	var sent, answered atomic.Int64
	results := make([]Result, o.Connections)
	var workers sync.WaitGroup
	for i := range results {
		workers.Go(func() {
			next := o.Source(i)
			c := connection{addr: o.Addr}
			defer c.close()
			for loading.Err() == nil && sent.Add(1) <= o.MaxRequests {
				results[i].count(c.get(next()))
				answered.Add(1)
			}
		})
	}
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watcher sync.WaitGroup
	watcher.Go(func() { watch(watching, o, start, &answered) })
	workers.Wait()
	elapsed := time.Since(start)
	unwatch()
	watcher.Wait()

	var total Result
	for i := range results {
		total.add(&results[i])
	}
	total.Elapsed = elapsed
	return total, ctx.Err()
}

// watch reports progress until ctx ends.
func watch(ctx context.Context, o Options, start time.Time, answered *atomic.Int64) {
	if o.Progress == nil {
		return
	}
	report := func() {
		n := answered.Load()
		done := max(float64(time.Since(start))/float64(o.Duration), float64(n)/float64(o.MaxRequests))
		o.Progress(min(done, 1), n)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			report()
			return
		case <-tick.C:
			report()
		}
	}
}

// count adds the outcome of one request.
func (r *Result) count(status int, latency time.Duration, err error) {
	switch {
	case err == nil && status == http.StatusOK:
		r.Served++
		r.Latency.Record(latency)
	case err == nil && status == http.StatusTooManyRequests:
		r.Refused++
	default:
		r.Failed++
		if err == nil {
			err = fmt.Errorf("status %d", status)
		}
		if r.Failure == nil {
			r.Failure = err
		}
	}
}

func (r *Result) add(other *Result) {
	r.Served += other.Served
	r.Refused += other.Refused
	r.Failed += other.Failed
	if r.Failure == nil {
		r.Failure = other.Failure
	}
	r.Latency.Merge(&other.Latency)
}

// connection is one keep-alive connection, dialled when needed and again after a failure.
type connection struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

// get sends one request and reads the whole answer.
func (c *connection) get(r Request) (status int, latency time.Duration, err error) {
	start := time.Now()
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, requestTimeout); err != nil {
			return 0, 0, err
		}
		c.in = bufio.NewReaderSize(c.conn, 16<<10)
	}
	if err := c.conn.SetDeadline(start.Add(requestTimeout)); err != nil {
		return 0, 0, err
	}
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\n\r\n", r.Path, c.addr, r.Client)
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, 0, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, 0, err
	}
	if resp.Close {
		c.close()
	}
	return resp.StatusCode, time.Since(start), nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is lost with it
		c.conn = nil
	}
}
