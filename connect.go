package larder

import (
	"context"
	"log/slog"
	"os"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
	"github.com/larderdb/larder/store/redisstore"
)

func connect(_ context.Context, url string, log *slog.Logger) (store.Store, error) {
	cfg, err := target(url)
	if err != nil {
		return nil, err
	}
	switch cfg.Target {
	case store.Embedded:
		return orNil(openURL(cfg, log))
	case store.REST:
		return orNil(kvstore.Open(cfg, kvstore.Options{Logger: log}))
	}
	return orNil(redisstore.Open(cfg, redisstore.Options{Logger: log}))
}

// orNil keeps the nil pointer that comes with an error from becoming a Store that is not nil.
func orNil[S store.Store](st S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return st, nil
}

// target is what a URL leads to, or without one the environment.
func target(url string) (store.Config, error) {
	if url != "" {
		return store.ParseURL(url)
	}
	cfg, ok, err := store.FromEnv(os.Getenv)
	if err == nil && !ok {
		cfg = store.Config{Target: store.Embedded}
	}
	return cfg, err
}

// openURL opens the embedded store of a mem:// URL: its path is Options.Dir, its parameters are directives of redis.conf.
func openURL(cfg store.Config, log *slog.Logger) (*DB, error) {
	o := Options{Dir: cfg.Path, Settings: make(map[string]string), Logger: log}
	for name, values := range cfg.Params {
		o.Settings[name] = values[len(values)-1]
	}
	return Open(o)
}
