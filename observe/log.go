package observe

import (
	"context"
	"log/slog"
	"time"
)

// Log is an Observer that writes what deserves attention to a log: failures and operations slower than slow on level
// warn (slow 0: none is), events on debug. Levels are not logged. A nil logger is slog.Default().
func Log(l *slog.Logger, slow time.Duration) Observer {
	if l == nil {
		l = slog.Default()
	}
	return &logger{log: l, slow: slow, now: time.Now}
}

type logger struct {
	log  *slog.Logger
	slow time.Duration
	now  func() time.Time
}

func (l *logger) Begin(ctx context.Context, op Op) (context.Context, End) {
	start := l.now()
	return ctx, func(result string, err error) {
		took := l.now().Sub(start)
		switch {
		case result == Failed:
			l.log.LogAttrs(ctx, slog.LevelWarn, op.Pattern+": "+op.Verb+" failed", append(attrs(op), slog.Any("error", err), slog.Duration("took", took))...)
		case l.slow > 0 && took >= l.slow:
			l.log.LogAttrs(ctx, slog.LevelWarn, op.Pattern+": "+op.Verb+" was slow", append(attrs(op), slog.String("result", result), slog.Duration("took", took))...)
		}
	}
}

func (l *logger) Count(ctx context.Context, op Op, n int64) {
	l.log.LogAttrs(ctx, slog.LevelDebug, op.Pattern+": "+op.Verb, append(attrs(op), slog.Int64("n", n))...)
}

func (l *logger) Gauge(context.Context, Op, float64) {}

func attrs(op Op) []slog.Attr {
	list := append(make([]slog.Attr, 0, 4), slog.String("name", op.Name))
	if op.Key != "" {
		list = append(list, slog.String("key", op.Key))
	}
	return list
}
