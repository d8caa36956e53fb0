package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/resp"
)

// rig is a running server with a way to connect to it.
type rig struct {
	*Server
	fakes *fakes
	clock *clock.Fake
	logs  *logBook
	dial  func() (net.Conn, error)
}

// wrapped hides what a listener is, so that its connections become streams.
type wrapped struct{ net.Listener }

// transports are the ways in which a connection can be served.
var transports = []string{"tcp", "unix", "stream", "tls", "pipe"}

func everyTransport(t *testing.T, change func(*Limits), test func(t *testing.T, r *rig)) {
	for _, kind := range transports {
		t.Run(kind, func(t *testing.T) { test(t, newRig(t, kind, change)) })
	}
}

func newRig(t testing.TB, kind string, change func(*Limits)) *rig {
	t.Helper()
	leaktest.Check(t, "larder/internal/server")
	lim := DefaultLimits()
	if change != nil {
		change(&lim)
	}
	r := &rig{fakes: newFakes(), clock: clock.NewFake(time.Unix(1e9, 0)), logs: newLogBook()}
	r.Server = New(Options{NewSession: r.fakes.newSession, Limits: &lim, Clock: r.clock, Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Loops: 2})
	r.active.Store(2) // from the start, so that there is traffic between loops
	served := make(chan error, 1)
	if kind == "pipe" {
		r.dial = r.Dial
		served <- nil
	} else {
		ln := listen(t, kind)
		addr := ln.Addr()
		r.dial = func() (net.Conn, error) { return net.Dial(addr.Network(), addr.String()) }
		switch kind {
		case "stream":
			ln = wrapped{ln}
		case "tls":
			cert, pool := certificate(t)
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
			r.dial = func() (net.Conn, error) {
				return tls.Dial(addr.Network(), addr.String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
			}
		}
		go func() { served <- r.Serve(context.Background(), ln) }()
	}
	t.Cleanup(func() {
		if err := r.Server.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Server.Close(); err != nil { // once more does no harm
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if st := r.Stats(); st.Connected != 0 || st.OutputBuf != 0 || st.InputBuf != 0 {
			t.Errorf("after Close: %+v", st)
		}
		if r.fakes.open != 0 {
			t.Errorf("%d sessions were not closed", r.fakes.open)
		}
	})
	return r
}

// certificate makes one for localhost, and the pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.System().Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func listen(t testing.TB, kind string) net.Listener {
	t.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if kind == "unix" {
		network, addr = "unix", filepath.Join(t.TempDir(), "s")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// peer is a client.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (r *rig) connect(t testing.TB) *peer {
	t.Helper()
	c, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(clock.System().Now().Add(20 * time.Second)) // a hang fails instead
	return &peer{t, c, bufio.NewReader(c)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(p.r, got)
	if err != nil || string(got) != want {
		p.t.Fatalf("got %.200q (%v), want %.200q", got[:n], err, want)
	}
}

func (p *peer) do(in, want string) {
	p.t.Helper()
	p.send(in)
	p.expect(want)
}

// expectEnd wants the server to close the connection, without another byte.
func (p *peer) expectEnd() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); err == nil {
		p.t.Fatalf("got %q instead of an end", b)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		p.t.Fatal("the connection stays open")
	}
}

// logBook collects log lines and lets a test wait for one.
type logBook struct {
	mu    sync.Mutex
	more  *sync.Cond
	lines bytes.Buffer
}

func newLogBook() *logBook {
	l := &logBook{}
	l.more = sync.NewCond(&l.mu)
	return l
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more.Broadcast()
	return l.lines.Write(b)
}

func (l *logBook) await(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !strings.Contains(l.lines.String(), text) {
		l.more.Wait()
	}
}

func (l *logBook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.lines.String(), text)
}

