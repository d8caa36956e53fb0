package command_test

import (
	"fmt"
	"testing"
	"time"
)

func TestExpiryIsLazy(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET k v PX 100")
	r.clock.Advance(100 * time.Millisecond)
	c.want("v", "GET k") // there until its instant has passed
	c.want("(0)", "PTTL k")
	r.clock.Advance(time.Millisecond)
	c.want("(nil)", "GET k")
	c.want("(0)", "DBSIZE")
}

// TestExpiryIsActive looks at no key: the memory must come back all the same.
func TestExpiryIsActive(t *testing.T) {
	r := newRig(t)
	before := r.Engine.Memory()
	for i := range 20_000 {
		r.main.do("SET", fmt.Sprintf("key:%d", i), "0123456789012345678901234567890123456789", "PX", fmt.Sprint(1000+i%500))
	}
	r.main.do("SET stays 1")
	r.clock.Advance(3 * time.Second)
	for range 3 {
		r.Tick(time.Minute)
	}
	r.main.want("(1)", "DBSIZE")
	after := r.Engine.Memory()
	if spare := after.Used - before.Used; spare > 1<<20 {
		t.Errorf("%d bytes of slabs remain after everything expired", spare)
	}
	if s := r.Engine.Stats(); s.Expired != 20_000 {
		t.Errorf("%d keys are counted as expired", s.Expired)
	}
}

func TestSetActiveExpire(t *testing.T) {
	r := newRig(t)
	r.main.want("OK", "DEBUG SET-ACTIVE-EXPIRE 0")
	r.main.do("SET k v PX 1")
	r.clock.Advance(time.Second)
	r.Tick(time.Minute)
	r.main.want("(1)", "DBSIZE")
	r.main.want("OK", "DEBUG SET-ACTIVE-EXPIRE 1")
	r.Tick(time.Minute)
	r.main.want("(0)", "DBSIZE")
}
