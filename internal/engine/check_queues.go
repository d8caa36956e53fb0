package engine

import "fmt"

// checkQueues verifies that what all shards share says what each of them has. All shards are locked.
func (e *Engine) checkQueues() error {
	q, waiting, bytes := &e.queues, int64(0), int64(0)
	for i := range e.shards {
		m := &e.shards[i].recall
		n := m.young.Bytes() + m.gone.Bytes() + m.counts.Bytes()
		if n != m.bytes {
			return fmt.Errorf("shard %d remembers %d bytes, and tells %d", i, n, m.bytes)
		}
		waiting, bytes = waiting+int64(m.young.Len()), bytes+n
		head := uint32(noHead)
		if entry, ok := m.young.Peek(); ok {
			head = stampOf(entry)
		}
		if got := q.heads[i].Load(); got != head {
			return fmt.Errorf("shard %d: the first in the queue is told to be of %d, and is of %d", i, got, head)
		}
	}
	if got := q.waiting.Load(); got != waiting {
		return fmt.Errorf("%d young keys are told to wait, %d do", got, waiting)
	}
	if got := q.bytes.Load(); got != bytes {
		return fmt.Errorf("%d bytes are told to be remembered, %d are", got, bytes)
	}
	return nil
}
