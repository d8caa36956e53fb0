// Package market is the selling side of the demo's shop, on Larder's patterns: visitors log in (session), orders are taken at
// once and filled in the background (queue), the stock of a product changes under a lock with a fencing token (lock), what
// sells is on a bestseller list (leaderboard), and prices that change are told to whoever looks at them (pubsub).
package market

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/pubsub"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

const (
	listTTL      = 7 * 24 * time.Hour // of the bestseller list, after the last sale
	receiptTTL   = 10 * time.Minute   // for how long the outcome of an order is kept
	workers      = 8
	dearerEvery  = 10 // pieces sold until a product gets dearer
	fillAttempts = 5
)

// Price is what is told when one changes.
type Price struct {
	Product int64 `json:"product"`
	Cents   int64 `json:"cents"`
}

// The outcomes of an order.
const (
	Filled  = "filled"
	SoldOut = "sold out"
)

// Market sells. Make it with New; Work must run for orders to be filled.
type Market struct {
	warehouse shop.Warehouse
	profiles  shop.Shop
	repriced  func(ctx context.Context, product int64) error

	sessions *session.Manager
	orders   *queue.Queue[shop.Order]
	locks    *lock.Locker
	best     *leaderboard.Board
	prices   *pubsub.Topic[Price]
}

// New makes a market on st; every key begins with prefix. repriced is called when a product's page is out of date.
func New(st store.Store, prefix string, w shop.Warehouse, profiles shop.Shop, repriced func(ctx context.Context, product int64) error) (*Market, error) {
	m := &Market{warehouse: w, profiles: profiles, repriced: repriced}
	var errs [5]error
	m.sessions, errs[0] = session.New(st, session.Options{Prefix: prefix + "session:", Cookie: session.Cookie{Insecure: true}}) // plain http, on loopback
	m.orders, errs[1] = queue.New[shop.Order](st, queue.Options{Prefix: prefix + "queue:", Name: "orders", Retention: receiptTTL, MaxAttempts: fillAttempts, Backoff: queue.Constant(100 * time.Millisecond)})
	m.locks, errs[2] = lock.New(st, lock.Options{Prefix: prefix + "lock:"})
	m.best, errs[3] = leaderboard.New(st, leaderboard.Options{Prefix: prefix + "board:", Name: "bestsellers", TTL: listTTL})
	m.prices, errs[4] = pubsub.New[Price](st, pubsub.Options{Name: prefix + "prices"})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return m, nil
}

// Work fills orders until ctx ends.
func (m *Market) Work(ctx context.Context) error {
	return m.orders.Work(ctx, queue.Workers{Concurrency: workers}, m.fill)
}

// Close ends what the market has running.
func (m *Market) Close(ctx context.Context) error {
	return errors.Join(m.orders.Close(ctx), m.locks.Close(ctx), m.prices.Close())
}

// fill is the job of an order. It may run more than once for one order, so everything in it is done once by itself: a sale has
// the order's id, and the bestseller list gets the sum, not the difference.
func (m *Market) fill(ctx context.Context, job *queue.Job[shop.Order]) error {
	o := job.Payload
	sold := int64(0)
	err := m.locks.With(ctx, "stock:"+id(o.Product), func(ctx context.Context) error {
		fence, _ := lock.TokenOf(ctx)
		if err := m.warehouse.Sell(ctx, job.ID(), o, fence); err != nil {
			return err
		}
		var err error
		if sold, err = m.warehouse.Sold(ctx, o.Product); err != nil {
			return err
		}
		_, err = m.best.Set(ctx, id(o.Product), sold)
		return err
	})
	switch {
	case errors.Is(err, shop.ErrSoldOut), errors.Is(err, shop.ErrNotFound):
		return job.SetResult(SoldOut)
	case err != nil:
		return err
	}
	if sold/dearerEvery > (sold-o.Quantity)/dearerEvery {
		if err := m.reprice(ctx, o.Product); err != nil {
			slog.Warn("price not changed", "product", o.Product, "err", err) // the order is filled all the same
		}
	}
	return job.SetResult(Filled)
}

// reprice makes a product dearer: first in the database, then its page goes, then those who look are told.
func (m *Market) reprice(ctx context.Context, product int64) error {
	cents, err := m.warehouse.Reprice(ctx, product)
	if err != nil {
		return err
	}
	if err := m.repriced(ctx, product); err != nil {
		return err
	}
	_, err = m.prices.Publish(ctx, Price{product, cents})
	return err
}

// Bestsellers are the n products that sold most, best first.
func (m *Market) Bestsellers(ctx context.Context, n int) ([]leaderboard.Entry, error) {
	return m.best.Top(ctx, n)
}

// Order takes an order and returns its id.
func (m *Market) Order(ctx context.Context, o shop.Order) (string, error) {
	if o.Quantity < 1 || o.Quantity > 100 || o.Product < 1 {
		return "", fmt.Errorf("%w: want a product, and a quantity from 1 to 100", errBadOrder)
	}
	return m.orders.Enqueue(ctx, o)
}

var errBadOrder = errors.New("no such order can be placed")

// Outcome is how an order ended: Filled or SoldOut, or empty while it waits. An order that is not known (any more) is
// shop.ErrNotFound.
func (m *Market) Outcome(ctx context.Context, order string) (outcome string, err error) {
	ok, err := m.orders.Result(ctx, order, &outcome)
	if ok || err != nil {
		return outcome, err
	}
	_, err = m.orders.Get(ctx, order)
	if errors.Is(err, store.ErrNil) {
		err = fmt.Errorf("order %s: %w", order, shop.ErrNotFound)
	}
	return "", err
}

// Waiting is how many orders are not filled yet.
func (m *Market) Waiting(ctx context.Context) (int64, error) {
	d, err := m.orders.Depth(ctx)
	return d.Ready + d.Delayed + d.Active + d.Parked, err
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
