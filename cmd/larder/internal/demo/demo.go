// Package demo shows what Larder does for a service: it runs a small shop twice under the same load, first straight on
// its database, then with Larder in between, and prints both measurements side by side.
//
// Nothing is staged. The database is a real one with the indexes it should have, the requests go over sockets, nobody
// sleeps, the cache starts empty, and afterwards a sample of pages must be the same byte for byte with and without the
// layer. Both runs share the machine with the load driver, so absolute figures are low; the ratio is what counts.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cmd/larder/internal/layer"
	"github.com/larderdb/larder/cmd/larder/internal/load"
	"github.com/larderdb/larder/cmd/larder/internal/market"
	"github.com/larderdb/larder/cmd/larder/internal/progress"
	"github.com/larderdb/larder/cmd/larder/internal/shop"
	"github.com/larderdb/larder/cmd/larder/internal/shopdb"
	"github.com/larderdb/larder/store"
)

// Options says what to run.
type Options struct {
	Out         io.Writer
	Addr        string        // where the shop with Larder listens
	Database    string        // a postgres:// URL; empty for SQLite in a temporary folder
	Store       string        // a URL as larder.Connect takes it; empty for the embedded store
	Duration    time.Duration // of each run
	Products    int
	Clients     int // who behave; a few who do not come on top
	Connections int
	Seed        uint64
	Once        bool // do not stay up afterwards
}

// Validate refuses what makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Duration < time.Second || o.Duration > time.Hour:
		return errors.New("--duration must be between 1s and 1h")
	case o.Products < 100 || o.Products > 10_000_000:
		return errors.New("--products must be between 100 and 10000000")
	case o.Clients < 1 || o.Clients > 1<<24:
		return errors.New("--clients must be between 1 and 16777216")
	case o.Connections < 1 || o.Connections > 1000:
		return errors.New("--connections must be between 1 and 1000")
	}
	return nil
}

// demo is a run of it.
type demo struct {
	Options
	size    shopdb.Size
	db      *shopdb.DB
	layer   *layer.Layer
	market  *market.Market
	traffic *traffic
}

// Run does everything and returns when it is done or, without Once, when ctx ends, which is no error then.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.Addr) // first of all: a port in use should not be found out at the end
	if err != nil {
		return fmt.Errorf("%w; choose another address with --addr", err)
	}
	defer func() { _ = listener.Close() }() // the server has closed it already
	d := demo{Options: o, size: shopdb.SizeOf(o.Products)}
	d.traffic = newTraffic(d.size, o.Clients, o.Seed)

	closeDB, err := d.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	st, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	handler, closeMarket, err := d.openShop(ctx, st)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeMarket()) }()

	plainListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	plain := serve(plainListener, shop.NewAPI(d.db))
	defer plain.stop()
	layered := serve(listener, handler)
	defer layered.stop()
	if err := d.compare(ctx, plain, layered); err != nil {
		return err
	}
	if err := d.sale(ctx, layered); err != nil {
		return fmt.Errorf("the sale: %w", err)
	}
	if o.Once {
		return nil
	}
	d.printURLs(plain, layered)
	<-ctx.Done()
	return nil
}

// openShop puts Larder in front of the database and opens the market, whose workers run until the function returned is
// called.
func (d *demo) openShop(ctx context.Context, st store.Store) (h http.Handler, closeAll func() error, err error) {
	prefix := "demo:" + rand.Text()[:8] + ":"
	if d.layer, err = layer.New(st, prefix, d.db); err != nil {
		return nil, nil, err
	}
	if d.market, err = market.New(st, prefix, d.db, d.layer, d.layer.Repriced); err != nil {
		return nil, nil, err
	}
	if h, err = d.layer.Protect(d.market.Handler(shop.NewAPI(d.layer))); err != nil {
		return nil, nil, err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- d.market.Work(working) }()
	return h, func() error {
		stop()
		err := <-done
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(err, d.market.Close(context.WithoutCancel(ctx)))
	}, nil
}

