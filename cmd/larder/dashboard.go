package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

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
	if password == "" && !freeForAll(db) {
		return nil, fmt.Errorf("dashboard %s: the store asks for a log-in, and it would not: set dashboard-password", s.Dashboard)
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

// freeForAll tells whether a client may do all without a log-in: the default user has no password and every right, whether
// redis.conf or an ACL file says so.
func freeForAll(db store.Store) bool {
	user, err := db.Do(context.Background(), "ACL", "GETUSER", "default").Pairs()
	if err != nil {
		return false
	}
	free := 0
	for i := 0; i+1 < len(user); i += 2 {
		name, _ := user[i].Text() //nolint:errcheck // none of ours
		switch name {
		case "flags":
			flags, _ := user[i+1].Strings() //nolint:errcheck // none
			if slices.Contains(flags, "on") && slices.Contains(flags, "nopass") {
				free++
			}
		case "commands":
			if rights, _ := user[i+1].Text(); rights == "+@all" { //nolint:errcheck // ""
				free++
			}
		case "keys":
			if keys, _ := user[i+1].Text(); keys == "~*" { //nolint:errcheck // ""
				free++
			}
		}
	}
	return free == 3
}
