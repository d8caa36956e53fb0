package kvstore

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// Subscribe listens by server-sent events, with a request for the channels and one for the patterns. See store.Store.
func (s *Store) Subscribe(ctx context.Context, sub store.Subscription) error {
	if len(sub.Shards) > 0 {
		return &refused{"SSUBSCRIBE", "is for connections to a Cluster: use ordinary channels"}
	}
	if len(sub.Channels)+len(sub.Patterns) == 0 || sub.OnMessage == nil {
		return fmt.Errorf("kvstore: %w: a Subscription without channels, or without OnMessage", store.ErrInvalid)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	for resumed, attempt := false, 0; ; {
		began := time.Now()
		l := &listening{s: s, sub: sub, resumed: resumed}
		err := l.run(ctx)
		if over := s.life.Err(); over != nil {
			return fmt.Errorf("kvstore: %w", store.ErrClosed)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var failed *unanswered
		if err != nil && !errors.As(err, &failed) {
			return err
		}
		if resumed = resumed || l.ready; l.ready && time.Since(began) > time.Second {
			attempt = 0
		}
		attempt++
		s.log.Warn("subscription lost", "store", s.String(), "err", err)
		wait := min(time.Duration(attempt)*50*time.Millisecond, 2*time.Second)
		if failed != nil {
			wait = max(wait, min(failed.after, silence))
		}
		if !s.pause(ctx, wait) {
			if s.life.Err() != nil {
				return fmt.Errorf("kvstore: %w", store.ErrClosed)
			}
			return ctx.Err()
		}
	}
}

// silence is how long a server that gives signs of life every 25 s may be silent.
const silence = time.Minute

var errSilent = errors.New("nothing came for a minute")

// listening is one attempt to listen: as long as all of its requests last.
type listening struct {
	s       *Store
	ctx     context.Context
	sub     store.Subscription
	resumed bool

	mu        sync.Mutex // one message at a time, and all confirmations before the first
	confirmed int
	early     []store.Message // came before all was confirmed
	ready     bool
}

// run listens until something ends it.
func (l *listening) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.ctx = ctx
	ended := make(chan error, 2)
	n := 0
	for path, names := range map[string][]string{"/subscribe": l.sub.Channels, "/psubscribe": l.sub.Patterns} {
		if len(names) == 0 {
			continue
		}
		n++
		go func() {
			defer cancel() // without one of them the other is not enough
			ended <- l.listen(ctx, path, names)
		}()
	}
	err := <-ended
	for range n - 1 {
		if other := <-ended; errors.Is(err, context.Canceled) {
			err = other
		}
	}
	return err
}

// listen reads one stream of events.
func (l *listening) listen(ctx context.Context, path string, names []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, name := range names {
		path += "/" + url.PathEscape(name)
	}
	if names[len(names)-1] == "" {
		path += "/" // a slash at the end counts for nothing
	}
	resp, err := l.s.send(ctx, request{path: path, body: []byte("[]")}, eventStream)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), eventStream) {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) //nolint:errcheck // the status says enough
		if resp.StatusCode == http.StatusOK {
			return &unanswered{err: fmt.Errorf("kvstore: %s: %w: the answer to %s, of type %q, is no stream of events", l.s.base.Host, store.ErrUnavailable,
				path, clip(resp.Header.Get("Content-Type")))}
		}
		return l.s.refusalOf(resp, text, 0)
	}
	coded := resp.Header.Get(wordsHeader) != ""
	alive := func() {}
	if coded { // Larder's server gives signs of life: one that gives none is gone, whatever the connection looks like
		watch := time.AfterFunc(silence, cancel)
		defer watch.Stop()
		alive = func() { watch.Reset(silence) }
	}
	r := bufio.NewReader(resp.Body)
	var event strings.Builder
	lines := 0
	for {
		line, err := readLine(r, maxAnswer)
		if errors.Is(err, store.ErrReply) {
			return &unanswered{err: err}
		}
		if err != nil {
			if l.ctx.Err() == nil && ctx.Err() != nil {
				err = errSilent
			}
			return &unanswered{err: l.s.lost(l.ctx, err)}
		}
		alive()
		line = strings.TrimRight(line, "\r\n")
		data, isData := strings.CutPrefix(line, "data:")
		switch {
		case isData:
			if lines > 0 {
				event.WriteByte('\n')
			}
			event.WriteString(strings.TrimPrefix(data, " "))
			lines++
		case line == "" && lines > 0:
			l.take(event.String(), coded)
			event.Reset()
			lines = 0
		}
		if event.Len() > maxAnswer {
			return &unanswered{err: tooLong(maxAnswer)}
		}
	}
}

// readLine reads up to a line's end, which has to come within so many bytes or little more.
func readLine(r *bufio.Reader, most int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > most {
			return "", tooLong(most)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
	}
}

func tooLong(most int) error {
	return fmt.Errorf("kvstore: %w: an event of more than %d bytes", store.ErrReply, most)
}

// take handles an event: "subscribe,name,number", "message,channel,payload" or "pmessage,pattern,channel,payload".
func (l *listening) take(event string, coded bool) {
	kind, rest, _ := strings.Cut(event, ",")
	l.mu.Lock()
	defer l.mu.Unlock()
	switch kind {
	case "subscribe", "psubscribe":
		if l.confirmed++; l.confirmed == len(l.sub.Channels)+len(l.sub.Patterns) {
			l.ready = true
			if l.sub.OnReady != nil {
				l.sub.OnReady(l.resumed)
			}
			for _, m := range l.early {
				l.sub.OnMessage(m)
			}
			l.early = nil
		}
	case "message":
		if coded {
			l.deliver(decoded(rest))
		} else if name, payload, ok := cutName(rest, l.sub.Channels); ok {
			l.deliver(store.Message{Channel: name, Payload: payload})
		}
	case "pmessage":
		if pattern, after, _ := strings.Cut(rest, ","); coded {
			m := decoded(after)
			m.Pattern = plainText(pattern)
			l.deliver(m)
			return
		}
		if pattern, rest, ok := cutName(rest, l.sub.Patterns); ok {
			channel, payload, _ := strings.Cut(rest, ",")
			l.deliver(store.Message{Channel: channel, Pattern: pattern, Payload: payload})
		}
	}
}

func (l *listening) deliver(m store.Message) {
	if !l.ready {
		l.early = append(l.early, m)
		return
	}
	l.sub.OnMessage(m)
}

// decoded reads "channel,payload" in base64.
func decoded(text string) store.Message {
	channel, payload, _ := strings.Cut(text, ",")
	return store.Message{Channel: plainText(channel), Payload: plainText(payload)}
}

func plainText(coded string) string {
	b, _ := base64.StdEncoding.DecodeString(coded) //nolint:errcheck // our own server's
	return string(b)
}

// cutName finds the longest of the names that text begins with. Names may hold the comma that ends them.
func cutName(text string, names []string) (name, rest string, ok bool) {
	for _, n := range names {
		if after, found := strings.CutPrefix(text, n); found && strings.HasPrefix(after, ",") && (!ok || len(n) > len(name)) {
			name, rest, ok = n, after[1:], true
		}
	}
	return name, rest, ok
}
