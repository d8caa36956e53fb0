package resp

import (
	"bytes"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWriter(t *testing.T) {
	for _, c := range []struct {
		name         string
		write        func(w *Writer)
		resp2, resp3 string
	}{
		{"simple", func(w *Writer) { w.Simple("OK") }, "+OK\r\n", "+OK\r\n"},
		{"error", func(w *Writer) { w.Error("ERR no") }, "-ERR no\r\n", "-ERR no\r\n"},
		{"error with breaks", func(w *Writer) { w.Error("ERR a\r\nb\nc\r\n") }, "-ERR a  b c\r\n", "-ERR a  b c\r\n"},
		{"int", func(w *Writer) { w.Int(7); w.Int(-1); w.Int(10); w.Int(math.MinInt64) },
			":7\r\n:-1\r\n:10\r\n:-9223372036854775808\r\n", ":7\r\n:-1\r\n:10\r\n:-9223372036854775808\r\n"},
		{"bulk", func(w *Writer) { w.Bulk([]byte("a\r\nb")); w.Bulk(nil); w.BulkString("0123456789") },
			"$4\r\na\r\nb\r\n$0\r\n\r\n$10\r\n0123456789\r\n", "$4\r\na\r\nb\r\n$0\r\n\r\n$10\r\n0123456789\r\n"},
		{"space", func(w *Writer) { copy(w.BulkSpace(3), "abc"); w.Int(1) }, "$3\r\nabc\r\n:1\r\n", "$3\r\nabc\r\n:1\r\n"},
		{"null", func(w *Writer) { w.Null(); w.NullArray() }, "$-1\r\n*-1\r\n", "_\r\n_\r\n"},
		{"aggregates", func(w *Writer) { w.Array(1); w.Map(2); w.Set(3); w.Push(4) }, "*1\r\n*4\r\n*3\r\n*4\r\n", "*1\r\n%2\r\n~3\r\n>4\r\n"},
		{"bool", func(w *Writer) { w.Bool(true); w.Bool(false) }, ":1\r\n:0\r\n", "#t\r\n#f\r\n"},
		{"big", func(w *Writer) { w.BigNumber("-123456789012345678901234567890") },
			"$31\r\n-123456789012345678901234567890\r\n", "(-123456789012345678901234567890\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "hello") }, "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte("+x\r\n")) }, "+x\r\n", "+x\r\n"},
		{"truncate", func(w *Writer) { w.Int(1); n := w.Len(); w.Simple("gone"); w.Truncate(n) }, ":1\r\n", ":1\r\n"},
		{"double", func(w *Writer) {
			for _, f := range []float64{3, 0.1, -1.5, 1e21, 1.5e-9, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)} {
				w.Double(f)
			}
		}, "$1\r\n3\r\n$3\r\n0.1\r\n$4\r\n-1.5\r\n$5\r\n1e+21\r\n$6\r\n1.5e-9\r\n$3\r\ninf\r\n$4\r\n-inf\r\n$3\r\nnan\r\n$2\r\n-0\r\n",
			",3\r\n,0.1\r\n,-1.5\r\n,1e+21\r\n,1.5e-9\r\n,inf\r\n,-inf\r\n,nan\r\n,-0\r\n"},
	} {
		for proto, want := range map[int]string{2: c.resp2, 3: c.resp3} {
			var w Writer
			w.SetProto(proto)
			c.write(&w)
			if got := string(w.Bytes()); got != want || w.Proto() != proto || w.Len() != len(want) {
				t.Errorf("%s, RESP%d: %q, want %q", c.name, proto, got, want)
			}
		}
	}
}

func TestWriterMemory(t *testing.T) {
	w := NewWriter(make([]byte, 0, 100))
	w.Bulk(make([]byte, 1000))
	w.Reset(1 << 20)
	if w.Len() != 0 || cap(w.buf) == 0 {
		t.Fatal("Reset lost a buffer worth keeping")
	}
	w.Bulk(make([]byte, 1000))
	w.Reset(10)
	if cap(w.buf) != 0 {
		t.Fatal("Reset kept a buffer too large")
	}
	w.Int(1)
	if b := w.Take(); string(b) != ":1\r\n" || w.Len() != 0 || cap(w.buf) != 0 {
		t.Fatalf("Take = %q, left %d", b, w.Len())
	}
}

var replies = []struct {
	in   string
	want Value
}{
	{"+OK\r\n", Value{Kind: Simple, Str: []byte("OK")}},
	{"-ERR x\r\n", Value{Kind: Error, Str: []byte("ERR x")}},
	{":-12\r\n", Value{Kind: Int, Int: -12}},
	{"$3\r\na\r\n\r\n", Value{Kind: Bulk, Str: []byte("a\r\n")}},
	{"$-1\r\n", Value{Kind: Bulk, Null: true}},
	{"*-1\r\n", Value{Kind: Array, Null: true}},
	{"_\r\n", Value{Kind: Null, Null: true}},
	{"*2\r\n:1\r\n*0\r\n", Value{Kind: Array, Elems: []Value{{Kind: Int, Int: 1}, {Kind: Array, Elems: []Value{}}}}},
	{"%1\r\n+a\r\n:1\r\n", Value{Kind: Map, Elems: []Value{{Kind: Simple, Str: []byte("a")}, {Kind: Int, Int: 1}}}},
	{"~1\r\n#t\r\n", Value{Kind: Set, Elems: []Value{{Kind: Bool, Int: 1}}}},
	{">1\r\n#f\r\n", Value{Kind: Push, Elems: []Value{{Kind: Bool}}}},
	{",-1.5\r\n", Value{Kind: Double, Float: -1.5, Str: []byte("-1.5")}},
	{",inf\r\n", Value{Kind: Double, Float: math.Inf(1), Str: []byte("inf")}},
	{"(123\r\n", Value{Kind: BigNumber, Str: []byte("123")}},
	{"!5\r\nERR x\r\n", Value{Kind: BulkError, Str: []byte("ERR x")}},
	{"=5\r\ntxt:a\r\n", Value{Kind: Verbatim, Format: "txt", Str: []byte("a")}},
	{"|1\r\n+k\r\n:1\r\n:2\r\n", Value{Kind: Int, Int: 2, Attrs: []Value{{Kind: Simple, Str: []byte("k")}, {Kind: Int, Int: 1}}}},
}

