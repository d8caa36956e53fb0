package difftest_test

import (
	"testing"

	"github.com/larderdb/larder/internal/difftest"
	"github.com/larderdb/larder/internal/redistest"
)

// TestScriptsAgainstItself runs redis-server against redis-server: whatever differs is a fault of the comparison.
func TestScriptsAgainstItself(t *testing.T) {
	target := difftest.Port(redistest.Start(t, "--enable-debug-command", "yes").Addr)
	difftest.Scripts(t, difftest.Oracle(t), target)
}

func TestGeneratedAgainstItself(t *testing.T) {
	target := difftest.Port(redistest.Start(t, "--enable-debug-command", "yes").Addr)
	difftest.Generated(t, difftest.Oracle(t), target, difftest.Options{Sequences: 20, Length: 150})
}

func TestSystematicAgainstItself(t *testing.T) {
	target := difftest.Port(redistest.Start(t, "--enable-debug-command", "yes").Addr)
	difftest.Systematic(t, difftest.Oracle(t), target)
}
