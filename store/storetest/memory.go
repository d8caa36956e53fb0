package storetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// Memory is a Store in Go maps with the few commands that the patterns' scripts use (strings, hashes, expiry). It is
// for unit tests: its clock stands still until the test moves it, and it runs the Go bodies of scripts. Replies and
// errors are Redis's; any other command is unknown to it.
type Memory struct {
	mu     sync.Mutex // guards the rest
	now    time.Time
	keys   map[string]*entry
	subs   map[*store.Subscription]chan store.Message
	closed chan struct{}
}

// entry is a key's value: a string, or a hash if fields is not nil.
type entry struct {
	text   string
	fields map[string]string
	order  []string // fields in the order of insertion
	expiry int64    // Unix ms; 0 = none
}

var _ store.Store = (*Memory)(nil)

// NewMemory starts empty, at a fixed date.
func NewMemory() *Memory {
	return &Memory{
		now:    time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		keys:   map[string]*entry{},
		subs:   map[*store.Subscription]chan store.Message{},
		closed: make(chan struct{}),
	}
}

// Advance moves the clock. What expires by it is gone at once.
func (m *Memory) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// Now is the clock.
func (m *Memory) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// InProcess makes store.InProcess true.
func (m *Memory) InProcess() bool { return true }

// Do runs one command.
func (m *Memory) Do(ctx context.Context, args ...string) store.Reply {
	if err := m.usable(ctx); err != nil {
		return store.Fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.do(args)
}

// Pipe runs commands one by one.
func (m *Memory) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	out := make([]store.Reply, len(cmds))
	for i, c := range cmds {
		out[i] = m.Do(ctx, c...)
	}
	return out
}

// Run runs the Go body.
func (m *Memory) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	if err := m.usable(ctx); err != nil {
		return store.Fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.Go(memoryTx{m}, keys, args)
}

// memoryTx is Memory with its mutex held.
type memoryTx struct{ m *Memory }

func (tx memoryTx) Do(args ...string) store.Reply { return tx.m.do(args) }
func (tx memoryTx) Now() time.Time                { return tx.m.now }

// Subscribe delivers what PUBLISH sends to exact channels; patterns and sharded channels are not supported.
func (m *Memory) Subscribe(ctx context.Context, sub store.Subscription) error {
	if len(sub.Channels) == 0 || len(sub.Patterns)+len(sub.Shards) != 0 || sub.OnMessage == nil {
		return fmt.Errorf("storetest: %w: subscription", store.ErrInvalid)
	}
	if err := m.usable(ctx); err != nil {
		return err
	}
	inbox := make(chan store.Message, 1024)
	m.mu.Lock()
	m.subs[&sub] = inbox
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.subs, &sub)
		m.mu.Unlock()
	}()
	if sub.OnReady != nil {
		sub.OnReady(false)
	}
	for {
		select {
		case msg := <-inbox:
			sub.OnMessage(msg)
		case <-ctx.Done():
			return ctx.Err()
		case <-m.closed:
			return store.ErrClosed
		}
	}
}

// Close makes every later call fail.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closed:
	default:
		close(m.closed)
	}
	return nil
}

