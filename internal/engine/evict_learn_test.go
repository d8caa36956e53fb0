package engine

import "testing"

// TestPolicyLearnsAnew: what came back before a policy was chosen does not move its border.
func TestPolicyLearnsAnew(t *testing.T) {
	b := newBench(t)
	b.queues.backYoung.Store(1_000_000)
	l := *b.Limits()
	for _, l.Policy = range queuedPolicies() {
		b.takeCensus(&l)
		if w := b.evict.plan.window; w != 0.1 {
			t.Errorf("%v begins with a part of %.2f young", l.Policy, w)
		}
	}
}
