package resp

import (
	"bytes"
	"math"
	"slices"

	"github.com/larderdb/larder/internal/types/number"
)

// The request parser
//
// A request is an array of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") or, for people on a terminal, one line of
// words (inline.go). Parse takes a buffer of whatever has been read and cuts it into as many whole commands as it holds:
// a pipeline of a thousand commands that came with one read is one batch.
//
// Nothing is copied: an argument is a slice of the caller's buffer. For the command that is only there in part the Parser
// notes where its arguments lie, counted from the command's first byte, so that the caller may move those bytes to
// another buffer and let more follow. What was parsed once is never looked at again: however finely a request is cut, the
// parser's work is linear in its length. What it allocates follows the bytes that have arrived, not what was announced.
//
// It accepts and refuses what Redis does, with Redis's words, including the loose ends: empty lines, "*0" and "*-1" are
// no command and get no reply, and the two bytes after a length or a bulk string are skipped unseen. It is stricter in
// one thing: a line longer than maxLine is refused even when its end came along with the same read, so that the
// outcome never depends on how the network cut the bytes.

// maxLine is the longest line of a request, header or inline, in bytes (PROTO_INLINE_MAX_SIZE).
const maxLine = 64 << 10

// Limits are what a request may announce.
type Limits struct {
	MaxBulk int // longest argument, in bytes (proto-max-bulk-len)
	MaxArgs int // most arguments of one command, its name included: they cost what Held says, the bytes apart

	// Unauthenticated is set until a client has proved who it is: it then gets unauthenticatedBulk and
	// unauthenticatedArgs at most, so that strangers cannot take memory.
	Unauthenticated bool
}

const (
	unauthenticatedBulk = 16 << 10 // bytes
	unauthenticatedArgs = 10
)

// DefaultLimits are those of an unconfigured server.
func DefaultLimits() Limits { return Limits{MaxBulk: 512 << 20, MaxArgs: math.MaxInt32} }

// A ProtocolError says why a request cannot be understood. There is no way to find the next request after one: the
// client gets the text as an ERR reply and is disconnected.
type ProtocolError string

func (e ProtocolError) Error() string { return "Protocol error: " + string(e) }

// What Parse answers. ErrHTTP is special: the client is a browser or another HTTP client that was tricked into talking to
// us, and it gets no reply.
const (
	ErrArgs         = ProtocolError("invalid multibulk length")
	ErrBulk         = ProtocolError("invalid bulk length")
	ErrStrangerArgs = ProtocolError("unauthenticated multibulk length")
	ErrStrangerBulk = ProtocolError("unauthenticated bulk length")
	ErrArgsLine     = ProtocolError("too big mbulk count string")
	ErrBulkLine     = ProtocolError("too big bulk count string")
	ErrInlineLine   = ProtocolError("too big inline request")
	ErrQuotes       = ProtocolError("unbalanced quotes in request")
	ErrHTTP         = ProtocolError("HTTP request")
)

// A Batch is the commands found by one Parse. It is reused from read to read, and belongs with the read buffer, not with
// a connection.
type Batch struct {
	// Cmds are the commands, each with its name first. They are slices of the parsed buffer, good as long as it is.
	Cmds [][][]byte
	// Ends has, for each command, the offset in the parsed buffer of the first byte behind it.
	Ends []int

	args  [][]byte // backs Cmds
	spans []span   // scratch of the command being parsed
}

// span is where an argument lies, counted from the first byte of its command.
type span struct{ off, len int }

const spanSize = 16 // bytes

// A batch ends when it has this many arguments, so that its bookkeeping stays within the processor's cache.
const batchArgs = 8192

// Reset empties the batch and lets go of the buffer it points into. The memory is kept unless it has become large.
func (b *Batch) Reset() {
	if cap(b.args) > 4*batchArgs || cap(b.spans) > 4*batchArgs {
		*b = Batch{}
		return
	}
	clear(b.args)
	b.Cmds, b.Ends, b.args, b.spans = b.Cmds[:0], b.Ends[:0], b.args[:0], b.spans[:0]
}

// Parser is the state of one connection's request stream: what is known of the command that has arrived in part. The zero
// value is ready. A Parser between two commands holds no memory.
type Parser struct {
	// All offsets count from the first byte of the unfinished command.
	pos     int    // parsed up to here
	scanned int    // bytes behind pos that hold no end of line
	left    int    // arguments still to come; 0: the command has not begun
	bulk    int    // length of the argument that begins at pos, when inBulk
	inBulk  bool   // the argument's length is known
	spans   []span // arguments found so far
}

// Partial reports whether the last Parse stopped in the middle of a multibulk command.
func (p *Parser) Partial() bool { return p.left > 0 }

// Need returns how many bytes, beyond those that Parse has seen, the command needs where that is known: where nothing but
// the rest of its last bulk string is missing. Else it is 1. The client has announced it and not yet sent it, so it is a
// hint and no reason to allocate as much.
func (p *Parser) Need(have int) int {
	if p.inBulk && p.left == 1 {
		return max(1, p.pos+p.bulk+2-have)
	}
	return 1
}

// Held is the memory of the unfinished command's bookkeeping, in bytes: it grows with the arguments that have come.
func (p *Parser) Held() int { return cap(p.spans) * spanSize }

// Reset forgets the unfinished command: the caller will present it again from its first byte.
func (p *Parser) Reset() { *p = Parser{} }

