// Package pubsub sends typed messages to whoever listens at the moment.
//
//	prices, err := pubsub.New[Price](st, pubsub.Options{Name: "prices"})
//	...
//	_, err = prices.Publish(ctx, Price{"EURUSD", 1.0842})
//
// and elsewhere, until ctx ends:
//
//	err = prices.Subscribe(ctx, pubsub.Listener{}, func(ctx context.Context, m *pubsub.Message[Price]) {
//		show(m.Value)
//	})
//
// # What it promises
//
//   - At most once. Who is not connected gets nothing, and nothing is kept: for messages that must not be lost there is
//     package stream.
//   - The messages of one publisher on one channel arrive in the order in which it published them.
//   - What is missing is told. A lost connection is restored and subscribed again, and each subscriber is told of the gap
//     in its place (Listener.OnGap), and so it is of what was dropped because it was slow. For every subscriber
//     delivered + dropped + waiting messages are exactly those that were offered to it.
//   - A slow subscriber does not harm others: its queue is bounded, in messages and bytes, and Listener.Overflow says what
//     happens past that.
//   - All subscribers of a channel in a process share one subscription of the store, and one decoding. The message is
//     shared too, and must not be changed.
//
// # Parts, patterns, shards
//
// A topic can have parts: PublishTo(ctx, "eur", v) sends to the channel "prices:eur", for those who listen to it
// (Listener.Part) or to a pattern of parts (Listener.Match). Options.Sharded uses Redis 7's sharded channels.
//
// # Cost
//
// Publish is one round trip, PublishMany too. A subscriber costs its queue; the first of a channel, or of a pattern, costs a
// connection. Handing a message out is O(subscribers), some 50 ns for each.
package pubsub