func TestReader(t *testing.T) {
	var stream strings.Builder
	for _, c := range replies {
		stream.WriteString(c.in)
		if v, n, err := Decode([]byte(c.in + "+next\r\n")); err != nil || n != len(c.in) || !reflect.DeepEqual(v, c.want) {
			t.Errorf("%q: %+v %d %v", c.in, v, n, err)
		}
		for cut := range len(c.in) {
			if _, _, err := Decode([]byte(c.in[:cut])); err != io.ErrUnexpectedEOF {
				t.Errorf("%q: %v", c.in[:cut], err)
			}
		}
	}
	r := NewReader(iotest.OneByteReader(strings.NewReader(stream.String())))
	for _, c := range replies {
		if v, err := r.Read(); err != nil || !reflect.DeepEqual(v, c.want) {
			t.Errorf("%q: %+v %v", c.in, v, err)
		}
	}
	if _, err := r.Read(); err != io.EOF || r.Buffered() != 0 {
		t.Fatalf("at the end: %v", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, in := range []string{
		"x\r\n", "\r\n", ":\r\n", ":1x\r\n", "+a\n", "+a\rb\r\n", "$-2\r\n", "$x\r\n", "*-2\r\n", "%-1\r\n", "~-1\r\n", "$1\r\nab\r\n",
		"=1\r\na\r\n", "#x\r\n", "_x\r\n", ",x\r\n", "$99999999999\r\n", strings.Repeat("*1\r\n", 1000), strings.Repeat("|1\r\n", 1000),
		"+" + strings.Repeat("a", 1<<20),
	} {
		_, _, err := Decode([]byte(in))
		if _, ok := err.(ProtocolError); !ok {
			t.Errorf("%.40q: %v", in, err)
		}
	}
	if _, _, err := Decode([]byte("$2000000000\r\nabc")); err != io.ErrUnexpectedEOF {
		t.Fatal(err) // and no 2 GB were allocated on the way
	}
}

func TestLargeReply(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 100_000)
	var w Writer
	w.Bulk(big)
	v, n, err := Decode(w.Bytes())
	if err != nil || n != w.Len() || !bytes.Equal(v.Str, big) {
		t.Fatal(n, err)
	}
}

// What decodes must encode, in both versions, to something that decodes to the same again.
func FuzzReader(f *testing.F) {
	for _, c := range replies {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, n, err := Decode(in)
		if n > len(in) {
			t.Fatalf("used %d of %d bytes", n, len(in))
		}
		if err != nil {
			return
		}
		for proto := 2; proto <= 3; proto++ {
			var one, two Writer
			one.SetProto(proto)
			two.SetProto(proto)
			one.Value(v)
			back, n, err := Decode(one.Bytes())
			if err != nil || n != one.Len() {
				t.Fatalf("RESP%d: %q does not decode: %d %v", proto, one.Bytes(), n, err)
			}
			two.Value(back)
			if !bytes.Equal(one.Bytes(), two.Bytes()) {
				t.Fatalf("RESP%d: %q, then %q", proto, one.Bytes(), two.Bytes())
			}
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	value := []byte(strings.Repeat("x", 32))
	for name, write := range map[string]func(w *Writer){
		"bulk 32": func(w *Writer) { w.Bulk(value) },
		"int":     func(w *Writer) { w.Int(1234567) },
		"double":  func(w *Writer) { w.Double(1234.5678) },
		"ok":      func(w *Writer) { w.Simple("OK") },
	} {
		b.Run(name, func(b *testing.B) {
			w := NewWriter(make([]byte, 0, 4096))
			b.ReportAllocs()
			for b.Loop() {
				w.Reset(1 << 20)
				for range 10 {
					write(w)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10), "ns/value")
		})
	}
}

func TestWriterLimit(t *testing.T) {
	var w Writer
	w.SetLimit(1000)
	for range 9 {
		w.Bulk(make([]byte, 100))
	}
	if w.Overflown() || w.Len() != 9*108 {
		t.Fatalf("overflown %v at %d bytes", w.Overflown(), w.Len())
	}
	for range 100_000 {
		w.Bulk(make([]byte, 100))
	}
	if !w.Overflown() || cap(w.Bytes()) > 2000 {
		t.Fatalf("overflown %v, %d bytes held", w.Overflown(), cap(w.Bytes()))
	}
	if copy(w.BulkSpace(5000), "x"); len(w.Bytes()) < 5000 {
		t.Fatal("no space for a string longer than the limit")
	}
	w.Reset(0)
	w.Simple("OK")
	if w.Overflown() || string(w.Bytes()) != "+OK\r\n" {
		t.Fatalf("after Reset: overflown %v, %q", w.Overflown(), w.Bytes())
	}
}
