package shopdb

import (
	"context"
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/larderdb/larder/cmd/larder/internal/shop"
)

// databases runs a test on a small shop in SQLite and, where LARDER_TEST_POSTGRES names one, in PostgreSQL.
func databases(t *testing.T, test func(t *testing.T, db *DB)) {
	open := map[string]func(t *testing.T) (*DB, error){
		"sqlite": func(t *testing.T) (*DB, error) { return OpenSQLite(t.TempDir()) },
		"postgres": func(t *testing.T) (*DB, error) {
			address := os.Getenv("LARDER_TEST_POSTGRES")
			if address == "" {
				t.Skip("LARDER_TEST_POSTGRES is not set")
			}
			return OpenPostgres(t.Context(), address)
		},
	}
	for name, open := range open {
		t.Run(name, func(t *testing.T) {
			db, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			last := 0.0
			err = db.Seed(t.Context(), SizeOf(4000), 1, func(done float64) {
				if done < last {
					t.Errorf("progress went back from %v to %v", last, done)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			if last != 1 {
				t.Errorf("progress ended at %v", last)
			}
			test(t, db)
		})
	}
}

func TestShop(t *testing.T) {
	databases(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		featured, err := db.Featured(ctx)
		if err != nil || len(featured) != 10 {
			t.Fatal(featured, err)
		}
		for i, item := range featured {
			if item.ID%featuredEvery != 0 || i > 0 && item.Sold > featured[i-1].Sold {
				t.Errorf("featured %d: %+v", i, item)
			}
		}

		p, err := db.Product(ctx, featured[0].ID)
		if err != nil || p.Name != featured[0].Name || p.Sold != featured[0].Sold || !p.Featured || len(p.Related) != 4 {
			t.Errorf("%+v %v", p, err)
		}

		first, err := db.Category(ctx, Slug(3), 1)
		if err != nil || len(first.Items) != pageSize || first.Total < pageSize {
			t.Fatalf("%+v %v", first, err)
		}
		second, err := db.Category(ctx, Slug(3), 2)
		if err != nil || second.Items[0].Rating > first.Items[pageSize-1].Rating || second.Items[0].ID == first.Items[0].ID {
			t.Errorf("%+v %v", second, err)
		}
		if beyond, err := db.Category(ctx, Slug(3), shop.MaxPage); err != nil || beyond.Items == nil || len(beyond.Items) != 0 {
			t.Errorf("%+v %v", beyond, err)
		}

		profile, err := db.Profile(ctx, 7)
		if err != nil || profile.ID != 7 || profile.Orders == 0 || profile.SpentCents == 0 || profile.LastOrder.Year() < 2023 {
			t.Errorf("%+v %v", profile, err)
		}
		if plan, err := db.Plan(ctx, 7); err != nil || plan != profile.Plan {
			t.Error(plan, err)
		}
	})
}

func TestShopMissing(t *testing.T) {
	databases(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		_, product := db.Product(ctx, 99_999)
		_, category := db.Category(ctx, "nope", 1)
		_, profile := db.Profile(ctx, 99_999)
		_, plan := db.Plan(ctx, 99_999)
		for _, err := range []error{product, category, profile, plan} {
			if !errors.Is(err, shop.ErrNotFound) {
				t.Error(err)
			}
		}
	})
}

func TestQueriesAreCounted(t *testing.T) {
	databases(t, func(t *testing.T, db *DB) {
		if n := db.Queries(); n != 0 {
			t.Errorf("seeding counted %d", n)
		}
		for _, tc := range []struct {
			call func(context.Context) error
			want int64
		}{
			{func(ctx context.Context) error { _, err := db.Featured(ctx); return err }, 1},
			{func(ctx context.Context) error { _, err := db.Product(ctx, 1); return err }, 2},
			{func(ctx context.Context) error { _, err := db.Category(ctx, Slug(1), 1); return err }, 2},
			{func(ctx context.Context) error { _, err := db.Profile(ctx, 1); return err }, 1},
			{func(ctx context.Context) error { _, err := db.Plan(ctx, 1); return err }, 1},
		} {
			before := db.Queries()
			if err := tc.call(t.Context()); err != nil {
				t.Error(err)
			}
			if got := db.Queries() - before; got != tc.want {
				t.Errorf("%d statements, want %d", got, tc.want)
			}
		}
	})
}

func TestSeedIsRepeatable(t *testing.T) {
	var products [2]shop.Product
	for i := range products {
		db, err := OpenSQLite(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Seed(t.Context(), SizeOf(500), 7, func(float64) {}); err != nil {
			t.Fatal(err)
		}
		if products[i], err = db.Product(t.Context(), 300); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(products[0], products[1]) {
		t.Errorf("%+v\n%+v", products[0], products[1])
	}
}

func TestRebind(t *testing.T) {
	if got := (engine{numbered: true}).rebind("a = ? AND b = ?"); got != "a = $1 AND b = $2" {
		t.Error(got)
	}
	if got := (engine{}).rebind("a = ?"); got != "a = ?" {
		t.Error(got)
	}
}