func TestServe(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p, q := r.connect(t), r.connect(t)
		p.do("PING\r\n", "+PONG\r\n")
		p.do(strings.Repeat("*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", 1000), strings.Repeat("$2\r\nhi\r\n", 1000))
		for _, b := range []byte("*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n") {
			p.send(string(b))
			q.do("PING\r\n", "+PONG\r\n") // the half-sent one keeps nobody
		}
		p.expect("$2\r\nhi\r\n")
		if st := r.Stats(); st.Accepted != 2 || st.Connected != 2 || st.BytesIn < 22_000 || st.BytesOut < 8000 {
			t.Fatalf("%+v", st)
		}
		p.do("QUIT\r\nPING\r\n", "+OK\r\n")
		p.expectEnd()
		_ = q.Close()
		r.fakes.await(func() bool { return r.fakes.open == 0 })
		r.logs.await(`msg="connection closed" id=1`)
		r.logs.await(`reason=QUIT`)
		r.logs.await(`reason="closed by the client"`)
	})
}

// A request that ends with the sending side of the connection is still answered.
func TestHalfClose(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p := r.connect(t)
		half, ok := p.Conn.(interface{ CloseWrite() error })
		if !ok {
			t.Skip("no half close")
		}
		p.send("BIG 10000000\r\nPING\r\n")
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.expect("$10000000\r\n" + strings.Repeat("x", 10_000_000) + "\r\n+PONG\r\n")
		p.expectEnd()
	})
}

func TestAddresses(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p := r.connect(t)
		p.do("PING\r\n", "+PONG\r\n")
		r.fakes.mu.Lock()
		cl := r.fakes.sessions[1].cl
		r.fakes.mu.Unlock()
		remote, local := p.LocalAddr().String(), p.RemoteAddr().String()
		if p.LocalAddr().Network() == "unix" {
			remote, local = local+":0", local+":0"
		}
		if cl.RemoteAddr() != remote || cl.LocalAddr() != local {
			t.Fatalf("%s and %s, want %s and %s", cl.RemoteAddr(), cl.LocalAddr(), remote, local)
		}
	})
}

// One client sends and does not read; the others notice nothing, what it is owed stays bounded, and it gets everything in
// the end.
func TestSlowReader(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		slow, other := r.connect(t), r.connect(t)
		const big, n = 4 << 20, 24
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(slow, strings.Repeat(fmt.Sprintf("BIG %d\r\n", big), n))
			sent <- err
		}()
		for r.Stats().OutputBuf < pauseAt {
			other.do("PING\r\n", "+PONG\r\n")
		}
		for range 100 {
			other.do("PING\r\n", "+PONG\r\n")
		}
		if got := r.Stats().OutputBuf; got > pauseAt+2*big {
			t.Fatalf("owed %d bytes", got)
		}
		want := fmt.Sprintf("$%d\r\n%s\r\n", big, strings.Repeat("x", big))
		for range n {
			slow.expect(want)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
}

// Many clients write a whole pipeline before they read the first reply.
func TestWriteAllThenRead(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p := r.connect(t)
		const n = 200_000
		p.do(strings.Repeat("ECHO 0123456789012345678901234567890\r\n", n), strings.Repeat("$31\r\n0123456789012345678901234567890\r\n", n))
	})
}

func TestSlowSubscriberIsCutOff(t *testing.T) {
	everyTransport(t, func(l *Limits) { l.Output[ClassPubSub] = OutputLimit{Hard: 1 << 20} }, func(t *testing.T, r *rig) {
		slow, other := r.connect(t), r.connect(t)
		slow.do("SUB\r\n", "+OK\r\n")
		message := strings.Repeat("x", 50_000)
		for gone := false; !gone; {
			other.send("PUB " + message + "\r\n")
			for n := 0; n < 2; n++ { // its own message and the count
				line, err := other.r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(line, "*2") {
					for range 4 {
						_, _ = other.r.ReadString('\n')
					}
				} else {
					gone = line == ":1\r\n"
				}
			}
		}
		r.logs.await("client-output-buffer-limit")
		if r.Stats().OutputLimitKilled != 1 {
			t.Fatalf("%+v", r.Stats())
		}
		_, _ = io.Copy(io.Discard, slow.r) // ends
	})
}

