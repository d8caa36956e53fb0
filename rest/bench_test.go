package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
)

// nowhere is a ResponseWriter that keeps nothing.
type nowhere struct {
	header http.Header
	status int
	size   int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(status int)      { w.status = status }
func (w *nowhere) Write(b []byte) (int, error) { w.size += len(b); return len(b), nil }

// benchSite is a handler over an embedded store with the string at "key".
func benchSite(b *testing.B) *rest.Server {
	b.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Do(b.Context(), "SET", "key", strings.Repeat("v", 32)).Err(); err != nil {
		b.Fatal(err)
	}
	h, err := rest.Handler(db, rest.Options{Token: token})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// pipelineOf100 is what the JavaScript client sends for 100 GETs of one tick.
func pipelineOf100() string { return "[" + strings.Repeat(`["GET","key"],`, 99) + `["GET","key"]]` }

// BenchmarkHandler is the handler alone, without the HTTP server.
func BenchmarkHandler(b *testing.B) {
	for _, c := range []struct{ name, method, path, body string }{
		{"get by path", "GET", "/get/key", ""}, {"get by JSON", "POST", "/", `["GET","key"]`}, {"pipeline of 100", "POST", "/pipeline", pipelineOf100()},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := benchSite(b)
			w := &nowhere{header: http.Header{}}
			body := strings.NewReader(c.body)
			r := httptest.NewRequestWithContext(b.Context(), c.method, c.path, io.NopCloser(body))
			r.ContentLength = int64(len(c.body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Upstash-Encoding", "base64")
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				h.ServeHTTP(w, r)
			}
			if w.status != 200 {
				b.Fatal(w.status)
			}
		})
	}
}

// BenchmarkServed is the whole way over loopback, by 50 connections; "empty" is net/http alone, which is the floor.
func BenchmarkServed(b *testing.B) {
	headers := "Host: x\r\nAuthorization: Bearer " + token + "\r\nUpstash-Encoding: base64\r\nContent-Type: application/json\r\n"
	post := func(path, body string) string {
		return "POST " + path + " HTTP/1.1\r\n" + headers + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	empty := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = io.WriteString(w, `{"result":"dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnY="}`)
	})
	for _, c := range []struct {
		name, request string
		handler       http.Handler
	}{
		{"empty", "GET /get/key HTTP/1.1\r\n" + headers + "\r\n", empty},
		{"empty POST", post("/", `["GET","key"]`), empty},
		{"get by path", "GET /get/key HTTP/1.1\r\n" + headers + "\r\n", nil},
		{"get by JSON", post("/", `["GET","key"]`), nil},
		{"pipeline of 100", post("/pipeline", pipelineOf100()), nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := c.handler
			if h == nil {
				h = benchSite(b)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			b.ReportAllocs()
			hammer(b, server.Listener.Addr().String(), c.request, 50)
		})
	}
}

// hammer sends a request b.N times by so many connections.
func hammer(b *testing.B, addr, request string, connections int) {
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wait sync.WaitGroup
	for _, conn := range conns {
		wait.Go(func() {
			r, text := bufio.NewReaderSize(conn, 32<<10), []byte(request)
			for left.Add(-1) >= 0 {
				if _, err := conn.Write(text); err != nil {
					b.Error(err)
					return
				}
				if err := skipResponse(r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.StopTimer()
}

// skipResponse reads a response of a known length, which has to be a good one.
func skipResponse(r *bufio.Reader) error {
	size := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case first && string(line[:12]) != "HTTP/1.1 200":
			return fmt.Errorf("%s", line)
		case len(line) == 2:
			_, err := r.Discard(size)
			return err
		case len(line) > 16 && string(line[:16]) == "Content-Length: ":
			for _, d := range line[16 : len(line)-2] {
				size = 10*size + int(d-'0')
			}
		}
	}
}
