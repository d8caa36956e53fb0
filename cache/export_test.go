package cache

import "slices"

// Waiting is how many callers wait for the load of a key that most of them wait for.
func (c *Cache[T]) Waiting(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range append(slices.Clone(c.byKey[key]), c.alone[key]) {
		if f != nil {
			n = max(n, f.refs)
		}
	}
	return n
}

// Loads is how many loads are under way, those included whose answer is being stored.
func (c *Cache[T]) Loads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights) + len(c.alone)
}

// NearReady tells whether messages keep what is near coherent.
func (c *Cache[T]) NearReady() bool { return c.near.mode.Load() != byTTL }
