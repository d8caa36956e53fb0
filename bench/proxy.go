package main

import (
	"net"
	"sync"
	"sync/atomic"
)

// proxy stands between a client and a server and counts round trips: how often, on any connection, the client sends
// after the server has.
type proxy struct {
	addr   string
	trips  atomic.Int64
	listen net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns map[net.Conn]struct{}
	over  bool
}

func startProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{addr: l.Addr().String(), listen: l, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		var answered atomic.Bool // the server has sent since the client did
		answered.Store(true)
		p.wg.Go(func() {
			pass(client, server, func() {
				if answered.Swap(false) {
					p.trips.Add(1)
				}
			})
		})
		p.wg.Go(func() { pass(server, client, func() { answered.Store(true) }) })
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.over {
			_ = c.Close()
		}
		p.conns[c] = struct{}{}
	}
	return !p.over
}

// pass copies one direction until either side ends, and tells of each piece before it is sent on.
func pass(from, to net.Conn, piece func()) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			piece()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) stop() {
	p.mu.Lock()
	p.over = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	_ = p.listen.Close()
	p.wg.Wait()
}
