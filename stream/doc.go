// Package stream is a log of typed values that groups of consumers read, on Redis streams.
//
//	orders, err := stream.New[Order](st, stream.Options{Name: "orders", MaxLen: 1_000_000})
//	...
//	id, err := orders.Publish(ctx, order)
//
// and elsewhere, in as many processes as the work needs, until ctx ends:
//
//	err = orders.Consume(ctx, stream.Group{Name: "billing", Concurrency: 8}, func(ctx context.Context, m *stream.Message[Order]) error {
//		return bill(ctx, m.Value)
//	})
//
// Every group gets every entry; within a group each goes to one consumer. Read is for who wants them all without a group.
//
// # What it promises
//
//   - An entry is acknowledged when its handler has returned nil, not before: it is handled at least once, also if
//     consumers die, the network fails, or a failover keeps it. Handlers must be able to meet an entry twice.
//   - A handler that fails or panics gets the entry again after a pause, and not more often than Group.MaxDeliveries, which
//     the store counts over all consumers and their deaths. Then it is a dead letter, with the reason, and can be
//     replayed, for that group alone. What cannot be decoded is a dead letter at once.
//   - A consumer that dies leaves its entries to the others: after Group.ClaimIdle without a sign of life they are claimed,
//     by one consumer of the group at a time. A handler may take longer than that; its consumer gives signs of life. One
//     that was silent for too long and has lost an entry is told by its ctx (ErrLost).
//   - The stream is bounded by Options.MaxLen or MaxAge, in the command that publishes. What is trimmed before it was
//     handled is lost: watch Lag.
//   - Nothing polls. Consumers wait in XREADGROUP BLOCK; memory in the consumer is bounded. Only store/kvstore polls for them: a
//     REST API does not wait.
//   - When ctx ends Consume finishes what it holds, for up to Group.Drain, gives back the rest, and leaves the group.
//   - A group or stream that is deleted under its consumers is made anew, and reported.
//
// # Order
//
// Entries are read in order. With Group.Ordered the handler sees the entries of a key in order too, retries included; with
// Concurrency 1 all of them, but for those that failed, which come again later. Both hold as long as the group has one
// consumer at a time, with a fixed name: the store hands entries to whichever consumer asks. For order over several consumers
// use a stream for each part of the keys, as the example of Group does.
//
// # Cost
//
// Publish and PublishMany are one round trip. A consumer makes one round trip for each batch of entries, up to
// Prefetch + Concurrency of them, and one for each batch of acknowledgements; a retry is one more, a dead letter one. Some
// 3 to 5 microseconds of work for an entry in JSON, of reading, decoding, handling and acknowledging together.
package stream