// openDatabase creates and fills the database. The function returned closes it and leaves nothing behind.
func (d *demo) openDatabase(ctx context.Context) (closeAll func() error, err error) {
	if d.Database != "" {
		if d.db, err = shopdb.OpenPostgres(ctx, d.Database); err != nil {
			return nil, err
		}
		closeAll = d.db.Close
	} else {
		dir, err := os.MkdirTemp("", "larder-demo-")
		if err != nil {
			return nil, err
		}
		if d.db, err = shopdb.OpenSQLite(dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		closeAll = func() error { return errors.Join(d.db.Close(), os.RemoveAll(dir)) }
	}
	bar := progress.New(d.Out, "filling "+d.db.Name())
	note := count(int64(d.size.Products)) + " products, " + count(int64(d.size.Orders)) + " orders"
	err = d.db.Seed(ctx, d.size, d.Seed, func(done float64) { bar.Update(done, note) })
	bar.Finish()
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	return closeAll, nil
}

// openStore opens the embedded store, or the one that --store names, which must be there: a layer without a store would
// work, but show nothing.
func (d *demo) openStore(ctx context.Context) (store.Store, error) {
	if d.Store == "" {
		return larder.Open(larder.Options{})
	}
	st, err := larder.Connect(ctx, d.Store)
	if err != nil {
		return nil, err
	}
	if err := st.Do(ctx, "PING").Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("--store: %w", err), st.Close())
	}
	return st, nil
}

// compare drives both servers and prints the table.
func (d *demo) compare(ctx context.Context, plain, layered *server) error {
	without, err := d.measure(ctx, plain, "database alone")
	if err != nil {
		return err
	}
	without.hitRatio = -1
	with, err := d.measure(ctx, layered, "with Larder")
	if err != nil {
		return err
	}
	with.hitRatio = d.layer.HitRatio()
	same, err := d.samePages(ctx, plain, layered)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.Out, "\n  %d products in %s, %d connections, %v each\n\n", d.size.Products, d.db.Name(), d.Connections, d.Duration)
	if err == nil {
		err = writeTable(d.Out, without, with)
	}
	if err == nil {
		_, err = fmt.Fprintf(d.Out, "\n  %d pages compared: the same with and without.\n", same)
	}
	return err
}

// measure drives one server.
func (d *demo) measure(ctx context.Context, s *server, label string) (measured, error) {
	bar := progress.New(d.Out, label)
	before := d.db.Queries()
	result, err := load.Run(ctx, load.Options{
		Addr: s.addr, Connections: d.Connections, Duration: d.Duration, MaxRequests: math.MaxInt64, Source: d.traffic.source,
		Progress: func(done float64, answered int64) { bar.Update(done, count(answered)+" requests") },
	})
	bar.Finish()
	if err != nil {
		return measured{}, err
	}
	if result.Failed > 0 {
		return measured{}, fmt.Errorf("%s: %d of %d requests failed, the first with: %w", label, result.Failed,
			result.Failed+result.Served+result.Refused, result.Failure)
	}
	return measured{
		rate: result.Rate(), served: result.Served, refused: result.Refused, queries: d.db.Queries() - before,
		p50: result.Latency.Percentile(50), p99: result.Latency.Percentile(99),
	}, nil
}

func (d *demo) printURLs(plain, layered *server) {
	_, _ = fmt.Fprintf(d.Out, `
  The shop stays up until you press Ctrl-C. Try

    curl -i http://%[1]s/api/products/featured
    curl -i http://%[1]s/api/products/%[3]d
    curl -i http://%[1]s/api/categories/%[4]s
    curl -i http://%[1]s/api/users/42
    curl -i http://%[1]s/api/users/42/plan
    curl -i http://%[1]s/api/bestsellers
    curl -N http://%[1]s/api/prices
    curl -i -c jar -d user=42 http://%[1]s/api/login
    curl -i -b jar -d product=%[3]d -d quantity=1 http://%[1]s/api/orders

  (more than 100 in a minute and you get a 429), or the same without Larder on http://%[2]s
`, layered.addr, plain.addr, 1+d.traffic.shuffled[0], shopdb.Slug(1))
}

// server is an http.Server on loopback.
type server struct {
	addr string
	http *http.Server
	done chan struct{}
}

func serve(l net.Listener, h http.Handler) *server {
	s := &server{addr: l.Addr().String(), http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // always ends with ErrServerClosed, by stop
	}()
	return s
}

func (s *server) stop() {
	_ = s.http.Close()
	<-s.done
}
