package cache

// Waiting is how many callers wait for a key's load.
func (c *Cache[T]) Waiting(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range []*flight[T]{c.byKey[key], c.alone[key]} {
		if f != nil {
			return f.refs
		}
	}
	return 0
}

// Loads is how many loads are under way, those included whose answer is being stored.
func (c *Cache[T]) Loads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights) + len(c.alone)
}

// NearReady tells whether messages keep what is near coherent.
func (c *Cache[T]) NearReady() bool { return c.near.mode.Load() != byTTL }
