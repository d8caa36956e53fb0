// Package layer is the shop with Larder in front of its database: what a service adds to get its pages cached and its
// clients limited. It runs on whatever store it is given.
package layer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/object"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
)

const (
	pageTTL     = 300 * time.Second // of cached pages, less up to a tenth so that they do not expire together
	profileTTL  = 300 * time.Second
	missingTTL  = 10 * time.Second // for how long "there is no such product" is remembered
	limit       = 100              // requests a client may make in limitWindow
	limitWindow = time.Minute
)

// Layer is a shop.Shop that asks another only for what it does not have.
type Layer struct {
	source   shop.Shop
	featured *cache.Cache[[]shop.Item]
	products *cache.Cache[shop.Product]
	listings *cache.Cache[shop.Listing]
	profiles *object.Hashes[shop.Profile]
	plans    *object.Field[shop.Profile, string]
	limiter  *ratelimit.Limiter

	profileHits, profileMisses atomic.Uint64
}

var _ shop.Shop = (*Layer)(nil)

// New puts st between a shop's visitors and source. Every key begins with prefix.
func New(st store.Store, prefix string, source shop.Shop) (*Layer, error) {
	l := &Layer{source: source}
	var errs [6]error
	l.featured, errs[0] = cache.New[[]shop.Item](st, cache.Options{Prefix: prefix + "featured:", TTL: pageTTL})
	l.products, errs[1] = cache.New[shop.Product](st, cache.Options{Prefix: prefix + "product:", TTL: pageTTL, NegativeTTL: missingTTL})
	l.listings, errs[2] = cache.New[shop.Listing](st, cache.Options{Prefix: prefix + "category:", TTL: pageTTL, NegativeTTL: missingTTL})
	l.profiles, errs[3] = object.New[shop.Profile](st, object.Options{Prefix: prefix + "user:", TTL: profileTTL})
	l.limiter, errs[4] = ratelimit.New(st, ratelimit.Options{Prefix: prefix + "limit:", Limit: limit, Window: limitWindow})
	if err := errors.Join(errs[:5]...); err != nil {
		return nil, err
	}
	l.plans, errs[5] = object.NewField[shop.Profile, string](l.profiles, "plan")
	return l, errs[5]
}

// Handler is the shop's API with every client limited.
func (l *Layer) Handler() (http.Handler, error) { return l.Protect(shop.NewAPI(l)) }

// Protect limits every client of next. A client is an address; behind a proxy on this machine, the one that the proxy names.
func (l *Layer) Protect(next http.Handler) (http.Handler, error) {
	protect, err := ratelimit.Middleware(l.limiter, ratelimit.HTTPOptions{
		Paths: []string{"/api/"}, TrustedProxies: []string{"127.0.0.0/8", "::1/128"}})
	if err != nil {
		return nil, err
	}
	return protect(next), nil
}

// Repriced forgets a product's page, whose price has changed.
func (l *Layer) Repriced(ctx context.Context, product int64) error {
	return l.products.Delete(ctx, id(product))
}

// Featured implements shop.Shop.
func (l *Layer) Featured(ctx context.Context) ([]shop.Item, error) {
	return l.featured.GetOrLoad(ctx, "top", l.source.Featured)
}

// Product implements shop.Shop.
func (l *Layer) Product(ctx context.Context, productID int64) (shop.Product, error) {
	p, err := l.products.GetOrLoad(ctx, id(productID), func(ctx context.Context) (shop.Product, error) {
		p, err := l.source.Product(ctx, productID)
		return p, toCache(err)
	})
	return p, fromCache(err)
}

// Category implements shop.Shop.
func (l *Layer) Category(ctx context.Context, slug string, page int) (shop.Listing, error) {
	key := slug + ":" + strconv.Itoa(page)
	listing, err := l.listings.GetOrLoad(ctx, key, func(ctx context.Context) (shop.Listing, error) {
		listing, err := l.source.Category(ctx, slug, page)
		return listing, toCache(err)
	})
	return listing, fromCache(err)
}

// Profile implements shop.Shop. A profile is a hash in the store, so that others can read and write parts of it.
func (l *Layer) Profile(ctx context.Context, userID int64) (shop.Profile, error) {
	profile, found, err := l.profiles.Load(ctx, id(userID))
	if l.found(found, err) {
		return profile, nil
	}
	return l.loadProfile(ctx, userID)
}

// Plan implements shop.Shop. It reads one field, not the profile.
func (l *Layer) Plan(ctx context.Context, userID int64) (string, error) {
	plan, found, err := l.plans.Get(ctx, id(userID))
	if l.found(found, err) {
		return plan, nil
	}
	profile, err := l.loadProfile(ctx, userID)
	return profile.Plan, err
}

func (l *Layer) loadProfile(ctx context.Context, userID int64) (shop.Profile, error) {
	profile, err := l.source.Profile(ctx, userID)
	if err != nil {
		return shop.Profile{}, err
	}
	if err := l.profiles.Save(ctx, id(userID), &profile); err != nil {
		slog.Warn("profile not kept", "user", userID, "err", err)
	}
	return profile, nil
}

// found counts a look-up. A store that fails is a miss: the database has the answer.
func (l *Layer) found(found bool, err error) bool {
	if err != nil || !found {
		l.profileMisses.Add(1)
		return false
	}
	l.profileHits.Add(1)
	return true
}

func id(n int64) string { return strconv.FormatInt(n, 10) }

// toCache and fromCache translate "there is no such thing", which the cache remembers under its own name.
func toCache(err error) error {
	if errors.Is(err, shop.ErrNotFound) {
		return fmt.Errorf("%w: %w", cache.ErrNotFound, err)
	}
	return err
}

func fromCache(err error) error {
	if errors.Is(err, cache.ErrNotFound) {
		return shop.ErrNotFound
	}
	return err
}

// HitRatio is the share of reads that did not need the database, 0 to 1.
func (l *Layer) HitRatio() float64 {
	hits, misses := l.profileHits.Load(), l.profileMisses.Load()
	for _, s := range []cache.Stats{l.featured.Stats(), l.products.Stats(), l.listings.Stats()} {
		hits += s.Hits + s.NegativeHits
		misses += s.Misses
	}
	return float64(hits) / float64(max(1, hits+misses))
}
