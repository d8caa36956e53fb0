package engine

import (
	"fmt"

	"github.com/larderdb/larder/internal/mem/table"
)

// Check verifies every structure of the keyspace: for tests. Cost: O(everything).
func (e *Engine) Check() error {
	e.lock(allShards)
	defer e.unlock(allShards)
	for i := range e.shards {
		s := &e.shards[i]
		if err := s.arena.Check(); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
		for db := range s.dbs {
			if err := e.checkTable(i, &s.dbs[db]); err != nil {
				return fmt.Errorf("shard %d, database %d: %w", i, db, err)
			}
		}
	}
	return nil
}

func (e *Engine) checkTable(shard int, t *table.Table) error {
	if err := t.Check(); err != nil {
		return err
	}
	var failed error
	t.Each(func(r *table.Entry) bool {
		k := &kinds[r.Kind()]
		switch {
		case shardOf(e.Hash(r.Key())) != shard:
			failed = fmt.Errorf("key %q is not of this shard", r.Key())
		case k.name == "":
			failed = fmt.Errorf("key %q has no type", r.Key())
		case Kind(r.Kind()) != String && k.len(r) == 0:
			failed = fmt.Errorf("key %q is an empty %s", r.Key(), k.name)
		default:
			if err := k.check(r); err != nil {
				failed = fmt.Errorf("key %q: %w", r.Key(), err)
			}
		}
		return failed == nil
	})
	return failed
}
