package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/larderdb/larder/cmd/larder/internal/load"
	"github.com/larderdb/larder/cmd/larder/internal/shopdb"
)

// traffic is what a day in the shop looks like: most people look at the front page and at the same few products, and
// a handful of clients ask much more than is fair.
type traffic struct {
	seed       uint64
	clients    int
	products   *load.Zipf
	categories *load.Zipf
	users      *load.Zipf
	shuffled   []int // rank of popularity to product: the popular ones are not the first in the table
}

const (
	skew         = 1.0  // Zipf's exponent
	abusers      = 5    // clients
	abusiveShare = 0.05 // of all requests come from them
)

func newTraffic(size shopdb.Size, clients int, seed uint64) *traffic {
	return &traffic{
		seed: seed, clients: clients,
		products:   load.NewZipf(size.Products, skew),
		categories: load.NewZipf(size.Categories, skew),
		users:      load.NewZipf(size.Users, skew),
		shuffled:   rand.New(rand.NewPCG(seed, 2)).Perm(size.Products),
	}
}

// source makes the requests of one connection. The same seed makes the same ones.
func (t *traffic) source(connection int) func() load.Request {
	r := rand.New(rand.NewPCG(t.seed, uint64(connection)+1000))
	return func() load.Request {
		return load.Request{Path: t.path(r), Client: t.client(r)}
	}
}

// path draws a page.
func (t *traffic) path(r *rand.Rand) string {
	switch p := r.IntN(100); {
	case p < 25:
		return "/api/products/featured"
	case p < 70:
		return "/api/products/" + strconv.Itoa(1+t.shuffled[t.products.Draw(r)])
	case p < 80:
		return "/api/categories/" + shopdb.Slug(1+t.categories.Draw(r)) + "?page=" + strconv.Itoa(1+min(r.IntN(5), r.IntN(5)))
	case p < 90:
		return "/api/users/" + strconv.Itoa(1+t.users.Draw(r))
	default:
		return "/api/users/" + strconv.Itoa(1+t.users.Draw(r)) + "/plan"
	}
}

// client draws who asks.
func (t *traffic) client(r *rand.Rand) string {
	if r.Float64() < abusiveShare {
		return fmt.Sprintf("203.0.113.%d", 1+r.IntN(abusers))
	}
	n := r.IntN(t.clients)
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}