func TestBlockedAcrossConnections(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p := r.connect(t)
		p.do("ID\r\n", ":1\r\n")
		q := r.connect(t)
		p.send("BLOCK\r\nPING\r\n")
		r.fakes.await(func() bool { return r.fakes.blocked == 1 })
		q.do("RESUME 1\r\n", "+OK\r\n")
		p.expect("+RESUMED\r\n+PONG\r\n")
		p.send("BLOCK\r\n")
		r.fakes.await(func() bool { return r.fakes.blocked == 2 })
		p.send(strings.Repeat("PING\r\n", 1000)) // more while it waits
		q.do("RESUME 1\r\n", "+OK\r\n")
		p.expect("+RESUMED\r\n" + strings.Repeat("+PONG\r\n", 1000))
		p.send("BLOCK\r\n")
		r.fakes.await(func() bool { return r.fakes.blocked == 3 })
		_ = p.Close() // gone while it waits
		r.fakes.await(func() bool { return r.fakes.open == 1 })
	})
}

func TestPostponedAcrossConnections(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p, q := r.connect(t), r.connect(t)
		q.do("PAUSE\r\n", "+OK\r\n")
		p.send("PING\r\nWORK\r\nPING\r\n")
		r.fakes.await(func() bool { return len(r.fakes.paused) == 1 })
		q.do("UNPAUSE\r\n", "+OK\r\n")
		p.expect("+PONG\r\n+WORKED\r\n+PONG\r\n")
	})
}

func TestKill(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		p := r.connect(t)
		p.do("ID\r\n", ":1\r\n")
		q := r.connect(t)
		q.do("ID\r\n", ":2\r\n")
		q.do("KILL 1\r\n", "+OK\r\n")
		p.expectEnd()
		q.do("KILL 1\r\nPING\r\n", "+OK\r\n+PONG\r\n")
		r.logs.await(`reason="killed by a test"`)
		p = r.connect(t)
		p.do("ID\r\n", ":3\r\n")
		p.send("BLOCK\r\n")
		r.fakes.await(func() bool { return r.fakes.blocked == 1 })
		q.do("KILL 3\r\n", "+OK\r\n")
		p.expectEnd()
	})
}

func TestPublishFanOut(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		const n, messages = 50, 100
		var subs []*peer
		for range n {
			p := r.connect(t)
			p.do("HELLO 3\r\nSUB\r\n", "%0\r\n+OK\r\n")
			subs = append(subs, p)
		}
		pub := r.connect(t)
		for i := range messages {
			pub.send(fmt.Sprintf("PUB %03d\r\n", i))
		}
		for _, p := range subs {
			for i := range messages {
				p.expect(fmt.Sprintf(">2\r\n$3\r\nmsg\r\n$3\r\n%03d\r\n", i))
			}
		}
	})
}

func TestMaxClients(t *testing.T) {
	everyTransport(t, func(l *Limits) { l.MaxClients = 2 }, func(t *testing.T, r *rig) {
		p, q := r.connect(t), r.connect(t)
		p.do("PING\r\n", "+PONG\r\n")
		q.do("PING\r\n", "+PONG\r\n")
		if strings.Contains(t.Name(), "tls") {
			if _, err := r.dial(); err == nil {
				t.Fatal("shook hands")
			}
		} else {
			over := r.connect(t)
			over.expect("-ERR max number of clients reached\r\n")
			over.expectEnd()
		}
		r.logs.await("reason=maxclients")
		if r.Stats().Refused != 1 {
			t.Fatalf("%+v", r.Stats())
		}
		lim := r.Limits()
		lim.MaxClients = 3
		r.SetLimits(lim)
		over := r.connect(t)
		over.do("PING\r\n", "+PONG\r\n")
	})
}

