package httpcache_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/fleet"
)

// nullWriter is a client that costs nothing.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header               { return w.h }
func (w *nullWriter) Write(p []byte) (int, error)       { return len(p), nil }
func (w *nullWriter) WriteString(s string) (int, error) { return len(s), nil }
func (w *nullWriter) WriteHeader(int)                   {}

func BenchmarkHit(b *testing.B) {
	for _, kind := range []fleet.Kind{fleet.Embedded, fleet.Larder, fleet.Redis} {
		for _, vary := range []bool{false, true} {
			for _, size := range []int{1 << 10, 64 << 10} {
				b.Run(fmt.Sprintf("%s/%dKiB/vary=%v", kind, size>>10, vary), func(b *testing.B) { benchHit(b, kind, size, vary) })
			}
		}
	}
}

// benchHit is 64 goroutines' requests for one stored page.
func benchHit(b *testing.B, kind fleet.Kind, size int, vary bool) {
	c, h := benchSite(b, kind, size, vary)
	h.ServeHTTP(&nullWriter{http.Header{}}, benchRequest("7"))
	b.ReportAllocs()
	b.SetParallelism(max(64/runtime.GOMAXPROCS(0), 1))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := benchRequest("7")
		for pb.Next() {
			h.ServeHTTP(&nullWriter{http.Header{}}, r)
		}
	})
	if s := c.Stats(); s.Misses != 1 || s.StoreErrors != 0 {
		b.Fatalf("%+v", s)
	}
}

func benchSite(b *testing.B, kind fleet.Kind, size int, vary bool) (*httpcache.Cache, http.Handler) {
	c, err := httpcache.New(fleet.Start(b, kind).Open(b), httpcache.Options{Prefix: "http:", Timeout: -1})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", size))
	return c, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1000")
		w.Header().Set("Content-Type", "text/plain")
		if vary {
			w.Header().Set("Vary", "Accept-Encoding")
		}
		w.Write(body)
	}))
}

func benchRequest(id string) *http.Request {
	r, _ := http.NewRequest("GET", "http://site.example/products/"+id+"?lang=de", nil)
	r.Header.Set("Accept-Encoding", "gzip, br")
	return r
}

// BenchmarkMiss is 64 goroutines' requests that are all fetched and stored, each for a page of its goroutine's own.
func BenchmarkMiss(b *testing.B) {
	for _, kind := range []fleet.Kind{fleet.Embedded, fleet.Larder, fleet.Redis} {
		for _, vary := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/1KiB/vary=%v", kind, vary), func(b *testing.B) {
				c, h := benchSite(b, kind, 1<<10, vary)
				b.ReportAllocs()
				b.SetParallelism(max(64/runtime.GOMAXPROCS(0), 1))
				var id atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					r := benchRequest(strconv.FormatInt(id.Add(1), 10))
					r.Header.Set("Cache-Control", "no-cache")
					for pb.Next() {
						h.ServeHTTP(&nullWriter{http.Header{}}, r)
					}
				})
				if s := c.Stats(); s.Misses != s.Stored || s.StoreErrors != 0 {
					b.Fatalf("%+v", s)
				}
			})
		}
	}
}
