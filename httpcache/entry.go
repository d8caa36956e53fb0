package httpcache

import (
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Values in the store
//
// The base of a URL:
//
//	0xCB 'B' epoch 8, soft 8, born 8, n 1, n * (length 2, spec), entry or nothing
//
// epoch is a nonce that each purge changes, soft one that each soft purge changes: a fill is stored only if both are what
// it saw before it asked the origin, and an entry made under another soft is stale. born is a nonce of the index:
// a variant that does not carry it belongs to an earlier life of the URL. All are zeros at first. A purged URL is a base
// with nothing but an epoch: a tombstone. It lives for as long as a fill may take (fillMost).
//
// A variant: 0xCB 'V' born 8, entry.
//
// An entry: soft 8, generation 8 and era 8 as the fill saw them, then numbers as varints, strings with their length before
// them: flags, status, received, age, lifetime, while-revalidate, if-error, until (milliseconds), groups, header, body.

const (
	magic     = 0xCB
	baseKind  = 'B'
	varKind   = 'V'
	nonceSize = 8
	epochAt   = 2
	softAt    = epochAt + nonceSize
	bornAt    = softAt + nonceSize
	specsAt   = bornAt + nonceSize
	varHead   = 2 + nonceSize
)

const zeroNonce = "\x00\x00\x00\x00\x00\x00\x00\x00"

// flags of an entry.
const (
	flagNoCache        = 1 << iota // validate before every use
	flagMustRevalidate             // never serve stale
	flagImmutable
	flagStaleWhile // the response says stale-while-revalidate itself
	flagStaleError // the response says stale-if-error itself
	flagAuthorized // answers a request with Authorization
	flagHeuristic  // its lifetime is a guess
)

// entry is a stored response. It is not changed once it is made: many may be serving it.
type entry struct {
	soft       string // nonce
	generation uint64
	era        uint64 // of the generations
	flags      uint64
	status     int
	received   int64 // Unix ms, by the clock of who stored it
	age        int64 // ms that it was old when received
	lifetime   int64 // ms from its origin's clock tick on
	whileStale int64 // ms, stale-while-revalidate
	onError    int64 // ms, stale-if-error
	until      int64 // Unix ms: not used after
	groups     []string
	header     http.Header
	body       string

	spec       string // the names of its Vary; not stored
	softPurged bool   // found to be by a lookup; not stored
}

// ageAt is how old the response is, in ms.
func (e *entry) ageAt(now time.Time) int64 {
	return e.age + max(now.UnixMilli()-e.received, 0)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (e *entry) encode() string {
	size := 96 // bytes, without the body
	for name, values := range e.header {
		for _, v := range values {
			size += len(name) + len(v) + 8
		}
	}
	b := make([]byte, 0, size)
	b = append(b, e.soft...)
	b = binary.BigEndian.AppendUint64(b, e.generation)
	b = binary.BigEndian.AppendUint64(b, e.era)
	for _, n := range [...]int64{int64(e.flags), int64(e.status), e.received, e.age, e.lifetime, e.whileStale, e.onError, e.until} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(e.groups)))
	for _, g := range e.groups {
		b = appendString(b, g)
	}
	b = binary.AppendUvarint(b, uint64(len(e.header)))
	for name, values := range e.header {
		b = appendString(b, name)
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, v := range values {
			b = appendString(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.body)))
	var s strings.Builder
	s.Grow(len(b) + len(e.body))
	s.Write(b)
	s.WriteString(e.body)
	return s.String()
}

var errForeign = errors.New("the key holds something that is no HTTP response: choose another Prefix, or delete the key")

// decoder reads from a string, and remembers whether it ran past its end.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.s)) {
		d.bad, d.s = true, ""
		return ""
	}
	part := d.s[:n]
	d.s = d.s[n:]
	return part
}

func (d *decoder) uvarint() uint64 {
	var n uint64
	for i := 0; i < len(d.s) && i < binary.MaxVarintLen64; i++ {
		c := d.s[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.s = d.s[i+1:]
			return n
		}
	}
	d.bad, d.s = true, ""
	return 0
}

