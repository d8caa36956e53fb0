package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	gocache "github.com/go-redis/cache/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/store"
)

const cached = 10_000 // products

func productOf(i int) product {
	return product{
		int64(i), "Super Widget 3000 Deluxe", "kitchen-appliances", 129.95, 42, true,
		"A very fine widget for every home, now in blue and with a longer cord, for free.",
	}
}

func productKeys() []string {
	keys := make([]string, cached)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	return keys
}

// at walks through the products, each worker from another place and in steps of its own.
func at(w, i int) int { return (w*157 + i*(2*w+1)) % cached }

// ourCache gets products, near or from the store. fresh makes each key a new one: a miss, a load and a fill.
func ourCache(near int64, fresh bool) func(st store.Store) (*fighter, error) {
	return func(st store.Store) (*fighter, error) {
		c, err := cache.New[product](st, cache.Options{Prefix: "product:", TTL: time.Hour, Near: near})
		if err != nil {
			return nil, err
		}
		keys := productKeys()
		if !fresh {
			for i, k := range keys {
				if err := c.Set(context.Background(), k, productOf(i)); err != nil {
					return nil, err
				}
			}
		}
		run := time.Now().UnixNano()
		return &fighter{do: func(ctx context.Context, w, i int) error {
			key := keys[at(w, i)]
			if fresh {
				key = freshKey(run, w, i)
			}
			p, err := c.GetOrLoad(ctx, key, func(context.Context) (product, error) { return productOf(i), nil })
			return rightProduct(p, err)
		}, close: func() { _ = c.Close(context.Background()) }}, nil
	}
}

func freshKey(run int64, w, i int) string { return fmt.Sprintf("%d:%d:%d", run, w, i) }

func rightProduct(p product, err error) error {
	if err == nil && p.Stock != 42 {
		return errNoDuel
	}
	return err
}

// goCache is go-redis/cache with or without its local cache.
func goCache(local, fresh bool) func(addr string) (*fighter, error) {
	return func(addr string) (*fighter, error) {
		client := goRedis(addr)
		o := &gocache.Options{Redis: client}
		if local {
			o.LocalCache = gocache.NewTinyLFU(cached, time.Hour)
		}
		c := gocache.New(o)
		keys := productKeys()
		for i, k := range keys {
			if fresh {
				break
			}
			if err := c.Set(&gocache.Item{Key: "gocache:" + k, Value: productOf(i), TTL: time.Hour}); err != nil {
				return nil, err
			}
		}
		run := time.Now().UnixNano()
		return &fighter{do: func(ctx context.Context, w, i int) error {
			key := keys[at(w, i)]
			if fresh {
				key = freshKey(run, w, i)
			}
			var p product
			err := c.Once(&gocache.Item{Ctx: ctx, Key: "gocache:" + key, Value: &p, TTL: time.Hour,
				Do: func(*gocache.Item) (any, error) { return productOf(i), nil }})
			return rightProduct(p, err)
		}, close: func() { _ = client.Close() }}, nil
	}
}

// aside is rueidisaside, which keeps what it reads near by client tracking.
func aside(fresh bool) func(addr string) (*fighter, error) {
	return func(addr string) (*fighter, error) {
		client, err := rueidisaside.NewClient(rueidisaside.ClientOption{ClientOption: rueidis.ClientOption{InitAddress: []string{addr}}})
		if err != nil {
			return nil, err
		}
		typed := rueidisaside.NewTypedCacheAsideClient(client, func(p *product) (string, error) {
			b, err := json.Marshal(p)
			return string(b), err
		}, func(s string) (*product, error) {
			var p product
			return &p, json.Unmarshal([]byte(s), &p)
		})
		keys := productKeys()
		run := time.Now().UnixNano()
		return &fighter{do: func(ctx context.Context, w, i int) error {
			key := keys[at(w, i)]
			if fresh {
				key = freshKey(run, w, i)
			}
			p, err := typed.Get(ctx, time.Hour, "aside:"+key, func(context.Context, string) (*product, error) {
				p := productOf(i)
				return &p, nil
			})
			if err != nil {
				return err
			}
			return rightProduct(*p, nil)
		}, close: client.Close}, nil
	}
}

func cacheDuels() []duel {
	return []duel{
		{name: "cache: hit in the store", trips: true, ours: ourCache(0, false), rivals: []rival{{"go-redis/cache", goCache(false, false)}}},
		{name: "cache: near hit", alone: true, ours: ourCache(64<<20, false),
			rivals: []rival{{"go-redis/cache with its local cache", goCache(true, false)}, {"rueidisaside", aside(false)}}},
		{name: "cache: miss, load and fill", trips: true, ours: ourCache(0, true),
			rivals: []rival{{"go-redis/cache", goCache(false, true)}, {"rueidisaside", aside(true)}}},
	}
}

// measureNear: nanoseconds of a near hit, one goroutine.
func measureNear(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	f, err := owning(db, ourCache(64<<20, false))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for i := range 2 * cached { // what was not near is now
		if err := f.do(ctx, 0, i); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	n := o.scaled(10_000_000)
	start := time.Now()
	for i := range n {
		if err := f.do(ctx, 0, i); err != nil {
			return nil, err
		}
	}
	took := time.Since(start)
	f.end()
	return map[string]float64{"hit": float64(took.Nanoseconds()) / float64(n)}, nil
}
