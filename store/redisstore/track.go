package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/store"
)

// Tracking of changes: CLIENT TRACKING in broadcast mode on a connection of its own to every primary, so that what the
// shared connections do is none of its business. All of them together are one session: it is ready when the last has
// confirmed, and lost when the first is, or when the primaries are others than it began with. A PING a second on each
// finds out connections that died without a sign.

var _ store.Tracker = (*Store)(nil)

const (
	trackPing     = time.Second
	trackPatience = 2 * time.Second // without anything from the server; also for the handshake
	topologyEvery = time.Second     // how often to look for other primaries
)

// Track tells t of changes until ctx ends; see store.Tracker. It needs RESP3.
func (s *Store) Track(ctx context.Context, t store.Tracking) error {
	switch {
	case len(t.Prefixes) == 0 || t.OnInvalidate == nil:
		return fmt.Errorf("redisstore: track: %w: no prefix, or no OnInvalidate", store.ErrInvalid)
	case s.cfg.Protocol == 2:
		return fmt.Errorf("redisstore: track: %w with protocol 2", store.ErrUnsupported)
	}
	ctx, cancel := s.whileOpen(ctx)
	defer cancel()
	for failures := 0; ; {
		ready, err := s.trackOnce(ctx, t)
		if ready && t.OnLost != nil {
			t.OnLost()
		}
		switch {
		case s.isClosed():
			return fmt.Errorf("redisstore: track: %w", store.ErrClosed)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrUnsupported):
			return fmt.Errorf("redisstore: track: %w", err)
		}
		if failures++; ready {
			failures = 1
		}
		s.sleep(ctx, backoff(failures))
	}
}

// trackOnce is one session.
func (s *Store) trackOnce(ctx context.Context, t store.Tracking) (ready bool, err error) {
	addrs, err := s.primaries(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel(nil)
	confirmed := make(chan struct{}, len(addrs))
	for _, addr := range addrs {
		wait.Go(func() { cancel(s.trackAt(ctx, addr, t, confirmed)) })
	}
	for range addrs {
		select {
		case <-confirmed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	if t.OnReady != nil {
		t.OnReady()
	}
	if s.cfg.Target == store.Single {
		<-ctx.Done()
		return true, context.Cause(ctx)
	}
	ticker := time.NewTicker(topologyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, context.Cause(ctx)
		case <-ticker.C:
		}
		if now, err := s.primaries(ctx); err == nil && !slices.Equal(now, addrs) {
			return true, errors.New("the primaries have changed")
		}
	}
}

// primaries are the addresses to listen at, sorted.
func (s *Store) primaries(ctx context.Context) ([]string, error) {
	if s.cfg.Target == store.Single {
		return s.cfg.Addrs[:1], nil
	}
	bounded, cancel := context.WithTimeout(ctx, trackPatience)
	defer cancel()
	client, err := s.connect(bounded)
	if err != nil {
		return nil, answer(err)
	}
	if s.cfg.Target == store.Sentinel {
		var addrs []string
		for addr := range client.Nodes() {
			addrs = append(addrs, addr)
		}
		slices.Sort(addrs)
		return addrs, nil
	}
	slots, err := s.Do(bounded, "CLUSTER", "SLOTS").Array()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, slot := range slots {
		addr, err := s.primaryOf(slot)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	slices.Sort(addrs)
	if addrs = slices.Compact(addrs); len(addrs) == 0 {
		return nil, fmt.Errorf("%w: no node of the cluster serves a slot", store.ErrUnavailable)
	}
	return addrs, nil
}

// primaryOf reads an element of CLUSTER SLOTS: from, to, primary, replicas; a node is its host, port, ...
func (s *Store) primaryOf(slot store.Reply) (string, error) {
	parts, err := slot.Array()
	if err != nil || len(parts) < 3 {
		return "", fmt.Errorf("CLUSTER SLOTS: %w", errors.Join(err, store.ErrReply))
	}
	node, err := parts[2].Array()
	if err != nil || len(node) < 2 {
		return "", fmt.Errorf("CLUSTER SLOTS: %w", errors.Join(err, store.ErrReply))
	}
	host, _, err := node[0].Lookup()
	port, err2 := node[1].Int64()
	if err = errors.Join(err, err2); err != nil {
		return "", err
	}
	if host == "" { // the node does not know its own address: it is where the client has found it
		if host, _, err = net.SplitHostPort(s.cfg.Addrs[0]); err != nil {
			return "", err
		}
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// trackAt listens to one server until its connection is lost, or ctx ends.
func (s *Store) trackAt(ctx context.Context, addr string, t store.Tracking, confirmed chan<- struct{}) error {
	conn, err := s.dial(ctx, addr, &net.Dialer{KeepAlive: s.cfg.KeepAlive}, s.tls())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := &trackLine{conn: conn, r: resp.NewReader(conn), tell: t.OnInvalidate}
	for _, words := range s.trackGreeting(t.Prefixes) {
		if err := l.send(words...); err != nil {
			return err
		}
		if err := l.answer(); err != nil {
			return err
		}
	}
	confirmed <- struct{}{}
	over := make(chan struct{})
	var pinging sync.WaitGroup
	pinging.Go(func() { l.ping(over) })
	defer pinging.Wait()
	defer close(over)
	for {
		if _, err := l.next(); err != nil {
			return err
		}
	}
}

// trackGreeting are the commands that make a connection one that hears of changes.
func (s *Store) trackGreeting(prefixes []string) [][]string {
	hello := []string{"HELLO", "3"}
	if s.cfg.Password != "" {
		user := s.cfg.Username
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, s.cfg.Password)
	}
	if s.cfg.ClientName != "" {
		hello = append(hello, "SETNAME", s.cfg.ClientName)
	}
	track := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for _, p := range prefixes {
		track = append(track, "PREFIX", p)
	}
	return [][]string{hello, track}
}

// trackLine is one connection.
type trackLine struct {
	conn net.Conn
	r    *resp.Reader
	tell func(keys []string)
}

func (l *trackLine) send(words ...string) error {
	w := resp.NewWriter(nil)
	w.Array(len(words))
	for _, word := range words {
		w.BulkString(word)
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(trackPatience)); err != nil {
		return err
	}
	_, err := l.conn.Write(w.Bytes())
	return err
}

// next reads a value and tells of what it says, if it is a message about changes.
func (l *trackLine) next() (resp.Value, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(trackPatience)); err != nil {
		return resp.Value{}, err
	}
	v, err := l.r.Read()
	if err != nil || v.Kind != resp.Push || len(v.Elems) != 2 || v.Elems[0].Text() != "invalidate" {
		return v, err
	}
	if v.Elems[1].Null || v.Elems[1].Kind == resp.Null {
		l.tell(nil)
		return v, nil
	}
	keys := make([]string, len(v.Elems[1].Elems))
	for i, k := range v.Elems[1].Elems {
		keys[i] = k.Text()
	}
	l.tell(keys)
	return v, nil
}

// answer reads the reply to a command.
func (l *trackLine) answer() error {
	for {
		v, err := l.next()
		switch {
		case err != nil:
			return err
		case v.Kind == resp.Push:
			continue
		case v.IsError():
			err := store.ServerError(v.Text())
			if code := err.Code(); code == "NOPROTO" || code == "ERR" {
				return fmt.Errorf("%w: %w", store.ErrUnsupported, err)
			}
			return err
		}
		return nil
	}
}

// ping keeps the server talking.
func (l *trackLine) ping(over <-chan struct{}) {
	ticker := time.NewTicker(trackPing)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
			if l.send("PING") != nil {
				_ = l.conn.Close()
				return
			}
		}
	}
}
