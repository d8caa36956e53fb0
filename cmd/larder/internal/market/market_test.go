package market

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

// warehouse is a database that notices when two sell at once, and fails the first attempt at every order after it has sold.
type warehouse struct {
	selling atomic.Int32
	clashes atomic.Int32

	mu     sync.Mutex
	stock  map[int64]int64
	sold   map[int64]int64
	sales  map[string]bool
	fence  map[int64]int64
	prices map[int64]int64
	flaky  map[string]bool
}

func newWarehouse() *warehouse {
	return &warehouse{stock: map[int64]int64{}, sold: map[int64]int64{}, sales: map[string]bool{}, fence: map[int64]int64{}, prices: map[int64]int64{}, flaky: map[string]bool{}}
}

func (w *warehouse) Restock(_ context.Context, product, pieces int64) error {
	w.stock[product] = pieces
	return nil
}

func (w *warehouse) Stock(_ context.Context, product int64) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stock[product], nil
}

func (w *warehouse) Sold(_ context.Context, product int64) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sold[product], nil
}

var errFlaky = errors.New("connection lost after the commit")

func (w *warehouse) Sell(_ context.Context, id string, o shop.Order, fence int64) error {
	if w.selling.Add(1) > 1 {
		w.clashes.Add(1)
	}
	defer w.selling.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.sales[id]:
		return nil
	case fence < w.fence[o.Product]:
		return shop.ErrFenced
	case w.stock[o.Product] < o.Quantity:
		return shop.ErrSoldOut
	}
	w.fence[o.Product] = fence
	w.stock[o.Product] -= o.Quantity
	w.sold[o.Product] += o.Quantity
	w.sales[id] = true
	if !w.flaky[id] {
		w.flaky[id] = true
		return errFlaky
	}
	return nil
}

func (w *warehouse) Reprice(_ context.Context, product int64) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prices[product]++
	return w.prices[product], nil
}

// people knows users 1 to 9.
type people struct{ shop.Shop }

func (people) Plan(_ context.Context, user int64) (string, error) {
	if user < 1 || user > 9 {
		return "", fmt.Errorf("user %d: %w", user, shop.ErrNotFound)
	}
	return "pro", nil
}

func (people) Profile(_ context.Context, user int64) (shop.Profile, error) {
	return shop.Profile{ID: user, Name: "Ada"}, nil
}

type rig struct {
	*Market
	w     *warehouse
	pages atomic.Int64 // that were out of date
	site  *httptest.Server
}

func newRig(t *testing.T) *rig {
	leaktest.Check(t, "larder/")
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{w: newWarehouse()}
	r.Market, err = New(store.Store(db), "test:", r.w, people{}, func(context.Context, int64) error {
		r.pages.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Work(ctx) }()
	r.site = httptest.NewServer(r.Handler(http.NotFoundHandler()))
	t.Cleanup(func() {
		r.site.Close()
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := errors.Join(r.Close(context.Background()), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Many order the same product at once, and every first attempt fails after it has sold: nothing is sold twice, no piece too
// many, never two at a time, and the list agrees with the books.
func TestSale(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	_ = r.w.Restock(ctx, 7, 50)
	var ids []string
	for i := range 40 {
		id, err := r.Order(ctx, shop.Order{User: 1, Product: 7, Quantity: int64(1 + i%3)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	outcomes := map[string]int64{}
	for i, id := range ids {
		outcome := ""
		for outcome == "" {
			var err error
			if outcome, err = r.Outcome(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		outcomes[outcome] += int64(1 + i%3)
	}
	if outcomes[Filled] != 50-r.w.stock[7] || outcomes[SoldOut] == 0 || r.w.stock[7] < 0 || r.w.sold[7]+r.w.stock[7] != 50 || r.w.clashes.Load() != 0 {
		t.Errorf("%v; %d sold, %d left, %d clashes", outcomes, r.w.sold[7], r.w.stock[7], r.w.clashes.Load())
	}
	list, err := r.Bestsellers(ctx, 10)
	if err != nil || len(list) != 1 || list[0].Member != "7" || list[0].Score != r.w.sold[7] {
		t.Errorf("%+v, %v", list, err)
	}
	if r.pages.Load() < 3 || r.pages.Load() != r.w.prices[7] {
		t.Errorf("%d pages forgotten, %d prices", r.pages.Load(), r.w.prices[7])
	}
}

func TestSite(t *testing.T) {
	r := newRig(t)
	_ = r.w.Restock(t.Context(), 7, 100)
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(method, path string, form url.Values, status int, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.site.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || !strings.Contains(string(got), body) {
			t.Errorf("%s %s: %s %s, %v; want %d %s", method, path, resp.Status, got, err, status, body)
		}
		return string(got)
	}
	ask("GET", "/api/me", nil, 401, "log in first")
	ask("POST", "/api/orders", url.Values{"product": {"7"}, "quantity": {"1"}}, 401, "log in first")
	ask("POST", "/api/login", url.Values{"user": {"x"}}, 400, "user is a number")
	ask("POST", "/api/login", url.Values{"user": {"77"}}, 404, "not found")
	ask("POST", "/api/login", url.Values{"user": {"7"}}, 200, `{"user":7}`)
	ask("GET", "/api/me", nil, 200, `"id":7`)
	ask("POST", "/api/orders", url.Values{"product": {"7"}, "quantity": {"0"}}, 400, "quantity from 1")
	ask("POST", "/api/orders", url.Values{"product": {"7"}, "quantity": {"1e9"}}, 400, "quantity from 1")
	ask("GET", "/api/orders/none", nil, 404, "not found")
	ask("GET", "/api/nothing", nil, 404, "")

	prices, err := http.Get(r.site.URL + "/api/prices")
	if err != nil {
		t.Fatal(err)
	}
	defer prices.Body.Close()
	var id string
	if _, err := fmt.Sscanf(ask("POST", "/api/orders", url.Values{"product": {"7"}, "quantity": {"20"}}, 202, "order"), `{"order":%q}`, &id); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(prices.Body).ReadString('\n')
	if err != nil || line != "data: {\"product\":7,\"cents\":1}\n" {
		t.Errorf("%q, %v", line, err)
	}
	for !strings.Contains(ask("GET", "/api/orders/"+id, nil, 200, id), Filled) {
		if t.Failed() {
			return
		}
	}
	ask("GET", "/api/bestsellers", nil, 200, `[{"rank":1,"product":"7","sold":20}]`)
	ask("POST", "/api/logout", nil, 204, "")
	ask("GET", "/api/me", nil, 401, "log in first")
}
