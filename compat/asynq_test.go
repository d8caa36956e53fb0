package compat

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

// quiet keeps asynq's log out of the tests'.
type quiet struct{}

func (quiet) Debug(...any) {}
func (quiet) Info(...any)  {}
func (quiet) Warn(...any)  {}
func (quiet) Error(...any) {}
func (quiet) Fatal(...any) {}

func TestAsynq(t *testing.T) {
	onServers(t, func(t *testing.T, port string) { // asynq takes no dialer
		conn := asynq.RedisClientOpt{Addr: "127.0.0.1:" + port}
		client := asynq.NewClient(conn)
		defer client.Close()
		inspector := asynq.NewInspector(conn)
		defer inspector.Close()

		done := make(chan string, 16)
		var failures atomic.Int32
		mux := asynq.NewServeMux()
		mux.HandleFunc("plain", func(_ context.Context, task *asynq.Task) error {
			done <- "plain:" + string(task.Payload())
			return nil
		})
		mux.HandleFunc("flaky", func(context.Context, *asynq.Task) error {
			if failures.Add(1) < 3 {
				return errors.New("not yet")
			}
			done <- "flaky"
			return nil
		})
		server := asynq.NewServer(conn, asynq.Config{
			Concurrency: 4, Queues: map[string]int{"critical": 6, "default": 3}, Logger: quiet{},
			RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 10 * time.Millisecond },
			DelayedTaskCheckInterval: 50 * time.Millisecond, TaskCheckInterval: 20 * time.Millisecond,
		})
		if err := server.Start(mux); err != nil {
			t.Fatal(err)
		}
		defer server.Shutdown()

		enqueue := func(task *asynq.Task, o ...asynq.Option) *asynq.TaskInfo {
			t.Helper()
			info, err := client.Enqueue(task, o...)
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		enqueue(asynq.NewTask("plain", []byte("1")), asynq.Queue("critical"))
		if got := receive(t, done); got != "plain:1" {
			t.Error(got)
		}
		enqueue(asynq.NewTask("flaky", nil), asynq.MaxRetry(5))
		if got := receive(t, done); got != "flaky" || failures.Load() != 3 {
			t.Error(got, failures.Load())
		}
		scheduled := enqueue(asynq.NewTask("plain", []byte("soon")), asynq.ProcessIn(100*time.Millisecond), asynq.Retention(time.Hour))
		if scheduled.State != asynq.TaskStateScheduled {
			t.Error(scheduled.State)
		}
		if got := receive(t, done); got != "plain:soon" {
			t.Error(got)
		}
		later := enqueue(asynq.NewTask("plain", []byte("later")), asynq.ProcessIn(time.Hour), asynq.Unique(time.Hour))
		if _, err := client.Enqueue(asynq.NewTask("plain", []byte("later")), asynq.Unique(time.Hour)); !errors.Is(err, asynq.ErrDuplicateTask) {
			t.Error(err)
		}
		if list, err := inspector.ListScheduledTasks("default"); err != nil || len(list) != 1 || list[0].ID != later.ID {
			t.Error(list, err)
		}
		if err := inspector.RunTask("default", later.ID); err != nil {
			t.Error(err)
		}
		if got := receive(t, done); got != "plain:later" {
			t.Error(got)
		}
		if queues, err := inspector.Queues(); err != nil || len(queues) != 2 {
			t.Error(queues, err)
		}
	})
}
