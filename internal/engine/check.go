package engine

import (
	"errors"
	"fmt"

	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
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
			if err := e.checkTable(i, db); err != nil {
				return fmt.Errorf("shard %d, database %d: %w", i, db, err)
			}
		}
		if err := e.checkBooks(s); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	if err := e.checkQueues(); err != nil {
		return err
	}
	return e.checkTracking()
}

// CheckValue verifies the structure of a record's value: for tests. Cost: O(size of the value).
func CheckValue(r *table.Entry) error { return kinds[r.Kind()].check(r) }

func (e *Engine) checkTable(shard, db int) error {
	t := &e.shards[shard].dbs[db]
	if err := t.Check(); err != nil {
		return err
	}
	indexed := 0
	var failed error
	t.Each(func(r *table.Entry) bool {
		k := &kinds[r.Kind()]
		switch {
		case shardOf(e.Hash(r.Key())) != shard:
			failed = fmt.Errorf("key %q is not of this shard", r.Key())
		case k.name == "":
			failed = fmt.Errorf("key %q has no type", r.Key())
		case Kind(r.Kind()) != String && !k.stays && k.len(r) == 0:
			failed = fmt.Errorf("key %q is an empty %s", r.Key(), k.name)
		default:
			if isIndexed(r) {
				indexed++
			}
			if err := errors.Join(k.check(r), e.checkFields(shard, db, r)); err != nil {
				failed = fmt.Errorf("key %q: %w", r.Key(), err)
			}
		}
		return failed == nil
	})
	if f := &e.shards[shard].fields; failed == nil && f.dbs != nil {
		if failed = f.dbs[db].Check(); failed == nil && f.dbs[db].Len() != indexed {
			failed = fmt.Errorf("%d hashes have fields that may expire, %d are in the index", indexed, f.dbs[db].Len())
		}
	}
	return failed
}

// checkFields checks that the index knows of a hash in which fields expire, and is not late.
func (e *Engine) checkFields(shard, db int, r *table.Entry) error {
	if Kind(r.Kind()) != Hash {
		return nil
	}
	next := hash.NextExpiry(r)
	if !isIndexed(r) {
		if next != 0 {
			return errors.New("fields expire, and it is not in the index")
		}
		return nil
	}
	var entry table.Entry
	if !e.shards[shard].fields.dbs[db].Find(e.Hash(r.Key()), r.Key(), &entry) || next != 0 && entry.Expiry() > next {
		return errors.New("its entry in the index of expiring fields is missing or late")
	}
	return nil
}
