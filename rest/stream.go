package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// stream answers with server-sent events until the client leaves.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, u *user, what, path string) {
	names, err := segments(path)
	monitor := what == "monitor"
	switch {
	case err != nil:
	case monitor && u.readOnly:
		err = noPermission(what)
	case monitor && path != "" || !monitor && (path == "" || len(names) > maxChannels):
		err = store.ServerError("ERR wrong number of arguments for '" + what + "' command")
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	if s.hub.count.Add(1) > int64(s.o.MaxSubscribers) {
		s.hub.count.Add(-1)
		s.fail(w, http.StatusServiceUnavailable, errMany)
		return
	}
	defer s.hub.count.Add(-1)
	control := http.NewResponseController(w)
	sub := newSubscriber(&s.o)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var first []byte
	if monitor {
		first, err = s.monitor(ctx, u, sub)
	} else {
		var leave func()
		first, leave, err = s.subscribe(ctx, u, source{user: u.name, pattern: what == "psubscribe", coded: r.Header.Get(wordsHeader) == "base64"}, names, sub)
		defer leave()
	}
	if err == nil {
		err = sub.begin(func(why error) { cutOff(control, why) })
		defer sub.done()
	}
	switch {
	case s.ctx.Err() != nil:
		s.fail(w, http.StatusServiceUnavailable, errClosing)
		return
	case errors.Is(err, errFeeds):
		s.fail(w, http.StatusServiceUnavailable, err)
		return
	case err != nil:
		s.fail(w, statusOf(err), err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h[wordsHeader] = takesBytes
	h[syncHeader] = s.syncToken()
	h.Set("Connection", "close") // whatever deadline is left is none for another response
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		sub.feed(ctx, w, control, first)
	}
}

// lastWords is how long a subscriber may take what was sent to him before the end, unless he was too slow all along.
const lastWords = 5 * time.Second

// cutOff ends the writing of a response that may be stuck, since the client does not read.
func cutOff(control *http.ResponseController, why error) {
	until := time.Unix(1, 0)
	if !errors.Is(why, errSlow) {
		until = time.Now().Add(lastWords)
	}
	_ = control.SetWriteDeadline(until) // what has none is no network's
}

// maxChannels bounds what one request subscribes to.
const maxChannels = 1000

// keepAlive is how often a client that gets nothing is written to, so that it shows when it is gone, and that no proxy in
// between thinks it idle.
const keepAlive = 25 * time.Second

// feed writes events as they come.
func (s *subscriber) feed(ctx context.Context, w http.ResponseWriter, control *http.ResponseController, first []byte) {
	events := [][]byte{first}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		for _, e := range events {
			if _, err := w.Write(e); err != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-alive.C:
			events = append(events[:0], []byte(":\n\n"))
			continue
		case <-s.wake:
		}
		var err error
		if events, err = s.take(events); err != nil {
			return
		}
	}
}

// subscribe joins the feed and waits until the Store has confirmed it.
func (s *Server) subscribe(ctx context.Context, u *user, from source, names []string, sub *subscriber) (first []byte, leave func(), err error) {
	f, err := s.hub.join(u.st, from, distinct(names), sub)
	if err != nil {
		return nil, func() {}, err
	}
	leave = func() { s.hub.leave(f, sub) }
	select {
	case <-f.ready:
	case <-f.ended:
		return nil, leave, f.err
	case <-ctx.Done():
		return nil, leave, ctx.Err()
	}
	for i, name := range names {
		first = appendEvent(first, from.kind("subscribe")+","+from.text(name)+","+strconv.Itoa(i+1))
	}
	return first, leave, nil
}

// distinct takes out what comes again.
func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	list := make([]string, 0, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

var errClosing = errors.New("ERR the server is closing")

var errNoMonitor = errors.New("ERR this store cannot be monitored")

// monitor shows what the Store's server does.
func (s *Server) monitor(ctx context.Context, u *user, sub *subscriber) (first []byte, err error) {
	m, ok := u.st.(store.Monitor)
	if !ok {
		return nil, errNoMonitor
	}
	began := make(chan struct{})
	go func() {
		stop := context.AfterFunc(s.ctx, func() { sub.stop(store.ErrClosed) })
		defer stop()
		var once bool
		sub.stop(m.Monitor(ctx, func(line string) {
			if !once {
				once = true
				close(began)
				return
			}
			if sub.offer(appendEvent(nil, line)) {
				s.hub.slow.Add(1)
			}
		}))
	}()
	select {
	case <-began:
	case <-sub.wake: // it has ended before it began, or has begun and goes on
		sub.signal()
	}
	return appendEvent(nil, `"OK"`), nil
}

// event words a message.
func (f source) event(m store.Message) []byte {
	text := f.kind("message") + ","
	if f.pattern {
		text += f.text(m.Pattern) + ","
	}
	return appendEvent(nil, text+f.text(m.Channel)+","+f.text(m.Payload))
}

func (f source) kind(what string) string {
	if f.pattern {
		return "p" + what
	}
	return what
}

func (f source) text(s string) string {
	if f.coded {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return s
}

// appendEvent adds a server-sent event. A line's end within text begins another line of data, as the standard has it.
func appendEvent(b []byte, text string) []byte {
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n") {
		b = append(append(append(b, "data: "...), line...), '\n')
	}
	return append(b, '\n')
}
