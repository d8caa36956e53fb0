package jsondoc

import (
	"fmt"
	"strings"
	"testing"
)

// orders is a document of about so many bytes of text: orders as shops keep them.
func orders(size int) string {
	var b strings.Builder
	b.WriteString(`{"id":"shop:1","open":true,"orders":[`)
	for i := 0; b.Len() < size-200 || i == 0; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"customer":"customer-%d","email":"c%d@example.com","total":%d.%02d,"paid":%t,"note":null,"items":[{"sku":"SKU-%05d","quantity":%d,"price":%d.5},{"sku":"SKU-%05d","quantity":1,"price":9.99}]}`,
			1000+i, i%97, i%97, i%500, i%100, i%3 != 0, i*7%100000, i%9+1, i%80, i*13%100000)
	}
	b.WriteString(`],"count":0,"tags":["a","b","c"]}`)
	return b.String()
}

var sizes = []struct {
	name string
	size int
}{{"1KB", 1 << 10}, {"100KB", 100 << 10}, {"10MB", 10 << 20}}

func BenchmarkParse(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			text := []byte(orders(s.size))
			var buf []byte
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var err error
				if buf, err = Parse(buf, text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(buf))/float64(len(text)), "bytes/text")
		})
	}
}

func BenchmarkText(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			e := entry(b, orders(s.size))
			var buf []byte
			for b.Loop() {
				buf = Root(e.Value()).AppendText(buf[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkChange changes one place: near the front, in the middle of an array, at its end; by as many bytes and by more.
func BenchmarkChange(b *testing.B) {
	one, long := []Value{parsed(b, "7"), parsed(b, "8")}, []Value{parsed(b, `"ab"`), parsed(b, `"abcd"`)}
	for _, s := range sizes {
		e := entry(b, orders(s.size))
		n := find(b, "$.orders", Root(e.Value()))[0].Len()
		for _, c := range []struct {
			name, path string
			values     []Value
		}{
			{"front", "$.open", one}, {"middle", fmt.Sprintf("$.orders[%d].note", n/2), one}, {"end", "$.count", one},
			{"front, other length", "$.open", long}, {"end, other length", "$.count", long}, {"everywhere", "$..quantity", one},
		} {
			b.Run(s.name+"/"+c.name, func(b *testing.B) {
				e := entry(b, orders(s.size))
				p, err := Compile([]byte(c.path))
				if err != nil {
					b.Fatal(err)
				}
				i := 0
				var found []Node
				for b.Loop() {
					if found, err = p.Find(found, Root(e.Value())); err != nil {
						b.Fatal(err)
					}
					i++
					if err = Apply(e, found, func(int, Node) (Change, error) { return Replace(c.values[i%2]), nil }); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	v := parsed(b, `{"id":1,"name":"x"}`)
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			e := entry(b, orders(s.size))
			p, _ := Compile([]byte("$.tags"))
			for i := 0; b.Loop(); i++ {
				found, _ := p.Find(nil, Root(e.Value()))
				err := Apply(e, found, func(_ int, n Node) (Change, error) {
					if n.Len() > 100 {
						return Trim(n, 0, 3), nil
					}
					return Insert(n, n.Len(), 1, v), nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile([]byte("$.orders[?(@.total>100 && @.paid==true)].items[*].sku")); err != nil {
			b.Fatal(err)
		}
	}
}
