package command_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/resp"
)

// link is a connection of a test: what is pushed to it can be read, in order.
type link struct {
	client
	id   uint64
	addr string

	mu        sync.Mutex
	inbox     resp.Writer
	listens   bool
	postponed bool
	closed    string
}

// dial connects a session with a link.
func (r *rig) dial(id uint64) *link {
	l := &link{id: id, addr: "127.0.0.1:" + strings.Repeat("1", int(id))}
	l.client = client{r.t, r.NewSession(l), resp.NewWriter(nil)}
	r.t.Cleanup(l.s.Close)
	return l
}

func (l *link) ID() uint64               { return l.id }
func (l *link) RemoteAddr() string       { return l.addr }
func (l *link) LocalAddr() string        { return "127.0.0.1:6379" }
func (l *link) FlushPushes()             {}
func (l *link) Buffers() command.Buffers { return command.Buffers{} }
func (l *link) Block()                   {}

func (l *link) Push(encode func(w *resp.Writer)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	encode(&l.inbox)
}

func (l *link) Close(_ bool, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = reason
}

func (l *link) SetProto(version int) {
	l.w.SetProto(version)
	l.inbox.SetProto(version)
}

func (l *link) SetPubSub(on bool) { l.listens = on }
func (l *link) SetReplica(int)    {}

func (l *link) Postpone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.postponed = true
}

func (l *link) Resume(encode func(w *resp.Writer)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.postponed = false
	if encode != nil {
		encode(&l.inbox)
	}
}

// pushed is what was pushed since the last call, a message an element.
func (l *link) pushed() (messages []string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := l.inbox.Bytes(); len(rest) > 0; {
		v, n, err := resp.Decode(rest)
		if err != nil {
			l.t.Fatalf("%q is no message: %v", rest, err)
		}
		messages, rest = append(messages, show(v)), rest[n:]
	}
	l.inbox.Reset(0)
	return messages
}

// wantPushed compares what was pushed.
func (l *link) wantPushed(messages ...string) {
	l.t.Helper()
	if got := strings.Join(l.pushed(), "\n"); got != strings.Join(messages, "\n") {
		l.t.Fatalf("pushed:\n%s\nwant:\n%s", got, strings.Join(messages, "\n"))
	}
}

func TestShardedChannelsAreASpaceOfTheirOwn(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("[ssubscribe c (1)]", "SSUBSCRIBE c")
	a.want("[subscribe c (1)]", "SUBSCRIBE c")
	b.want("(1)", "SPUBLISH c sharded")
	b.want("(1)", "PUBLISH c plain")
	a.wantPushed("[smessage c sharded]", "[message c plain]")
	b.want("[c]", "PUBSUB SHARDCHANNELS")
	b.want("[]", "PUBSUB SHARDCHANNELS d*")
	b.want("[c (1) d (0)]", "PUBSUB SHARDNUMSUB c d")
	a.s.EndBatch()
	if list := b.do("CLIENT LIST"); !strings.Contains(list, " sub=1 psub=0 ssub=1 ") {
		t.Fatalf("CLIENT LIST: %s", list)
	}
	a.want("[sunsubscribe c (0)]", "SUNSUBSCRIBE")
	if !a.listens {
		t.Fatal("the connection was told that it has no subscriptions; it has one")
	}
	a.want("[unsubscribe c (0)]", "UNSUBSCRIBE")
	if a.listens {
		t.Fatal("the connection was told that it has subscriptions; it has none")
	}
	b.want("(0)", "SPUBLISH c nobody")
	a.want("[ssubscribe c (1)]", "SSUBSCRIBE c")
	a.want("ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", "GET x")
	a.want("RESET", "RESET")
	b.want("[]", "PUBSUB SHARDCHANNELS")
}

func TestMonitorShowsCommandsAsTheyRun(t *testing.T) {
	r := newRig(t)
	m, a := r.dial(1), r.dial(2)
	const at = "1700000000.000000 [0 127.0.0.1:11] "
	m.want("OK", "MONITOR")
	if !m.listens {
		t.Fatal("the output limits of a monitor are not those of subscribers")
	}
	a.want("OK", "SET", "k", "a\r\n\"\\\x00\xff\a\b\t")
	m.wantPushed(at + `"SET" "k" "a\r\n\"\\\x00\xff\a\b\t"`)
	a.want("OK", "SELECT 3") // shown with the new database, as Redis does
	a.want("OK", "CONFIG SET maxmemory 0")
	a.do("AUTH secret")
	a.do("AUTH user secret")
	a.do("HELLO 2 AUTH user secret SETNAME AUTH")
	a.do("NOSUCH command")
	m.wantPushed("1700000000.000000 [3 127.0.0.1:11] "+`"SELECT" "3"`,
		"1700000000.000000 [3 127.0.0.1:11] "+`"AUTH" "(redacted)"`,
		"1700000000.000000 [3 127.0.0.1:11] "+`"AUTH" "(redacted)" "(redacted)"`,
		"1700000000.000000 [3 127.0.0.1:11] "+`"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "AUTH"`)
	a.want("OK", "SELECT 0")
	a.want("OK", "MULTI")
	a.want("QUEUED", "INCR n")
	a.want("[(1)]", "EXEC")
	a.want("OK", "MULTI")
	a.do("NOSUCH command")
	a.do("EXEC")
	m.wantPushed(at+`"SELECT" "0"`, at+`"MULTI"`, at+`"INCR" "n"`, at+`"EXEC"`, at+`"MULTI"`, at+`"EXEC"`)
	m.want("ERR Replica can't interact with the keyspace", "GET k")
	m.want("PONG", "PING")
	m.wantPushed(`1700000000.000000 [0 127.0.0.1:1] "PING"`)
	m.s.EndBatch()
	if list := a.do("CLIENT LIST"); !strings.Contains(list, "flags=O ") {
		t.Fatalf("CLIENT LIST: %s", list)
	}
	m.want("RESET", "RESET")
	a.want("PONG", "PING")
	m.wantPushed()
	if m.listens {
		t.Fatal("after RESET the output limits are still those of subscribers")
	}
	a.want("OK", "MULTI")
	a.want("QUEUED", "MONITOR")
	a.want("[ERR MONITOR isn't allowed for DENY BLOCKING client]", "EXEC")
}

func TestConfirmationsAreMessages(t *testing.T) {
	r := newRig(t)
	a := r.dial(1)
	a.do("HELLO 3")
	for _, line := range []string{"CLIENT REPLY OFF", "SUBSCRIBE c", "PSUBSCRIBE d*", "UNSUBSCRIBE c"} {
		words := strings.Fields(line)
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		a.s.Exec(args, a.w)
	}
	r.main.want("(1)", "PUBLISH d1 hello")
	a.wantPushed("[subscribe c (1)]", "[psubscribe d* (2)]", "[unsubscribe c (1)]", "[pmessage d* d1 hello]")
}
