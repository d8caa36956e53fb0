package repl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/resp"
)

// Target is what follows a primary: a store.
type Target interface {
	// Load replaces everything with a snapshot of so many bytes, or keeps everything and says why not.
	Load(snapshot io.Reader, size int64) error
	// Apply runs a command of the stream.
	Apply(args [][]byte)
}

// LinkOptions are what a Link needs. All fields but Log must be set.
type LinkOptions struct {
	Addr           string               // of the primary, host:port
	User, Password func() string        // to log in with, asked for each connection; "": none
	Port           int                  // that this server listens on, for the primary to show
	Timeout        func() time.Duration // of silence until the connection counts as dead
	Clock          clock.Clock
	Target         Target
	Log            func(level int, text string) // 1 for what goes on, 3 for what fails; nil: nobody listens
}

// LinkState is how far a Link is, in the words of ROLE.
type LinkState string

// The states.
const (
	LinkConnect    LinkState = "connect"    // to connect, or waiting to try again
	LinkConnecting LinkState = "connecting" // shaking hands
	LinkSync       LinkState = "sync"       // receives the snapshot
	LinkConnected  LinkState = "connected"
)

// Link follows a primary until Stop: it connects, again and again if it must, takes a snapshot, and applies the stream.
type Link struct {
	o      LinkOptions
	cancel context.CancelFunc
	done   chan struct{}

	writing sync.Mutex // one acknowledgement at a time

	mu     sync.Mutex
	state  LinkState
	offset int64         // of the primary's stream, applied
	heard  time.Duration // monotonic time when the primary last said something
	down   time.Duration // since when there is no connected link
}

// LinkStatus is what INFO and ROLE tell of a link.
type LinkStatus struct {
	State  LinkState
	Offset int64         // of the primary's stream; -1 until there was one
	Silent time.Duration // since the primary was last heard, while connected
	Down   time.Duration // since the link was lost, or has not come up
}

// Follow starts to follow a primary.
func Follow(o LinkOptions) *Link {
	ctx, cancel := context.WithCancel(context.Background())
	if o.Log == nil {
		o.Log = func(int, string) {}
	}
	l := &Link{o: o, cancel: cancel, done: make(chan struct{}), state: LinkConnect, offset: -1, down: o.Clock.Monotonic()}
	go l.run(ctx)
	return l
}

// Stop ends the link. It does not wait: what is being applied ends first.
func (l *Link) Stop() { l.cancel() }

// Done is closed when a stopped link has ended: nothing is applied afterwards.
func (l *Link) Done() <-chan struct{} { return l.done }

// Status tells how the link is.
func (l *Link) Status() LinkStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Clock.Monotonic()
	return LinkStatus{State: l.state, Offset: l.offset, Silent: now - l.heard, Down: now - l.down}
}

func (l *Link) enter(s LinkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == LinkConnected && s != LinkConnected {
		l.down = l.o.Clock.Monotonic()
	}
	l.state = s
}

// retryAfter is how long a link waits before it tries again.
const retryAfter = time.Second

