// Package shop is a small web shop's API, the demo's subject. It knows neither database nor cache: it serves whatever
// implements Shop, and the demo compares two implementations of it.
package shop

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound means that there is no product, category or user of that name.
var ErrNotFound = errors.New("not found")

// Shop is what the API needs to know.
type Shop interface {
	// Featured returns the ten featured products that sold most, best first.
	Featured(ctx context.Context) ([]Item, error)
	// Product returns one product's page. An unknown id is ErrNotFound.
	Product(ctx context.Context, id int64) (Product, error)
	// Category returns one page of a category, best rated first. An unknown slug is ErrNotFound.
	Category(ctx context.Context, slug string, page int) (Listing, error)
	// Profile returns a user. An unknown id is ErrNotFound.
	Profile(ctx context.Context, userID int64) (Profile, error)
	// Plan returns one field of a user's profile. An unknown id is ErrNotFound.
	Plan(ctx context.Context, userID int64) (string, error)
}

// Item is a product in a list.
type Item struct {
	ID         int64   `json:"id"`
	Name       string  `json:"name"`
	PriceCents int64   `json:"price_cents"`
	Rating     float64 `json:"rating"`
	Sold       int64   `json:"sold,omitempty"`
}

// Product is a product's page.
type Product struct {
	Item
	Category    string `json:"category"`
	Description string `json:"description"`
	Featured    bool   `json:"featured"`
	Related     []Item `json:"related"` // the best rated others of the category
}

// Listing is one page of a category.
type Listing struct {
	Category string `json:"category"`
	Page     int    `json:"page"`
	Total    int64  `json:"total"`
	Items    []Item `json:"items"`
}

// Profile is a user. The tags serve JSON and the hash in which Larder keeps it.
type Profile struct {
	ID         int64     `json:"id" larder:"id"`
	Name       string    `json:"name" larder:"name"`
	Email      string    `json:"email" larder:"email"`
	Plan       string    `json:"plan" larder:"plan"`
	Orders     int64     `json:"orders" larder:"orders"`
	SpentCents int64     `json:"spent_cents" larder:"spent_cents"`
	LastOrder  time.Time `json:"last_order" larder:"last_order"`
}
