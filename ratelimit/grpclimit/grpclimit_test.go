package grpclimit_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	health_v1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/ratelimit/grpclimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func guard(t *testing.T, l *ratelimit.Limiter, o grpclimit.Options) *grpclimit.Guard {
	t.Helper()
	g, err := grpclimit.New(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func limiter(t *testing.T, st store.Store, o ratelimit.Options) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client serves the health service behind a Guard, within this process.
func client(t *testing.T, g *grpclimit.Guard) health_v1.HealthClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary()), grpc.StreamInterceptor(g.Stream()))
	health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return health_v1.NewHealthClient(conn)
}

// exhausted checks a denial and its RetryInfo.
func exhausted(t *testing.T, err error, after time.Duration) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted || len(s.Details()) != 1 {
		t.Fatalf("%v, %v", err, s.Details())
	}
	info, ok := s.Details()[0].(*errdetails.RetryInfo)
	if !ok || info.RetryDelay.AsDuration() != after {
		t.Errorf("retry after %v, want %v", info, after)
	}
}

func TestUnary(t *testing.T) {
	mem := storetest.NewMemory()
	c := client(t, guard(t, limiter(t, mem, ratelimit.Options{Limit: 2, Window: time.Minute}), grpclimit.Options{}))
	var header metadata.MD
	call := func() error {
		header = nil
		_, err := c.Check(t.Context(), &health_v1.HealthCheckRequest{}, grpc.Header(&header))
		return err
	}
	if err := call(); err != nil || header.Get("x-ratelimit-limit")[0] != "2" || header.Get("x-ratelimit-remaining")[0] != "1" || header.Get("x-ratelimit-reset")[0] != "60" {
		t.Errorf("%v, %v", err, header)
	}
	mem.Advance(1500 * time.Millisecond)
	_ = call()
	exhausted(t, call(), 58500*time.Millisecond)
	if header.Get("retry-after")[0] != "59" {
		t.Errorf("%v", header)
	}
	mem.Advance(58500 * time.Millisecond)
	if err := call(); err != nil {
		t.Errorf("after RetryInfo: %v", err)
	}
}

func TestStream(t *testing.T) {
	for _, perMessage := range []bool{false, true} {
		l := limiter(t, storetest.NewMemory(), ratelimit.Options{Algorithm: ratelimit.TokenBucket, Limit: 2, Window: time.Minute})
		c := client(t, guard(t, l, grpclimit.Options{PerMessage: perMessage, Methods: []string{"/grpc.health.v1.Health/Watch"}}))
		watch := func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := c.Watch(ctx, &health_v1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}
		if err := watch(); err != nil { // with PerMessage its request is the second unit
			t.Errorf("per message %v: %v", perMessage, err)
		}
		if !perMessage {
			_ = watch()
		}
		exhausted(t, watch(), 30*time.Second)
		if _, err := c.Check(t.Context(), &health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("a method that is not limited: %v", err)
		}
	}
}

func TestKeyCostPlan(t *testing.T) {
	vip, err := ratelimit.NewPlan(ratelimit.Rule{Limit: 100, Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	user := func(ctx context.Context) string {
		md, _ := metadata.FromIncomingContext(ctx)
		return append(md.Get("user"), "")[0]
	}
	cost := 3
	g := guard(t, limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 5, Window: time.Minute}), grpclimit.Options{
		Key:  func(ctx context.Context, _ string) string { return user(ctx) },
		Cost: func(context.Context, string) int { return cost },
		Plan: func(ctx context.Context, _ string) *ratelimit.Plan {
			if user(ctx) == "vip" {
				return vip
			}
			return nil
		},
	})
	c := client(t, g)
	call := func(user string) codes.Code {
		_, err := c.Check(metadata.AppendToOutgoingContext(t.Context(), "user", user), &health_v1.HealthCheckRequest{})
		return status.Code(err)
	}
	for i, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
		if got := call("a"); got != want {
			t.Errorf("call %d of 3 of 5 units: %v", i, got)
		}
	}
	for range 5 {
		if a, b := call("vip"), call(""); a != codes.OK || b != codes.OK {
			t.Errorf("another plan: %v; no id: %v", a, b)
		}
	}
	for _, cost = range []int{0, 6} {
		if got := call("b"); got != codes.ResourceExhausted {
			t.Errorf("a cost of %d: %v", cost, got)
		}
	}
}

func TestStoreFails(t *testing.T) {
	for _, closed := range []bool{false, true} {
		f := storetest.NewFaulty(storetest.NewMemory())
		f.Fail(-1)
		c := client(t, guard(t, limiter(t, f, ratelimit.Options{Limit: 1, Window: time.Minute, FailClosed: closed}), grpclimit.Options{}))
		want := codes.OK
		if closed {
			want = codes.Unavailable
		}
		if _, err := c.Check(t.Context(), &health_v1.HealthCheckRequest{}); status.Code(err) != want {
			t.Errorf("FailClosed %v: %v", closed, err)
		}
	}
}

// TestClients limits by the peer's address, IPv6 by its network.
func TestClients(t *testing.T) {
	g := guard(t, limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 1, Window: time.Minute}), grpclimit.Options{})
	for i, test := range []struct {
		addr string
		want codes.Code
	}{{"2001:db8:1:2::1", codes.OK}, {"2001:db8:1:2:f::9", codes.ResourceExhausted}, {"2001:db8:1:3::1", codes.OK}, {"1.2.3.4", codes.OK}, {"1.2.3.4", codes.ResourceExhausted}} {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(test.addr), Port: 1000 + i}})
		_, err := g.Unary()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, func(context.Context, any) (any, error) { return nil, nil })
		if status.Code(err) != test.want {
			t.Errorf("%d: %s: %v, want %v", i, test.addr, err, test.want)
		}
	}
	for _, o := range []grpclimit.Options{{Methods: []string{"a"}}, {IPv6Prefix: -1}, {IPv6Prefix: 129}} {
		if _, err := grpclimit.New(nil, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
