package shopdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
)

const (
	restockQuery = `INSERT INTO stock (product_id, pieces, fence) VALUES (?, ?, 0) ON CONFLICT (product_id) DO UPDATE SET pieces = excluded.pieces`
	stockQuery   = `SELECT pieces FROM stock WHERE product_id = ?`
	takeQuery    = `UPDATE stock SET pieces = ?, fence = ? WHERE product_id = ? AND fence <= ?`
	sellQuery    = `INSERT INTO sales (id, user_id, product_id, quantity) VALUES (?, ?, ?, ?)`
	soldQuery    = `SELECT COUNT(*) FROM sales WHERE id = ?`
	salesQuery   = `SELECT COALESCE(SUM(quantity), 0) FROM sales WHERE product_id = ?`
	repriceQuery = `UPDATE products SET price_cents = price_cents + 1 + price_cents / 100 WHERE id = ? RETURNING price_cents`
)

var _ shop.Warehouse = (*DB)(nil)

// Restock implements shop.Warehouse.
func (d *DB) Restock(ctx context.Context, product, pieces int64) error {
	return d.exec(ctx, d.stmts.restock, product, pieces)
}

// Stock implements shop.Warehouse.
func (d *DB) Stock(ctx context.Context, product int64) (pieces int64, err error) {
	err = d.row(ctx, d.stmts.stock, product).Scan(&pieces)
	return pieces, missing(err, "stock of product", product)
}

// Sold implements shop.Warehouse.
func (d *DB) Sold(ctx context.Context, product int64) (pieces int64, err error) {
	err = d.row(ctx, d.stmts.sales, product).Scan(&pieces)
	return pieces, err
}

// Sell implements shop.Warehouse. It reads the stock and writes it back, as applications do; only the fence protects it from
// another who does the same.
func (d *DB) Sell(ctx context.Context, id string, o shop.Order, fence int64) error {
	var before int
	if err := d.row(ctx, d.stmts.sold, id).Scan(&before); err != nil || before > 0 {
		return err
	}
	pieces, err := d.Stock(ctx, o.Product)
	if err != nil {
		return err
	}
	if pieces < o.Quantity {
		return fmt.Errorf("product %d: %w", o.Product, shop.ErrSoldOut)
	}
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back
	d.queries.Add(2)
	taken, err := tx.StmtContext(ctx, d.stmts.take).ExecContext(ctx, pieces-o.Quantity, fence, o.Product, fence)
	if err != nil {
		return err
	}
	if n, err := taken.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("product %d: %w", o.Product, shop.ErrFenced))
	}
	if _, err := tx.StmtContext(ctx, d.stmts.sell).ExecContext(ctx, id, o.User, o.Product, o.Quantity); err != nil {
		return err
	}
	return tx.Commit()
}

// Reprice implements shop.Warehouse.
func (d *DB) Reprice(ctx context.Context, product int64) (cents int64, err error) {
	err = d.row(ctx, d.stmts.reprice, product).Scan(&cents)
	return cents, missing(err, "product", product)
}

func (d *DB) exec(ctx context.Context, stmt *sql.Stmt, args ...any) error {
	d.queries.Add(1)
	_, err := stmt.ExecContext(ctx, args...)
	return err
}
