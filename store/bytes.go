package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Getter is optionally implemented by a Store that reads a string without building a command.
type Getter interface {
	// GetBytes appends the string at key to dst and returns the extended slice. found is false, and dst comes back
	// as it was, when the key is missing. It counts as a read of the key, as GET does. The bytes are the caller's.
	GetBytes(ctx context.Context, key string, dst []byte) (value []byte, found bool, err error)
}

// Setter is optionally implemented by a Store that writes a string without building a command.
type Setter interface {
	// SetBytes stores value at key, replacing whatever was there, TTL included. ttl 0 means no expiry; a positive ttl
	// is rounded up to a whole millisecond; a negative one is ErrInvalid. value is copied and remains the caller's.
	SetBytes(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// Replacer is optionally implemented by a Store that overwrites a string without building a command.
type Replacer interface {
	// ReplaceBytes is SetBytes for a key that exists, whatever its type. Where it is missing nothing is stored, and
	// replaced is false.
	ReplaceBytes(ctx context.Context, key string, value []byte, ttl time.Duration) (replaced bool, err error)
}

// GetterOf is st itself where it implements Getter, else an adapter which sends GET. Call it once, not per read.
func GetterOf(st Store) Getter {
	if g, ok := st.(Getter); ok {
		return g
	}
	return viaDo{st}
}

// SetterOf is st itself where it implements Setter, else an adapter which sends SET. Call it once, not per write.
func SetterOf(st Store) Setter {
	if s, ok := st.(Setter); ok {
		return s
	}
	return viaDo{st}
}

// ReplacerOf is st itself where it implements Replacer, else an adapter which sends SET XX. Call it once, not per write.
func ReplacerOf(st Store) Replacer {
	if r, ok := st.(Replacer); ok {
		return r
	}
	return viaDo{st}
}

type viaDo struct{ st Store }

func (v viaDo) GetBytes(ctx context.Context, key string, dst []byte) ([]byte, bool, error) {
	s, found, err := v.st.Do(ctx, "GET", key).Lookup()
	return append(dst, s...), found, err
}

func (v viaDo) SetBytes(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return v.set(ctx, ttl, append(make([]string, 0, 5), "SET", key, string(value))).Err()
}

func (v viaDo) ReplaceBytes(ctx context.Context, key string, value []byte, ttl time.Duration) (replaced bool, err error) {
	r := v.set(ctx, ttl, append(make([]string, 0, 6), "SET", key, string(value), "XX"))
	if r.IsNil() {
		return false, nil
	}
	return r.Err() == nil, r.Err()
}

func (v viaDo) set(ctx context.Context, ttl time.Duration, words []string) Reply {
	if ttl < 0 {
		return Fail(fmt.Errorf("%w: negative TTL %v", ErrInvalid, ttl))
	}
	if ttl > 0 {
		words = append(words, "PX", strconv.FormatInt(Millis(ttl), 10))
	}
	return v.st.Do(ctx, words...)
}

// Millis is d in whole milliseconds, rounded up: a TTL never becomes shorter than asked, nor 0.
func Millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
