package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/hibiken/asynq"

	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
)

// limitDuel decides with GCRA, which is what the rival has; far below the limit.
func limitDuel() duel {
	const perSecond = 1_000_000
	ids := make([]string, 64*duelWorkers)
	for i := range ids {
		ids[i] = fmt.Sprintf("client:%d", i)
	}
	id := func(w, i int) string { return ids[w*64+i%64] }
	return duel{
		name: "ratelimit: a decision", trips: true,
		ours: func(st store.Store) (*fighter, error) {
			l, err := ratelimit.New(st, ratelimit.Options{Limit: perSecond, Window: time.Second, Algorithm: ratelimit.GCRA, Timeout: 10 * time.Second})
			if err != nil {
				return nil, err
			}
			return &fighter{do: func(ctx context.Context, w, i int) error {
				r, err := l.Allow(ctx, id(w, i))
				if err == nil && !r.Allowed {
					err = errNoDuel
				}
				return err
			}}, nil
		},
		rivals: []rival{{"redis_rate", func(addr string) (*fighter, error) {
			client := goRedis(addr)
			l, limit := redis_rate.NewLimiter(client), redis_rate.PerSecond(perSecond)
			return &fighter{do: func(ctx context.Context, w, i int) error {
				r, err := l.Allow(ctx, id(w, i), limit)
				if err == nil && r.Allowed == 0 {
					err = errNoDuel
				}
				return err
			}, close: func() { _ = client.Close() }}, nil
		}}},
	}
}

// mail is a job.
type mail struct {
	To, Subject string
	User        int
}

var aMail = mail{To: "someone@example.com", Subject: "Welcome", User: 7}

// tally counts jobs put in and done.
type tally struct{ in, done atomic.Int64 }

// drain waits until all are done. Handlers of two libraries have no common way to tell, so it looks.
func (t *tally) drain(ctx context.Context) error {
	for t.done.Load() < t.in.Load() {
		select {
		case <-time.After(200 * time.Microsecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// queueDuel puts jobs in by 64 goroutines while 64 workers do them; the time counts until the last is done.
func queueDuel() duel {
	return duel{
		name: "queue: jobs put in and done", trips: true, ours: ourQueue, rivals: []rival{{"asynq", asynqQueue}},
		plain: []plainDuel{{"  on Redis", false, 15_000}, {"  embedded", true, 100_000}},
	}
}

func ourQueue(st store.Store) (*fighter, error) {
	q, err := queue.New[mail](st, queue.Options{Name: "mails"})
	if err != nil {
		return nil, err
	}
	var t tally
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- q.Work(ctx, queue.Workers{Concurrency: duelWorkers}, func(context.Context, *queue.Job[mail]) error {
			t.done.Add(1)
			return nil
		})
	}()
	return &fighter{do: func(ctx context.Context, _, _ int) error {
		t.in.Add(1)
		_, err := q.Enqueue(ctx, aMail)
		return err
	}, drain: t.drain, close: func() {
		stop()
		<-ended
		_ = q.Close(context.Background())
	}}, nil
}

func asynqQueue(addr string) (*fighter, error) {
	o := asynq.RedisClientOpt{Addr: addr, PoolSize: duelWorkers}
	client := asynq.NewClient(o)
	server := asynq.NewServer(o, asynq.Config{Concurrency: duelWorkers, LogLevel: asynq.FatalLevel})
	var t tally
	mux := asynq.NewServeMux()
	mux.HandleFunc("mail", func(_ context.Context, task *asynq.Task) error {
		var m mail
		err := json.Unmarshal(task.Payload(), &m)
		t.done.Add(1)
		return err
	})
	if err := server.Start(mux); err != nil {
		return nil, err
	}
	return &fighter{do: func(ctx context.Context, _, _ int) error {
		payload, err := json.Marshal(aMail)
		if err != nil {
			return err
		}
		t.in.Add(1)
		_, err = client.EnqueueContext(ctx, asynq.NewTask("mail", payload))
		return err
	}, drain: t.drain, close: func() {
		server.Shutdown()
		_ = client.Close()
	}}, nil
}

// duelRows are the patterns against those who do the same.
func duelRows() []row {
	var rows []row
	for _, d := range append(cacheDuels(), limitDuel(), lockDuel(), queueDuel(), sessionDuel(), visitDuel()) {
		rows = append(rows, row{d.name, d.measure})
	}
	return append(rows, row{"lock: hand-over", measureHandover})
}
