package server

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/larderdb/larder/internal/resp"
)

// fakes is a small command layer: enough to exercise everything a Client offers.
type fakes struct {
	mu       sync.Mutex
	sessions map[uint64]*fake
	open     int
	password bool
	paused   []Client // who waits for UNPAUSE
	isPaused bool

	changed *sync.Cond // open, blocked or paused has changed
	blocked int
}

func newFakes() *fakes {
	f := &fakes{sessions: map[uint64]*fake{}}
	f.changed = sync.NewCond(&f.mu)
	return f
}

type fake struct {
	all    *fakes
	cl     Client
	authed bool
	proto  int
	batch  [][][]byte // what Prefetch announced and Exec has not seen
	ended  int
	queued int
}

func (f *fakes) newSession(cl Client) Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fake{all: f, cl: cl, authed: !f.password, proto: 2}
	f.sessions[cl.ID()] = s
	f.open++
	f.changed.Broadcast()
	return s
}

// await returns once cond holds; cond runs under mu and is asked again after every change.
func (f *fakes) await(cond func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond() {
		f.changed.Wait()
	}
}

func (s *fake) Prefetch(cmds [][][]byte) { s.batch = append([][][]byte(nil), cmds...) }
func (s *fake) EndBatch()                { s.batch = nil; s.ended++ }
func (s *fake) Queued() int              { return s.queued }
func (s *fake) Authenticated() bool      { return s.authed }

func (s *fake) Close() {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.open--
	s.all.changed.Broadcast()
	delete(s.all.sessions, s.cl.ID())
}

func (s *fake) Exec(args [][]byte, w *resp.Writer) {
	if len(s.batch) > 0 {
		if fmt.Sprintf("%q", s.batch[0]) != fmt.Sprintf("%q", args) {
			panic(fmt.Sprintf("announced %q, got %q", s.batch[0], args))
		}
		s.batch = s.batch[1:]
	}
	text := func(i int) string {
		if i < len(args) {
			return string(args[i])
		}
		return ""
	}
	num := func(i int) int { n, _ := strconv.Atoi(text(i)); return n }
	s.run(strings.ToUpper(text(0)), args, text, num, w)
}

func (s *fake) run(name string, args [][]byte, text func(int) string, num func(int) int, w *resp.Writer) {
	f := s.all
	switch name {
	case "PING":
		w.Simple("PONG")
	case "ECHO":
		w.BulkString(text(1))
	case "ARGS":
		w.Array(len(args))
		for _, a := range args {
			w.Bulk(a)
		}
	case "BIG":
		w.Bulk(bytes.Repeat([]byte{'x'}, num(1)))
	case "QUEUE":
		s.queued += num(1)
	case "ID":
		w.Int(int64(s.cl.ID()))
	case "AUTH":
		s.authed = true
		w.Simple("OK")
	case "HELLO":
		s.cl.SetProto(num(1))
		w.Map(0)
	case "QUIT":
		w.Simple("OK")
		s.cl.Close(true, "QUIT")
	case "SUB":
		s.cl.SetPubSub(true)
		w.Simple("OK")
	case "PUB": // to everybody who is connected
		f.mu.Lock()
		for _, to := range f.sessions {
			to.cl.Push(func(w *resp.Writer) { w.Push(2); w.BulkString("msg"); w.BulkString(text(1)) })
		}
		n := len(f.sessions)
		f.mu.Unlock()
		w.Int(int64(n))
	case "KILL":
		f.mu.Lock()
		if to := f.sessions[uint64(num(1))]; to != nil {
			to.cl.Close(false, "killed by a test")
		}
		f.mu.Unlock()
		w.Simple("OK")
	default:
		s.waiting(name, text, num, w)
	}
}

// waiting are the commands that block and unblock.
func (s *fake) waiting(name string, text func(int) string, num func(int) int, w *resp.Writer) {
	f := s.all
	f.mu.Lock()
	defer f.mu.Unlock()
	switch name {
	case "BLOCK":
		s.cl.Block()
		f.blocked++
		if text(1) == "briefly" { // resumed before Exec returns
			s.cl.Resume(func(w *resp.Writer) { w.Simple("RESUMED") })
		}
	case "RESUME":
		if to := f.sessions[uint64(num(1))]; to != nil {
			to.cl.Resume(func(w *resp.Writer) { w.Simple("RESUMED") })
		}
		w.Simple("OK")
	case "PAUSE":
		f.isPaused = true
		w.Simple("OK")
	case "WORK": // waits while paused, and runs then
		if f.isPaused {
			s.cl.Postpone()
			f.paused = append(f.paused, s.cl)
			break
		}
		w.Simple("WORKED")
	case "UNPAUSE":
		f.isPaused = false
		for _, cl := range f.paused {
			cl.Resume(nil)
		}
		f.paused = nil
		w.Simple("OK")
	default:
		w.Error("ERR unknown command '" + name + "'")
	}
	f.changed.Broadcast()
}
