package cache

// Waiting is how many callers wait for a key's load.
func (c *Cache[T]) Waiting(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f.refs
	}
	return 0
}

// Loads is how many loads are under way, those included whose answer is being stored.
func (c *Cache[T]) Loads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights)
}
