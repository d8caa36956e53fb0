package stream

import "sync/atomic"

// Stats counts what this process did with a stream since New.
type Stats struct {
	Published   uint64 // appended
	Received    uint64 // given by a group to consumers of this process for the first time
	Claimed     uint64 // taken over from consumers that died or stalled
	Handled     uint64 // handler returned nil
	Failed      uint64 // handler returned an error or panicked
	Retried     uint64 // handed to the handler again by this process
	Dead        uint64 // moved to the dead letters
	Undecodable uint64 // of those, or skipped by Read: what the codec refused
	Lost        uint64 // claimed by others, trimmed or deleted while this process held them
	Acked       uint64 // acknowledged
	Rejoined    uint64 // the stream or group was gone and was made again
	StoreErrors uint64 // failed calls while consuming
}

type counters struct {
	published, received, claimed, handled, failed, retried, dead, undecodable, lost, acked, rejoined, storeErrors atomic.Uint64
}

// Stats is a snapshot of the counters.
func (s *Stream[T]) Stats() Stats {
	n := &s.shared.n
	return Stats{
		Published: n.published.Load(), Received: n.received.Load(), Claimed: n.claimed.Load(), Handled: n.handled.Load(),
		Failed: n.failed.Load(), Retried: n.retried.Load(), Dead: n.dead.Load(), Undecodable: n.undecodable.Load(),
		Lost: n.lost.Load(), Acked: n.acked.Load(), Rejoined: n.rejoined.Load(), StoreErrors: n.storeErrors.Load(),
	}
}
