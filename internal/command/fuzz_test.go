package command_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// A fuzz program is a sequence of commands, a few bytes each: which row of the
// command table, how many arguments, which words of hostileWords they are. So
// nearly every program gets past the names and into the parsing of arguments and the types, and
// a mutation of one byte is a mutation of one word.
const (
	opTick    = 255 // time passes and the periodic work is done
	opOther   = 254 // the next command is another client's
	opFar     = 253 // in front of a row: 253 further down the table
	opLiteral = 255 // in place of a word: a length and so many bytes
)

// maxProgram bounds the commands of a program: what goes wrong does so soon.
const maxProgram = 48

// hostileWords are the arguments: few keys, so that commands meet each other's
// values, all option words, and values at the edges of what is accepted.
var hostileWords = strings.Split("|a|b|c|{a}1|0|1|-1|2|3|5|10|100|-3|1.5|-0|+1|01| 1|1 |0x10|1e3|3.0e2|nan|-nan|inf|-inf|+inf|"+
	"9223372036854775807|-9223372036854775808|9223372036854775808|-9223372036854775807|4611686018427387904|18446744073709551615|"+
	"2147483648|4294967296|1700000000|1700000010|1700000001000|1e308|-1e308|1e-320|179769313486231580793728971405301e300|"+
	"(1|(|[a|[b|[|+|-|*|?|a*|[a-|\\|[^|(inf|(nan|-inf|\x00|\xff\xfe|a\r\nb|$5|*3|\u00e9|"+
	"EX|PX|EXAT|PXAT|KEEPTTL|PERSIST|NX|XX|GT|LT|CH|INCR|GET|WITHSCORES|WITHSCORE|WITHVALUES|LIMIT|BYSCORE|BYLEX|REV|"+
	"WEIGHTS|AGGREGATE|SUM|MIN|MAX|COUNT|MATCH|TYPE|NOVALUES|BEFORE|AFTER|LEFT|RIGHT|RANK|MAXLEN|LEN|IDX|MINMATCHLEN|"+
	"WITHMATCHLEN|DB|REPLACE|SAMPLES|SYNC|ASYNC|string|list|hash|set|zset|stream|ON|OFF|ID|ADDR|LADDR|SKIPME|YES|NO|USER|"+
	"default|MAXAGE|AUTH|SETNAME|FILTERBY|PATTERN|MODULE|ACLCAT|lib-name|HELP|maxmemory|maxmemory-policy|allkeys-lfu|allkeys-lru|"+
	"volatile-ttl|noeviction|hash-max-listpack-entries|hash-max-listpack-value|set-max-intset-entries|set-max-listpack-entries|"+
	"zset-max-listpack-entries|list-max-listpack-size|-2|requirepass|latency-tracking|lfu-decay-time|everything|commandstats|"+
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz|"+strings.Repeat("long", 300)+
	"|TRACKING|BCAST|PREFIX|REDIRECT|OPTIN|OPTOUT|NOLOOP|WRITE|ALL|notify-keyspace-events|KEAnm|tracking-table-max-keys"+
	"|nopass|~*|~a|&*|&a|+@all|-@all|(+get|~b)|+get|-get|>a|resetkeys|%R~a|+set"+
	"|BIT|BYTE|AND|XOR|NOT|DIFF1|ONE|ANDOR|u8|i64|u63|#3|OVERFLOW|SAT|FAIL|INCRBY|SET|HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xfd\x81"+
	"|DECODE|GETREG|FROMLONLAT|FROMMEMBER|BYBOX|BYRADIUS|km|ANY|ASC|STOREDIST|STORE|WITHHASH|BY|ALPHA|a*->b", "|")

// fuzzClient is a connection that only checks that what is pushed is RESP.
type fuzzClient struct {
	id    uint64
	w     *resp.Writer // of replies
	inbox resp.Writer

	blocked   bool // runs nothing until Resume
	postponed bool // the command is to run again: it has not replied
}

func (c *fuzzClient) Block()    { c.blocked = true }
func (c *fuzzClient) Postpone() { c.blocked, c.postponed = true, true }
func (c *fuzzClient) Resume(encode func(w *resp.Writer)) {
	if !c.blocked {
		return
	}
	c.blocked = false
	if encode != nil {
		encode(&c.inbox)
	}
}

