package server

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
)

func pipeEnds(t *testing.T) (a, b net.Conn) {
	a, b = Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

// What goes in comes out, in pieces of any size, both ways at once.
func TestPipeCarriesEverything(t *testing.T) {
	a, b := pipeEnds(t)
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	var wg sync.WaitGroup
	for i, end := range []net.Conn{a, b} {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for left := data; len(left) > 0; {
				n := min(len(left), 1+rng.IntN(100_000))
				if k, err := end.Write(left[:n]); k != n || err != nil {
					t.Errorf("Write: %d %v", k, err)
					return
				}
				left = left[n:]
			}
		})
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 2))
			var got []byte
			buf := make([]byte, 100_000)
			for len(got) < len(data) {
				n, err := end.Read(buf[:1+rng.IntN(len(buf)-1)])
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
				got = append(got, buf[:n]...)
			}
			if !bytes.Equal(got, data) {
				t.Error("the bytes differ")
			}
		})
	}
	wg.Wait()
}

func TestPipeBuffers(t *testing.T) {
	a, b := pipeEnds(t)
	if n, err := a.Write(make([]byte, pipeBuffer)); n != pipeBuffer || err != nil {
		t.Fatal(n, err) // nobody reads, and Write does not wait
	}
	if n, err := a.(*pipeConn).TryWrite([]byte("x")); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	_ = a.SetWriteDeadline(clock.System().Now().Add(time.Millisecond))
	if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(n, err)
	}
	if _, err := io.ReadFull(b, make([]byte, pipeBuffer)); err != nil {
		t.Fatal(err)
	}
	if h := b.(*pipeConn).in; h.ring != nil {
		t.Fatal("an empty pipe keeps a large buffer")
	}
	if n, err := a.(*pipeConn).TryWrite(make([]byte, 2*pipeBuffer)); n != pipeBuffer || err != nil {
		t.Fatal(n, err)
	}
	_ = b.Close()
	if n, err := a.(*pipeConn).TryWrite([]byte("x")); n != 0 || err != io.ErrClosedPipe {
		t.Fatal(n, err)
	}
}

func TestPipeClose(t *testing.T) {
	a, b := pipeEnds(t)
	_, _ = a.Write([]byte("last words"))
	_, _ = b.Write([]byte("unheard"))
	_ = a.Close()
	if all, err := io.ReadAll(b); err != nil || string(all) != "last words" {
		t.Fatalf("%q %v", all, err)
	}
	if _, err := b.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal("the second Close:", err)
	}
	if err := a.SetDeadline(clock.System().Now()); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	if a.LocalAddr().Network() != "pipe" || a.RemoteAddr().String() != "127.0.0.1:0" {
		t.Fatal(a.LocalAddr())
	}
}

// Close ends calls that wait.
func TestPipeCloseWakes(t *testing.T) {
	for _, own := range []bool{true, false} {
		a, b := pipeEnds(t)
		_, _ = a.Write(make([]byte, pipeBuffer))
		errs := make(chan error, 2)
		go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := a.Write(make([]byte, 1)); errs <- err }()
		if own {
			_ = a.Close()
		} else {
			_ = b.Close()
		}
		for range 2 {
			if err := <-errs; err != io.ErrClosedPipe && err != io.EOF {
				t.Fatal(err)
			}
		}
	}
}

func TestPipeDeadlines(t *testing.T) {
	now := clock.System().Now
	timeout := func(err error) {
		t.Helper()
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("%v is no timeout", err)
		}
	}
	a, b := pipeEnds(t)
	one := make([]byte, 1)
	_ = a.SetReadDeadline(now().Add(-time.Second)) // past
	_, err := a.Read(one)
	timeout(err)
	_, _ = b.Write([]byte("xyz"))
	_, err = a.Read(one) // past, although there is something to read
	timeout(err)
	_ = a.SetReadDeadline(time.Time{})
	if n, err := a.Read(one); n != 1 || err != nil {
		t.Fatal("after the deadline was lifted:", n, err)
	}
	_ = a.SetReadDeadline(now().Add(time.Hour))
	if n, err := a.Read(one); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_, _ = a.Read(one)
	waiting := make(chan error, 1)
	go func() { _, err := a.Read(one); waiting <- err }()
	_ = a.SetReadDeadline(now().Add(time.Millisecond)) // also for a Read that waits already
	timeout(<-waiting)
	_ = a.SetDeadline(now().Add(-1))
	_, err = a.Write(one)
	timeout(err)
	_ = a.SetDeadline(time.Time{})
	if _, err := a.Write(one); err != nil {
		t.Fatal(err)
	}
	// Deadlines are set again and again while others read and write.
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 200 {
				_ = a.SetDeadline(now().Add(time.Microsecond))
				_, _ = a.Read(one)
				_, _ = a.Write(one)
				_ = a.SetDeadline(time.Time{})
			}
		})
	}
	wg.Go(func() { _, _ = io.Copy(io.Discard, b) })
	wg.Go(func() {
		for range 1000 {
			if _, err := b.Write(one); err != nil {
				return
			}
		}
	})
	_ = a.Close() // in the middle
	wg.Wait()
}