func TestProtectedMode(t *testing.T) {
	everyTransport(t, func(l *Limits) { l.Protected = true }, func(t *testing.T, r *rig) {
		p := r.connect(t) // this machine may
		p.do("PING\r\n", "+PONG\r\n")
	})
	s := New(Options{NewSession: newFakes().newSession})
	lim := s.Limits()
	lim.Protected = true
	s.SetLimits(lim)
	if refusal := s.admit(&conn{remote: "192.0.2.1:1234"}, false); !strings.HasPrefix(refusal, "-DENIED Redis is running in protected mode") ||
		strings.Count(refusal, "\r\n") != 1 || !strings.HasSuffix(refusal, "\r\n") {
		t.Fatalf("%q", refusal)
	}
	s = New(Options{NewSession: newFakes().newSession, NeedsPassword: func() bool { return true }, Limits: &lim})
	c := &conn{remote: "192.0.2.1:1234"}
	if refusal := s.admit(c, false); refusal != "" {
		t.Fatalf("who needs a password is refused: %q", refusal)
	}
	s.forget(c)
	_ = s.Close()
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}: true, &net.TCPAddr{IP: net.IPv6loopback}: true, &net.UnixAddr{Name: "x"}: true,
		pipeAddr{}: true, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}: false, &net.TCPAddr{}: false, &net.IPAddr{IP: net.IPv6loopback}: false,
	} {
		if isLocal(addr) != want {
			t.Errorf("%T %v: local %v", addr, addr, !want)
		}
	}
}

func TestTimeoutByClock(t *testing.T) {
	everyTransport(t, func(l *Limits) { l.Timeout = 60 * time.Second }, func(t *testing.T, r *rig) {
		p, q := r.connect(t), r.connect(t)
		p.do("PING\r\n", "+PONG\r\n")
		q.do("PING\r\n", "+PONG\r\n")
		r.clock.BlockUntilWaiters(1)
		r.clock.Advance(50 * time.Second)
		q.do("PING\r\n", "+PONG\r\n")
		for i := range 70 { // where a goroutine writes, it may have seen the 50 seconds pass before it was done with PONG
			r.clock.Advance(time.Second)
			q.do("PING\r\n", "+PONG\r\n")
			if r.logs.count("idle timeout") > 0 && i < 9 {
				t.Fatal("too early")
			}
		}
		p.expectEnd()
		r.logs.await(`reason="idle timeout"`)
		q.do("PING\r\n", "+PONG\r\n")
	})
}

func TestThousandsOfConnections(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		n := 2000
		if strings.Contains(t.Name(), "tls") {
			n = 100 // handshakes take their time
		}
		peers := make([]*peer, n)
		for i := range peers {
			p := r.connect(t)
			p.send("*2\r\n$4\r\nECHO\r\n$5\r\nhal") // half-sent
			peers[i] = p
		}
		other := r.connect(t)
		for range 100 {
			other.do("PING\r\n", "+PONG\r\n")
		}
		for _, p := range peers {
			p.send("f2\r\n")
		}
		for _, p := range peers {
			p.expect("$5\r\nhalf2\r\n")
		}
		if st := r.Stats(); st.Connected != n+1 {
			t.Fatalf("%+v", st)
		}
	})
}

