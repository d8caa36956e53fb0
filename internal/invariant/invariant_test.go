package invariant

import "testing"

func TestAssertPanicsOnlyWhenEnabled(t *testing.T) {
	defer func() {
		if panicked := recover() != nil; panicked != Enabled {
			t.Fatalf("panicked = %v in a build with Enabled = %v", panicked, Enabled)
		}
	}()
	Assert(true, "holds")
	Assert(false, "does not hold")
}
