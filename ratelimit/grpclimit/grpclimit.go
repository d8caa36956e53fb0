// Package grpclimit limits gRPC calls by a ratelimit.Limiter: interceptors for servers, unary and streaming.
//
//	limit, err := ratelimit.New(st, ratelimit.Options{Algorithm: ratelimit.GCRA, Limit: 100, Window: time.Minute})
//	guard, err := grpclimit.New(limit, grpclimit.Options{})
//	server := grpc.NewServer(grpc.UnaryInterceptor(guard.Unary()), grpc.StreamInterceptor(guard.Stream()))
//
// A denied call ends with ResourceExhausted and a google.rpc.RetryInfo that says when it would pass. Every limited call tells
// x-ratelimit-limit, x-ratelimit-remaining and x-ratelimit-reset in its header, a denied one retry-after too (seconds, rounded
// up). While the store fails calls pass, or with FailClosed end with Unavailable.
//
// It is a module of its own, so that nobody else depends on gRPC. A call costs one decision: one round trip of the Limiter.
package grpclimit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
)

// Options say which calls a Guard limits and by what. The zero value limits all calls by the client's address.
type Options struct {
	// Methods are prefixes of the full methods to limit: "/shop.Cart/". None means all.
	Methods []string

	// Key gives the id to limit a call by: a user, a tenant. A call with an empty id is not limited. Default: the peer's
	// address. Behind a proxy that is the proxy's: take the id from what the proxy vouches for.
	Key func(ctx context.Context, method string) string

	// Cost is what a call counts; default 1.
	Cost func(ctx context.Context, method string) int

	// Plan, if set, chooses the rules by call; nil means the Limiter's own.
	Plan func(ctx context.Context, method string) *ratelimit.Plan

	// PerMessage counts every message that a stream receives, too; a denial ends the stream.
	PerMessage bool

	// IPv6Prefix is how many leading bits of an IPv6 address make a client; default ratelimit.DefaultIPv6Prefix.
	IPv6Prefix int
}

// Guard makes interceptors. It is safe for concurrent use.
type Guard struct {
	l *ratelimit.Limiter
	o Options
}

// New makes a Guard. It fails only for options that make no sense.
func New(l *ratelimit.Limiter, o Options) (*Guard, error) {
	for _, m := range o.Methods {
		if !strings.HasPrefix(m, "/") {
			return nil, fmt.Errorf("grpclimit: %w: method %q does not begin with /", store.ErrInvalid, m)
		}
	}
	if o.IPv6Prefix < 0 || o.IPv6Prefix > 128 {
		return nil, fmt.Errorf("grpclimit: %w: IPv6Prefix %d, want 1 to 128", store.ErrInvalid, o.IPv6Prefix)
	}
	return &Guard{l, o}, nil
}

// Unary is the interceptor for calls with one request and one answer.
func (g *Guard) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		header, err := g.decide(ctx, info.FullMethod)
		if header != nil {
			_ = grpc.SetHeader(ctx, header) // fails only where there is no call, as in a test
		}
		if err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// Stream is the interceptor for streams. It decides when the stream begins, and with PerMessage for every message.
func (g *Guard) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		header, err := g.decide(ss.Context(), info.FullMethod)
		if header != nil {
			_ = ss.SetHeader(header)
		}
		if err != nil {
			return err
		}
		if g.o.PerMessage && g.covers(info.FullMethod) {
			ss = &limited{ss, g, info.FullMethod}
		}
		return handler(srv, ss)
	}
}

// limited is a stream whose messages count.
type limited struct {
	grpc.ServerStream
	g      *Guard
	method string
}

func (s *limited) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	_, err := s.g.decide(s.Context(), s.method)
	return err
}

func (g *Guard) covers(method string) bool {
	for _, prefix := range g.o.Methods {
		if strings.HasPrefix(method, prefix) {
			return true
		}
	}
	return len(g.o.Methods) == 0
}

// decide gives the header to send, if any, and the error that ends the call.
func (g *Guard) decide(ctx context.Context, method string) (metadata.MD, error) {
	if !g.covers(method) {
		return nil, nil
	}
	r := ratelimit.Request{ID: g.id(ctx, method), Cost: 1}
	if r.ID == "" {
		return nil, nil
	}
	if g.o.Cost != nil {
		if r.Cost = g.o.Cost(ctx, method); r.Cost == 0 {
			r.Cost = -1 // refused
		}
	}
	if g.o.Plan != nil {
		r.Plan = g.o.Plan(ctx, method)
	}
	res, err := g.l.Decide(ctx, r)
	switch {
	case err != nil && res.Allowed:
		return nil, nil
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, store.ErrInvalid):
		return nil, status.Error(codes.ResourceExhausted, "rate limit: the call costs more than the limit")
	case err != nil:
		return nil, status.Error(codes.Unavailable, "rate limit: unavailable")
	}
	header := metadata.Pairs("x-ratelimit-limit", strconv.Itoa(res.Limit), "x-ratelimit-remaining", strconv.Itoa(res.Remaining),
		"x-ratelimit-reset", seconds(res.ResetAfter))
	if res.Allowed {
		return header, nil
	}
	header.Set("retry-after", seconds(res.RetryAfter))
	return header, denied(res)
}

func denied(res ratelimit.Result) error {
	s := status.New(codes.ResourceExhausted, "rate limit: too many calls; retry after "+res.RetryAfter.String())
	if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(res.RetryAfter)}); err == nil {
		s = detailed
	}
	return s.Err()
}

// unknownClient is the id of calls whose peer has no IP address. They share one limit: better too strict than none.
const unknownClient = "unknown"

func (g *Guard) id(ctx context.Context, method string) string {
	if g.o.Key != nil {
		return g.o.Key(ctx, method)
	}
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return unknownClient
	}
	at, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil {
		return unknownClient
	}
	return ratelimit.ClientID(at.Addr(), g.o.IPv6Prefix)
}

// seconds rounds up: whoever comes back then passes.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
