package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/object"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/stream"
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve [redis.conf] [--directive value...]",
		Short: "Serve the store to Redis clients, on 127.0.0.1:6379 if nothing else is said",
		Long: `Serve the store to Redis clients in any language. Configuration file and flags are redis-server's: every directive
of redis.conf can be given as a flag, and flags win over the file. "-" reads directives from standard input.

Without a password only clients on this machine are served (protected-mode).

--rest ADDRESS --rest-token TOKEN serves the same store over HTTP as well, in the protocol of Vercel KV and Upstash.

--metrics ADDRESS shows its figures to Prometheus, with --metrics-token TOKEN only to who brings that.

--dashboard ADDRESS shows what goes on in it to people with a browser: memory, evictions, keys, queues and the rest.`,
		Example: `  larder serve
  larder serve --port 7000 --requirepass secret --maxmemory 1gb --maxmemory-policy allkeys-lru
  larder serve /etc/redis/redis.conf --bind 127.0.0.1 ::1
  larder serve --rest 127.0.0.1:8079 --rest-token secret --rest-readonly-token reader
  larder serve --dashboard 127.0.0.1:8080`,
		DisableFlagParsing: true, // directives take several values, which flags cannot
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
				return cmd.Help()
			}
			settings := config.New()
			if err := settings.LoadArgs(args, cmd.InOrStdin()); err != nil {
				return err
			}
			if err := checkSupported(settings); err != nil {
				return err
			}
			// A terminal that is closed, and a reader of the log that goes away, end no server.
			signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
			return serve(cmd.Context(), settings, cmd.ErrOrStderr())
		},
	}
}

// checkSupported refuses settings that ask for something which is not there yet and whose silent absence would lose
// data or open a door.
func checkSupported(c *config.Config) error {
	for _, unsupported := range []struct{ name, off, what string }{
		{"appendonly", "no", "append-only file"},
		{"tls-replication", "no", "TLS to the server it follows"},
		{"tls-key-file-pass", "", "encrypted keys: write the key without a passphrase, readable by the server alone"},
		{"tls-ciphers", "", "choice of ciphers: Go's TLS offers its safe ones only"},
		{"tls-ciphersuites", "", "choice of ciphers: Go's TLS offers its safe ones only"},
		{"cluster-enabled", "no", "cluster mode"},
	} {
		if value, _ := c.Value(unsupported.name); value != unsupported.off {
			return fmt.Errorf("%s %s: this version has no %s", unsupported.name, value, unsupported.what)
		}
	}
	return nil
}

// refuseWhatIsMissing does for CONFIG SET what checkSupported does at the start. Where DEBUG is allowed, which is where
// tests are run, an append-only file may be asked for nevertheless: tests do it on their way to something else.
func refuseWhatIsMissing(c *config.Config, log *slog.Logger) {
	for _, name := range []string{"tls-replication", "tls-key-file-pass", "tls-ciphers", "tls-ciphersuites"} {
		c.OnChange(func(*config.Settings) error { return errors.New("this version cannot do that") }, name)
	}
	c.OnChange(func(s *config.Settings) error {
		if !s.AppendOnly {
			return nil
		}
		if s.EnableDebugCommand == config.AllowNobody {
			return errors.New("this version has no append-only file")
		}
		log.Warn("directive has no effect", "directive", "appendonly")
		return nil
	}, "appendonly")
}

// serve runs a server until ctx ends.
func serve(ctx context.Context, c *config.Config, stderr io.Writer) (err error) {
	log, closeLog, err := openLog(c, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	for _, p := range c.Changed() {
		if c.Inert(p.Name) {
			log.Warn("directive has no effect", "directive", p.Name)
		}
	}
	refuseWhatIsMissing(c, log)
	if err := boundClients(c, log); err != nil {
		return err
	}
	certs, err := newIdentity(c, log)
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, c.Settings(), certs.config())
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	removePid, err := writePid(c.Settings().PidFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removePid()) }()
	ctx, shutDown := context.WithCancelCause(ctx)
	defer shutDown(nil)
	db, err := larder.Open(larder.Options{
		Config: c, Dir: c.Settings().Dir, Logger: log, Scripts: patternScripts(),
		OnShutdown: func() { shutDown(errors.New("a client sent SHUTDOWN")) },
	})
	if err != nil {
		return err
	}
	s := newSockets(db, listeners, certs.config())
	c.OnChange(s.follow, "bind", "port", "tls-port")
	web, err := openSites(ctx, log, c.Settings(), db)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return run(ctx, log, db, s, web...)
}

// patternScripts are the scripts of Larder's patterns, which services elsewhere send by their hash: the server runs the
// Go bodies of those it knows.
func patternScripts() []*store.Script {
	return slices.Concat(cache.Scripts(), dashboard.Scripts(), httpcache.Scripts(), leaderboard.Scripts(), lock.Scripts(), object.Scripts(), queue.Scripts(),
		ratelimit.Scripts(), session.Scripts(), stream.Scripts())
}

// server is what serve needs of a store.
type server interface {
	// ServeContext answers the clients of l until Close, or until ctx ends.
	ServeContext(ctx context.Context, l net.Listener) error
	Close() error
}

// run serves every socket and site until ctx ends or one of them fails, then closes db.
func run(ctx context.Context, log *slog.Logger, db server, s *sockets, web ...*site) error {
	s.start()
	for _, w := range web {
		w.start(s.fail)
	}
	log.Info("ready", "pid", os.Getpid())
	var failure error
	select {
	case <-ctx.Done():
		log.Info("shutting down", "reason", context.Cause(ctx).Error())
	case failure = <-s.failed:
		log.Error("listener failed", "err", failure)
	}
	start := time.Now()
	closeSites(web)
	err := db.Close()
	s.wait()
	log.Info("stopped", "took", time.Since(start).Round(time.Millisecond).String())
	return errors.Join(failure, err)
}

// openLog writes to logfile or, without one, to stderr, from loglevel up, which CONFIG SET may change.
func openLog(c *config.Config, stderr io.Writer) (log *slog.Logger, closeLog func() error, err error) {
	w, closeLog := stderr, func() error { return nil }
	if path := c.Settings().LogFile; path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, nil, fmt.Errorf("logfile: %w", err)
		}
		w, closeLog = f, f.Close
	}
	var level slog.LevelVar
	level.Set(logLevel(c.Settings().LogLevel))
	c.OnChange(func(s *config.Settings) error {
		level.Set(logLevel(s.LogLevel))
		return nil
	}, "loglevel")
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: &level})), closeLog, nil
}

// logLevel gives redis.conf's word in slog's terms: notice, the default, is what slog calls info.
func logLevel(word string) slog.Level {
	switch word {
	case "debug":
		return slog.LevelDebug
	case "verbose":
		return slog.LevelInfo - 2
	case "warning":
		return slog.LevelWarn
	case "nothing":
		return slog.LevelError + 1000
	}
	return slog.LevelInfo
}

// writePid writes the process's number for service managers; without a path it does nothing.
func writePid(path string) (remove func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() error { return os.Remove(path) }, nil
}
