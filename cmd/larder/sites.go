package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// openSites opens what the settings have served over HTTP, or nothing.
func openSites(ctx context.Context, log *slog.Logger, s *config.Settings, st store.Store) (open []*site, err error) {
	var wanted []*site
	if s.REST != "" {
		w, err := restSite(log, s, st)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, w)
	}
	for _, w := range wanted {
		if err := w.open(ctx, log, s); err != nil {
			closeSites(open)
			return nil, err
		}
		open = append(open, w)
	}
	return open, nil
}

// restSite is the store in the protocol of Vercel KV and Upstash.
func restSite(log *slog.Logger, s *config.Settings, st store.Store) (*site, error) {
	if s.RESTToken == "" && s.RESTReadOnlyToken == "" {
		return nil, fmt.Errorf("rest %s: set rest-token: without one anybody could do anything", s.REST)
	}
	if (s.RESTCertFile == "") != (s.RESTKeyFile == "") {
		return nil, errors.New("rest: rest-tls-cert-file and rest-tls-key-file go together")
	}
	h, err := rest.Handler(st, rest.Options{
		Token: s.RESTToken, ReadOnlyToken: s.RESTReadOnlyToken, Origins: s.RESTOrigins, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("rest %s: %w", s.REST, err)
	}
	return &site{
		name: "rest", addr: s.REST, handler: h, guarded: true, cert: s.RESTCertFile, key: s.RESTKeyFile,
		end: func() { _ = h.Close() }, // never fails
	}, nil
}