// Parse cuts buf into commands and appends them to b, at most limit of them. It returns how many bytes it is done with;
// the caller presents the rest again at the beginning of the next buffer, with what came after it, and must not change
// it in between. With an error, the commands in b came before the mistake and are to be executed; the stream is of no
// use any more.
func (p *Parser) Parse(buf []byte, b *Batch, lim *Limits, limit int) (int, error) {
	done := 0
	for done < len(buf) && len(b.Cmds) < limit && len(b.args) < batchArgs {
		rest := buf[done:]
		var n int
		var err error
		if rest[0] == '*' {
			n, err = p.multibulk(rest, b, lim)
		} else {
			n, err = p.inline(rest, b)
		}
		if n == 0 || err != nil {
			return done, err
		}
		done += n
		if len(b.Ends) < len(b.Cmds) {
			b.Ends = append(b.Ends, done)
		}
	}
	return done, nil
}

// multibulk parses one command that begins at buf[0] and returns its length, or 0 when it is not all there.
func (p *Parser) multibulk(buf []byte, b *Batch, lim *Limits) (int, error) {
	spans := p.spans
	if spans == nil {
		spans = b.spans[:0]
	}
	if p.left == 0 {
		n, next, err := p.length(buf, 1, ErrArgsLine, ErrArgs)
		switch {
		case err != nil || next == 0:
			return 0, err
		case n > lim.MaxArgs:
			return 0, ErrArgs
		case lim.Unauthenticated && n > unauthenticatedArgs:
			return 0, ErrStrangerArgs
		case n <= 0:
			p.scanned = 0
			return next, nil
		}
		p.left, p.pos = n, next
	}
	for p.left > 0 {
		if !p.inBulk {
			n, err := p.bulkLength(buf, lim)
			if err != nil {
				return 0, err
			}
			if n < 0 {
				break
			}
			p.bulk, p.inBulk = n, true
		}
		if len(buf)-p.pos < p.bulk+2 {
			break
		}
		spans = append(spans, span{p.pos, p.bulk})
		p.pos += p.bulk + 2
		p.inBulk = false
		p.left--
	}
	if p.left > 0 {
		p.keep(spans, b)
		return 0, nil
	}
	return p.finish(buf, spans, b)
}

// bulkLength reads "$n\r\n" at p.pos and moves behind it. It returns -1 when the line is not all there.
func (p *Parser) bulkLength(buf []byte, lim *Limits) (int, error) {
	n, next, err := p.length(buf, p.pos+1, ErrBulkLine, ErrBulk)
	if next == 0 && err != ErrBulk {
		return -1, err
	}
	switch {
	case buf[p.pos] != '$': // checked before the number, as Redis does
		return 0, unexpected(buf[p.pos])
	case err != nil:
		return 0, err
	case n < 0 || n > lim.MaxBulk:
		return 0, ErrBulk
	case lim.Unauthenticated && n > unauthenticatedBulk:
		return 0, ErrStrangerBulk
	}
	p.pos = next
	return n, nil
}

// unexpected names the byte that stands where '$' should. A byte that would break the reply apart is shown as a space.
func unexpected(c byte) error {
	if c == '\r' || c == '\n' {
		c = ' '
	}
	return ProtocolError("expected '$', got '" + string([]byte{c}) + "'")
}

// length reads the number that stands between buf[at] and the next CR, and returns it and the offset behind its line; a
// next of 0 says that the line is not all there. The line begins one byte before at.
func (p *Parser) length(buf []byte, at int, tooLong, invalid ProtocolError) (n, next int, err error) {
	// Nearly every length has one to four digits.
	for i := at; i < len(buf) && i < at+4; i++ {
		c := buf[i]
		if c == '\r' && i > at && i+1 < len(buf) && (buf[at] != '0' || i == at+1) {
			p.scanned = 0
			return n, i + 2, nil
		}
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	line := at - 1
	from := line + p.scanned
	end := bytes.IndexByte(buf[from:], '\r')
	if end < 0 {
		p.scanned = len(buf) - line
		if p.scanned > maxLine {
			return 0, 0, tooLong
		}
		return 0, 0, nil
	}
	end += from
	if end-line > maxLine {
		return 0, 0, tooLong
	}
	if end+1 >= len(buf) {
		return 0, 0, nil
	}
	p.scanned = 0
	if end < at {
		return 0, 0, invalid
	}
	v, ok := number.ParseInt(buf[at:end])
	if !ok || int64(int(v)) != v {
		return 0, 0, invalid
	}
	return int(v), end + 2, nil
}

// keep notes an unfinished command's arguments. Those found by this Parse are in the batch's scratch memory, which the
// next connection will use, so they move out; later ones are appended to the Parser's own.
func (p *Parser) keep(spans []span, b *Batch) {
	switch {
	case p.spans != nil:
		p.spans = spans
	case len(spans) > 0:
		b.spans = spans
		p.spans = append([]span(nil), spans...)
	}
}

// finish turns the spans into a command.
func (p *Parser) finish(buf []byte, spans []span, b *Batch) (int, error) {
	if p.spans == nil {
		b.spans = spans // it may have grown
	}
	first := len(b.args)
	b.args = slices.Grow(b.args, len(spans))
	for _, s := range spans {
		end := s.off + s.len
		b.args = append(b.args, buf[s.off:end:end])
	}
	cmd := b.args[first:len(b.args):len(b.args)]
	if isHTTP(cmd[0]) {
		return 0, ErrHTTP
	}
	b.Cmds = append(b.Cmds, cmd)
	end := p.pos
	*p = Parser{}
	return end, nil
}
