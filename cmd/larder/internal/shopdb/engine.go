package shopdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// engine is where the two databases differ.
type engine struct {
	name     string
	identity string // type of an id column
	double   string // type of a rating
	numbered bool   // placeholders are $1, $2, ...
	cleanup  string // statement to run before closing
	analyze  string // statement that lets the planner know the data
}

// OpenSQLite creates a database in the folder dir, which should be empty and is the caller's to remove.
func OpenSQLite(dir string) (*DB, error) {
	// As a careful service would: readers do not wait for writers, and one connection a core.
	dsn := "file:" + url.PathEscape(filepath.Join(dir, "shop.db")) +
		"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)&_pragma=cache_size(-65536)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	connections := max(4, runtime.NumCPU())
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return &DB{sql: db, engine: engine{name: "SQLite", identity: "INTEGER", double: "REAL", analyze: "ANALYZE"}}, nil
}

// OpenPostgres uses the database at a postgres:// URL. Everything is made in a schema of its own, which Close drops.
func OpenPostgres(ctx context.Context, address string) (*DB, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	schema := "larder_demo_" + strings.ToLower(rand.Text()[:8])
	if config.RuntimeParams == nil {
		config.RuntimeParams = map[string]string{}
	}
	config.RuntimeParams["search_path"] = schema
	db := stdlib.OpenDB(*config)
	connections := max(8, 4*runtime.NumCPU())
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), db.Close())
	}
	return &DB{sql: db, engine: engine{name: "PostgreSQL", identity: "BIGINT", double: "DOUBLE PRECISION", numbered: true,
		cleanup: "DROP SCHEMA " + schema + " CASCADE", analyze: "ANALYZE"}}, nil
}

// Name is the engine's name, for people.
func (d *DB) Name() string { return d.engine.name }

// Close drops what was made in a server and closes the connections.
func (d *DB) Close() error {
	var err error
	if d.engine.cleanup != "" {
		_, err = d.sql.Exec(d.engine.cleanup)
	}
	return errors.Join(err, d.sql.Close())
}

// rebind writes the placeholders the engine's way.
func (e engine) rebind(query string) string {
	if !e.numbered {
		return query
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i < len(parts)-1 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i + 1))
		}
	}
	return b.String()
}
