package command_test

import (
	"testing"
	"time"
)

// TestNoTouch: the access times of keys stay as they are, but for TOUCH, alone and in a transaction.
func TestNoTouch(t *testing.T) {
	r := newRig(t)
	c := r.main
	steps := []struct{ line, reply, idle string }{
		{"GET k", "v", "(10)"}, {"TOUCH k", "(1)", "(0)"},
		{"MULTI", "OK", "(10)"}, {"GET k", "QUEUED", "(10)"}, {"EXEC", "[v]", "(10)"},
		{"MULTI", "OK", "(10)"}, {"TOUCH k", "QUEUED", "(10)"}, {"EXEC", "[(1)]", "(0)"},
	}
	c.want("OK", "CLIENT NO-TOUCH ON")
	other := r.connect()
	for _, step := range steps {
		other.do("SET k v")
		r.clock.Advance(10 * time.Second)
		r.Tick(time.Second)
		c.want(step.reply, step.line)
		other.want(step.idle, "OBJECT IDLETIME k")
	}
}
