package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/cmd/larder/internal/market"
)

// The sale: more people want a few products than there are pieces of them. All of them log in and order at the same time.
const (
	saleProducts = 5
	salePieces   = 200 // of each
	saleBuyers   = 64
	saleOrders   = 16 // of each buyer; the limiter lets a client make 100 requests
	saleMost     = 3  // pieces in an order
	saleTime     = time.Minute
)

// sale lets the shop sell out under everybody's eyes, and then checks the books: not one piece too many, none lost, and what
// was told of it is what happened.
func (d *demo) sale(ctx context.Context, shop *server) error {
	ctx, cancel := context.WithTimeout(ctx, saleTime)
	defer cancel()
	products := make([]int64, saleProducts)
	for i := range products {
		products[i] = int64(1 + d.traffic.shuffled[i%len(d.traffic.shuffled)])
		if err := d.db.Restock(ctx, products[i], salePieces); err != nil {
			return err
		}
	}
	prices, err := d.listen(ctx, shop)
	if err != nil {
		return err
	}
	start := time.Now()
	orders, err := d.buy(ctx, shop, products)
	if err != nil {
		return err
	}
	taken := time.Since(start)
	for {
		waiting, err := d.market.Waiting(ctx)
		if err != nil {
			return err
		}
		if waiting == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d orders are still waiting: %w", waiting, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	filled := time.Since(start)
	books, err := d.audit(ctx, products, orders)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.Out, `
  A sale: %d pieces, %d people logged in, %s orders taken in %v, all of them decided after %v:
  %s filled, %s found it sold out. %d changes of price were told to who listened.
  Stock, sales and the bestseller list agree to the piece.
`, saleProducts*salePieces, saleBuyers, count(int64(len(orders))), taken.Round(time.Millisecond), filled.Round(time.Millisecond),
		count(books.filled), count(books.soldOut), prices())
	return err
}

// listen counts the prices that the shop tells until told to stop, by the function returned.
func (d *demo) listen(ctx context.Context, shop *server) (heard func() int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+shop.addr+"/api/prices", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // the goroutine below does
	if err != nil {
		cancel()
		return nil, err
	}
	var n atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			var p market.Price
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(text), &p) == nil && p.Cents > 0 {
				n.Add(1)
			}
		}
	}()
	return func() int64 {
		cancel()
		<-done
		return n.Load()
	}, nil
}

// buy has everybody log in and order, and returns the orders' ids.
func (d *demo) buy(ctx context.Context, shop *server, products []int64) (orders []string, err error) {
	var mu sync.Mutex
	var failed []error
	var buyers sync.WaitGroup
	for n := range saleBuyers {
		buyers.Go(func() {
			mine, err := d.buyer(ctx, shop, products, n)
			mu.Lock()
			defer mu.Unlock()
			orders = append(orders, mine...)
			if err != nil {
				failed = append(failed, err)
			}
		})
	}
	buyers.Wait()
	return orders, errors.Join(failed...)
}

func (d *demo) buyer(ctx context.Context, shop *server, products []int64, n int) (orders []string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func(path string, form url.Values) (answer map[string]any, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+shop.addr+path, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", n))
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode >= 300 {
			err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
		}
		if err == nil {
			err = json.Unmarshal(body, &answer)
		}
		return answer, err
	}
	if _, err := post("/api/login", url.Values{"user": {strconv.Itoa(1 + n%d.size.Users)}}); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(d.Seed, uint64(n)+5000))
	for range saleOrders {
		answer, err := post("/api/orders", url.Values{
			"product":  {strconv.FormatInt(products[r.IntN(len(products))], 10)},
			"quantity": {strconv.Itoa(1 + r.IntN(saleMost))},
		})
		if err != nil {
			return orders, err
		}
		id, _ := answer["order"].(string)
		orders = append(orders, id)
	}
	return orders, nil
}

type books struct{ filled, soldOut int64 }

// audit compares what the orders were told with the stock, the sales and the bestseller list.
func (d *demo) audit(ctx context.Context, products []int64, orders []string) (b books, err error) {
	for _, id := range orders {
		outcome, err := d.market.Outcome(ctx, id)
		switch {
		case err != nil:
			return b, err
		case outcome == market.Filled:
			b.filled++
		case outcome == market.SoldOut:
			b.soldOut++
		default:
			return b, fmt.Errorf("order %s has no outcome", id)
		}
	}
	list, err := d.market.Bestsellers(ctx, saleProducts)
	if err != nil {
		return b, err
	}
	told := map[string]int64{}
	for _, e := range list {
		told[e.Member] = e.Score
	}
	for _, p := range products {
		left, err := d.db.Stock(ctx, p)
		if err != nil {
			return b, err
		}
		sold, err := d.db.Sold(ctx, p)
		if err != nil {
			return b, err
		}
		if listed := told[strconv.FormatInt(p, 10)]; left < 0 || left+sold != salePieces || listed != sold {
			return b, fmt.Errorf("product %d: %d pieces, of which %d are sold, %d left and %d on the bestseller list", p, salePieces, sold, left, listed)
		}
	}
	return b, nil
}
