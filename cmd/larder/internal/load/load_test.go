package load

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestRunCountsAnswers(t *testing.T) {
	var mu sync.Mutex
	clients := map[string]int{}
	conns := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		clients[r.Header.Get("X-Forwarded-For")]++
		conns[r.RemoteAddr] = true
		mu.Unlock()
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = w.Write([]byte("hello"))
		}
	}))
	defer server.Close()
	const requests = 400
	var progress []float64
	result, err := Run(t.Context(), Options{
		Addr: server.Listener.Addr().String(), Connections: 4, Duration: time.Minute, MaxRequests: requests,
		Source: func(connection int) func() Request {
			n := 0
			return func() Request {
				n++
				return Request{Path: []string{"/ok", "/refused", "/ok", "/broken"}[n%4], Client: []string{"a", "b", "c", "d"}[connection]}
			}
		},
		Progress: func(done float64, _ int64) { progress = append(progress, done) },
	})
	if err != nil {
		t.Fatal(err)
	}
	// Each connection alternates on its own, so that the thirds may be off by one each.
	if result.Served+result.Refused+result.Failed != requests || abs(result.Served-200) > 8 || abs(result.Refused-100) > 8 {
		t.Errorf("%d served, %d refused, %d failed", result.Served, result.Refused, result.Failed)
	}
	if result.Failure == nil || result.Failure.Error() != "status 500" {
		t.Errorf("failure %v", result.Failure)
	}
	if len(conns) != 4 || len(clients) == 0 {
		t.Errorf("%d connections, clients %v", len(conns), clients)
	}
	if result.Latency.Percentile(50) <= 0 || result.Rate() <= 0 {
		t.Errorf("p50 %v, rate %v", result.Latency.Percentile(50), result.Rate())
	}
	if len(progress) == 0 || progress[len(progress)-1] != 1 || !slices.IsSorted(progress) {
		t.Errorf("progress %v", progress)
	}
}

func abs(n int64) int64 { return max(n, -n) }

func TestRunStopsInTime(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	options := Options{Addr: server.Listener.Addr().String(), Connections: 2, Duration: 50 * time.Millisecond, MaxRequests: math.MaxInt64,
		Source: func(int) func() Request { return func() Request { return Request{Path: "/"} } }}
	result, err := Run(t.Context(), options)
	if err != nil || result.Served == 0 || result.Elapsed < options.Duration {
		t.Errorf("%v: %d in %v", err, result.Served, result.Elapsed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, options); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRunWithoutServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), Options{Addr: addr, Connections: 2, Duration: time.Minute, MaxRequests: 10,
		Source: func(int) func() Request { return func() Request { return Request{Path: "/"} } }})
	if err != nil || result.Failed != 10 || result.Failure == nil {
		t.Errorf("%+v %v", result.Failed, err)
	}
}

func TestHistogramAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, left, right Histogram
	all := make([]time.Duration, 10_000)
	for i := range all {
		all[i] = time.Duration(math.Exp(r.Float64()*20) * 10)
		h.Record(all[i])
		if i%2 == 0 {
			left.Record(all[i])
		} else {
			right.Record(all[i])
		}
	}
	slices.Sort(all)
	for _, p := range []float64{0, 1, 50, 90, 99, 99.9, 100} {
		exact := all[max(0, int(math.Ceil(float64(len(all))*p/100))-1)]
		got := h.Percentile(p)
		if got < exact || float64(got) > float64(exact)*1.04+1 {
			t.Errorf("p%v = %v, exactly %v", p, got, exact)
		}
	}
	left.Merge(&right)
	if left != h {
		t.Error("two halves are not the whole")
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Percentile(50) != 0 {
		t.Error("an empty histogram has a median")
	}
	h.Record(-1)
	if h.Percentile(100) != 0 {
		t.Error("a negative duration is not 0")
	}
	h.Record(math.MaxInt64)
	if got := h.Percentile(100); got != math.MaxInt64 {
		t.Errorf("%d", got)
	}
	for v := uint64(0); v < 1<<20; v++ {
		if i := bucket(v); v > upperBound(i) || i > 0 && v <= upperBound(i-1) {
			t.Fatalf("%d is in bucket %d, from %d to %d", v, i, upperBound(i-1)+1, upperBound(i))
		}
	}
}

func TestZipf(t *testing.T) {
	const n, draws = 1000, 200_000
	for _, s := range []float64{0, 0.8, 1, 1.5} {
		z := NewZipf(n, s)
		r := rand.New(rand.NewPCG(3, 4))
		var counts [n]int
		for range draws {
			counts[z.Draw(r)]++
		}
		norm := 0.0
		for k := range n {
			norm += math.Pow(float64(k+1), -s)
		}
		for _, k := range []int{0, 1, 9, 99} {
			p := math.Pow(float64(k+1), -s) / norm
			if got, want := float64(counts[k]), p*draws; math.Abs(got-want) > 6*math.Sqrt(want)+1 {
				t.Errorf("s %v: rank %d came %v times, want about %v", s, k, got, want)
			}
		}
	}
}