func (c *fuzzClient) ID() uint64                       { return c.id }
func (c *fuzzClient) RemoteAddr() string               { return "127.0.0.1:1" }
func (c *fuzzClient) LocalAddr() string                { return "127.0.0.1:2" }
func (c *fuzzClient) Push(encode func(w *resp.Writer)) { encode(&c.inbox) }
func (c *fuzzClient) FlushPushes()                     {}
func (c *fuzzClient) Close(afterReply bool, _ string)  {}
func (c *fuzzClient) Buffers() command.Buffers         { return command.Buffers{} }
func (c *fuzzClient) SetProto(version int)             { c.w.SetProto(version); c.inbox.SetProto(version) }
func (c *fuzzClient) SetPubSub(bool)                   {}
func (c *fuzzClient) SetReplica(int)                   {}

// fuzzSession is a session with its reply buffer, and how many replies EXEC gives more than one.
type fuzzSession struct {
	*command.Session
	client *fuzzClient
	loose  bool // a queued command replies not just once: EXEC's reply cannot be counted
}

// fuzzRun is one run of a program.
type fuzzRun struct {
	t     *testing.T
	clock *clock.Fake
	rows  []string // "get", "client|list", ...
	p     *command.Processor
	mine  *fuzzSession
	other *fuzzSession
	log   []string
}

func newFuzzRun(t *testing.T, proto string) *fuzzRun {
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	cfg := config.New()
	if err := cfg.Set(config.Program, config.Pair{Name: "proto-max-bulk-len", Value: "1mb"},
		config.Pair{Name: "hash-max-listpack-entries", Value: "4"}, config.Pair{Name: "set-max-intset-entries", Value: "4"},
		config.Pair{Name: "set-max-listpack-entries", Value: "4"}, config.Pair{Name: "zset-max-listpack-entries", Value: "4"},
		config.Pair{Name: "list-max-listpack-size", Value: "4"}); err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Clock: fake, Seed: 42})
	r := &fuzzRun{t: t, clock: fake, p: command.NewProcessor(e, cfg, command.Info{Files: memoryFor(t, cfg)})}
	r.p.Table.Visit(func(full string, c *command.Command) {
		if c.Subs == nil {
			r.rows = append(r.rows, full)
		}
	})
	r.mine, r.other = r.connect(1), r.connect(2)
	for _, s := range []*fuzzSession{r.mine, r.other} {
		r.exec(s, [][]byte{[]byte("HELLO"), []byte(proto)})
	}
	return r
}

func (r *fuzzRun) connect(id uint64) *fuzzSession {
	c := &fuzzClient{id: id, w: resp.NewWriter(nil)}
	return &fuzzSession{Session: r.p.NewSession(c), client: c}
}

func (r *fuzzRun) end() {
	r.mine.Close()
	r.other.Close()
	if err := r.p.Engine.Check(); err != nil {
		r.fail("the structures are broken: %v", err)
	}
	r.p.Engine.Close()
}

func (r *fuzzRun) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Logf("after:\n%s", strings.Join(r.log, "\n"))
	r.t.Fatalf(format, args...)
}

// run executes a program.
func (r *fuzzRun) run(program []byte) {
	defer func() {
		if v := recover(); v != nil {
			r.t.Logf("after:\n%s", strings.Join(r.log, "\n"))
			panic(v)
		}
	}()
	next := func() (b byte, ok bool) {
		if len(program) == 0 {
			return 0, false
		}
		b, program = program[0], program[1:]
		return b, true
	}
	s := r.mine
	for range maxProgram {
		op, ok := next()
		if !ok {
			return
		}
		switch op {
		case opTick:
			r.clock.Advance(700 * time.Millisecond)
			r.p.Tick(time.Second)
			continue
		case opOther:
			s = r.other
			continue
		}
		row := int(op)
		if op == opFar {
			b, _ := next()
			row += int(b)
		}
		n, _ := next()
		var args [][]byte
		for _, word := range strings.Split(r.rows[row%len(r.rows)], "|") {
			args = append(args, []byte(word))
		}
		for range n % 12 {
			word, ok := next()
			switch {
			case !ok:
			case word == opLiteral:
				length, _ := next()
				size := min(int(length), len(program))
				args = append(args, program[:size:size])
				program = program[size:]
			default:
				args = append(args, []byte(hostileWords[int(word)%len(hostileWords)]))
			}
		}
		r.exec(s, args)
		s = r.mine
	}
}

