package engine

import (
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/stream"
	"github.com/larderdb/larder/internal/types/zset"
)

// Limits are the thresholds between small and large encodings and the bounds on
// memory. A set of limits never changes: SetLimits puts another in its place.
type Limits struct {
	Hash   hash.Limits
	List   list.Limits
	Set    set.Limits
	ZSet   zset.Limits
	Stream stream.Limits

	MaxMemory int64 // bytes; 0: no bound
	Policy    config.Policy
	Samples   int // keys looked at for each eviction
	LFULog    int // lfu-log-factor
	LFUDecay  int // lfu-decay-time, minutes

	Notify       config.NotifyFlags // what is told of keys: notify-keyspace-events
	TrackedKeys  int64              // bounds on what clients track: keys, and bytes of the tables; 0: none
	TrackedBytes int64
}

// DefaultLimits are Redis's.
func DefaultLimits() *Limits {
	return &Limits{
		Hash:   hash.DefaultLimits(),
		List:   list.DefaultLimits(),
		Set:    set.DefaultLimits(),
		ZSet:   zset.DefaultLimits(),
		Stream: stream.DefaultLimits(),
		Policy: config.NoEviction, Samples: 5, LFULog: 10, LFUDecay: 1,
	}
}
