package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The store over HTTP: `larder serve --rest`, asked by 50 connections that stay open, each of which waits for its answer
// before it asks again. Client and server share the machine's processors.

const (
	restConnections = 50
	restToken       = "bench"
	restGets        = 200_000
	restPipelines   = 20_000 // of 100 commands
)

// restValue is what GET finds: 32 bytes.
var restValue = strings.Repeat("v", 32)

func restRows() []row { return []row{{"REST: GET and /pipeline", measureREST}} }

// restRequest is a request as the JavaScript clients send it.
func restRequest(path, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + restToken + "\r\nContent-Type: application/json\r\n" +
		"Upstash-Encoding: base64\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func measureREST(ctx context.Context, o options, dir string) ([]line, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, "larder", o.larder, dir, "--rest", addr, "--rest-token", restToken)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.tell("SET", "key", restValue); err != nil {
		return nil, err
	}
	floor, stop, err := emptyHandler()
	if err != nil {
		return nil, err
	}
	defer stop()
	get := restRequest("/", `["GET","key"]`)
	pipeline := restRequest("/pipeline", "["+strings.Repeat(`["GET","key"],`, 99)+`["GET","key"]]`)
	var gets, empty, cost, commands []float64
	for range o.rounds {
		before, err := s.cpu()
		if err != nil {
			return nil, err
		}
		n := o.scaled(restGets)
		rate, err := ask(addr, get, n)
		if err != nil {
			return nil, err
		}
		after, err := s.cpu()
		if err != nil {
			return nil, err
		}
		none, err := ask(floor, get, n)
		if err != nil {
			return nil, err
		}
		hundreds, err := ask(addr, pipeline, o.scaled(restPipelines))
		if err != nil {
			return nil, err
		}
		gets, empty, commands = append(gets, rate), append(empty, none), append(commands, 100*hundreds)
		cost = append(cost, float64(after-before)/float64(n)/float64(time.Microsecond))
	}
	return []line{
		plainLine("REST: GETs/s, 50 connections", "", gets, 40_000, 0, true),
		plainLine("  net/http with an empty handler", "", empty, 0, 0, true),
		plainLine("  processor time of the server for each", "us", cost, 0, 0, false),
		plainLine("REST: commands/s, pipelines of 100 GETs", "", commands, 300_000, 0, true),
	}, nil
}

// freeAddr is a loopback address that nobody used a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// emptyHandler serves an answer of the same length that is always the same: what net/http itself takes.
func emptyHandler() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	kind := []string{"application/json"}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = kind
		_, _ = io.WriteString(w, `{"result":"dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnY="}`) // who has left does not want to know
	})}
	go func() { _ = server.Serve(l) }() // until stop
	return l.Addr().String(), func() { _ = server.Close() }, nil
}

// ask sends a request n times and returns how many were answered in a second.
func ask(addr, request string, n int) (perSecond float64, err error) {
	conns := make([]net.Conn, restConnections)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", addr); err != nil {
			return 0, err
		}
		defer conns[i].Close()
	}
	var left atomic.Int64
	left.Store(int64(n))
	failed := make(chan error, len(conns))
	var wait sync.WaitGroup
	start := time.Now()
	for _, conn := range conns {
		wait.Go(func() {
			r, text := bufio.NewReaderSize(conn, 32<<10), []byte(request)
			for left.Add(-1) >= 0 {
				_, err := conn.Write(text)
				if err == nil {
					err = skipResponse(r)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(n) / took.Seconds(), nil
	}
}

// skipResponse reads a response of a known length, which has to be a good one.
func skipResponse(r *bufio.Reader) error {
	size := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch text := strings.TrimRight(string(line), "\r\n"); {
		case first && !strings.HasPrefix(text, "HTTP/1.1 200"):
			return fmt.Errorf("the answer is %q", text)
		case text == "":
			_, err := r.Discard(size)
			return err
		default:
			if digits, ok := strings.CutPrefix(text, "Content-Length: "); ok {
				if size, err = strconv.Atoi(digits); err != nil {
					return err
				}
			}
		}
	}
}
