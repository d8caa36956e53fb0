// Package queue runs background jobs: typed, retried, delayed, recurring, on any Larder store.
//
//	emails, err := queue.New[Email](st, queue.Options{Name: "emails"})
//	...
//	id, err := emails.Enqueue(ctx, Email{To: "ann@example.com"})
//	id, err = emails.Enqueue(ctx, welcome, queue.In(5*time.Minute), queue.Unique("welcome:7", time.Hour), queue.Priority(queue.High))
//	...
//	err = emails.Work(ctx, queue.Workers{Concurrency: 16}, func(ctx context.Context, job *queue.Job[Email]) error {
//		return send(ctx, job.Payload)
//	})
//
// A handler that returns nil is done. An error or a panic is a failure: the job comes back after a pause that grows
// ([Options.Backoff]), or as the handler says ([Retry], [Drop], [Snooze]), and after [Options.MaxAttempts] failures it is a dead
// letter, with what the last failure said, until somebody replays or deletes it.
//
// # What is promised
//
//   - A job whose Enqueue returned nil is done at least once, or becomes a dead letter, as long as the store keeps its data.
//     It is done more than once if a worker dies or is cut off after the work and before the store knows. Handlers should
//     bear that; [Job.Fence] helps.
//   - A process that is silent for a lease loses its jobs to others. Before that its handlers' ctx ends, with the cause
//     [ErrLeaseLost]. What it says about these jobs later is refused.
//   - Of jobs with the same [Unique] key there is one at a time, from Enqueue until its end. Two run at a time only if a
//     handler that lost its lease takes no notice of its ctx.
//   - A delay, a pause and a rate are never cut short, by the store's clock.
//   - A tick of an [Entry] is enqueued once, however many processes schedule it, and whichever of them die. What is missed
//     because none ran, or the store did not, comes as [Missed] says.
//   - Depth, counters and states are changed in the same atomic steps as the jobs.
//
// # What it costs
//
// Enqueue is one script; calls that come while one is under way share the next. A worker's process has one script under way
// at most, which ends jobs, extends the lease, and takes jobs, as many as have gathered: one round trip and a few commands
// for up to 500 jobs. A process with nothing to do waits at the store with BLPOP and makes a turn in a third of a lease; it
// is woken by the Enqueue itself. Everything is O(log n) of the jobs in a state. A plain job occupies its payload and 80
// (embedded) to 190 (Redis) bytes, in two structures.
//
// # What to configure
//
// A queue's keys have no TTL, so a store with a memory limit must not evict keys without one: maxmemory-policy noeviction, or
// one of volatile-*. Work logs a warning where it is otherwise; see [Queue.CheckMemory]. Jobs are as durable as the store: on
// Redis they want appendonly yes.
package queue
