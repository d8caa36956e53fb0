package grpclimit_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/ratelimit/grpclimit"
	"github.com/larderdb/larder/store/storetest"
)

// A server passes Unary and Stream to grpc.NewServer. Here the interceptor is called by hand, twice where one call is allowed.
func Example() {
	st := storetest.NewMemory() // in a service: larder.Open or larder.Connect
	limit, err := ratelimit.New(st, ratelimit.Options{Limit: 1, Window: time.Minute})
	if err != nil {
		panic(err)
	}
	guard, err := grpclimit.New(limit, grpclimit.Options{
		Key: func(context.Context, string) string { return "tenant-7" },
	})
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(guard.Unary()), grpc.StreamInterceptor(guard.Stream()))
	defer server.Stop()

	call := &grpc.UnaryServerInfo{FullMethod: "/shop.Cart/Add"}
	for range 2 {
		_, err := guard.Unary()(context.Background(), nil, call, func(context.Context, any) (any, error) { return "added", nil })
		fmt.Println(status.Code(err) == codes.ResourceExhausted)
	}
	// Output:
	// false
	// true
}
