package layer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/store"
)

// source has products and users 1 to 99 and counts what it is asked.
type source struct {
	asked atomic.Int64
	block chan struct{} // Product waits for it, if there is one
}

func (s *source) Featured(context.Context) ([]shop.Item, error) {
	s.asked.Add(1)
	return []shop.Item{{ID: 1, Name: "lamp", PriceCents: 100, Rating: 4.7, Sold: 3}}, nil
}

func (s *source) Product(_ context.Context, id int64) (shop.Product, error) {
	s.asked.Add(1)
	if s.block != nil {
		<-s.block
	}
	if id > 99 {
		return shop.Product{}, fmt.Errorf("product %d: %w", id, shop.ErrNotFound)
	}
	return shop.Product{Item: shop.Item{ID: id, Name: "lamp", Rating: 0.1}, Category: "toys", Featured: true, Related: []shop.Item{}}, nil
}

func (s *source) Category(_ context.Context, slug string, page int) (shop.Listing, error) {
	s.asked.Add(1)
	return shop.Listing{Category: slug, Page: page, Total: 9, Items: []shop.Item{}}, nil
}

func (s *source) Profile(_ context.Context, id int64) (shop.Profile, error) {
	s.asked.Add(1)
	if id > 99 {
		return shop.Profile{}, fmt.Errorf("user %d: %w", id, shop.ErrNotFound)
	}
	return shop.Profile{ID: id, Name: "Ada", Email: "ada@example.com", Plan: "pro", Orders: 3, SpentCents: 7, LastOrder: time.Unix(1_700_000_000, 0).UTC()}, nil
}

func (s *source) Plan(ctx context.Context, id int64) (string, error) {
	p, err := s.Profile(ctx, id)
	return p.Plan, err
}

func newLayer(t *testing.T, src shop.Shop) (*Layer, store.Store) {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l, err := New(db, "test:", src)
	if err != nil {
		t.Fatal(err)
	}
	return l, db
}

// get asks a handler as a client behind a proxy on this machine.
func get(h http.Handler, path, client string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.RemoteAddr = "127.0.0.1:1234"
	r.Header.Set("X-Forwarded-For", client)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswersAreTheSource(t *testing.T) {
	src := &source{}
	l, _ := newLayer(t, src)
	layered, err := l.Handler()
	if err != nil {
		t.Fatal(err)
	}
	plain := shop.NewAPI(src)
	for _, path := range []string{"/api/products/featured", "/api/products/7", "/api/products/100", "/api/categories/toys?page=2",
		"/api/users/7", "/api/users/7/plan", "/api/users/100", "/api/users/100/plan", "/api/users/x", "/nope"} {
		want := get(plain, path, "10.0.0.1")
		for _, try := range []string{"miss", "hit"} {
			got := get(layered, path, "10.0.0.1")
			if got.Code != want.Code || got.Body.String() != want.Body.String() {
				t.Errorf("%s, %s: %d %s\nwant %d %s", path, try, got.Code, got.Body, want.Code, want.Body)
			}
		}
	}
}

func TestSecondReadDoesNotAsk(t *testing.T) {
	ctx := t.Context()
	for name, read := range map[string]func(*Layer) (any, error){
		"featured": func(l *Layer) (any, error) { return l.Featured(ctx) },
		"product":  func(l *Layer) (any, error) { return l.Product(ctx, 7) },
		"category": func(l *Layer) (any, error) { return l.Category(ctx, "toys", 2) },
		"profile":  func(l *Layer) (any, error) { return l.Profile(ctx, 7) },
		"plan":     func(l *Layer) (any, error) { return l.Plan(ctx, 7) },
		"missing product": func(l *Layer) (any, error) {
			_, err := l.Product(ctx, 100)
			return errors.Is(err, shop.ErrNotFound), nil
		},
	} {
		src := &source{}
		l, _ := newLayer(t, src)
		first, err1 := read(l)
		second, err2 := read(l)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%s: %v %v, then %v %v", name, first, err1, second, err2)
		}
		if n := src.asked.Load(); n != 1 {
			t.Errorf("%s: the source was asked %d times", name, n)
		}
		if r := l.HitRatio(); r != 0.5 {
			t.Errorf("%s: hit ratio %v", name, r)
		}
	}
}

func TestPlanIsAFieldOfTheProfile(t *testing.T) {
	l, st := newLayer(t, &source{})
	if _, err := l.Profile(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := st.Do(t.Context(), "HSET", "test:user:7", "plan", "free").Err(); err != nil {
		t.Fatal(err)
	}
	if plan, err := l.Plan(t.Context(), 7); plan != "free" || err != nil {
		t.Error(plan, err)
	}
	if ttl, err := st.Do(t.Context(), "TTL", "test:user:7").Int64(); err != nil || ttl <= 0 {
		t.Error(ttl, err)
	}
}

func TestOneLoadForManyVisitors(t *testing.T) {
	src := &source{block: make(chan struct{})}
	l, _ := newLayer(t, src)
	var visitors sync.WaitGroup
	for range 50 {
		visitors.Go(func() {
			if _, err := l.Product(t.Context(), 7); err != nil {
				t.Error(err)
			}
		})
	}
	close(src.block)
	visitors.Wait()
	if n := src.asked.Load(); n != 1 {
		t.Errorf("the source was asked %d times", n)
	}
}

func TestClientsAreLimited(t *testing.T) {
	l, _ := newLayer(t, &source{})
	h, err := l.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for i := range limit {
		if w := get(h, "/api/products/1", "203.0.113.1"); w.Code != http.StatusOK {
			t.Fatalf("request %d: %d", i, w.Code)
		}
	}
	w := get(h, "/api/products/1", "203.0.113.1")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get(h, "/api/products/1", "203.0.113.2"); w.Code != http.StatusOK {
		t.Errorf("another client got %d", w.Code)
	}
}

func TestStoreDownMeansDatabase(t *testing.T) {
	l, st := newLayer(t, &source{})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := l.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/products/featured", "/api/products/1", "/api/users/1", "/api/users/1/plan"} {
		if w := get(h, path, "10.0.0.1"); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
