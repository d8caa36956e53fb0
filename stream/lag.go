package stream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// Lag is how far a group is behind: a signal to scale its consumers by.
type Lag struct {
	Waiting   int64         // entries that no consumer of the group has been given yet
	Exact     bool          // false: the store lost count (entries were deleted), Waiting is counted up to 10,000
	Pending   int64         // entries given to a consumer and not acknowledged
	Consumers int64         // consumers that the group knows
	Age       time.Duration // from the last entry that the group was given to the newest of the stream; 0 if none waits
}

// mostCounted bounds the entries that are looked at where the store does not know the lag.
const mostCounted = 10_000

// Lag tells how far a group is behind. A group that does not exist is an error that is store.ErrNil.
// One or two round trips, O(groups) in the store; see Lag.Exact for the exception.
func (s *Stream[T]) Lag(ctx context.Context, group string) (Lag, error) {
	lag, err := s.lag(ctx, group)
	return lag, store.Wrap("stream", "lag", s.o.Name, err)
}

func (s *Stream[T]) lag(ctx context.Context, group string) (Lag, error) {
	g, err := s.group(ctx, group)
	if err != nil {
		return Lag{}, err
	}
	lag := Lag{Waiting: g.lag, Exact: g.exact, Pending: g.pending, Consumers: g.consumers}
	if !g.exact {
		bounded, cancel := s.timeout.Bound(ctx)
		defer cancel()
		list, err := s.st.Do(bounded, "XRANGE", s.o.Name, "("+g.last, "+", "COUNT", strconv.Itoa(mostCounted)).Array()
		if err != nil {
			return Lag{}, err
		}
		lag.Waiting = int64(len(list))
	}
	if lag.Waiting > 0 {
		top, err := s.lastID(ctx)
		if err != nil {
			return Lag{}, err
		}
		lag.Age = max(time.Duration(idMillis(top)-idMillis(g.last))*time.Millisecond, 0)
	}
	return lag, nil
}

// groupInfo is what the store tells of a group.
type groupInfo struct {
	last                    string // the newest entry that a consumer was given
	lag, pending, consumers int64
	exact                   bool // lag is known
}

func (s *Stream[T]) group(ctx context.Context, name string) (groupInfo, error) {
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	list, err := s.st.Do(ctx, "XINFO", "GROUPS", s.o.Name).Array()
	if err != nil {
		return groupInfo{}, err
	}
	for _, one := range list {
		pairs, err := one.Pairs()
		if err != nil {
			return groupInfo{}, err
		}
		var g groupInfo
		found := false
		for i := 0; i < len(pairs); i += 2 {
			field, _ := pairs[i].Text()
			switch v := pairs[i+1]; field {
			case "name":
				text, _ := v.Text()
				found = text == name
			case "last-delivered-id":
				g.last, _ = v.Text()
			case "pending":
				g.pending, _ = v.Int64()
			case "consumers":
				g.consumers, _ = v.Int64()
			case "lag":
				g.lag, err = v.Int64()
				g.exact = err == nil
			}
		}
		if found {
			return g, nil
		}
	}
	return groupInfo{}, fmt.Errorf("group %q: %w", name, store.ErrNil)
}
