package command_test

import "testing"

// TestObjectRefcount: clients are told that small integers are shared, as on Redis, but not under a policy that keeps figures of
// each value.
func TestObjectRefcount(t *testing.T) {
	c := newRig(t).connect()
	for _, step := range [][2]string{
		{"OBJECT REFCOUNT none", "(nil)"},
		{"MSET zero 0 most 9999 above 10000 below -1 text abc long 007", "OK"},
		{"OBJECT REFCOUNT zero", "(2147483647)"},
		{"OBJECT REFCOUNT most", "(2147483647)"},
		{"OBJECT REFCOUNT above", "(1)"},
		{"OBJECT REFCOUNT below", "(1)"},
		{"OBJECT REFCOUNT text", "(1)"},
		{"OBJECT REFCOUNT long", "(1)"},
		{"RPUSH list 1", "(1)"},
		{"OBJECT REFCOUNT list", "(1)"},
		{"CONFIG SET maxmemory 100mb maxmemory-policy noeviction", "OK"},
		{"OBJECT REFCOUNT zero", "(2147483647)"},
		{"CONFIG SET maxmemory-policy allkeys-lru", "OK"},
		{"OBJECT REFCOUNT zero", "(1)"},
		{"CONFIG SET maxmemory-policy allkeys-lfu", "OK"},
		{"OBJECT REFCOUNT zero", "(1)"},
		{"CONFIG SET maxmemory-policy allkeys-s3fifo", "OK"},
		{"OBJECT REFCOUNT zero", "(1)"},
		{"CONFIG SET maxmemory 0", "OK"},
		{"OBJECT REFCOUNT zero", "(2147483647)"},
	} {
		c.want(step[1], step[0])
	}
}
