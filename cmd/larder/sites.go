package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// openSites opens what the settings have served over HTTP, or nothing.
func openSites(ctx context.Context, log *slog.Logger, s *config.Settings, db *larder.DB) (open []*site, err error) {
	var wanted []*site
	var api *rest.Server
	if s.REST != "" {
		w, err := restSite(ctx, log, s, db)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, w)
		api, _ = w.handler.(*rest.Server)
	}
	if s.Metrics != "" {
		wanted = append(wanted, metricsSite(s, db, api))
	}
	if s.Dashboard != "" {
		w, err := dashboardSite(log, s, db)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, w)
	}
	for i, w := range wanted {
		if err := w.open(ctx, log, s); err != nil {
			closeSites(open)
			for _, w := range wanted[i:] {
				if w.end != nil {
					w.end()
				}
			}
			return nil, err
		}
		open = append(open, w)
	}
	return open, nil
}

// restSite is the store in the protocol of Vercel KV and Upstash. Besides the two tokens "user:password" is one for every ACL user.
func restSite(ctx context.Context, log *slog.Logger, s *config.Settings, db *larder.DB) (*site, error) {
	if s.RESTToken == "" && s.RESTReadOnlyToken == "" && s.ACLFile == "" && !havePasswords(ctx, db) {
		return nil, fmt.Errorf("rest %s: set rest-token or requirepass, or give a user a password: without any of them nobody could get in", s.REST)
	}
	if (s.RESTCertFile == "") != (s.RESTKeyFile == "") {
		return nil, errors.New("rest: rest-tls-cert-file and rest-tls-key-file go together")
	}
	h, err := rest.Handler(db.Served(), rest.Options{
		Token: s.RESTToken, ReadOnlyToken: s.RESTReadOnlyToken, Origins: s.RESTOrigins, Logger: log,
		LogIn: func(name, password string) (store.Store, error) { return db.LogIn(name, password) },
	})
	if err != nil {
		return nil, fmt.Errorf("rest %s: %w", s.REST, err)
	}
	return &site{
		name: "rest", addr: s.REST, handler: h, guarded: true, cert: s.RESTCertFile, key: s.RESTKeyFile,
		end: func() { _ = h.Close() }, // never fails
	}, nil
}

// havePasswords tells whether some user can log in by a password: requirepass is one, too.
func havePasswords(ctx context.Context, db *larder.DB) bool {
	users, err := db.Do(ctx, "ACL", "LIST").Strings()
	return err == nil && slices.ContainsFunc(users, func(line string) bool { return strings.Contains(line, " #") })
}
