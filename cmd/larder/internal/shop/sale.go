package shop

import (
	"context"
	"errors"
)

// Order is what a user buys.
type Order struct {
	User     int64 `json:"user"`
	Product  int64 `json:"product"`
	Quantity int64 `json:"quantity"`
}

// Errors of a sale.
var (
	ErrSoldOut = errors.New("sold out")
	// ErrFenced means that somebody with a newer right to sell has been there: whoever gets this has lost the lock.
	ErrFenced = errors.New("fenced off")
)

// Warehouse is what selling needs from the database.
type Warehouse interface {
	// Restock sets how many pieces of a product there are.
	Restock(ctx context.Context, product, pieces int64) error
	// Stock tells how many pieces are left. A product that was never restocked is ErrNotFound.
	Stock(ctx context.Context, product int64) (pieces int64, err error)
	// Sold tells how many pieces have been sold.
	Sold(ctx context.Context, product int64) (pieces int64, err error)
	// Sell takes the pieces off the stock and writes the sale down; a sale of that id that is there already is done. Two
	// must not sell the same product at once: fence is a number that only grows from one who may to the next, and who
	// comes with a smaller one gets ErrFenced. Too few pieces are ErrSoldOut.
	Sell(ctx context.Context, id string, o Order, fence int64) error
	// Reprice makes a product in demand a little dearer and returns its new price.
	Reprice(ctx context.Context, product int64) (cents int64, err error)
}
