package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

// dashboardSite is the page that shows the store. Its password is requirepass where it has none of its own: who may not log in to
// the store may not look into it by another door.
func dashboardSite(log *slog.Logger, s *config.Settings, db store.Store) (*site, error) {
	password := s.DashboardPassword
	if password == "" {
		password = s.RequirePass
	}
	if password == "" && !isLoopback(s.Dashboard) {
		return nil, fmt.Errorf("dashboard %s: other machines could reach it: set dashboard-password, or choose an address such as 127.0.0.1:8080", s.Dashboard)
	}
	if (s.DashboardCertFile == "") != (s.DashboardKeyFile == "") {
		return nil, errors.New("dashboard: dashboard-tls-cert-file and dashboard-tls-key-file go together")
	}
	h, err := dashboard.Handler(db, dashboard.Options{
		Password: password, Writable: s.DashboardWritable, Logger: log,
		Queue: func(prefix, name string) (dashboard.Queue, error) {
			return queue.New[string](db, queue.Options{Prefix: prefix, Name: name})
		},
		Sessions: func(prefix string) (dashboard.Sessions, error) {
			return session.New(db, session.Options{Prefix: prefix})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", s.Dashboard, err)
	}
	return &site{
		name: "dashboard", addr: s.Dashboard, handler: h, guarded: password != "", cert: s.DashboardCertFile, key: s.DashboardKeyFile,
		end: func() { _ = h.Close() }, // never fails
	}, nil
}
