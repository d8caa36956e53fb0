package shopdb

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Size is how much there is in a shop.
type Size struct{ Products, Categories, Users, Orders int }

// featuredEvery is how many products there are for one that is featured.
const featuredEvery = 400

// SizeOf is a plausible shop around a number of products.
func SizeOf(products int) Size {
	return Size{Products: products, Categories: max(1, min(50, products/20)), Users: max(1, products/5), Orders: 2 * products}
}

// Slug is the name of category n, from 1, in URLs.
func Slug(n int) string { return fmt.Sprintf("category-%d", n) }

// The featured flag is a number, because that is how SQLite keeps it.
const schema = `
	CREATE TABLE categories (id {ID} PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
	CREATE TABLE products (id {ID} PRIMARY KEY, category_id {ID} NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
		price_cents {ID} NOT NULL, rating {DOUBLE} NOT NULL, featured {ID} NOT NULL);
	CREATE TABLE users (id {ID} PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, plan TEXT NOT NULL);
	CREATE TABLE orders (id {ID} PRIMARY KEY, user_id {ID} NOT NULL, product_id {ID} NOT NULL, quantity {ID} NOT NULL,
		price_cents {ID} NOT NULL, created_at {ID} NOT NULL);
	CREATE TABLE stock (product_id {ID} PRIMARY KEY, pieces {ID} NOT NULL, fence {ID} NOT NULL);
	CREATE TABLE sales (id TEXT PRIMARY KEY, user_id {ID} NOT NULL, product_id {ID} NOT NULL, quantity {ID} NOT NULL)`

// The indexes a shop would have: every query of the API finds its rows through one, and the sums of what was sold read nothing else.
const indexes = `
	CREATE INDEX products_by_rating ON products (category_id, rating DESC, id);
	CREATE INDEX products_featured ON products (id) WHERE featured = 1;
	CREATE INDEX orders_by_product ON orders (product_id, quantity);
	CREATE INDEX orders_by_user ON orders (user_id)`

// Seed creates the tables and fills them, the same for the same size and seed, then prepares the statements. progress
// is told how much is done, from 0 to 1.
func (d *DB) Seed(ctx context.Context, size Size, seed uint64, progress func(float64)) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back
	s := seeder{ctx: ctx, tx: tx, engine: d.engine, rand: rand.New(rand.NewPCG(seed, 1)), progress: progress,
		total: size.Categories + size.Products + size.Users + size.Orders}
	if err := s.run(size); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if _, err := d.sql.ExecContext(ctx, d.engine.analyze); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return d.prepare(ctx)
}

type seeder struct {
	ctx      context.Context
	tx       *sql.Tx
	engine   engine
	rand     *rand.Rand
	progress func(float64)
	done     int // rows
	total    int
}

func (s *seeder) run(size Size) error {
	types := strings.NewReplacer("{ID}", s.engine.identity, "{DOUBLE}", s.engine.double)
	if err := s.exec(types.Replace(schema)); err != nil {
		return err
	}
	err := s.insert("categories (id, slug, name)", size.Categories, func(id int) []any {
		return []any{id, Slug(id), fmt.Sprintf("%s %d", pick(s.rand, "Tools", "Books", "Kitchen", "Garden", "Toys"), id)}
	})
	if err != nil {
		return err
	}
	err = s.insert("products (id, category_id, name, description, price_cents, rating, featured)", size.Products, func(id int) []any {
		name := pick(s.rand, "Oak", "Steel", "Glass", "Linen", "Copper") + " " + pick(s.rand, "table", "lamp", "kettle", "knife", "chair")
		featured := 0
		if id%featuredEvery == 0 {
			featured = 1
		}
		return []any{id, 1 + s.rand.IntN(size.Categories), fmt.Sprintf("%s no. %d", name, id), describe(s.rand, name),
			199 + s.rand.IntN(50_000), float64(10+s.rand.IntN(41)) / 10, featured}
	})
	if err != nil {
		return err
	}
	err = s.insert("users (id, name, email, plan)", size.Users, func(id int) []any {
		name := pick(s.rand, "Ada", "Alan", "Grace", "Edsger", "Barbara", "Donald")
		return []any{id, fmt.Sprintf("%s %d", name, id), fmt.Sprintf("user%d@example.com", id), pick(s.rand, "free", "plus", "pro")}
	})
	if err != nil {
		return err
	}
	const firstOrder, oneYear = 1_700_000_000, 365 * 24 * 3600 // seconds
	err = s.insert("orders (id, user_id, product_id, quantity, price_cents, created_at)", size.Orders, func(id int) []any {
		return []any{id, 1 + s.rand.IntN(size.Users), 1 + s.rand.IntN(size.Products), 1 + s.rand.IntN(4), 199 + s.rand.IntN(50_000),
			firstOrder + s.rand.IntN(oneYear)}
	})
	if err != nil {
		return err
	}
	return s.exec(indexes)
}

// exec runs statements separated by semicolons.
func (s *seeder) exec(statements string) error {
	for statement := range strings.SplitSeq(statements, ";") {
		if _, err := s.tx.ExecContext(s.ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// insert adds rows 1 to n, a few hundred with one statement.
func (s *seeder) insert(into string, n int, row func(id int) []any) error {
	const batch = 250
	for id := 1; id <= n; id += batch {
		count := min(batch, n-id+1)
		var args []any
		for i := range count {
			args = append(args, row(id+i)...)
		}
		tuple := "(?" + strings.Repeat(", ?", len(args)/count-1) + ")"
		query := "INSERT INTO " + into + " VALUES " + tuple + strings.Repeat(", "+tuple, count-1)
		if _, err := s.tx.ExecContext(s.ctx, s.engine.rebind(query), args...); err != nil {
			return err
		}
		s.done += count
		s.progress(float64(s.done) / float64(s.total))
	}
	return nil
}

func describe(r *rand.Rand, name string) string {
	return fmt.Sprintf("A %s made in %s. %s", strings.ToLower(name), pick(r, "Lisbon", "Kyoto", "Turin", "Graz"),
		pick(r, "Ships within two days and keeps for a lifetime.", "Sold by the piece, repaired for free.",
			"Comes with a manual in nine languages and a spare part."))
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }
