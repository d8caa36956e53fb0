package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChecksum(t *testing.T) {
	if got := Checksum(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("%x", got)
	}
	if got := Checksum(Checksum(0, []byte("1234")), []byte("56789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("in two parts: %x", got)
	}
}

// recorder is a Visitor that writes down what it is told.
type recorder struct{ strings.Builder }

func (r *recorder) say(format string, args ...any) error {
	fmt.Fprintf(&r.Builder, format+"\n", args...)
	return nil
}

func (r *recorder) Kind(k Kind, t Type, _ int) error { return r.say("kind %d type %d", k, t) }
func (r *recorder) String(s []byte) error            { return r.say("string %q", s) }
func (r *recorder) Element(v []byte) error           { return r.say("element %q", v) }
func (r *recorder) Field(f, v []byte, at int64) error {
	return r.say("field %q %q %d", f, v, at)
}
func (r *recorder) Member(m []byte, score float64) error { return r.say("member %q %v", m, score) }
func (r *recorder) Entry(id StreamID, fields [][]byte) error {
	return r.say("entry %d-%d %q", id.Ms, id.Seq, fields)
}
func (r *recorder) State(s StreamState) error { return r.say("state %+v", s) }
func (r *recorder) Group(name []byte, last StreamID, read int64) error {
	return r.say("group %q %v %d", name, last, read)
}
func (r *recorder) Pending(id StreamID, at int64, n uint64) error {
	return r.say("pending %v %d %d", id, at, n)
}
func (r *recorder) Consumer(name []byte, seen, active int64) error {
	return r.say("consumer %q %d %d", name, seen, active)
}
func (r *recorder) Owns(id StreamID) error  { return r.say("owns %v", id) }
func (r *recorder) EndGroup() error         { return r.say("end") }
func (r *recorder) Document(b []byte) error { return r.say("json %s", b) }

// told reads a payload in three ways, which must come to the same.
func told(t *testing.T, body []byte) (string, error) {
	t.Helper()
	var r recorder
	err := NewReader(body).Payload(&r)
	for name, from := range map[string]io.Reader{
		"whole":        bytes.NewReader(body),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(body)),
	} {
		var s recorder
		sr := NewStreamReader(from)
		k, e := sr.byte()
		if e == nil {
			e = sr.Value(Type(k), &s)
		}
		if !errors.Is(err, ErrTrailing) && (s.Builder.String() != r.Builder.String() || !errors.Is(e, err)) {
			t.Errorf("%x: read %s: %v\n%s\nat once: %v\n%s", body, name, e, s.Builder.String(), err, r.Builder.String())
		}
	}
	return r.Builder.String(), err
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bodies were written out by hand from the format's description.
func TestValues(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"string":         {"00 03 666f6f", `string "foo"`},
		"string int8":    {"00 c0 85", `string "-123"`},
		"string int16":   {"00 c1 0080", `string "-32768"`},
		"string int32":   {"00 c2 ffffff7f", `string "2147483647"`},
		"string lzf":     {"00 c3 05 0a 00 61 e0 00 00", `string "aaaaaaaaaa"`},
		"string 14 bits": {"00 4003 666f6f", `string "foo"`},
		"string 32 bits": {"00 8000000003 666f6f", `string "foo"`},
		"string 64 bits": {"00 810000000000000003 666f6f", `string "foo"`},
		"list":           {"01 02 0161 c005", "element \"a\"\nelement \"5\""},
		"set":            {"02 01 0161", `element "a"`},
		"zset text":      {"03 03 0161 03 312e35 0162 fe 0163 ff", "member \"a\" 1.5\nmember \"b\" +Inf\nmember \"c\" -Inf"},
		"zset":           {"05 01 0161 000000000000f83f", `member "a" 1.5`},
		"hash":           {"04 01 0161 0162", `field "a" "b" 0`},
		"zipmap":         {"09 09 01 01 61 01 02 62 0000 ff", `field "a" "b" 0`},
		"zipmap sound":   {"09 07 01 01 61 01 00 62 ff", `field "a" "b" 0`},
		"ziplist of a list": {"0a 0f 0f000000 0c000000 0200 00f3 02f6 ff",
			"element \"2\"\nelement \"5\""},
		"intset": {"0b 0c 02000000 02000000 feff 0300", "element \"-2\"\nelement \"3\""},
		"zset ziplist": {"0c 11 11000000 0d000000 0200 00 01 61 03 fe 07 ff",
			`member "a" 7`},
		"hash ziplist": {"0d 11 11000000 0d000000 0200 00 01 61 03 01 62 ff", `field "a" "b" 0`},
		"quicklist":    {"0e 01 0f 0f000000 0c000000 0200 00f3 02f6 ff", "element \"2\"\nelement \"5\""},
		"hash listpack": {"10 0d 0d000000 0200 8161 02 8162 02 ff",
			`field "a" "b" 0`},
		"zset listpack": {"11 0c 0c000000 0200 8161 02 05 01 ff", `member "a" 5`},
		"quicklist 2": {"12 02 02 0a 0a000000 0100 8161 02 ff 01 0162",
			"element \"a\"\nelement \"b\""},
		"set listpack":     {"14 0a 0a000000 0100 8161 02 ff", `element "a"`},
		"listpack unknown": {"14 0a 0a000000 ffff 8161 02 ff", `element "a"`},
		"hash with expiries": {"18 e803000000000000 02 01 0161 0162 00 0163 0164",
			"field \"a\" \"b\" 1000\nfield \"c\" \"d\" 0"},
		"JSON":                     {"07 8145e25238df912c03 05 035b315d 00", "json [1]"},
		"JSON, a number":           {"07 8145e25238df912c03 05 c007 00", "json 7"},
		"JSON of an early version": {"07 8145e25238df912c02 05 035b315d 02 00 00", "json [1]"},
		"JSON that was indexed":    {"07 8145e25238df912c02 05 035b315d 02 01 05 0161 05 0162 00", "json [1]"},
		"hash with expiries, listpack": {"19 e803000000000000 10 10000000 0300 8161 02 8162 02 c3e8 02 ff",
			`field "a" "b" 1000`},
	} {
		got, err := told(t, mustHex(t, c.body))
		_, got, _ = strings.Cut(got, "\n")
		if err != nil || strings.TrimSpace(got) != c.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// What is malformed is refused for the right reason.
func TestMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"nothing":                       {"", ErrTruncated},
		"no body":                       {"00", ErrTruncated},
		"unknown type":                  {"08", ErrType},
		"later type":                    {"1a", ErrType},
		"module":                        {"07 00", ErrModule},
		"JSON of a later version":       {"07 8145e25238df912c04 05 0131 00", ErrModule},
		"JSON without an end":           {"07 8145e25238df912c03 05 0131", ErrTruncated},
		"JSON that goes on":             {"07 8145e25238df912c03 05 0131 05 0131 00", ErrModule},
		"JSON that is a number":         {"07 8145e25238df912c03 02 01 00", ErrModule},
		"early module":                  {"06 00", ErrModule},
		"short string":                  {"00 05 61", ErrTruncated},
		"endless string":                {"00 81ffffffffffffffff 61", ErrTruncated},
		"length of an unknown form":     {"00 82 00", ErrLength},
		"unknown encoding":              {"00 c4 00", ErrString},
		"encoded where a length is due": {"01 c0 01 01", ErrLength},
		"trailing":                      {"00 0161 00", ErrTrailing},
		"empty list":                    {"01 00", ErrEmpty},
		"empty set":                     {"02 00", ErrEmpty},
		"empty hash":                    {"04 00", ErrEmpty},
		"empty quicklist":               {"12 00", ErrEmpty},
		"endless list":                  {"01 81ffffffffffffff00 0161", ErrTruncated},
		"LZF of more than it can hold":  {"00 c3 03 80ffffffff 000000", ErrLZF},
		"LZF from before the start":     {"00 c3 04 05 00 61 20 05", ErrLZF},
		"LZF of fewer":                  {"00 c3 02 05 00 61", ErrLZF},
		"LZF of more":                   {"00 c3 03 01 01 6161", ErrLZF},
		"NaN":                           {"05 01 0161 000000000000f87f", ErrScore},
		"NaN in text":                   {"03 01 0161 fd", ErrScore},
		"no number":                     {"03 01 0161 01 78", ErrScore},
		"listpack of another length":    {"14 0a 0b000000 0100 8161 02 ff", ErrListpack},
		"listpack without an end":       {"14 0a 0a000000 0100 8161 02 fe", ErrListpack},
		"listpack with another count":   {"14 0a 0a000000 0200 8161 02 ff", ErrListpack},
		"listpack with a wrong back":    {"14 0a 0a000000 0100 8161 03 ff", ErrListpack},
		"listpack over its end":         {"14 0a 0a000000 0100 8261 02 ff", ErrListpack},
		"listpack of an unknown form":   {"14 0a 0a000000 0100 f561 02 ff", ErrListpack},
		"listpack with an early end":    {"14 0b 0b000000 0100 8161 02 ff ff", ErrListpack},
		"empty listpack":                {"14 07 07000000 0000 ff", ErrEmpty},
		"field without a value":         {"10 0a 0a000000 0100 8161 02 ff", ErrPairs},
		"score that is none":            {"11 0d 0d000000 0200 8161 02 8162 02 ff", ErrScore},
		"unknown node":                  {"12 01 03 0161", ErrQuicklist},
		"empty node":                    {"12 01 02 00", ErrListpack},
		"ziplist, wrong tail":           {"0a 0f 0f000000 0b000000 0200 00f3 02f6 ff", ErrZiplist},
		"ziplist, wrong count":          {"0a 0f 0f000000 0c000000 0300 00f3 02f6 ff", ErrZiplist},
		"ziplist, wrong length before":  {"0a 0f 0f000000 0c000000 0200 00f3 03f6 ff", ErrZiplist},
		"ziplist over its end":          {"0a 0f 0f000000 0a000000 0100 00 05 6161 ff", ErrZiplist},
		"ziplist of an unknown form":    {"0a 0f 0f000000 0a000000 0100 00 c1 6161 ff", ErrZiplist},
		"intset, descending":            {"0b 0c 02000000 02000000 0300 feff", ErrIntset},
		"intset, twice the same":        {"0b 0c 02000000 02000000 0300 0300", ErrIntset},
		"intset of another width":       {"0b 0c 03000000 02000000 feff 0300", ErrIntset},
		"intset of another length":      {"0b 0c 02000000 03000000 feff 0300", ErrIntset},
		"empty intset":                  {"0b 08 02000000 00000000", ErrIntset},
		"zipmap over its end":           {"09 05 01 05 61 62 ff", ErrZipmap},
		"zipmap without a value":        {"09 04 01 01 61 ff", ErrZipmap},
		"empty zipmap":                  {"09 02 00 ff", ErrEmpty},
		"stream with a short key":       {"0f 01 01 61", ErrStream},
		"expiry beyond the end of time": {"16 01 81ffffffffffffffff 0161 0162", ErrLength},
	} {
		if _, err := told(t, mustHex(t, c.body)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	r := NewReader(mustHex(t, "01 03 0161 0162 0163"))
	r.Limit = 3*ElementCost + 2
	if err := r.Payload(&recorder{}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	r = NewReader(mustHex(t, "01 03 0161 0162 0163"))
	r.Limit = 3*ElementCost + 3
	if err := r.Payload(&recorder{}); err != nil {
		t.Error(err)
	}
}

// A claim of much costs nothing before the bytes are there.
func TestClaimsCostNothing(t *testing.T) {
	body := mustHex(t, "00 8100000000ffffffff 61")
	for range 5 {
		r := NewStreamReader(bytes.NewReader(body))
		if _, err := r.byte(); err != nil {
			t.Fatal(err)
		}
		if err := r.Value(TypeString, &recorder{}); !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
		if cap(r.buf) > 1<<20 {
			t.Fatalf("a buffer of %d bytes for %d", cap(r.buf), len(body))
		}
	}
}

func TestUnseal(t *testing.T) {
	w := NewWriter(nil)
	w.Type(TypeString)
	w.String([]byte("value"))
	payload := bytes.Clone(w.Seal(Version7))
	if body, err := Unseal(payload); err != nil || string(body) != "\x00\x05value" {
		t.Errorf("%q %v", body, err)
	}
	for i := range payload {
		bad := bytes.Clone(payload)
		bad[i] ^= 1
		if _, err := Unseal(bad); err == nil {
			t.Errorf("with byte %d changed it is still accepted", i)
		}
	}
	for n := range payload {
		if _, err := Unseal(payload[:n]); err == nil {
			t.Errorf("the first %d bytes are accepted", n)
		}
	}
	w.Reset(nil)
	w.Type(TypeString)
	w.String(nil)
	if _, err := Unseal(w.Seal(MaxVersion + 1)); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

// words are strings of all the lengths at which something changes, and integers.
func words(rng *rand.Rand) [][]byte {
	var out [][]byte
	for _, n := range []int{0, 1, 19, 20, 21, 31, 32, 33, 63, 64, 126, 127, 128, 253, 254, 263, 264, 265, 4095, 4096, 16383, 16384, 70_000} {
		random := make([]byte, n)
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		few := make([]byte, n)
		for i := range few {
			few[i] = "ab"[rng.IntN(2)]
		}
		out = append(out, random, few, bytes.Repeat([]byte("x"), n))
	}
	for shift := range 64 {
		for _, d := range []int64{-1, 0, 1} {
			out = append(out, strconv.AppendInt(nil, 1<<shift+d, 10), strconv.AppendInt(nil, -(1<<shift)+d, 10))
		}
	}
	return append(out, []byte("007"), []byte("-0"), []byte("+1"), []byte("9223372036854775808"))
}

func TestStringsRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	for _, compress := range []bool{false, true} {
		w := &Writer{Compress: compress}
		list := words(rand.New(rand.NewPCG(seed, 1)))
		for _, s := range list {
			w.String(s)
		}
		if compress && len(w.Bytes()) > 300_000 {
			t.Errorf("nothing was packed: %d bytes", len(w.Bytes()))
		}
		r := NewReader(w.Bytes())
		for _, s := range list {
			if got, err := r.String(); err != nil || !bytes.Equal(got, s) {
				t.Fatalf("seed %d: %.40q: %.40q %v", seed, s, got, err)
			}
		}
		if r.Rest() != 0 {
			t.Errorf("%d bytes are left", r.Rest())
		}
	}
}

func TestListpackRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	list := words(rand.New(rand.NewPCG(seed, 2)))
	var l Listpack
	size := lpHeader + 1
	for _, s := range list {
		l.Add(s)
		size += EntrySize(s)
	}
	if l.Size() != size || len(l.Bytes()) != size {
		t.Errorf("seed %d: %d bytes, Size %d, entries %d", seed, len(l.Bytes()), l.Size(), size)
	}
	w, err := newWalker(l.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var buf [24]byte
	for _, s := range list {
		v, err := w.next()
		if err != nil || !bytes.Equal(v.text(buf[:]), s) {
			t.Fatalf("seed %d: %.40q: %.40q %v", seed, s, v.text(buf[:]), err)
		}
	}
	if done, err := w.done(); !done || err != nil {
		t.Error(done, err)
	}
}

func TestLengthsRoundTrip(t *testing.T) {
	var w Writer
	values := []uint64{0, 63, 64, 16383, 16384, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	for _, n := range values {
		w.Length(n)
	}
	r := NewReader(w.Bytes())
	for _, n := range values {
		if got, err := r.Length(); err != nil || got != n {
			t.Errorf("%d: %d %v", n, got, err)
		}
	}
}

// A Writer to an io.Writer passes on what a Writer without one keeps, and its error stays.
func TestWriterPassesOn(t *testing.T) {
	var kept, passed Writer
	var to bytes.Buffer
	passed.Reset(&to)
	for _, s := range words(rand.New(rand.NewPCG(1, 2))) {
		kept.String(s)
		passed.String(s)
	}
	big := bytes.Repeat([]byte("big"), 100_000)
	kept.String(big)
	passed.String(big)
	if kept.Len() != passed.Len() {
		t.Errorf("%d bytes and %d", kept.Len(), passed.Len())
	}
	if err := passed.Flush(); err != nil || !bytes.Equal(to.Bytes(), kept.Bytes()) {
		t.Errorf("%v: %d bytes, want %d", err, to.Len(), len(kept.Bytes()))
	}
	passed.Reset(failing{})
	passed.String(big)
	passed.String(big)
	if err := passed.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzDecompress(f *testing.F) {
	var t lzfTable
	for _, s := range []string{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabcabcabcabcabc"} {
		out, _ := t.compress(nil, []byte(s))
		f.Add(out, len(s))
	}
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		if n < 0 || n > 1<<20 {
			return
		}
		out, err := decompress(nil, src, n)
		if err == nil && (len(out) != n || !lzfFits(uint64(len(src)), uint64(n))) {
			t.Errorf("%d bytes of %d, from %d", len(out), n, len(src))
		}
		var table lzfTable
		if packed, ok := table.compress(nil, src); ok {
			back, err := decompress(nil, packed, len(src))
			if err != nil || !bytes.Equal(back, src) || len(packed) >= len(src) {
				t.Errorf("%x: packed %x, unpacked %x: %v", src, packed, back, err)
			}
		}
	})
}

func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		"00 03 666f6f", "01 02 0161 c005", "03 03 0161 03 312e35 0162 fe 0163 ff", "0a 0f 0f000000 0c000000 0200 00f3 02f6 ff",
		"0b 0c 02000000 02000000 feff 0300", "10 0d 0d000000 0200 8161 02 8162 02 ff", "12 02 02 0a 0a000000 0100 8161 02 ff 01 0162",
		"18 e803000000000000 02 01 0161 0162 00 0163 0164", "09 08 01 01 61 01 00 62 ff",
	} {
		b, _ := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		_, _ = told(t, body)
	})
}
