package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
)

// crowd are subscribers that have no goroutines of their own.
type crowd struct {
	conns []net.Conn
	r     []*bufio.Reader
}

// pipes is a net.Listener in memory: connections for which no file descriptors would be left.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	p.conns <- server
	return client, nil
}

// gather subscribes n clients to a channel.
func gather(t testing.TB, n int, dial func() (net.Conn, error)) *crowd {
	t.Helper()
	c := &crowd{}
	t.Cleanup(c.leave)
	for range n {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		c.conns = append(c.conns, conn)
		if _, err := io.WriteString(conn, "GET /subscribe/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range c.conns {
		c.r = append(c.r, bufio.NewReaderSize(conn, 512))
	}
	for i := range c.r {
		if err := c.until(i, "subscribe,a,1"); err != nil {
			t.Fatal(i, err)
		}
	}
	return c
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// until reads a subscriber's lines to one with these data.
func (c *crowd) until(i int, data string) error {
	for {
		line, err := c.r[i].ReadSlice('\n')
		if err != nil {
			return err
		}
		if string(line) == "data: "+data+"\n" {
			return nil
		}
	}
}

// All get all, in order, and share one subscription of the store.
func TestManySubscribers(t *testing.T) {
	leaktest.Check(t, "larder/rest")
	s := newSite(t)
	const n, messages = 1000, 5
	c := gather(t, n, func() (net.Conn, error) { return net.Dial("tcp", strings.TrimPrefix(s.url, "http://")) })
	if got := s.h.Stats().Subscribers; got != n {
		t.Errorf("%d subscribers", got)
	}
	for m := range messages {
		if got, err := s.db.Do(t.Context(), "PUBLISH", "a", fmt.Sprint(m)).Int64(); got != 1 || err != nil {
			t.Fatal(got, err)
		}
	}
	for i := range n {
		for m := range messages {
			if err := c.until(i, fmt.Sprintf("message,a,%d", m)); err != nil {
				t.Fatal(i, m, err)
			}
		}
	}
	c.leave()
	fleet.Eventually(t, "all to go", func() bool { return s.h.Stats().Subscribers == 0 })
}

// BenchmarkSubscribers sends one message to 10,000 subscribers again and again: until the last has it.
func BenchmarkSubscribers(b *testing.B) {
	const n = 10_000
	s := newSite(b)
	l := newPipes()
	server := &http.Server{Handler: s.h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // until Close
	defer server.Close()
	before := inUse()
	c := gather(b, n, l.dial)
	each := float64(inUse()-before) / n
	for m := 0; b.Loop(); m++ {
		if err := s.db.Do(b.Context(), "PUBLISH", "a", fmt.Sprint(m)).Err(); err != nil {
			b.Fatal(err)
		}
		for i := range n {
			if err := c.until(i, fmt.Sprintf("message,a,%d", m)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(each, "B/subscriber")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/delivery")
}

// inUse are the bytes of heap and stacks.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
