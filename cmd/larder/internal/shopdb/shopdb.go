// Package shopdb is the shop on an SQL database: SQLite in a file or PostgreSQL. It counts every statement it sends.
package shopdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
)

// DB is a shop's database. Its methods may be called from several goroutines.
type DB struct {
	sql     *sql.DB
	engine  engine
	stmts   statements
	queries atomic.Int64
}

var _ shop.Shop = (*DB)(nil)

// statements are the shop's questions, prepared once.
type statements struct {
	featured, product, related, category, listing, profile, plan *sql.Stmt
	restock, stock, take, sell, sold, sales, reprice             *sql.Stmt
}

const pageSize = 20

const (
	featuredQuery = `
		SELECT p.id, p.name, p.price_cents, p.rating, COALESCE(SUM(o.quantity), 0) AS sold
		FROM products p LEFT JOIN orders o ON o.product_id = p.id
		WHERE p.featured = 1
		GROUP BY p.id, p.name, p.price_cents, p.rating
		ORDER BY sold DESC, p.id
		LIMIT 10`
	productQuery = `
		SELECT p.id, p.name, p.price_cents, p.rating, p.description, p.featured, c.id, c.name,
			(SELECT COALESCE(SUM(o.quantity), 0) FROM orders o WHERE o.product_id = p.id)
		FROM products p JOIN categories c ON c.id = p.category_id
		WHERE p.id = ?`
	relatedQuery = `
		SELECT id, name, price_cents, rating FROM products
		WHERE category_id = ? AND id <> ?
		ORDER BY rating DESC, id LIMIT 4`
	categoryQuery = `SELECT c.id, c.name, (SELECT COUNT(*) FROM products p WHERE p.category_id = c.id) FROM categories c WHERE c.slug = ?`
	listingQuery  = `
		SELECT id, name, price_cents, rating FROM products
		WHERE category_id = ?
		ORDER BY rating DESC, id LIMIT ? OFFSET ?`
	profileQuery = `
		SELECT u.id, u.name, u.email, u.plan, COUNT(o.id), COALESCE(SUM(o.quantity * o.price_cents), 0), COALESCE(MAX(o.created_at), 0)
		FROM users u LEFT JOIN orders o ON o.user_id = u.id
		WHERE u.id = ?
		GROUP BY u.id, u.name, u.email, u.plan`
	planQuery = `SELECT plan FROM users WHERE id = ?`
)

// Queries is how many statements have been sent since Open, seeding not included.
func (d *DB) Queries() int64 { return d.queries.Load() }

// prepare parses the statements on the server, once.
func (d *DB) prepare(ctx context.Context) error {
	for _, s := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&d.stmts.featured, featuredQuery}, {&d.stmts.product, productQuery}, {&d.stmts.related, relatedQuery},
		{&d.stmts.category, categoryQuery}, {&d.stmts.listing, listingQuery}, {&d.stmts.profile, profileQuery},
		{&d.stmts.plan, planQuery}, {&d.stmts.restock, restockQuery}, {&d.stmts.stock, stockQuery}, {&d.stmts.take, takeQuery},
		{&d.stmts.sell, sellQuery}, {&d.stmts.sold, soldQuery}, {&d.stmts.sales, salesQuery}, {&d.stmts.reprice, repriceQuery},
	} {
		stmt, err := d.sql.PrepareContext(ctx, d.engine.rebind(s.query))
		if err != nil {
			return fmt.Errorf("prepare %s: %w", strings.Fields(s.query)[:3], err)
		}
		*s.stmt = stmt
	}
	return nil
}

// row and rows are the only ways from here to the database, so that nothing goes uncounted.
func (d *DB) row(ctx context.Context, stmt *sql.Stmt, args ...any) *sql.Row {
	d.queries.Add(1)
	return stmt.QueryRowContext(ctx, args...)
}

func (d *DB) rows(ctx context.Context, stmt *sql.Stmt, args ...any) (*sql.Rows, error) {
	d.queries.Add(1)
	return stmt.QueryContext(ctx, args...)
}

// Featured implements shop.Shop.
func (d *DB) Featured(ctx context.Context) ([]shop.Item, error) {
	rows, err := d.rows(ctx, d.stmts.featured)
	return items(rows, err, func(i *shop.Item) []any {
		return []any{&i.ID, &i.Name, &i.PriceCents, &i.Rating, &i.Sold}
	})
}

// Product implements shop.Shop.
func (d *DB) Product(ctx context.Context, id int64) (shop.Product, error) {
	var p shop.Product
	var category int64
	err := d.row(ctx, d.stmts.product, id).Scan(&p.ID, &p.Name, &p.PriceCents, &p.Rating, &p.Description, &p.Featured,
		&category, &p.Category, &p.Sold)
	if err != nil {
		return shop.Product{}, missing(err, "product", id)
	}
	rows, err := d.rows(ctx, d.stmts.related, category, id)
	p.Related, err = items(rows, err, listed)
	return p, err
}

// Category implements shop.Shop.
func (d *DB) Category(ctx context.Context, slug string, page int) (shop.Listing, error) {
	l := shop.Listing{Page: page}
	var category int64
	if err := d.row(ctx, d.stmts.category, slug).Scan(&category, &l.Category, &l.Total); err != nil {
		return shop.Listing{}, missing(err, "category", slug)
	}
	rows, err := d.rows(ctx, d.stmts.listing, category, pageSize, (page-1)*pageSize)
	l.Items, err = items(rows, err, listed)
	return l, err
}

// Profile implements shop.Shop.
func (d *DB) Profile(ctx context.Context, userID int64) (shop.Profile, error) {
	var p shop.Profile
	var lastOrder int64
	err := d.row(ctx, d.stmts.profile, userID).Scan(&p.ID, &p.Name, &p.Email, &p.Plan, &p.Orders, &p.SpentCents, &lastOrder)
	if err != nil {
		return shop.Profile{}, missing(err, "user", userID)
	}
	p.LastOrder = time.Unix(lastOrder, 0).UTC()
	return p, nil
}

// Plan implements shop.Shop.
func (d *DB) Plan(ctx context.Context, userID int64) (string, error) {
	var plan string
	err := d.row(ctx, d.stmts.plan, userID).Scan(&plan)
	return plan, missing(err, "user", userID)
}

// listed are the columns of a product in a list.
func listed(i *shop.Item) []any { return []any{&i.ID, &i.Name, &i.PriceCents, &i.Rating} }

func items(rows *sql.Rows, err error, columns func(*shop.Item) []any) ([]shop.Item, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []shop.Item{} // an empty list is [] in JSON, not null
	for rows.Next() {
		var i shop.Item
		if err := rows.Scan(columns(&i)...); err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, rows.Err()
}

// missing turns "no rows" into the shop's own error.
func missing(err error, what string, id any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %v: %w", what, id, shop.ErrNotFound)
	}
	return err
}