// Many clients at once, each checking its own replies.
func TestConcurrentClients(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		var wg sync.WaitGroup
		for i := range 20 {
			p := r.connect(t)
			wg.Go(func() {
				for j := range 60 {
					text := fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", j*i))
					var in, want bytes.Buffer
					for range 1 + j%17 {
						in.Write(resp.AppendCommand(nil, "ECHO", text))
						fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(text), text)
					}
					if _, err := p.Write(in.Bytes()); err != nil {
						t.Error(err)
						return
					}
					got := make([]byte, want.Len())
					if _, err := io.ReadFull(p.r, got); err != nil || !bytes.Equal(got, want.Bytes()) {
						t.Errorf("%v, got %.100q want %.100q", err, got, want.Bytes())
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestShutdownDrains(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		idle, blocked, busy := r.connect(t), r.connect(t), r.connect(t)
		idle.do("PING\r\n", "+PONG\r\n")
		blocked.send("BLOCK\r\n")
		const big = 30 << 20
		busy.send(fmt.Sprintf("BIG %d\r\n", big))
		r.fakes.await(func() bool { return r.fakes.blocked == 1 })
		if _, err := busy.r.Peek(1); err != nil { // it runs
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(context.Background()) }()
		idle.expectEnd()
		blocked.expectEnd()
		busy.expect(fmt.Sprintf("$%d\r\n%s\r\n", big, strings.Repeat("x", big)))
		busy.expectEnd()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if r.logs.count(`reason="server shutdown"`) != 3 {
			t.Fatal("not every connection has a line")
		}
		if c, err := r.dial(); err == nil {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Fatal("a server that has shut down accepts")
			}
		}
	})
}

func TestShutdownCutsOff(t *testing.T) {
	everyTransport(t, nil, func(t *testing.T, r *rig) {
		stuck := r.connect(t)
		stuck.send("BIG 50000000\r\n")
		if _, err := stuck.r.Peek(1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(ctx) }()
		cancel()
		if err := <-done; err != context.Canceled {
			t.Fatal(err)
		}
	})
}

func TestServeEndsWithItsContextOrListener(t *testing.T) {
	for _, kind := range []string{"tcp", "stream"} {
		t.Run(kind, func(t *testing.T) {
			leaktest.Check(t, "larder/internal/server")
			clk := clock.NewFake(time.Unix(1e9, 0))
			s := New(Options{NewSession: newFakes().newSession, Clock: clk})
			serve := func(ctx context.Context) (net.Listener, chan error) {
				ln := listen(t, kind)
				if kind == "stream" {
					ln = wrapped{ln}
				}
				done := make(chan error, 1)
				go func() { done <- s.Serve(ctx, ln) }()
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(c, "PING\r\n")
				if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
					t.Fatal(err)
				}
				_ = c.Close()
				return ln, done
			}
			ctx, cancel := context.WithCancel(context.Background())
			_, one := serve(ctx)
			ln, two := serve(context.Background())
			_, three := serve(context.Background())
			cancel()
			if err := <-one; err != nil {
				t.Fatal(err)
			}
			_ = ln.Close()
			clk.Advance(time.Second) // a listener that loops serve is looked at once a second
			if err := <-two; err == nil {
				t.Fatal("no error although the listener was closed under it")
			}
			_ = s.Close()
			if err := <-three; err != nil {
				t.Fatal(err)
			}
			if err := s.Serve(context.Background(), listen(t, kind)); err == nil {
				t.Fatal("Serve after Close")
			}
			if _, err := s.Dial(); err == nil {
				t.Fatal("Dial after Close")
			}
		})
	}
}

func TestIdleConnectionsAreSmall(t *testing.T) {
	for kind, most := range map[string]uint64{"tcp": 2 << 10, "stream": 12 << 10} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, kind, nil)
			const n = 1000
			conns := make([]net.Conn, n)
			var before, after runtime.MemStats
			reply := make([]byte, 7)
			for i := range conns {
				if i == 100 { // the tables and pools have found their size
					runtime.GC()
					runtime.GC() // what pools held goes with the second
					runtime.ReadMemStats(&before)
				}
				c, err := r.dial()
				if err != nil {
					t.Fatal(err)
				}
				conns[i] = c
				_, _ = io.WriteString(c, "PING\r\n")
				if _, err := io.ReadFull(c, reply); err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&after)
			per := (after.HeapAlloc + after.StackInuse - before.HeapAlloc - before.StackInuse) / (n - 100)
			t.Logf("%d bytes per idle connection, the test's own side and its log included", per)
			if per > most {
				t.Errorf("more than %d", most)
			}
			for _, c := range conns {
				_ = c.Close()
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, kind := range transports {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprint(kind, " pipeline ", n), func(b *testing.B) {
				r := newRig(b, kind, nil)
				p := r.connect(b)
				_ = p.SetDeadline(time.Time{})
				in := []byte(strings.Repeat("*1\r\n$4\r\nPING\r\n", n))
				got := make([]byte, 7*n)
				for b.Loop() {
					_, _ = p.Write(in)
					if _, err := io.ReadFull(p.r, got); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/cmd")
			})
		}
	}
}
