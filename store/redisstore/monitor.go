package redisstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/store"
)

var _ store.Monitor = (*Store)(nil)

// maxMonitorLine bounds the lines of MONITOR, which have whole values; more is cut off.
const maxMonitorLine = 64 << 10

// Monitor shows what the server runs, on a Cluster what all primaries run; see store.Monitor. It has a connection of its own to each.
// Lines are cut at 64 KiB.
func (s *Store) Monitor(ctx context.Context, fn func(line string)) error {
	if fn == nil {
		return fmt.Errorf("redisstore: monitor: %w: nobody to tell the lines to", store.ErrInvalid)
	}
	parent := ctx
	ctx, cancel := s.whileOpen(ctx)
	defer cancel()
	err := s.monitorAll(ctx, fn)
	switch {
	case s.isClosed():
		return fmt.Errorf("redisstore: monitor: %w", store.ErrClosed)
	case parent.Err() != nil:
		return parent.Err()
	case errors.As(err, new(store.ServerError)):
		return err
	}
	return fmt.Errorf("redisstore: monitor: %w", store.Unavailable(err))
}

// monitorAll listens to all primaries until the first connection is lost.
func (s *Store) monitorAll(ctx context.Context, fn func(line string)) error {
	addrs, err := s.primaries(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	lines, began := make(chan string), make(chan struct{})
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel(nil)
	for _, addr := range addrs {
		wait.Go(func() { cancel(s.monitorAt(ctx, addr, began, lines)) })
	}
	for missing := len(addrs); ; {
		select {
		case <-began:
			if missing--; missing == 0 {
				fn("OK")
				began = nil
			}
		case line := <-lines:
			if missing == 0 { // before all have begun it is as if none had
				fn(line)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// monitorAt listens to one server until its connection is lost, or ctx ends.
func (s *Store) monitorAt(ctx context.Context, addr string, began chan<- struct{}, lines chan<- string) error {
	conn, err := s.dial(ctx, addr, &net.Dialer{KeepAlive: s.cfg.KeepAlive}, s.tls())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	l := &trackLine{conn: conn, r: resp.NewReader(conn), tell: func([]string) {}}
	for _, words := range s.monitorGreeting() {
		if err := l.send(words...); err != nil {
			return err
		}
		if err := l.answer(); err != nil {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil { // nothing may happen for long
		return err
	}
	select {
	case began <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	r := bufio.NewReaderSize(l.r.Rest(), maxMonitorLine)
	for {
		line, err := shortLine(r)
		if err != nil {
			return err
		}
		select {
		case lines <- strings.TrimPrefix(line, "+"):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// monitorGreeting are the commands that make a connection one that sees all others.
func (s *Store) monitorGreeting() (list [][]string) {
	switch {
	case s.cfg.Password != "" && s.cfg.Username != "":
		list = append(list, []string{"AUTH", s.cfg.Username, s.cfg.Password})
	case s.cfg.Password != "":
		list = append(list, []string{"AUTH", s.cfg.Password})
	}
	if s.cfg.ClientName != "" {
		list = append(list, []string{"CLIENT", "SETNAME", s.cfg.ClientName})
	}
	return append(list, []string{"MONITOR"})
}

// shortLine reads a line without its end, of which it keeps what fits into the reader's buffer.
func shortLine(r *bufio.Reader) (string, error) {
	part, err := r.ReadSlice('\n')
	line := string(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return strings.TrimRight(line, "\r\n"), err
}