func (m *Memory) usable(ctx context.Context) error {
	select {
	case <-m.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// find gives a live key, nil if there is none.
func (m *Memory) find(key string) *entry {
	e := m.keys[key]
	if e != nil && e.expiry != 0 && e.expiry <= m.now.UnixMilli() {
		delete(m.keys, key)
		return nil
	}
	return e
}

var (
	errType   = store.ServerError("WRONGTYPE Operation against a key holding the wrong kind of value")
	errSyntax = store.ServerError("ERR syntax error")
	errInt    = store.ServerError("ERR value is not an integer or out of range")
)

// do runs a command with mu held.
func (m *Memory) do(args []string) store.Reply {
	if len(args) == 0 || args[0] == "" {
		return store.Fail(fmt.Errorf("storetest: %w: a command without a name", store.ErrInvalid))
	}
	if store.Stateful(args) {
		return store.Fail(fmt.Errorf("storetest: %w: %s", store.ErrUnsupported, args[0]))
	}
	name, rest := strings.ToUpper(args[0]), args[1:]
	least, run := m.command(name)
	switch {
	case run == nil:
		return store.Fail(store.ServerError(fmt.Sprintf("ERR unknown command '%s', with args beginning with: ", args[0])))
	case len(rest) < least:
		return store.Fail(store.ServerError(fmt.Sprintf("ERR wrong number of arguments for '%s' command", strings.ToLower(name))))
	}
	if len(name) > 1 && name[0] == 'H' {
		if e := m.find(rest[0]); e != nil && e.fields == nil {
			return store.Fail(errType)
		}
	}
	return run(rest)
}

func (m *Memory) command(name string) (least int, run func([]string) store.Reply) {
	switch name {
	case "PING":
		return 0, func([]string) store.Reply { return store.Status("PONG") }
	case "ECHO":
		return 1, func(a []string) store.Reply { return store.Bulk(a[0]) }
	case "TIME":
		return 0, m.time
	case "PUBLISH":
		return 2, m.publish
	case "GET":
		return 1, m.get
	case "SET":
		return 2, m.set
	case "INCR":
		return 1, m.incr
	case "STRLEN":
		return 1, m.strlen
	case "GETRANGE":
		return 3, m.getrange
	case "SETRANGE":
		return 3, m.setrange
	case "APPEND":
		return 2, m.append
	case "DEL":
		return 1, m.del
	case "EXISTS":
		return 1, func(a []string) store.Reply { return store.Int(count(m.find(a[0]) != nil)) }
	case "TYPE":
		return 1, m.typeOf
	case "PTTL":
		return 1, m.pttl
	case "PEXPIRE":
		return 2, m.pexpire
	case "HSET":
		return 3, m.hset
	case "HGET":
		return 2, func(a []string) store.Reply { return m.field(a[0], a[1]) }
	case "HMGET":
		return 2, m.hmget
	case "HLEN":
		return 1, m.hlen
	case "HGETALL":
		return 1, m.hgetall
	case "HDEL":
		return 2, m.hdel
	}
	return 0, nil
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (m *Memory) time([]string) store.Reply {
	us := m.now.UnixMicro()
	return store.ArrayOf(store.Bulk(strconv.FormatInt(us/1e6, 10)), store.Bulk(strconv.FormatInt(us%1e6, 10)))
}

func (m *Memory) publish(a []string) store.Reply {
	var n int64
	for sub, inbox := range m.subs {
		for _, c := range sub.Channels {
			if c == a[0] {
				inbox <- store.Message{Channel: c, Payload: a[1]}
				n++
			}
		}
	}
	return store.Int(n)
}

func (m *Memory) get(a []string) store.Reply {
	switch e := m.find(a[0]); {
	case e == nil:
		return store.Nil()
	case e.fields != nil:
		return store.Fail(errType)
	default:
		return store.Bulk(e.text)
	}
}

func (m *Memory) set(a []string) store.Reply {
	e, old := &entry{text: a[1]}, m.find(a[0])
	unmet, reply := false, store.Status("OK")
	for i := 2; i < len(a); i++ {
		switch opt := strings.ToUpper(a[i]); {
		case opt == "NX", opt == "XX":
			unmet = unmet || (opt == "NX") == (old != nil)
		case opt == "GET":
			if reply = m.get(a); reply.Err() != nil {
				return reply
			}
		case (opt == "PX" || opt == "EX") && i+1 < len(a):
			n, err := strconv.ParseInt(a[i+1], 10, 64)
			if err != nil {
				return store.Fail(errInt)
			}
			if n <= 0 {
				return store.Fail(store.ServerError("ERR invalid expire time in 'set' command"))
			}
			if opt == "EX" {
				n *= 1000
			}
			e.expiry = m.now.UnixMilli() + n
			i++
		default:
			return store.Fail(errSyntax)
		}
	}
	switch {
	case unmet && reply.Kind() == store.KindStatus:
		return store.Nil()
	case unmet:
		return reply
	}
	m.keys[a[0]] = e
	return reply
}

func (m *Memory) incr(a []string) store.Reply {
	e := m.find(a[0])
	if e == nil {
		e = &entry{text: "0"}
		m.keys[a[0]] = e
	}
	n, err := strconv.ParseInt(e.text, 10, 64)
	if e.fields != nil {
		return store.Fail(errType)
	}
	if err != nil {
		return store.Fail(errInt)
	}
	e.text = strconv.FormatInt(n+1, 10)
	return store.Int(n + 1)
}

func (m *Memory) del(a []string) store.Reply {
	var n int64
	for _, k := range a {
		n += count(m.find(k) != nil)
		delete(m.keys, k)
	}
	return store.Int(n)
}

func (m *Memory) typeOf(a []string) store.Reply {
	switch e := m.find(a[0]); {
	case e == nil:
		return store.Status("none")
	case e.fields != nil:
		return store.Status("hash")
	}
	return store.Status("string")
}

func (m *Memory) pttl(a []string) store.Reply {
	switch e := m.find(a[0]); {
	case e == nil:
		return store.Int(-2)
	case e.expiry == 0:
		return store.Int(-1)
	default:
		return store.Int(e.expiry - m.now.UnixMilli())
	}
}

func (m *Memory) pexpire(a []string) store.Reply {
	e := m.find(a[0])
	if e == nil {
		return store.Int(0)
	}
	n, err := strconv.ParseInt(a[1], 10, 64)
	if err != nil {
		return store.Fail(errInt)
	}
	if e.expiry = m.now.UnixMilli() + n; n <= 0 {
		delete(m.keys, a[0])
	}
	return store.Int(1)
}
