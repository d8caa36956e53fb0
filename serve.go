package larder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"os"
	"time"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/internal/server"
)

// session and client join the command layer to the server: the two know nothing of each other.
type session struct{ *command.Session }

func (s session) Exec(args [][]byte, w *resp.Writer) { s.Session.Exec(args, w) }

type client struct{ server.Client }

func (c client) Buffers() command.Buffers { return command.Buffers(c.Client.Buffers()) }

// serveClients prepares the server of Serve and Dial. It costs nothing until one of them is called.
func (db *DB) serveClients() {
	limits := serverLimits(db.config.Settings())
	db.server = server.New(server.Options{
		NewSession:    func(c server.Client) server.Session { return session{db.proc.NewSession(client{c})} },
		NeedsPassword: db.proc.NeedsPassword, Limits: &limits, Clock: db.clock, Logger: db.log,
	})
	db.config.OnChange(func(s *config.Settings) error {
		db.server.SetLimits(serverLimits(s))
		return nil
	}, "maxclients", "timeout", "tcp-keepalive", "proto-max-bulk-len", "client-query-buffer-limit",
		"client-output-buffer-limit", "protected-mode")
}

// serverLimits are the settings that the server goes by.
func serverLimits(s *config.Settings) server.Limits {
	l := server.DefaultLimits()
	l.MaxClients = s.MaxClients
	l.Timeout = time.Duration(s.Timeout) * time.Second
	l.KeepAlive = time.Duration(s.TCPKeepalive) * time.Second
	l.QueryBuffer = s.QueryBufferLimit
	l.MaxBulk = int(s.ProtoMaxBulkLen)
	l.Protected = s.ProtectedMode
	for i := range s.OutputLimits {
		o := s.OutputLimits[i]
		l.Output[i] = server.OutputLimit{Hard: int64(o.Hard), Soft: int64(o.Soft), SoftFor: time.Duration(o.SoftSeconds) * time.Second}
	}
	return l
}

// logScript writes what scripts log, at the levels of redis.log.
func (db *DB) logScript(level int, text string) {
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}
	db.log.Log(context.Background(), levels[level&3], "script", "text", text)
}

// info is what INFO says of this process.
func (db *DB) info(shutdown func()) command.Info {
	binary, _ := os.Executable()
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails
	info := command.Info{
		Version: Version, RunID: hex.EncodeToString(id), Port: db.config.Settings().Port, Binary: binary,
		Network: func() command.NetworkStats { return command.NetworkStats(db.server.Stats()) },
		Memory:  db.memory, Log: db.logScript,
	}
	if shutdown != nil {
		info.Shutdown = func() { go shutdown() } // it will wait for the connection that asked for it
	}
	return info
}

// account tells the engine what maxmemory is to count besides the keyspace, and follows the peak.
func (db *DB) account() {
	s := db.server.Stats()
	db.engine.SetOverhead(s.InputBuf + s.OutputBuf)
	if used := db.engine.UsedAbout() + db.engine.Overhead(); used > db.peak.Load() {
		db.peak.Store(used)
	}
}