// exec runs one command and reads its reply.
func (r *fuzzRun) exec(s *fuzzSession, args [][]byte) {
	r.log = append(r.log, strconv.Itoa(int(s.client.id))+": "+string(bytes.Join(quoted(args), []byte(" "))))
	name := strings.ToLower(string(args[0]))
	if name == "debug" && len(args) > 1 && strings.EqualFold(string(args[1]), "sleep") {
		return // the fake clock does not move by itself
	}
	if name == "migrate" {
		return // it would reach out into the network
	}
	if s.client.blocked {
		return // until another session, or the time, ends that
	}
	s.client.w.Truncate(0)
	s.client.postponed = false
	s.Exec(args, s.client.w)
	s.EndBatch()
	if s.client.blocked {
		if s.client.w.Len() != 0 {
			r.fail("waits and has replied %q", s.client.w.Bytes())
		}
		return
	}
	replies, queued := 0, false
	for rest := s.client.w.Bytes(); len(rest) > 0; replies++ {
		v, n, err := resp.Decode(rest)
		if err != nil {
			r.fail("%q is no reply: %v", rest, err)
		}
		if nan := v.Kind == resp.Double && math.IsNaN(v.Float); nan {
			r.fail("the reply is not a number")
		}
		queued = v.Text() == "QUEUED"
		rest = rest[n:]
	}
	listens := strings.HasSuffix(name, "subscribe")
	switch {
	case queued:
		s.loose = s.loose || listens
	case name == "exec" || name == "discard" || name == "reset":
		if replies != 1 && !s.loose && !s.Quiet() {
			r.fail("%d replies", replies)
		}
		s.loose = false
	case name == "monitor" && replies == 0: // a second one
	case replies == 0 && s.Quiet():
	case replies != 1 && !(listens && replies >= 1 && (replies == len(args)-1 || len(args) == 1)):
		r.fail("%d replies: %q", replies, s.client.w.Bytes())
	}
	r.checkPushes()
}

func (r *fuzzRun) checkPushes() {
	for _, s := range []*fuzzSession{r.mine, r.other} {
		for rest := s.client.inbox.Bytes(); len(rest) > 0; {
			_, n, err := resp.Decode(rest)
			if err != nil {
				r.fail("%q is no message: %v", rest, err)
			}
			rest = rest[n:]
		}
		s.client.inbox.Reset(0)
	}
}

func quoted(args [][]byte) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		out[i] = []byte(strconv.Quote(string(a)))
	}
	return out
}

// FuzzExec holds that whatever clients send, in either protocol, no command
// panics, each gets one well-formed reply, and the structures stay sound.
func FuzzExec(f *testing.F) {
	for _, program := range seedPrograms(f) {
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		for _, proto := range []string{"2", "3"} {
			r := newFuzzRun(t, proto)
			r.run(program)
			r.end()
		}
	})
}

// seedPrograms makes programs of the scripts that the differential tests run: they know every option.
func seedPrograms(f *testing.F) (programs [][]byte) {
	files, err := filepath.Glob("../difftest/scripts/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no scripts to begin with", err)
	}
	enc := newProgramEncoder()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n== ") {
			if program := enc.encode(part); len(program) > 0 {
				programs = append(programs, program)
			}
		}
	}
	return programs
}

// programEncoder writes commands as the bytes of a program.
type programEncoder struct {
	rows  map[string]int
	words map[string]byte
}

func newProgramEncoder() programEncoder {
	enc := programEncoder{make(map[string]int), make(map[string]byte)}
	command.NewTable().Visit(func(full string, c *command.Command) {
		if c.Subs == nil {
			enc.rows[full] = len(enc.rows)
		}
	})
	for i, w := range hostileWords {
		enc.words[strings.ToLower(w)] = byte(i)
	}
	return enc
}

func (e programEncoder) encode(script string) (program []byte) {
	for _, line := range strings.Split(script, "\n") {
		if rest, gated := strings.CutPrefix(line, "~"); gated { // a later version's, with the reply that is due
			_, line, _ = strings.Cut(rest, " ")
			line, _, _ = strings.Cut(line, "=>")
		}
		words, ok := resp.AppendWords(nil, []byte(line))
		if !ok || len(words) == 0 {
			continue
		}
		op, known := e.rows[strings.ToLower(string(words[0]))]
		args := words[1:]
		if !known && len(args) > 0 {
			op, known = e.rows[strings.ToLower(string(words[0])+"|"+string(words[1]))]
			args = words[2:]
		}
		if !known {
			continue
		}
		args = args[:min(len(args), 11)]
		if op >= opFar {
			program = append(program, opFar)
			op -= opFar
		}
		program = append(program, byte(op), byte(len(args)))
		for _, a := range args {
			if i, ok := e.words[strings.ToLower(string(a))]; ok {
				program = append(program, i)
				continue
			}
			a = a[:min(len(a), 255)]
			program = append(append(program, opLiteral, byte(len(a))), a...)
		}
	}
	return program
}