func (d *decoder) uint64() (n uint64) {
	part := d.take(8)
	for i := range len(part) {
		n = n<<8 | uint64(part[i])
	}
	return n
}

func (d *decoder) varint() int64 {
	n := d.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// count is a number of things that take at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.s)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return d.take(d.uvarint()) }

func (d *decoder) nonce() string { return d.take(nonceSize) }

// decodeEntry reads an entry; its strings are parts of s. nil if it is none.
func decodeEntry(s string) *entry {
	d := decoder{s: s}
	e := &entry{soft: d.nonce()}
	e.generation, e.era = d.uint64(), d.uint64()
	e.flags, e.status = uint64(d.varint()), int(d.varint())
	for _, n := range [...]*int64{&e.received, &e.age, &e.lifetime, &e.whileStale, &e.onError, &e.until} {
		*n = d.varint()
	}
	if n := d.count(); n > 0 {
		e.groups = make([]string, n)
		for i := range e.groups {
			e.groups[i] = d.text()
		}
	}
	n := d.count()
	e.header = make(http.Header, n)
	lines := make([]string, 0, n+2)
	for range n {
		name := d.text()
		from := len(lines)
		for range d.count() {
			lines = append(lines, d.text())
		}
		e.header[name] = lines[from:len(lines):len(lines)]
	}
	e.body = d.text()
	if d.bad || d.s != "" || e.status < 200 || e.status > 999 || e.age < 0 || e.lifetime < 0 {
		return nil
	}
	return e
}

// base is the decoded base of a URL.
type base struct {
	epoch, soft, born string
	specs             []string
	entry             string // encoded; empty if there is none
}

// parseBase reads what lies at a base's key; nothing is a base of zeros.
func parseBase(s string) (base, error) {
	if s == "" {
		return base{epoch: zeroNonce, soft: zeroNonce, born: zeroNonce}, nil
	}
	if len(s) < 2 || s[0] != magic || s[1] != baseKind {
		return base{}, errForeign
	}
	d := decoder{s: s[epochAt:]}
	b := base{epoch: d.nonce(), soft: d.nonce(), born: d.nonce()}
	if n := d.take(1); n != "" && n[0] > 0 {
		b.specs = make([]string, 0, n[0])
		for range n[0] {
			if size := d.take(2); len(size) == 2 {
				b.specs = append(b.specs, d.take(uint64(size[0])<<8|uint64(size[1])))
			}
		}
	}
	if d.bad {
		return base{}, errForeign
	}
	b.entry = d.s
	return b, nil
}

// encode is parseBase's inverse.
func (b *base) encode() string {
	var s strings.Builder
	s.Grow(specsAt + 1 + len(b.entry) + 64*len(b.specs))
	s.WriteString(string([]byte{magic, baseKind}))
	s.WriteString(b.epoch)
	s.WriteString(b.soft)
	s.WriteString(b.born)
	s.WriteByte(byte(len(b.specs)))
	for _, spec := range b.specs {
		s.Write([]byte{byte(len(spec) >> 8), byte(len(spec))})
		s.WriteString(spec)
	}
	s.WriteString(b.entry)
	return s.String()
}

// variantOf is the encoded entry of a variant that belongs to an index, or nothing.
func variantOf(s, born string) string {
	if len(s) < varHead || s[0] != magic || s[1] != varKind || s[2:varHead] != born {
		return ""
	}
	return s[varHead:]
}

// addSpec puts a spec in front of the others.
func addSpec(specs []string, spec string) []string {
	out := append(make([]string, 0, maxSpecs), spec)
	for _, s := range specs {
		if s != spec && len(out) < maxSpecs {
			out = append(out, s)
		}
	}
	return out
}

// dropVaried keeps only the spec of variants that vary by what is implied.
func dropVaried(specs []string) []string {
	if slices.Contains(specs, "") {
		return []string{""}
	}
	return nil
}
