package shopdb

import (
	"errors"
	"testing"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
)

func TestSale(t *testing.T) {
	databases(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		if _, err := db.Stock(ctx, 7); !errors.Is(err, shop.ErrNotFound) {
			t.Errorf("stock of what was never there: %v", err)
		}
		if err := errors.Join(db.Restock(ctx, 7, 1), db.Restock(ctx, 7, 5)); err != nil {
			t.Fatal(err)
		}
		three := shop.Order{User: 1, Product: 7, Quantity: 3}
		for _, step := range []struct {
			id    string
			order shop.Order
			fence int64
			err   error
			left  int64
		}{
			{"a", three, 2, nil, 2},
			{"a", three, 2, nil, 2}, // once is enough
			{"b", three, 3, shop.ErrSoldOut, 2},
			{"c", shop.Order{User: 1, Product: 7, Quantity: 1}, 1, shop.ErrFenced, 2},
			{"c", shop.Order{User: 1, Product: 7, Quantity: 1}, 2, nil, 1},
			{"d", shop.Order{User: 1, Product: 8, Quantity: 1}, 9, shop.ErrNotFound, 1},
		} {
			err := db.Sell(ctx, step.id, step.order, step.fence)
			left, stockErr := db.Stock(ctx, 7)
			if !errors.Is(err, step.err) || stockErr != nil || left != step.left {
				t.Errorf("%+v: %v, %d left, %v", step, err, left, stockErr)
			}
		}
		if sold, err := db.Sold(ctx, 7); err != nil || sold != 4 {
			t.Errorf("%d sold, %v", sold, err)
		}
		before, err := db.Product(ctx, 7)
		if err != nil {
			t.Fatal(err)
		}
		if cents, err := db.Reprice(ctx, 7); err != nil || cents != before.PriceCents+1+before.PriceCents/100 {
			t.Errorf("%d cents after %d, %v", cents, before.PriceCents, err)
		}
		if _, err := db.Reprice(ctx, 1<<40); !errors.Is(err, shop.ErrNotFound) {
			t.Errorf("a product that does not exist: %v", err)
		}
	})
}