func (l *Link) run(ctx context.Context) {
	defer close(l.done)
	for ctx.Err() == nil {
		err := l.once(ctx)
		l.enter(LinkConnect)
		if ctx.Err() != nil {
			return
		}
		l.o.Log(3, "link to primary "+l.o.Addr+" failed: "+err.Error())
		timer := l.o.Clock.NewTimer(retryAfter)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// once connects, synchronizes, and applies until something fails.
func (l *Link) once(ctx context.Context) error {
	l.enter(LinkConnecting)
	dialer := net.Dialer{Timeout: l.o.Timeout()}
	conn, err := dialer.DialContext(ctx, "tcp", l.o.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	silence := l.o.Clock.AfterFunc(l.o.Timeout(), func() { _ = conn.Close() })
	defer silence.Stop()
	in := newStream(watched{conn, silence, l.o.Timeout})
	offset, err := l.shakeHands(conn, in)
	if err != nil {
		return err
	}
	l.enter(LinkSync)
	if err := l.load(in); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	l.mu.Lock()
	l.state, l.offset, l.heard = LinkConnected, offset, l.o.Clock.Monotonic()
	l.mu.Unlock()
	l.o.Log(1, "following primary "+l.o.Addr+" from offset "+strconv.FormatInt(offset, 10))
	stop := make(chan struct{})
	defer close(stop)
	go l.acknowledge(conn, stop)
	return l.apply(ctx, conn, in)
}

// watched is a connection that ends when the peer is silent for too long: each read puts off its end.
type watched struct {
	net.Conn
	silence clock.Timer
	timeout func() time.Duration
}

func (w watched) Read(b []byte) (int, error) {
	w.silence.Reset(w.timeout())
	return w.Conn.Read(b)
}

// shakeHands logs in, introduces the replica, and asks for the stream, which begins at the offset.
func (l *Link) shakeHands(conn net.Conn, in *stream) (offset int64, err error) {
	ask := func(words ...string) (string, error) {
		if _, err := conn.Write(resp.AppendCommand(nil, words...)); err != nil {
			return "", err
		}
		return in.status()
	}
	if password := l.o.Password(); password != "" {
		words := []string{"AUTH", password}
		if user := l.o.User(); user != "" {
			words = []string{"AUTH", user, password}
		}
		if s, err := ask(words...); err != nil || s != "+OK" {
			return 0, fmt.Errorf("AUTH: %s: %w", s, orRefused(err))
		}
	}
	if s, err := ask("PING"); err != nil || !strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("PING: %s: %w", s, orRefused(err))
	}
	for _, words := range [][]string{{"REPLCONF", "listening-port", strconv.Itoa(l.o.Port)}, {"REPLCONF", "capa", "psync2"}} {
		if _, err := ask(words...); err != nil { // an old primary refuses what it does not know, which is no harm
			return 0, err
		}
	}
	s, err := ask("PSYNC", "?", "-1")
	if err != nil {
		return 0, err
	}
	words := strings.Fields(s)
	if len(words) != 3 || words[0] != "+FULLRESYNC" {
		return 0, fmt.Errorf("PSYNC: %s: %w", s, errRefused)
	}
	return strconv.ParseInt(words[2], 10, 64)
}

var errRefused = errors.New("refused")

func orRefused(err error) error {
	if err == nil {
		return errRefused
	}
	return err
}

// load takes the snapshot.
func (l *Link) load(in *stream) error {
	s, err := in.status()
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(strings.TrimPrefix(s, "$"), 10, 64)
	if err != nil || size < 0 || !strings.HasPrefix(s, "$") {
		return fmt.Errorf("%q announces none: %w", s, errRefused)
	}
	body := io.LimitReader(in.r, size)
	if err := l.o.Target.Load(body, size); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return err
}

// apply runs the stream's commands until it ends.
func (l *Link) apply(ctx context.Context, conn net.Conn, in *stream) error {
	for ctx.Err() == nil {
		in.bytes = 0
		args, err := in.command()
		if err != nil {
			return err
		}
		if len(args) == 3 && strings.EqualFold(string(args[0]), "REPLCONF") && strings.EqualFold(string(args[1]), "GETACK") {
			l.ack(conn)
		} else if len(args) > 0 {
			l.o.Target.Apply(args)
		}
		l.mu.Lock()
		l.offset += in.bytes
		l.heard = l.o.Clock.Monotonic()
		l.mu.Unlock()
	}
	return ctx.Err()
}

// acknowledge tells the primary once a second how far the replica is.
func (l *Link) acknowledge(conn net.Conn, stop <-chan struct{}) {
	ticker := l.o.Clock.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		l.ack(conn)
		select {
		case <-ticker.C():
		case <-stop:
			return
		}
	}
}

func (l *Link) ack(conn net.Conn) {
	l.mu.Lock()
	offset := l.offset
	l.mu.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	_, _ = conn.Write(resp.AppendCommand(nil, "REPLCONF", "ACK", strconv.FormatInt(offset, 10))) // a dead connection shows when read
}

// stream reads what a primary sends.
type stream struct {
	r     *bufio.Reader
	bytes int64 // read since it was set to 0
}

func newStream(r io.Reader) *stream { return &stream{r: bufio.NewReaderSize(r, 64<<10)} }

// Limits of what a primary may send.
const (
	maxLine  = 64 << 10
	maxWords = 1 << 20
	maxWord  = 512 << 20
)

// line reads to the next newline and leaves it out, and a CR before it.
func (s *stream) line() ([]byte, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		s.bytes += int64(len(part))
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, errors.New("a line too long")
		}
	}
}

// status reads a reply of one line; empty lines are what a primary sends to show that it is at work.
func (s *stream) status() (string, error) {
	for {
		line, err := s.line()
		if err != nil || len(line) > 0 {
			return string(line), err
		}
	}
}

// command reads one command; none for an empty line.
func (s *stream) command() ([][]byte, error) {
	line, err := s.line()
	if err != nil || len(line) == 0 {
		return nil, err
	}
	n, err := s.number(line, '*', maxWords)
	if err != nil {
		return nil, err
	}
	args := make([][]byte, 0, min(n, 64))
	for range n {
		if line, err = s.line(); err != nil {
			return nil, err
		}
		size, err := s.number(line, '$', maxWord)
		if err != nil {
			return nil, err
		}
		word, err := s.word(size)
		if err != nil {
			return nil, err
		}
		args = append(args, word)
	}
	return args, nil
}

// word reads so many bytes and the line's end; memory follows what arrives.
func (s *stream) word(size int) ([]byte, error) {
	var buf bytes.Buffer
	n, err := io.CopyN(&buf, s.r, int64(size)+2)
	s.bytes += n
	if err != nil {
		return nil, err
	}
	return buf.Bytes()[:size], nil
}

func (s *stream) number(line []byte, kind byte, most int) (int, error) {
	if len(line) < 2 || line[0] != kind {
		return 0, fmt.Errorf("%.40q where %c was to come", line, kind)
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%.40q is no number of this stream", line)
	}
	return n, nil
}
