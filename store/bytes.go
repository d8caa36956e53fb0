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

type viaDo struct{ st Store }

func (v viaDo) GetBytes(ctx context.Context, key string, dst []byte) ([]byte, bool, error) {
	s, found, err := v.st.Do(ctx, "GET", key).Lookup()
	return append(dst, s...), found, err
}

func (v viaDo) SetBytes(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return fmt.Errorf("%w: negative TTL %v", ErrInvalid, ttl)
	}
	if ttl == 0 {
		return v.st.Do(ctx, "SET", key, string(value)).Err()
	}
	return v.st.Do(ctx, "SET", key, string(value), "PX", strconv.FormatInt(Millis(ttl), 10)).Err()
}

// Millis is d in whole milliseconds, rounded up: a TTL never becomes shorter than asked, nor 0.
func Millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
