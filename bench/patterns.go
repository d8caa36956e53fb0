package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/ratelimit"
)

// measureLimiter: nanoseconds of a decision, 100 a minute for each of ten thousand clients, from empty logs to full
// ones: what a limiter meets that mostly lets pass. Then of a denial, all logs being full.
func measureLimiter(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	const limit = 100
	l, err := ratelimit.New(db, ratelimit.Options{Limit: limit, Window: time.Hour})
	if err != nil {
		return nil, err
	}
	clients := make([]string, o.scaled(10_000))
	for i := range clients {
		clients[i] = "client:" + strconv.Itoa(i)
	}
	ctx := context.Background()
	decide := func(rounds int, allowed bool) (float64, error) {
		start := time.Now()
		for range rounds {
			for _, c := range clients {
				if r, err := l.Allow(ctx, c); err != nil || r.Allowed != allowed {
					return 0, errors.Join(err, fmt.Errorf("allowed: %t", r.Allowed))
				}
			}
		}
		return float64(time.Since(start).Nanoseconds()) / float64(rounds*len(clients)), nil
	}
	pass, err := decide(limit, true)
	if err != nil {
		return nil, err
	}
	deny, err := decide(limit, false)
	if err != nil {
		return nil, err
	}
	return map[string]float64{"allow": pass / 1e3, "deny": deny / 1e3}, db.Close()
}

// product takes some 200 bytes encoded.
type product struct {
	ID          int64
	Name        string
	Category    string
	Price       float64
	Stock       int
	Featured    bool
	Description string
}

// measureCache: nanoseconds of a hit of a product in a typed cache of ten thousand, decoding included.
func measureCache(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	c, err := cache.New[product](db, cache.Options{Prefix: "product:", TTL: time.Hour})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
		err := c.Set(ctx, keys[i], product{
			int64(i), "Super Widget 3000 Deluxe", "kitchen-appliances", 129.95, 42, true,
			"A very fine widget for every home, now in blue and with a longer cord, for free.",
		})
		if err != nil {
			return nil, err
		}
	}
	load := func(context.Context) (product, error) { return product{}, errors.New("a hit must not load") }
	rounds := o.scaled(200)
	start := time.Now()
	for range rounds {
		for _, key := range keys {
			if _, err := c.GetOrLoad(ctx, key, load); err != nil {
				return nil, err
			}
		}
	}
	return map[string]float64{
		"hit": float64(time.Since(start).Nanoseconds()) / float64(rounds*len(keys)) / 1e3,
	}, db.Close()
}
